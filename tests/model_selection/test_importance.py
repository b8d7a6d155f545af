"""Importance of windows: what carries the class, and nothing else, is found."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError

from skgdpd import PrefixClassifier, window_importance
from skgdpd.datasets import make_bumps


class Threshold(ClassifierMixin, BaseEstimator):
    """Answers by the sign of the mean of a window of a channel."""

    def __init__(self, channel, first, last):
        self.channel, self.first, self.last = channel, first, last

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return (X[:, self.channel, self.first : self.last].mean(1) > 0).astype(int)


def one_place(n, channel, first, last, seed, shape=(3, 24)):
    """Noise, with the class in a window of a channel alone."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    X = rng.normal(size=(n, *shape))
    X[:, channel, first:last] = np.where(y, 2.0, -2.0)[:, None]
    return X, y


@settings(max_examples=15)
@given(st.integers(0, 2), st.integers(0, 3), st.integers(0, 2**16))
def test_only_the_window_and_channel_that_decide_have_importance(channel, window, seed):
    X, y = one_place(40, channel, 6 * window, 6 * window + 6, seed)
    clf = Threshold(channel, 6 * window, 6 * window + 6).fit(X, y)
    before = X.copy()
    found = window_importance(clf, X, y, n_windows=4, n_repeats=3, random_state=seed)
    assert found.score == 1
    np.testing.assert_array_equal(found.edges, [0, 6, 12, 18, 24])
    decides = np.zeros((3, 4), dtype=bool)
    decides[channel, window] = True
    assert (found.importances[~decides] == 0).all()
    # The share of series that get a value of the other class.
    rng, expected = np.random.RandomState(seed), np.empty((3, 4, 3))
    for place in np.ndindex(expected.shape):
        expected[place] = (y[rng.permutation(40)] != y).mean()
    np.testing.assert_allclose(found.importances[decides], expected[decides])
    np.testing.assert_array_equal(X, before)


def test_a_classifier_of_prefixes_finds_the_place():
    X, y = one_place(120, 1, 6, 12, 0)
    clf = PrefixClassifier("rocket", earliness=18, max_epochs=0, normalize="train", random_state=0)
    clf.fit(X[:60], y[:60])
    found = window_importance(clf, X[60:], y[60:], n_windows=3, random_state=0)
    np.testing.assert_array_equal(found.edges, [0, 6, 12, 18])
    assert np.unravel_index(found.mean.argmax(), found.mean.shape) == (1, 1)
    again = window_importance(clf, X[60:], y[60:], n_windows=3, random_state=0)
    np.testing.assert_array_equal(found.importances, again.importances)


def test_forms_and_scores():
    pd = pytest.importorskip("pandas")
    X, y = make_bumps(30, 20, random_state=0)
    clf = PrefixClassifier("rocket", earliness=1.0, max_epochs=0, random_state=0).fit(X, y)
    given = {"n_windows": 2, "n_repeats": 2, "scoring": "neg_log_loss", "random_state": 0}
    found = window_importance(clf, X, y, **given)
    flat = window_importance(clf, X[:, 0], y, **given)
    np.testing.assert_array_equal(found.importances, flat.importances)
    long = pd.concat({i: pd.DataFrame({"pulse": x[0]}) for i, x in enumerate(X)})
    labels = pd.Series(y).sample(frac=1, random_state=0)
    named = window_importance(clf, long, labels, **given)
    assert named.channels == ("pulse",)
    np.testing.assert_allclose(named.importances, found.importances)
    np.testing.assert_allclose(found.std, found.importances.std(2))


@pytest.mark.parametrize(("n_points", "n_windows"), [(4, 4), (10, 10), (24, 10)])
def test_windows_are_ten_or_as_many_as_points(n_points, n_windows):
    X, y = one_place(8, 0, 0, 2, 0, (1, n_points))
    assert len(window_importance(Threshold(0, 0, 2).fit(X, y), X, y).edges) == n_windows + 1


def test_arguments_in_another_order_are_named_not_shown():
    X, y = one_place(8, 0, 0, 6, 0)
    with pytest.raises(TypeError, match=r"estimator is a ndarray; .*\(clf, X, y\)"):
        window_importance(X, y, Threshold(0, 0, 6).fit(X, y))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_windows": 25}, "n_windows=25 must be at most 24"),
        ({"n_windows": 0}, "n_windows"),
        ({"n_windows": "all"}, "n_windows='all' must be 'auto'"),
        ({"n_repeats": 0}, "n_repeats"),
        ({"y": [0.0, np.nan] * 4}, "y has missing labels"),
        ({"y": [0, 1]}, "X has 8 series and y 2 labels"),
    ],
)
def test_what_can_not_be_measured_is_refused(change, words):
    X, y = one_place(8, 0, 0, 6, 0)
    clf = Threshold(0, 0, 6).fit(X, y)
    given = {"X": X, "y": y} | change
    with pytest.raises(ValueError, match=words):
        window_importance(clf, **given)
    X[3, :, 20:] = np.nan
    with pytest.raises(ValueError, match="series 3 of X ends after 20 of the 24 time points"):
        window_importance(clf, X, y)
    with pytest.raises(NotFittedError):
        window_importance(PrefixClassifier(), X, y)

"""PathDisplay: means and quantiles against those counted by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from sklearn.exceptions import NotFittedError

from skgdpd import EarlyClassifier, PrefixClassifier
from skgdpd.plotting import PathDisplay

# Probability of "a" at two moments; the last series ends after the first.
OF_A = np.array([[0.6, 0.9], [0.8, 1.0], [0.5, 0.3], [0.3, np.nan]])
PATH = np.stack([OF_A, 1 - OF_A], axis=2)
LABELS = ["a", "a", "b", "b"]


def lines(display):
    return {
        line.get_label(): line
        for line in display.ax_.lines
        if not line.get_label().startswith("_")
    }


def test_means_and_quantiles_are_those_of_the_series_that_are_left():
    display = PathDisplay.from_predictions(
        PATH, LABELS, time_points=[10, 20], quantiles=(0, 1), n_timepoints=40
    )
    (result,) = display.results_.values()
    np.testing.assert_allclose(result.share, [0.25, 0.5])
    np.testing.assert_allclose(result.mean, [(0.6 + 0.8 + 0.5 + 0.7) / 4, (0.9 + 1 + 0.7) / 3])
    np.testing.assert_allclose(result.low, [0.5, 0.7])
    np.testing.assert_allclose(result.high, [0.8, 1.0])
    x, mean = lines(display)["all series"].get_data()
    np.testing.assert_array_equal(x, [25, 50])
    np.testing.assert_array_equal(mean, result.mean)
    (band,) = display.ax_.collections
    corners = {(round(a), round(b, 6)) for a, b in band.get_paths()[0].vertices}
    assert corners == {(25, 0.5), (25, 0.8), (50, 0.7), (50, 1.0)}
    assert display.ax_.get_legend().get_title().get_text() == "mean; band: 0 to 100 % of series"


def test_classes_have_lines_of_their_own():
    display = PathDisplay.from_predictions(
        PATH, LABELS, time_points=[10, 20], by_class=True, quantiles=None
    )
    drawn = lines(display)
    assert list(drawn) == ["a", "b"]
    np.testing.assert_allclose(drawn["a"].get_ydata(), [0.7, 0.95])
    np.testing.assert_allclose(drawn["b"].get_ydata(), [0.6, 0.7])
    assert not display.ax_.collections
    assert display.results_["a"].low is None


def test_where_all_series_have_ended_there_is_no_line():
    path = PATH[3:].copy()
    display = PathDisplay.from_predictions(path, ["b"], time_points=[1, 2], classes=["a", "b"])
    (result,) = display.results_.values()
    np.testing.assert_array_equal(result.mean, [0.7, np.nan])
    np.testing.assert_array_equal(result.high, [0.7, np.nan])


@given(st.integers(0, 100), st.integers(2, 4), st.integers(1, 5))
def test_the_mean_of_all_is_that_of_the_classes(seed, n_classes, n_moments):
    rng = np.random.default_rng(seed)
    path = rng.dirichlet(np.ones(n_classes), size=(20, n_moments))
    y = np.concatenate([np.arange(n_classes), rng.integers(n_classes, size=20 - n_classes)])
    times = range(1, n_moments + 1)
    whole, parts = (
        PathDisplay({"m": path}, y, time_points=list(times), by_class=by_class)
        for by_class in (False, True)
    )
    counts = np.bincount(y)
    assert list(parts.results_) == [f"m, {k}" for k in range(n_classes)]
    means = np.array([result.mean for result in parts.results_.values()])
    np.testing.assert_allclose(whole.results_["m"].mean, counts @ means / 20)
    for result in (*whole.results_.values(), *parts.results_.values()):
        assert (result.low <= result.high).all()
    drawn = lines(parts.plot(Figure().subplots()))
    for name, result in parts.results_.items():
        np.testing.assert_array_equal(drawn[name].get_ydata(), result.mean)


def test_any_classifier_with_a_path_is_drawn(bumps, early):
    X, y = bumps
    several = PrefixClassifier(earliness=[0.3, 0.9], random_state=0).fit(X, y)
    display = PathDisplay.from_estimators({"early": early, "several": several}, X[:20], y[:20])
    numbers = np.searchsorted(early.classes_, y[:20])
    for name, clf in [("early", early), ("several", several)]:
        right = clf.predict_proba_path(X[:20])[np.arange(20), :, numbers]
        result = display.results_[name]
        np.testing.assert_allclose(result.mean, right.mean(0))
        np.testing.assert_allclose(result.low, np.quantile(right, 0.25, axis=0))
        np.testing.assert_array_equal(result.share, clf.time_points_ / 40)
    alone = PathDisplay.from_estimator(several, X[:20], y[:20])
    (result,) = alone.results_.values()
    np.testing.assert_array_equal(result.mean, display.results_["several"].mean)


def test_a_class_that_is_not_there_has_no_line(bumps, early):
    X, y = bumps
    only = y == "yes"
    display = PathDisplay.from_estimator(early, X[only], y[only], by_class=True)
    assert list(display.results_) == ["yes"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantiles": (0.8, 0.2)}, r"quantiles=\(0.8, 0.2\) must be two ascending"),
        ({"quantiles": (-0.1, 0.2)}, "must be two ascending numbers from 0 to 1"),
        ({"quantiles": (0.5,)}, r"quantiles=\(0.5,\) must be two ascending"),
        ({"quantiles": 0.5}, "quantiles=0.5 must be two ascending"),
        ({"quantiles": ("a", "b")}, "must be two ascending numbers from 0 to 1"),
        ({"quantiles": {0.1, 0.9}}, "must be two ascending numbers from 0 to 1"),
        ({"by_class": "yes"}, "by_class='yes' must be True or False"),
        ({"path": {"a": PATH, "b": [PATH]}}, r"paths\['b'\] has shape"),
        ({"path": {"a": None}}, r"paths\['a'\] has shape \(\)"),
        ({"y": "abab"}, "y='abab' must be a list of 4 labels"),
        ({"time_points": None}, "time_points must be a list of whole numbers, got None"),
        ({"n_timepoints": "a"}, "n_timepoints='a' must be a whole number"),
        ({"time_points": [10]}, "time_points has 1 entries for 'all series'; its path has 2"),
        ({"time_points": {"other": [10, 20]}}, r"time_points names \['other'\], but there are"),
        ({"time_points": [20, 10]}, "time_points must ascend"),
        ({"classes": ["a", "c"]}, r"y has the labels \['b'\]; the classes are \['a', 'c'\]"),
        ({"classes": ["a", "b", "c"]}, "the probabilities have 2 columns"),
        ({"y": ["a", "b"]}, r"y has shape \(2,\); there are 4 series"),
        ({"y": ["a", "a", "a", None]}, "y has missing labels"),
        ({"path": {}}, "paths is empty"),
        ({"path": 2 * PATH}, "path must have probabilities"),
    ],
)
def test_bad_input_is_refused_before_anything_is_drawn(options, message):
    options = {"path": PATH, "y": LABELS, "time_points": [10, 20], **options}
    with pytest.raises(ValueError, match=message):
        PathDisplay.from_predictions(**options)
    assert not plt.get_fignums()


def test_classifiers_of_one_moment_or_of_other_classes_are_refused(bumps, early, base):
    X, y = bumps
    with pytest.raises(NotFittedError):
        PathDisplay.from_estimator(EarlyClassifier(), X, y)
    with pytest.raises(TypeError, match="has no predict_proba_path"):
        PathDisplay.from_estimator(object(), X, y)
    other = PrefixClassifier(earliness=[0.3, 0.9], random_state=0).fit(X, y == "no")
    with pytest.raises(ValueError, match=r"\['b'\] has the classes \[False, True\] and 40"):
        PathDisplay.from_estimators({"a": early, "b": other}, X, y)
    for estimators in ({}, None, [early], early, "early"):
        with pytest.raises(ValueError, match=r"^estimators"):
            PathDisplay.from_estimators(estimators, X, y)
    assert not plt.get_fignums()

"""What the early classifier refuses, and what it says then."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from skgdpd import DistilledPrefixClassifier, EarlyClassifier, PrefixClassifier
from skgdpd._series.truncation import parts_of

SHARES = [0.2, 0.5, 1.0]


class Stumbles(ClassifierMixin, BaseEstimator):
    """Classifier that raises an error at one length, in its fit or in its predictions."""

    def __init__(self, error, length, where="fit"):
        self.error, self.length, self.where = error, length, where

    def fit(self, X, y):
        if self.where == "fit" and X.shape[1] == self.length:
            raise self.error("too hard")
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        if self.where == "predict" and X.shape[1] == self.length:
            raise self.error("too hard")
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


# The list of moments


@pytest.mark.parametrize("make", [tuple, np.array, "Series", "Index"], ids=str)
@pytest.mark.parametrize("shares", [SHARES, [0.5]], ids=str)
def test_a_column_of_moments_is_a_list(make, shares, bumps):
    if isinstance(make, str):
        make = getattr(pytest.importorskip("pandas"), make)
    X, y = bumps
    times = [int(40 * share) for share in shares]
    early = EarlyClassifier(LogisticRegression(), earliness=make(shares), cv=2, rule="fixed")
    assert early.fit(X, y).time_points_.tolist() == times
    one = PrefixClassifier("rocket", earliness=make(shares), random_state=0).fit(X, y)
    two = PrefixClassifier("rocket", earliness=shares, random_state=0).fit(X, y)
    assert one.time_points_.tolist() == times
    assert np.array_equal(one.predict_proba(X), two.predict_proba(X))


def test_the_index_of_a_column_has_no_effect():
    pandas = pytest.importorskip("pandas")
    assert parts_of(pandas.Series(SHARES, index=[7, 3, 5])) == SHARES


@pytest.mark.parametrize(
    "earliness",
    [
        {0.2, 0.5},
        {0.2: 1, 0.5: 2},
        np.array(0.5),
        [[0.2, 0.5]],
        [[0.2], [0.5, 1.0]],
        [2.5],
        [np.nan],
        [True],
        b"every",
    ],
    ids=str,
)
def test_what_is_no_list_of_moments_is_refused_before_a_fit(earliness, bumps):
    class Watched(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            raise AssertionError("fitted")

    taught = DistilledPrefixClassifier(student="lstm1-8", earliness=earliness)
    for early in (
        EarlyClassifier(earliness=earliness),
        EarlyClassifier(Watched(), earliness=earliness),
        EarlyClassifier(PrefixClassifier("rocket", earliness=earliness)),
        PrefixClassifier("rocket", earliness=earliness),
        taught,
    ):
        with pytest.raises(ValueError, match="earliness"):
            early.fit(*bumps)


# Errors of other packages' classifiers


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError, ValueError),
        (UnicodeError, ValueError),
        (TypeError, TypeError),
        (KeyError, RuntimeError),
    ],
)
def test_an_error_in_a_clone_names_its_moment(error, kind, bumps):
    early = EarlyClassifier(Stumbles(error, 20), earliness=SHARES, cv=2)
    words = "Stumbles could not be fitted to 60 series of 20 time points: .*too hard"
    with pytest.raises(kind, match=words) as caught:
        early.fit(*bumps)
    assert isinstance(caught.value.__cause__, error)
    early = EarlyClassifier(Stumbles(error, 20, "predict"), earliness=SHARES, cv=2)
    words = r"Stumbles could not predict \d+ series of 20 time points: .*too hard"
    with pytest.raises(kind, match=words) as caught:
        early.fit(*bumps)
    assert isinstance(caught.value.__cause__, error)


@pytest.mark.parametrize("where", ["fit", "predict"])
def test_an_interrupt_in_a_clone_passes(where, bumps):
    early = EarlyClassifier(Stumbles(KeyboardInterrupt, 20, where), earliness=SHARES, cv=2)
    with pytest.raises(KeyboardInterrupt, match=r"^too hard$"):
        early.fit(*bumps)

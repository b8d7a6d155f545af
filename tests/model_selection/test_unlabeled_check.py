"""The check whether unlabelled series will help."""

import numpy as np
import pytest
from scipy.stats import binomtest, hypergeom
from sklearn.base import clone
from sklearn.model_selection import KFold
from sklearn.preprocessing import FunctionTransformer

import skgdpd._series.storage as storage
from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    EarlyClassifier,
    GDPDClassifier,
    GenDDClassifier,
    PrefixClassifier,
    check_unlabeled,
)
from skgdpd.distillers import FitNets

FAST = {"student": "rocket", "earliness": 0.5, "random_state": 0, "max_epochs": 2}


def two_halves(n, seed, *, late_agrees=1.0, early_noise=0.5):
    """Series whose first half shows the class with noise, the second this class or the other."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    X = rng.normal(0, 0.3, (n, 1, 24))
    X[:, 0, 4:8] += 2 * y[:, None] + rng.normal(0, early_noise, (n, 1))
    late = np.where(rng.random(n) < late_agrees, y, 1 - y)
    X[:, 0, 16:20] += 2 * late[:, None]
    return X, y


class Fixed:
    """A teacher whose class is that of the last time point."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def get_params(self, deep=True):
        return {}

    def predict_proba(self, X):
        return np.eye(2)[(np.asarray(X)[:, 0, -1] > 0.5).astype(int)]


class Unsure(Fixed):
    """The same, but less certain where the last value is two."""

    def predict_proba(self, X):
        sure = np.where(np.asarray(X)[:, :1, -1] > 1.5, 0.6, 0.9)
        return np.where(super().predict_proba(X), sure, 1 - sure)


def test_progress_is_shown_if_asked(capsys):
    X, y = two_halves(60, 0)
    clf = GDPDClassifier(**FAST)
    silent = check_unlabeled(clf, X[:20], y[:20], X[20:], cv=2)
    assert capsys.readouterr().err == ""
    assert check_unlabeled(clf, X[:20], y[:20], X[20:], cv=2, verbose=1) == silent
    assert "all labelled series 100%" in capsys.readouterr().err


def test_lengths_are_compared_before_values():
    X, y = two_halves(60, 0)
    X[0, 0, 3] = np.nan
    for refused in (
        lambda: check_unlabeled(GDPDClassifier(**FAST), X, y[:50], X),
        lambda: GDPDClassifier(**FAST).fit(X, y[:50]),
        lambda: EarlyClassifier().fit(X, y[:50]),
    ):
        with pytest.raises(ValueError, match="X has 60 series and y 50 labels"):
            refused()


def test_series_of_the_same_kind_are_advised():
    X, y = two_halves(160, 0, early_noise=1.5)
    found = check_unlabeled(GDPDClassifier(**FAST), X[:40], y[:40], X[40:])
    assert found.advice == "give"
    assert found.teacher_accuracy > found.student_accuracy
    assert str(found).endswith("give them")


def test_some_are_to_be_labelled_where_the_teacher_is_uncertain():
    X, y = two_halves(40, 0)
    other, _ = two_halves(120, 1, late_agrees=0.0)
    found = check_unlabeled(DistilledPrefixClassifier(**FAST), X, y, other)
    assert found.advice == "label some"
    assert found.disagreement_on_unlabeled > 0.5 > found.disagreement
    assert found.certainty_on_unlabeled < found.certainty
    assert "of another kind" in str(found)


def test_disagreement_by_the_students_errors_alone_is_no_reason():
    X, y = two_halves(40, 0, early_noise=0.1)
    other, _ = two_halves(120, 1)
    other[:, 0, 4:8] *= -1
    clf = DistilledPrefixClassifier(teacher=Fixed(), **FAST)
    X[:, 0, -1], other[:, 0, -1] = y, np.arange(120) % 2
    found = check_unlabeled(clf, X, y, other)
    assert found.disagreement_on_unlabeled > found.disagreement + 0.2
    assert found.certainty == found.certainty_on_unlabeled == 1
    assert found.advice == "give"


def test_a_teacher_that_guesses_is_not_trusted_beside_a_student_that_guesses():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 1, 24)), np.arange(80) % 4 // 3
    X[:, 0, -1] = 0  # always the first class
    clf = DistilledPrefixClassifier(teacher=Fixed(), **FAST)
    found = check_unlabeled(clf, X[:40], y[:40], X[40:], cv=2)
    assert found.teacher_accuracy == found.largest_class_share == 0.75
    assert found.p_student > 0.01
    assert found.advice == "leave"
    assert str(found).endswith("no more accurate than a constant answer (0.750)")


def test_a_teacher_that_is_less_accurate_is_not_trusted():
    X, y = two_halves(80, 0, early_noise=0.1)
    X[:, 0, -1] = np.where(np.arange(80) % 5 < 2, 1 - y, y)
    clf = DistilledPrefixClassifier(teacher=Fixed(), **FAST)
    found = check_unlabeled(clf, X[:40], y[:40], X[40:])
    assert found.teacher_accuracy == 0.6
    assert found.advice == "leave"
    assert "less accurate" in str(found)


def test_every_figure_is_what_it_is_called():
    X, y = two_halves(60, 0)
    X[:, 0, -1] = y
    X[::7, 0, -1] = 1 - y[::7]
    clf = DistilledPrefixClassifier(teacher=Fixed(), **FAST)
    found = check_unlabeled(clf, X[:40], y[:40], X[40:], cv=KFold(4))
    teacher = (X[:, 0, -1] > 0.5).astype(int)
    student = np.empty(40, dtype=int)
    for train, aside in KFold(4).split(X[:40]):
        student[aside] = clone(clf).fit(X[train], y[train]).predict(X[aside])
    there = clone(clf).fit(X[:40], y[:40]).predict(X[40:])
    assert found.teacher_accuracy == (teacher == y)[:40].mean()
    assert found.student_accuracy == (student == y[:40]).mean()
    assert found.disagreement == (student != teacher[:40]).mean()
    assert found.disagreement_on_unlabeled == (there != teacher[40:]).mean()
    only = ((student == y[:40]) & (teacher[:40] != y[:40])).sum()
    either = ((student == y[:40]) != (teacher[:40] == y[:40])).sum()
    assert found.p_student == pytest.approx(binomtest(only, either, alternative="greater").pvalue)
    assert found.p_shift == 1  # always as sure
    np.testing.assert_array_equal(found.disputed, np.flatnonzero(there != teacher[40:]))


def test_either_sign_alone_may_be_chance():
    X, y = two_halves(60, 0)
    X[40:, 0, -1] = 2
    clf = DistilledPrefixClassifier(teacher=Unsure(), **FAST)
    found = check_unlabeled(clf, X[:40], y[:40], X[40:])
    there = round(20 * found.disagreement_on_unlabeled)
    here = round(40 * found.disagreement)
    assert found.certainty_on_unlabeled == pytest.approx(0.6)
    assert found.p_shift == pytest.approx(hypergeom.sf(there - 1, 60, there + here, 20))


@pytest.mark.parametrize(
    "estimator",
    [
        GDPDClassifier(prior=DiffusionFeaturePrior(max_epochs=2), unlabeled=-1, **FAST),
        DistilledPrefixClassifier(FitNets(), teacher="lstm1-8", **FAST),
        GenDDClassifier(**FAST),
    ],
    ids=["gdpd", "fitnets", "gendd"],
)
def test_methods_of_one_teacher_and_student_are_checked_alike(estimator):
    X, y = two_halves(30, 0)
    before = estimator.get_params()
    found = check_unlabeled(estimator, X[:20], y[:20], X[20:], cv=2)
    again = check_unlabeled(estimator, X, np.where(np.arange(30) < 20, y, np.nan), cv=2)
    plain = DistilledPrefixClassifier(teacher=estimator.teacher, **FAST)
    assert found == again == check_unlabeled(plain, X[:20], y[:20], X[20:], cv=2)
    assert estimator.get_params() == before
    assert not hasattr(estimator, "classes_")


@pytest.mark.parametrize("marker", [None, -1])
def test_series_marked_among_the_labelled_ones(marker):
    X, y = two_halves(30, 0)
    known = np.arange(30) % 3 > 0
    marked = np.where(known, y, np.nan if marker is None else marker)
    clf = DistilledPrefixClassifier(unlabeled=marker, **FAST)
    expected = check_unlabeled(clf, X[known], y[known], X[~known], cv=2)
    assert check_unlabeled(clf, X, marked, cv=2) == expected
    both = check_unlabeled(clf, X, marked, X[:5], cv=2)
    apart = check_unlabeled(clf, X[known], y[known], np.concatenate([X[~known], X[:5]]), cv=2)
    assert both == apart
    np.testing.assert_array_equal(both.disputed, apart.disputed)


def test_memory_mapped_series(tmp_path):
    X, y = two_halves(30, 0)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    y = np.where(np.arange(30) % 3, y, np.nan)
    clf = DistilledPrefixClassifier(**{**FAST, "student": "lstm1-8"})
    expected = check_unlabeled(clf, X, y, cv=2)
    assert check_unlabeled(clf, mapped, y, cv=2) == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "RESIDENT_BYTES", 0)
        found = check_unlabeled(clf, mapped, y, cv=2)
    assert found.disagreement == pytest.approx(expected.disagreement, abs=0.1)


def test_series_of_unequal_length_and_strings_as_labels():
    X, y = two_halves(30, 0)
    series = [row[:, : 20 + i % 5] for i, row in enumerate(X)]
    labels = np.array(["no", "yes"])[y]
    found = check_unlabeled(
        DistilledPrefixClassifier(**FAST), series[:20], labels[:20], series[20:], cv=2
    )
    assert 0 < found.student_accuracy <= 1


def test_no_more_folds_than_series_of_the_rarest_class():
    X, y = two_halves(20, 0)
    few = np.r_[0:10:2, 1, 3]  # five and two
    found = check_unlabeled(DistilledPrefixClassifier(**FAST), X[few], y[few], X[10:])
    assert found.student_accuracy in np.arange(8) / 7


def test_what_cannot_be_checked_is_refused_before_any_fit(monkeypatch):
    def fit(*args, **kwargs):
        raise AssertionError("refused too late")

    monkeypatch.setattr(DistilledPrefixClassifier, "fit", fit)
    X, y = two_halves(20, 0)
    for other in (PrefixClassifier(**FAST), FunctionTransformer()):
        with pytest.raises(TypeError, match=r"estimator is a .*, which has no teacher"):
            check_unlabeled(other, X, y, X)
    clf = DistilledPrefixClassifier(**FAST)

    def refused(words, *args, clf=clf, **kwargs):
        with pytest.raises(ValueError, match=words):
            check_unlabeled(clf, *args, **kwargs)

    refused("y has one series of the class 1", X[:4], [0, 1, 0, None])
    refused("there are no unlabelled series: X_unlabeled=None, and y marks none", X, y)
    refused("0 sample", X, y, np.zeros((0, 1, 24)))
    refused("cv=1 must be at least 2", X, y, X, cv=1)
    refused("Expected `?cv`? as an integer", X, y, X, cv="five")
    refused("X has 20 series and y 19 labels", X, y[:19], X)
    refused("all 20 values of y are missing labels", X, [None] * 20)
    refused(r"y has 1 class \(\[0\]\)", X, [0, None] * 10)
    refused("X_unlabeled has series of 2 channels and 24", X, y, np.zeros((3, 2, 24)))
    refused("X_unlabeled contains infinity", X, y, np.full_like(X, np.inf))
    refused("'earliness' parameter", X, y, X, clf=clone(clf).set_params(earliness=2.0))
    refused("teacher='nobody'", X, y, X, clf=clone(clf).set_params(teacher="nobody"))

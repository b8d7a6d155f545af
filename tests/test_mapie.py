"""Prediction sets of MAPIE around the classifiers, by the recipe of its page."""

import re
from pathlib import Path

import numpy as np
import pytest

from skgdpd import EarlyClassifier, PrefixClassifier
from skgdpd.datasets import make_bumps

pytest.importorskip("mapie")

from mapie.classification import SplitConformalClassifier

PAGE = Path(__file__).parents[1] / "docs" / "howto-conformal.md"
CLASS = re.search(r"^class Fitted:.*?(?=^```)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
FAST = {"student": "rocket", "max_epochs": 0, "random_state": 0}


@pytest.fixture(scope="module")
def fitted():
    names = {}
    exec(compile(CLASS.group(), PAGE.name, "exec"), names)
    return names["Fitted"]


@pytest.fixture(scope="module")
def series():
    """240 series of two channels and of classes "no" and "yes", hard to tell apart."""
    X, y = make_bumps(240, 20, n_channels=2, noise=2.0, random_state=0)
    return X, np.array(["no", "yes"])[y]


def sets_of(clf, X, y, level=0.9):
    """Return the coverage of new series by sets that 100 others gave, and the labels."""
    conformal = SplitConformalClassifier(clf, confidence_level=level, prefit=True)
    labels, sets = conformal.conformalize(X[40:140], y[40:140]).predict_set(X[140:])
    inside = sets[np.arange(len(sets)), np.searchsorted(clf.classes_, y[140:]), 0]
    return inside.mean(), labels


def test_series_of_several_channels(fitted, series):
    X, y = series
    clf = PrefixClassifier(**FAST, earliness=0.5).fit(X[:40], y[:40])
    coverage, labels = sets_of(fitted(clf), X, y)
    # Four standard deviations of the coverage by 100 held-out series of 100 new ones.
    assert coverage > 0.9 - 4 * 0.042
    np.testing.assert_array_equal(labels, clf.predict(X[140:]))


def test_sets_are_those_of_the_quantile_of_probabilities(fitted, series):
    """The rule by which split conformal prediction is defined, computed by hand."""
    X, y = series
    clf = PrefixClassifier(**FAST, earliness=0.5).fit(X[:40], y[:40])
    conformal = SplitConformalClassifier(fitted(clf), confidence_level=0.9, prefit=True)
    _, sets = conformal.conformalize(X[40:140], y[40:140]).predict_set(X[140:])
    held = clf.predict_proba(X[40:140])[np.arange(100), np.searchsorted(clf.classes_, y[40:140])]
    worst = np.sort(1 - held)[int(np.ceil(0.9 * 101)) - 1]
    new = 1 - clf.predict_proba(X[140:])
    clear = np.abs(new - worst) > 1e-6
    np.testing.assert_array_equal(sets[:, :, 0][clear], (new <= worst)[clear])


def test_answers_of_an_early_classifier(fitted, series):
    X, y = series
    path = PrefixClassifier(**FAST, earliness=[0.5, 1.0])
    early = EarlyClassifier(path, rule="fixed", cv=2, random_state=0).fit(X[:40], y[:40])
    coverage, labels = sets_of(fitted(early), X, y)
    assert coverage > 0.9 - 4 * 0.042
    np.testing.assert_array_equal(labels, early.decide(X[140:]).labels)

"""Scorers of early classifiers in scikit-learn's searches and cross-validation."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skgdpd import EarlyClassifier, PrefixClassifier
from skgdpd.datasets import make_bumps
from skgdpd.metrics import (
    average_cost,
    earliness,
    early_scorer,
    harmonic_mean,
    harmonic_mean_scorer,
    neg_earliness_scorer,
    neg_mean_cost_scorer,
)

SCORERS = {
    "neg_earliness": neg_earliness_scorer,
    "harmonic_mean": harmonic_mean_scorer,
    "neg_mean_cost": neg_mean_cost_scorer,
}
PATHS = PrefixClassifier("rocket", earliness=[0.2, 0.5, 0.75, 1.0], random_state=0)


@pytest.fixture(scope="module")
def series():
    X, y = make_bumps(90, 40, noise=0.8, random_state=0)
    return X, np.array(["no", "yes"])[y]


@pytest.fixture
def early():
    return EarlyClassifier(PATHS, rule="threshold", delay_cost=0.4, random_state=0)


def halves(X):
    return X / 2


def by_definition(fitted, X, y):
    answers = fitted.decide(X)
    accuracy = (answers.labels == y).mean()
    seen = earliness(answers.n_seen, 40)
    cost = average_cost(y, answers.labels, answers.n_seen, 40, delay_cost=fitted.delay_cost)
    return {
        "accuracy": accuracy,
        "neg_earliness": -seen,
        "harmonic_mean": harmonic_mean(accuracy, seen),
        "neg_mean_cost": -cost,
    }


def test_scores_are_those_of_their_definitions(early, series):
    X, y = series
    fitted = early.fit(X[:60], y[:60])
    expected = by_definition(fitted, X[60:], y[60:])
    assert early_scorer(fitted, X[60:], y[60:]) == pytest.approx(expected)
    for name, scorer in SCORERS.items():
        assert scorer(fitted, X[60:], y[60:]) == pytest.approx(expected[name])
    assert neg_mean_cost_scorer(fitted, X[60:], y[60:]) == fitted.score(X[60:], y[60:])
    assert accuracy_score(y[60:], fitted.predict(X[60:])) == expected["accuracy"]


def test_pipelines_and_searches_are_looked_through(early, series):
    X, y = series
    plain = clone(early).fit(X[:60] / 2, y[:60])
    expected = by_definition(plain, X[60:] / 2, y[60:])
    pipeline = make_pipeline(FunctionTransformer(halves), early)
    search = GridSearchCV(pipeline, {"earlyclassifier__rule": ["threshold"]}, cv=2)
    inside = make_pipeline(FunctionTransformer(halves), make_pipeline(early))
    for estimator in (pipeline, search, inside):
        fitted = estimator.fit(X[:60], y[:60])
        assert early_scorer(fitted, X[60:], y[60:]) == pytest.approx(expected)
        for name, scorer in SCORERS.items():
            assert scorer(fitted, X[60:], y[60:]) == pytest.approx(expected[name])
    alone = make_pipeline(clone(early)).fit(X[:60] / 2, y[:60])
    assert early_scorer(alone, X[60:] / 2, y[60:]) == pytest.approx(expected)


def test_in_cross_validation(early, series):
    X, y = series
    folds = KFold(3)
    scoring = {"accuracy": "accuracy", **SCORERS}
    one_by_one = cross_validate(early, X, y, cv=folds, scoring=scoring, error_score="raise")
    together = cross_validate(early, X, y, cv=folds, scoring=early_scorer, error_score="raise")
    for name in scoring:
        np.testing.assert_allclose(one_by_one[f"test_{name}"], together[f"test_{name}"])
    for i, (train, test) in enumerate(folds.split(X)):
        expected = by_definition(clone(early).fit(X[train], y[train]), X[test], y[test])
        assert {name: together[f"test_{name}"][i] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("scoring", [SCORERS, early_scorer])
def test_in_searches(early, series, scoring):
    X, y = series
    grid = {"rule": ["fixed", "threshold", "calimera"]}
    for refit in SCORERS:
        search = GridSearchCV(early, grid, cv=2, scoring=scoring, refit=refit, error_score="raise")
        search.fit(X, y)
        means = search.cv_results_[f"mean_test_{refit}"]
        assert search.best_params_["rule"] == grid["rule"][int(np.argmax(means))]


@pytest.mark.parametrize("scorer", [early_scorer, *SCORERS.values()])
def test_estimators_that_do_not_say_when_are_refused(series, scorer):
    X, y = series
    rows = X[:, 0]
    fitted = LogisticRegression().fit(rows, y)
    for estimator in (fitted, make_pipeline(FunctionTransformer(), fitted)):
        with pytest.raises(TypeError, match=r"LogisticRegression\(\) has no decide"):
            scorer(estimator, rows, y)
    with pytest.raises(TypeError, match="has no decide"):
        scorer(PATHS, X, y)


def test_labels_without_a_cost_are_refused(early, series):
    X, y = series
    fitted = early.fit(X[:60], y[:60])
    with pytest.raises(ValueError, match=r"y has the labels \['maybe'\]"):
        neg_mean_cost_scorer(fitted, X[60:], np.full(30, "maybe"))
    assert harmonic_mean_scorer(fitted, X[60:], np.full(30, "maybe")) == 0

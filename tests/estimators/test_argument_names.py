"""Every refusal names its argument, and comes before anything is trained."""

import re
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold

from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    EarlyClassifier,
    GDPDClassifier,
    GenDDClassifier,
    PrefixClassifier,
    SharedGridSearchCV,
    TrainingOptions,
    check_unlabeled,
    training,
)
from skgdpd.stopping import RULES, decision_cost, select_rule

RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 2, 12))
Y = np.arange(16) % 2
QUICK = {"student": "fcn", "max_epochs": 2, "random_state": 0}


class Learning(LogisticRegression):
    """Classifier whose fit is a training."""

    def fit(self, X, y, sample_weight=None):
        raise AssertionError("the training began")


@pytest.fixture
def nothing_is_trained(monkeypatch):
    """Any training fails the test: what is refused must be refused before."""

    def begun(*args, **kwargs):
        raise AssertionError("the training began")

    monkeypatch.setattr(training, "train", begun)


def prefix(**params):
    return PrefixClassifier(**{**QUICK, **params})


def gdpd(**params):
    return GDPDClassifier(**{**QUICK, **params})


def early(**params):
    return EarlyClassifier(prefix(earliness=[0.5, 1.0]), cv=2, rule="threshold", **params)


def clones(**params):
    return EarlyClassifier(Learning(), earliness=[0.5, 1.0], cv=2, rule="threshold", **params)


def search(**params):
    return SharedGridSearchCV(prefix(), {"lr": [1e-3]}, **{"cv": 2, **params})


def names(argument, refused):
    """Assert that a call is refused by an error that names an argument, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((ValueError, TypeError)) as caught:
            refused()
    assert re.search(rf"(?<!\w){argument}(?!\w)", str(caught.value)), str(caught.value)


def with_value(value):
    values = X.copy()
    values[3, 0, 1] = value
    return values


NO_SERIES = {
    "number": 5,
    "number of numpy": np.float64(3),
    "string": "abc",
    "bytes": b"abc",
    "one dimension": X[0, 0],
    "list of numbers": [1.0, 2.0, 3.0],
    "no dimension": np.array(3.0),
    "nothing": [],
    "no series": X[:0],
    "no channels": X[:, :0],
    "no points": X[:, :, :0],
    "one point": X[:, :, :1],
    "four dimensions": X[None],
    "strings": np.full((16, 12), "a"),
    "bytes in an array": np.full((16, 12), b"a"),
    "objects": np.full((16, 2, 12), "a", dtype=object),
    "dates": np.full((16, 12), np.datetime64("2020-01-01")),
    "durations": np.full((16, 12), np.timedelta64(1)),
    "complex": X + 1j,
    "structure": np.zeros((16, 12), dtype=[("a", float)]),
    "sparse": scipy.sparse.csr_matrix(X[:, 0]),
    "dict": {0: X[0], 1: X[1]},
    "set": {1, 2},
    "generator": (x for x in X),
    "range": range(5),
    "function": len,
    "class": int,
    "mask": np.ma.masked_array(X, X > 0),
    "list of None": [None] * 16,
    "list of dicts": [{}] * 16,
    "list of strings": ["abc"] * 16,
    "lists of unequal depth": [[1, 2], [1, [2, 3]]] * 8,
    "unequal channels": [X[0], X[1, :1]] * 8,
    "a series of one point": [*X[:15], X[15, :, :1]],
    "a series of no points": [*X[:15], X[15, :, :0]],
    "column of pandas": pd.Series(X[0, 0]),
    "strings in a frame": pd.DataFrame({"a": ["x"] * 16, "b": ["y"] * 16}),
    "strings in cells": pd.DataFrame({"a": [pd.Series(["x", "y", "z"])] * 16}),
    "a cell that is None": pd.DataFrame({"a": [*[pd.Series([1.0, 2, 3])] * 15, None]}),
    "tensor on meta": torch.zeros(16, 2, 12, device="meta"),
    "tensor of complex numbers": torch.zeros(16, 2, 12, dtype=torch.complex64),
    "sparse tensor": torch.zeros(16, 12).to_sparse(),
    "NaN": with_value(np.nan),
    "NaN everywhere": np.full_like(X, np.nan),
    "infinity": with_value(np.inf),
    "beyond single precision": X * 1e300,
    "beyond double precision": X.astype(np.longdouble) * np.longdouble("1e4000"),
}
NO_LABELS = {
    "None": None,
    "number": 5,
    "string": "abc",
    "too few": Y[:5],
    "two columns": np.stack([Y, Y], 1),
    "three dimensions": Y[:, None, None],
    "continuous": Y + 0.1 * np.arange(16),
    "all missing": [None] * 16,
    "all NaN": np.full(16, np.nan),
    "one class": np.zeros(16),
    "infinity": np.r_[np.inf, Y[1:]],
    "strings and numbers": ["a", 1] * 8,
    "dict": {0: 1},
    "set": {0, 1},
    "generator": (y for y in Y),
    "lists": [[0], [1, 2]] * 8,
    "dicts": [{}, {1: 1}] * 8,
    "objects": [object() for _ in range(16)],
    "complex": Y + 1j * Y,
    "mask": np.ma.masked_array(Y, np.arange(16) < 3),
    "bytes": np.array([b"a", b"b"] * 8),
    "Decimals": [Decimal(1), Decimal(2)] * 8,
    "sparse": scipy.sparse.csr_matrix(Y[:, None]),
    "function": len,
}
NO_WEIGHTS = {
    "too few": [1, 2],
    "two columns": np.ones((16, 2)),
    "strings": ["a"] * 16,
    "string": "abc",
    "negative": -np.ones(16),
    "NaN": np.full(16, np.nan),
    "infinity": np.full(16, np.inf),
    "all zero": np.zeros(16),
    "complex": np.ones(16) * 1j,
    "None": [None] * 16,
    "dict": {},
    "object": object(),
    "lists": [[1], [1, 2]] * 8,
    "dates": np.full(16, np.datetime64("2020-01-01")),
    "mask": np.ma.masked_array(np.ones(16), Y > 0),
}
ESTIMATORS = {
    "prefix": prefix,
    "distilled": lambda: DistilledPrefixClassifier(**QUICK),
    "gdpd": gdpd,
    "gendd": lambda: GenDDClassifier(**QUICK),
    "early": early,
    "clones": clones,
    "search": search,
}
CHECKED_BY_EACH_FIT = {
    "NaN", "NaN everywhere", "infinity", "beyond single precision", "beyond double precision",
    "a series of one point", "a series of no points", "no points", "one point",
}  # fmt: skip
"""Values that a search leaves to the fits of its candidates, as GridSearchCV does."""


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize("bad", NO_SERIES)
def test_series_are_refused_by_name(kind, bad, nothing_is_trained):
    if kind == "search" and bad in CHECKED_BY_EACH_FIT:
        return names("X", lambda: search(error_score="raise").fit(NO_SERIES[bad], Y))
    return names("X", lambda: ESTIMATORS[kind]().fit(NO_SERIES[bad], Y))


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize("bad", NO_LABELS)
def test_labels_are_refused_by_name(kind, bad, nothing_is_trained):
    names("y", lambda: ESTIMATORS[kind]().fit(X, NO_LABELS[bad]))


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize("bad", NO_WEIGHTS)
def test_weights_are_refused_by_name(kind, bad, nothing_is_trained):
    names("sample_weight", lambda: ESTIMATORS[kind]().fit(X, Y, sample_weight=NO_WEIGHTS[bad]))


@pytest.mark.parametrize("argument", ["X_unlabeled", "X_teacher"])
@pytest.mark.parametrize("bad", NO_SERIES)
def test_further_series_are_refused_by_name(argument, bad, nothing_is_trained):
    names(argument, lambda: gdpd().fit(X, Y, **{argument: NO_SERIES[bad]}))


@pytest.mark.parametrize("bad", NO_SERIES)
def test_a_check_of_unlabelled_series_refuses_series_by_name(bad, nothing_is_trained):
    clf = DistilledPrefixClassifier(**QUICK)
    names("X", lambda: check_unlabeled(clf, NO_SERIES[bad], Y, X))
    names("X_unlabeled", lambda: check_unlabeled(clf, X, Y, NO_SERIES[bad]))


@pytest.mark.parametrize("bad", NO_LABELS)
def test_a_check_of_unlabelled_series_refuses_labels_by_name(bad, nothing_is_trained):
    names("y", lambda: check_unlabeled(DistilledPrefixClassifier(**QUICK), X, NO_LABELS[bad], X))


NO_FOLDS = [
    True,
    1,
    "abc",
    b"x",
    [],
    np.array([1, 2]),
    [[1]],
    KFold(50),
    GroupKFold(2),
    [([0, 99], [1])],
    [([0, 1], [])],
    [([0, 2, 4], [1, 3])],
]


@pytest.mark.parametrize("cv", NO_FOLDS, ids=lambda bad: type(bad).__name__)
def test_folds_are_refused_by_name(cv, nothing_is_trained):
    names("cv", lambda: check_unlabeled(DistilledPrefixClassifier(**QUICK), X, Y, X, cv=cv))
    if cv is not NO_FOLDS[-1]:  # whose fit fails, and has a score
        names("cv", lambda: search(cv=cv).fit(X, Y))
    names("cv", lambda: early().set_params(cv=cv).fit(X, Y))


def test_a_class_of_one_series_is_refused_before_a_check(nothing_is_trained):
    y = np.array(["a"] * 15 + ["b"])
    clf = DistilledPrefixClassifier(**QUICK)
    with pytest.raises(ValueError, match="y has one series of the class 'b'"):
        check_unlabeled(clf, X, y, X)
    with pytest.raises(ValueError, match="y has one series of the class 'b'"):
        early().fit(X, y)


@pytest.mark.parametrize(
    ("params", "argument"),
    [
        ({"n_posterior_samples": True}, "n_posterior_samples"),
        ({"lambda_kd": 10**30}, "lambda_kd"),
        ({"prior_trainable": "yes"}, "prior_trainable"),
        ({"memory": ""}, "memory"),
        ({"memory": __file__}, "memory"),
        ({"device": "meta"}, "device"),
        ({"device": ""}, "device"),
        ({"prior": DiffusionFeaturePrior(device="nonsense")}, "device"),
        ({"prior": DiffusionFeaturePrior(n_noise_levels=True)}, "n_noise_levels"),
        ({"training": TrainingOptions(checkpoint_dir="")}, "checkpoint_dir"),
        ({"teacher": 3}, "teacher"),
        ({"teacher": b"fcn"}, "teacher"),
        ({"teacher": LogisticRegression}, "teacher"),
        ({"teacher": FrozenEstimator(LogisticRegression())}, "teacher"),
        ({"teacher": ["fcn", FrozenEstimator(LogisticRegression())]}, "teacher"),
    ],
    ids=str,
)
def test_parameters_are_refused_by_name(
    params, argument, nothing_is_trained, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)  # where a memory of no name would make its folder
    names(argument, lambda: gdpd(**params).fit(X, Y))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("params", "argument"),
    [
        ({"scoring": ["nonsense"]}, "scoring"),
        ({"scoring": []}, "scoring"),
        ({"scoring": ["accuracy", "accuracy"]}, "scoring"),
        ({"scoring": {"a": 3}}, "scoring"),
        ({"param_grid": {"lr": 1}}, "param_grid"),
        ({"param_grid": {"lr": []}}, "param_grid"),
        ({"param_grid": {"nope": [1]}}, "param_grid"),
        ({"param_grid": {1: [2]}}, "param_grid"),
        ({"param_grid": []}, "param_grid"),
        ({"max_together": True}, "max_together"),
    ],
    ids=str,
)
def test_parameters_of_a_search_are_refused_by_name(params, argument, nothing_is_trained):
    names(argument, lambda: search().set_params(refit=False, **params).fit(X, Y))


def test_classifiers_of_an_early_one_are_refused_by_name(nothing_is_trained):
    for bad in (Learning, FrozenEstimator(LogisticRegression()), prefix(series=3), "fcn"):
        names("classifier|series", lambda bad=bad: clones().set_params(classifier=bad).fit(X, Y))
    names("delay_cost", lambda: clones(delay_cost=len).fit(X, Y))


# Predictions and scores


@pytest.fixture(scope="module")
def fitted():
    taught = PrefixClassifier("rocket", earliness=[0.5, 1.0], random_state=0).fit(X, Y)
    decides = EarlyClassifier(
        PrefixClassifier("rocket", earliness=[0.5, 1.0], random_state=0), rule="threshold"
    )
    return [taught, decides.fit(X, Y)]


@pytest.mark.parametrize("bad", NO_SERIES)
def test_predictions_refuse_series_by_name(bad, fitted):
    for clf in fitted:
        for method in (clf.predict, clf.predict_proba, clf.predict_proba_path):
            names("X", lambda method=method: method(NO_SERIES[bad]))


@pytest.mark.parametrize("bad", [name for name in NO_LABELS if name != "one class"])
def test_scores_refuse_labels_by_name(bad, fitted):
    for clf in fitted:
        names("y", lambda clf=clf: clf.score(X, NO_LABELS[bad]))


@pytest.mark.parametrize("bad", NO_WEIGHTS)
def test_scores_refuse_weights_by_name(bad, fitted):
    for clf in fitted:
        names("sample_weight", lambda clf=clf: clf.score(X, Y, sample_weight=NO_WEIGHTS[bad]))


# The prior, and rules

Z = RNG.normal(size=(16, 3))
NO_FEATURES = {
    "None": None,
    "one dimension": Z[0],
    "three dimensions": Z[None],
    "string": "a",
    "strings": np.full((16, 3), "a"),
    "nothing": Z[:0],
    "no features": Z[:, :0],
    "complex": Z + 1j,
    "sparse": scipy.sparse.csr_matrix(Z),
    "NaN": Z * np.nan,
    "infinity": Z + np.inf,
    "beyond single precision": Z * 1e300,
    "mask": np.ma.masked_array(Z, Z > 0),
    "another width": Z[:, :2],
}


@pytest.mark.parametrize("bad", NO_FEATURES)
def test_a_prior_refuses_features_by_name(bad):
    prior = DiffusionFeaturePrior("gmm", random_state=0).fit(Z, Y)
    if bad != "another width":
        names("Z", lambda: DiffusionFeaturePrior("gmm").fit(NO_FEATURES[bad], Y))
        if bad != "None":
            names("Z_short", lambda: DiffusionFeaturePrior("gmm").fit(Z, Y, NO_FEATURES[bad]))
    for method in (prior.transform, prior.predict_proba, prior.posterior_sample):
        names("Z_short", lambda method=method: method(NO_FEATURES[bad]))
    for method in (prior.encode, prior.score_samples):
        names("Z", lambda method=method: method(NO_FEATURES[bad]))


@pytest.mark.parametrize("bad", [name for name in NO_LABELS if name != "None"])
def test_a_prior_refuses_labels_by_name(bad):
    prior = DiffusionFeaturePrior("gmm", random_state=0).fit(Z, Y)
    if bad != "one class":
        names("y", lambda: DiffusionFeaturePrior("gmm").fit(Z, NO_LABELS[bad]))
        names("y", lambda: prior.score(Z, NO_LABELS[bad]))


@pytest.mark.parametrize("n_samples", [True, 0, 1.5, "a"])
def test_a_prior_refuses_numbers_of_draws_by_name(n_samples):
    prior = DiffusionFeaturePrior("gmm", random_state=0).fit(Z, Y)
    names("n_samples", lambda: prior.sample(n_samples))
    names("n_samples", lambda: prior.posterior_sample(Z, n_samples))


PATHS = {
    "path": RNG.dirichlet([1, 1], size=(16, 3)),
    "y": Y,
    "cost": decision_cost(0.5, None, [2, 4, 6], 6, [0, 1]),
    "time_points": [2, 4, 6],
    "n_timepoints": 6,
}
NO_ARRAYS = [None, True, "a", 1j, np.nan, -1, {}, object(), [[1], [1, 2]], RNG, int]


@pytest.mark.parametrize("bad", NO_ARRAYS, ids=lambda bad: type(bad).__name__)
@pytest.mark.parametrize("argument", PATHS)
def test_rules_refuse_arguments_by_name(argument, bad):
    names(argument, lambda: RULES["threshold"]().fit(**{**PATHS, argument: bad}))
    names(argument, lambda: select_rule(**{**PATHS, argument: bad}))


@pytest.mark.parametrize("bad", NO_ARRAYS, ids=lambda bad: type(bad).__name__)
def test_steps_of_a_rule_refuse_arguments_by_name(bad):
    rule = RULES["threshold"]().fit(**PATHS)
    path, state = PATHS["path"], rule.start(16)
    names("path", lambda: rule.decide(bad))
    names("path", lambda: rule.decide(path + 1j))
    names("probabilities", lambda: rule.step(state, 0, bad))
    names("state", lambda: rule.step(bad, 0, path[:, 0]))
    names("moment", lambda: rule.step(state, bad, path[:, 0]))
    names("n", lambda: rule.start(bad))
    if bad is not None:
        names("groups", lambda: rule.fit(**PATHS, groups=bad))
    if bad is not None and bad is not True:  # one weight for all
        names("sample_weight", lambda: rule.fit(**PATHS, sample_weight=bad))
    if bad is not True:
        names("random_state", lambda: select_rule(**PATHS, random_state=bad))


# What is accepted is accepted without a warning


@pytest.mark.parametrize(
    "weight",
    [
        np.full(16, 1e-320),
        np.full(16, 1.7e308),
        np.r_[1e300, np.ones(15)],
        np.r_[1e-300, np.ones(15)],
        np.ones(16, dtype=bool),
        2.0,
    ],
    ids=str,
)
def test_weights_of_any_size_are_taken(weight):
    clf = prefix(max_epochs=1, class_weight={0: 1e300, 1: 1e-300}).fit(X, Y, sample_weight=weight)
    assert np.isfinite(clf.predict_proba(X)).all()
    assert 0 <= clf.score(X, Y, sample_weight=weight) <= 1


def test_only_ratios_of_weights_matter():
    weight = RNG.uniform(1, 2, size=16)
    one, two = (prefix().fit(X, Y, sample_weight=w) for w in (weight, weight * 2.0**700))
    assert np.array_equal(one.predict_proba(X), two.predict_proba(X))

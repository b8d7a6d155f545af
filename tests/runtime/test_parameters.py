"""Numbers among parameters: those of numpy are those of Python, and bad ones are refused."""

import inspect
from fractions import Fraction

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import skgdpd
from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    EarlyClassifier,
    GDPDClassifier,
    GenDDClassifier,
    GeneratorOptions,
    LuPTSClassifier,
    PrefixClassifier,
    PrefixTruncator,
    SeriesOptions,
    SharedGridSearchCV,
    TrainingOptions,
    distillers,
)
from skgdpd._runtime.parameters import plain
from skgdpd.stopping import RULES

METHODS = [
    kind
    for kind in vars(distillers).values()
    if isinstance(kind, type)
    and issubclass(kind, distillers.Distiller)
    and kind is not distillers.Distiller
]
ESTIMATORS = [
    PrefixClassifier,
    DistilledPrefixClassifier,
    GDPDClassifier,
    GenDDClassifier,
    DiffusionFeaturePrior,
    EarlyClassifier,
    PrefixTruncator,
    TrainingOptions,
    SeriesOptions,
    GeneratorOptions,
    LuPTSClassifier,
    *METHODS,
    *RULES.values(),
]


def numbers_of(kind):
    """Names of the parameters that may be numbers."""
    return [
        name
        for name in inspect.signature(kind).parameters
        if any("Interval" in type(c).__name__ for c in kind._parameter_constraints[name])
    ]


def made(kind, **params):
    """An estimator with these parameters; two of the distillers need a prior."""
    needs_prior = "prior" in inspect.signature(kind).parameters and kind in METHODS
    return kind(**({"prior": DiffusionFeaturePrior()} if needs_prior else {}), **params)


def test_no_public_estimator_is_left_out():
    public = {
        kind
        for kind in vars(skgdpd).values()
        if isinstance(kind, type) and hasattr(kind, "get_params")
    }
    assert public == {*ESTIMATORS[:11], SharedGridSearchCV}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(3), 3),
        (np.uint8(200), 200),
        (np.float32(0.1), float(np.float32(0.1))),
        (np.float16(0.5), 0.5),
        (np.longdouble(0.25), 0.25),
        (np.float64(0.1), 0.1),
        (np.True_, True),
        (np.str_("fcn"), "fcn"),
        (Fraction(1, 4), 0.25),
        (2, 2),
        ("fcn", "fcn"),
        (None, None),
    ],
)
def test_numbers_become_those_of_python(value, expected):
    found = plain(value)
    assert type(found) is type(expected)
    assert found == expected


def test_other_values_stay_as_they_are():
    for value in (np.zeros(3), [np.int64(1)], np.datetime64("2020-01-01"), 1j, object()):
        assert plain(value) is value


@pytest.mark.parametrize("kind", ESTIMATORS, ids=lambda kind: kind.__name__)
def test_every_estimator_has_plain_numbers(kind):
    for name in numbers_of(kind):
        one = {name: np.int64(1)}
        for estimator in (made(kind, **one), made(kind).set_params(**one)):
            assert type(getattr(estimator, name)) is int
            assert type(clone(estimator).get_params(deep=False)[name]) is int


@pytest.mark.parametrize("kind", ESTIMATORS, ids=lambda kind: kind.__name__)
def test_true_and_huge_integers_are_no_numbers(kind):
    for name in numbers_of(kind):
        for value in (True, np.True_, 10**30, -(10**30)):
            with pytest.raises(ValueError, match=name):
                made(kind, **{name: value})._validate_params()


BY_KIND = {
    "max_epochs": np.uint8(2),
    "batch_size": np.uint8(8),
    "lr": np.float32(1e-3),
    "earliness": np.float64(0.5),
    "random_state": np.int64(0),
    "verbose": np.int16(0),
    "training": TrainingOptions(
        weight_decay=np.float32(0.1),
        weight_averaging=np.int64(1),
        early_stopping=np.int8(2),
        validation_fraction=np.float32(0.25),
    ),
    "series": SeriesOptions(resample_length=np.int32(9), predict_batch_size=np.uint8(5)),
}
OF_GDPD = {
    "lambda_kd": np.float32(0.3),
    "warmup_epochs": np.int64(1),
    "n_posterior_samples": np.uint8(2),
    "prior_trainable": np.True_,
    "hinton_weight": np.float16(0.5),
    "prior": DiffusionFeaturePrior(
        degradation="linear-gaussian",
        max_epochs=np.int64(1),
        batch_size=np.uint8(8),
        lr=np.float32(1e-3),
        n_sampling_steps=np.uint8(2),
        n_diffusion_steps=np.int16(50),
        n_noise_levels=np.int8(1),
    ),
}


def python_numbers(params):
    return {
        name: value.__class__(**python_numbers(value.get_params()))
        if hasattr(value, "get_params")
        else plain(value)
        for name, value in params.items()
    }


@pytest.mark.parametrize(
    ("kind", "params"),
    [(PrefixClassifier, BY_KIND), (GDPDClassifier, {**BY_KIND, **OF_GDPD})],
    ids=["prefix", "gdpd"],
)
def test_a_fit_with_numbers_of_numpy_has_the_bits_of_one_with_numbers_of_python(
    kind, params, bumps, tmp_path
):
    X, y = bumps[0][:20], bumps[1][:20]
    one = kind(student="fcn", **params).fit(X, y)
    two = kind(student="fcn", **python_numbers(params)).fit(X, y)
    assert np.array_equal(one.predict_proba(X), two.predict_proba(X))
    one.save(tmp_path / "model.zip")
    again = skgdpd.load(tmp_path / "model.zip")
    assert np.array_equal(again.predict_proba(X), one.predict_proba(X))
    assert again.max_epochs == 2


@pytest.mark.parametrize("search", [GridSearchCV, SharedGridSearchCV])
def test_grids_may_be_arrays_of_numpy(search, bumps):
    X, y = bumps[0][:20], bumps[1][:20]
    grid = {
        "max_epochs": np.arange(1, 3),
        "lr": np.array([1e-3], dtype=np.float32),
        "earliness": np.array([0.5]),
        "training__weight_decay": np.logspace(-2, -1, 1),
        "series__predict_batch_size": np.array([7], dtype=np.uint8),
        "random_state": np.arange(1),
    }
    found = search(PrefixClassifier("fcn"), grid, cv=2).fit(X, y)
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()
    assert type(found.best_estimator_.max_epochs) is int


def test_an_early_classifier_takes_numbers_of_numpy(bumps):
    X, y = bumps[0][:20], bumps[1][:20]
    model = PrefixClassifier("rocket", earliness=list(np.array([0.2, 0.6])), random_state=0)
    found = [
        EarlyClassifier(model, rule="threshold", delay_cost=cost, cv=cv, random_state=seed)
        .fit(X, y)
        .decide(X)
        for cost, cv, seed in [(np.float32(0.5), np.int64(2), np.uint16(0)), (0.5, 2, 0)]
    ]
    assert np.array_equal(found[0].n_seen, found[1].n_seen)
    assert np.array_equal(found[0].probabilities, found[1].probabilities)

"""Record fingerprints of the package's predictions, and compare them after a change of its code.

    python benchmarks/fingerprints.py record OUT.json
    python benchmarks/fingerprints.py compare BEFORE.json AFTER.json

``record`` fits a list of small configurations. For each of them, it writes a checksum and some
numbers of its predictions. ``compare`` prints which configurations have changed, and by how much.
The bits depend on the processor and on the versions of numpy and torch, so record both files on
one machine and in one environment.

Only the first part, :func:`translate` and its callers, uses the names of the package's interface.
The configurations use the flat names of version 0.1. If a parameter or an argument gets another
name, only the first part must be changed.
"""

from __future__ import annotations

import os

# Before numpy and torch are imported.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = os.environ["NUMBA_NUM_THREADS"] = "1"

import argparse
import hashlib
import itertools
import json
import pickle
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

import skgdpd
from skgdpd import datasets, distillers, nets

torch.set_num_threads(1)

Array = NDArray[np.float64]
Params = Mapping[str, Any]

N_HEAD, N_NUMBERS = 12, 32
"""Numbers of values that are written of a result: the first ones, and evenly spread ones."""


# What names the package's interface


def translate(kind: str, params: Params) -> dict[str, Any]:
    """Today's names of the parameters of a kind of estimator.

    Parameters
    ----------
    kind : {"prefix", "distilled", "gdpd", "gendd", "prior", "search"}
        Kind of the estimator.
    params : dict
        Values, or lists of candidates, by the flat names of version 0.1, perhaps with ``__``.

    Returns
    -------
    dict
        The same values by the names that ``set_params`` of the estimator takes.
    """
    return {_today(kind, name): value for name, value in params.items()}


def _today(kind: str, name: str) -> str:
    if name == "n_draws" or kind in ("prior", "search"):
        return name
    path, _, last = name.rpartition("__")
    if path in ("", "estimator"):
        last = TODAY.get(last, last)
    return f"{path}__{last}" if path else last


GROUPS = {
    "training": (
        "weight_decay", "optimizer", "lr_schedule", "weight_averaging", "validation_fraction",
        "early_stopping", "precision", "checkpoint_dir",
    ),
    "series": ("resample_length", "earliness_of", "predict_batch_size"),
    "generator": (
        "contraction", "centroid", "encoder", "token_width", "joint", "hidden", "n_noise_levels",
        "condition_dropout", "mixup", "prediction",
    ),
}  # fmt: skip
TODAY = {
    **{name: f"{group}__{name}" for group, names in GROUPS.items() for name in names},
    "missing": "series__missing_values",
    "generator_epochs": "generator__max_epochs",
}
"""Present names of the parameters of version 0.1."""


def translate_data(data: Params) -> dict[str, Any]:
    """Today's names of the arguments of ``fit`` and ``partial_fit``."""
    return {"X_teacher" if name == "X_full" else name: value for name, value in data.items()}


SMALL = {
    "student": "lstm1-8",
    "earliness": 0.5,
    "max_epochs": 3,
    "batch_size": 16,
    "random_state": 0,
}
"""Parameters of every classifier, if not told otherwise."""

TAUGHT_OPTIONS: dict[str, Params] = {
    "generator": {"generator_epochs": 2, "n_sampling_steps": 4},
    "prior": {"max_epochs": 3, "n_posterior_samples": 4, "random_state": 0},
}
"""Parameters of generators and priors, if not told otherwise."""


def prefix(**params: Any) -> Any:
    """A classifier without a teacher."""
    return skgdpd.PrefixClassifier().set_params(**translate("prefix", {**SMALL, **params}))


def distilled(distiller: Any = None, **params: Any) -> Any:
    """A classifier with any distiller."""
    params = {**SMALL, "distiller": distiller, **params}
    return skgdpd.DistilledPrefixClassifier().set_params(**translate("distilled", params))


def gdpd(**params: Any) -> Any:
    """A classifier taught through a prior, a small one."""
    if "prior" not in params:
        params["prior"] = prior(encoder="pca", degradation="learned-alpha")
    return skgdpd.GDPDClassifier().set_params(**translate("gdpd", {**SMALL, **params}))


def gendd(**params: Any) -> Any:
    """A classifier by generated features."""
    params = {**SMALL, **TAUGHT_OPTIONS["generator"], **params}
    return skgdpd.GenDDClassifier().set_params(**translate("gendd", params))


def prior(**params: Any) -> Any:
    """A diffusion prior of few epochs."""
    params = {**TAUGHT_OPTIONS["prior"], **params}
    return skgdpd.DiffusionFeaturePrior().set_params(**translate("prior", params))


def search(estimator: Any, kind: str, grid: Params, **params: Any) -> Any:
    """The package's own grid search over an estimator of a kind."""
    found = skgdpd.SharedGridSearchCV(estimator, translate(kind, grid))
    return found.set_params(**translate("search", {"cv": 2, "error_score": "raise", **params}))


def sklearn_search(estimator: Any, kind: str, grid: Params) -> GridSearchCV:
    """scikit-learn's grid search over an estimator of a kind."""
    return GridSearchCV(estimator, translate(kind, grid), cv=2, error_score="raise")


def distiller(name: str, **params: Any) -> Any:
    """A distiller by the name of its class, with a small prior if it needs one."""
    made = getattr(distillers, name)
    if name in ("GDPD", "DiffKD"):
        params.setdefault("prior", prior(encoder="pca", degradation="linear-gaussian"))
    return made(**params)


def distiller_names() -> list[str]:
    """All public distillers, without the classes that only others are made from."""
    found = {name: getattr(distillers, name) for name in distillers.__all__}
    bases = (distillers.Distiller, distillers.RowDistiller)
    return sorted(
        name
        for name, kind in found.items()
        if isinstance(kind, type) and issubclass(kind, distillers.Distiller) and kind not in bases
    )


def change(estimator: Any, kind: str, **params: Any) -> Any:
    """An estimator with other parameters."""
    return estimator.set_params(**translate(kind, params))


def fit(estimator: Any, X: Any, y: Any, **data: Any) -> Any:
    """A fitted estimator."""
    return estimator.fit(X, y, **translate_data(data))


def fit_chunk(estimator: Any, X: Any, y: Any, **data: Any) -> Any:
    """An estimator that has learned from another chunk."""
    return estimator.partial_fit(X, y, **translate_data(data))


def answers(clf: Any, X: Any, X_teacher: Any = None) -> Array:
    """Probabilities of new series by a classifier and, beside them, by its teacher."""
    parts = [clf.predict_proba(X)]
    if hasattr(clf, "teacher_"):
        parts.append(clf.teacher_.predict_proba(X if X_teacher is None else X_teacher))
    return np.hstack(parts)


def scores(found: Any) -> Array:
    """Mean scores of a search's candidates, and how many were trained together."""
    together = getattr(found, "n_together_", 0)
    return np.append(found.cv_results_["mean_test_score"], together)


class Mean(distillers.RowDistiller):
    """A distiller as users write them: squared distance of the logits."""

    term = "mean"

    def __init__(self, lambda_kd: float = 1.0) -> None:
        self.lambda_kd = lambda_kd

    def loss(self, output: Any, batch: Any) -> torch.Tensor:
        """The loss of a batch."""
        return (output.logits - batch["teacher_logits"]).square().mean()


# Series


class Labelled(NamedTuple):
    """Training series with labels, new ones, and some that nobody has labelled."""

    X: Any
    y: NDArray[Any]
    new: Any
    unlabelled: Any


def make_series(n: int, seed: int) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Series of two channels, 32 points and three classes, which differ most at the end."""
    rng = np.random.default_rng(seed)
    kinds = np.arange(n) % 3
    points = np.linspace(0, 1, 32)
    place = rng.uniform(0.1, 0.3, size=(n, 1))
    width = np.array([0.05, 0.08, 0.11])[kinds][:, None]
    early = np.exp(-np.square((points - place) / width) / 2)
    late = np.array([-2.0, 0.0, 2.0])[kinds][:, None] * (points > 0.7)
    X = np.stack([early + late, early - late], 1) + rng.normal(scale=0.4, size=(n, 2, 32))
    return X.astype(np.float32), np.array(["a", "b", "c"])[kinds]


@cache
def regular() -> Labelled:
    """Series of equal length."""
    (X, y), (new, _), (unlabelled, _) = make_series(48, 0), make_series(21, 1), make_series(24, 2)
    return Labelled(X, y, new, unlabelled)


@cache
def many() -> Labelled:
    """More series, of which a batch is larger."""
    X, y = make_series(240, 5)
    return regular()._replace(X=X, y=y)


@cache
def ragged() -> Labelled:
    """The same series, each cut at another point from the 14th on."""
    whole = regular()
    rng = np.random.default_rng(3)

    def cut(X: Any) -> list[Any]:
        return [x[:, :n] for x, n in zip(X, rng.integers(14, 33, size=len(X)), strict=True)]

    return Labelled(cut(whole.X), whole.y, cut(whole.new), cut(whole.unlabelled))


def with_gaps(data: Labelled) -> Labelled:
    """The same series, a sixth of whose values are missing, but none at the end."""
    rng = np.random.default_rng(4)

    def drop(x: Any) -> Any:
        gaps = rng.random(x.shape) < 1 / 6
        gaps[:, -1] = False
        return np.where(gaps, np.float32(np.nan), x)

    parts: list[Any] = [[drop(x) for x in part] for part in (data.X, data.new, data.unlabelled)]
    if not isinstance(data.X, list):
        parts = [np.stack(part) for part in parts]
    return Labelled(parts[0], data.y, parts[1], parts[2])


def marked() -> tuple[Any, NDArray[Any]]:
    """Series of which every fourth has a question mark for its label."""
    data = regular()
    return data.X, np.where(np.arange(len(data.y)) % 4 == 1, "?", data.y)


def flatten(X: Any) -> Any:
    """A row of numbers for each series."""
    return np.asarray(X).reshape(len(X), -1)


def logistic(C: float = 1.0) -> Any:
    """A scikit-learn classifier of whole series."""
    return make_pipeline(FunctionTransformer(flatten), LogisticRegression(C=C))


def make_network(n_channels: int, n_timepoints: int) -> nn.Module:
    """A network that takes series of one length only."""
    return nn.Sequential(nn.Flatten(), nn.Linear(n_channels * n_timepoints, 6), nn.Tanh())


# The list

CONFIGURATIONS: dict[str, Callable[[], ArrayLike]] = {}
"""Functions that return the numbers, by the name of the configuration."""


def add(name: str, function: Callable[..., ArrayLike], *args: Any, **kwargs: Any) -> None:
    """Put a function of these arguments on the list."""
    if name in CONFIGURATIONS:
        raise ValueError(f"there are two configurations named {name!r}")
    CONFIGURATIONS[name] = partial(function, *args, **kwargs)


def configuration(name: str) -> Callable[[Callable[[], ArrayLike]], Callable[[], ArrayLike]]:
    """Put the decorated function on the list."""

    def put(function: Callable[[], ArrayLike]) -> Callable[[], ArrayLike]:
        add(name, function)
        return function

    return put


def fitted(make: Callable[[], Any], data: Callable[[], Labelled] = regular) -> Array:
    """Answers of a classifier that learned from labelled series."""
    X, y, new, _ = data()
    return answers(fit(make(), X, y), new)


def fitted_with_unlabelled(
    make: Callable[[], Any], data: Callable[[], Labelled] = regular
) -> Array:
    """Answers of a classifier that learned from unlabelled series, too."""
    X, y, new, unlabelled = data()
    return answers(fit(make(), X, y, X_unlabeled=unlabelled), new)


# Backbones

for _name in nets.available_backbones():
    add(f"backbone {_name}", fitted, partial(prefix, student=_name))
    add(f"backbone {_name}, ragged", fitted, partial(prefix, student=_name), ragged)
    add(
        f"backbone {_name}, taught, unlabelled series",
        fitted_with_unlabelled,
        partial(gdpd, student=_name, teacher="lstm1-8", max_epochs=2),
    )

add("backbone from a callable", fitted, partial(prefix, student=make_network))


@configuration("backbone that is a module")
def module_as_student() -> Array:
    """A network that starts from the weights that it comes with."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = make_network(2, 16)
    return fitted(partial(prefix, student=network))


# Parameters that all classifiers have

COMMON: dict[str, Params] = {
    "as it is": {},
    "earliness 12": {"earliness": 12},
    "earliness 1.0": {"earliness": 1.0},
    "adam": {"optimizer": "adam", "weight_decay": 0.1},
    "weight_decay": {"weight_decay": 0.3},
    "cosine": {"lr_schedule": "cosine"},
    "constant": {"lr_schedule": "constant"},
    "halving": {"lr_schedule": "halving", "max_epochs": 36},
    "halving-per-batch": {"lr_schedule": "halving-per-batch", "max_epochs": 15},
    "lr": {"lr": 0.02},
    "batch_size 7": {"batch_size": 7},
    "weight_averaging 0": {"weight_averaging": 0.0},
    "weight_averaging 1.5": {"weight_averaging": 1.5},
    "validation_fraction 0": {"validation_fraction": 0.0},
    "validation_fraction 0.4": {"validation_fraction": 0.4},
    "class_weight": {"class_weight": {"a": 1.0, "b": 3.0, "c": 0.5}},
    "normalize prefix": {"normalize": "prefix"},
    "normalize None": {"normalize": None},
    "resample_length": {"resample_length": 9},
    "bf16": {"precision": "bf16"},
    "predict_batch_size": {"predict_batch_size": 5, "student": "fcn24"},
    "seed": {"random_state": 5},
}
KINDS = {"prefix": prefix, "distilled": distilled, "gdpd": gdpd, "gendd": gendd}
for (_kind, _make), (_name, _params) in itertools.product(KINDS.items(), COMMON.items()):
    add(f"{_kind}: {_name}", fitted, partial(_make, **_params))


def few_of_a_class(make: Callable[[], Any]) -> Array:
    """Answers after series of which one class has fewer."""
    X, y, new, _ = regular()
    kept = (y != "b") | (np.arange(len(y)) % 2 == 0)
    return answers(fit(make(), X[kept], y[kept]), new)


def weighted(make: Callable[[], Any]) -> Array:
    """Answers after series of different weight."""
    X, y, new, _ = regular()
    return answers(fit(make(), X, y, sample_weight=np.linspace(0.1, 2, len(y))), new)


def cut_by_truncator(make: Callable[..., Any]) -> Array:
    """Answers of a classifier whose earliness is a transformer."""
    return fitted(partial(make, earliness=skgdpd.PrefixTruncator(11)))


def stopped_early(make: Callable[..., Any], lr: float = 0.3) -> Array:
    """Answers of a classifier that stopped before its last epoch, and how many it had."""
    X, y, new, _ = regular()
    clf = make(early_stopping=1, max_epochs=30, lr=lr, weight_averaging=0.0)
    n_epochs = len(fit(clf, X, y).history_["loss"])
    if n_epochs == 30:
        raise AssertionError("nothing was stopped")
    return np.append(answers(clf, new), n_epochs)


for _name, _make in KINDS.items():
    add(f"{_name}: class_weight balanced", few_of_a_class, partial(_make, class_weight="balanced"))
    add(f"{_name}: sample_weight", weighted, _make)
    add(f"{_name}: earliness a transformer", cut_by_truncator, _make)
    add(f"{_name}: early_stopping", stopped_early, _make)
    add(f"{_name}: batch_size auto", fitted, partial(_make, batch_size="auto"), many)
    add(f"{_name}: ragged", fitted, _make, ragged)
    add(f"{_name}: ragged, own", fitted, partial(_make, earliness_of="own"), ragged)
    add(f"{_name}: ragged, resampled", fitted, partial(_make, resample_length=9), ragged)
    for _missing in ("mask", "interpolate"):
        _gappy = partial(_make, missing=_missing)
        add(f"{_name}: missing {_missing}", fitted, _gappy, lambda: with_gaps(regular()))
        add(f"{_name}: missing {_missing}, ragged", fitted, _gappy, lambda: with_gaps(ragged()))

add("prefix: rocket-quant that stops", stopped_early, partial(prefix, student="rocket-quant"), 3.0)
add(
    "prefix: ragged, network resampled",
    fitted,
    partial(prefix, student=make_network, resample_length=9),
    ragged,
)


@configuration("prefix: all by default")
def defaults() -> Array:
    """A classifier of which only the seed is given."""
    X, y, new, _ = regular()
    clf = change(skgdpd.PrefixClassifier(), "prefix", random_state=0, max_epochs=8)
    return answers(fit(clf, X, y), new)


@configuration("prefix: one channel as a table")
def table() -> Array:
    """Series of one channel in a table, and features beside the answers."""
    X, y, new, _ = regular()
    clf = fit(prefix(student="fcn24"), X[:, 0], y)
    return np.hstack([clf.predict_proba(new[:, 0]), clf.embed(new[:, 0])])


# Teachers


@configuration("teacher frozen")
def frozen_teacher() -> Array:
    """A scikit-learn classifier, fitted before."""
    X, y, _, _ = regular()
    return fitted(partial(gdpd, teacher=FrozenEstimator(logistic().fit(X, y))))


@configuration("teacher frozen, one of ours")
def own_frozen_teacher() -> Array:
    """A classifier of the package, fitted before."""
    X, y, _, _ = regular()
    teacher = fit(prefix(student="fcn24", earliness=1.0), X, y)
    return fitted(partial(distilled, teacher=FrozenEstimator(teacher)))


TEACHERS: dict[str, Callable[[], Any]] = {
    "by name": lambda: "fcn24",
    "rocket-quant": lambda: "rocket-quant",
    "scikit-learn": logistic,
    "of a longer prefix": lambda: prefix(earliness=0.8),
    "ensemble": lambda: [None, "fcn24", logistic()],
    "voting": lambda: VotingClassifier(
        [("one", logistic()), ("two", logistic(0.01))], voting="soft", weights=[1, 2]
    ),
    "from a callable": lambda: make_network,
}


def taught(make: Callable[..., Any], teacher: Callable[[], Any]) -> Array:
    """Answers of a classifier with a teacher of its own."""
    return fitted(partial(make, teacher=teacher()))


for _name, _teacher in TEACHERS.items():
    add(f"teacher {_name}, gdpd", taught, gdpd, _teacher)
    add(f"teacher {_name}, distilled", taught, distilled, _teacher)
add("teacher ensemble, gendd", taught, gendd, TEACHERS["ensemble"])
add(
    "teacher rocket-quant, student rocket-quant",
    fitted,
    partial(gdpd, student="rocket-quant", max_epochs=2),
)


# Distillers


def distil(name: str, unlabelled: bool, **params: Any) -> Array:
    """Answers of a student of one of the distillers."""
    make = partial(distilled, distiller(name, **params), student="fcn24", max_epochs=4)
    return fitted_with_unlabelled(make) if unlabelled else fitted(make)


for _name in distiller_names():
    add(f"distiller {_name}", distil, _name, False)
    add(f"distiller {_name}, unlabelled series", distil, _name, True)
OTHER_SETTINGS: dict[str, Params] = {
    "Hinton": {"divergence": "js", "temperature": 2.0, "lambda_kd": 3.0},
    "DHO": {"share": 0.3},
    "GroundTruthMixing": {"share": 0.3},
    "GDPD": {"warmup_epochs": 1, "hinton_weight": 0.5, "recalibrate_every": 1},
    "DiffKD": {"warmup_epochs": 1, "n_posterior_samples": 2},
    "VID": {"n_hidden": 16},
}
for _name, _params in OTHER_SETTINGS.items():
    add(f"distiller {_name} of other settings", distil, _name, False, **_params)


@configuration("distiller of one's own")
def own_distiller() -> Array:
    """A distiller that is not the package's."""
    return fitted(partial(distilled, Mean(0.5)))


@configuration("distiller around distillers")
def nested_distillers() -> Array:
    """A distiller around one around a third, reached by its nested name."""
    around = distiller("PACED", distiller=distiller("TeKAP", distiller=distiller("DKD")))
    clf = change(distilled(around), "distilled", distiller__distiller__distiller__beta=2.0)
    X, y, new, _ = regular()
    return answers(fit(clf, X, y), new)


@configuration("distiller AT, ragged")
def maps_of_ragged_series() -> Array:
    """Activations over time of series of unequal length."""
    return fitted(partial(distilled, distiller("AT"), student="fcn24"), ragged)


# Through a prior

GDPD_OPTIONS: dict[str, Params] = {
    "lambda_kd": {"lambda_kd": 5.0},
    "lambda_kd 0": {"lambda_kd": 0.0},
    "warmup_epochs 0": {"warmup_epochs": 0},
    "warmup_epochs 1": {"warmup_epochs": 1},
    "several draws": {"objective": "logmeanexp", "n_posterior_samples": 3},
    "prior_trainable": {"prior_trainable": True},
    "hinton_weight": {"hinton_weight": 2.0},
    "prior None": {"prior": None},
}
for _name, _params in GDPD_OPTIONS.items():
    add(f"gdpd: {_name}", fitted, partial(gdpd, **_params))


def taught_through(**params: Any) -> Array:
    """Answers of a student taught through a prior of these parameters."""
    return fitted(partial(gdpd, prior=prior(**params), warmup_epochs=1))


DENOISERS = ("film", "bottleneck", "gmm")
DEGRADATIONS = ("linear-gaussian", "matched-noise", "none", "learned-alpha")
ENCODERS = ("identity", "pca", "autoencoder")
for _denoiser, _degradation in itertools.product(DENOISERS, DEGRADATIONS):
    add(
        f"gdpd: {_denoiser}, {_degradation}",
        taught_through,
        denoiser=_denoiser,
        degradation=_degradation,
    )
add("gdpd: autoencoder", taught_through, encoder="autoencoder", degradation="learned-alpha")


@configuration("gdpd: a parameter of the prior")
def parameter_of_prior() -> Array:
    """A prior changed by its nested name."""
    X, y, new, _ = regular()
    return answers(fit(change(gdpd(), "gdpd", prior__n_sampling_steps=3), X, y), new)


@configuration("gdpd: the paper's parameters")
def paper() -> Array:
    """The paper's settings but for the number of epochs."""
    settings = skgdpd.paper_parameters("lstm1-8", reference=True)
    settings["prior"].set_params(max_epochs=3)
    settings |= {"max_epochs": 4, "warmup_epochs": 2, "random_state": 0}
    clf = change(skgdpd.GDPDClassifier(), "gdpd", **settings)
    X, y, new, _ = regular()
    return answers(fit(clf, X, y), new)


# Generated features

GENDD_OPTIONS: dict[str, Params] = {
    "student_head": {"deploy": "student_head"},
    "lambda_kd": {"lambda_kd": 4.0},
    "contraction": {"contraction": 0.0},
    "classifier_weight": {"centroid": "classifier_weight"},
    "pca": {"encoder": "pca"},
    "token_width": {"token_width": 2},
    "joint": {"joint": True, "hidden": 32},
    "n_noise_levels": {"n_noise_levels": 1, "condition_dropout": 0.5},
    "mixup": {"mixup": True},
    "eps": {"prediction": "eps"},
    "generator_epochs": {"generator_epochs": 4},
    "draws": {"n_posterior_samples": 2, "n_sampling_steps": 6},
    "guidance": {"guidance": 2.0},
    "student rocket-quant": {"student": "rocket-quant", "max_epochs": 2},
}
for _name, _params in GENDD_OPTIONS.items():
    add(f"gendd: {_name}", fitted, partial(gendd, **_params))


@configuration("gendd: changed after the fit")
def deploy_later() -> Array:
    """One fitted classifier's draws, other draws, and its student's own answers."""
    X, y, new, _ = regular()
    clf = fit(gendd(), X, y)
    drawn = clf.sample_features(new).reshape(len(new), -1)
    other = change(clf, "gendd", n_posterior_samples=3, guidance=1.5).predict_proba(new)
    own = change(clf, "gendd", deploy="student_head").predict_proba(new)
    return np.hstack([drawn, other, own])


# Series without a label, and whole series beside cut ones


def fitted_marked(make: Callable[..., Any]) -> Array:
    """Answers after series some of which are marked as unlabelled."""
    return answers(fit(make(unlabeled="?"), *marked()), regular().new)


def appended(X: Any, y: Any, unlabelled: Any) -> tuple[Any, NDArray[Any]]:
    """Labelled series and others, whose labels are missing."""
    labels = np.empty(len(X) + len(unlabelled), dtype=object)
    labels[: len(X)] = y
    return np.concatenate([X, unlabelled]), labels


def fitted_beside(make: Callable[[], Any], unlabelled: bool) -> Array:
    """Answers after series that were cut, with whole series beside for the teacher."""
    X, y, new, more = regular()
    if unlabelled:
        X, y = appended(X, y, more)
    return answers(fit(make(), X[:, :, :13], y, X_full=X), new[:, :, :13], new)


def fitted_beside_marked(make: Callable[..., Any]) -> Array:
    """Answers after series that were cut, some of them marked as unlabelled."""
    X, y = marked()
    new = regular().new
    clf = fit(make(unlabeled="?"), X[:, :, :13], y, X_full=X)
    return answers(clf, new[:, :, :13], new)


for _name, _make in {"distilled": distilled, "gdpd": gdpd, "gendd": gendd}.items():
    add(f"{_name}: unlabelled series", fitted_with_unlabelled, _make)
    add(f"{_name}: unlabelled series, ragged", fitted_with_unlabelled, _make, ragged)
    add(f"{_name}: marked in y", fitted_marked, _make)
    add(f"{_name}: whole series beside", fitted_beside, _make, False)
    add(f"{_name}: whole series beside, unlabelled series", fitted_beside, _make, True)
    add(f"{_name}: whole series beside, marked in y", fitted_beside_marked, _make)


@configuration("unlabelled series in cross-validation")
def unlabelled_in_folds() -> Array:
    """Answers for series kept aside, with unlabelled series that every fold has."""
    known, labels, _, unlabelled = regular()
    X, y = appended(known, labels, unlabelled)
    found = np.empty((len(known), 3))
    for train, test in skgdpd.LabeledFolds(2).split(X, y):
        found[test] = fit(gdpd(), X[train], y[train]).predict_proba(X[test])
    return found


@configuration("marked series in cross-validation")
def marked_in_folds() -> Array:
    """Scores on labelled series, where every fold learns from the others, too."""
    folds = skgdpd.LabeledFolds(3, unlabeled="?")
    clf = distilled(unlabeled="?", student="fcn24", max_epochs=4)
    return cross_val_score(clf, *marked(), cv=folds, scoring="neg_log_loss")


@configuration("check of unlabelled series")
def unlabelled_checked() -> Array:
    """Return the check of unlabelled series before they are used."""
    X, y, _, unlabelled = regular()
    found = skgdpd.check_unlabeled(gdpd(student="fcn24", max_epochs=8), X, y, unlabelled, cv=2)
    names = ("student_accuracy", "teacher_accuracy", "p_student", "p_shift", "disagreement")
    more = ("disagreement_on_unlabeled", "certainty", "certainty_on_unlabeled")
    return np.array([getattr(found, name) for name in (*names, *more)] + [*found.disputed])


# The prior alone


def of_prior(pairs: bool, labels: bool = True, **params: Any) -> Array:
    """All that a prior says of features, in one row."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    Z = rng.normal(size=(60, 5)) + np.eye(3, 5)[y] * 3
    Z_short = Z[:, :3] + rng.normal(scale=0.5, size=(60, 3)) if pairs else None
    made = prior(**params).fit(Z, y if labels else None, Z_short)
    return said_by_prior(made, Z[:9], Z[:9] if Z_short is None else Z_short[:9])


def said_by_prior(made: Any, Z: Array, degraded: Array) -> Array:
    """All that a fitted prior says of features, in one row."""
    parts = [made.sample(5), made.encode(Z), made.score_samples(Z)]
    if made.degradation != "learned-alpha":
        parts += [made.posterior_sample(degraded, 3), made.transform(degraded)]
        if hasattr(made, "classes_"):
            parts.append(made.predict_proba(degraded))
    return np.concatenate([np.ravel(part) for part in parts])


for _denoiser, _degradation in itertools.product(DENOISERS, DEGRADATIONS):
    _params = {"denoiser": _denoiser, "degradation": _degradation}
    _name = f"prior {_denoiser}, {_degradation}"
    add(_name, of_prior, False, **_params)
    if _degradation != "learned-alpha":
        add(f"{_name}, pairs", of_prior, True, **_params)
for _denoiser, _encoder in itertools.product(DENOISERS, ENCODERS[1:]):
    _params = {"denoiser": _denoiser, "encoder": _encoder, "n_latent": 3}
    add(f"prior {_denoiser}, {_encoder}", of_prior, True, **_params)
add("prior without labels", of_prior, True, labels=False)
add(
    "prior of other settings",
    of_prior,
    True,
    schedule="cosine",
    n_diffusion_steps=50,
    n_sampling_steps=7,
    n_noise_levels=2,
    batch_size=16,
    lr=1e-2,
    measurement_noise=0.5,
    n_posterior_samples=6,
)


# Searches

GRID = {"lambda_kd": [0.1, 10.0], "warmup_epochs": [1, 2], "lr": [1e-3, 1e-2]}


def searched(found: Any, **data: Any) -> Array:
    """Scores of a search's candidates, and answers of the best one."""
    X, y, new, _ = regular()
    found = fit(found, X, y, **data)
    best = found.best_estimator_
    return np.concatenate([scores(found), answers(best, new).ravel()])


for _together in (True, False, "auto"):
    add(
        f"search, together {_together}",
        lambda together: searched(search(gdpd(max_epochs=4), "gdpd", GRID, together=together)),
        _together,
    )


@configuration("search, together, unlabelled series")
def search_with_unlabelled() -> Array:
    """A search whose folds all have the unlabelled series."""
    grid = {"hinton_weight": [0.0, 1.0], "random_state": [0, 1]}
    folds = skgdpd.LabeledFolds(2)
    found = search(gdpd(max_epochs=4), "gdpd", grid, together=True, cv=folds)
    X, y, new, unlabelled = regular()
    fit(found, *appended(X, y, unlabelled))
    return np.concatenate([scores(found), answers(found.best_estimator_, new).ravel()])


@configuration("search, together, rocket")
def search_of_rockets() -> Array:
    """A search over students that share their fixed features."""
    grid = {"weight_decay": [0.0, 0.1], "lr": [1e-3, 1e-2]}
    made = prefix(student="rocket", max_epochs=2)
    return searched(search(made, "prefix", grid, together=True))


@configuration("search, scores of several measures")
def search_of_distillers() -> Array:
    """A search over a distiller's parameter, with a score of its own."""
    grid = {"distiller__temperature": [1.0, 4.0], "weight_averaging": [0.0, 2.0]}
    made = distilled(distiller("Hinton"))
    return searched(search(made, "distilled", grid, scoring="neg_log_loss"))


@configuration("scikit-learn's search, memory")
def search_with_memory() -> Array:
    """scikit-learn's search, with teachers and priors kept in a folder."""
    grid = {"lambda_kd": [0.1, 10.0], "warmup_epochs": [1, 2], "prior__n_sampling_steps": [2, 5]}
    with TemporaryDirectory() as folder:
        return searched(sklearn_search(gdpd(memory=folder), "gdpd", grid))


@configuration("scikit-learn's search, prefix")
def search_of_training() -> Array:
    """scikit-learn's search over how a student is trained and what it sees."""
    grid = {
        "weight_decay": [0.0, 0.3],
        "lr_schedule": ["constant", "cosine"],
        "resample_length": [None, 9],
    }
    return searched(sklearn_search(prefix(lr=0.01), "prefix", grid))


@configuration("scikit-learn's search, gendd")
def search_of_generators() -> Array:
    """scikit-learn's search over the generator."""
    grid = {"contraction": [0.5, 0.9], "hidden": [16, 32]}
    return searched(sklearn_search(gendd(), "gendd", grid))


# Kept in folders


def with_memory(make: Callable[..., Any], kind: str, **others: Any) -> Array:
    """Answers of a fit that filled a cache, and of one of other parameters that used it."""
    X, y, new, unlabelled = regular()
    with TemporaryDirectory() as folder:
        first = fit(make(memory=folder), X, y, X_unlabeled=unlabelled)
        second = fit(change(clone(first), kind, **others), X, y, X_unlabeled=unlabelled)
        return np.hstack([answers(first, new), answers(second, new)])


add(
    "memory, distilled",
    with_memory,
    lambda **params: distilled(distiller("Hinton"), **params),
    "distilled",
    distiller__lambda_kd=0.2,
)
add("memory, gdpd", with_memory, gdpd, "gdpd", lambda_kd=0.2, warmup_epochs=2)
add("memory, gendd", with_memory, gendd, "gendd", lambda_kd=0.2)


class InterruptedFitError(Exception):
    """Error that ends a fit in the middle."""


class Counter:
    """A scikit-learn callback that counts epochs and may end the fit at one of them."""

    def __init__(self, last: int | None = None) -> None:
        self.last = last
        self.n_epochs = 0

    def setup(self, estimator: Any, context: Any) -> None:
        """Nothing to set up."""

    def teardown(self, estimator: Any, context: Any) -> None:
        """Nothing to tear down."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Nothing to do at an epoch's begin."""

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Count an epoch."""
        if context.task_name == "epoch":
            self.n_epochs += 1
            if self.n_epochs == self.last:
                raise InterruptedFitError


@contextmanager
def fast_clock() -> Iterator[None]:
    """Let 100 seconds pass between two looks at the clock, so that no checkpoint waits."""
    with mock.patch("time.monotonic", itertools.count(0.0, 100.0).__next__):
        yield


def resumed(make: Callable[[], Any], kind: str, last: int) -> Array:
    """Answers of a fit that was ended at an epoch and resumed, which must be those of a whole."""
    X, y, new, _ = regular()
    whole = Counter()
    expected = answers(fit(make().set_callbacks(whole), X, y), new)
    with TemporaryDirectory() as folder, fast_clock():
        first = change(make(), kind, checkpoint_dir=folder)
        try:
            fit(first.set_callbacks(Counter(last)), X, y)
        except InterruptedFitError:
            pass
        if not any(Path(folder).iterdir()):
            raise AssertionError("no checkpoint was written")
        rest = Counter()
        clf = fit(change(make(), kind, checkpoint_dir=folder).set_callbacks(rest), X, y)
        if any(Path(folder).iterdir()):
            raise AssertionError("a checkpoint was left")
    if rest.n_epochs >= whole.n_epochs:
        raise AssertionError("the second fit began anew")
    if not np.array_equal(answers(clf, new), expected):
        raise AssertionError("the resumed fit has other bits than the whole one")
    return expected


add("resumed, prefix", resumed, partial(prefix, max_epochs=6), "prefix", 4)
add("resumed, distilled", resumed, partial(distilled, max_epochs=6), "distilled", 10)
add("resumed in the teacher, gdpd", resumed, partial(gdpd, max_epochs=6), "gdpd", 4)
add("resumed in the student, gdpd", resumed, partial(gdpd, max_epochs=6), "gdpd", 13)
add("resumed, gendd", resumed, partial(gendd, max_epochs=6), "gendd", 10)


# Streams


def streamed(make: Callable[[], Any], begin: str, **weights: Any) -> Array:
    """Answers after three chunks, pickled before the last, perhaps with a fit before them all."""
    X, y, new, _ = regular()
    clf = make()
    if begin == "fit":
        fit(clf, X[:24], y[:24])
    else:
        fit_chunk(clf, X[:24], y[:24], classes=["a", "b", "c"], **weights)
    fit_chunk(clf, X[24:36], y[24:36])
    clf = pickle.loads(pickle.dumps(clf))
    fit_chunk(clf, X[36:], y[36:], sample_weight=np.linspace(0.5, 2, 12))
    return answers(clf, new)


for _name, _make in {
    "prefix": prefix,
    "prefix fcn24, bf16": partial(prefix, student="fcn24", precision="bf16"),
    "prefix adam": partial(prefix, optimizer="adam", weight_averaging=1.0),
    "distilled": distilled,
    "gdpd": gdpd,
    "gendd": gendd,
}.items():
    for _begin in ("chunk", "fit"):
        add(f"stream {_name}, from a {_begin}", streamed, _make, _begin)


@configuration("stream FitNets, class_weight")
def stream_of_features() -> Array:
    """Chunks whose classes have weights, for a distiller of features."""
    weights = {"a": 1.0, "b": 2.0, "c": 0.5}
    made = partial(distilled, distiller("FitNets"), class_weight=weights)
    return streamed(made, "chunk", sample_weight=np.linspace(0.5, 2, 24))


# Files and copies


def saved(make: Callable[[], Any], include: Sequence[str]) -> Array:
    """Answers of a classifier that was saved, opened again, and then fitted again."""
    X, y, new, _ = regular()
    clf = fit(make(), X, y)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.zip"
        clf.save(path, include=include)
        opened = skgdpd.load(path)
    if not np.array_equal(opened.predict_proba(new), clf.predict_proba(new)):
        raise AssertionError("the opened classifier has other bits than the saved one")
    again = answers(fit(clone(opened), X, y), new)
    return np.hstack([answers(opened, new), again])


def pickled(make: Callable[[], Any]) -> Array:
    """Answers of a classifier that was pickled after its fit."""
    X, y, new, _ = regular()
    return answers(pickle.loads(pickle.dumps(fit(make(), X, y))), new)


for _name, _make, _include in (
    ("prefix", prefix, ()),
    ("distilled", partial(distilled, distiller("DHO")), ("teacher",)),
    ("gdpd", gdpd, ("teacher", "prior")),
    ("gendd", gendd, ("teacher",)),
    ("rocket-quant", partial(prefix, student="rocket-quant", resample_length=9), ()),
):
    add(f"saved, {_name}", saved, _make, _include)
    add(f"pickled, {_name}", pickled, _make)


@configuration("saved, prior")
def saved_prior() -> Array:
    """A prior that was saved and opened again."""
    rng = np.random.default_rng(1)
    Z = rng.normal(size=(40, 4))
    with TemporaryDirectory() as folder:
        prior(encoder="pca").fit(Z, np.arange(40) % 2).save(Path(folder) / "prior.zip")
        return said_by_prior(skgdpd.load(Path(folder) / "prior.zip"), Z[:7], Z[7:14])


# In scikit-learn's and sktime's company


@configuration("truncator")
def truncated() -> Array:
    """Series cut by the transformer."""
    return skgdpd.PrefixTruncator(0.4).fit_transform(regular().new)


@configuration("pipeline")
def pipeline() -> Array:
    """A pipeline that cuts series before the classifier sees them."""
    X, y, new, _ = regular()
    steps = make_pipeline(skgdpd.PrefixTruncator(0.4), prefix(earliness=1.0))
    return fit(steps, X, y).predict_proba(new)


@configuration("calibrated")
def calibrated() -> Array:
    """A classifier with calibrated probabilities."""
    X, y, new, _ = regular()
    clf = CalibratedClassifierCV(distilled(student="fcn24"), method="sigmoid", cv=2)
    return clf.fit(X, y).predict_proba(new)


@configuration("sktime classifier")
def sktime_classifier() -> Array:
    """A classifier as sktime's, with unlabelled series."""
    from skgdpd.sktime import SktimeClassifier

    X, y, new, unlabelled = regular()
    clf = SktimeClassifier(gdpd()).fit(*appended(X, y, unlabelled))
    return clf.predict_proba(new)


@configuration("sktime transformer")
def sktime_transformer() -> Array:
    """A truncation of sktime's as a step of a pipeline, and as earliness."""
    from sktime.transformations.truncation import TruncationTransformer

    from skgdpd.sktime import SklearnTransformer

    X, y, new, _ = regular()
    cut = TruncationTransformer(upper=12)
    steps = make_pipeline(SklearnTransformer(cut), prefix(earliness=1.0)).fit(X, y)
    inside = fit(prefix(earliness=cut), X, y)
    return np.hstack([steps.predict_proba(new), inside.predict_proba(new)])


@configuration("make_bumps")
def bumps() -> Array:
    """The series for demonstrations."""
    return np.asarray(datasets.make_bumps(40, 30, 2, random_state=0)[0], dtype=np.float64)


# Recording


def fingerprint(values: ArrayLike) -> dict[str, Any]:
    """Return the record of a result: checksum, shape, mean and some of its numbers."""
    array = np.ascontiguousarray(values, dtype=np.float64)
    flat = array.ravel()
    spread = np.unique(np.linspace(0, len(flat) - 1, N_NUMBERS).round().astype(int))
    return {
        "sha256": hashlib.sha256(array.tobytes()).hexdigest(),
        "shape": list(array.shape),
        "mean": float(flat.mean()),
        "head": [number.hex() for number in flat[:N_HEAD].tolist()],
        "numbers": [number.hex() for number in flat[spread].tolist()],
    }


def chosen(names: Sequence[str], only: str) -> list[str]:
    """The names that contain a string."""
    return [name for name in names if only in name]


def record(path: Path, only: str) -> int:
    """Fit the configurations, and write their fingerprints.

    Parameters
    ----------
    path : Path
        The JSON file, one line a configuration.
    only : str
        Configurations whose name contains it.

    Returns
    -------
    int
        How many failed.
    """
    entries: dict[str, dict[str, Any]] = {}
    begin = time.perf_counter()
    print(f"skgdpd from {Path(skgdpd.__file__).parent}")
    for name in chosen(list(CONFIGURATIONS), only):
        start = time.perf_counter()
        try:
            entries[name] = fingerprint(CONFIGURATIONS[name]())
        except Exception as error:  # told and counted; the others go on
            entries[name] = {"error": f"{type(error).__name__}: {error}"}
        said = entries[name].get("error", entries[name].get("sha256", "")[:12])
        print(f"{name:50} {time.perf_counter() - start:6.2f} s  {said}", flush=True)
    lines = [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    n_failed = sum("error" in entry for entry in entries.values())
    seconds = time.perf_counter() - begin
    print(f"{len(entries)} configurations, {n_failed} failed, {seconds:.0f} s: {path}")
    return n_failed


# Comparing


def numbers(entry: Params) -> Array:
    """The numbers of a result that were written."""
    return np.array([float.fromhex(text) for text in [*entry["head"], *entry["numbers"]]])


def difference(before: Params | None, after: Params | None) -> tuple[str, str]:
    """Return the state of a configuration after a change, as a word and a description.

    Parameters
    ----------
    before, after : dict or None
        Its fingerprints; None where there is none.

    Returns
    -------
    tuple of str
        One of "same", "differs", "missing" and "error", and a description.
    """
    if before is None or after is None:
        return "missing", f"missing {'before' if before is None else 'after'}"
    for when, entry in (("before", before), ("after", after)):
        if "error" in entry:
            return "error", f"error {when}: {entry['error']}"
    if before["shape"] != after["shape"]:
        return "differs", f"shape {before['shape']} is now {after['shape']}"
    if before["sha256"] == after["sha256"]:
        return "same", "same bits"
    most = np.abs(numbers(before) - numbers(after)).max()
    return "differs", f"differs by {most:.3g} at most, of the numbers written"


def compare(before: Path, after: Path, only: str) -> int:
    """Print what has changed between two records.

    Parameters
    ----------
    before, after : Path
        The JSON files.
    only : str
        Configurations whose name contains it.

    Returns
    -------
    int
        How many aren't the same.
    """
    old, new = (json.loads(path.read_text()) for path in (before, after))
    counts = dict.fromkeys(("same", "differs", "missing", "error"), 0)
    for name in chosen(list(old | new), only):
        kind, words = difference(old.get(name), new.get(name))
        counts[kind] += 1
        print(f"{name:50} {words}")
    print(", ".join(f"{count} {kind}" for kind, count in counts.items()))
    return sum(counts.values()) - counts["same"]


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    recorder = commands.add_parser("record", help="fit all configurations, and write a file")
    recorder.add_argument("out", type=Path, help="JSON file")
    comparing = commands.add_parser("compare", help="print the differences of two files")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    for command in (recorder, comparing):
        command.add_argument(
            "--only", default="", help="only configurations whose name contains this"
        )
    options = parser.parse_args()
    if options.command == "compare":
        return int(compare(options.before, options.after, options.only) > 0)
    warnings.simplefilter("ignore")  # fits of few epochs, which some parts warn of
    return int(record(options.out, options.only) > 0)


if __name__ == "__main__":
    sys.exit(main())

"""The kinds of estimators in model files, and the fitted attributes that each of them saves.

An attribute that is not declared here is not saved. The names in quotes are written to files.
They stay unchanged when classes or attributes are renamed; see
``skgdpd/_persistence/registry.py``.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from .._fitting.chain import LinearMap
from .._persistence import (
    check_classifier,
    check_outline,
    check_shape,
    check_size,
    check_types,
    check_weights,
    register,
    register_estimator,
)
from .._persistence.registry import Opening, State
from ..nets.minirocket import MiniRocket
from .distilled import DistilledPrefixClassifier
from .gdpd import GDPDClassifier
from .gendd import GenDDClassifier
from .lupts import LuPTSClassifier, PrefixScores, Projection
from .options import SeriesOptions, TrainingOptions
from .prefix import PrefixClassifier
from .prior import DiffusionFeaturePrior

FITTED = (
    "classes_",
    "n_features_in_",
    "n_channels_in_",
    "n_timepoints_in_",
    "prefix_length_",
    "network_",
    "history_",
)
"""Names of the fitted attributes that every fit of a classifier sets."""
SOMETIMES = (
    "feature_names_in_",
    "sampling_step_",
    "series_digests_",
    "fit_seconds_",
    "time_points_",
)
"""Names of the fitted attributes that some fits of a classifier set."""


def _take_scores(scores: PrefixScores) -> State:
    n_channels, n_timepoints = scores.shape
    rocket, projection, linear = scores.rocket, scores.projection, scores.linear
    return {
        "n_channels": n_channels,
        "n_timepoints": n_timepoints,
        "rocket": None if rocket is None else dict(rocket.state_dict()),
        "mean": projection.mean,
        "scale": projection.scale,
        "basis": projection.basis,
        "weight": linear.weight,
        "bias": linear.bias,
    }


def _make_rocket(shape: tuple[int, int], weights: State) -> MiniRocket:
    check_weights(weights)
    make = partial(MiniRocket, *shape, n_features=len(weights["biases"]))
    check_outline(make, weights)
    rocket = make()
    check_types(rocket, weights)
    rocket.load_state_dict(weights)
    return rocket


def _make_scores(state: State, opening: Opening) -> PrefixScores:
    shape = state["n_channels"], state["n_timepoints"]
    for name in ("n_channels", "n_timepoints"):
        check_size(name, state[name])
    rocket = None if state["rocket"] is None else _make_rocket(shape, state["rocket"])
    width = shape[0] * shape[1] if rocket is None else rocket.n_features
    mean, scale, basis = state["mean"], state["scale"], state["basis"]
    n_out = len(state["bias"])
    check_shape("mean", mean, (width,), "f")
    check_shape("scale", scale, (width,), "f")
    if basis is not None:
        check_shape("basis", basis, (width, len(state["weight"])), "f")
        width = basis.shape[1]
    check_shape("weight", state["weight"], (width, n_out), "f")
    check_shape("bias", state["bias"], (n_out,), "f")
    if not (scale > 0).all():
        raise ValueError("scale must be above 0")
    linear = LinearMap(state["weight"], state["bias"])
    return PrefixScores(shape, rocket, Projection(mean, scale, basis), linear)


def _check_lupts(model: LuPTSClassifier) -> None:
    """Refuse a fitted classifier whose shapes and scores don't match."""
    scores, times = model._scores, model.time_points_
    if not isinstance(scores, PrefixScores):
        raise ValueError(f"scores is {type(scores).__name__}")
    for name in ("n_timepoints_in_", "n_features_in_"):
        check_size(name, getattr(model, name))
    if (model.n_channels_in_, model.prefix_length_) != scores.shape:
        raise ValueError(f"its scores are of prefixes of the shape {scores.shape}")
    check_shape("classes_", model.classes_, np.shape(scores.linear.bias))
    check_shape("time_points_", times, (len(times),), "i")
    first, last = model.prefix_length_, model.n_timepoints_in_
    if not len(times) or times[0] != first or times[-1] > last or (np.diff(times) < 1).any():
        raise ValueError(f"time_points_ must ascend from {first} to at most {last}")
    if type(model.share_) not in (int, float) or not 0 <= model.share_ <= 1:
        raise ValueError(f"share_ is {model.share_!r}, and must be from 0 to 1")


register_estimator(
    "prefix-classifier",
    PrefixClassifier,
    required=FITTED,
    optional=(*SOMETIMES, "training_state", "left_out_path_"),
    attributes={"training_state": "_training_state"},
    check=check_classifier,
)
register_estimator(
    "distilled-prefix-classifier",
    DistilledPrefixClassifier,
    required=FITTED,
    optional=(*SOMETIMES, "predictor_"),
    on_request={"teacher": "teacher_"},
    check=check_classifier,
)
register_estimator(
    "gdpd-classifier",
    GDPDClassifier,
    required=FITTED,
    optional=(*SOMETIMES, "predictor_"),
    on_request={"teacher": "teacher_", "prior": "prior_"},
    check=check_classifier,
)
register_estimator(
    "gendd-classifier",
    GenDDClassifier,
    required=FITTED,
    optional=(*SOMETIMES, "predictor_"),
    on_request={"teacher": "teacher_"},
    check=check_classifier,
)
register(
    "lupts-scores",
    PrefixScores,
    required=(
        "n_channels",
        "n_timepoints",
        "rocket",
        "mean",
        "scale",
        "basis",
        "weight",
        "bias",
    ),
    take=_take_scores,
    make=_make_scores,
)
register_estimator(
    "lupts-classifier",
    LuPTSClassifier,
    required=(
        "classes_",
        "time_points_",
        "prefix_length_",
        "share_",
        "n_channels_in_",
        "n_timepoints_in_",
        "n_features_in_",
        "scores",
    ),
    optional=("feature_names_in_",),
    attributes={"scores": "_scores"},
    check=_check_lupts,
)
register_estimator(
    "diffusion-prior",
    DiffusionFeaturePrior,
    required=(
        "n_features_in_",
        "n_latent_",
        "encoder_",
        "latent_",
        "measurement_",
        "history_",
        "paired",
        "draw_seed",
    ),
    optional=("feature_names_in_", "classes_", "head"),
    attributes={"paired": "_paired", "draw_seed": "_draw_seed", "head": "_head"},
)
register_estimator("training-options", TrainingOptions)
register_estimator("series-options", SeriesOptions)

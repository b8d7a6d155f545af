"""The kinds of scikit-learn's meta-estimators around estimators of this package.

The state of each kind consists of numbers and arrays. Objects that scikit-learn derives from them,
such as the function of an isotonic regression, are computed again. Other estimators of
scikit-learn can't be written or read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn import calibration
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)

from .claims import check_shape, check_size
from .registry import Opening, State, kind_of, register, register_estimator

SEEN = ("n_features_in_", "feature_names_in_")
"""Fitted attributes that wrappers copy from the wrapped estimator, if it has them."""
WRAPPERS = (
    CalibratedClassifierCV,
    FixedThresholdClassifier,
    Pipeline,
    TunedThresholdClassifierCV,
)
"""Classes of wrappers that a file may contain as its model."""
LARGEST_BETA = 1e6
"""Largest inverse temperature; fits of scikit-learn stay below 3e4."""
PARAMETERS = Pipeline._get_param_names()
"""Parameters of pipelines, which can't be names of steps."""
SCALERS: dict[str, tuple[type, tuple[str, ...]]] = {
    "standard-scaler": (StandardScaler, ("mean_", "var_", "scale_")),
    "min-max-scaler": (
        MinMaxScaler,
        ("min_", "scale_", "data_min_", "data_max_", "data_range_"),
    ),
    "max-abs-scaler": (MaxAbsScaler, ("max_abs_", "scale_")),
    "robust-scaler": (RobustScaler, ("center_", "scale_")),
    "row-normalizer": (Normalizer, ()),
}
"""Steps of pipelines, with their fitted arrays, which have a number per feature or are None."""


def _check_fitted(name: str, value: Any, methods: tuple[str, ...]) -> None:
    """Raise an error unless a part of a file is a fitted estimator with the given methods."""
    if kind_of(value) is None or not all(hasattr(value, method) for method in methods):
        raise ValueError(f"{name} is {type(value).__name__}, and must have {', '.join(methods)}")


def _check_number(name: str, value: Any) -> None:
    if type(value) not in (int, float) or not np.isfinite(value):
        raise ValueError(f"{name} is {value!r}, and must be a finite number")


def _check_sigmoid(model: Any) -> None:
    for name in ("a_", "b_"):
        _check_number(name, getattr(model, name))


def _check_temperature(model: Any) -> None:
    _check_number("beta_", model.beta_)
    if not 0 <= model.beta_ <= LARGEST_BETA:
        raise ValueError(f"beta_ is {model.beta_}, and must be from 0 to {LARGEST_BETA:g}")


def _check_calibrated(model: Any) -> None:
    """Raise an error for a calibrated classifier whose parts don't fit together."""
    members = model.calibrated_classifiers_
    if type(members) is not list or not members:
        raise ValueError("calibrated_classifiers_ must be a list of one at least")
    for member in members:
        if not isinstance(member, calibration._CalibratedClassifier):
            raise ValueError(f"calibrated_classifiers_ has a {type(member).__name__}")
        check_shape("classes", member.classes, np.shape(model.classes_))
        if not np.array_equal(member.classes, model.classes_):
            raise ValueError("a calibrated classifier has other classes")


def _check_member(member: Any) -> None:
    """Raise an error for the classifier of a fold whose calibrators don't fit it."""
    _check_fitted("estimator", member.estimator, ("fit", "predict_proba"))
    if type(member.calibrators) is not list:
        raise ValueError("calibrators must be a list")
    for calibrator in member.calibrators:
        if not isinstance(calibrator, tuple(CALIBRATORS.values())):
            raise ValueError(f"calibrators has a {type(calibrator).__name__}")
    n_classes = len(member.estimator.classes_)
    n = 1 if n_classes == 2 or member.method == "temperature" else n_classes
    if len(member.calibrators) != n:
        raise ValueError(f"calibrators has {len(member.calibrators)}, and {n} are needed")
    if member.method == "temperature":  # whose estimators know classes by their numbers
        fits = n_classes == len(member.classes)
    else:
        fits = bool(np.isin(member.estimator.classes_, member.classes).all())
    if not fits:
        raise ValueError("an estimator has other classes than its calibration")


def _check_isotonic(model: Any) -> None:
    """Raise an error for thresholds that don't ascend; otherwise build the function."""
    x, y = model.X_thresholds_, model.y_thresholds_
    check_shape("X_thresholds_", x, np.shape(y), "f")
    check_shape("y_thresholds_", y, (len(x),), "f")
    if not len(x) or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("thresholds must be finite, one at least")
    if (np.diff(x) < 0).any() or y.min() < 0 or y.max() > 1:
        raise ValueError("X_thresholds_ must ascend, and y_thresholds_ be from 0 to 1")
    if model.out_of_bounds != "clip":
        raise ValueError(f"out_of_bounds is {model.out_of_bounds!r}, and must be 'clip'")
    for name in ("X_min_", "X_max_"):
        _check_number(name, getattr(model, name))
    model._build_f(x, y)


def _check_fixed(model: Any) -> None:
    _check_fitted("estimator_", model.estimator_, ("fit", "predict_proba"))


def _check_tuned(model: Any) -> None:
    """Raise an error for a threshold that is not a number; otherwise build the scorer."""
    _check_fixed(model)
    _check_number("best_threshold_", model.best_threshold_)
    _check_number("best_score_", model.best_score_)
    model._curve_scorer = model._get_curve_scorer()


def _make_pipeline(state: State, _opening: Opening) -> Pipeline:
    """Return a pipeline of fitted steps."""
    steps = state.pop("steps")
    if type(steps) is not list or not steps or not all(_is_step(step) for step in steps):
        raise ValueError("steps must be a list of pairs of a name and an estimator")
    names = [name for name, _ in steps]
    if len(set(names)) < len(names) or any("__" in n or n in PARAMETERS for n in names):
        raise ValueError(f"the names of steps are {names}, which set_params can't tell apart")
    for name, step in steps[:-1]:
        if step not in (None, "passthrough"):
            _check_fitted(name, step, ("fit", "transform"))
    _check_fitted(steps[-1][0], steps[-1][1], ("fit", "predict_proba"))
    return Pipeline(steps, **state)


def _is_step(step: Any) -> bool:
    return type(step) is tuple and len(step) == 2 and type(step[0]) is str


def _check_scaler(model: Any) -> None:
    """Raise an error for arrays that don't have one number for each feature."""
    check_size("n_features_in_", model.n_features_in_)
    for name in dict(SCALERS.values())[type(model)]:
        array = getattr(model, name)
        if array is not None:
            check_shape(name, array, (model.n_features_in_,), "f")


def _check_frozen(model: Any) -> None:
    _check_fitted("estimator", model.estimator, ("fit",))


CALIBRATORS: dict[str, type] = {
    "isotonic-regression": IsotonicRegression,
    "sigmoid-calibration": calibration._SigmoidCalibration,
}
register_estimator(
    "isotonic-regression",
    IsotonicRegression,
    required=("X_thresholds_", "y_thresholds_", "X_min_", "X_max_", "increasing_"),
    check=_check_isotonic,
)
register_estimator(
    "sigmoid-calibration",
    calibration._SigmoidCalibration,
    required=("a_", "b_"),
    check=_check_sigmoid,
)
if hasattr(calibration, "_TemperatureScaling"):  # from scikit-learn 1.8 on
    CALIBRATORS["temperature-scaling"] = calibration._TemperatureScaling
    register_estimator(
        "temperature-scaling",
        calibration._TemperatureScaling,
        required=("beta_",),
        check=_check_temperature,
    )
register(
    "calibrated-member",
    calibration._CalibratedClassifier,
    required=("estimator", "calibrators", "classes", "method"),
    check=_check_member,
)
register_estimator(
    "calibrated-classifier",
    CalibratedClassifierCV,
    required=("calibrated_classifiers_", "classes_"),
    optional=SEEN,
    check=_check_calibrated,
)
register_estimator(
    "fixed-threshold-classifier",
    FixedThresholdClassifier,
    required=("estimator_",),
    optional=SEEN,
    check=_check_fixed,
)
register_estimator(
    "tuned-threshold-classifier",
    TunedThresholdClassifierCV,
    required=("estimator_", "best_threshold_", "best_score_"),
    optional=("cv_results_", *SEEN),
    check=_check_tuned,
)
# A frozen estimator is not cloned before a fit, nor are the steps of a fitted pipeline: what is a
# parameter for scikit-learn is their state.
register("frozen-estimator", FrozenEstimator, required=("estimator",), check=_check_frozen)
register(
    "pipeline",
    Pipeline,
    required=("steps", "verbose"),
    optional=("transform_input",),
    make=_make_pipeline,
)
for _name, (_scaler, _arrays) in SCALERS.items():
    register_estimator(
        _name,
        _scaler,
        required=(*_arrays, "n_features_in_"),
        optional=("feature_names_in_", "n_samples_seen_"),
        check=_check_scaler,
    )

"""Registration of the stopping rules and of EarlyClassifier for model files."""

from __future__ import annotations

import numpy as np

from .._persistence import (
    check_digests,
    check_sampling_step,
    check_shape,
    check_size,
    register,
    register_estimator,
)
from .accuracy_gap import AccuracyGap
from .calimera import Calimera
from .classifier import EarlyClassifier
from .costs import DecisionCost
from .ecec import ECEC
from .economy import Economy
from .fixed import FixedTime
from .rule import Rule
from .stopping_rule import StoppingRule
from .teaser import Teaser
from .threshold import ProbabilityThreshold

KERNELS = ("centres_", "coefficients_", "gammas_", "intercepts_")
FITTED: dict[str, tuple[type[Rule], tuple[str, ...]]] = {
    "fixed-time-rule": (FixedTime, ("mean_costs_", "moment_")),
    "probability-threshold-rule": (
        ProbabilityThreshold,
        ("misclassification_", "largest_risk_"),
    ),
    "stopping-rule": (StoppingRule, ("shares_", "gamma_")),
    "teaser-rule": (Teaser, ("misclassification_", "starts_", *KERNELS, "streak_")),
    "ecec-rule": (ECEC, ("misclassification_", "doubts_", "threshold_")),
    "economy-rule": (Economy, ("misclassification_", "edges_", "stops_")),
    "calimera-rule": (Calimera, ("n_waiting_", *KERNELS, "scales_")),
    "accuracy-gap-rule": (AccuracyGap, ("n_calibration_", "thresholds_")),
}
"""Fitted attributes of each rule, besides ``n_moments_`` and ``n_classes_``."""


def check_early(early: EarlyClassifier) -> None:
    """Raise an error if moments, costs and rule of a fitted classifier are inconsistent."""
    for name in ("n_features_in_", "n_channels_in_", "n_timepoints_in_"):
        check_size(name, getattr(early, name))
    check_sampling_step(early)
    check_digests(early)
    times, classes = early.time_points_, early.classifier_.classes_
    check_shape("time_points_", times, (early.rule_.n_moments_,), "iu")
    if not len(times) or times[0] < 1 or (np.diff(times) <= 0).any():
        raise ValueError(f"the moments {times!r} do not ascend")
    if times[-1] > early.n_timepoints_in_:
        raise ValueError(f"the moments {times!r} are beyond {early.n_timepoints_in_} points")
    if times.tolist() != np.asarray(early.classifier_.time_points_).tolist():
        raise ValueError("its classifier answers at other moments")
    n = early.rule_.n_classes_
    check_shape("classes_", early.classes_, (n,))
    check_shape("classes_ of its classifier", classes, (n,))
    check_shape("delay", early.cost_.delay, (len(times),), "f")
    check_shape("misclassification", early.cost_.misclassification, (n, n), "f")


for name, (rule, fitted) in FITTED.items():
    register_estimator(name, rule, required=("n_moments_", "n_classes_", *fitted))
register("decision-cost", DecisionCost, required=("delay", "misclassification"))
register_estimator(
    "early-classifier",
    EarlyClassifier,
    required=(
        "classes_",
        "classifier_",
        "rule_",
        "rule_table_",
        "cost_",
        "time_points_",
        "n_features_in_",
        "n_channels_in_",
        "n_timepoints_in_",
    ),
    optional=(
        "feature_names_in_",
        "sampling_step_",
        "series_digests_",
        "left_out_path_",
        "left_out_y_",
        "left_out_weight_",
        "left_out_group_",
    ),
    check=check_early,
)

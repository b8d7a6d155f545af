"""The kinds of rules, and of the classifier that uses them, in model files."""

from __future__ import annotations

from .._persistence import register, register_estimator
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
"""Fitted attributes of each rule, beside the numbers of moments and of classes."""

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
        "left_out_path_",
        "left_out_y_",
        "left_out_weight_",
        "left_out_group_",
    ),
)

"""The kinds of estimators in model files, and the fitted attributes that each of them saves.

An attribute that is not declared here is not saved. The names in quotes are those in files and
stay as they are when classes or attributes are renamed; see ``skgdpd/_persistence/registry.py``.
"""

from __future__ import annotations

from .._persistence import check_classifier, register_estimator
from .distilled import DistilledPrefixClassifier
from .gdpd import GDPDClassifier
from .gendd import GenDDClassifier
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
SOMETIMES = ("feature_names_in_", "fit_seconds_", "time_points_")
"""Names of the fitted attributes that some fits of a classifier set."""

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

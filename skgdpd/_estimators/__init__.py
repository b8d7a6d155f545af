"""The public classifiers and the prior, with their parameters and fitted attributes."""

from . import kinds  # noqa: F401  registers the estimators for model files

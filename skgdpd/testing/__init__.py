"""Checks of the contract of early classifiers, for classifiers of any library.

``python -m skgdpd.testing`` runs the checks on a class given by name.
"""

from .compose import on_prefix
from .runner import (
    CheckResult,
    PrefixCheck,
    check_names,
    check_prefix_classifier,
    parametrize_with_prefix_checks,
    prefix_classifier_checks,
)
from .subject import example_series

__all__ = [
    "CheckResult",
    "PrefixCheck",
    "check_names",
    "check_prefix_classifier",
    "example_series",
    "on_prefix",
    "parametrize_with_prefix_checks",
    "prefix_classifier_checks",
]

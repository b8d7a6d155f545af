"""Checks of the contract of early classifiers, of this library or any other.

``python -m skgdpd.testing`` runs them on a class by name.
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

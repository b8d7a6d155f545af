"""Capabilities of classifiers, as defined by the tags of sktime and aeon."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.frozen import FrozenEstimator
from torch import nn

from .._early.classifier import EarlyClassifier
from .._estimators.base import BasePrefixClassifier
from .._estimators.prefix import PrefixClassifier
from ..nets import takes_lengths

RAGGED = "capability:unequal_length"
CHANNELS = "capability:multivariate"
GAPS = "capability:missing_values"


class Capabilities(NamedTuple):
    """Capabilities of an unfitted classifier.

    Attributes
    ----------
    missing_values : bool
        Whether the classifier supports missing values.
    unequal_length : bool
        Whether the classifier supports series of unequal length.
    multivariate : bool
        Whether the classifier supports several channels.
    class_weight : bool
        Whether the classifier has a parameter ``class_weight``.
    deterministic : bool
        Whether all random choices of the classifier have a fixed seed.
    """

    missing_values: bool
    unequal_length: bool
    multivariate: bool
    class_weight: bool
    deterministic: bool


def capabilities_of(estimator: Any) -> Capabilities:
    """Return the capabilities of a classifier.

    Parameters
    ----------
    estimator : classifier
        Classifier of prefixes, :class:`~skgdpd.EarlyClassifier`, or any other classifier.

    Returns
    -------
    Capabilities
        Capabilities of the classifier. Classifiers of other packages are assumed to support
        several channels and nothing else.

    Raises
    ------
    TypeError
        If ``estimator`` is a class, or has no ``get_params``.
    """
    if isinstance(estimator, type) or not hasattr(estimator, "get_params"):
        raise TypeError(
            f"estimator={estimator!r} must be a classifier, such as PrefixClassifier()"
        )
    series = _classifier_of_series(estimator)
    ours = isinstance(series, BasePrefixClassifier)
    known = ours or isinstance(estimator, EarlyClassifier)
    if ours:
        gaps = option(series, "missing_values") != "error"
    else:
        gaps = known and _claimed(series, GAPS, False)
    return Capabilities(
        missing_values=gaps,
        unequal_length=_takes_ragged(estimator),
        multivariate=_takes_channels(estimator),
        class_weight=ours,
        deterministic=known and _is_seeded(estimator),
    )


def option(estimator: BasePrefixClassifier, name: str) -> Any:
    """Return the value of one of a classifier's ``series`` options."""
    return estimator.get_params()[f"series__{name}"]


def _classifier_of_series(part: Any) -> Any:
    """Return the classifier that reads the series, also from inside an early classifier."""
    if isinstance(part, FrozenEstimator):
        part = part.estimator
    if isinstance(part, EarlyClassifier):
        return PrefixClassifier() if part.classifier is None else part.classifier
    return part


def _claimed(part: Any, tag: str, otherwise: bool) -> bool:
    """Return a tag of a sktime or aeon classifier, or ``otherwise`` for other classifiers."""
    return bool(part.get_tag(tag)) if hasattr(part, "get_tag") else otherwise


def _takes_ragged(part: Any, resampled: bool = False) -> bool:
    """Return whether a classifier, or a part of one, supports series of unequal length."""
    part = _classifier_of_series(part)
    if isinstance(part, BasePrefixClassifier):
        resampled = option(part, "resample_length") is not None
        parts = [part.student, part.earliness, getattr(part, "teacher", None)]
        return all(_takes_ragged(p, resampled) for p in parts)
    if isinstance(part, nn.Module):
        return resampled or takes_lengths(part)
    # Names, callables, numbers and lists are left, and classifiers of scikit-learn, which take
    # arrays.
    return _claimed(part, RAGGED, not hasattr(part, "predict_proba"))


def _takes_channels(part: Any) -> bool:
    """Return whether a classifier supports several channels."""
    part = _classifier_of_series(part)
    if isinstance(part, BasePrefixClassifier):
        return _takes_channels(getattr(part, "teacher", None))
    return _claimed(part, CHANNELS, True)


def _is_seeded(estimator: Any) -> bool:
    """Return whether the seeds of a classifier, and of a nested classifier, are integers."""
    parts = [estimator, getattr(estimator, "classifier", None)]
    return all(
        isinstance(part.random_state, (int, np.integer))
        for part in parts
        if hasattr(part, "random_state")
    )

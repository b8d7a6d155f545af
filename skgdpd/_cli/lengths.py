"""Lengths of a file's series, and those that are too short for a model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._early.classifier import EarlyClassifier
from .._series.panel import own_lengths
from .._series.views import shortest_for


def lengths_of(X: NDArray[Any]) -> NDArray[np.int64]:
    """Return the number of time points of each series before it ends in NaN."""
    return own_lengths(np.isnan(X))


def least_length(model: Any) -> int:
    """Return the number of time points from which on a model answers.

    Parameters
    ----------
    model : BasePrefixClassifier or EarlyClassifier
        Fitted classifier.

    Returns
    -------
    int
        The first moment, or with one moment and training series of several lengths the length of
        the shortest of these, if it is less.
    """
    if isinstance(model, EarlyClassifier):
        return int(model.time_points_[0])
    return shortest_for(model.network_.view)


def long_enough(X: NDArray[Any], model: Any) -> NDArray[np.int64]:
    """Return the numbers of the series that are long enough for an answer of a model."""
    return np.flatnonzero(lengths_of(X) >= least_length(model))

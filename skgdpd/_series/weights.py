"""Checks of the weights of series."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._runtime.arguments import about


def checked_weights(sample_weight: Any, n: int) -> NDArray[np.float64]:
    """Return weights of series as an array.

    Parameters
    ----------
    sample_weight : array-like of shape (n,) or number
        Weight of each series; a number is the weight of all series.
    n : int
        Number of series.

    Returns
    -------
    ndarray of shape (n,)
        The weights.

    Raises
    ------
    TypeError or ValueError
        If there are more or fewer weights than series, if a weight is not a number, negative,
        infinite or missing, or if all weights are zero.
    """
    if np.ma.isMaskedArray(sample_weight):
        raise ValueError("sample_weight has a mask, which is not read; give 0 to leave series out")
    with about("sample_weight"):
        given = np.asarray(sample_weight)
        if given.dtype.kind not in "biufO":
            raise ValueError(f"sample_weight has values of the type {given.dtype}, not numbers")
        given = given.astype(np.float64)
    weight = np.full(n, given) if given.ndim == 0 else given
    if weight.shape != (n,):
        raise ValueError(f"sample_weight has shape {weight.shape}; it must be {(n,)}")
    if not np.isfinite(weight).all() or (weight < 0).any() or not weight.any():
        raise ValueError("sample_weight must be finite, not negative, and not zero throughout")
    return weight


def of_usual_size(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rescale weights of which only ratios matter, so that sums don't overflow.

    Parameters
    ----------
    weight : ndarray of shape (n,)
        Weights, none of them negative.

    Returns
    -------
    ndarray of shape (n,)
        The weights multiplied by a power of two, which changes no digits.
    """
    return np.ldexp(weight, -np.frexp(weight.max(initial=0.0))[1])

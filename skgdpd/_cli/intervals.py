"""Intervals of shares, which say how much a number of series tells."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ..plotting.reliability import Z, wilson

UNDEFINED = "-"
"""Shown in place of a score that has no value, as the recall of a class without series."""


def undefined_words(rows: Iterable[tuple[str, ...]], reason: str) -> list[str]:
    """Return a sentence on the dashes of a table; none if it has no dashes."""
    return (
        [f"{UNDEFINED} means no value: {reason}."] if any(UNDEFINED in row for row in rows) else []
    )


def interval_of(part: int, whole: int) -> str:
    """Return Wilson's interval to print."""
    if not whole:
        return UNDEFINED
    low, high = wilson(part, whole)
    return f"{low:.2f}-{high:.2f}"


def share_of(part: int, whole: int) -> str:
    """Return a share to print."""
    return f"{part / whole:.4f}" if whole else UNDEFINED


def mean_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval of a mean, by its standard error.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Values of which the mean is taken.

    Returns
    -------
    low, high : float
        Ends of the interval. They are NaN if all values are equal, since nothing then tells how
        much the mean varies.
    """
    mean = float(values.mean())
    if (values == values[0]).all():
        return np.nan, np.nan
    half = Z * float(values.std(ddof=1)) / np.sqrt(len(values))
    return mean - half, mean + half


def mean_interval_of(values: NDArray[np.float64]) -> str:
    """Return the 95 % interval of a mean to print."""
    low, high = mean_interval(values)
    return UNDEFINED if np.isnan(low) else f"{low:.4f} to {high:.4f}"

"""The compiled engine of :class:`~skgdpd.nets.quantiles.IntervalQuantiles`, for CPUs."""

from __future__ import annotations

from functools import cache
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from .._runtime.compiled import compiled

RUN = 16
"""Maximum number of values that are sorted by insertion."""


@nb.njit
def _sorted(values: Any, other: Any, n: Any) -> Any:
    """Sort the first ``n`` values, and return the array that holds them, ``values`` or ``other``.

    Numba's own sort would take longer to compile.
    """
    for first in range(0, n, RUN):
        for i in range(first + 1, min(first + RUN, n)):
            value, to = values[i], i
            while to > first and values[to - 1] > value:
                values[to] = values[to - 1]
                to -= 1
            values[to] = value
    width = RUN
    while width < n:
        for first in range(0, n, 2 * width):
            middle, stop = min(first + width, n), min(first + 2 * width, n)
            i, j = first, middle
            for to in range(first, stop):
                if j == stop or (i < middle and values[i] <= values[j]):
                    other[to] = values[i]
                    i += 1
                else:
                    other[to] = values[j]
                    j += 1
        values, other = other, values
        width *= 2
    return values


def _run(x: Any, intervals: Any, values: Any, other: Any, out: Any) -> None:
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            for k in range(len(intervals)):
                start, n, first, count = intervals[k]
                total = 0.0
                for j in range(n):
                    values[j] = x[i, c, start + j]
                    total += values[j]
                ordered = _sorted(values, other, n)
                for j in range(count):
                    position = j * (n - 1) / (count - 1) if count > 1 else (n - 1) / 2
                    below = max(min(int(position), n - 2), 0)
                    low, high = ordered[below], ordered[min(below + 1, n - 1)]
                    value = low + (high - low) * (position - below)
                    if j % 2:  # Those minus the mean follow the others.
                        out[i, c, first + (count + 1) // 2 + j // 2] = value - total / n
                    else:
                        out[i, c, first + j // 2] = value


@cache
def _compiled() -> Any:
    series = nb.types.Array(nb.float64, 3, "C", readonly=True)
    table = nb.types.Array(nb.int64, 2, "C", readonly=True)
    work = nb.types.Array(nb.float64, 1, "C")
    out = nb.types.Array(nb.float32, 3, "C")
    return compiled(_run, nb.void(series, table, work, work, out))


def features(x: NDArray[np.float64], intervals: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return quantiles of intervals.

    Parameters
    ----------
    x : ndarray of shape (n, n_channels, n_points)
        Concatenated representations of series.
    intervals : ndarray of shape (n_intervals, 4)
        Start, length, index of the first feature, and number of features of each interval.

    Returns
    -------
    ndarray of shape (n, n_channels, n_features)
    """
    n_features = int(intervals[-1, 2] + intervals[-1, 3])
    out = np.empty((*x.shape[:2], n_features), np.float32)
    values, other = np.empty((2, x.shape[2]))
    _compiled()(x, intervals, values, other, out)
    return out

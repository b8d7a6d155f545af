"""The compiled engine of :class:`~skgdpd.nets.prefix_quantiles.PrefixQuantiles`, for CPUs.

An interval's points are kept in order, and those read since the moment before are merged into
them, so that many moments cost little more than one.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numba as nb
import numpy as np
import torch
from numpy.typing import NDArray

from .._runtime.compiled import compiled

RUN = 16
"""Number of points that are put in order by insertion."""
SHARED = 2e6
"""Number of points of all intervals for each thread, from which on several share the series."""


@nb.njit
def _represent(x: Any, smoothed: Any, out: Any) -> None:
    """Set rows of ``out`` to a series, its slopes, and its second differences."""
    for t in range(len(x)):
        out[0, t] = x[t]
        out[1, t] = 0.0
        out[2, t] = 0.0
        back = min(t, smoothed)
        if back > 0:
            out[1, t] = (out[0, t] - out[0, t - back]) / back
        if t > 1:
            out[2, t] = (out[0, t] - out[0, t - 1]) - (out[0, t - 1] - out[0, t - 2])


@nb.njit
def _insert(ordered: Any, first: Any, stop: Any) -> None:
    """Put ``ordered[first:stop]`` in order, one point after the other."""
    for j in range(first + 1, stop):
        value = ordered[j]
        k = j
        while k > first and ordered[k - 1] > value:
            ordered[k] = ordered[k - 1]
            k -= 1
        ordered[k] = value


@nb.njit
def _merge(ordered: Any, first: Any, middle: Any, stop: Any, tail: Any) -> None:
    """Put ``ordered[first:stop]`` in order, of which both parts are in order."""
    for j in range(middle, stop):
        tail[j - middle] = ordered[j]
    a, b = middle - 1, stop - middle - 1
    while b >= 0:
        place = a + b + 1
        if a >= first and ordered[a] > tail[b]:
            ordered[place] = ordered[a]
            a -= 1
        else:
            ordered[place] = tail[b]
            b -= 1


@nb.njit
def _order(ordered: Any, middle: Any, stop: Any, tail: Any) -> None:
    """Put ``ordered[:stop]`` in order, of which ``ordered[:middle]`` is."""
    for first in range(middle, stop, RUN):
        _insert(ordered, first, min(first + RUN, stop))
    width = RUN
    while width < stop - middle:
        for first in range(middle, stop - width, 2 * width):
            _merge(ordered, first, first + width, min(first + 2 * width, stop), tail)
        width *= 2
    _merge(ordered, 0, middle, stop, tail)


@nb.njit
def _write(ordered: Any, n: Any, mean: Any, out: Any) -> None:
    """Write quantiles of the first ``n`` points, every second one minus the mean."""
    count = len(out)
    for j in range(count):
        position = j * (n - 1) / (count - 1) if count > 1 else (n - 1) / 2
        below = max(min(int(position), n - 2), 0)
        low, high = ordered[below], ordered[min(below + 1, n - 1)]
        value = low + (high - low) * (position - below)
        out[j] = value - mean if j % 2 else value


def _run(
    x: Any,
    intervals: Any,
    moments: Any,
    smoothed: int,
    per_row: int,
    out: Any,
    i_first: int,
    i_stop: int,
) -> None:
    """Write the features of series ``i_first`` to ``i_stop`` at all moments."""
    _, n_channels, n_timepoints = x.shape
    seen = np.empty((3, n_timepoints))
    ordered = np.empty(n_timepoints)
    tail = np.empty(n_timepoints)
    for i in range(i_first, i_stop):
        for c in range(n_channels):
            _represent(x[i, c], smoothed, seen)
            for r in range(3):
                offset = (3 * c + r) * per_row
                for k in range(len(intervals)):
                    start, stop, first, last = intervals[k]
                    first, last = first + offset, last + offset
                    n = 0
                    total = 0.0
                    is_final = False
                    for m in range(len(moments)):
                        if is_final:
                            for f in range(first, last):
                                out[i, m, f] = out[i, m - 1, f]
                            continue
                        until = min(moments[m], stop) - start
                        if until <= 0:
                            for f in range(first, last):
                                out[i, m, f] = 0
                            continue
                        for j in range(n, until):
                            ordered[j] = seen[r, start + j]
                            total += ordered[j]
                        _order(ordered, n, until, tail)
                        n = until
                        _write(ordered, n, total / n, out[i, m, first:last])
                        is_final = start + n == stop


@cache
def _pass() -> Any:
    series = nb.types.Array(nb.float32, 3, "A")
    table = nb.types.Array(nb.int64, 2, "C")
    moments = nb.types.Array(nb.int64, 1, "C")
    out = nb.types.Array(nb.float32, 3, "C")
    rows = (nb.int64, nb.int64)
    return compiled(_run, nb.void(series, table, moments, nb.int64, nb.int64, out, *rows))


def features(
    x: NDArray[np.float32],
    intervals: NDArray[np.int64],
    moments: NDArray[np.int64],
    smoothed: int,
    out: NDArray[np.float32],
) -> None:
    """Write the features of series at several moments, on as many threads as torch may use.

    Parameters
    ----------
    x : ndarray of shape (n, n_channels, t)
        Series.
    intervals : ndarray of shape (n_intervals, 4)
        Start and stop of each interval, and first and last (exclusive) of its features.
    moments : ndarray of shape (n_moments,)
        Numbers of points, ascending, at most ``t``.
    smoothed : int
        Number of steps of a slope.
    out : ndarray of shape (n, n_moments, n_features)
        The features; more columns than there are features are left as they are.
    """
    arguments: tuple[Any, ...] = (x, intervals, moments, smoothed, int(intervals[-1, 3]), out)
    n_threads = min(torch.get_num_threads(), len(x), int(36 * x.size / SHARED))
    if n_threads < 2:
        _pass()(*arguments, 0, len(x))
        return
    bounds = [len(x) * k // n_threads for k in range(n_threads + 1)]
    with ThreadPoolExecutor(n_threads) as pool:
        calls = [pool.submit(_pass(), *arguments, *rows) for rows in itertools.pairwise(bounds)]
        for call in calls:
            call.result()

"""The compiled engine of :class:`~skgdpd.nets.prefix_shapelets.PrefixShapelets`, for CPUs.

A vector holds one value of each of the 16 shapelets of a block, which are compared with the same
points. Sums have the same order as in the torch engine and are not fused, so that distances are
equal bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numba as nb
import numpy as np
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from .._runtime.compiled import compiled
from . import causal, lanes
from .causal import LANES, on_threads
from .lanes import LONG, REAL, WHOLE, call, constant, data, everywhere, load, store

SHARED = 2e7
"""Number of distances for each thread, above which several threads share the series."""


@intrinsic
def _compare(
    typing: Any,
    minima: Any,
    counts: Any,
    taps: Any,
    first: Any,
    step: Any,
    values: Any,
    thresholds: Any,
    share: Any,
    n_taps: Any,
) -> Any:
    """Compare the shapelets of a block with points ``taps[first + j * step]``."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        least, hits, points, own, bounds = (
            data(context, builder, sig.args[i], args[i]) for i in (0, 1, 2, 5, 6)
        )
        start = LONG(0)
        total = cgutils.alloca_once_value(builder, constant(REAL, 0.0))
        with cgutils.for_range(builder, args[8]) as loop:
            place = builder.add(args[3], builder.mul(loop.index, args[4]))
            point = everywhere(builder, builder.load(builder.gep(points, [place])), REAL)
            value = load(builder, own, builder.mul(loop.index, LONG(LANES)), REAL)
            gap = call(builder, "fabs", builder.fsub(point, value))
            builder.store(builder.fadd(builder.load(total), gap), total)
        distance = builder.fmul(builder.load(total), everywhere(builder, args[7], REAL))
        best = load(builder, least, start, REAL)
        nearer = builder.fcmp_ordered("<", distance, best)
        store(builder, builder.select(nearer, distance, best), least, start)
        below = builder.fcmp_ordered("<", distance, load(builder, bounds, start, REAL))
        count = builder.add(load(builder, hits, start, WHOLE), builder.zext(below, WHOLE))
        store(builder, count, hits, start)
        return context.get_dummy_value()

    kinds = (nb.intp, nb.intp, values, thresholds, nb.float32, nb.intp)
    return nb.void(minima, counts, taps, *kinds), generate


@nb.njit
def _normalize(taps: Any, first: Any, n_points: Any, length: Any, floor: Any, work: Any) -> None:
    """Subtract the mean from the points of each window, and divide by their deviation."""
    share = np.float32(1 / length)
    mean, square = work[0], work[1]
    for t in range(n_points):
        mean[t] = taps[first + t]
        square[t] = np.float32(0)
    for j in range(1, length):
        own = taps[first + j * n_points : first + (j + 1) * n_points]
        for t in range(n_points):
            mean[t] += own[t]
    for t in range(n_points):
        mean[t] *= share
    for j in range(length):
        own = taps[first + j * n_points : first + (j + 1) * n_points]
        for t in range(n_points):
            own[t] -= mean[t]
            square[t] += own[t] * own[t]
    for t in range(n_points):
        square[t] = np.float32(1) / (np.sqrt(square[t] * share) + floor)
    for j in range(length):
        own = taps[first + j * n_points : first + (j + 1) * n_points]
        for t in range(n_points):
            own[t] *= square[t]


def _run(
    window: Any,
    minima: Any,
    counts: Any,
    n_read: int,
    lengths: Any,
    dilations: Any,
    normalized: Any,
    n_compared: Any,
    values: Any,
    thresholds: Any,
    channels: Any,
    floors: Any,
    moments: Any,
    scales: Any,
    out: Any,
    taps: Any,
    work: Any,
    i_first: int,
    i_stop: int,
) -> None:
    """Read the new points of series ``i_first`` to ``i_stop``, block by block of shapelets."""
    n_points = work.shape[1]
    span = window.shape[2] - n_points
    for i in range(i_first, i_stop):
        for b in range(len(lengths)):
            length, d = lengths[b], dilations[b]
            n_taps = n_compared[b] * length
            for s in range(n_compared[b]):
                c = channels[b, s]
                first = s * length * n_points
                for j in range(length):
                    at = span - (length - 1 - j) * d
                    to = taps[first + j * n_points : first + (j + 1) * n_points]
                    series = window[i, c, at : at + n_points]
                    for t in range(n_points):
                        to[t] = series[t]
                if normalized[b]:
                    _normalize(taps, first, n_points, length, floors[c], work)
            share = np.float32(1 / n_taps)
            nearest = minima[i, b * LANES : (b + 1) * LANES]
            hits = counts[i, b * LANES : (b + 1) * LANES]
            begin = max((length - 1) * d - n_read, 0)
            for m in range(len(moments) + 1):
                stop = moments[m] if m < len(moments) else n_points
                for t in range(begin, stop):
                    _compare(
                        nearest, hits, taps, t, n_points, values[b], thresholds[b], share, n_taps
                    )
                begin = max(begin, stop)
                if m < len(moments):
                    row = out[m, i, 2 * b * LANES : 2 * (b + 1) * LANES]
                    scale = scales[m, b]
                    for g in range(LANES):
                        least = nearest[g]
                        row[g] = least if least < np.inf else np.float32(0)
                    for g in range(LANES):
                        row[LANES + g] = np.float32(hits[g]) * scale


def _array(kind: Any, n_dims: int) -> Any:
    return nb.types.Array(kind, n_dims, "C")


@cache
def _compiled() -> Any:
    return compiled(
        _run,
        nb.void(
            _array(nb.float32, 3),
            _array(nb.float32, 2),
            _array(nb.int32, 2),
            nb.int64,
            _array(nb.int64, 1),
            _array(nb.int64, 1),
            _array(nb.int64, 1),
            _array(nb.int64, 1),
            _array(nb.float32, 2),
            _array(nb.float32, 2),
            _array(nb.int64, 2),
            _array(nb.float32, 1),
            _array(nb.int64, 1),
            _array(nb.float32, 2),
            _array(nb.float32, 3),
            _array(nb.float32, 1),
            _array(nb.float32, 2),
            nb.int64,
            nb.int64,
        ),
        modules=(lanes, causal),
    )


def read(
    window: NDArray[np.float32],
    minima: NDArray[np.float32],
    counts: NDArray[np.int32],
    n_read: int,
    plan: tuple[NDArray[Any], ...],
    moments: Sequence[int],
    scales: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Update minima and counts in place with new points, and return features at moments.

    Parameters
    ----------
    window : ndarray of shape (n, n_channels, longest span - 1 + t)
        Recent and new points of each series.
    minima : ndarray of shape (n, n_shapelets)
        Smallest distances.
    counts : ndarray of shape (n, n_shapelets)
        Numbers of distances below the thresholds.
    n_read : int
        Number of points that were read before.
    plan : tuple of ndarray
        Lengths, dilations, whether normalised, numbers of channels, values (a row for each
        block), thresholds, channels, floors of deviations.
    moments : sequence of int
        The moments, as numbers of new points in ascending order.
    scales : ndarray of shape (n_moments, n_blocks)
        Factors from counts to fractions.

    Returns
    -------
    ndarray of shape (n_moments, n, n_features)
    """
    out = np.empty((len(moments), len(counts), 2 * counts.shape[1]), np.float32)
    places = np.array(moments, dtype=np.int64)
    lengths, dilations, values = plan[0], plan[1], plan[4]
    n_points = window.shape[2] - int(((lengths - 1) * dilations).max())
    most_taps = values.shape[1] // LANES

    def work() -> tuple[NDArray[Any], ...]:
        return np.empty(most_taps * n_points, np.float32), np.empty((2, n_points), np.float32)

    arguments = (window, minima, counts, n_read, *plan, places, scales, out)
    most = int(float(window.shape[2]) * counts.size / SHARED)
    on_threads(_compiled(), arguments, work, len(window), most)
    return out

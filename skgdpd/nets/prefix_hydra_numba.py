"""The compiled engine of :class:`~skgdpd.nets.prefix_hydra.PrefixHydra`, for CPUs.

A vector holds one value of each of the 16 groups of a block. The kernels compete by comparisons
and selections of vectors, without branches. Products and sums have the same order as in the torch
engine and are not fused, so that outputs, and therefore winners, are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from .._runtime.compiled import compiled
from . import causal, lanes
from .causal import LANES, LARGEST, on_threads
from .lanes import LONG, REAL, WHOLE, call, constant, data, everywhere, load, store
from .minirocket import N_TAPS

SHARED = 5e7
"""Number of outputs for each thread, above which several threads share the series."""


@intrinsic
def _compete(
    typing: Any,
    counts: Any,
    weights: Any,
    taps: Any,
    first: Any,
    step: Any,
    per_unit: Any,
    n_kernels: Any,
) -> Any:
    """Update the sums and counts of a block with the outputs at one point.

    The first taps of the groups start at ``taps[first]``; each next tap starts ``step`` values
    later.
    """

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        sums, own, points = (data(context, builder, sig.args[i], args[i]) for i in range(3))
        place, stride, factor, kernels = args[3:]

        def variable(value: Any) -> Any:
            return cgutils.alloca_once_value(builder, value)

        def choose(where: Any, new: Any, old: Any) -> None:
            builder.store(builder.select(where, new, builder.load(old)), old)

        read = []
        for _ in range(N_TAPS):
            read.append(load(builder, points, place, REAL))
            place = builder.add(place, stride)
        largest, smallest = variable(constant(REAL, 0)), variable(constant(REAL, 0))
        winner, loser = variable(constant(WHOLE, 0)), variable(constant(WHOLE, 0))
        row = builder.mul(kernels, LONG(LANES))
        with cgutils.for_range(builder, kernels) as loop:
            at = builder.mul(loop.index, LONG(LANES))
            number = everywhere(builder, builder.trunc(loop.index, ir.IntType(32)), WHOLE)
            total = None
            for tap in read:
                product = builder.fmul(load(builder, own, at, REAL), tap)
                total = product if total is None else builder.fadd(total, product)
                at = builder.add(at, row)
            is_first = builder.icmp_signed("==", number, constant(WHOLE, 0))
            above = builder.fcmp_ordered(">", total, builder.load(largest))
            below = builder.fcmp_ordered("<", total, builder.load(smallest))
            above, below = builder.or_(above, is_first), builder.or_(below, is_first)
            choose(above, total, largest)
            choose(above, number, winner)
            choose(below, total, smallest)
            choose(below, number, loser)
        scaled = builder.fmul(builder.load(largest), everywhere(builder, factor, REAL))
        for sign, most in (("<", float(LARGEST)), (">", -float(LARGEST))):
            inside = builder.fcmp_ordered(sign, scaled, constant(REAL, most))
            scaled = builder.select(inside, scaled, constant(REAL, most))
        none = constant(WHOLE, 0)
        gain, one = builder.fptosi(scaled, WHOLE), constant(WHOLE, 1)
        with cgutils.for_range(builder, kernels) as loop:
            number = everywhere(builder, builder.trunc(loop.index, ir.IntType(32)), WHOLE)
            at = builder.mul(loop.index, LONG(LANES))
            for who, more in ((winner, gain), (loser, one)):
                mine = builder.icmp_signed("==", builder.load(who), number)
                total = builder.add(
                    load(builder, sums, at, WHOLE), builder.select(mine, more, none)
                )
                store(builder, total, sums, at)
                at = builder.add(at, row)
        return context.get_dummy_value()

    return nb.void(counts, weights, taps, nb.intp, nb.intp, nb.float32, nb.intp), generate


@intrinsic
def _write_root(typing: Any, out: Any, counts: Any, start: Any, scale: Any) -> Any:
    """Write the square roots of 16 sums or counts times a scale; negative ones give 0."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        to, own = (data(context, builder, sig.args[i], args[i]) for i in range(2))
        none = constant(WHOLE, 0)
        count = load(builder, own, args[2], WHOLE)
        count = builder.select(builder.icmp_signed(">", count, none), count, none)
        mean = builder.fmul(builder.sitofp(count, REAL), everywhere(builder, args[3], REAL))
        store(builder, call(builder, "sqrt", mean), to, args[2])
        return context.get_dummy_value()

    return nb.void(out, counts, nb.intp, nb.float32), generate


def _run(
    window: Any,
    counts: Any,
    dilations: Any,
    of_difference: Any,
    weights: Any,
    channels: Any,
    per_unit: Any,
    moments: Any,
    scales: Any,
    out: Any,
    taps: Any,
    i_first: int,
    i_stop: int,
) -> None:
    """Read the new points of series ``i_first`` to ``i_stop``, block by block of groups."""
    n_channels = window.shape[1] // 2
    n_blocks, size = weights.shape
    n_kernels = size // (N_TAPS * LANES)
    half = n_kernels * LANES
    margin = 0  # In a loop: numba's largest number of an array takes long to compile.
    for b in range(n_blocks):
        margin = max(margin, 8 * dilations[b])
    n_points = window.shape[2] - margin
    for i in range(i_first, i_stop):
        for b in range(n_blocks):
            d = dilations[b]
            first = margin - 8 * d
            for g in range(LANES):
                c = of_difference[b] * n_channels + channels[b, g, 0]
                for t in range(first, window.shape[2]):
                    taps[t * LANES + g] = window[i, c, t]
                for s in range(1, channels.shape[2]):
                    if channels[b, g, s] == n_channels:
                        break
                    c = of_difference[b] * n_channels + channels[b, g, s]
                    for t in range(first, window.shape[2]):
                        taps[t * LANES + g] += window[i, c, t]
            own = counts[i, 2 * half * b : 2 * half * (b + 1)]
            m = 0
            for t in range(n_points):
                _compete(
                    own,
                    weights[b],
                    taps,
                    (first + t) * LANES,
                    d * LANES,
                    per_unit[b],
                    n_kernels,
                )
                if m < len(moments) and moments[m] == t + 1:
                    row = out[m, i, 2 * half * b : 2 * half * (b + 1)]
                    for kind in range(2):
                        for k in range(n_kernels):
                            at = kind * half + k * LANES
                            _write_root(row, own, at, scales[m, b, kind])
                    m += 1


def _array(kind: Any, n_dims: int) -> Any:
    return nb.types.Array(kind, n_dims, "C")


@cache
def _compiled() -> Any:
    return compiled(
        _run,
        nb.void(
            _array(nb.float32, 3),
            _array(nb.int32, 2),
            _array(nb.int64, 1),
            _array(nb.int64, 1),
            _array(nb.float32, 2),
            _array(nb.int64, 3),
            _array(nb.float32, 1),
            _array(nb.int64, 1),
            _array(nb.float32, 3),
            _array(nb.float32, 3),
            _array(nb.float32, 1),
            nb.int64,
            nb.int64,
        ),
        modules=(lanes, causal),
    )


def read(
    window: NDArray[np.float32],
    counts: NDArray[np.int32],
    plan: tuple[NDArray[Any], ...],
    moments: Sequence[int],
    scales: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Update sums and counts in place with new points, and return features at moments.

    Parameters
    ----------
    window : ndarray of shape (n, 2 * n_channels, 8 * max_dilation + t)
        Recent and new points of each series and of its first difference.
    counts : ndarray of shape (n, n_features)
        Sums and counts.
    plan : tuple of ndarray
        Dilations, whether a block reads differences, weights (a row for each block), channels,
        and one over the units.
    moments : sequence of int
        The moments, as numbers of new points in ascending order.
    scales : ndarray of shape (n_moments, n_blocks, 2)
        Factors from sums and counts to means.

    Returns
    -------
    ndarray of shape (n_moments, n, n_features)
    """
    out = np.empty((len(moments), *counts.shape), np.float32)
    places = np.array(moments, dtype=np.int64)

    def work() -> tuple[NDArray[Any], ...]:
        return (np.empty(window.shape[2] * LANES, np.float32),)

    arguments = (window, counts, *plan, places, scales, out)
    most = int(float(window.shape[2]) * counts.size / 2 / SHARED)
    on_threads(_compiled(), arguments, work, len(window), most)
    return out

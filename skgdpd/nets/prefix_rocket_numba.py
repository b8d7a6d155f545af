"""The compiled engine of :class:`~skgdpd.nets.prefix_rocket.PrefixRocket`, for CPUs.

Time is divided into words of 64 points. The outputs of a kernel in one word are compared with a
bias at once, which gives 64 bits; a feature is a count of set bits. One comparison instruction
handles as many points as a vector register holds. For a moment within a word, the later bits are
masked before the count. Many moments therefore need no more comparisons than one moment. Bits are
counted in half words, because a register holds twice as many half words as words.

Sums have the same order as in the torch engine, and the compiler is not allowed to reorder them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic
from numpy.typing import NDArray

from .._runtime.compiled import compiled
from .causal import on_threads
from .minirocket import N_KERNELS, N_TAPS

WORD = 64
HALF = 32
N_GROUP = 28
"""Number of kernels in each of the three groups of a dilation."""
SHARED = 2e8
"""Number of comparisons for each thread, above which several threads share the series."""

_VECTOR = ir.VectorType(ir.FloatType(), WORD)
_BITS = ir.IntType(WORD)
_HALF_BITS = ir.IntType(HALF)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, start: Any) -> Any:
    """Return the address of the first value of a word, as a pointer to a vector."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [start]), _VECTOR.as_pointer())


def _load(*args: Any) -> Any:
    builder = args[1]
    value = builder.load(_pointer(*args))
    value.align = 4
    return value


def _store(context: Any, builder: Any, kind: Any, array: Any, start: Any, value: Any) -> None:
    builder.store(value, _pointer(context, builder, kind, array, start)).align = 4


def _everywhere(builder: Any, value: Any, kind: Any = _VECTOR) -> Any:
    """Return a vector whose values are all the same."""
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0] * kind.count)
    return builder.shuffle_vector(one, one, zeros)


@intrinsic
def _sum(typing: Any, out: Any, o: Any, taps: Any, c: Any, heavy: Any, k: Any) -> Any:
    """Set a word of ``out`` to the outputs of kernel ``k`` on one channel."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        long = ir.IntType(64)
        own = context.make_array(sig.args[4])(context, builder, args[4]).data
        first = builder.mul(args[3], long(10))
        total = None
        for tap in (-1, 0, 1, 2):
            if tap < 0:
                place = long(9)
            else:
                index = builder.add(builder.mul(args[5], long(3)), long(tap))
                place = builder.load(builder.gep(own, [index]))
            start = builder.mul(builder.add(first, place), long(WORD))
            word = _load(context, builder, sig.args[2], args[2], start)
            total = word if total is None else builder.fadd(total, word)
        _store(context, builder, sig.args[0], args[0], args[1], total)
        return context.get_dummy_value()

    return nb.void(out, nb.intp, taps, nb.intp, heavy, nb.intp), generate


def _combine(operation: Callable[..., Any]) -> Callable[..., Any]:
    """Return a code generator for an in-place operation on a word of ``out`` and one of ``a``."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kinds = sig.args
        left = _load(context, builder, kinds[0], args[0], args[1])
        right = _load(context, builder, kinds[2], args[2], args[3])
        _store(context, builder, kinds[0], args[0], args[1], operation(builder, left, right))
        return context.get_dummy_value()

    return generate


@intrinsic
def _add(typing: Any, out: Any, o: Any, a: Any, i: Any) -> Any:
    """Add a word of ``a`` to one of ``out``."""
    return nb.void(out, nb.intp, a, nb.intp), _combine(ir.IRBuilder.fadd)


@intrinsic
def _subtract(typing: Any, out: Any, o: Any, a: Any, i: Any) -> Any:
    """Subtract a word of ``a`` from one of ``out``."""
    return nb.void(out, nb.intp, a, nb.intp), _combine(ir.IRBuilder.fsub)


@intrinsic
def _times(typing: Any, out: Any, o: Any, a: Any, i: Any, factor: Any) -> Any:
    """Set a word of ``out`` to a multiple of a word of ``a``."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kinds = sig.args
        value = _load(context, builder, kinds[2], args[2], args[3])
        value = builder.fmul(value, _everywhere(builder, args[4]))
        _store(context, builder, kinds[0], args[0], args[1], value)
        return context.get_dummy_value()

    return nb.void(out, nb.intp, a, nb.intp, nb.float32), generate


@intrinsic
def _compare(
    typing: Any, low: Any, high: Any, f: Any, values: Any, start: Any, biases: Any, valid: Any
) -> Any:
    """Set ``low[f]`` and ``high[f]`` to the bit mask of the values above ``biases[f]``."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        # Pointers, since numba's indices may be negative, which takes as long as the comparison.
        data = [context.make_array(sig.args[k])(context, builder, args[k]).data for k in (0, 1, 5)]
        to_low, to_high, bias = (builder.gep(own, [args[2]]) for own in data)
        word = _load(context, builder, sig.args[3], args[3], args[4])
        above = builder.fcmp_ordered(">", word, _everywhere(builder, builder.load(bias)))
        bits = builder.and_(builder.bitcast(above, _BITS), args[6])
        builder.store(builder.trunc(bits, _HALF_BITS), to_low)
        builder.store(builder.trunc(builder.lshr(bits, _BITS(HALF)), _HALF_BITS), to_high)
        return context.get_dummy_value()

    return nb.void(low, high, nb.intp, values, nb.intp, biases, nb.uint64), generate


@intrinsic
def _ones(typing: Any, word: Any) -> Any:
    """Return the number of set bits in a word."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return nb.int32(nb.uint32), generate


@intrinsic
def _write_shares(
    typing: Any, out: Any, o: Any, counts: Any, words: Any, f: Any, scales: Any, seen: Any
) -> Any:
    """Write the fractions of 84 features at a moment; ``seen`` masks bits of later points."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        def address(array: int, start: Any, offset: int, kind: Any) -> Any:
            data = context.make_array(sig.args[array])(context, builder, args[array]).data
            place = builder.gep(builder.gep(data, [start]), [ir.IntType(64)(offset)])
            return builder.bitcast(place, kind.as_pointer())

        def load(*place: Any) -> Any:
            value = builder.load(address(*place))
            value.align = 4
            return value

        for offset in range(0, N_KERNELS, 16):
            width = min(16, N_KERNELS - offset)
            whole = ir.VectorType(ir.IntType(32), width)
            real = ir.VectorType(ir.FloatType(), width)
            kind = ir.FunctionType(whole, [whole])
            count = get_or_insert_function(builder.module, kind, f"llvm.ctpop.v{width}i32")
            bits = builder.and_(
                load(3, args[4], offset, whole), _everywhere(builder, args[6], whole)
            )
            total = builder.add(load(2, args[4], offset, whole), builder.call(count, [bits]))
            share = builder.sitofp(total, real)
            share = builder.fmul(share, load(5, ir.IntType(64)(0), offset, real))
            builder.store(share, address(0, args[1], offset, real)).align = 4
        return context.get_dummy_value()

    return nb.void(out, nb.intp, counts, words, nb.intp, scales, nb.uint32), generate


def _run_pass(
    x: Any,
    dilations: Any,
    n_biases: Any,
    starts: Any,
    biases: Any,
    heavy: Any,
    channels: Any,
    moments: Any,
    scales: Any,
    out: Any,
    padded: Any,
    taps: Any,
    outputs: Any,
    other: Any,
    words: Any,
    counts: Any,
    i_first: int,
    i_stop: int,
) -> None:
    """Write the features of series ``i_first`` to ``i_stop`` at all moments."""
    _, n_channels, n_timepoints = x.shape
    n_words = (n_timepoints + WORD - 1) // WORD
    width = len(padded) // n_channels
    margin = width - n_words * WORD
    every = np.uint64(0xFFFFFFFFFFFFFFFF)
    for i in range(i_first, i_stop):
        for c in range(n_channels):
            for t in range(n_timepoints):
                padded[c * width + margin + t] = x[i, c, t]
        first = 0
        for j in range(len(dilations)):
            d = dilations[j]
            nq = n_biases[j]
            size = N_KERNELS * nq
            own_biases = biases[first : first + size]
            own_heavy = heavy[j % 3]
            low, high = words[0, :size], words[1, :size]
            own_counts = counts[:size]
            for f in range(size):
                own_counts[f] = 0
                low[f] = high[f] = 0  # Of kernels whose first counted output is in a later word.
            m = 0
            for w in range(n_words):
                begin = w * WORD
                for c in range(n_channels):
                    at = c * width + margin + begin
                    base = (c * 10 + 9) * WORD
                    _times(taps, base, padded, at, np.float32(-1))
                    for tap in range(8):
                        _subtract(taps, base, padded, at - (8 - tap) * d)
                    for tap in range(9):
                        _times(
                            taps,
                            (c * 10 + tap) * WORD,
                            padded,
                            at - (8 - tap) * d,
                            np.float32(3),
                        )
                for g in range(3):
                    late = max(starts[j, g] - begin, 0)
                    if late >= WORD:
                        continue
                    bits = every << np.uint64(late)
                    # The outputs of a group at once: those of all would fill the cache.
                    for p in range(N_GROUP):
                        k = g * N_GROUP + p
                        to = p * WORD
                        _sum(
                            outputs,
                            to,
                            taps,
                            0 if n_channels == 1 else channels[j, k, 0],
                            own_heavy,
                            k,
                        )
                        for s in range(1, channels.shape[2]):
                            c = channels[j, k, s]
                            if c == n_channels:
                                break
                            _sum(other, 0, taps, c, own_heavy, k)
                            _add(outputs, to, other, 0)
                    for q in range(nq):
                        first_of_group = q * N_KERNELS + g * N_GROUP
                        for p in range(N_GROUP):
                            f = first_of_group + p
                            _compare(low, high, f, outputs, p * WORD, own_biases, bits)
                for half in range(2):
                    begin += half * HALF
                    bits_of_half = words[half]
                    while m < len(moments) and moments[m] <= begin + HALF:
                        seen = np.uint32(0xFFFFFFFF) >> np.uint32(begin + HALF - moments[m])
                        row = out[m, i]
                        own_scales = scales[j, m]
                        for q in range(nq):
                            f = q * N_KERNELS
                            _write_shares(
                                row, first + f, own_counts, bits_of_half, f, own_scales, seen
                            )
                        m += 1
                    if m == len(moments):
                        break
                    for f in range(size):
                        own_counts[f] += _ones(bits_of_half[f])
                if m == len(moments):
                    break
            first += size


def _run_step(
    recent: Any,
    counts: Any,
    n_read: int,
    points: Any,
    dilations: Any,
    n_biases: Any,
    starts: Any,
    biases: Any,
    heavy: Any,
    channels: Any,
    taps: Any,
    outputs: Any,
    i_first: int,
    i_stop: int,
) -> None:
    """Add the points of series ``i_first`` to ``i_stop`` to their recent points and counts."""
    _, n_channels, n_points = points.shape
    length = recent.shape[2]
    for i in range(i_first, i_stop):
        for point in range(n_points):
            t = n_read + point
            for c in range(n_channels):
                recent[i, c, t % length] = points[i, c, point]
            first = 0
            for j in range(len(dilations)):
                d = dilations[j]
                base = np.float32(0)
                for c in range(n_channels):
                    base = -recent[i, c, t % length]
                    for tap in range(N_TAPS):
                        at = t % length - (8 - tap) * d
                        value = recent[i, c, at if at >= 0 else at + length]
                        taps[c, tap] = np.float32(3) * value
                        if tap < 8:
                            base -= value
                    taps[c, 9] = base
                own_heavy = heavy[j % 3]
                for k in range(N_KERNELS):
                    # Unsigned, since numba would let other indices count from the end.
                    u = np.uint64(own_heavy[k, 0])
                    v = np.uint64(own_heavy[k, 1])
                    w = np.uint64(own_heavy[k, 2])
                    if n_channels == 1:
                        outputs[k] = base + taps[0, u] + taps[0, v] + taps[0, w]
                        continue
                    for s in range(channels.shape[2]):
                        c = channels[j, k, s]
                        if c == n_channels:
                            break
                        value = taps[c, 9] + taps[c, u] + taps[c, v] + taps[c, w]
                        outputs[k] = value if s == 0 else outputs[k] + value
                for g in range(3):
                    if t < starts[j, g]:
                        for p in range(N_GROUP * g, N_GROUP * (g + 1)):
                            outputs[p] = -np.inf
                for _ in range(n_biases[j]):
                    own_counts = counts[i, first : first + N_KERNELS]
                    own_biases = biases[first : first + N_KERNELS]
                    for p in range(N_KERNELS):
                        own_counts[p] += np.int32(outputs[p] > own_biases[p])
                    first += N_KERNELS


def _array(kind: Any, n_dims: int, layout: str = "C") -> Any:
    return nb.types.Array(kind, n_dims, layout)


_PLAN = (
    _array(nb.int64, 1),
    _array(nb.int64, 1),
    _array(nb.int64, 2),
    _array(nb.float32, 1),
    _array(nb.int64, 3),
    _array(nb.int64, 3),
)
_ROWS = (nb.int64, nb.int64)


@cache
def _pass() -> Any:
    out = _array(nb.float32, 3)
    moments, real = _array(nb.int64, 1), _array(nb.float32, 1)
    words, counts = _array(nb.uint32, 2), _array(nb.int32, 1)
    work = (real, real, real, real, words, counts)
    return compiled(
        _run_pass, nb.void(_array(nb.float32, 3, "A"), *_PLAN, moments, out, out, *work, *_ROWS)
    )


def _aligned(size: int) -> NDArray[np.float32]:
    """Return an array that is aligned to a cache line, from which vectors load faster."""
    space = np.empty(size + 15, np.float32)
    first = -(space.ctypes.data // 4) % 16
    return space[first : first + size]


@cache
def _step() -> Any:
    recent, counts = _array(nb.float32, 3), _array(nb.int32, 2)
    points, taps, outputs = (_array(nb.float32, *kind) for kind in ((3, "A"), (2,), (1,)))
    kinds = (recent, counts, nb.int64, points, *_PLAN, taps, outputs, *_ROWS)
    return compiled(_run_step, nb.void(*kinds))


def features(
    x: NDArray[np.float32],
    plan: tuple[NDArray[Any], ...],
    moments: NDArray[np.int64],
    scales: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return the features of series at several moments.

    Parameters
    ----------
    x : ndarray of shape (n, n_channels, t)
        Series.
    plan : tuple of ndarray
        Dilations, numbers of biases, first counted outputs, biases, taps of weight 2, channels.
    moments : ndarray of shape (n_moments,)
        The moments, as prefix lengths in ascending order, at most ``t``.
    scales : ndarray of shape (n_dilations, n_moments, 84)
        Factors from counts to fractions.

    Returns
    -------
    ndarray of shape (n_moments, n, n_features)
    """
    out = np.empty((len(moments), len(x), len(plan[3])), np.float32)
    n_compared = float(x.shape[2]) * x.shape[0] * len(plan[3])
    dilations, n_biases = plan[:2]
    width = 8 * int(dilations.max()) + -(-x.shape[2] // WORD) * WORD
    widest = N_KERNELS * int(n_biases.max())

    def work() -> tuple[NDArray[Any], ...]:
        return (
            np.zeros(x.shape[1] * width, np.float32),
            _aligned(x.shape[1] * 10 * WORD),  # nine tripled taps, and the base
            _aligned(N_GROUP * WORD),
            _aligned(WORD),
            np.empty((2, widest), np.uint32),
            np.empty(widest, np.int32),
        )

    arguments = (x, *plan, moments, scales, out)
    on_threads(_pass(), arguments, work, len(x), int(n_compared / SHARED))
    return out


def step(
    recent: NDArray[np.float32],
    counts: NDArray[np.int32],
    n_read: int,
    points: NDArray[np.float32],
    plan: tuple[NDArray[Any], ...],
) -> None:
    """Add points to a state, in place.

    Parameters
    ----------
    recent : ndarray of shape (n, n_channels, length)
        Recent points of each series.
    counts : ndarray of shape (n, n_features)
        Numbers of counted outputs above each bias.
    n_read : int
        Number of points that were read before.
    points : ndarray of shape (n, n_channels, n_points)
        The new points.
    plan : tuple of ndarray
        See :func:`features`.
    """

    def work() -> tuple[NDArray[Any], ...]:
        return np.empty((points.shape[1], 10), np.float32), np.empty(N_KERNELS, np.float32)

    arguments = (recent, counts, n_read, points, *plan)
    most = int(float(points.shape[2]) * counts.size / SHARED)
    on_threads(_step(), arguments, work, len(points), most)

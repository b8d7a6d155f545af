"""MiniRocket features of all prefixes of a series, from one pass over it.

The convolutions are causal: output ``i`` of a kernel with dilation ``d`` depends on the nine
points ``i - 8d, i - 7d, ..., i``, and on no later point. A feature is the proportion of positive
values (PPV), here values above a bias, among the outputs so far. One pass with a running count
therefore gives the features of every prefix. A state that holds the counts and the last ``8d``
points gives them point by point.

The kernels of each dilation form three groups of equal size. The first group counts from the first
output on, with zeros before the start of the series. The second group counts from output ``4d``
on. The third group counts from output ``8d`` on, so that it never uses points before the start. A
feature is 0 before the first counted output of its kernel. Dilations and biases are chosen for
all prefixes; see :func:`prefix_dilations` and :meth:`PrefixRocket.fit`.

There are two engines, torch for any device and numba for CPUs. They give the same counts bit for
bit, because counts are integers, and both engines and the state sum in the same order.

Source of the features: A. Dempster, D. F. Schmidt, G. I. Webb, "MiniRocket: a very fast (almost)
deterministic transform for time series classification", KDD 2021, arXiv 2012.08791.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from .causal import CausalFeatures, check_time_points
from .minirocket import (
    HEAVY_TAPS,
    MAX_CHANNELS,
    N_KERNELS,
    N_TAPS,
    Engine,
    check_channels,
    draw_channels,
    fit_dilations,
    quantile_levels,
)
from .prefixes import Prefixes

MAX_DILATIONS = 40
"""Maximum number of different dilations."""
N_GROUPS = 3
"""Number of groups; kernels of group ``g`` count from output ``4 * g * dilation`` on."""
ORDERS = np.array(
    [np.argsort((np.arange(N_KERNELS) + j) % N_GROUPS, kind="stable") for j in range(N_GROUPS)]
)
"""Order of the 84 kernels at the j-th dilation, in row ``j % 3``: group by group."""
HEAVY = HEAVY_TAPS[ORDERS]
"""Taps of weight 2 of each kernel in that order, ``(3, 84, 3)``."""
GROUPS = np.repeat(np.arange(N_GROUPS), N_KERNELS // N_GROUPS)
"""Group of each kernel in that order."""
N_DRAWS = 4
"""Number of prefixes from which the biases of a kernel at one dilation are drawn."""
TORCH_BYTES = 1 << 26
"""Size in bytes of the largest array that the torch engine makes."""


def prefix_dilations(
    time_points: Sequence[int], n_features: int, max_dilations: int = MAX_DILATIONS
) -> tuple[list[int], list[int]]:
    """Choose dilations that suit prefixes of several lengths.

    The result is the union of the dilations that MiniRocket would choose for each length. If there
    are too many, those nearest to a geometric sequence are kept. Each dilation gets the number of
    biases that MiniRocket would give it on average, but at least one. In this average, the longest
    prefix has the same weight as all others together. Otherwise the few dilations of short
    prefixes would get most of the biases.

    Parameters
    ----------
    time_points : sequence of int
        Lengths of the prefixes in ascending order.
    n_features : int
        Number of features; rounded down to a multiple of 84.
    max_dilations : int, default=40
        Maximum number of different dilations.

    Returns
    -------
    dilations : list of int
        Dilations in ascending order.
    n_biases : list of int
        Number of biases of each kernel at each dilation.
    """
    per_kernel = max(n_features // N_KERNELS, 1)
    weights = np.full(len(time_points), 1 / max(2 * len(time_points) - 2, 1))
    weights[-1] = 1 - weights[:-1].sum()
    wanted: dict[int, float] = {}
    for length, weight in zip(time_points, weights, strict=True):
        own = fit_dilations(max(length, N_TAPS), n_features, min(32, max_dilations))
        for dilation, count in zip(own[0], own[1], strict=True):
            wanted[dilation] = wanted.get(dilation, 0.0) + float(weight * count)
    candidates = np.array(sorted(wanted), dtype=np.int64)
    most = min(per_kernel, max_dilations)
    if len(wanted) > most:
        targets = np.geomspace(1, candidates[-1], most)
        nearest = [np.abs(np.log(candidates / target)).argmin() for target in targets]
        candidates = candidates[np.unique(nearest)]
    shares = np.zeros(len(candidates))
    for dilation, share in wanted.items():  # Those left out give theirs to the nearest.
        shares[np.abs(np.log(candidates / dilation)).argmin()] += share
    counts = np.maximum(np.floor(shares + 1e-9), 1).astype(int)
    while counts.sum() != per_kernel:
        excess = counts - shares
        if counts.sum() < per_kernel:
            counts[excess.argmin()] += 1
        else:
            counts[np.where(counts > 1, excess, -np.inf).argmax()] -= 1
    return candidates.tolist(), counts.tolist()


def first_outputs(dilations: Sequence[int], n_timepoints: int) -> NDArray[np.int64]:
    """Return the first counted output of each group of kernels at each dilation.

    Parameters
    ----------
    dilations : sequence of int
        The dilations.
    n_timepoints : int
        Length of the longest prefix. If it ends before the first output of a group, the group
        uses the first output of the previous group.

    Returns
    -------
    ndarray of shape (n_dilations, 3)
        Indices of outputs.
    """
    starts = 4 * np.array(dilations, dtype=np.int64)[:, None] * np.arange(N_GROUPS)
    for g in range(1, N_GROUPS):
        late = starts[:, g] >= n_timepoints
        starts[late, g] = starts[late, g - 1]
    return starts


@dataclass
class PrefixState:
    """State of series after some of their points.

    Attributes
    ----------
    n_read : int
        Number of points that have been read.
    recent : Tensor of shape (n, n_channels, 8 * max_dilation + 1)
        Ring buffer of the last points: point ``t`` is at index ``t % (8 * max_dilation + 1)``.
        Unused entries are zero.
    counts : Tensor of shape (n, n_features)
        Numbers of counted outputs above each bias, as 32-bit integers.
    """

    n_read: int
    recent: Tensor
    counts: Tensor

    def copy(self) -> PrefixState:
        """Return an independent copy of the state."""
        return PrefixState(self.n_read, self.recent.clone(), self.counts.clone())


class PrefixRocket(CausalFeatures):
    """Causal MiniRocket features of the prefixes of series.

    Features are ordered by dilation, then bias, then kernel. The 84 kernels of a dilation are
    ordered by group, as in a row of ``ORDERS``.

    Parameters
    ----------
    n_channels, n_timepoints : int
        Numbers of channels and of time points of the longest series.
    time_points : sequence of int
        Lengths of the prefixes in ascending order, from 1 to ``n_timepoints``.
    n_features : int, default=9996
        Number of features; rounded down to a multiple of 84. The default follows the authors of
        MiniRocket.
    max_dilations : int, default=40
        Maximum number of different dilations.
    engine : {"auto", "torch", "numba"}, default="auto"
        Engine that computes the features. ``"auto"`` uses numba for float32 series on a CPU
        if it is installed. Both engines give the same counts.

    Attributes
    ----------
    dilations, n_biases : list of int
        The dilations, and the number of biases of each kernel at each dilation.
    starts : ndarray of shape (n_dilations, 3)
        First counted output of each group of kernels at each dilation.
    biases : Tensor of shape (n_features,)
        Biases; zero before ``fit``.
    channels : Tensor of shape (n_dilations, 84, n_slots)
        Indices of the channels that each kernel sums; ``n_channels`` means an empty slot.
    """

    def __init__(
        self,
        n_channels: int,
        n_timepoints: int,
        time_points: Sequence[int],
        n_features: int = 9996,
        max_dilations: int = MAX_DILATIONS,
        engine: Engine = "auto",
    ) -> None:
        super().__init__()
        self.time_points = check_time_points(time_points, n_timepoints)
        self.n_channels = n_channels
        self.n_timepoints = n_timepoints
        self.engine = engine
        self.dilations, self.n_biases = prefix_dilations(
            self.time_points, n_features, max_dilations
        )
        self.n_features = N_KERNELS * sum(self.n_biases)
        self.starts = first_outputs(self.dilations, self.time_points[-1])
        self._layout = np.array(self.dilations), np.array(self.n_biases)
        slots = 1 if n_channels == 1 else min(n_channels, MAX_CHANNELS)
        shape = (len(self.dilations), N_KERNELS, slots)
        groups = [np.tile(N_GROUPS * i + GROUPS, count) for i, count in enumerate(self.n_biases)]
        self.biases: Tensor
        self.channels: Tensor
        self.groups: Tensor
        self.register_buffer("groups", torch.from_numpy(np.concatenate(groups)), persistent=False)
        self.register_buffer("biases", torch.zeros(self.n_features))
        self.register_buffer("channels", torch.zeros(shape, dtype=torch.int64))

    def scales(self, time_points: Sequence[int]) -> NDArray[np.float32]:
        """Return the factors from counts to fractions, ``(n_dilations, n_moments, 84)``.

        Parameters
        ----------
        time_points : sequence of int
            Numbers of points after which features are computed.

        Returns
        -------
        ndarray
            One over the number of counted outputs; 0 if no output is counted.
        """
        counted = np.array(time_points)[:, None] - self.starts[:, None]
        return _reciprocals(counted).take(GROUPS, axis=2)

    def fit(self, x: Tensor | Prefixes, seed: int, lengths: Tensor | None = None) -> PrefixRocket:
        """Draw the channels, and compute biases from training series.

        Biases are quantiles of a kernel's counted outputs on a prefix of a training series. Up to
        four pairs of a series and a prefix are drawn for each kernel and dilation. With
        probability 1/2 the prefix is the longest one; otherwise it is drawn among all prefixes
        with a counted output.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, n_timepoints) or Prefixes
            Training series, or their prefixes at ``time_points``.
        seed : int
            Seed of all random draws.
        lengths : Tensor of shape (n,), optional
            Lengths of the series without padding; None if all are equal. Ignored for
            ``Prefixes``, which hold their own lengths.

        Returns
        -------
        PrefixRocket
            The transform itself.
        """
        if isinstance(x, Prefixes):
            lengths = None if x.lengths is None else x.lengths[:, -1]
            x = x if not x.nested else x.series[-1]
        rng = np.random.default_rng(seed)
        self.channels.copy_(torch.from_numpy(self._draw_channels(rng)))
        levels = quantile_levels(self.n_features)
        biases = []
        done = 0
        for i, count in enumerate(self.n_biases):
            stop = done + N_KERNELS * count
            own = levels[done:stop].reshape(N_KERNELS, count)
            parts = np.array_split(own, min(N_DRAWS, count), 1)
            biases += [self._draw_biases(x, lengths, i, part, rng) for part in parts]
            done = stop
        self.biases.copy_(torch.from_numpy(np.concatenate(biases)))
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        check_channels(self.channels, self.n_channels)

    def _draw_biases(
        self,
        x: Tensor | Prefixes,
        lengths: Tensor | None,
        i: int,
        levels: NDArray[np.float64],
        rng: np.random.Generator,
    ) -> NDArray[np.float32]:
        """Return quantiles of each kernel's outputs on a prefix of one series, bias by bias."""
        moments = np.array(self.time_points)
        starts = self.starts[i, GROUPS]
        rows = rng.integers(len(x), size=N_KERNELS)
        # Among the prefixes that reach the kernel's first counted output.
        first = np.searchsorted(moments, starts, side="right")
        drawn = rng.integers(first, len(moments))
        chosen = np.where(rng.random(N_KERNELS) < 0.5, len(moments) - 1, drawn)
        stops = moments[chosen]
        if lengths is not None:
            stops = np.minimum(stops, lengths.cpu().numpy()[rows])
        if isinstance(x, Prefixes):
            series = _drawn(x, rows, chosen)
        else:
            series = x[torch.from_numpy(rows).to(x.device), :, : stops.max()].float()
        outputs = self._outputs(series, i, of_own=True).cpu().numpy()
        return _quantiles(outputs, np.minimum(starts, stops - 1), stops, levels).T.ravel()

    def _draw_channels(self, rng: np.random.Generator) -> NDArray[np.int64]:
        shape = self.channels.shape
        if self.n_channels == 1:
            return np.zeros(shape, dtype=np.int64)
        return np.sort(draw_channels(self.n_channels, shape, rng), axis=2)

    def _engine(self, x: Tensor, moments: list[int]) -> Callable[[Tensor], Tensor]:
        """Return a function that maps series to features ``(n_moments, n, n_features)``."""
        scales = self.scales(moments)
        if self._takes_numba(x):
            from . import prefix_rocket_numba

            plan, times = self._plan(), np.array(moments)
            return lambda part: torch.from_numpy(
                prefix_rocket_numba.features(part.detach().numpy(), plan, times, scales)
            )
        return lambda part: self._in_torch(part, moments, scales)

    def _takes_numba(self, x: Tensor) -> bool:
        if self.engine == "torch" or x.device.type != "cpu" or x.dtype != torch.float32:
            return False
        if self.engine == "numba":
            return True
        return not torch.compiler.is_exporting() and _has_numba()

    def _in_torch(self, x: Tensor, moments: list[int], scales: NDArray[np.float32]) -> Tensor:
        size = max(TORCH_BYTES // (4 * N_KERNELS * max(x.shape[2], 1)), 1)
        parts = [self._part_in_torch(part, moments, scales) for part in x.split(size)]
        return torch.cat(parts, 1) if len(parts) > 1 else parts[0]

    def _part_in_torch(self, x: Tensor, moments: list[int], scales: NDArray[np.float32]) -> Tensor:
        times = torch.arange(x.shape[2], device=x.device)
        before = (times[:, None] < torch.tensor(moments, device=x.device)).to(x.dtype)
        starts = torch.from_numpy(self.starts[:, GROUPS]).to(x.device)
        factors = torch.from_numpy(scales).to(x.device)
        out = x.new_empty(len(moments), len(x), self.n_features)
        done = 0
        for i, biases in enumerate(self.biases_by_dilation()):
            outputs = self._outputs(x, i)
            outputs.masked_fill_(times < starts[i, :, None], -torch.inf)
            for own in biases:
                # Sums of ones are exact, whatever their order.
                counts = (outputs > own[:, None]).to(x.dtype) @ before
                shares = counts.permute(2, 0, 1) * factors[i, :, None]
                out[:, :, done : done + N_KERNELS] = shares
                done += N_KERNELS
        return out

    def biases_by_dilation(self) -> Iterator[Tensor]:
        """Yield the biases ``(n_biases, 84)`` of each dilation."""
        for part in self.biases.split([N_KERNELS * count for count in self.n_biases]):
            yield part.view(-1, N_KERNELS)

    def _outputs(self, x: Tensor, i: int, of_own: bool = False) -> Tensor:
        """Return the outputs ``(n, 84, t)`` at the i-th dilation.

        With ``of_own``, kernel ``k`` is applied to series ``k`` only. In both cases kernels are
        ordered by group.
        """
        d = self.dilations[i]
        padded = F.pad(x, (8 * d, 0))
        t = x.shape[2]
        taps = torch.stack([padded[:, :, j * d : j * d + t] for j in range(N_TAPS)], 2)
        return self._sums(taps, i, of_own)

    def _sums(self, taps: Tensor, i: int, of_own: bool = False) -> Tensor:
        """Sum taps ``(n, c, 9, t)`` to outputs ``(n, 84, t)``; see :meth:`_outputs`."""
        base = -taps[:, :, 8]
        for j in range(8):
            base = base - taps[:, :, j]
        tripled = 3 * taps
        heavy = HEAVY[i % N_GROUPS]
        everywhere = np.arange(N_KERNELS)
        shape = (N_KERNELS,) if of_own else (len(base), N_KERNELS)
        total = base.new_zeros(*shape, base.shape[2])
        for slot in self.slots(i).T:
            used = np.flatnonzero(slot < self.n_channels)
            rows: Any = everywhere[used] if of_own else slice(None)
            output = base[rows, slot[used]]
            for j in range(3):
                output = output + tripled[rows, slot[used], heavy[used, j]]
            if of_own:
                total[used] += output
            else:
                total[:, used] += output
        return total

    def slots(self, i: int) -> NDArray[np.int64]:
        """Return the channels ``(84, n_slots)`` of the kernels at the i-th dilation."""
        if self.n_channels == 1:  # In a graph the numbers in a buffer are not known.
            return np.zeros((N_KERNELS, 1), dtype=np.int64)
        return self.channels[i].cpu().numpy()

    def start(self, n: int) -> PrefixState:
        """Return the initial state of ``n`` series, before the first point.

        Parameters
        ----------
        n : int
            Number of series.

        Returns
        -------
        PrefixState
        """
        length = 8 * max(self.dilations) + 1
        counts = torch.zeros(n, self.n_features, dtype=torch.int32, device=self.biases.device)
        return PrefixState(0, self.biases.new_zeros(n, self.n_channels, length), counts)

    @torch.no_grad()
    def step(self, state: PrefixState, points: Tensor) -> PrefixState:
        """Read more points of each series, at a constant cost per point.

        Parameters
        ----------
        state : PrefixState
            State after the previous points. Its tensors are updated in place, because copies
            would take longer than the step. To return to a state later, keep the result of
            :meth:`PrefixState.copy`.
        points : Tensor of shape (n, n_channels) or (n, n_channels, n_points)
            The next point or points of each series.

        Returns
        -------
        PrefixState
            The same object, updated.
        """
        if points.ndim == 2:
            points = points[:, :, None]
        if self._takes_numba(points):
            from . import prefix_rocket_numba

            prefix_rocket_numba.step(
                state.recent.numpy(),
                state.counts.numpy(),
                state.n_read,
                points.numpy(),
                self._plan(),
            )
            state.n_read += points.shape[2]
            return state
        for point in points.unbind(2):
            self._step_in_torch(state, point)
        return state

    def _step_in_torch(self, state: PrefixState, point: Tensor) -> None:
        t, length = state.n_read, state.recent.shape[2]
        state.recent[:, :, t % length] = point
        done = 0
        for i, biases in enumerate(self.biases_by_dilation()):
            d = self.dilations[i]
            taps = state.recent[:, :, [(t - (8 - j) * d) % length for j in range(N_TAPS)]]
            outputs = self._sums(taps[..., None], i)[..., 0]
            outputs[:, torch.from_numpy(t < self.starts[i, GROUPS])] = -torch.inf
            stop = done + biases.numel()
            state.counts[:, done:stop] += (outputs[:, None] > biases).flatten(1)
            done = stop
        state.n_read += 1

    def features(self, state: PrefixState) -> Tensor:
        """Return the features after the points that a state has read.

        Parameters
        ----------
        state : PrefixState
            The state.

        Returns
        -------
        Tensor of shape (n, n_features)
            Features equal to those of :meth:`transform` on these points, bit for bit.
        """
        scales = _reciprocals(state.n_read - self.starts)
        own = torch.from_numpy(scales).to(state.counts.device).take(self.groups)
        return state.counts.float().mul_(own)

    def _plan(self) -> tuple[NDArray[Any], ...]:
        """Return the description of the kernels that the compiled engine takes."""
        return (*self._layout, self.starts, self.biases.numpy(), HEAVY, self.channels.numpy())


@cache
def _has_numba() -> bool:
    try:
        from .prefix_rocket_numba import features  # noqa: F401
    except ImportError:  # Not installed, or not made for the installed numpy.
        return False
    return True


def _drawn(x: Prefixes, rows: NDArray[np.int64], moments: NDArray[np.int64]) -> Tensor:
    """Return one prefix of each of the rows, ``(n_rows, c, t)``, padded with zeros."""
    last = x.series[moments.max()]
    series = last.new_zeros(len(rows), *last.shape[1:], dtype=torch.float32)
    for m in np.unique(moments):
        own = np.flatnonzero(moments == m)
        drawn = x.series[m][torch.from_numpy(rows[own]).to(last.device)].float()
        series[torch.from_numpy(own).to(last.device), :, : x.time_points[m]] = drawn
    return series


def _reciprocals(counted: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.where(counted > 0, 1 / np.maximum(counted, 1), 0).astype(np.float32)


def _quantiles(
    outputs: NDArray[np.float32],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    levels: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Return the quantiles ``(n, q)`` of part ``[start, stop)`` of each row, as numpy does."""
    times = np.arange(outputs.shape[1])
    inside = (times >= starts[:, None]) & (times < stops[:, None])
    rising = np.sort(np.where(inside, outputs, np.inf), 1)
    place = levels * (stops - starts - 1)[:, None]
    below = np.floor(place).astype(int)
    above = np.minimum(below + 1, (stops - starts - 1)[:, None])
    low, high = (np.take_along_axis(rising, at, 1).astype(float) for at in (below, above))
    return (low + (high - low) * (place - below)).astype(np.float32)

"""Hydra features of all prefixes of a series, from one pass over it.

Groups of eight random kernels with nine taps compete at every point. The kernel with the largest
output adds this output to its sum. The kernel with the smallest output adds one to its count. The
weights of a kernel have mean zero, and their absolute values sum to 1. There are groups at the
dilations 1, 2, 4 and so on. Half of the groups read the series, and half read its first
difference.

The kernels are causal: output ``i`` at dilation ``d`` depends on the points ``i - 8d, ..., i``,
and on no later point. Points before the start of a series are zero, and so is the first difference
at the first point. A feature is the square root of a sum or a count divided by the number of
outputs so far. It is 0 if the sum is negative.

Groups are computed in blocks of 16, which share a dilation and read either the series or its
difference.

Outputs are rounded to integers before they are added. The unit is about a thousandth of a typical
output on the training series, and outputs above 32 times a typical output are clipped. Sums are
therefore exact. A pass, a state and both engines (torch, and numba on a CPU) give the same bits.

Source of the features: A. Dempster, D. F. Schmidt, G. I. Webb, "Hydra: competing convolutional
kernels for fast and accurate time series classification", Data Mining and Knowledge Discovery
2023, arXiv 2203.13652.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .causal import (
    LANES,
    LARGEST,
    CausalFeatures,
    channel_slots,
    check_time_points,
    exact_root,
    sum_of_channels,
    takes_numba,
)
from .minirocket import MAX_CHANNELS, N_TAPS, Engine, check_channels

RESOLUTION = 10
"""Binary logarithm of the number of units in a typical output."""
MAX_TIMEPOINTS = (1 << 16) - 1
"""Maximum length of a series, for which no 32-bit sum can overflow."""
N_SCALING = 64
"""Maximum number of training series from which the units are computed."""
TORCH_BYTES = 1 << 26
"""Size in bytes of the largest array that the torch engine makes."""


@dataclass
class HydraState:
    """State of series after some of their points.

    Attributes
    ----------
    n_read : int
        Number of points that have been read.
    recent : Tensor of shape (n, 2 * n_channels, 8 * max_dilation)
        The last points of the series and of their first differences; unused entries are zero.
    counts : Tensor of shape (n, n_features)
        Sums of outputs in units, and counts of outputs, as 32-bit integers.
    """

    n_read: int
    recent: Tensor
    counts: Tensor

    def copy(self) -> HydraState:
        """Return an independent copy of the state."""
        return HydraState(self.n_read, self.recent.clone(), self.counts.clone())


class PrefixHydra(CausalFeatures):
    """Causal Hydra features of the prefixes of series.

    Features are ordered by block, then kind (sums before counts), then kernel, then group. Blocks
    are ordered by dilation, then input (the series before its first difference), then group.

    Parameters
    ----------
    n_channels, n_timepoints : int
        Numbers of channels and of time points of the longest series; at most 65 535 time points.
    time_points : sequence of int
        Lengths of the prefixes in ascending order, from 1 to ``n_timepoints``.
    n_groups : int, default=64
        Number of groups at each dilation; rounded down to a multiple of 32, and at least 32. The
        default follows the authors.
    n_kernels : int, default=8
        Number of kernels of each group. The default follows the authors.
    engine : {"auto", "torch", "numba"}, default="auto"
        Engine that computes the features. ``"auto"`` uses numba for float32 series on a CPU
        if it is installed. Both engines give the same counts.

    Attributes
    ----------
    dilations : ndarray of shape (n_blocks,)
        Dilation of each block.
    of_difference : ndarray of shape (n_blocks,)
        1 for blocks on the first difference, 0 for the others.
    weights : Tensor of shape (n_blocks, 9, n_kernels, 16)
        Kernels; zero before ``fit``.
    channels : Tensor of shape (n_blocks, 16, n_slots)
        Indices of the channels that each group sums; ``n_channels`` means an empty slot.
    units : Tensor of shape (n_blocks,)
        Unit of summed outputs, a power of two.
    """

    def __init__(
        self,
        n_channels: int,
        n_timepoints: int,
        time_points: Sequence[int],
        n_groups: int = 64,
        n_kernels: int = 8,
        engine: Engine = "auto",
    ) -> None:
        super().__init__()
        self.time_points = check_time_points(time_points, n_timepoints)
        _check_length(n_timepoints)
        if n_kernels < 2:
            raise ValueError(
                f"n_kernels must be 2 or more, since kernels compete, got {n_kernels}"
            )
        self.n_channels = n_channels
        self.n_timepoints = n_timepoints
        self.n_kernels = n_kernels
        self.engine = engine
        longest = max(self.time_points[-1], N_TAPS)
        dilations = 2 ** np.arange(int(np.log2((longest - 1) / (N_TAPS - 1))) + 1)
        of_each = max(n_groups // (2 * LANES), 1)
        self.dilations = np.repeat(dilations, 2 * of_each)
        self.of_difference = np.tile(np.repeat([0, 1], of_each), len(dilations))
        n_blocks = len(self.dilations)
        self.n_features = n_blocks * 2 * n_kernels * LANES
        slots = 1 if n_channels == 1 else min(n_channels, MAX_CHANNELS)
        self.weights: Tensor
        self.channels: Tensor
        self.units: Tensor
        self.register_buffer("weights", torch.zeros(n_blocks, N_TAPS, n_kernels, LANES))
        self.register_buffer("channels", torch.zeros(n_blocks, LANES, slots, dtype=torch.int64))
        self.register_buffer("units", torch.ones(n_blocks))

    def fit(self, x: Tensor, seed: int, lengths: Tensor | None = None) -> PrefixHydra:
        """Draw kernels and channels, and compute the units of sums from training series.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, n_timepoints)
            Training series.
        seed : int
            Seed of all random draws.
        lengths : Tensor of shape (n,), optional
            Lengths of the series without padding; None if all are equal.

        Returns
        -------
        PrefixHydra
            The transform itself.
        """
        rng = np.random.default_rng(seed)
        weights = rng.standard_normal(self.weights.shape)
        weights -= weights.mean(1, keepdims=True)
        weights /= np.abs(weights).sum(1, keepdims=True)
        self.weights.copy_(torch.from_numpy(weights))
        self.channels.copy_(channel_slots(self.channels.shape, self.n_channels, rng))
        rows = np.sort(rng.permutation(len(x))[:N_SCALING])
        stops = torch.full((len(rows),), x.shape[2]) if lengths is None else lengths.cpu()[rows]
        series = x[torch.from_numpy(rows).to(x.device), :, : int(stops.max())].float()
        inside = (torch.arange(series.shape[2]) < stops[:, None]).to(x.device)
        window = self._window(self.start(len(series)), series)
        for b in range(len(self.units)):
            squares = self._outputs(window, b).square().mean((1, 2))
            usual = float(squares[inside].mean().sqrt())
            self.units[b] = _power_of_two(usual) if np.isfinite(usual) and usual > 0 else 1.0
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        check_channels(self.channels, self.n_channels)

    def _engine(self, x: Tensor, moments: list[int]) -> Callable[[Tensor], Tensor]:
        """Return a function that maps series to features ``(n_moments, n, n_features)``."""
        _check_length(x.shape[2])
        scales = self.scales(moments)
        if takes_numba(self.engine, x, "prefix_hydra_numba"):
            return lambda part: self._in_numba(self.start(len(part)), part, moments, scales)
        return lambda part: self._in_torch(part, moments, scales)

    def scales(self, moments: Sequence[int]) -> Tensor:
        """Return the factors from sums and counts to means, ``(n_moments, n_blocks, 2)``.

        Parameters
        ----------
        moments : sequence of int
            Numbers of points after which features are computed.

        Returns
        -------
        Tensor
            For sums, the unit divided by the number of points; for counts, one divided by it.
        """
        shares = [1 / max(t, 1) for t in moments]
        units = torch.stack([self.units, torch.ones_like(self.units)], 1)
        return torch.tensor(shares, device=units.device)[:, None, None] * units

    def start(self, n: int) -> HydraState:
        """Return the initial state of ``n`` series, before the first point.

        Parameters
        ----------
        n : int
            Number of series.

        Returns
        -------
        HydraState
        """
        recent = self.units.new_zeros(n, 2 * self.n_channels, 8 * int(self.dilations.max()))
        counts = torch.zeros(n, self.n_features, dtype=torch.int32, device=self.units.device)
        return HydraState(0, recent, counts)

    @torch.no_grad()
    def step(self, state: HydraState, points: Tensor) -> HydraState:
        """Read more points of each series, at a constant cost per point.

        Parameters
        ----------
        state : HydraState
            State after the previous points. It is updated in place. To return to a state later,
            keep the result of :meth:`HydraState.copy`.
        points : Tensor of shape (n, n_channels) or (n, n_channels, n_points)
            The next point or points of each series.

        Returns
        -------
        HydraState
            The same object, updated.
        """
        if points.ndim == 2:
            points = points[:, :, None]
        _check_length(state.n_read + points.shape[2])
        if takes_numba(self.engine, points, "prefix_hydra_numba"):
            self._in_numba(state, points, [], self.scales([]))
        else:
            self._read(state, points)
        return state

    def features(self, state: HydraState) -> Tensor:
        """Return the features after the points that a state has read.

        Parameters
        ----------
        state : HydraState
            The state.

        Returns
        -------
        Tensor of shape (n, n_features)
            Features equal to those of :meth:`transform` on these points, bit for bit.
        """
        return self._roots(state.counts[None], self.scales([state.n_read]))[0]

    def _in_numba(
        self, state: HydraState, x: Tensor, moments: list[int], scales: Tensor
    ) -> Tensor:
        from . import prefix_hydra_numba

        window = self._window(state, x.detach())
        out = prefix_hydra_numba.read(
            window.numpy(), state.counts.numpy(), self._plan(), moments, scales.numpy()
        )
        state.n_read += x.shape[2]
        return torch.from_numpy(out)

    def _plan(self) -> tuple[NDArray[Any], ...]:
        """Return the description of the blocks that the compiled engine takes."""
        return (
            self.dilations,
            self.of_difference,
            self.weights.flatten(1).numpy(),
            self.channels.numpy(),
            1 / self.units.numpy(),
        )

    def _in_torch(self, x: Tensor, moments: list[int], scales: Tensor) -> Tensor:
        if torch.compiler.is_exporting():  # A graph takes any number of series.
            return self._roots(self._read(self.start(x.shape[0]), x, moments), scales.to(x))
        size = max(TORCH_BYTES // (4 * LANES * self.n_kernels * max(x.shape[2], 1)), 1)
        parts = [
            self._roots(self._read(self.start(len(part)), part, moments), scales.to(x))
            for part in x.split(size)
        ]
        return torch.cat(parts, 1)

    def _roots(self, counts: Tensor, scales: Tensor) -> Tensor:
        """Return the features of sums and counts ``(n_moments, n, n_features)``."""
        shape = (*counts.shape[:2], len(self.units), 2, self.n_kernels * LANES)
        means = counts.view(shape).clamp(min=0) * scales[:, None, :, :, None]
        return exact_root(means).flatten(2)

    def _read(self, state: HydraState, x: Tensor, moments: Sequence[int] = ()) -> Tensor:
        """Add points to a state.

        Return its counts ``(n_moments, n, n_features)`` at moments, which are given as numbers of
        new points.
        """
        window = self._window(state, x)
        places = torch.tensor(moments, dtype=torch.int64, device=x.device) - 1
        size = 2 * self.n_kernels * LANES
        found = []
        for b in range(len(self.units)):
            hits = _hits(self._outputs(window, b), 1 / self.units[b].to(x))
            sums = torch.cumsum(hits.flatten(1, 3), -1, dtype=torch.int32)
            state.counts[:, b * size : (b + 1) * size] += sums[..., -1]
            found.append(sums[..., places])
        state.n_read += x.shape[2]
        return torch.cat(found, 1).permute(2, 0, 1).contiguous()

    def _window(self, state: HydraState, x: Tensor) -> Tensor:
        """Join recent and new points of series and differences, and update the recent points."""
        last = state.recent[:, : self.n_channels, -1:] if state.n_read else x[:, :, :1]
        differences = torch.diff(x, dim=2, prepend=last.to(x))
        window = torch.cat([state.recent.to(x), torch.cat([x, differences], 1)], 2)
        state.recent.copy_(window[:, :, x.shape[2] :])
        return window

    def _outputs(self, window: Tensor, b: int) -> Tensor:
        """Return the outputs ``(n, n_kernels, 16, t)`` of block ``b``."""
        first = self.n_channels * int(self.of_difference[b])
        series = window[:, first : first + self.n_channels]
        series = sum_of_channels(series, self.channels[b])[:, None]
        weights = self.weights[b, ..., None].to(window)
        margin, d = 8 * int(self.dilations.max()), int(self.dilations[b])
        t = window.shape[2] - margin
        total = None
        for j in range(N_TAPS):  # Sums have one order, which no matrix product promises.
            at = margin - (8 - j) * d
            product = weights[j] * series[..., at : at + t]
            total = product if total is None else total.add_(product)
        assert total is not None
        return total


def _hits(outputs: Tensor, per_unit: Tensor) -> Tensor:
    """Return the increments of sums and counts by each output, ``(n, 2, n_kernels, 16, t)``."""
    largest = smallest = outputs[:, 0]
    winner = loser = torch.zeros(largest.shape, dtype=torch.int32, device=outputs.device)
    for k in range(1, outputs.shape[1]):  # Comparisons that treat NaN as the other engine does.
        above, below = outputs[:, k] > largest, outputs[:, k] < smallest
        largest, winner = torch.where(above, outputs[:, k], largest), winner.masked_fill(above, k)
        smallest, loser = torch.where(below, outputs[:, k], smallest), loser.masked_fill(below, k)
    scaled = largest * per_unit
    most = scaled.new_tensor(float(LARGEST))
    scaled = torch.where(scaled < most, scaled, most)
    scaled = torch.where(scaled > -most, scaled, -most)
    kernels = torch.arange(outputs.shape[1], device=outputs.device)[:, None, None]
    wins = (winner[:, None] == kernels) * scaled.to(torch.int32)[:, None]
    return torch.stack([wins, (loser[:, None] == kernels).to(torch.int32)], 1)


def _power_of_two(usual: float) -> float:
    return float(2.0 ** (round(np.log2(usual)) - RESOLUTION))


def _check_length(n_timepoints: int) -> None:
    if n_timepoints > MAX_TIMEPOINTS:
        raise ValueError(f"series may have {MAX_TIMEPOINTS} points at most, got {n_timepoints}")

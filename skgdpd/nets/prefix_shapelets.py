"""Dilated shapelets: distances of the prefixes of a series to parts of training series.

A shapelet consists of points of a training series that are ``d`` apart, where ``d`` is its
dilation. Its distance to a series at output ``i`` is the mean absolute difference from the points
``..., i - 2d, i - d, i``; no later point matters. Half of the shapelets compare raw values. For
the other half, the shapelet and the points of the series are first standardised separately: their
mean is subtracted, and they are divided by their standard deviation. A hundredth of a typical
standard deviation in the training series is added to the divisor, so that flat parts stay flat.

A shapelet has two features: the smallest distance so far, and the fraction of outputs whose
distance is below the threshold of the shapelet. Both are 0 before the first output, which needs as
many points as the shapelet spans. One pass gives the features of every prefix. A state of minima
and counts gives them point by point. Half of the shapelets are made for the longest prefix, and
the others for all prefixes in turn.

Shapelets are computed in blocks of 16, which share length, dilation, normalisation and channels.

Two engines give the same features bit for bit: torch on any device, and numba on a CPU.

Source of the features: A. Guillaume, C. Vrain, W. Elloumi, "Random dilated shapelet transform: a
new approach for time series shapelets", ICPRAI 2022, arXiv 2109.13514.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .causal import LANES, CausalFeatures, check_time_points, exact_root, takes_numba
from .minirocket import MAX_CHANNELS, Engine, check_channels

LENGTH = 11
"""Number of points of a shapelet, as chosen by the authors; fewer if the prefix is short."""
LEVELS = (0.05, 0.1)
"""Range of the quantile level at which a threshold is drawn, among the distances of the shapelet
to another training series."""
FLOOR = 0.01
"""Fraction of the typical standard deviation that is added to each standard deviation."""
TORCH_BYTES = 1 << 26
"""Size in bytes of the largest array that the torch engine makes."""


@dataclass
class ShapeletState:
    """State of series after some of their points.

    Attributes
    ----------
    n_read : int
        Number of points that have been read.
    recent : Tensor of shape (n, n_channels, longest span - 1)
        The last points; unused entries are zero.
    minima : Tensor of shape (n, n_shapelets)
        Smallest distances; infinity before the first output.
    counts : Tensor of shape (n, n_shapelets)
        Numbers of distances below each threshold, as 32-bit integers.
    """

    n_read: int
    recent: Tensor
    minima: Tensor
    counts: Tensor

    def copy(self) -> ShapeletState:
        """Return an independent copy of the state."""
        tensors = (self.recent.clone(), self.minima.clone(), self.counts.clone())
        return ShapeletState(self.n_read, *tensors)


def shapelet_shapes(
    time_points: Sequence[int], n_blocks: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose lengths and dilations of blocks of shapelets that suit prefixes of several lengths.

    Half of the blocks are made for the longest prefix, and the others for the prefixes in turn.
    The dilations are spread evenly on a logarithmic scale, from 1 to the largest that fits the
    prefix.

    Parameters
    ----------
    time_points : sequence of int
        Lengths of the prefixes in ascending order.
    n_blocks : int
        Number of blocks.

    Returns
    -------
    lengths, dilations : ndarray of shape (n_blocks,)
    """
    numbers = np.arange(n_blocks)
    points = np.array(time_points)
    own = np.where(numbers % 4 < 2, points[-1], points[(numbers // 2) % len(points)])
    lengths = np.minimum(LENGTH, np.maximum(2 * own // 3, 1))
    room = np.maximum(own - 1, 1) / np.maximum(lengths - 1, 1)
    golden = (np.sqrt(5) + 1) / 2
    dilations = np.floor(np.maximum(room, 1) ** ((numbers + 1) * golden % 1))
    return lengths, np.where(lengths > 1, dilations, 1).astype(np.int64)


class PrefixShapelets(CausalFeatures):
    """Distances of the prefixes of series to random dilated shapelets.

    Features are ordered by block, then kind (smallest distance before fraction below the
    threshold), then shapelet.

    Parameters
    ----------
    n_channels, n_timepoints : int
        Numbers of channels and of time points of the longest series.
    time_points : sequence of int
        Lengths of the prefixes in ascending order, from 1 to ``n_timepoints``.
    n_shapelets : int, default=1024
        Number of shapelets; rounded down to a multiple of 64, and at least 64.
    engine : {"auto", "torch", "numba"}, default="auto"
        Engine that computes the features. ``"auto"`` uses numba for float32 series on a CPU
        if it is installed. Both engines give the same features.

    Attributes
    ----------
    lengths, dilations : ndarray of shape (n_blocks,)
        Number of points of the shapelets of each block, and the distance in time between points.
    starts : ndarray of shape (n_blocks,)
        First output of each block.
    normalized : ndarray of shape (n_blocks,)
        1 for blocks that compare standardised points, 0 for the others.
    values : Tensor of shape (n_blocks, n_slots * max_length, 16)
        Points of each shapelet, channel by channel; zero before ``fit``.
    thresholds : Tensor of shape (n_blocks, 16)
        Distances below which an output is counted.
    n_compared : ndarray of shape (n_blocks,)
        Number of channels that a block compares.
    channels : Tensor of shape (n_blocks, n_slots)
        Indices of the compared channels, in the first ``n_compared`` slots.
    floors : Tensor of shape (n_channels,)
        Constant that is added to the standard deviations of each channel.
    """

    def __init__(
        self,
        n_channels: int,
        n_timepoints: int,
        time_points: Sequence[int],
        n_shapelets: int = 1024,
        engine: Engine = "auto",
    ) -> None:
        super().__init__()
        self.time_points = check_time_points(time_points, n_timepoints)
        self.n_channels = n_channels
        self.n_timepoints = n_timepoints
        self.engine = engine
        n_blocks = 4 * max(n_shapelets // (4 * LANES), 1)
        self.lengths, self.dilations = shapelet_shapes(self.time_points, n_blocks)
        self.starts = (self.lengths - 1) * self.dilations
        numbers = np.arange(n_blocks)
        self.normalized = numbers % 2
        self.n_features = n_blocks * 2 * LANES
        slots = min(n_channels, MAX_CHANNELS)
        # Two to a uniform power: few channels are more frequent than many.
        self.n_compared = ((slots + 1) ** ((numbers + 1) * np.sqrt(2) % 1)).astype(np.int64)
        rows = slots * int(self.lengths.max())
        self.values: Tensor
        self.thresholds: Tensor
        self.channels: Tensor
        self.floors: Tensor
        self.register_buffer("values", torch.zeros(n_blocks, rows, LANES))
        self.register_buffer("thresholds", torch.zeros(n_blocks, LANES))
        self.register_buffer("channels", torch.zeros(n_blocks, slots, dtype=torch.int64))
        self.register_buffer("floors", torch.ones(n_channels))

    def fit(self, x: Tensor, seed: int, lengths: Tensor | None = None) -> PrefixShapelets:
        """Draw shapelets and their thresholds from training series.

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
        PrefixShapelets
            The transform itself.
        """
        rng = np.random.default_rng(seed)
        for own, size in zip(self.channels, self.n_compared, strict=True):
            drawn = np.sort(rng.choice(self.n_channels, size, replace=False))
            own[:size] = torch.from_numpy(drawn)
        series = x.cpu().float()
        own = torch.full((len(x),), x.shape[2]) if lengths is None else lengths.cpu()
        self.floors.copy_(FLOOR * _deviations(series, own))
        for b in range(len(self.starts)):
            # Series that are too short are drawn only where all are.
            long = np.flatnonzero((own > self.starts[b]).numpy())
            if not len(long):
                continue
            rows, others = rng.choice(long, (2, LANES))
            stops = rng.integers(self.starts[b], own[rows].numpy())
            taps = self._taps(self._padded(series[rows]), b)
            values = taps[torch.arange(LANES), :, torch.from_numpy(stops)]
            self.values[b, : values.shape[1]] = values.T
            distances = self._distances(self._padded(series[others]), b)
            levels = rng.uniform(*LEVELS, LANES)
            for g in range(LANES):
                counted = distances[g, g, self.starts[b] : int(own[others[g]])].numpy()
                self.thresholds[b, g] = float(np.quantile(counted, levels[g]))
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        # No slot is empty: how many are used does not depend on the data.
        check_channels(self.channels[:, :, None], self.n_channels)

    def _padded(self, x: Tensor) -> Tensor:
        return torch.cat([x.new_zeros(*x.shape[:2], int(self.starts.max())), x], 2)

    def _engine(self, x: Tensor, moments: list[int]) -> Callable[[Tensor], Tensor]:
        """Return a function that maps series to features ``(n_moments, n, n_features)``."""
        if takes_numba(self.engine, x, "prefix_shapelets_numba"):
            return lambda part: self._in_numba(self.start(len(part)), part, moments)
        return lambda part: self._in_torch(part, moments)

    def start(self, n: int) -> ShapeletState:
        """Return the initial state of ``n`` series, before the first point.

        Parameters
        ----------
        n : int
            Number of series.

        Returns
        -------
        ShapeletState
        """
        like, shape = self.values, (n, len(self.starts) * LANES)
        return ShapeletState(
            0,
            like.new_zeros(n, self.n_channels, int(self.starts.max())),
            like.new_full(shape, torch.inf),
            torch.zeros(shape, dtype=torch.int32, device=like.device),
        )

    @torch.no_grad()
    def step(self, state: ShapeletState, points: Tensor) -> ShapeletState:
        """Read more points of each series, at a constant cost per point.

        Parameters
        ----------
        state : ShapeletState
            State after the previous points. It is updated in place. To return to a state later,
            keep the result of :meth:`ShapeletState.copy`.
        points : Tensor of shape (n, n_channels) or (n, n_channels, n_points)
            The next point or points of each series.

        Returns
        -------
        ShapeletState
            The same object, updated.
        """
        if points.ndim == 2:
            points = points[:, :, None]
        if takes_numba(self.engine, points, "prefix_shapelets_numba"):
            self._in_numba(state, points, [])
        else:
            self._read(state, points, [])
        return state

    def features(self, state: ShapeletState) -> Tensor:
        """Return the features after the points that a state has read.

        Parameters
        ----------
        state : ShapeletState
            The state.

        Returns
        -------
        Tensor of shape (n, n_features)
            Features equal to those of :meth:`transform` on these points, bit for bit.
        """
        shape = (len(state.minima), len(self.starts), LANES)
        scales = torch.from_numpy(self.scales([state.n_read])[0]).to(state.minima.device)
        return _features(state.minima.view(shape), state.counts.view(shape), scales).flatten(1)

    def scales(self, moments: Sequence[int]) -> NDArray[np.float32]:
        """Return the factors from counts to fractions, ``(n_moments, n_blocks)``.

        Parameters
        ----------
        moments : sequence of int
            Numbers of points after which features are computed.

        Returns
        -------
        ndarray
            One over the number of outputs; 0 before the first output.
        """
        n_outputs = np.array(moments, dtype=np.int64)[:, None] - self.starts
        return np.where(n_outputs > 0, 1 / np.maximum(n_outputs, 1), 0).astype(np.float32)

    def _window(self, state: ShapeletState, x: Tensor) -> Tensor:
        """Join recent and new points of series, and update the recent points."""
        window = torch.cat([state.recent.to(x), x.detach()], 2)
        state.recent.copy_(window[:, :, x.shape[2] :])
        return window

    def _in_numba(self, state: ShapeletState, x: Tensor, moments: list[int]) -> Tensor:
        from . import prefix_shapelets_numba

        out = prefix_shapelets_numba.read(
            self._window(state, x).numpy(),
            state.minima.numpy(),
            state.counts.numpy(),
            state.n_read,
            self._plan(),
            moments,
            self.scales(moments),
        )
        state.n_read += x.shape[2]
        return torch.from_numpy(out)

    def _plan(self) -> tuple[NDArray[Any], ...]:
        """Return the description of the blocks that the compiled engine takes."""
        return (
            self.lengths,
            self.dilations,
            self.normalized,
            self.n_compared,
            self.values.flatten(1).numpy(),
            self.thresholds.numpy(),
            self.channels.numpy(),
            self.floors.numpy(),
        )

    def _in_torch(self, x: Tensor, moments: list[int]) -> Tensor:
        if torch.compiler.is_exporting():  # A graph takes any number of series.
            return self._read(self.start(x.shape[0]), x, moments)
        size = max(TORCH_BYTES // (4 * self.values.shape[1] * LANES * max(x.shape[2], 1)), 1)
        parts = [self._read(self.start(len(part)), part, moments) for part in x.split(size)]
        return torch.cat(parts, 1)

    def _read(self, state: ShapeletState, x: Tensor, moments: list[int]) -> Tensor:
        """Add points to a state; return features at moments, given as numbers of new points."""
        window = self._window(state, x)
        scales = torch.from_numpy(self.scales(moments)).to(x)
        times = torch.arange(state.n_read, state.n_read + x.shape[2], device=x.device)
        infinity = x.new_tensor(torch.inf)
        found = []
        for b, start in enumerate(self.starts):
            distances = self._distances(window, b)
            # Infinite before the first output, and where a distance is not a number.
            counted = (distances < infinity) & (times >= int(start))
            distances = torch.where(counted, distances, infinity)
            own = slice(b * LANES, (b + 1) * LANES)
            minima, counts = state.minima[:, own].to(x), state.counts[:, own]
            begin, rows = 0, []
            for m, stop in enumerate([*moments, x.shape[2]]):
                if stop > begin:
                    part = distances[:, :, begin:stop]
                    minima = torch.minimum(minima, part.amin(2))
                    below = part < self.thresholds[b, :, None]
                    counts = counts + below.sum(2, dtype=torch.int32)
                if m < len(moments):
                    rows.append(_features(minima[:, None], counts[:, None], scales[m, b : b + 1]))
                begin = stop
            state.minima[:, own], state.counts[:, own] = minima, counts
            found.append(torch.stack(rows) if rows else x.new_empty(0, x.shape[0], 1, 2, LANES))
        state.n_read += x.shape[2]
        return torch.cat(found, 2).flatten(2)

    def _distances(self, window: Tensor, b: int) -> Tensor:
        """Return the distances ``(n, 16, t)`` of the shapelets of block ``b``."""
        taps = self._taps(window, b)
        values = self.values[b, : taps.shape[1], :, None].to(window)
        total = (taps[:, :1] - values[0]).abs_()
        for j in range(1, taps.shape[1]):  # Sums have one order.
            total.add_((taps[:, j : j + 1] - values[j]).abs_())
        return total.mul_(float(np.float32(1 / taps.shape[1])))

    def _taps(self, window: Tensor, b: int) -> Tensor:
        """Return the points ``(n, n_used * length, t)`` with which shapelets are compared."""
        span, length, d = int(self.starts.max()), int(self.lengths[b]), int(self.dilations[b])
        t = window.shape[2] - span
        used = self.channels[b, : self.n_compared[b]].to(window.device)
        series = window[:, used]
        first = [span - (length - 1 - j) * d for j in range(length)]
        points = [series[:, :, at : at + t] for at in first]
        if self.normalized[b]:
            points = _normalized(points, self.floors.to(window)[used, None])
        return torch.stack(points, 2).flatten(1, 2)


def _normalized(points: list[Tensor], floor: Tensor) -> list[Tensor]:
    """Subtract the mean of the points of a window, and divide by their standard deviation."""
    share = float(np.float32(1 / len(points)))
    mean = points[0]
    for point in points[1:]:
        mean = mean + point
    mean = mean * share
    centred = [point - mean for point in points]
    square = centred[0] * centred[0]
    for point in centred[1:]:
        square = square + point * point
    factor = 1 / (exact_root(square * share) + floor)
    return [point * factor for point in centred]


def _features(minima: Tensor, counts: Tensor, scales: Tensor) -> Tensor:
    """Return features ``(n, n_blocks, 2, 16)`` of minima and counts ``(n, n_blocks, 16)``."""
    nearest = torch.where(minima < torch.inf, minima, torch.zeros_like(minima))
    return torch.stack([nearest, counts * scales[:, None]], 2)


def _deviations(x: Tensor, lengths: Tensor) -> Tensor:
    """Return the standard deviation of each channel within series; 1 if it is zero."""
    inside = torch.arange(x.shape[2]) < lengths[:, None, None]
    values = torch.where(inside, x, torch.zeros_like(x))
    mean = values.sum(2, keepdim=True) / lengths[:, None, None].clamp(min=1)
    squares = torch.where(inside, (x - mean).square(), torch.zeros_like(x)).sum((0, 2))
    found = (squares / lengths.sum().clamp(min=1)).sqrt()
    return torch.where((found > 0) & found.isfinite(), found, torch.ones_like(found))

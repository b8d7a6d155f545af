"""Quantiles of intervals of all prefixes of a series, from one pass over it.

The intervals are halves, quarters and so on of the longest prefix, at fixed places. So the
features of an interval never change once it has been read to its end. Those of an interval that
has begun are quantiles of the points so far, and those of one that has not are 0. The number of
points that have been read is a feature too, and features of different moments then have one
meaning.

The intervals are those of the series, of its slopes and of its second differences, which read no
later point. A slope is a mean of the last five first differences. QUANT's spectrum is left out: no
part of it is ever final.

Two engines give the same features up to rounding: torch on any device, and numba on a CPU.

Source of the features: A. Dempster, D. F. Schmidt, G. I. Webb, "QUANT: a minimalist interval
method for time series classification", Data Mining and Knowledge Discovery, 2024, arXiv
2308.00928.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from .minirocket import Engine
from .quantiles import POINTS_PER_QUANTILE, dyadic_intervals, n_quantiles

STEPS = 5
"""Number of first differences of which a slope is the mean, as in QUANT."""
N_REPRESENTATIONS = 3
"""The series, its slopes and its second differences."""
MAX_FEATURES = 4096
"""Limit above which fewer quantiles of each interval are taken: a forest is grown on features of
all moments, which are as many rows for each series."""
BLOCK_BYTES = 1 << 24
"""Size of the features that :meth:`PrefixQuantiles.path` makes at once."""


@dataclass
class PointBuffer:
    """State of series of which some points have been read: the points.

    Attributes
    ----------
    n_read : int
        Number of points that have been read.
    points : Tensor of shape (n, n_channels, n_timepoints)
        The points; zero where there is none yet.
    """

    n_read: int
    points: Tensor

    def copy(self) -> PointBuffer:
        """Return a state that goes on by itself."""
        return PointBuffer(self.n_read, self.points.clone())


class PrefixQuantiles(nn.Module):
    """Quantiles of intervals of the prefixes of series, a module without parameters or a state.

    Features are in the order channel, representation, interval, quantile; the last one is the
    share of ``time_points[-1]`` that has been read.

    Parameters
    ----------
    n_channels, n_timepoints : int
        Shape of the longest series.
    time_points : sequence of int
        Lengths of the prefixes, ascending, from 1 to ``n_timepoints``.
    engine : {"auto", "torch", "numba"}, default="auto"
        Engine that computes the features. ``"auto"`` takes numba for float32 series on a CPU
        where it is installed.

    Attributes
    ----------
    n_features : int
        Number of features.
    intervals : ndarray of shape (n_intervals, 4)
        Start and stop of each interval; first and last (exclusive) of its features.
    """

    def __init__(
        self,
        n_channels: int,
        n_timepoints: int,
        time_points: Sequence[int],
        engine: Engine = "auto",
    ) -> None:
        super().__init__()
        self.time_points = [int(t) for t in time_points]
        rising = all(a < b for a, b in pairwise(self.time_points))
        if not self.time_points or not rising or self.time_points[0] < 1:
            raise ValueError(f"time_points must be positive and ascending, got {time_points!r}")
        if self.time_points[-1] > n_timepoints:
            raise ValueError(f"time_points end at {time_points[-1]}, series at {n_timepoints}")
        self.n_channels = n_channels
        self.n_timepoints = n_timepoints
        self.engine = engine
        last = self.time_points[-1]
        bounds = np.array(dyadic_intervals(last), dtype=np.int64)
        points = POINTS_PER_QUANTILE
        while True:
            counts = np.array([n_quantiles(stop - start, points) for start, stop in bounds])
            ends = np.cumsum(counts)
            self.n_features = N_REPRESENTATIONS * n_channels * int(ends[-1]) + 1
            if self.n_features <= MAX_FEATURES or points >= last:
                break
            points *= 2
        self.intervals = np.column_stack([bounds, ends - counts, ends])

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of series; see :meth:`transform`."""
        return self.transform(x)

    @torch.no_grad()
    def transform(self, x: Tensor) -> Tensor:
        """Return the features of series after their last point.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, t)
            Series, or their first ``t`` points, which need be no moment.

        Returns
        -------
        Tensor of shape (n, n_features)
        """
        return self._features(x, [x.shape[2]])[:, 0]

    @torch.no_grad()
    def path(self, x: Tensor | Sequence[Tensor], block: int | None = None) -> Iterator[Tensor]:
        """Yield the features at each moment, block by block of series.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, t), or sequence of Tensor
            Series, which may end before the last moment. Or their prefixes at the first moments,
            ``(n, n_channels, time_points[m])``, where each has a normalisation of its own: this
            takes a pass for each moment.
        block : int, optional
            Number of series in a block; by default so many that a block has 16 MB.

        Yields
        ------
        Tensor of shape (n_block, n_moments, n_features)
            Features at those of ``time_points`` that the series reach.

        Raises
        ------
        ValueError
            If prefixes have other lengths than the moments.
        """
        length = x.shape[2] if isinstance(x, Tensor) else x[-1].shape[2]
        reached = [t for t in self.time_points if t <= length]
        if block is None:
            block = max(BLOCK_BYTES // (4 * self.n_features * max(len(reached), 1)), 1)
        if isinstance(x, Tensor):
            for part in x.split(block):
                yield self._features(part, reached)
            return
        lengths = [prefix.shape[2] for prefix in x]
        if lengths != reached:
            raise ValueError(f"prefixes must have lengths {self.time_points}, got {lengths}")
        for parts in zip(*(prefix.split(block) for prefix in x), strict=True):
            yield torch.stack([self.transform(part) for part in parts], 1)

    def _features(self, x: Tensor, moments: list[int]) -> Tensor:
        out = x.new_zeros(len(x), len(moments), self.n_features)
        if self._takes_numba(x):
            from . import prefix_quantiles_numba

            arrays = x.detach().numpy(), self.intervals, np.array(moments, dtype=np.int64)
            prefix_quantiles_numba.features(*arrays, STEPS, out.numpy())
        else:
            self._in_torch(x, moments, out)
        shares = np.minimum(np.array(moments) / self.time_points[-1], 1)
        out[:, :, -1] = torch.from_numpy(shares).to(out)
        return out

    def _takes_numba(self, x: Tensor) -> bool:
        if self.engine == "torch" or x.device.type != "cpu" or x.dtype != torch.float32:
            return False
        if self.engine == "numba":
            return True
        return not torch.compiler.is_exporting() and _has_numba()

    def _in_torch(self, x: Tensor, moments: list[int], out: Tensor) -> None:
        seen = representations(x.double())
        own = out[:, :, :-1].unflatten(2, (self.n_channels, N_REPRESENTATIONS, -1))
        for start, stop, first, last in self.intervals.tolist():
            for m, t in enumerate(moments):
                if t > start:
                    part = seen[:, :, :, start : min(stop, t)]
                    own[:, m, :, :, first:last] = _quantiles(part, last - first).to(x.dtype)
                if t >= stop:
                    own[:, m + 1 :, :, :, first:last] = own[:, m, None, :, :, first:last]
                    break

    def start(self, n: int, device: torch.device | str = "cpu") -> PointBuffer:
        """Return the state of ``n`` series of which no point has been read.

        Parameters
        ----------
        n : int
            Number of series.
        device : torch.device or str, default="cpu"
            Where the points are kept.

        Returns
        -------
        PointBuffer
        """
        shape = n, self.n_channels, self.n_timepoints
        return PointBuffer(0, torch.zeros(shape, device=device))

    def step(self, state: PointBuffer, points: Tensor) -> PointBuffer:
        """Read more points of each series; this keeps them and computes nothing.

        Parameters
        ----------
        state : PointBuffer
            State after the points before; it is updated in place.
        points : Tensor of shape (n, n_channels) or (n, n_channels, n_points)
            The next point of each series, or the next few.

        Returns
        -------
        PointBuffer
            The same state, after these points.

        Raises
        ------
        ValueError
            If there are more points than ``n_timepoints``.
        """
        points = points[:, :, None] if points.ndim == 2 else points
        stop = state.n_read + points.shape[2]
        if stop > self.n_timepoints:
            raise ValueError(f"series have {self.n_timepoints} points at most, got {stop}")
        state.points[:, :, state.n_read : stop] = points
        state.n_read = stop
        return state

    def features(self, state: PointBuffer) -> Tensor:
        """Return the features of series after the points that a state has read.

        Parameters
        ----------
        state : PointBuffer
            The state.

        Returns
        -------
        Tensor of shape (n, n_features)
            Those of :meth:`transform` on these points, which is called here: the cost is that of
            a pass over them.
        """
        return self.transform(state.points[:, :, : state.n_read])


def representations(x: Tensor) -> Tensor:
    """Return series, their slopes and their second differences.

    Parameters
    ----------
    x : Tensor of shape (n, n_channels, t)
        Series.

    Returns
    -------
    Tensor of shape (n, n_channels, 3, t)
        The slope at ``t`` is ``(x[t] - x[t - k]) / k`` with ``k = min(t, 5)``. It is 0 at the
        first point, and so are second differences at the first two.
    """
    times = torch.arange(x.shape[2], device=x.device)
    back = times.clamp(max=STEPS)
    slopes = (x - x[:, :, times - back]) / back.clamp(min=1)
    second = torch.zeros_like(x)
    first = x.diff(dim=2)
    second[:, :, 2:] = first.diff(dim=2)
    return torch.stack([x, slopes, second], 2)


def _quantiles(points: Tensor, count: int) -> Tensor:
    """Map points ``(..., n)`` to quantiles ``(..., count)``, every second one minus the mean."""
    n = points.shape[-1]
    ordered = points.sort(-1).values
    steps = torch.arange(count, dtype=points.dtype, device=points.device)
    position = steps * (n - 1) / (count - 1) if count > 1 else steps + (n - 1) / 2
    below = position.long().clamp(max=max(n - 2, 0))
    low, high = ordered[..., below], ordered[..., (below + 1).clamp(max=n - 1)]
    found = low + (high - low) * (position - below)
    found[..., 1::2] -= points.mean(-1, keepdim=True)
    return found


@cache
def _has_numba() -> bool:
    try:
        from .prefix_quantiles_numba import features  # noqa: F401
    except ImportError:  # Not installed, or not made for the installed numpy.
        return False
    return True

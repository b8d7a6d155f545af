"""Quantiles of intervals of all prefixes of a series.

At each moment they are those of :class:`~skgdpd.nets.quantiles.IntervalQuantiles` on the prefix:
the intervals are halves, quarters and so on of the part that has been read. The features of a
moment are therefore computed anew from its prefix, and a state keeps the points themselves.

Source of the features: A. Dempster, D. F. Schmidt, G. I. Webb, "QUANT: a minimalist interval
method for time series classification", Data Mining and Knowledge Discovery, 2024, arXiv
2308.00928.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from .quantiles import SORTED_AT_ONCE, IntervalQuantiles


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
    """Quantiles of the intervals of several prefixes of series, without parameters or a state.

    Parameters
    ----------
    n_channels, n_timepoints : int
        Shape of the longest series.
    time_points : sequence of int
        Lengths of the prefixes, ascending, from 1 to ``n_timepoints``.

    Attributes
    ----------
    n_features : list of int
        Number of features at each moment: the longer the prefix, the more.
    """

    def __init__(self, n_channels: int, n_timepoints: int, time_points: Sequence[int]) -> None:
        super().__init__()
        self.time_points = [int(t) for t in time_points]
        rising = all(a < b for a, b in pairwise(self.time_points))
        if not self.time_points or not rising or self.time_points[0] < 1:
            raise ValueError(f"time_points must be positive and ascending, got {time_points!r}")
        if self.time_points[-1] > n_timepoints:
            raise ValueError(f"time_points end at {time_points[-1]}, series at {n_timepoints}")
        self.n_channels = n_channels
        self.n_timepoints = n_timepoints
        self.transforms = nn.ModuleList(IntervalQuantiles(n_channels, t) for t in self.time_points)
        self.n_features = [int(own.n_features) for own in self.transforms]

    def prefixes(self, x: Tensor | Sequence[Tensor]) -> list[Tensor]:
        """Return the prefixes of series at the moments that they reach.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, t), or sequence of Tensor
            Series; or their prefixes at the first moments, ``(n, n_channels, time_points[m])``,
            where each prefix has a normalisation of its own.

        Returns
        -------
        list of Tensor

        Raises
        ------
        ValueError
            If prefixes are given that do not have the lengths of the moments.
        """
        if isinstance(x, Tensor):
            return [x[:, :, :t] for t in self.time_points if t <= x.shape[2]]
        lengths = [prefix.shape[2] for prefix in x]
        if lengths != self.time_points[: len(lengths)]:
            raise ValueError(f"prefixes must have lengths {self.time_points}, got {lengths}")
        return list(x)

    @torch.no_grad()
    def path(self, x: Tensor | Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield the features at each moment.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, t), or sequence of Tensor
            Series or prefixes, see :meth:`prefixes`. They may end before the last moment.

        Yields
        ------
        Tensor of shape (n, n_features[m])
            Features of all series at the m-th moment.
        """
        for m, prefix in enumerate(self.prefixes(x)):
            yield self.at(m, prefix)

    @torch.no_grad()
    def at(self, m: int, prefix: Tensor) -> Tensor:
        """Return the features ``(n, n_features[m])`` of prefixes at the m-th moment.

        Parameters
        ----------
        m : int
            Number of the moment.
        prefix : Tensor of shape (n, n_channels, time_points[m])
            The prefixes.

        Returns
        -------
        Tensor of shape (n, n_features[m])
        """
        size = max(SORTED_AT_ONCE // (prefix.shape[1] * prefix.shape[2]), 1)
        return torch.cat([self.transforms[m](part) for part in prefix.split(size)])

    def start(self, n: int) -> PointBuffer:
        """Return the state of ``n`` series of which no point has been read.

        Parameters
        ----------
        n : int
            Number of series.

        Returns
        -------
        PointBuffer
        """
        return PointBuffer(0, torch.zeros(n, self.n_channels, self.n_timepoints))

    def step(self, state: PointBuffer, points: Tensor) -> PointBuffer:
        """Read more points of each series; this copies them and computes nothing.

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
            raise ValueError(f"series have {self.n_timepoints} points, got {stop}")
        state.points[:, :, state.n_read : stop] = points
        state.n_read = stop
        return state

    def features(self, state: PointBuffer) -> Tensor:
        """Return the features of series at the moment that a state has reached.

        Parameters
        ----------
        state : PointBuffer
            The state.

        Returns
        -------
        Tensor of shape (n, n_features[m])

        Raises
        ------
        ValueError
            If the number of points that have been read is no moment.
        """
        return self.at(self.moment(state), state.points[:, :, : state.n_read])

    def moment(self, state: PointBuffer) -> int:
        """Return the number of the moment that a state has reached.

        Parameters
        ----------
        state : PointBuffer
            The state.

        Returns
        -------
        int

        Raises
        ------
        ValueError
            If the number of points that have been read is no moment.
        """
        if state.n_read not in self.time_points:
            raise ValueError(f"features are of {self.time_points} points, got {state.n_read}")
        return self.time_points.index(state.n_read)

"""Series as they are known at several moments."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Prefixes:
    """First parts of series, at several moments.

    Attributes
    ----------
    time_points : tuple of int
        The moments: ascending numbers of points.
    series : tuple of Tensor of shape (n, n_channels, time_points[m])
        The series up to each moment; zero beyond their own end.
    lengths : Tensor of shape (n, n_moments) or None
        Number of points that each series has reached at each moment; None where each series has
        reached every moment.
    nested : bool
        Whether the values up to a moment are those up to the last moment, cut. They are not where
        each prefix is normalised by itself. If True, ``series`` are parts of one tensor.
    """

    time_points: tuple[int, ...]
    series: tuple[Tensor, ...]
    lengths: Tensor | None
    nested: bool

    def __len__(self) -> int:
        return len(self.series[0])

    @property
    def n_moments(self) -> int:
        """Number of moments."""
        return len(self.time_points)

    def at(self, moment: int) -> tuple[Tensor, Tensor | None]:
        """Return the series and their lengths at a moment; None for lengths that are all equal."""
        lengths = None if self.lengths is None else self.lengths[:, moment]
        return self.series[moment], lengths

    def take(self, rows: Tensor) -> Prefixes:
        """Return some of the series."""
        lengths = None if self.lengths is None else self.lengths[rows]
        if self.nested:
            return cut(self.series[-1][rows], self.time_points, lengths)
        return Prefixes(self.time_points, tuple(x[rows] for x in self.series), lengths, False)

    def to(self, device: torch.device) -> Prefixes:
        """Return the same prefixes on another device."""
        lengths = None if self.lengths is None else self.lengths.to(device)
        if self.nested:
            return cut(self.series[-1].to(device), self.time_points, lengths)
        series = tuple(x.to(device) for x in self.series)
        return Prefixes(self.time_points, series, lengths, False)


def cut(x: Tensor, time_points: tuple[int, ...], lengths: Tensor | None = None) -> Prefixes:
    """Return the prefixes of series at several moments, not copied.

    Parameters
    ----------
    x : Tensor of shape (n, n_channels, time_points[-1])
        Series up to the last moment.
    time_points : tuple of int
        The moments.
    lengths : Tensor of shape (n, n_moments), optional
        Number of points that each series has reached at each moment.

    Returns
    -------
    Prefixes
    """
    return Prefixes(time_points, tuple(x[:, :, :t] for t in time_points), lengths, True)

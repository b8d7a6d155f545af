"""Prefixes of series at several moments."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Prefixes:
    """Prefixes of the same series at several moments.

    Attributes
    ----------
    time_points : tuple of int
        The moments, as prefix lengths in ascending order.
    series : tuple of Tensor of shape (n, n_channels, time_points[m])
        The series up to each moment, padded with zeros after their end.
    lengths : Tensor of shape (n, n_moments) or None
        Number of points of each series at each moment, without padding; None if every series
        reaches every moment.
    nested : bool
        Whether each prefix is a slice of the longest one. It is False if prefixes are normalised
        separately. If True, the elements of ``series`` are views of one tensor.
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
        """Return the series and their lengths at a moment; None means equal lengths."""
        lengths = None if self.lengths is None else self.lengths[:, moment]
        return self.series[moment], lengths

    def take(self, rows: Tensor) -> Prefixes:
        """Return the prefixes of the selected rows."""
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
    """Return the prefixes of series at several moments, as views.

    Parameters
    ----------
    x : Tensor of shape (n, n_channels, time_points[-1])
        Series up to the last moment.
    time_points : tuple of int
        The moments, as prefix lengths in ascending order.
    lengths : Tensor of shape (n, n_moments), optional
        Number of points of each series at each moment, without padding.

    Returns
    -------
    Prefixes
    """
    return Prefixes(time_points, tuple(x[:, :, :t] for t in time_points), lengths, True)

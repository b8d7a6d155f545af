"""Quantiles of intervals of a series, of its differences and of its spectrum.

What a forest needs to tell series apart: where values lie, in nested parts of the series, beside
how they are distributed about their mean there.

Source: A. Dempster, D. F. Schmidt, G. I. Webb, "QUANT: a minimalist interval method for time
series classification", Data Mining and Knowledge Discovery, 2024, arXiv 2308.00928.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DEPTH = 6
"""Levels of intervals, each of half the length of the one before: the authors' choice."""
POINTS_PER_QUANTILE = 4
"""The authors' choice too."""
SMOOTHED = 5
"""First differences over which a moving mean is taken."""
MIN_POINTS = 3
"""For second differences."""
MAX_FEATURES = 20_000
"""Above, fewer quantiles of each interval are taken: a forest draws a tenth of them anyway."""


def dyadic_intervals(n: int, depth: int = DEPTH) -> list[tuple[int, int]]:
    """Halves, quarters, ... of ``n`` points, and those that lie half of one further.

    Returns
    -------
    list of (int, int)
        Start and stop, the whole first; none is empty and none is there twice.
    """
    found = []
    for level in range(depth):
        edges = [i * n >> level for i in range((1 << level) + 1)]
        middles = [(a + b) // 2 for a, b in pairwise(edges)]
        for bounds in (edges, middles):
            found += [(a, b) for a, b in pairwise(bounds) if b > a]
    return list(dict.fromkeys(found))


class Quantiles(nn.Module):
    """Those of intervals of one length, minus the interval's mean every second one.

    Parameters
    ----------
    starts : list of int
        Of the intervals.
    length : int
        Of each.
    points_per_quantile : int
        Of ``1 + (length - 1) // points_per_quantile`` quantiles, the extremes and what lies evenly
        between them, or the median alone.
    """

    index: Tensor
    below: Tensor
    share: Tensor

    def __init__(self, starts: list[int], length: int, points_per_quantile: int) -> None:
        super().__init__()
        count = 1 + (length - 1) // points_per_quantile
        steps = torch.arange(count, dtype=torch.float64)
        position = steps * (length - 1) / (count - 1) if count > 1 else steps + (length - 1) / 2
        below = position.long().clamp(max=max(length - 2, 0))
        index = torch.tensor(starts)[:, None] + torch.arange(length)
        self.register_buffer("index", index, persistent=False)
        self.register_buffer("below", below, persistent=False)
        self.register_buffer("share", position - below, persistent=False)
        self.n_features = len(starts) * count

    def forward(self, x: Tensor) -> Tensor:
        """Features ``(n, c, n_features)`` of series ``(n, c, t)``."""
        values = x[:, :, self.index]
        ordered = values.sort(3).values
        low = ordered[:, :, :, self.below]
        high = ordered[:, :, :, (self.below + 1).clamp(max=values.shape[3] - 1)]
        found = low + (high - low) * self.share
        shifted = found[:, :, :, 1::2] - values.mean(3, keepdim=True)
        return torch.cat([found[:, :, :, ::2], shifted], 3).flatten(2)


def quantiles_by_length(n: int, points_per_quantile: int = POINTS_PER_QUANTILE) -> list[Quantiles]:
    """Those of ``n`` points' intervals, by their length, the longest first."""
    by_length: dict[int, list[int]] = {}
    for start, stop in dyadic_intervals(n):
        by_length.setdefault(stop - start, []).append(start)
    return [
        Quantiles(by_length[length], length, points_per_quantile)
        for length in sorted(by_length, reverse=True)
    ]


def representations(x: Tensor) -> list[Tensor]:
    """Series ``(n, c, t)``, smoothed first differences, second ones, spectrum's magnitudes."""
    first = x.diff(dim=2)
    padded = F.pad(first, (SMOOTHED // 2, SMOOTHED // 2), "replicate")
    smooth = sum(padded[:, :, i : i + first.shape[2]] for i in range(SMOOTHED)) / SMOOTHED
    return [x, smooth, first.diff(dim=2), torch.fft.rfft(x, dim=2).abs()]


class IntervalQuantiles(nn.Module):
    """The features, as a torch module without parameters or a state.

    Series shorter than ``n_timepoints`` are stretched linearly, so that intervals are shares of
    what there is of a series.

    Parameters
    ----------
    n_channels, n_timepoints : int
        Shape of the series.

    Attributes
    ----------
    n_features : int
        Number of features, those of the first channel first.
    """

    def __init__(self, n_channels: int, n_timepoints: int) -> None:
        super().__init__()
        self.n_channels = n_channels
        self.n_timepoints = t = max(n_timepoints, MIN_POINTS)
        points = POINTS_PER_QUANTILE
        while True:
            parts = [quantiles_by_length(n, points) for n in (t, t - 1, t - 2, t // 2 + 1)]
            self.n_features = n_channels * sum(own.n_features for part in parts for own in part)
            if self.n_features <= MAX_FEATURES or points >= t:
                break
            points *= 2
        self.parts = nn.ModuleList(nn.ModuleList(part) for part in parts)

    @torch.no_grad()
    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Features ``(n, n_features)`` of series ``(n, n_channels, n_timepoints)``."""
        if lengths is None:
            return self._features(x)
        features = x.new_empty(len(x), self.n_features)
        for length in lengths.unique().tolist():
            rows = lengths == length
            features[rows] = self._features(x[rows, :, :length])
        return features

    def _features(self, x: Tensor) -> Tensor:
        # In double precision, so that in every batch and runtime trees see the same single one.
        seen = representations(_stretched(x.double(), self.n_timepoints))
        found = [
            own(series)
            for series, part in zip(seen, self.parts, strict=True)
            for own in cast(nn.ModuleList, part)
        ]
        return torch.cat(found, 2).flatten(1).to(x.dtype)


def _stretched(x: Tensor, n_timepoints: int) -> Tensor:
    """Series ``(n, c, t)`` of another length, first and last points aligned."""
    t = x.shape[2]
    if t == n_timepoints:
        return x
    position = torch.arange(n_timepoints, dtype=x.dtype, device=x.device) * (t - 1)
    position = position / (n_timepoints - 1)
    left = position.long().clamp(max=max(t - 2, 0))
    right = (left + 1).clamp(max=t - 1)
    return x[:, :, left] + (x[:, :, right] - x[:, :, left]) * (position - left)

"""Quantiles of intervals of a series, of its differences and of its spectrum.

The quantiles describe the values in nested parts of a series, and their distribution about the
mean. A forest uses them as features.

Source: A. Dempster, D. F. Schmidt, G. I. Webb, "QUANT: a minimalist interval method for time
series classification", Data Mining and Knowledge Discovery, 2024, arXiv 2308.00928.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .causal import takes_numba
from .minirocket import Engine
from .rocket import in_parts

DEPTH = 6
"""Number of levels of intervals, as chosen by the authors. Each level halves the length."""
POINTS_PER_QUANTILE = 4
"""Number of points for each quantile of an interval, as chosen by the authors."""
SMOOTHED = 5
"""Number of first differences in a moving mean."""
MIN_POINTS = 3
"""Smallest number of points for which second differences exist."""
LEAST_FILLED = 0.9
"""Smallest length of an interval, as a fraction of the longest one sorted together with it."""
SORTED_AT_ONCE = 1 << 18
"""Number of values, of all series together, whose intervals are sorted at once."""
NOISE = 1e-5
"""Fraction of a channel's largest value below which differences of features count as rounding."""
MAX_FEATURES = 20_000
"""Number of features above which each interval gets fewer quantiles."""


def dyadic_intervals(n: int, depth: int = DEPTH) -> list[tuple[int, int]]:
    """Return dyadic intervals of ``n`` points, and the same intervals shifted by half a length.

    Parameters
    ----------
    n : int
        Number of points.
    depth : int, default=6
        Number of levels. The first level is the whole series, the next its halves, and so on.

    Returns
    -------
    list of (int, int)
        Start and stop of each interval, beginning with the whole series. No interval is empty or
        repeated.
    """
    found = []
    for level in range(depth):
        edges = [i * n >> level for i in range((1 << level) + 1)]
        middles = [(a + b) // 2 for a, b in pairwise(edges)]
        for bounds in (edges, middles):
            found += [(a, b) for a, b in pairwise(bounds) if b > a]
    return list(dict.fromkeys(found))


def n_quantiles(length: int, points_per_quantile: int) -> int:
    """Return the number of quantiles of an interval; a single quantile is the median."""
    return 1 + (length - 1) // points_per_quantile


class Interval(NamedTuple):
    """Interval of a representation, and the position of its features.

    Attributes
    ----------
    start, stop : int
        Bounds of the interval in the concatenated representations.
    first : int
        Index of the first feature of the interval.
    """

    start: int
    stop: int
    first: int

    @property
    def length(self) -> int:
        """Number of points."""
        return self.stop - self.start


class Quantiles(nn.Module):
    """Quantiles of intervals of similar length.

    The mean of the interval is subtracted from every second quantile.

    Parameters
    ----------
    intervals : list of Interval
        The intervals.
    points_per_quantile : int
        Number of points for each quantile; see :func:`n_quantiles`. For each interval, the raw
        quantiles come first, followed by the quantiles minus the mean.
    beyond : int
        Index of a point with the value infinity, which pads shorter intervals.
    """

    index: Tensor
    there: Tensor
    length: Tensor
    own: Tensor
    below: Tensor
    above: Tensor
    share: Tensor
    shifted: Tensor

    def __init__(self, intervals: list[Interval], points_per_quantile: int, beyond: int) -> None:
        super().__init__()
        longest = max(own.length for own in intervals)
        length = torch.tensor([own.length for own in intervals])
        there = torch.arange(longest) < length[:, None]
        index = torch.tensor([own.start for own in intervals])[:, None] + torch.arange(longest)
        first = torch.tensor([own.first for own in intervals])
        buffers = _features_of(length, first, points_per_quantile)
        self.places = buffers.pop("places")
        """Indices of the features in the order of all intervals."""
        buffers["index"] = torch.where(there, index, beyond).flatten()
        buffers |= {"there": there, "length": length.double()}
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map concatenated representations ``(n, c, t)`` to features ``(n, c, n_features)``."""
        values = x.index_select(2, self.index).unflatten(2, self.there.shape)
        ordered = values.sort(3).values.flatten(2)
        low, high = (ordered.index_select(2, place) for place in (self.below, self.above))
        mean = torch.where(self.there, values, torch.zeros_like(values)).sum(3) / self.length
        return low + (high - low) * self.share - mean.index_select(2, self.own) * self.shifted


def _features_of(length: Tensor, first: Tensor, points_per_quantile: int) -> dict[str, Tensor]:
    """Return the indices of the sorted points and of the means for the features of intervals."""
    count = torch.tensor([n_quantiles(n, points_per_quantile) for n in length.tolist()])
    own = torch.arange(len(length)).repeat_interleave(count)
    step = torch.arange(len(own)) - (count.cumsum(0) - count)[own]
    last = length[own] - 1
    middle, between = last / 2, (step * last).double() / (count[own] - 1).clamp(min=1)
    position = torch.where(count[own] > 1, between, middle.double())
    below = torch.minimum(position.long(), (last - 1).clamp(min=0))
    offset = own * length.max()
    shifted = step % 2
    n_plain = (count[own] + 1) // 2
    return {
        "own": own,
        "below": offset + below,
        "above": offset + torch.minimum(below + 1, last),
        "share": position - below,
        "shifted": shifted.double(),
        "places": first[own] + shifted * n_plain + step // 2,
    }


def placed_intervals(sizes: list[int], points_per_quantile: int) -> list[Interval]:
    """Return the intervals of concatenated representations, the longest of each one first."""
    found = []
    start = first = 0
    for size in sizes:
        for a, b in sorted(dyadic_intervals(size), key=lambda bounds: bounds[0] - bounds[1]):
            found.append(Interval(start + a, start + b, first))
            first += n_quantiles(b - a, points_per_quantile)
        start += size
    return found


def by_length(intervals: list[Interval]) -> list[list[Interval]]:
    """Group intervals of similar length, whose points are padded and sorted together."""
    groups: list[list[Interval]] = []
    for own in sorted(intervals, key=lambda interval: -interval.length):
        if not groups or own.length < LEAST_FILLED * groups[-1][0].length:
            groups.append([])
        groups[-1].append(own)
    return groups


def representations(x: Tensor) -> list[Tensor]:
    """Return series ``(n, c, t)``, their first and second differences, and their spectra."""
    first = x.diff(dim=2)
    padded = F.pad(first, (SMOOTHED // 2, SMOOTHED // 2), "replicate")
    smooth = sum(padded[:, :, i : i + first.shape[2]] for i in range(SMOOTHED)) / SMOOTHED
    return [x, smooth, first.diff(dim=2), torch.fft.rfft(x, dim=2).abs()]


class IntervalQuantiles(nn.Module):
    """Quantiles of all intervals of a series, as a torch module without parameters or state.

    Series shorter than ``n_timepoints`` are stretched linearly, so that intervals are fractions of
    the length of each series.

    Parameters
    ----------
    n_channels, n_timepoints : int
        Numbers of channels and of time points of the series.
    engine : {"auto", "torch", "numba"}, default="torch"
        Engine that sorts the intervals. The features of the two engines differ at most in the
        last digit.

    Attributes
    ----------
    n_features : int
        Number of features. Features are ordered by channel.
    """

    order: Tensor

    def __init__(self, n_channels: int, n_timepoints: int, engine: Engine = "torch") -> None:
        super().__init__()
        self.engine = engine
        self.n_channels = n_channels
        self.n_timepoints = t = max(n_timepoints, MIN_POINTS)
        sizes = [t, t - 1, t - 2, t // 2 + 1]
        points = POINTS_PER_QUANTILE
        while True:
            intervals = placed_intervals(sizes, points)
            last = intervals[-1]
            self.n_features = n_channels * (last.first + n_quantiles(last.length, points))
            if self.n_features <= MAX_FEATURES or points >= t:
                break
            points *= 2
        counts = [n_quantiles(own.length, points) for own in intervals]
        self._table = np.array(
            [
                (own.start, own.length, own.first, n)
                for own, n in zip(intervals, counts, strict=True)
            ]
        )
        groups = by_length(intervals)
        self.groups = nn.ModuleList(Quantiles(group, points, sum(sizes)) for group in groups)
        places = torch.cat([cast(Quantiles, group).places for group in self.groups])
        self.register_buffer("order", places.argsort(), persistent=False)

    @torch.no_grad()
    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map series ``(n, n_channels, n_timepoints)`` to features ``(n, n_features)``."""
        if torch.compiler.is_exporting():  # an exported graph takes any number of series
            return self._of_part(x, lengths)
        size = max(SORTED_AT_ONCE // (x.shape[1] * x.shape[2]), 1)
        return torch.cat([self._of_part(*part) for part in in_parts(x, lengths, size)])

    def _of_part(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        if lengths is None:
            return self._features(x)
        features = x.new_empty(len(x), self.n_features)
        for length in lengths.unique().tolist():
            rows = lengths == length
            features[rows] = self._features(x[rows, :, :length])
        return features

    def _features(self, x: Tensor) -> Tensor:
        # Double precision rounds to the same single precision in every batch and runtime.
        seen = representations(_stretched(x.double(), self.n_timepoints))
        if takes_numba(self.engine, x, "quantiles_numba"):
            from . import quantiles_numba

            features = quantiles_numba.features(torch.cat(seen, 2).numpy(), self._table)
            return torch.from_numpy(features).flatten(1)
        everything = F.pad(torch.cat(seen, 2), (0, 1), value=torch.inf)
        found = torch.cat([group(everything) for group in self.groups], 2)
        return found.index_select(2, self.order).flatten(1).to(x.dtype)


def without_rounding(features: Tensor, x: Tensor) -> Tensor:
    """Return features of training series without differences that are only rounding errors.

    Parameters
    ----------
    features : Tensor of shape (n, n_features)
        Features of the training series, ordered by channel.
    x : Tensor of shape (n, n_channels, t)
        The training series.

    Returns
    -------
    Tensor of shape (n, n_features)
        Features. A feature that differs between series by rounding errors only gets the value of
        the first series in all rows.
    """
    by_channel = features.unflatten(1, (x.shape[1], -1))
    spread = by_channel.amax(0) - by_channel.amin(0)
    is_noise = spread <= NOISE * x.abs().amax((0, 2))[:, None]
    return torch.where(is_noise, by_channel[:1], by_channel).flatten(1)


def _stretched(x: Tensor, n_timepoints: int) -> Tensor:
    """Stretch series ``(n, c, t)`` to another length, with first and last points aligned."""
    t = x.shape[2]
    if t == n_timepoints:
        return x
    position = torch.arange(n_timepoints, dtype=x.dtype, device=x.device) * (t - 1)
    position = position / (n_timepoints - 1)
    left = position.long().clamp(max=max(t - 2, 0))
    right = (left + 1).clamp(max=t - 1)
    return x[:, :, left] + (x[:, :, right] - x[:, :, left]) * (position - left)

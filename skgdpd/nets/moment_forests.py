"""Forests that predict from quantiles of the prefixes of a series, one forest for each moment.

The intervals are shares of the prefix, and the spectrum is that of the prefix, as in
:class:`~skgdpd.nets.quantiles.IntervalQuantiles`: the features of a moment are computed anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from .closed_form import drawn_rows
from .forest import Forest
from .prefix_quantiles import PointBuffer, PrefixQuantiles
from .quantiles import SORTED_AT_ONCE, IntervalQuantiles, without_rounding

MAX_ROWS = 2048
"""Number of rows on which the trees are grown at most."""
N_TREES = 50
"""Number of trees of each moment."""


class MomentForests(nn.Module):
    """Extremely randomised trees on quantiles of intervals, at several moments of a series.

    Parameters
    ----------
    n_channels, n_timepoints : int
        Shape of the longest series.
    time_points : sequence of int
        Lengths of the prefixes, ascending, from 1 to ``n_timepoints``.
    n_trees : int, default=50
        Number of trees of each moment.
    """

    def __init__(
        self,
        n_channels: int,
        n_timepoints: int,
        time_points: Sequence[int],
        n_trees: int = N_TREES,
    ) -> None:
        super().__init__()
        self.points = PrefixQuantiles(n_channels, n_timepoints, time_points)
        self.time_points = self.points.time_points
        self.quantiles = nn.ModuleList(IntervalQuantiles(n_channels, t) for t in self.time_points)
        self.forests = nn.ModuleList(Forest(n_trees) for _ in self.time_points)

    def fit(
        self,
        x: Tensor | Sequence[Tensor],
        target: Tensor,
        weight: Tensor | None,
        seed: int,
    ) -> Tensor:
        """Grow the trees of all moments.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, n_timepoints), or sequence of Tensor
            Normalised training series; or their prefixes, ``(n, n_channels, time_points[m])``,
            where each has a normalisation of its own.
        target : Tensor of shape (n, n_classes)
            Class probabilities.
        weight : Tensor of shape (n,) or None
            Weight of each row, not all zero; None where all are equal. Rows of weight zero are
            left out of all trees.
        seed : int
            Seed of all random draws.

        Returns
        -------
        Tensor of shape (n, n_moments, n_classes)
            Out-of-sample probabilities of each row: those of the trees whose sample does not have
            it, see :class:`~skgdpd.nets.forest.Forest`.
        """
        known = torch.arange(len(target)) if weight is None else weight.cpu().nonzero()[:, 0]
        drawn = drawn_rows(len(known), MAX_ROWS // 2, seed)
        rows = (known if drawn is None else known[drawn]).to(target.device)
        own_weight = None if weight is None else weight[rows]
        seeds = np.random.RandomState(seed).randint(np.iinfo(np.int32).max, size=len(self.forests))
        found = []
        for m, prefix in enumerate(self._prefixes(x)):
            features = self._features(m, prefix)
            own = without_rounding(features[rows], prefix[rows])
            left_out = self._forest(m).fit(own, target[rows], own_weight, int(seeds[m]))
            if len(rows) < len(target):
                every = self._forest(m)(features)
                every[rows] = left_out
                left_out = every
            found.append(left_out)
        return torch.stack(found, 1)

    @torch.no_grad()
    def path(self, x: Tensor | Sequence[Tensor]) -> Tensor:
        """Return the class probabilities at each moment.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, t), or sequence of Tensor
            Series or prefixes, as in :meth:`fit`. They may end before the last moment.

        Returns
        -------
        Tensor of shape (n, n_moments, n_classes)
            Probabilities at the moments that the series reach, at least one.
        """
        found = [
            self._forest(m)(self._features(m, prefix))
            for m, prefix in enumerate(self._prefixes(x))
        ]
        return torch.stack(found, 1)

    def _forest(self, m: int) -> Forest:
        return cast(Forest, self.forests[m])

    def _prefixes(self, x: Tensor | Sequence[Tensor]) -> list[Tensor]:
        if isinstance(x, Tensor):
            return [x[:, :, :t] for t in self.time_points if t <= x.shape[2]]
        lengths = [prefix.shape[2] for prefix in x]
        if lengths != self.time_points[: len(lengths)]:
            raise ValueError(f"prefixes must have lengths {self.time_points}, got {lengths}")
        return list(x)

    @torch.no_grad()
    def _features(self, m: int, prefix: Tensor) -> Tensor:
        size = max(SORTED_AT_ONCE // (prefix.shape[1] * prefix.shape[2]), 1)
        return torch.cat([self.quantiles[m](part) for part in prefix.split(size)])

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
        return self.points.start(n, self._forest(0).value.device)

    def step(self, state: PointBuffer, points: Tensor) -> PointBuffer:
        """Read more points of each series; see :meth:`PrefixQuantiles.step`.

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
        """
        return self.points.step(state, points)

    @torch.no_grad()
    def proba(self, state: PointBuffer) -> Tensor:
        """Return the class probabilities at the moment that a state has reached.

        Parameters
        ----------
        state : PointBuffer
            The state.

        Returns
        -------
        Tensor of shape (n, n_classes)

        Raises
        ------
        ValueError
            If the number of points that have been read is no moment.
        """
        if state.n_read not in self.time_points:
            raise ValueError(f"moments are {self.time_points}, got {state.n_read} points")
        m = self.time_points.index(state.n_read)
        return self._forest(m)(self._features(m, state.points[:, :, : state.n_read]))

"""Forests that predict from quantiles of the prefixes of a series, one forest for each moment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from .closed_form import drawn_rows
from .forest import Forest
from .prefix_quantiles import PointBuffer, PrefixQuantiles
from .quantiles import without_rounding

MAX_ROWS = 2048
"""Number of rows on which the trees are grown at most."""
N_TREES = 50
"""Number of trees of each moment."""


class PrefixForest(nn.Module):
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
        self.quantiles = PrefixQuantiles(n_channels, n_timepoints, time_points)
        self.forests = nn.ModuleList(Forest(n_trees) for _ in self.quantiles.time_points)

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
        for m, prefix in enumerate(self.quantiles.prefixes(x)):
            features = self.quantiles.at(m, prefix)
            own = without_rounding(features[rows], prefix[rows])
            left_out = self.forests[m].fit(own, target[rows], own_weight, int(seeds[m]))
            if len(rows) < len(target):
                every = self.forests[m](features)
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
        features = self.quantiles.path(x)
        found = [forest(own) for forest, own in zip(self.forests, features, strict=False)]
        return torch.stack(found, 1)

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
        return self.quantiles.start(n)

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
        return self.quantiles.step(state, points)

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
        """
        m = self.quantiles.moment(state)
        return self.forests[m](self.quantiles.features(state))

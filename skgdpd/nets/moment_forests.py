"""Forests that predict from quantiles of the prefixes of a series, one forest for each moment.

Intervals are fractions of the prefix, and the spectrum is the spectrum of the prefix; see
:class:`~skgdpd.nets.quantiles.IntervalQuantiles`. The features of each moment are therefore
computed separately.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from .forest import Forest, rows_to_grow
from .minirocket import Engine
from .prefixes import Prefixes
from .quantiles import IntervalQuantiles, without_rounding
from .rocket import AT_ONCE, in_parts

MAX_ROWS = 2048
"""Maximum number of rows on which the trees are grown."""
N_TREES = 50
"""Number of trees for each moment."""


class MomentForests(nn.Module):
    """Extremely randomised trees on quantiles of intervals, at several moments of a series.

    Parameters
    ----------
    n_channels : int
        Number of channels of the series.
    time_points : sequence of int
        Lengths of the prefixes in ascending order.
    n_trees : int, default=50
        Number of trees for each moment.
    engine : {"auto", "torch", "numba"}, default="auto"
        Engine that computes the quantiles; see
        :class:`~skgdpd.nets.quantiles.IntervalQuantiles`.
    """

    def __init__(
        self,
        n_channels: int,
        time_points: Sequence[int],
        n_trees: int = N_TREES,
        engine: Engine = "auto",
    ) -> None:
        super().__init__()
        self.quantiles = nn.ModuleList(
            IntervalQuantiles(n_channels, t, engine) for t in time_points
        )
        self.forests = nn.ModuleList(Forest(n_trees) for _ in time_points)

    @property
    def n_classes(self) -> int:
        """Number of classes; 1 before :meth:`fit`."""
        return cast(Forest, self.forests[0]).n_classes

    def fit(self, prefixes: Prefixes, target: Tensor, weight: Tensor | None, seed: int) -> Tensor:
        """Grow the trees of all moments.

        Parameters
        ----------
        prefixes : Prefixes
            Training series at the moments.
        target : Tensor of shape (n, n_classes)
            Class probabilities.
        weight : Tensor of shape (n,) or None
            Weight of each row, not all zero; None if all are equal. Rows of weight zero are
            left out of all trees.
        seed : int
            Seed of all random draws.

        Returns
        -------
        Tensor of shape (n, n_moments, n_classes)
            Out-of-sample probabilities of each row, from the trees whose samples don't contain
            the row; see :class:`~skgdpd.nets.forest.Forest`.
        """
        rows = rows_to_grow(target, weight, MAX_ROWS, seed)
        own_weight = None if weight is None else weight[rows]
        seeds = np.random.RandomState(seed).randint(np.iinfo(np.int32).max, size=len(self.forests))
        found = []
        for m in range(prefixes.n_moments):
            x, lengths = prefixes.at(m)
            ends = None if lengths is None else lengths[rows]
            own = without_rounding(self.quantiles[m](x[rows], ends), x[rows])
            forest = cast(Forest, self.forests[m])
            left_out = forest.fit(own, target[rows], own_weight, int(seeds[m]))
            if len(rows) < len(target):
                every = torch.cat([self(*part, m) for part in in_parts(x, lengths, AT_ONCE)])
                every[rows] = left_out
                left_out = every
            found.append(left_out)
        return torch.stack(found, 1)

    @torch.no_grad()
    def forward(self, x: Tensor, lengths: Tensor | None, moment: int) -> Tensor:
        """Return class probabilities at a moment.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, t)
            Series up to the moment.
        lengths : Tensor of shape (n,) or None
            Length of each series without padding; None if all are equal.
        moment : int
            Index of the moment, from 0.

        Returns
        -------
        Tensor of shape (n, n_classes)
        """
        return cast(Forest, self.forests[moment])(self.quantiles[moment](x, lengths))

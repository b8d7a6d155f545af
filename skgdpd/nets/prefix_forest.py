"""A forest that predicts at many moments of a series, from quantiles of its prefixes.

Its rows are series at moments: the features have one meaning at all moments, and the share that
has been read is one of them. So neighbouring moments share trees, and the number of trees does not
grow with the number of moments.

A bootstrap sample is one of series, and has each of them at a few random moments. A series is in
the sample of a tree at some moments, or at none. Then what the tree predicts for it is out of
sample at all moments.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .closed_form import drawn_rows
from .forest import Forest, multiplicities, shares_of_others, tree_seeds
from .minirocket import Engine
from .prefix_quantiles import PointBuffer, PrefixQuantiles
from .quantiles import without_rounding

N_TREES = 200
"""Number of trees for all moments."""
MOMENTS_PER_TREE = 2
"""Smallest number of moments at which a sample has a series."""
ROWS_PER_TREE = 1024
"""Number of rows of a sample up to which it has the series at more moments: this makes trees of
few series better, and these cost little."""
MAX_SERIES = 2048
"""Number of series on which the trees are grown at most."""
MAX_VALUES = 1 << 27
"""Number of values that all rows together have at most; fewer series are taken above it."""

ROWS_AT_ONCE = 4096
"""Number of rows, series at moments, for which the forest predicts at once."""


class PrefixForest(nn.Module):
    """Extremely randomised trees on quantiles of intervals, for all moments together.

    Parameters
    ----------
    n_channels, n_timepoints : int
        Shape of the longest series.
    time_points : sequence of int
        Lengths of the prefixes, ascending, from 1 to ``n_timepoints``.
    n_trees : int, default=200
        Number of trees.
    engine : {"auto", "torch", "numba"}, default="auto"
        See :class:`~skgdpd.nets.prefix_quantiles.PrefixQuantiles`.
    """

    def __init__(
        self,
        n_channels: int,
        n_timepoints: int,
        time_points: Sequence[int],
        n_trees: int = N_TREES,
        engine: Engine = "auto",
    ) -> None:
        super().__init__()
        self.quantiles = PrefixQuantiles(n_channels, n_timepoints, time_points, engine)
        self.forest = Forest(n_trees)

    def fit(
        self,
        x: Tensor | Sequence[Tensor],
        target: Tensor,
        weight: Tensor | None,
        seed: int,
    ) -> Tensor:
        """Grow the trees.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, n_timepoints), or sequence of Tensor
            Normalised training series; or their prefixes, ``(n, n_channels, time_points[m])``,
            where each has a normalisation of its own.
        target : Tensor of shape (n, n_classes)
            Class probabilities.
        weight : Tensor of shape (n,) or None
            Weight of each series, not all zero; None where all are equal. Series of weight zero
            are left out of all trees.
        seed : int
            Seed of all random draws.

        Returns
        -------
        Tensor of shape (n, n_moments, n_classes)
            Out-of-sample probabilities: those of the trees whose sample does not have the series.
            A series that is in every sample gets the weighted class shares of the others.
        """
        n, n_moments = len(target), len(self.quantiles.time_points)
        known = torch.arange(n) if weight is None else weight.cpu().nonzero()[:, 0]
        most = min(MAX_SERIES, MAX_VALUES // (n_moments * self.quantiles.n_features))
        drawn = drawn_rows(len(known), max(most // 2, 1), seed)
        rows = known if drawn is None else known[drawn.sort().values]
        own_target = target.double().cpu().numpy()[rows]
        own_weight = np.ones(len(rows))
        if weight is not None:
            own_weight = weight.double().cpu().numpy()[rows]
            own_weight *= len(rows) / own_weight.sum()
        seeds = tree_seeds(self.forest.n_trees, seed)
        samples = [multiplicities(len(rows), tree_seed) for tree_seed in seeds]
        features = self._training_rows(x, rows.to(target.device))
        self.forest.grow(
            features.cpu().numpy(),
            own_target.repeat(n_moments, 0),
            None if weight is None else own_weight.repeat(n_moments),
            [_at_moments(*own, n_moments) for own in zip(samples, seeds, strict=True)],
            seeds,
        )
        unseen = np.stack(samples, 1) == 0
        counted = torch.from_numpy(unseen.repeat(n_moments, 0)).to(target.device)
        left_out = self.forest.means(features, counted).unflatten(0, (-1, n_moments))
        if (always := ~unseen.any(1)).any():
            shares = shares_of_others(own_target, own_weight, always)
            left_out[always] = torch.from_numpy(shares).to(left_out)[:, None]
        if len(rows) == n:
            return left_out
        found = self.path(x)
        found[rows] = left_out
        return found

    def _training_rows(self, x: Tensor | Sequence[Tensor], rows: Tensor) -> Tensor:
        """Return the features of some series at all moments, ``(n_rows * n_moments, ...)``."""
        own = x[rows] if isinstance(x, Tensor) else [prefix[rows] for prefix in x]
        features = torch.cat(list(self.quantiles.path(own)))
        for m, t in enumerate(self.quantiles.time_points):
            prefix = own[:, :, :t] if isinstance(own, Tensor) else own[m]
            features[:, m, :-1] = without_rounding(features[:, m, :-1], prefix)
        return features.flatten(0, 1)

    @property
    def _block(self) -> int:
        """Number of series for which the forest predicts at once."""
        return max(ROWS_AT_ONCE // len(self.quantiles.time_points), 1)

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
            Probabilities at the moments that the series reach.
        """
        found = [
            self.forest(features.flatten(0, 1)).unflatten(0, features.shape[:2])
            for features in self.quantiles.path(x, self._block)
        ]
        return torch.cat(found)

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
        return self.quantiles.start(n, self.forest.value.device)

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
        """Return the class probabilities after the points that a state has read.

        Parameters
        ----------
        state : PointBuffer
            The state.

        Returns
        -------
        Tensor of shape (n, n_classes)
            Those of :meth:`path`, if a moment has been reached.
        """
        return self.forest(self.quantiles.features(state))


def _at_moments(sample: NDArray[np.int64], seed: int, n_moments: int) -> NDArray[np.int64]:
    """Return the sample of a tree, ``(n * n_moments,)``: each series at a few moments."""
    count = max(MOMENTS_PER_TREE, ROWS_PER_TREE // len(sample))
    if n_moments <= count:
        return sample.repeat(n_moments)
    shape = len(sample), n_moments
    order = np.random.RandomState([seed, 1]).random_sample(shape).argsort(1)
    chosen = np.zeros(shape, dtype=np.int64)
    np.put_along_axis(chosen, order[:, :count], sample[:, None], 1)
    return chosen.ravel()

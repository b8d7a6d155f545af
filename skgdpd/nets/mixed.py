"""Backbone of several families of features and a forest, which often err on different series."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .closed_form import MAX_RANK, drawn_rows
from .joined_features import FAMILIES, JoinedFeatures
from .minirocket import Engine
from .prefixes import cut
from .protocols import ClosedFormStart
from .rocket import AT_ONCE, in_parts
from .rocket_quant import RocketQuant, weighed
from .several_families import FamilySpans, averaged, family_spans


class Mixed(RocketQuant):
    """Backbone of MiniRocket, Hydra and shapelet features, a forest, and a trained projection.

    The fixed features are the coordinates of each family, and the log-probabilities of extremely
    randomised trees on quantiles of intervals. Training starts from the ridge regressions of the
    families, whose logits are averaged. The average is combined with the log-probabilities of the
    forest in the same way as in :class:`RocketQuant`.

    Parameters
    ----------
    n_channels, n_timepoints : int
        Numbers of channels and of time points of the series.
    n_features : int, default=128
        Number of output features.
    families : sequence of {"rocket", "hydra", "shapelets"}
        Families of the features; all three by default.
    max_rank : int, default=1024
        Maximum number of coordinates of each family.
    engine : {"auto", "torch", "numba"}, default="auto"
        See :class:`~skgdpd.nets.prefix_rocket.PrefixRocket`.
    n_trees : int, default=200
        Number of trees.

    References
    ----------
    A. Dempster, D. F. Schmidt, G. I. Webb, "MiniRocket: a very fast (almost) deterministic
    transform for time series classification", KDD 2021, arXiv 2012.08791; the same, "Hydra:
    competing convolutional kernels for fast and accurate time series classification", 2023, arXiv
    2203.13652; the same, "QUANT: a minimalist interval method for time series classification",
    2023, arXiv 2308.00928. A. Guillaume, C. Vrain, W. Elloumi, "Random dilated shapelet transform:
    a new approach for time series shapelets", 2022, arXiv 2109.13514.
    """

    def __init__(
        self,
        n_channels: int,
        n_timepoints: int,
        n_features: int = 128,
        families: Sequence[str] = tuple(FAMILIES),
        max_rank: int = MAX_RANK,
        engine: Engine = "auto",
        n_trees: int = 200,
    ) -> None:
        super().__init__(
            n_channels,
            n_timepoints,
            n_features,
            max_rank=max_rank,
            engine=engine,
            n_trees=n_trees,
            transform=JoinedFeatures(n_channels, n_timepoints, [n_timepoints], families, engine),
        )
        self.engine = engine

    @property
    def settings(self) -> tuple[object, ...]:
        """All settings that affect :meth:`fit_fixed`, apart from rows and seed."""
        families = (*self.transform.families, *self.transform.widths)
        forest = (self.quantiles.n_features, self.forest.n_trees)
        return (self.n_features, self.max_rank, self.engine, *families, *forest)

    def fit_fixed(
        self, x: Tensor, lengths: Tensor | None, target: Tensor, weight: Tensor | None, seed: int
    ) -> ClosedFormStart:
        """Fit the features, the forest and the first classifier; see :meth:`Rocket.fit_fixed`."""
        ends = None if lengths is None else lengths[:, None]
        self.transform.fit(cut(x, (x.shape[2],), ends), seed)
        found, coordinates = self._spans(x, lengths, seed)
        odds = self._fit_forest(x, lengths, target, weight, seed).double()
        start = weighed(averaged(coordinates, found.ranks, target, weight), odds, target, weight)
        # By falling variance, since the first of them become outputs of their own.
        order = coordinates.square().mean(0).argsort(descending=True, stable=True)
        own = start.weight
        start = start._replace(weight=torch.cat([own[: len(order)][order], own[len(order) :]]))
        self.mean.copy_(found.mean)
        self.basis = found.basis[:, order].float()
        joint = torch.cat([coordinates[:, order], odds], 1)
        return ClosedFormStart(
            *self._start_from(start, joint), joint.float(), start.left_out_logits
        )

    def _spans(self, x: Tensor, lengths: Tensor | None, seed: int) -> tuple[FamilySpans, Tensor]:
        """Return the directions of each family and the coordinates of all rows."""
        widths = self.transform.widths
        drawn = drawn_rows(len(x), self.max_rank, seed)
        if drawn is None:
            return family_spans(self.transform(x, lengths), widths, self.max_rank)
        drawn = drawn.to(x.device)
        own = None if lengths is None else lengths[drawn]
        found, _ = family_spans(self.transform(x[drawn], own), widths, self.max_rank)
        parts, single = in_parts(x, lengths, AT_ONCE), found.single()
        return found, torch.cat([single.of(self.transform(*part)) for part in parts])

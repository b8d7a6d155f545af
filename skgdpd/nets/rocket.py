"""Backbones of fixed MiniRocket features, alone or combined with InceptionTime.

The MiniRocket features are fitted once, before training; see
:class:`~skgdpd.nets.FixedFeatures`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .closed_form import MAX_RANK, LinearStart, drawn_rows, ridge, span
from .inception import InceptionTime
from .minirocket import Engine, MiniRocket
from .protocols import ClosedFormStart

AT_ONCE = 1024
"""Maximum number of series whose features are held in memory at once."""
SAME_FROM = 16
"""Smallest number of rows for which matrix products always sum in the same order."""


class Rocket(nn.Module):
    """Backbone of standardised MiniRocket features and a trained projection.

    Training starts from a ridge regression in closed form. The first outputs are the scores of
    this regression, and the others are principal components of the fixed features. During
    training, the projection acts on the coordinates of the rows in the space that the training
    rows span. It then has ``r * n_features + n_features`` weights with r < n. After training, it
    is folded into a projection of the MiniRocket features with
    ``n_fixed * n_features + n_features`` weights.

    Parameters
    ----------
    n_channels, n_timepoints : int
        Numbers of channels and of time points of the series.
    n_features : int, default=128
        Number of output features.
    n_fixed : int, default=9996
        Number of MiniRocket features; rounded down to a multiple of 84.
    max_rank : int, default=1024
        Maximum of r, the number of coordinates.
    engine : {"auto", "torch", "numba"}, default="auto"
        See :class:`~skgdpd.nets.minirocket.MiniRocket`.
    transform : torch.nn.Module, optional
        Transform that replaces MiniRocket; by default MiniRocket itself.

    References
    ----------
    A. Dempster, D. F. Schmidt, G. I. Webb, "MiniRocket: a very fast (almost) deterministic
    transform for time series classification", KDD 2021, arXiv 2012.08791.
    """

    fixed_is_all = True
    """True, because :meth:`forward` ignores the series if it gets ``fixed``."""

    def __init__(
        self,
        n_channels: int,
        n_timepoints: int,
        n_features: int = 128,
        n_fixed: int = 9996,
        max_rank: int = MAX_RANK,
        engine: Engine = "auto",
        transform: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.n_features = n_features
        self.max_rank = max_rank
        self.transform: Any = transform
        if transform is None:
            self.transform = MiniRocket(n_channels, n_timepoints, n_fixed, engine=engine)
        n_fixed = self.transform.n_features
        self.mean: Tensor
        self.basis: Tensor | None
        self.register_buffer("mean", torch.zeros(n_fixed))
        self.register_buffer("basis", None, persistent=False)
        self.projection = nn.Linear(n_fixed, n_features)

    @property
    def trains_one_projection(self) -> bool:
        """Whether only ``projection`` is trained; False if a subclass overrides ``forward``."""
        return type(self).forward is Rocket.forward

    def fixed_buffers(self) -> Iterator[Tensor]:
        """Return all buffers, because training changes none of them."""
        return self.buffers()

    @property
    def settings(self) -> tuple[object, ...]:
        """All settings that affect :meth:`fit_fixed`, apart from rows and seed."""
        own = self.transform
        return (self.n_features, self.max_rank, own.n_features, own.dilations, own.engine)

    def fit_fixed(
        self, x: Tensor, lengths: Tensor | None, target: Tensor, weight: Tensor | None, seed: int
    ) -> ClosedFormStart:
        """Fit the biases and statistics of the features, and the ridge classifier.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, n_timepoints)
            Training series.
        lengths : Tensor of shape (n,) or None
            Lengths of the series without padding; None if all are equal.
        target : Tensor of shape (n, n_classes)
            Class probabilities.
        weight : Tensor of shape (n,) or None
            Weight of each series; None if all are equal.
        seed : int
            Seed of all random draws.

        Returns
        -------
        ClosedFormStart
            The classifier, the coordinates of these series as their fixed features, and their
            leave-one-out logits.
        """
        exact, fixed = self._fit_coordinates(x, lengths, seed)
        start = ridge(exact, target, weight)
        return ClosedFormStart(*self._start_from(start, exact), fixed, start.left_out_logits)

    def _fit_coordinates(
        self, x: Tensor, lengths: Tensor | None, seed: int
    ) -> tuple[Tensor, Tensor]:
        """Fit biases and statistics; return coordinates in double and in single precision."""
        self.transform.fit(x, lengths, seed)
        drawn = drawn_rows(len(x), self.max_rank, seed)
        parts: Iterable[Tensor] = self._features_by_part(x, lengths)
        if drawn is None:
            found = span(torch.cat(list(parts)), self.max_rank)
        else:
            drawn = drawn.to(x.device)
            own = None if lengths is None else lengths[drawn]
            found = span(self.transform(x[drawn], own), self.max_rank)
        basis = found.basis
        self.mean.copy_(found.mean)
        self.basis = basis.float()
        if drawn is None:
            return found.coordinates, found.coordinates.float()
        exact, fixed = [], []
        for part in parts:
            exact.append((part - found.mean) @ basis)
            fixed.append((part - self.mean) @ self.basis)
        return torch.cat(exact), torch.cat(fixed)

    def _features_by_part(self, x: Tensor, lengths: Tensor | None) -> Iterator[Tensor]:
        # Features are a hundred times as large as series: those of all might not fit in memory.
        for part in in_parts(x, lengths, AT_ONCE):
            yield self.transform(*part)

    def _start_from(self, start: LinearStart, coordinates: Tensor) -> tuple[Tensor, Tensor]:
        """Set the projection to outputs of variance 1; return the classifier on top of them."""
        rank = coordinates.shape[1]
        weight, bias = start.weight, start.bias
        self.projection = nn.Linear(rank, self.n_features).to(self.mean.device)
        directions, strengths, mixture = torch.linalg.svd(weight, full_matrices=False)
        n_scores = min(int((strengths > strengths[0] * 1e-6).sum()), self.n_features)
        n_components = min(rank, self.n_features - n_scores)
        first = directions[:, :n_scores] * strengths[:n_scores]
        first_scale = spread(coordinates @ first)
        second_scale = spread(coordinates[:, :n_components])
        head = weight.new_zeros(weight.shape[1], self.n_features)
        head[:, :n_scores] = start.scale * (first_scale[:, None] * mixture[:n_scores]).T
        with torch.no_grad():
            own = self.projection.weight
            own[:n_scores] = (first / first_scale).T.to(own)
            own[n_scores : n_scores + n_components] = 0
            rows = torch.arange(n_components, device=own.device)
            own[n_scores + rows, rows] = (1 / second_scale).to(own)
            self.projection.bias.zero_()
        return head, start.scale * bias

    @torch.no_grad()
    def featurize(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return coordinates ``(n, r)`` during training, and centred features afterwards."""
        if self.basis is None:
            return self.transform(x, lengths) - self.mean
        parts = self._features_by_part(x, lengths)
        return torch.cat([(part - self.mean) @ self.basis for part in parts])

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, fixed: Tensor | None = None
    ) -> Tensor:
        """Map series ``(n, c, t)``, or their ``fixed`` features, to ``(n, n_features)``."""
        if fixed is not None:
            return self.projection(fixed)
        return self._projected(self.featurize(x, lengths))

    def _projected(self, fixed: Tensor) -> Tensor:
        """Project new series, with bits of a row that don't depend on the number of rows."""
        missing = SAME_FROM - fixed.shape[0] if not torch.compiler.is_exporting() else 0
        if missing <= 0:
            return self.projection(fixed)
        return self.projection(F.pad(fixed, (0, 0, 0, missing)))[: fixed.shape[0]]

    def fold(self) -> None:
        """Finish after training: merge basis and projection into a projection of the features."""
        if self.basis is None:
            return
        trained = self.projection
        on_coordinates = trained.weight[:, : self.basis.shape[1]]
        on_others = trained.weight[:, self.basis.shape[1] :]
        with torch.no_grad():
            weight = torch.cat([on_coordinates @ self.basis.T, on_others], 1)
            self.projection = nn.utils.skip_init(
                nn.Linear, weight.shape[1], self.n_features, device=self.mean.device
            )
            self.projection.weight.copy_(weight)
            self.projection.bias.copy_(trained.bias)
        self.basis = None


def in_parts(
    x: Tensor, lengths: Tensor | None, size: int
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield series and their lengths, at most ``size`` of them at a time."""
    parts = x.split(size)
    own = [None] * len(parts) if lengths is None else lengths.split(size)
    return zip(parts, own, strict=True)


def spread(coordinates: Tensor) -> Tensor:
    """Return the standard deviation of each zero-mean column, bounded away from zero."""
    return coordinates.square().mean(0).sqrt().clamp(min=1e-9)


class Hybrid(nn.Module):
    """Backbone of MiniRocket and InceptionTime features side by side.

    Training starts from the same classifier as for :class:`Rocket`; its weights of the inception
    features are zero.

    Parameters
    ----------
    n_channels, n_timepoints : int
        Numbers of channels and of time points of the series.
    n_rocket_features : int, default=128
        Number of features of the rocket part. The inception part has 128.
    engine : {"auto", "torch", "numba"}, default="auto"
        See :class:`~skgdpd.nets.minirocket.MiniRocket`.
    """

    fixed_is_all = False
    """False, because the inception part needs the series."""

    def __init__(
        self,
        n_channels: int,
        n_timepoints: int,
        n_rocket_features: int = 128,
        engine: Engine = "auto",
    ) -> None:
        super().__init__()
        self.rocket = Rocket(n_channels, n_timepoints, n_rocket_features, engine=engine)
        self.inception = InceptionTime(n_channels)
        self.n_features = n_rocket_features + self.inception.n_features

    def fit_fixed(
        self, x: Tensor, lengths: Tensor | None, target: Tensor, weight: Tensor | None, seed: int
    ) -> ClosedFormStart:
        """Fit the rocket part; see :meth:`Rocket.fit_fixed`."""
        head = self.rocket.fit_fixed(x, lengths, target, weight, seed)
        nothing = head.weight.new_zeros(len(head.weight), self.inception.n_features)
        return head._replace(weight=torch.cat([head.weight, nothing], 1))

    def featurize(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the fixed features of the rocket part; see :meth:`Rocket.featurize`."""
        return self.rocket.featurize(x, lengths)

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, fixed: Tensor | None = None
    ) -> Tensor:
        """Map series ``(n, c, t)`` to ``(n, n_features)``."""
        return torch.cat([self.rocket(x, lengths, fixed), self.inception(x, lengths)], 1)

    def fold(self) -> None:
        """Fold the rocket part; see :meth:`Rocket.fold`."""
        self.rocket.fold()

"""Causal features of several families, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .minirocket import Engine
from .prefix_hydra import HydraState, PrefixHydra
from .prefix_rocket import PrefixRocket, PrefixState
from .prefix_shapelets import PrefixShapelets, ShapeletState
from .prefixes import Prefixes

FAMILIES: dict[str, tuple[Any, Any]] = {
    "rocket": (PrefixRocket, PrefixState),
    "hydra": (PrefixHydra, HydraState),
    "shapelets": (PrefixShapelets, ShapeletState),
}
"""Transform class and state class of each family."""


class JoinedFeatures(nn.Module):
    """Features of one or more families at all moments of a series.

    Parameters
    ----------
    n_channels, n_timepoints : int
        Numbers of channels and of time points of the series up to the last moment.
    time_points : sequence of int
        The moments, as prefix lengths in ascending order.
    families : sequence of {"rocket", "hydra", "shapelets"}
        Names of the families.
    engine : {"auto", "torch", "numba"}, default="auto"
        See :class:`~skgdpd.nets.prefix_rocket.PrefixRocket`.
    """

    def __init__(
        self,
        n_channels: int,
        n_timepoints: int,
        time_points: Sequence[int],
        families: Sequence[str],
        engine: Engine = "auto",
    ) -> None:
        super().__init__()
        self.families = tuple(families)
        self.parts = nn.ModuleList(
            FAMILIES[name][0](n_channels, n_timepoints, time_points, engine=engine)
            for name in families
        )

    @property
    def widths(self) -> list[int]:
        """Number of features of each family."""
        return [int(part.n_features) for part in self.parts]  # type: ignore[arg-type]

    @property
    def n_features(self) -> int:
        """Total number of features."""
        return sum(self.widths)

    def fit(self, prefixes: Prefixes, seed: int) -> JoinedFeatures:
        """Fit all families.

        Parameters
        ----------
        prefixes : Prefixes
            Training series at the moments.
        seed : int
            Seed of all random draws.

        Returns
        -------
        JoinedFeatures
            The transform itself.
        """
        series: tuple[Tensor, Tensor | None] | None = None
        for i, (name, part) in enumerate(zip(self.families, self.parts, strict=True)):
            if name == "rocket":
                part.fit(prefixes, seed)  # type: ignore[operator]
                continue
            series = _examples(prefixes, seed) if series is None else series
            part.fit(series[0], seed + i, series[1])  # type: ignore[operator]
        return self

    def at(self, x: Tensor, time_points: Sequence[int]) -> Tensor:
        """Return the features ``(n_moments, n, n_features)`` of series at several moments."""
        found = [part.at(x, time_points) for part in self.parts]  # type: ignore[operator]
        return found[0] if len(found) == 1 else torch.cat(found, 2)

    @torch.no_grad()
    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the features ``(n, n_features)`` at the end of each series.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, t)
            Series, padded with zeros at the end.
        lengths : Tensor of shape (n,), optional
            Length of each series without padding; None if all are equal.

        Returns
        -------
        Tensor of shape (n, n_features)
        """
        return self.with_ended(self.at(x, [x.shape[2]])[0], x, lengths)

    def with_ended(self, features: Tensor, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Replace the features of series that ended before the last point of ``x``.

        Parameters
        ----------
        features : Tensor of shape (n, n_features)
            Features at the last point. They are modified in place.
        x : Tensor of shape (n, n_channels, t)
            Series, padded with zeros at the end.
        lengths : Tensor of shape (n,) or None
            Length of each series without padding; None if all are equal.

        Returns
        -------
        Tensor of shape (n, n_features)
        """
        if lengths is None:
            return features
        for length in lengths.unique().tolist():
            if length < x.shape[2]:
                rows = (lengths == length).nonzero()[:, 0]
                features[rows] = self.at(x[rows], [length])[0]
        return features

    def start(self, n: int) -> list[Tensor]:
        """Return the initial state of ``n`` series, before the first point."""
        return [
            tensor
            for part in self.parts
            for tensor in _tensors(part.start(n))  # type: ignore[operator]
        ]

    def step(self, state: list[Tensor], points: Tensor, n_read: int) -> Tensor:
        """Read the next points and return the features so far.

        Parameters
        ----------
        state : list of Tensor
            State of the series. It is updated in place.
        points : Tensor of shape (n, n_channels, k)
            The next points of each series; k may be 0.
        n_read : int
            Number of points that were read before.

        Returns
        -------
        Tensor of shape (n, n_features)
        """
        tensors = iter(state)
        found = []
        for name, part in zip(self.families, self.parts, strict=True):
            kind = FAMILIES[name][1]
            own = kind(n_read, *(next(tensors) for _ in fields(kind)[1:]))
            if points.shape[2]:
                part.step(own, points)  # type: ignore[operator]
            found.append(part.features(own))  # type: ignore[operator]
        return torch.cat(found, 1)


def _tensors(state: Any) -> list[Tensor]:
    first, *others = fields(state)
    assert first.name == "n_read"
    return [getattr(state, field.name) for field in others]


def _examples(prefixes: Prefixes, seed: int) -> tuple[Tensor, Tensor | None]:
    """Return the series and lengths from which kernels and shapelets are drawn.

    If prefixes are normalised separately, half of the series are cut at a random moment.
    """
    x, lengths = prefixes.at(prefixes.n_moments - 1)
    if prefixes.nested:
        return x, lengths
    rng = np.random.default_rng(seed)
    own = torch.full((len(x),), x.shape[2]) if lengths is None else lengths.clone()
    x = x.clone()
    for i in np.flatnonzero(rng.random(len(x)) < 0.5):
        m = int(rng.integers(prefixes.n_moments))
        series, at = prefixes.at(m)
        x[i] = 0
        x[i, :, : series.shape[2]] = series[i]
        own[i] = series.shape[2] if at is None else at[i]
    return x, own

"""Backbone of causal MiniRocket features with a linear map for each of several moments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .closed_form import MAX_RANK, LinearStart, drawn_rows, ridge, span
from .minirocket import Engine
from .prefix_rocket import PrefixRocket, PrefixState
from .prefixes import Prefixes
from .protocols import MomentStart
from .rocket import SAME_FROM, spread

FIT_BYTES = 1 << 28
"""Size of the features that a fit holds in memory at once."""
TRAINED_RANK = 256
"""Upper limit of the number of coordinates if the maps are trained, which keeps a basis for each
moment in memory."""


class PathRocket(nn.Module):
    """Causal MiniRocket features of all moments, and a linear map for each moment.

    The classifier of each moment is a ridge regression in closed form. Its scores are the first
    outputs. If the maps are trained further, principal components are the other outputs; else
    these are zero.

    Parameters
    ----------
    n_channels, n_timepoints : int
        Shape of the series up to the last moment.
    time_points : sequence of int
        The moments, ascending; the last is ``n_timepoints``.
    n_features : int, default=64
        Width of the output.
    n_fixed : int, default=9996
        Number of MiniRocket features; rounded down to a multiple of 84.
    max_rank : int, default=1024
        Upper limit of the number of coordinates of the features of a moment.
    engine : {"auto", "torch", "numba"}, default="auto"
        See :class:`~skgdpd.nets.prefix_rocket.PrefixRocket`.

    Attributes
    ----------
    maps : Parameter of shape (n_moments, n_fixed, width)
        Map of each moment; on coordinates during a training, on centred features after it.
    shifts : Parameter of shape (n_moments, width)
        Constants that are added to the results of the maps.
    """

    fixed_is_all = True
    """True, as :meth:`forward` uses nothing but ``fixed`` where that is given."""
    suitable_lr = 3e-4
    """Learning rate: low, as the training starts near its end."""

    def __init__(
        self,
        n_channels: int,
        n_timepoints: int,
        time_points: Sequence[int],
        n_features: int = 64,
        n_fixed: int = 9996,
        max_rank: int = MAX_RANK,
        engine: Engine = "auto",
    ) -> None:
        super().__init__()
        self.time_points = tuple(int(t) for t in time_points)
        self.n_features = n_features
        self.max_rank = max_rank
        self.transform = PrefixRocket(
            n_channels, n_timepoints, self.time_points, n_fixed, engine=engine
        )
        self.basis: Tensor | None
        self.means: Tensor | None
        self.register_buffer("basis", None, persistent=False)
        self.register_buffer("means", None, persistent=False)
        m, n_fixed = len(self.time_points), self.transform.n_features
        self.maps = nn.Parameter(torch.zeros(m, n_fixed, 1))
        self.shifts = nn.Parameter(torch.zeros(m, 1))

    def fixed_buffers(self) -> Iterator[Tensor]:
        """Return all buffers: no training changes them."""
        return self.buffers()

    def fit_moments(
        self, prefixes: Prefixes, target: Tensor, weight: Tensor | None, seed: int, trains: bool
    ) -> MomentStart:
        """Fit the features, and a classifier for each moment.

        Parameters
        ----------
        prefixes : Prefixes
            Training series at the moments.
        target : Tensor of shape (n, n_classes)
            Class probabilities.
        weight : Tensor of shape (n,) or None
            Weight of each series; None where all are equal.
        seed : int
            Seed of all random draws.
        trains : bool
            Whether the maps are trained further.

        Returns
        -------
        MomentStart
            The classifiers.
        """
        self.transform.fit(prefixes, seed)
        rank = min(self.max_rank, TRAINED_RANK) if trains else self.max_rank
        drawn = drawn_rows(len(prefixes), rank, seed)
        parts, starts = [], []
        for features in self._features_by_moment(prefixes):
            found = span(features if drawn is None else features[drawn.to(features.device)], rank)
            coordinates = (features - found.mean) @ found.basis
            starts.append(ridge(coordinates, target, weight))
            parts.append((found.mean, found.basis, coordinates))
        head, shift, maps, shifts = _joined(starts, [p[2] for p in parts], self.n_features)
        if trains:
            self._start_training(parts, maps, shifts)
        else:
            self._set_maps([p[:2] for p in parts], maps, shifts)
        width = head.shape[1]
        head = F.pad(head, (0, self.n_features - width))
        left_out = torch.stack([start.scale * start.left_out for start in starts], 1)
        fixed = _padded([p[2].float() for p in parts]) if trains else None
        return MomentStart(head, shift, fixed, left_out)

    def _features_by_moment(self, prefixes: Prefixes) -> Iterator[Tensor]:
        """Yield the features of all series at each moment, ``(n, n_fixed)``."""
        if not prefixes.nested:
            for m in range(prefixes.n_moments):
                yield self.featurize(*prefixes.at(m))
            return
        size = max(FIT_BYTES // (4 * self.transform.n_features * len(prefixes)), 1)
        x = prefixes.series[-1]
        for first in range(0, prefixes.n_moments, size):
            moments = self.time_points[first : first + size]
            for m, features in enumerate(self.transform.at(x, moments), first):
                yield self._with_ended(features, *prefixes.at(m))

    def _with_ended(self, features: Tensor, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Put in the features of those series that ended before the last point of ``x``."""
        if lengths is None:
            return features
        for length in lengths.unique().tolist():
            if length < x.shape[2]:
                rows = (lengths == length).nonzero()[:, 0]
                features[rows] = self.transform.at(x[rows], [length])[0]
        return features

    @torch.no_grad()
    def featurize(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the features ``(n, n_fixed)`` of series at their own ends."""
        return self._with_ended(self.transform.at(x, [x.shape[2]])[0], x, lengths)

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
        fixed: Tensor | None = None,
        moment: int = -1,
    ) -> Tensor:
        """Map series to features of a moment.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, t)
            Series up to the moment.
        lengths : Tensor of shape (n,), optional
            Own length of each series; None where all are equal.
        fixed : Tensor of shape (n, n_coordinates), optional
            Coordinates of the series at this moment, during a training.
        moment : int, default=-1
            Number of the moment, whose map is used.

        Returns
        -------
        Tensor of shape (n, n_features)
        """
        if fixed is not None:
            return fixed @ self.maps[moment] + self.shifts[moment]
        return self.mapped(self.featurize(x, lengths), moment)

    def features_at(
        self, x: Tensor, time_points: Sequence[int], lengths: Tensor | None = None
    ) -> Tensor:
        """Compute the features at several moments; see :class:`~skgdpd.nets.PathFeatures`.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, n_timepoints)
            Series, zero beyond their own length.
        time_points : sequence of int
            Moments, each of which is one of the backbone's own.
        lengths : Tensor of shape (n,), optional
            Own length of each series.

        Returns
        -------
        Tensor of shape (n, n_moments, n_features)
        """
        own = [self.time_points.index(t) for t in time_points]
        size = max(FIT_BYTES // (4 * self.transform.n_features * len(own)), 1)
        return torch.cat(
            [
                self._part_at(part, own, None if lengths is None else ends)
                for part, ends in zip(
                    x.split(size), (x if lengths is None else lengths).split(size), strict=True
                )
            ]
        )

    def _part_at(self, x: Tensor, moments: list[int], lengths: Tensor | None) -> Tensor:
        times = [self.time_points[m] for m in moments]
        found = []
        for m, features in zip(moments, self.transform.at(x, times), strict=True):
            t = self.time_points[m]
            ends = None if lengths is None else lengths.clamp(max=t)
            found.append(self.mapped(self._with_ended(features, x[:, :, :t], ends), m))
        return torch.stack(found, 1)

    def mapped(self, features: Tensor, moment: int) -> Tensor:
        """Map the transform's features to the output of a moment.

        Parameters
        ----------
        features : Tensor of shape (n, n_fixed)
            Features of series.
        moment : int
            Number of the moment.

        Returns
        -------
        Tensor of shape (n, n_features)
            Output. The bits of a row don't depend on the other rows.
        """
        if self.basis is not None and self.means is not None:
            features = (features - self.means[moment]) @ self.basis[moment]
        n = len(features)
        if n < SAME_FROM and not torch.compiler.is_exporting():
            features = F.pad(features, (0, 0, 0, SAME_FROM - n))
        out = (features @ self.maps[moment])[:n] + self.shifts[moment]
        return F.pad(out, (0, self.n_features - out.shape[1]))

    def start(self, n: int) -> list[Tensor]:
        """Return the state before the first point; see :class:`~skgdpd.nets.MomentState`."""
        state = self.transform.start(n)
        return [state.recent, state.counts]

    @torch.no_grad()
    def advance(self, state: list[Tensor], x: Tensor, n_read: int, moment: int) -> Tensor:
        """Read new points, and return the features; see :class:`~skgdpd.nets.MomentState`."""
        counted = PrefixState(n_read, *state)
        if x.shape[2] > n_read:
            self.transform.step(counted, x[:, :, n_read:].contiguous())
        return self.mapped(self.transform.features(counted), moment)

    @torch.no_grad()
    def fold(self) -> None:
        """Merge each moment's coordinates and map into one map of the features."""
        if self.basis is None or self.means is None:
            return
        parts = [(mean, basis) for mean, basis in zip(self.means, self.basis, strict=True)]
        self._set_maps(parts, list(self.maps), list(self.shifts))
        self.basis = self.means = None

    def _set_maps(
        self, parts: list[tuple[Tensor, Tensor]], maps: list[Tensor], shifts: list[Tensor]
    ) -> None:
        """Set the maps of the features, from means, bases and maps of coordinates."""
        # A product with one column adds up in an order that depends on the number of rows.
        missing = max(2 - maps[0].shape[1], 0)
        maps = [F.pad(own, (0, missing)) for own in maps]
        shifts = [F.pad(own, (0, missing)) for own in shifts]
        merged = [basis @ own for (_, basis), own in zip(parts, maps, strict=True)]
        moved = [
            shift - mean @ own for (mean, _), own, shift in zip(parts, merged, shifts, strict=True)
        ]
        self.maps = nn.Parameter(torch.stack(merged).float())
        self.shifts = nn.Parameter(torch.stack(moved).float())

    def _start_training(
        self,
        parts: list[tuple[Tensor, Tensor, Tensor]],
        maps: list[Tensor],
        shifts: list[Tensor],
    ) -> None:
        """Set trained maps of coordinates: scores first, then principal components."""
        full, moved = [], []
        for (_, _, coordinates), own, shift in zip(parts, maps, shifts, strict=True):
            n_components = min(coordinates.shape[1], self.n_features - own.shape[1])
            whole = own.new_zeros(coordinates.shape[1], self.n_features)
            whole[:, : own.shape[1]] = own
            rows = torch.arange(n_components, device=own.device)
            whole[rows, own.shape[1] + rows] = 1 / spread(coordinates[:, :n_components])
            full.append(whole)
            moved.append(F.pad(shift, (0, self.n_features - len(shift))))
        self.maps = nn.Parameter(_padded(full, 0).float())
        self.shifts = nn.Parameter(torch.stack(moved).float())
        self.basis = _padded([basis.T for _, basis, _ in parts], 0).transpose(1, 2).float()
        self.means = torch.stack([mean for mean, _, _ in parts]).float()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # The widths depend on the data of the fit.
        for name in ("maps", "shifts"):
            if (given := state_dict.get(prefix + name)) is not None:
                setattr(self, name, nn.Parameter(getattr(self, name).new_empty(given.shape)))
        super()._load_from_state_dict(state_dict, prefix, *args)


def _joined(
    starts: list[LinearStart], coordinates: list[Tensor], most: int
) -> tuple[Tensor, Tensor, list[Tensor], list[Tensor]]:
    """Write the classifiers of all moments as one head on top of a map for each moment.

    The outputs of the maps are uncorrelated and have a mean square of 1 over all moments.
    Logits are centred over the classes, which changes no probability.

    Parameters
    ----------
    starts : list of LinearStart
        Classifier of each moment.
    coordinates : list of Tensor of shape (n, r)
        Coordinates of the training rows at each moment.
    most : int
        Largest number of outputs; those of the largest variance are kept.

    Returns
    -------
    head, bias : Tensor of shape (n_classes, width) and (n_classes,)
        The head.
    maps : list of Tensor of shape (r, width)
        The map of each moment.
    shifts : list of Tensor of shape (width,)
        The constants of each moment.
    """
    weights = [s.scale * (s.weight - s.weight.mean(1, keepdim=True)) for s in starts]
    biases = [s.scale * (s.bias - s.bias.mean()) for s in starts]
    logits = torch.cat(
        [x @ own + bias for x, own, bias in zip(coordinates, weights, biases, strict=True)]
    )
    squares, directions = torch.linalg.eigh(logits.T @ logits / len(logits))
    kept = (squares > squares[-1].clamp(min=1e-12) * 1e-9).nonzero()[:, 0].flip(0)[:most]
    if not len(kept):  # All scores are zero; any direction will do.
        kept = torch.tensor([len(squares) - 1], device=squares.device)
    sizes, axes = squares[kept].clamp(min=1e-12).sqrt(), directions[:, kept]
    maps = [own @ axes / sizes for own in weights]
    shifts = [bias @ axes / sizes for bias in biases]
    return axes * sizes, torch.zeros_like(biases[0]), maps, shifts


def _padded(parts: list[Tensor], rows_first: int | None = None) -> Tensor:
    """Stack matrices that differ in one dimension, with zeros in place of what is missing.

    Matrices ``(n, r)`` become ``(n, n_parts, most)``; with ``rows_first=0`` matrices ``(r, w)``
    become ``(n_parts, most, w)``.
    """
    if rows_first == 0:
        most = max(len(part) for part in parts)
        return torch.stack([F.pad(part, (0, 0, 0, most - len(part))) for part in parts])
    most = max(part.shape[1] for part in parts)
    return torch.stack([F.pad(part, (0, most - part.shape[1])) for part in parts], 1)

"""Backbone of causal features at all moments, with a linear map for each moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .closed_form import MAX_RANK, LinearStart, Span, drawn_rows, ridge, span
from .joined_features import JoinedFeatures
from .minirocket import Engine
from .moment_forests import MomentForests
from .prefixes import Prefixes
from .protocols import MomentStart
from .rocket import AT_ONCE, SAME_FROM, in_parts, spread
from .rocket_quant import centring, log_odds, weighings

FIT_BYTES = 1 << 28
"""Size in bytes of the features that are held in memory at once."""
COLUMNS = 4
"""Divisor of the number of outputs of a map."""
TRAINED_RANK = 256
"""Maximum number of coordinates if the maps are trained. Training keeps a basis for each moment in
memory."""


class Weighed(NamedTuple):
    """Classifier of one moment: the weighted sum of a ridge regression and a forest.

    Attributes
    ----------
    weight : Tensor of shape (r + n_odds, n_classes)
        Weights of the coordinates, then of the forest's log-odds.
    bias : Tensor of shape (n_classes,)
        Biases.
    left_out : Tensor of shape (n, n_classes)
        Leave-one-out logits: the logits of each row from classifiers fitted without the row.
    logits : Tensor of shape (n, n_classes)
        Logits of the training rows from this classifier.
    """

    weight: Tensor
    bias: Tensor
    left_out: Tensor
    logits: Tensor


class PathRocket(nn.Module):
    """Backbone of causal features at several moments, with a linear map for each moment.

    The classifier of each moment is a ridge regression on the features, fitted in closed form. Its
    logits may be combined with the log-odds of a forest; the weights are chosen by out-of-sample
    predictions of both. The logits are the first outputs of the backbone. The other outputs are
    principal components of the features if the maps are trained further, and zero otherwise.

    Parameters
    ----------
    n_channels, n_timepoints : int
        Numbers of channels and of time points of the series up to the last moment.
    time_points : sequence of int
        The moments, as prefix lengths in ascending order; the last is ``n_timepoints``.
    n_features : int, default=64
        Number of output features.
    families : sequence of {"rocket", "hydra", "shapelets"}, default=("rocket",)
        Families of the features.
    n_trees : int, default=0
        Number of trees of the forest of each moment; 0 means no forests.
    max_rank : int, default=1024
        Maximum number of coordinates of the features of a moment.
    engine : {"auto", "torch", "numba"}, default="auto"
        See :class:`~skgdpd.nets.prefix_rocket.PrefixRocket`.

    Attributes
    ----------
    maps : Parameter of shape (n_moments, n_inputs, width)
        Linear map of each moment. Its inputs are coordinates during training and features
        afterwards, followed by the log-odds of the forest.
    shifts : Parameter of shape (n_moments, width)
        Biases of the maps.
    """

    fixed_is_all = True
    """True, because :meth:`forward` ignores the series if it gets ``fixed``."""
    suitable_lr = 3e-4
    """Learning rate: low, because training starts near an optimum."""

    def __init__(
        self,
        n_channels: int,
        n_timepoints: int,
        time_points: Sequence[int],
        n_features: int = 64,
        families: Sequence[str] = ("rocket",),
        n_trees: int = 0,
        max_rank: int = MAX_RANK,
        engine: Engine = "auto",
    ) -> None:
        super().__init__()
        self.time_points = tuple(int(t) for t in time_points)
        self.n_features = n_features
        self.max_rank = max_rank
        self.transform = JoinedFeatures(
            n_channels, n_timepoints, self.time_points, families, engine
        )
        self.forests = (
            MomentForests(n_channels, self.time_points, n_trees, engine) if n_trees else None
        )
        self.basis: Tensor | None
        self.means: Tensor | None
        self.register_buffer("basis", None, persistent=False)
        self.register_buffer("means", None, persistent=False)
        m, n_odds = len(self.time_points), int(self.forests is not None)
        self.maps = nn.Parameter(torch.zeros(m, self.transform.n_features + n_odds, 1))
        self.shifts = nn.Parameter(torch.zeros(m, 1))

    def fixed_buffers(self) -> Iterator[Tensor]:
        """Return all buffers, because training changes none of them."""
        return self.buffers()

    # Fit

    def fit_moments(
        self, prefixes: Prefixes, target: Tensor, weight: Tensor | None, seed: int, trains: bool
    ) -> MomentStart:
        """Fit the features and a classifier for each moment.

        Parameters
        ----------
        prefixes : Prefixes
            Training series at the moments.
        target : Tensor of shape (n, n_classes)
            Class probabilities.
        weight : Tensor of shape (n,) or None
            Weight of each series; None if all are equal.
        seed : int
            Seed of all random draws.
        trains : bool
            Whether the maps are to be trained further.

        Returns
        -------
        MomentStart
            The classifiers.
        """
        self.transform.fit(prefixes, seed)
        rank = min(self.max_rank, TRAINED_RANK) if trains else self.max_rank
        bases, kept, ridges, scores = [], [], [], []
        for own, coordinates in self._coordinates_by_moment(prefixes, rank, seed):
            found = ridge(coordinates, target, weight)
            scores.append(coordinates @ found.weight + found.bias)
            if trains:
                bases.append((own.mean, own.basis))
                kept.append(coordinates.float())
            else:  # The scores of the classes are coordinates enough.
                bases.append((own.mean, own.of_features(found.weight)))
                found = found._replace(weight=torch.eye(target.shape[1]).to(found.weight))
            ridges.append(found)
        if self.forests is None:
            starts = [
                Weighed(r.scale * r.weight, r.scale * r.bias, r.scale * r.left_out, r.scale * s)
                for r, s in zip(ridges, scores, strict=True)
            ]
        else:
            odds = log_odds(self.forests.fit(prefixes, target, weight, seed)).double()
            starts = _weighed(ridges, scores, odds, target, weight)
        head, maps, shifts = _joined(starts, self.n_features)
        fixed = None
        if trains:
            self._start_training(bases, kept, maps, shifts)
            if self.forests is not None:
                kept = [torch.cat([x, odds[:, m].float()], 1) for m, x in enumerate(kept)]
            fixed = torch.stack([self._padded_inputs(x) for x in kept], 1)
        else:
            self._set_maps(bases, maps, shifts)
        left_out = torch.stack([start.left_out for start in starts], 1)
        weights = F.pad(head, (0, self.n_features - head.shape[1]))
        return MomentStart(weights, torch.zeros_like(head[:, 0]), fixed, left_out)

    def _coordinates_by_moment(
        self, prefixes: Prefixes, rank: int, seed: int
    ) -> Iterator[tuple[Span, Tensor]]:
        """Yield the directions of the features and the coordinates of all rows at each moment."""
        widths = self.transform.widths
        drawn = drawn_rows(len(prefixes), rank, seed)
        if drawn is None:
            for features in self._features_by_moment(prefixes):
                found = span(features, rank, widths)
                yield found, found.coordinates
            return
        # The features of many series would not fit into memory.
        some = prefixes.take(drawn.to(prefixes.series[0].device))
        for m in range(prefixes.n_moments):
            found = span(self.transform(*some.at(m)), rank, widths)
            yield found, self._coordinates(prefixes, m, found.mean.float(), found.basis.float())

    def _coordinates(self, prefixes: Prefixes, moment: int, mean: Tensor, basis: Tensor) -> Tensor:
        """Return the coordinates of all rows at a moment, in double precision.

        Matrix products use single precision, as in predictions, because they take most of the
        time of a large fit.
        """
        parts = in_parts(*prefixes.at(moment), AT_ONCE)
        return torch.cat([((self.transform(*part) - mean) @ basis).double() for part in parts])

    def _features_by_moment(self, prefixes: Prefixes) -> Iterator[Tensor]:
        """Yield the features of all series at each moment, ``(n, n_fixed)``."""
        if not prefixes.nested:
            for m in range(prefixes.n_moments):
                yield self.transform(*prefixes.at(m))
            return
        size = max(FIT_BYTES // (4 * self.transform.n_features * len(prefixes)), 1)
        x = prefixes.series[-1]
        for first in range(0, prefixes.n_moments, size):
            moments = self.time_points[first : first + size]
            for m, features in enumerate(self.transform.at(x, moments), first):
                yield self.transform.with_ended(features, *prefixes.at(m))

    # Use

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
        fixed: Tensor | None = None,
        moment: int = -1,
    ) -> Tensor:
        """Map series to the output of a moment.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, t)
            Series up to the moment.
        lengths : Tensor of shape (n,), optional
            Length of each series without padding; None if all are equal.
        fixed : Tensor of shape (n, n_inputs), optional
            Coordinates and log-odds of the series at this moment, during training.
        moment : int, default=-1
            Index of the moment whose map is used.

        Returns
        -------
        Tensor of shape (n, n_features)
        """
        if fixed is not None:
            return fixed @ self.maps[moment] + self.shifts[moment]
        return self._mapped(self.transform(x, lengths), x, lengths, moment)

    def features_at(
        self, x: Tensor, time_points: Sequence[int], lengths: Tensor | None = None
    ) -> Tensor:
        """Compute the outputs at several moments; see :class:`~skgdpd.nets.PathFeatures`.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, n_timepoints)
            Series, padded with zeros at the end.
        time_points : sequence of int
            Moments, each of which must be a moment of the backbone.
        lengths : Tensor of shape (n,), optional
            Length of each series without padding.

        Returns
        -------
        Tensor of shape (n, n_moments, n_features)
        """
        own = [self.time_points.index(t) for t in time_points]
        size = max(FIT_BYTES // (4 * self.transform.n_features * len(own)), 1)
        ends = x if lengths is None else lengths
        return torch.cat(
            [
                self._part_at(part, own, None if lengths is None else until)
                for part, until in zip(x.split(size), ends.split(size), strict=True)
            ]
        )

    def _part_at(self, x: Tensor, moments: list[int], lengths: Tensor | None) -> Tensor:
        times = [self.time_points[m] for m in moments]
        found = []
        for m, features in zip(moments, self.transform.at(x, times), strict=True):
            prefix = x[:, :, : self.time_points[m]]
            ends = None if lengths is None else lengths.clamp(max=prefix.shape[2])
            features = self.transform.with_ended(features, prefix, ends)
            found.append(self._mapped(features, prefix, ends, m))
        return torch.stack(found, 1)

    def start(self, n: int) -> list[Tensor]:
        """Return the state before the first point; see :class:`~skgdpd.nets.MomentState`."""
        return self.transform.start(n)

    @torch.no_grad()
    def advance(self, state: list[Tensor], x: Tensor, n_read: int, moment: int) -> Tensor:
        """Read new points, and return the output; see :class:`~skgdpd.nets.MomentState`."""
        features = self.transform.step(state, x[:, :, n_read:].contiguous(), n_read)
        return self._mapped(features, x, None, moment)

    def _mapped(self, features: Tensor, x: Tensor, lengths: Tensor | None, moment: int) -> Tensor:
        """Map features to the output, with bits of a row that don't depend on other rows."""
        if self.basis is not None and self.means is not None:
            features = (features - self.means[moment]) @ self.basis[moment]
        if self.forests is not None:
            odds = log_odds(self.forests(x, lengths, moment))
            features = torch.cat([features, odds.to(features)], 1)
        if torch.compiler.is_exporting():  # A graph takes any number of series.
            out = features @ self.maps[moment] + self.shifts[moment]
        else:
            n = len(features)
            features = F.pad(features, (0, 0, 0, -n % SAME_FROM))
            out = (features @ self.maps[moment])[:n] + self.shifts[moment]
        return F.pad(out, (0, max(self.n_features - out.shape[1], 0)))[:, : self.n_features]

    # Maps

    @torch.no_grad()
    def fold(self) -> None:
        """Finish after training: merge basis and map of each moment into one map of features."""
        if self.basis is None or self.means is None:
            return
        bases = [(m.double(), b.double()) for m, b in zip(self.means, self.basis, strict=True)]
        maps = [own.double() for own in self.maps]
        self._set_maps(bases, maps, [shift.double() for shift in self.shifts])
        self.basis = self.means = None

    def _set_maps(
        self, bases: list[tuple[Tensor, Tensor]], maps: list[Tensor], shifts: list[Tensor]
    ) -> None:
        """Set the maps on features from bases and from maps on coordinates and log-odds."""
        merged, moved = [], []
        for (mean, basis), own, shift in zip(bases, maps, shifts, strict=True):
            of_features = basis @ own[: basis.shape[1]]
            merged.append(torch.cat([of_features, own[basis.shape[1] :]]))
            moved.append(shift - mean @ of_features)
        # Products with some numbers of columns add up in an order that depends on the row.
        missing = -merged[0].shape[1] % COLUMNS
        self.maps = nn.Parameter(F.pad(torch.stack(merged), (0, missing)).float())
        self.shifts = nn.Parameter(F.pad(torch.stack(moved), (0, missing)).float())

    def _start_training(
        self,
        bases: list[tuple[Tensor, Tensor]],
        coordinates: list[Tensor],
        maps: list[Tensor],
        shifts: list[Tensor],
    ) -> None:
        """Set trainable maps on coordinates, with logits first and then principal components."""
        most = max(basis.shape[1] for _, basis in bases)
        self.basis = torch.stack([F.pad(b, (0, most - b.shape[1])) for _, b in bases]).float()
        self.means = torch.stack([mean for mean, _ in bases]).float()
        full, moved = [], []
        for (_, basis), x, own, shift in zip(bases, coordinates, maps, shifts, strict=True):
            n_logits = own.shape[1]
            n_components = min(basis.shape[1], self.n_features - n_logits)
            whole = F.pad(own, (0, self.n_features - n_logits))
            rows = torch.arange(n_components, device=own.device)
            whole[rows, n_logits + rows] = 1 / spread(x[:, :n_components].to(whole))
            full.append(self._padded_inputs(whole.T).T)
            moved.append(F.pad(shift, (0, self.n_features - n_logits)))
        self.maps = nn.Parameter(torch.stack(full).float())
        self.shifts = nn.Parameter(torch.stack(moved).float())

    def _padded_inputs(self, x: Tensor) -> Tensor:
        """Pad coordinates with zeros before the log-odds, so that all moments have equal width."""
        assert self.basis is not None
        n_odds = 0 if self.forests is None else self.forests.n_classes
        n_coordinates = x.shape[1] - n_odds
        missing = self.basis.shape[2] - n_coordinates
        return torch.cat([F.pad(x[:, :n_coordinates], (0, missing)), x[:, n_coordinates:]], 1)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # The sizes depend on the data of the fit.
        for name in ("maps", "shifts"):
            if (given := state_dict.get(prefix + name)) is not None:
                setattr(self, name, nn.Parameter(getattr(self, name).new_empty(given.shape)))
        super()._load_from_state_dict(state_dict, prefix, *args)


def _weighed(
    ridges: list[LinearStart],
    scores: list[Tensor],
    odds: Tensor,
    target: Tensor,
    weight: Tensor | None,
) -> list[Weighed]:
    """Combine ridge regressions and forests, weighted by their out-of-sample predictions.

    The loss of a candidate weight is averaged over a moment and its neighbours, because the loss
    of a few rows at one moment is too noisy.

    Parameters
    ----------
    ridges : list of LinearStart
        Ridge regression of each moment.
    scores : list of Tensor of shape (n, n_classes)
        Scores of the training rows from the ridge regression of each moment.
    odds : Tensor of shape (n, n_moments, n_classes)
        Out-of-sample log-odds of the forests.
    target : Tensor of shape (n, n_classes)
        Class probabilities.
    weight : Tensor of shape (n,) or None
        Weight of each row.

    Returns
    -------
    list of Weighed
        Classifier of each moment.
    """
    tried = [weighings(start, odds[:, m], target, weight) for m, start in enumerate(ridges)]
    losses = np.array([[one.loss for one in own] for own in tried])
    wide = np.pad(losses, ((1, 1), (0, 0)), "edge")
    best = (wide[:-2] + 2 * wide[1:-1] + wide[2:]).argmin(1)
    found = []
    for m, start in enumerate(ridges):
        chosen = tried[m][best[m]]
        linear, forest = chosen.scale * chosen.rocket, chosen.scale * chosen.forest
        weights = torch.cat([linear * start.weight, forest * centring(odds)])
        left_out = linear * start.left_out + forest * odds[:, m]
        logits = linear * scores[m] + forest * odds[:, m]
        found.append(Weighed(weights, linear * start.bias, left_out, logits))
    return found


def _joined(starts: list[Weighed], most: int) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Factor the classifiers of all moments into one head and a map for each moment.

    The outputs of the maps are uncorrelated and have mean square 1 over all moments. Logits are
    centred over classes, which does not change probabilities.

    Parameters
    ----------
    starts : list of Weighed
        Classifier of each moment.
    most : int
        Maximum number of outputs; those of the largest variance are kept.

    Returns
    -------
    head : Tensor of shape (n_classes, width)
        Weights of the head.
    maps : list of Tensor of shape (n_inputs, width)
        The map of each moment.
    shifts : list of Tensor of shape (width,)
        The biases of each moment.
    """
    weights = [s.weight - s.weight.mean(1, keepdim=True) for s in starts]
    biases = [s.bias - s.bias.mean() for s in starts]
    logits = torch.cat([start.logits - start.logits.mean(1, keepdim=True) for start in starts])
    squares, directions = torch.linalg.eigh(logits.T @ logits / len(logits))
    kept = (squares > squares[-1].clamp(min=1e-12) * 1e-9).nonzero()[:, 0].flip(0)[:most]
    if not len(kept):  # All logits are zero; any direction will do.
        kept = torch.tensor([len(squares) - 1], device=squares.device)
    sizes, axes = squares[kept].clamp(min=1e-12).sqrt(), directions[:, kept]
    maps = [own @ axes / sizes for own in weights]
    shifts = [bias @ axes / sizes for bias in biases]
    return axes * sizes, maps, shifts

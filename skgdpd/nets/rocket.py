"""Backbones with a part that is fitted once, before the training, and then stays as it is.

Such a backbone has ``fit_fixed``, which fits that part on the training rows and returns a linear
classifier to start from, with what is fixed of these rows; ``featurize``, which computes that for
others; a ``forward`` that takes this as ``fixed`` to go on from; and ``fold``, called when the
training is over. It may have ``fixed_is_all``, which says whether ``forward`` looks at nothing
else, so that series need not be kept; False if it hasn't.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .closed_form import MAX_RANK, LinearStart, drawn_rows, ridge, span
from .inception import InceptionTime
from .minirocket import Engine, MiniRocket

M = TypeVar("M", bound=nn.Module)

AT_ONCE = 1024
"""Series whose features are held at once."""
SAME_FROM = 16
"""Rows from which matrix products add up in one order; below, in others that suit fewer."""


class Head(NamedTuple):
    """A linear classifier to start from, and what is fixed of the rows that it was fitted on.

    Attributes
    ----------
    weight : Tensor of shape (n_classes, n_features)
        Of the classifier.
    bias : Tensor of shape (n_classes,)
        Of the classifier.
    fixed : Tensor of shape (n, r)
        What ``featurize`` gives for these rows.
    """

    weight: Tensor
    bias: Tensor
    fixed: Tensor


class Rocket(nn.Module):
    """Fixed MiniRocket features, standardised, and a trained projection.

    The training starts from ridge regression in closed form: the first features are its scores,
    the others the principal components of the fixed features. While it runs, the projection is
    one from the coordinates of the space that the training rows span, ``r * n_features +
    n_features`` weights with r < n; afterwards it is folded into one from the features
    themselves, ``n_fixed * n_features + n_features``.

    Parameters
    ----------
    n_channels, n_timepoints : int
        Shape of the series.
    n_features : int, default=128
        Width of the output.
    n_fixed : int, default=9996
        Number of MiniRocket features; rounded down to a multiple of 84.
    max_rank : int, default=1024
        Upper limit of r.
    engine : {"auto", "torch", "numba"}, default="auto"
        See :class:`~skgdpd.nets.minirocket.MiniRocket`.

    References
    ----------
    A. Dempster, D. F. Schmidt, G. I. Webb, "MiniRocket: a very fast (almost) deterministic
    transform for time series classification", KDD 2021, arXiv 2012.08791.
    """

    fixed_is_all = True
    """Whether nothing but what is fixed of a series is looked at."""

    def __init__(
        self,
        n_channels: int,
        n_timepoints: int,
        n_features: int = 128,
        n_fixed: int = 9996,
        max_rank: int = MAX_RANK,
        engine: Engine = "auto",
    ) -> None:
        super().__init__()
        self.n_features = n_features
        self.max_rank = max_rank
        self.transform = MiniRocket(n_channels, n_timepoints, n_fixed, engine=engine)
        n_fixed = self.transform.n_features
        self.mean: Tensor
        self.basis: Tensor | None
        self.register_buffer("mean", torch.zeros(n_fixed))
        self.register_buffer("basis", None, persistent=False)
        self.projection = nn.Linear(n_fixed, n_features)

    @property
    def settings(self) -> tuple[object, ...]:
        """On which, beside the rows and the seed, the result of :meth:`fit_fixed` depends."""
        own = self.transform
        return (self.n_features, self.max_rank, own.n_features, own.dilations, own.engine)

    def fit_fixed(
        self, x: Tensor, lengths: Tensor | None, target: Tensor, weight: Tensor | None, seed: int
    ) -> Head:
        """Fit biases, statistics and the start.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, n_timepoints)
            Training series.
        lengths : Tensor of shape (n,) or None
            Their own lengths.
        target : Tensor of shape (n, n_classes)
            Probabilities of their classes.
        weight : Tensor of shape (n,) or None
            What each counts.
        seed : int
            Of the draws.

        Returns
        -------
        Head
            The classifier on top to start from, and these series' coordinates.
        """
        exact, fixed = self._fit_coordinates(x, lengths, seed)
        start = ridge(exact, target, weight)
        return Head(*self._start_from(start, exact), fixed)

    def _fit_coordinates(
        self, x: Tensor, lengths: Tensor | None, seed: int
    ) -> tuple[Tensor, Tensor]:
        """Fit biases and statistics; these rows' coordinates in double precision and in single."""
        self.transform.fit(x, lengths, seed)
        drawn = drawn_rows(len(x), self.max_rank, seed)
        parts: Iterable[Tensor] = self._features_by_part(x, lengths)
        if drawn is None:
            parts = list(parts)
            found = span(torch.cat(parts), self.max_rank)
        else:
            drawn = drawn.to(x.device)
            own = None if lengths is None else lengths[drawn]
            found = span(self.transform(x[drawn], own), self.max_rank)
        self.mean.copy_(found.mean)
        self.basis = found.basis.float()
        exact, fixed = [], []
        for part in parts:
            exact.append((part - found.mean) @ found.basis)
            fixed.append((part - self.mean) @ self.basis)
        return torch.cat(exact), torch.cat(fixed)

    def _features_by_part(self, x: Tensor, lengths: Tensor | None) -> Iterator[Tensor]:
        # Features are a hundred times as large as series: those of all might not fit in memory.
        for part in in_parts(x, lengths, AT_ONCE):
            yield self.transform(*part)

    def _start_from(self, start: LinearStart, coordinates: Tensor) -> tuple[Tensor, Tensor]:
        """Set a projection to features of variance 1; the head that makes the start's logits."""
        rank = coordinates.shape[1]
        weight, bias = start.weight, start.bias
        self.projection = nn.Linear(rank, self.n_features).to(self.mean.device)
        directions, strengths, mixture = torch.linalg.svd(weight, full_matrices=False)
        n_scores = min(int((strengths > strengths[0] * 1e-6).sum()), self.n_features)
        n_components = min(rank, self.n_features - n_scores)
        first = directions[:, :n_scores] * strengths[:n_scores]
        first_scale = _spread(coordinates @ first)
        second_scale = _spread(coordinates[:, :n_components])
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
        """What is fixed: during a training coordinates ``(n, r)``, else centred features."""
        if self.basis is None:
            return self.transform(x, lengths) - self.mean
        parts = self._features_by_part(x, lengths)
        return torch.cat([(part - self.mean) @ self.basis for part in parts])

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, fixed: Tensor | None = None
    ) -> Tensor:
        """Features ``(n, n_features)`` of series ``(n, c, t)``, or of what is fixed of them."""
        if fixed is not None:
            return self.projection(fixed)
        return self._projected(self.featurize(x, lengths))

    def _projected(self, fixed: Tensor) -> Tensor:
        """Projection of new series, in which no row's last bits depend on how many there are."""
        missing = SAME_FROM - fixed.shape[0] if not torch.compiler.is_exporting() else 0
        if missing <= 0:
            return self.projection(fixed)
        return self.projection(F.pad(fixed, (0, 0, 0, missing)))[: fixed.shape[0]]

    def fold(self) -> None:
        """Make one projection, from the features themselves, of the two; ends the training."""
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
    """Series and their lengths, so many at a time."""
    parts = x.split(size)
    own = [None] * len(parts) if lengths is None else lengths.split(size)
    return zip(parts, own, strict=True)


def fixed_buffers(module: nn.Module) -> list[Tensor]:
    """What no training changes: the buffers of all Rockets in a network."""
    rockets = [part for part in module.modules() if isinstance(part, Rocket)]
    return [buffer for rocket in rockets for buffer in rocket.buffers()]


def statistics(module: nn.Module) -> dict[str, Tensor]:
    """The floating-point buffers that training may change, by name."""
    fixed = {id(buffer) for buffer in fixed_buffers(module)}
    return {
        name: value
        for name, value in module.named_buffers()
        if value.is_floating_point() and id(value) not in fixed
    }


def copy_trained(module: M) -> M:
    """A copy that has parameters of its own, and what is fixed in common with the module."""
    return copy.deepcopy(module, {id(buffer): buffer for buffer in fixed_buffers(module)})


def _spread(coordinates: Tensor) -> Tensor:
    """Deviation of each column, of mean 0; at least a little."""
    return coordinates.square().mean(0).sqrt().clamp(min=1e-9)


class Hybrid(nn.Module):
    """MiniRocket and InceptionTime features side by side.

    The start is that of :class:`Rocket`; of the inception features the classifier on top makes
    nothing until it has learned to.

    Parameters
    ----------
    n_channels, n_timepoints : int
        Shape of the series.
    n_rocket_features : int, default=128
        Width of the rocket's part; the inception part is 128 wide.
    engine : {"auto", "torch", "numba"}, default="auto"
        See :class:`~skgdpd.nets.minirocket.MiniRocket`.
    """

    fixed_is_all = False

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
    ) -> Head:
        """See :meth:`Rocket.fit_fixed`."""
        head = self.rocket.fit_fixed(x, lengths, target, weight, seed)
        nothing = head.weight.new_zeros(len(head.weight), self.inception.n_features)
        return Head(torch.cat([head.weight, nothing], 1), head.bias, head.fixed)

    def featurize(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """See :meth:`Rocket.featurize`."""
        return self.rocket.featurize(x, lengths)

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, fixed: Tensor | None = None
    ) -> Tensor:
        """Features ``(n, n_features)`` of series ``(n, c, t)``."""
        return torch.cat([self.rocket(x, lengths, fixed), self.inception(x, lengths)], 1)

    def fold(self) -> None:
        """See :meth:`Rocket.fold`."""
        self.rocket.fold()

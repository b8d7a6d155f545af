"""Backbone of MiniRocket features and a forest, which often err on different series.

The forest is grown on quantiles of intervals. Its out-of-sample prediction is a feature of each
training row; it comes from the trees whose bootstrap samples don't contain the row. The weights of
the two models are chosen by out-of-sample predictions of the forest and leave-one-out predictions
of the ridge regression.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .closed_form import MAX_RANK, LinearStart, likeliest_scale, ridge
from .forest import Forest, rows_to_grow
from .minirocket import Engine
from .protocols import ClosedFormStart
from .quantiles import IntervalQuantiles, without_rounding
from .rocket import AT_ONCE, Rocket, in_parts

MAX_ROWS = 4096
"""Maximum number of rows on which the trees are grown."""
SHARES = (0.5, 0.375, 0.625, 0.25, 0.75, 0.125, 0.875, 0.0, 1.0)
"""Candidates for the weight of the forest in the logits; the first of equally good ones wins."""
LEAST_PROBABILITY = 0.005
"""Constant that is added to a forest's probabilities before the logarithm: one vote of 200."""


class RocketQuant(Rocket):
    """Backbone of MiniRocket features, a forest on QUANT features, and a trained projection.

    The fixed features are the coordinates of :class:`Rocket`, and the log-probabilities of
    extremely randomised trees on quantiles of intervals. Training starts from a weighted mean of
    the logits of a ridge regression on the coordinates and the log-probabilities of the forest.

    Parameters
    ----------
    n_channels, n_timepoints : int
        Numbers of channels and of time points of the series.
    n_features : int, default=128
        Number of output features.
    n_fixed : int, default=9996
        Number of MiniRocket features; rounded down to a multiple of 84.
    max_rank : int, default=1024
        Maximum number of coordinates of the MiniRocket features.
    engine : {"auto", "torch", "numba"}, default="auto"
        See :class:`~skgdpd.nets.minirocket.MiniRocket`.
    n_trees : int, default=200
        Number of trees.
    transform : torch.nn.Module, optional
        Transform that replaces MiniRocket; by default MiniRocket itself.

    References
    ----------
    A. Dempster, D. F. Schmidt, G. I. Webb, "MiniRocket: a very fast (almost) deterministic
    transform for time series classification", KDD 2021, arXiv 2012.08791; the same, "QUANT: a
    minimalist interval method for time series classification", 2023, arXiv 2308.00928.
    """

    suitable_lr = 3e-4
    """Learning rate: low, because training starts near an optimum; see docs/choosing.md."""

    def __init__(
        self,
        n_channels: int,
        n_timepoints: int,
        n_features: int = 128,
        n_fixed: int = 9996,
        max_rank: int = MAX_RANK,
        engine: Engine = "auto",
        n_trees: int = 200,
        transform: nn.Module | None = None,
    ) -> None:
        super().__init__(
            n_channels, n_timepoints, n_features, n_fixed, max_rank, engine, transform
        )
        self.quantiles = IntervalQuantiles(n_channels, n_timepoints, engine)
        self.forest = Forest(n_trees)
        self.projection = nn.Linear(len(self.mean) + self.forest.n_classes, n_features)

    @property
    def settings(self) -> tuple[object, ...]:
        """All settings that affect :meth:`fit_fixed`, apart from rows and seed."""
        return (*super().settings, self.quantiles.n_features, self.forest.n_trees)

    def fit_fixed(
        self, x: Tensor, lengths: Tensor | None, target: Tensor, weight: Tensor | None, seed: int
    ) -> ClosedFormStart:
        """Fit the features, the forest and the first classifier; see :meth:`Rocket.fit_fixed`."""
        coordinates, fixed = self._fit_coordinates(x, lengths, seed)
        odds = self._fit_forest(x, lengths, target, weight, seed)
        start = weighed(ridge(coordinates, target, weight), odds.double(), target, weight)
        joint = torch.cat([coordinates, odds.double()], 1)
        both = torch.cat([fixed, odds], 1)
        return ClosedFormStart(*self._start_from(start, joint), both, start.left_out_logits)

    def _fit_forest(
        self, x: Tensor, lengths: Tensor | None, target: Tensor, weight: Tensor | None, seed: int
    ) -> Tensor:
        rows = rows_to_grow(target, weight, MAX_ROWS, seed)
        features = self.quantiles(x[rows], None if lengths is None else lengths[rows])
        features = without_rounding(features, x[rows])
        own_weight = None if weight is None else weight[rows]
        own = log_odds(self.forest.fit(features, target[rows], own_weight, seed))
        if len(rows) == len(x):
            return own
        odds = self._odds(x, lengths)
        odds[rows] = own
        return odds

    def _odds(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        if self.basis is None:
            return log_odds(self.forest(self.quantiles(x, lengths)))
        parts = in_parts(x, lengths, AT_ONCE)
        return torch.cat([log_odds(self.forest(self.quantiles(*part))) for part in parts])

    @torch.no_grad()
    def featurize(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the features of :meth:`Rocket.featurize`, then the forest's log-probabilities."""
        return torch.cat([super().featurize(x, lengths), self._odds(x, lengths)], 1)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # The number of columns depends on the number of classes of the forest.
        weight = state_dict.get(prefix + "projection.weight")
        width = self.n_features
        if weight is not None and weight.shape[:1] != (width,):
            raise ValueError(f"a projection to {width} features has {tuple(weight.shape)} weights")
        if weight is not None and weight.shape != self.projection.weight.shape:
            self.projection = nn.utils.skip_init(
                nn.Linear, weight.shape[1], self.n_features, device=self.mean.device
            )
        super()._load_from_state_dict(state_dict, prefix, *args)


def log_odds(proba: Tensor) -> Tensor:
    """Return log-probabilities ``(..., n_classes)`` minus the mean of each row."""
    logs = (proba + LEAST_PROBABILITY).log()
    return logs - logs.mean(-1, keepdim=True)


def weighed(
    start: LinearStart, odds: Tensor, target: Tensor, weight: Tensor | None
) -> LinearStart:
    """Combine a linear classifier and a forest, weighted by their out-of-sample predictions.

    Parameters
    ----------
    start : LinearStart
        Classifier on coordinates.
    odds : Tensor of shape (n, n_classes)
        Out-of-sample log-odds of the forest.
    target : Tensor of shape (n, n_classes)
        Class probabilities.
    weight : Tensor of shape (n,) or None
        Weight of each row; None if all are equal.

    Returns
    -------
    LinearStart
        Classifier on the coordinates followed by the log-odds.
    """
    best = min(weighings(start, odds, target, weight), key=lambda one: one.loss)
    return LinearStart(
        torch.cat([best.rocket * start.weight, best.forest * centring(odds)]),
        best.rocket * start.bias,
        best.scale,
        best.rocket * start.left_out + best.forest * odds,
    )


class Weighing(NamedTuple):
    """Weights of the scores of a ridge regression and the log-odds of a forest.

    Attributes
    ----------
    loss : float
        Log loss of the weighted out-of-sample predictions, at the best scale.
    scale : float
        The scale with the lowest log loss.
    rocket, forest : float
        Weights of the two models, before multiplication by the scale.
    """

    loss: float
    scale: float
    rocket: float
    forest: float


def weighings(
    start: LinearStart, odds: Tensor, target: Tensor, weight: Tensor | None
) -> list[Weighing]:
    """Return the weights for each element of :data:`SHARES`.

    Parameters
    ----------
    start : LinearStart
        Ridge regression.
    odds : Tensor of shape (n, n_classes)
        Out-of-sample log-odds of the forest.
    target : Tensor of shape (n, n_classes)
        Class probabilities.
    weight : Tensor of shape (n,) or None
        Weight of each row.

    Returns
    -------
    list of Weighing
    """
    own_scale, _ = likeliest_scale(odds, target, weight)
    found = []
    for share in SHARES:
        rocket, forest = (1 - share) * start.scale, share * own_scale
        scale, loss = likeliest_scale(rocket * start.left_out + forest * odds, target, weight)
        found.append(Weighing(loss, scale, rocket, forest))
    return found


def centring(odds: Tensor) -> Tensor:
    """Return the matrix that subtracts the mean of each row of log-odds ``(..., n_classes)``."""
    # It changes no centred log-odds; the identity in its place would add a direction in which no
    # rows differ.
    return torch.eye(odds.shape[-1]).to(odds) - 1 / odds.shape[-1]

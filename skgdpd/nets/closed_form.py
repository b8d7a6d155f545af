"""Linear classifiers in closed form, from which a training may start.

They are ridge regressions of class targets, in the space that the training rows span. With fewer
series than features, nothing outside of that space can be learned, and a network in its
coordinates has a hundredth of the weights. The penalty is chosen by leave-one-out errors, which
cost no further fit. Leave-one-out predictions also give the scale that turns scores into logits.

A row of weight w counts as w equal rows in the fit and in every error. They are left out together,
since any that stayed would tell the label. Only ratios of weights matter: before the fit, weights
are scaled to a mean of 1 over the rows that have any. A row of weight zero is as good as absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

MAX_RANK = 1024
"""Number of directions that are kept at most, those of the largest variance."""
PENALTIES = torch.logspace(-7, -0.5, 14, dtype=torch.float64)
"""Ridge penalties, relative to the mean squared length of rows of standardised features: for ten
thousand features scikit-learn's usual 1e-3 to 1e3, and somewhat more."""
SCALES = torch.logspace(-1, 1.5, 26, dtype=torch.float64)
"""Factors that may turn scores into logits."""


@dataclass(frozen=True)
class Span:
    """Directions in which training rows differ.

    Attributes
    ----------
    mean, scale : Tensor of shape (n_features,)
        Mean of each feature, and what it is divided by.
    standard : Tensor of shape (n, n_features)
        Standardised features of the training rows.
    directions : Tensor of shape (n, r)
        Directions of unit variance, as sums of the training rows.
    coordinates : Tensor of shape (n, r)
        Coordinates of the training rows, by falling variance.
    """

    mean: Tensor
    scale: Tensor
    standard: Tensor
    directions: Tensor
    coordinates: Tensor

    @cached_property
    def basis(self) -> Tensor:
        """Matrix from centred features to coordinates, ``(n_features, r)``."""
        return self.standard.T @ self.directions / self.scale[:, None]

    def of_features(self, weight: Tensor) -> Tensor:
        """Return the weights of centred features that weights of coordinates stand for.

        Parameters
        ----------
        weight : Tensor of shape (r, k)
            Weights of coordinates.

        Returns
        -------
        Tensor of shape (n_features, k)
            ``basis @ weight``, without the basis, which takes longer than all else.
        """
        return self.standard.T @ (self.directions @ weight) / self.scale[:, None]


def drawn_rows(n: int, max_rank: int, seed: int) -> Tensor | None:
    """Return the rows that decide on the directions: None for all, or twice ``max_rank`` drawn."""
    if n <= 2 * max_rank:
        return None
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))[: 2 * max_rank]


def span(features: Tensor, max_rank: int = MAX_RANK, widths: Sequence[int] | None = None) -> Span:
    """Standardise features and find the directions in which their rows differ.

    Parameters
    ----------
    features : Tensor of shape (n, n_features)
        Features of the training rows.
    max_rank : int
        Number of directions to keep at most.
    widths : sequence of int, optional
        Numbers of the features of each of several families, side by side. Families then have the
        same total variance, whatever the number of their features.

    Returns
    -------
    Span
        The directions, with the coordinates of these rows.
    """
    standard = features.double()
    mean = standard.mean(0)
    standard = standard - mean
    scale = standard.square().mean(0).sqrt()
    scale = torch.where(scale > 1e-6, scale, torch.ones_like(scale))
    if widths is None or len(widths) == 1:
        scale = scale * features.shape[1] ** 0.5
    else:
        shares = [torch.full((width,), (len(widths) * width) ** 0.5) for width in widths]
        scale = scale * torch.cat(shares).to(scale)
    standard /= scale
    variance, directions = torch.linalg.eigh(standard @ standard.T)
    kept = (variance > variance[-1].clamp(min=1e-12) * 1e-9).nonzero()[:, 0].flip(0)[:max_rank]
    if not len(kept):  # The rows are equal, or one: any direction will do.
        kept = torch.zeros(1, dtype=torch.int64, device=features.device)
    squares, own = variance[kept], directions[:, kept]
    directions = own / squares.clamp(min=1e-12).sqrt()
    # That is standard @ standard.T @ directions.
    return Span(mean, scale, standard, directions, directions * squares.clamp(min=0))


class LinearStart(NamedTuple):
    """Linear classifier of coordinates.

    Attributes
    ----------
    weight : Tensor of shape (r, n_classes)
        Weights of the scores.
    bias : Tensor of shape (n_classes,)
        Biases of the scores.
    scale : float
        Factor that turns scores into logits.
    left_out : Tensor of shape (n, n_classes)
        Scores of each row by the classifier that is fitted without it.
    penalty : float or None
        The chosen penalty; None where several classifiers are averaged.
    """

    weight: Tensor
    bias: Tensor
    scale: float
    left_out: Tensor
    penalty: float | None = None

    @property
    def left_out_logits(self) -> Tensor:
        """Logits of each row by the classifier that is fitted without it, ``(n, n_classes)``."""
        return self.scale * self.left_out


def ridge(coordinates: Tensor, target: Tensor, weight: Tensor | None = None) -> LinearStart:
    """Fit ridge regressions of class targets, 1 for the class and -1 for the others.

    Parameters
    ----------
    coordinates : Tensor of shape (n, r)
        Coordinates of the training rows, in double precision.
    target : Tensor of shape (n, n_classes)
        Class probabilities; one-hot where the label is known.
    weight : Tensor of shape (n,), optional
        Weight of each row, not all zero; None where all are equal.

    Returns
    -------
    LinearStart
        The classifier, with the penalty of the smallest leave-one-out error, and the scale that
        makes the leave-one-out predictions likeliest.
    """
    target = target.to(coordinates)
    w = _shares(target, weight)
    centre = w @ coordinates
    signs = 2 * target - 1
    mean = w @ signs
    root = (w * int((w > 0).sum())).sqrt()[:, None]
    x, t = (coordinates - centre) * root, (signs - mean) * root
    squares, directions = torch.linalg.eigh(x.T @ x)
    kept = squares > squares[-1].clamp(min=1e-12) * 1e-9
    squares, directions = squares[kept], directions[:, kept]
    left = x @ directions / squares.sqrt()
    along = left.T @ t
    best_error = torch.inf
    for penalty in PENALTIES.to(x.device):
        shrinkage = squares / (squares + penalty)
        leverage = (left.square() @ shrinkage + w).clamp(max=1 - 1e-9)[:, None]
        residual = (t - left @ (shrinkage[:, None] * along)) / (1 - leverage)
        error = residual.square().mean()
        if error < best_error:
            best_error, chosen = error, penalty
            left_out = signs - residual / root.clamp(min=1e-9)
    slope = directions @ ((squares.sqrt() / (squares + chosen))[:, None] * along)
    bias = mean - centre @ slope
    # A row of no weight is left out of the fit as it is. One with all weight leaves no others.
    left_out = torch.where(w[:, None] > 0, left_out, coordinates @ slope + bias)
    left_out = torch.where(w[:, None] < 1 - 1e-9, left_out, torch.zeros_like(left_out))
    scale, _ = likeliest_scale(left_out, target, weight)
    return LinearStart(slope, bias, scale, left_out, float(chosen))


def likeliest_scale(
    scores: Tensor, target: Tensor, weight: Tensor | None = None
) -> tuple[float, float]:
    """Find the scale at which scores are the best logits.

    Targets are smoothed as one more row of each class would do it. Otherwise, with 20 series that
    are all classified rightly, no scale would be large enough. Those rows have the mean weight.

    Parameters
    ----------
    scores : Tensor of shape (n, n_classes)
        Scores of rows on which they were not fitted.
    target : Tensor of shape (n, n_classes)
        Class probabilities of these rows.
    weight : Tensor of shape (n,), optional
        Weight of each row; None where all are equal.

    Returns
    -------
    scale : float
        The best of :data:`SCALES`.
    loss : float
        Log loss at that scale.
    """
    target = target.to(scores)
    w = _shares(target, weight)
    n = int((w > 0).sum())
    smoothed = (target * n + 1) / (n + target.shape[1])
    losses = [-((smoothed * torch.log_softmax(s * scores, -1)).sum(-1) * w).sum() for s in SCALES]
    loss, best = torch.stack(losses).min(0)
    return float(SCALES[int(best)]), float(loss)


def _shares(target: Tensor, weight: Tensor | None) -> Tensor:
    """Return each row's share of all weight, ``(n,)``."""
    w = torch.ones_like(target[:, 0]) if weight is None else weight.to(target)
    return w / w.sum()

"""Linear classifiers that are fitted in closed form, at which training may start.

The classifiers are ridge regressions of class targets, in the space that the training rows span.
If there are fewer series than features, nothing outside this space can be learned, and a network
in the coordinates of this space has far fewer weights. The penalty is chosen by leave-one-out
errors, which need no further fit. The scale from scores to logits is chosen by leave-one-out
predictions, too.

A row of weight w counts as w equal rows, in the fit and in every error. All w copies are left out
together, because a copy that stayed would reveal the label. Only ratios of weights matter: before
the fit, weights are scaled to a mean of 1 over the rows with positive weight. A row of weight zero
has no influence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

MAX_RANK = 1024
"""Maximum number of directions; those of the largest variance are kept."""
PENALTIES = torch.logspace(-7, -0.5, 14, dtype=torch.float64)
"""Candidates for the ridge penalty, relative to the mean squared length of the rows of
standardised features. For ten thousand features they cover scikit-learn's usual 1e-3 to 1e3."""
SCALES = torch.logspace(-1, 1.5, 26, dtype=torch.float64)
"""Candidates for the factor from scores to logits."""


@dataclass(frozen=True)
class Span:
    """Principal directions of training rows.

    Attributes
    ----------
    mean, scale : Tensor of shape (n_features,)
        Mean and divisor of each feature in the standardisation.
    standard : Tensor of shape (n, n_features)
        Standardised features of the training rows.
    directions : Tensor of shape (n, r)
        Directions of unit length, as coefficients of the standardised training rows.
    coordinates : Tensor of shape (n, r)
        Coordinates of the training rows, in descending order of variance.
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
        """Convert weights of coordinates to the equivalent weights of centred features.

        Parameters
        ----------
        weight : Tensor of shape (r, k)
            Weights of coordinates.

        Returns
        -------
        Tensor of shape (n_features, k)
            ``basis @ weight``, computed without the basis, which would be expensive to form.
        """
        return self.standard.T @ (self.directions @ weight) / self.scale[:, None]


def drawn_rows(n: int, max_rank: int, seed: int) -> Tensor | None:
    """Return the rows that determine the directions: ``2 * max_rank`` drawn, or None for all."""
    if n <= 2 * max_rank:
        return None
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))[: 2 * max_rank]


def span(features: Tensor, max_rank: int = MAX_RANK, widths: Sequence[int] | None = None) -> Span:
    """Standardise features and find their principal directions.

    Parameters
    ----------
    features : Tensor of shape (n, n_features)
        Features of the training rows.
    max_rank : int
        Maximum number of directions.
    widths : sequence of int, optional
        Number of features of each family, if ``features`` holds several families side by side.
        The families are then scaled to the same total variance, however many features they have.

    Returns
    -------
    Span
        The directions, and the coordinates of these rows.
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
    """Linear classifier on coordinates.

    Attributes
    ----------
    weight : Tensor of shape (r, n_classes)
        Weights of the scores.
    bias : Tensor of shape (n_classes,)
        Biases of the scores.
    scale : float
        Factor from scores to logits.
    left_out : Tensor of shape (n, n_classes)
        Leave-one-out scores: the scores of each row from the classifier fitted without the row.
    penalty : float or None
        The chosen penalty; None if several classifiers are averaged.
    """

    weight: Tensor
    bias: Tensor
    scale: float
    left_out: Tensor
    penalty: float | None = None

    @property
    def left_out_logits(self) -> Tensor:
        """Leave-one-out logits ``(n, n_classes)`` of the training rows."""
        return self.scale * self.left_out


def ridge(coordinates: Tensor, target: Tensor, weight: Tensor | None = None) -> LinearStart:
    """Fit ridge regressions of class targets, 1 for the class and -1 for the others.

    Parameters
    ----------
    coordinates : Tensor of shape (n, r)
        Coordinates of the training rows, in double precision.
    target : Tensor of shape (n, n_classes)
        Class probabilities; one-hot for rows with a label.
    weight : Tensor of shape (n,), optional
        Weight of each row, not all zero; None if all are equal.

    Returns
    -------
    LinearStart
        The classifier. Its penalty has the smallest leave-one-out error, and its scale maximises
        the likelihood of the leave-one-out predictions.
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
    """Find the scale at which scores have the lowest log loss as logits.

    Targets are smoothed as if there were one more row of each class, with the mean weight.
    Without smoothing, the loss of a few series that are all classified correctly would fall with
    any increase of the scale.

    Parameters
    ----------
    scores : Tensor of shape (n, n_classes)
        Scores of each row, from a classifier that was fitted without the row.
    target : Tensor of shape (n, n_classes)
        Class probabilities of these rows.
    weight : Tensor of shape (n,), optional
        Weight of each row; None if all are equal.

    Returns
    -------
    scale : float
        The element of :data:`SCALES` with the lowest log loss.
    loss : float
        Log loss at this scale.
    """
    target = target.to(scores)
    w = _shares(target, weight)
    n = int((w > 0).sum())
    smoothed = (target * n + 1) / (n + target.shape[1])
    losses = [-((smoothed * torch.log_softmax(s * scores, -1)).sum(-1) * w).sum() for s in SCALES]
    loss, best = torch.stack(losses).min(0)
    return float(SCALES[int(best)]), float(loss)


def _shares(target: Tensor, weight: Tensor | None) -> Tensor:
    """Return the weight of each row as a fraction of the total weight, ``(n,)``."""
    w = torch.ones_like(target[:, 0]) if weight is None else weight.to(target)
    return w / w.sum()

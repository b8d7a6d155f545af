"""A linear classifier in closed form, from which a training may start.

Ridge regression of class targets, in the space that the training rows span: with fewer series than
features nothing outside of it can be learned from them, and a network in these coordinates has a
hundredth of the weights. Leave-one-out errors, which cost no further fit, choose the penalty, and
leave-one-out predictions the scale that makes logits of scores.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

MAX_RANK = 1024
"""Directions kept; those of the largest variance."""
PENALTIES = torch.logspace(-7, -0.5, 14, dtype=torch.float64)
"""Relative to the mean squared length of rows of standardised features: scikit-learn's usual 1e-3
to 1e3 for ten thousand features, and somewhat more."""
SCALES = torch.logspace(-1, 1.5, 26, dtype=torch.float64)


class Span(NamedTuple):
    """Directions in which training rows differ.

    Attributes
    ----------
    mean : Tensor of shape (n_features,)
        Of each feature.
    basis : Tensor of shape (n_features, r)
        Maps centred features to coordinates; each feature's own scale is in it.
    coordinates : Tensor of shape (n, r)
        Of the training rows, by falling variance.
    """

    mean: Tensor
    basis: Tensor
    coordinates: Tensor


def drawn_rows(n: int, max_rank: int, seed: int) -> Tensor | None:
    """Which of n rows decide on the directions: all (None), or twice ``max_rank`` at random."""
    if n <= 2 * max_rank:
        return None
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))[: 2 * max_rank]


def span(features: Tensor, max_rank: int = MAX_RANK) -> Span:
    """Standardise features and find the directions in which rows ``(n, n_features)`` differ.

    The coordinates are those of the rows given.
    """
    mean = features.double().mean(0)
    scale = features.double().std(0, correction=0)
    scale = torch.where(scale > 1e-6, scale, torch.ones_like(scale)) * features.shape[1] ** 0.5
    standard = (features.double() - mean) / scale
    variance, directions = torch.linalg.eigh(standard @ standard.T)
    kept = (variance > variance[-1].clamp(min=1e-12) * 1e-9).nonzero()[:, 0].flip(0)[:max_rank]
    if not len(kept):  # equal rows, or one: a direction in which nothing differs
        kept = torch.zeros(1, dtype=torch.int64, device=features.device)
    lengths = variance[kept].clamp(min=1e-12).sqrt()
    basis = standard.T @ (directions[:, kept] / lengths) / scale[:, None]
    return Span(mean, basis, (features.double() - mean) @ basis)


class LinearStart(NamedTuple):
    """A linear classifier of coordinates.

    Attributes
    ----------
    weight : Tensor of shape (r, n_classes)
        Of the scores.
    bias : Tensor of shape (n_classes,)
        Of the scores.
    scale : float
        Turns scores into logits.
    penalty : float
        That was chosen.
    left_out : Tensor of shape (n, n_classes)
        What the scores of each row would be had it been left out.
    """

    weight: Tensor
    bias: Tensor
    scale: float
    penalty: float
    left_out: Tensor


def ridge(coordinates: Tensor, target: Tensor, weight: Tensor | None = None) -> LinearStart:
    """Ridge regression of ±1 targets.

    Parameters
    ----------
    coordinates : Tensor of shape (n, r)
        Double precision.
    target : Tensor of shape (n, n_classes)
        Probabilities; one-hot where the label is known.
    weight : Tensor of shape (n,), optional
        Weight of each row.

    Notes
    -----
    Scores become logits by the scale that makes the leave-one-out predictions likeliest.
    """
    target = target.to(coordinates)
    w = torch.ones_like(target[:, 0]) if weight is None else weight.to(coordinates)
    w = w / w.sum()
    centre = w @ coordinates
    signs = 2 * target - 1
    mean = w @ signs
    root = (w * len(w)).sqrt()[:, None]
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
    scale, _ = likeliest_scale(left_out, target, weight)
    return LinearStart(slope, mean - centre @ slope, scale, float(chosen), left_out)


def likeliest_scale(
    scores: Tensor, target: Tensor, weight: Tensor | None = None
) -> tuple[float, float]:
    """By which scores ``(n, n_classes)`` of rows they were not fitted on make the best logits.

    Returns it with the log loss that remains. Targets are drawn in by what one more row of each
    class would do: with 20 series that are all right, no scale would otherwise be large enough.
    """
    target = target.to(scores)
    w = torch.ones_like(target[:, 0]) if weight is None else weight.to(scores)
    w = w / w.sum()
    smoothed = (target * len(w) + 1) / (len(w) + target.shape[1])
    losses = [-((smoothed * torch.log_softmax(s * scores, -1)).sum(-1) * w).sum() for s in SCALES]
    loss, best = torch.stack(losses).min(0)
    return float(SCALES[int(best)]), float(loss)

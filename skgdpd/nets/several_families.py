"""Ensemble of linear classifiers, one for each family of features.

Each family has its own directions and its own ridge regression. The logits of the families are
averaged with equal weights. Weights chosen by leave-one-out predictions were no better, because
the predictions for a few dozen rows are too noisy; see docs/results/students.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .closed_form import LinearStart, likeliest_scale, ridge, span


class FamilySpans(NamedTuple):
    """Principal directions of training rows, for each of several families of features.

    Attributes
    ----------
    means : list of Tensor of shape (n_features_of_family,)
        Mean of each feature of each family.
    bases : list of Tensor of shape (n_features_of_family, r_of_family)
        Matrix from centred features to coordinates, for each family.
    """

    means: list[Tensor]
    bases: list[Tensor]

    @property
    def ranks(self) -> list[int]:
        """Number of directions of each family."""
        return [basis.shape[1] for basis in self.bases]

    @property
    def mean(self) -> Tensor:
        """Means of the features of all families, side by side."""
        return torch.cat(self.means)

    @property
    def basis(self) -> Tensor:
        """Matrix ``(n_features, r)`` from centred features of all families to coordinates."""
        return torch.block_diag(*self.bases)

    def of(self, features: Tensor) -> Tensor:
        """Return the coordinates ``(n, r)`` of rows, family by family, in double precision."""
        given = features.split([len(mean) for mean in self.means], 1)
        found = [
            (own - mean) @ basis
            for own, mean, basis in zip(given, self.means, self.bases, strict=True)
        ]
        return torch.cat(found, 1).double()

    def single(self) -> FamilySpans:
        """Return the same directions in single precision."""
        return FamilySpans([m.float() for m in self.means], [b.float() for b in self.bases])


def family_spans(
    features: Tensor, widths: Sequence[int], max_rank: int
) -> tuple[FamilySpans, Tensor]:
    """Find the directions of each family and the coordinates of the training rows.

    Parameters
    ----------
    features : Tensor of shape (n, n_features)
        Features of the training rows, the families side by side.
    widths : sequence of int
        Number of features of each family.
    max_rank : int
        Maximum number of directions of each family.

    Returns
    -------
    spans : FamilySpans
        The directions.
    coordinates : Tensor of shape (n, r)
        Coordinates of the training rows, family by family, in double precision.
    """
    found = [span(part, max_rank) for part in features.split(list(widths), 1)]
    spans = FamilySpans([own.mean for own in found], [own.basis for own in found])
    return spans, torch.cat([own.coordinates for own in found], 1)


def averaged(
    coordinates: Tensor, ranks: Sequence[int], target: Tensor, weight: Tensor | None
) -> LinearStart:
    """Fit a ridge regression to each family and average their logits.

    Parameters
    ----------
    coordinates : Tensor of shape (n, r)
        Coordinates of the training rows, family by family, in double precision.
    ranks : sequence of int
        Number of coordinates of each family.
    target : Tensor of shape (n, n_classes)
        Class probabilities.
    weight : Tensor of shape (n,) or None
        Weight of each row; None if all are equal.

    Returns
    -------
    LinearStart
        Classifier on the coordinates of all families.
    """
    starts = [ridge(own, target, weight) for own in coordinates.split(list(ranks), 1)]
    share = 1 / len(starts)
    bias = torch.stack([share * own.scale * own.bias for own in starts]).sum(0)
    left_out = torch.stack([share * own.scale * own.left_out for own in starts]).sum(0)
    scale, _ = likeliest_scale(left_out, target, weight)
    weights = torch.cat([share * own.scale * own.weight for own in starts])
    return LinearStart(weights, bias, scale, left_out)

"""Linear classifiers of several families of features that vote together.

Each family has directions and a ridge regression of its own, whose logits are averaged with equal
weights. A choice of weights by left-out predictions has been no better, as a few dozen rows choose
by chance; see docs/results/students.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .closed_form import LinearStart, likeliest_scale, ridge, span


class FamilySpans(NamedTuple):
    """Directions in which training rows differ, for each of several families of features.

    Attributes
    ----------
    means : list of Tensor of shape (n_features_of_family,)
        Mean of each feature.
    bases : list of Tensor of shape (n_features_of_family, r_of_family)
        Matrices from centred features to coordinates.
    """

    means: list[Tensor]
    bases: list[Tensor]

    @property
    def ranks(self) -> list[int]:
        """Number of directions of each family."""
        return [basis.shape[1] for basis in self.bases]

    @property
    def mean(self) -> Tensor:
        """Mean of each feature of all families, side by side."""
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
    """Find the directions of each family, and the coordinates of these rows.

    Parameters
    ----------
    features : Tensor of shape (n, n_features)
        Features of the training rows, the families side by side.
    widths : sequence of int
        Number of features of each family.
    max_rank : int
        Upper limit of the number of directions of a family.

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
    """Fit a ridge regression to each family, and average their logits.

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
        Classifier of the coordinates of all families.
    """
    starts = [ridge(own, target, weight) for own in coordinates.split(list(ranks), 1)]
    share = 1 / len(starts)
    bias = torch.stack([share * own.scale * own.bias for own in starts]).sum(0)
    left_out = torch.stack([share * own.scale * own.left_out for own in starts]).sum(0)
    scale, _ = likeliest_scale(left_out, target, weight)
    weights = torch.cat([share * own.scale * own.weight for own in starts])
    return LinearStart(weights, bias, scale, left_out)

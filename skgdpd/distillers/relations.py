"""Distillers that compare relations between series in the features of student and teacher.

Student and teacher features may differ in width. Only the student's parameters are trained.
"""

from __future__ import annotations

from numbers import Real

import torch
import torch.nn.functional as F
from sklearn.utils._param_validation import Interval
from torch import Tensor

from ..nets.student import SeriesOutput
from ..training import Batch
from .rows import RowDistiller, kl_divergence, mean_weight, row_shares, unit


def relative_distances(features: Tensor, shares: Tensor) -> Tensor:
    """Return the distances of all pairs of rows, divided by their weighted mean.

    Parameters
    ----------
    features : Tensor of shape (n, d)
        Features. Equal rows have distance 0 and no gradient, and are left out of the mean.
    shares : Tensor of shape (n,)
        Weights of the rows, which sum to 1. The weight of a pair is the product of both weights.

    Returns
    -------
    Tensor of shape (n, n)
    """
    difference = features[:, None] - features[None]
    squares = difference.square().sum(-1)
    apart = squares > 0
    distances = torch.where(apart, torch.where(apart, squares, 1.0).sqrt(), 0.0)
    pairs = torch.outer(shares, shares) * apart
    total = pairs.sum()
    mean = (pairs * distances).sum() / torch.where(total > 0, total, 1.0)
    return distances / torch.where(mean > 0, mean, 1.0)


def angle_cosines(features: Tensor) -> Tensor:
    """Return the cosines of the angles at row i between rows j and k.

    Parameters
    ----------
    features : Tensor of shape (n, d)
        Features of a batch.

    Returns
    -------
    Tensor of shape (n, n, n)
        Cosines, by i, j and k; 0 if two of the rows are equal.
    """
    # Differences of all pairs make the direction from i to j exactly minus that from j to i.
    difference = features[None] - features[:, None]
    size = (features - features.mean(0)).detach().square().mean()
    directions = unit(difference, scale=size)
    return directions @ directions.transpose(1, 2)


def similarity_shares(features: Tensor, shares: Tensor) -> Tensor:
    """Return the logarithms of each row's cosine similarities, which are scaled to sum to 1.

    Parameters
    ----------
    features : Tensor of shape (n, d)
        Features.
    shares : Tensor of shape (n,)
        Weights of the rows that a row is compared with.

    Returns
    -------
    Tensor of shape (n, n)
    """
    directions = unit(features)
    # Cosines are mapped from [-1, 1] to [0, 1], and kept above 0 for the logarithm.
    kernel = (directions @ directions.T + 1).clamp(min=1e-6) / 2 * shares
    return torch.log(kernel.clamp(min=1e-30)) - torch.log(
        kernel.sum(-1, keepdim=True).clamp(min=1e-30)
    )


def relational_geometry_loss(
    student: Tensor,
    teacher: Tensor,
    distance_weight: float,
    angle_weight: float,
    weight: Tensor | None = None,
) -> Tensor:
    """Return the weighted sum of the Huber losses of relative distances and of angle cosines.

    The loss of distances is averaged over pairs of rows, and the loss of angles over triplets.

    Parameters
    ----------
    student : Tensor of shape (n, dS)
        Student features.
    teacher : Tensor of shape (n, dT)
        Teacher features; no gradient flows into them.
    distance_weight, angle_weight : float
        Weights of the two losses.
    weight : Tensor of shape (n,), optional
        Weight of each row. The weight of a pair or triplet is the product of its rows' weights,
        and the whole loss is multiplied by the mean weight. By default all are 1.

    Returns
    -------
    Tensor of shape ()

    References
    ----------
    W. Park et al., "Relational knowledge distillation", arXiv 1904.05068.
    """
    shares = row_shares(len(student), weight, student)
    teacher = teacher.detach()
    if teacher.shape[1] > len(teacher):
        # A rotation to n dimensions keeps distances and angles, and saves memory for all pairs.
        teacher = torch.linalg.qr((teacher - teacher.mean(0)).T, mode="r").R.T
    loss = student.sum() * 0
    if distance_weight:
        gap = F.smooth_l1_loss(
            relative_distances(student, shares),
            relative_distances(teacher, shares),
            reduction="none",
        )
        loss = loss + distance_weight * (shares @ gap @ shares)
    if angle_weight:
        gap = F.smooth_l1_loss(angle_cosines(student), angle_cosines(teacher), reduction="none")
        loss = loss + angle_weight * (gap @ shares @ shares @ shares)
    return mean_weight(weight) * loss


def similarity_loss(student: Tensor, teacher: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the divergence of the student's cosine similarities from the teacher's.

    Each row's similarities are normalised to probabilities, and the Kullback-Leibler divergence
    is averaged over rows.

    Parameters
    ----------
    student : Tensor of shape (n, dS)
        Student features.
    teacher : Tensor of shape (n, dT)
        Teacher features; no gradient flows into them.
    weight : Tensor of shape (n,), optional
        Weight of each row; by default 1.

    Returns
    -------
    Tensor of shape ()

    References
    ----------
    N. Passalis, A. Tefas, "Learning deep representations with probabilistic knowledge transfer",
    arXiv 1803.10837.
    """
    shares = row_shares(len(student), weight, student)
    losses = kl_divergence(
        similarity_shares(teacher.detach(), shares), similarity_shares(student, shares)
    )
    return mean_weight(weight) * (shares @ losses)


class RKD(RowDistiller):
    """Relational knowledge distillation of distances and angles between series (RKD).

    The loss does not change if the features are rotated, shifted or scaled. Angles are computed
    for all triplets of a batch, so the memory grows with the cube of ``batch_size``: 1 MB at 64
    and 4 GB at 1000.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the term.
    distance_weight : float, default=25.0
        Weight of the distances within the term; the default is the paper's value.
    angle_weight : float, default=50.0
        Weight of the angles within the term; the default is the paper's value.

    References
    ----------
    W. Park et al., "Relational knowledge distillation", arXiv 1904.05068.
    """

    _parameter_constraints = {
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "distance_weight": [Interval(Real, 0, None, closed="left")],
        "angle_weight": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self, lambda_kd: float = 1.0, distance_weight: float = 25.0, angle_weight: float = 50.0
    ) -> None:
        self.lambda_kd = lambda_kd
        self.distance_weight = distance_weight
        self.angle_weight = angle_weight

    def loss(self, output: SeriesOutput, batch: Batch) -> Tensor:
        return relational_geometry_loss(
            output.features,
            batch["teacher_features"],
            self.distance_weight,
            self.angle_weight,
            batch.get("target_weight"),
        )


class PKT(RowDistiller):
    """Probabilistic knowledge transfer of cosine similarities between series (PKT).

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the term, a divergence in nats that is averaged over rows. The authors' program
        averages over pairs, so its weight must be divided by the batch size.

    References
    ----------
    N. Passalis, A. Tefas, "Learning deep representations with probabilistic knowledge transfer",
    arXiv 1803.10837.
    """

    _parameter_constraints = {"lambda_kd": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, lambda_kd: float = 1.0) -> None:
        self.lambda_kd = lambda_kd

    def loss(self, output: SeriesOutput, batch: Batch) -> Tensor:
        return similarity_loss(
            output.features, batch["teacher_features"], batch.get("target_weight")
        )

"""What losses over rows have in common: weights, labels, divergences, and their one term."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Literal

import torch
from torch import Tensor

from ..nets.student import StudentNet, StudentOutput
from ..training import Batch, Step, Terms
from .base import Distillation, Distiller, Lesson
from .time_steps import TeacherMaps

DivergenceName = Literal["forward", "reverse", "js"]

TINY = 1e-12
"""Squares below this share of what they were computed from are rounding errors."""


def mean_over_rows(losses: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean of ``(n,)`` losses, each times its weight; of all rows, light ones too."""
    return losses.mean() if weight is None else (losses * weight).mean()


def mean_weight(weight: Tensor | None) -> Tensor | float:
    """Mean weight of a batch's rows: what a loss counts that is not a mean over them."""
    return 1.0 if weight is None else weight.mean()


def row_shares(n: int, weight: Tensor | None, like: Tensor) -> Tensor:
    """Weights of ``n`` rows as shares that sum to 1, or to 0 if no row weighs anything."""
    if weight is None:
        return torch.full((n,), 1 / n, dtype=like.dtype, device=like.device)
    return weight / weight.sum().clamp(min=TINY)


def known_classes(batch: Batch) -> Tensor:
    """Class numbers ``(n,)``: the label where there is one, else the teacher's first choice."""
    y = batch["y"]
    return torch.where(y >= 0, y, batch["teacher_logits"].argmax(-1))


def known_targets(batch: Batch) -> Tensor:
    """Probabilities ``(n, n_classes)``: the label where there is one, else the teacher's."""
    if "target" in batch:
        return batch["target"]
    logits = batch["teacher_logits"]
    y = batch["y"][:, None]
    one_hot = (y == torch.arange(logits.shape[1], device=y.device)).to(logits)
    return torch.where(y >= 0, one_hot, torch.softmax(logits.detach(), -1))


def kl_divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """``KL(p || q)`` of the last dimension's log-probabilities; 0 log 0 is 0."""
    p = log_p.exp()
    return torch.where(p > 0, p * (log_p - log_q), 0.0).sum(-1)


def divergence(log_p: Tensor, log_q: Tensor, name: DivergenceName = "forward") -> Tensor:
    """How far q, the student's, is from p, the teacher's.

    Parameters
    ----------
    log_p, log_q : Tensor of shape (..., n_classes)
        Log-probabilities.
    name : {"forward", "reverse", "js"}, default="forward"
        ``KL(p || q)``, which asks q to be wherever p is; ``KL(q || p)``, which asks it to be
        nowhere else; or Jensen and Shannon's mean of both to the mixture, which is bounded by
        log 2.
    """
    if name == "forward":
        return kl_divergence(log_p, log_q)
    if name == "reverse":
        return kl_divergence(log_q, log_p)
    middle = torch.logsumexp(torch.stack([log_p, log_q]), 0) - math.log(2.0)
    return (kl_divergence(log_p, middle) + kl_divergence(log_q, middle)) / 2


def unit(x: Tensor, dim: int = -1, scale: Tensor | float = 1.0) -> Tensor:
    """Vectors brought to length 1; those of no length stay 0 and get no gradient.

    Parameters
    ----------
    x : Tensor
        Vectors along ``dim``.
    dim : int, default=-1
        Which dimension.
    scale : Tensor or float, default=1.0
        Squared size of the numbers that x is a difference of; what is shorter by far is zero but
        for rounding.
    """
    squares = x.square().sum(dim, keepdim=True)
    precision = torch.finfo(x.dtype).eps ** 2
    there = squares > 100 * precision * scale + TINY**2
    return torch.where(there, x / torch.where(there, squares, 1.0).sqrt(), 0.0)


class RowLoss(Distillation):
    """One term a batch, from the first epoch, with nothing to train but the student.

    Parameters
    ----------
    distiller : RowDistiller
        Whose loss it is.
    """

    def __init__(self, distiller: RowDistiller) -> None:
        super().__init__()
        self.distiller = distiller
        self.compares_maps = distiller.compares_maps

    def constants_of_maps(self, maps: TeacherMaps) -> dict[str, Tensor]:
        return self.distiller.constants_of_maps(maps)

    def phase(self, step: Step) -> Hashable:
        # A distiller is parameters only, so its loss depends on the batch alone.
        return ()

    def label_weight(self, step: Step) -> float:
        return self.distiller.label_share

    def terms(self, student: StudentNet, output: StudentOutput, batch: Batch, step: Step) -> Terms:
        weight = self.distiller.term_weight
        if not weight:
            return {}
        name = type(self.distiller).__name__.lower()
        return {name: weight * self.distiller.loss(output, batch)}


class RowDistiller(Distiller):
    """Base of the methods that are one loss of a batch; a subclass writes only ``loss``."""

    lambda_kd: float

    @property
    def label_share(self) -> float:
        """Weight of the cross-entropy against the labels."""
        return 1.0

    @property
    def term_weight(self) -> float:
        """Weight of the loss."""
        return self.lambda_kd

    def loss(self, output: StudentOutput, batch: Batch) -> Tensor:
        """The loss of a batch, not weighted by ``lambda_kd``; the teacher's part is constant."""
        raise NotImplementedError

    def prepare(self, lesson: Lesson) -> Distillation:
        return RowLoss(self)

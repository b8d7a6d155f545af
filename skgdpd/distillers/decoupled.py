"""Distillers that treat the right class and the others, or rows and columns, apart."""

from __future__ import annotations

from numbers import Real

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor

from ..nets.student import StudentOutput
from ..training import Batch
from .rows import (
    RowDistiller,
    kl_divergence,
    known_classes,
    mean_over_rows,
    mean_weight,
    row_shares,
    unit,
)


def decoupled_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    y: Tensor,
    alpha: float,
    beta: float,
    temperature: float,
    weight: Tensor | None = None,
) -> Tensor:
    """``T² (alpha KL(b_T || b_S) + beta KL(o_T || o_S))``, mean over rows.

    b is the probability of the right class and of all others together, o are the probabilities
    of the others among themselves.

    Parameters
    ----------
    student_logits, teacher_logits : Tensor of shape (n, n_classes)
        The teacher's are constants.
    y : Tensor of shape (n,)
        The right class.
    alpha, beta : float
        Weights of the two parts. With ``alpha = 1`` and beta the teacher's probability of the
        others, a row's loss is Hinton's.
    temperature : float
        T; all logits are divided by it.
    weight : Tensor of shape (n,), optional
        Weight of each row.

    References
    ----------
    B. Zhao et al., "Decoupled knowledge distillation", arXiv 2203.08679.
    """
    right = y[:, None]
    # Numbers and not a mask, for whose size the program would have to wait.
    wrong = torch.arange(student_logits.shape[1] - 1, device=y.device)
    wrong = wrong + (wrong >= right)

    def parts(logits: Tensor) -> tuple[Tensor, Tensor]:
        log_p = torch.log_softmax(logits / temperature, -1)
        others = log_p.gather(1, wrong)
        log_rest = torch.logsumexp(others, -1, keepdim=True)
        return torch.cat([log_p.gather(1, right), log_rest], -1), others - log_rest

    teacher_pair, teacher_others = parts(teacher_logits.detach())
    student_pair, student_others = parts(student_logits)
    losses = alpha * kl_divergence(teacher_pair, student_pair)
    losses = losses + beta * kl_divergence(teacher_others, student_others)
    return temperature**2 * mean_over_rows(losses, weight)


def correlation(a: Tensor, b: Tensor, shares: Tensor, dim: int) -> Tensor:
    """Pearson's correlation along a dimension; 0, without a gradient, where one is constant.

    Parameters
    ----------
    a, b : Tensor of shape (n, m)
        Values.
    shares : Tensor, broadcastable to (n, m)
        Weights along ``dim``, which sum to 1.
    dim : int
        The dimension that is summed over.
    """

    def direction(x: Tensor) -> Tensor:
        centred = x - (shares * x).sum(dim, keepdim=True)
        scale = (shares * x.square()).sum(dim, keepdim=True)
        return unit(shares.sqrt() * centred, dim, scale)

    return (direction(a) * direction(b)).sum(dim)


def relational_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    inter: float,
    intra: float,
    temperature: float,
    weight: Tensor | None = None,
) -> Tensor:
    """``T² (inter (1 - r of rows) + intra (1 - r of columns))`` of softened probabilities.

    Parameters
    ----------
    student_logits, teacher_logits : Tensor of shape (n, n_classes)
        The teacher's are constants.
    inter, intra : float
        Weights of the correlations within rows, over classes, and within columns, over series.
    temperature : float
        T; all logits are divided by it.
    weight : Tensor of shape (n,), optional
        Weight of each row.

    References
    ----------
    T. Huang et al., "Knowledge distillation from a stronger teacher", arXiv 2205.10536.
    """
    teacher = torch.softmax(teacher_logits.detach() / temperature, -1)
    student = torch.softmax(student_logits / temperature, -1)
    n, n_classes = student.shape
    classes = row_shares(n_classes, None, student)
    rows = row_shares(n, weight, student)[:, None]
    by_row = mean_over_rows(1 - correlation(teacher, student, classes, 1), weight)
    by_column = mean_weight(weight) * (1 - correlation(teacher, student, rows, 0).mean())
    return temperature**2 * (inter * by_row + intra * by_column)


class DKD(RowDistiller):
    """Decoupled distillation: how hard a series is, and what its wrong classes look like.

    Hinton's loss ties the second to how unsure the teacher is; here each has its own weight. Of
    two classes there is nothing to say about the wrong ones, and only the first part is left.
    Where there is no label, the teacher's first choice stands for the right class.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the term.
    alpha : float, default=1.0
        Weight of the right class against the rest.
    beta : float, default=8.0
        Weight of the wrong classes among themselves; the paper's value.
    temperature : float, default=4.0
        Divides the logits; the paper's value.

    References
    ----------
    B. Zhao et al., "Decoupled knowledge distillation", arXiv 2203.08679.
    """

    _parameter_constraints = {
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        lambda_kd: float = 1.0,
        alpha: float = 1.0,
        beta: float = 8.0,
        temperature: float = 4.0,
    ) -> None:
        self.lambda_kd = lambda_kd
        self.alpha = alpha
        self.beta = beta
        self.temperature = temperature

    def loss(self, output: StudentOutput, batch: Batch) -> Tensor:
        return decoupled_loss(
            output.logits,
            batch["teacher_logits"],
            known_classes(batch),
            self.alpha,
            self.beta,
            self.temperature,
            batch.get("target_weight"),
        )


class DIST(RowDistiller):
    """Correlations with the teacher's probabilities, over classes and over series.

    Only order and proportion count: a student may be less sure than its teacher everywhere. Over
    two classes every correlation is 1 or -1 and teaches nothing; the one over series remains.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the term.
    inter : float, default=1.0
        Weight of the correlation over the classes of one series.
    intra : float, default=1.0
        Weight of the correlation over the series of one class.
    temperature : float, default=1.0
        Divides the logits; the paper's value for strong teachers.

    References
    ----------
    T. Huang et al., "Knowledge distillation from a stronger teacher", arXiv 2205.10536.
    """

    _parameter_constraints = {
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "inter": [Interval(Real, 0, None, closed="left")],
        "intra": [Interval(Real, 0, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        lambda_kd: float = 1.0,
        inter: float = 1.0,
        intra: float = 1.0,
        temperature: float = 1.0,
    ) -> None:
        self.lambda_kd = lambda_kd
        self.inter = inter
        self.intra = intra
        self.temperature = temperature

    def loss(self, output: StudentOutput, batch: Batch) -> Tensor:
        return relational_loss(
            output.logits,
            batch["teacher_logits"],
            self.inter,
            self.intra,
            self.temperature,
            batch.get("target_weight"),
        )

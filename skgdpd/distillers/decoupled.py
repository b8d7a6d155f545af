"""Distillers that weight the correct class and the others, or rows and columns, separately."""

from __future__ import annotations

from numbers import Real

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor

from ..nets.student import SeriesOutput
from ..training import Batch
from .rows import (
    TEMPERATURE_RANGE,
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
    """Return ``T² (alpha KL(b_T || b_S) + beta KL(o_T || o_S))``, averaged over rows.

    b holds two probabilities: that of the correct class, and the sum over all other classes. o
    holds the probabilities of the other classes, given that the class is one of them.

    Parameters
    ----------
    student_logits, teacher_logits : Tensor of shape (n, n_classes)
        Logits; no gradient flows into the teacher's.
    y : Tensor of shape (n,)
        Number of the correct class.
    alpha, beta : float
        Weights of the two parts. The loss of a row is Hinton's if ``alpha`` is 1 and ``beta`` is
        the teacher's probability of the other classes.
    temperature : float
        Temperature T, by which all logits are divided.
    weight : Tensor of shape (n,), optional
        Weight of each row; by default 1.

    Returns
    -------
    Tensor of shape ()

    References
    ----------
    B. Zhao et al., "Decoupled knowledge distillation", arXiv 2203.08679.
    """
    right = y[:, None]
    # Indices instead of a mask: the size of a mask's selection would need a synchronisation.
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
    """Return Pearson's correlation along a dimension.

    If one of the two vectors is constant, the correlation is 0 and has no gradient.

    Parameters
    ----------
    a, b : Tensor of shape (n, m)
        Values.
    shares : Tensor, broadcastable to (n, m)
        Weights along ``dim``, which sum to 1.
    dim : int
        Dimension of the vectors.

    Returns
    -------
    Tensor of shape (n,) or (m,)
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
    """Return ``T² (inter (1 - r_rows) + intra (1 - r_columns))`` of softened probabilities.

    r_rows and r_columns are the mean correlations of the rows and of the columns.

    Parameters
    ----------
    student_logits, teacher_logits : Tensor of shape (n, n_classes)
        Logits; no gradient flows into the teacher's.
    inter : float
        Weight of the correlations of rows, over the classes of a series.
    intra : float
        Weight of the correlations of columns, over the series of a batch.
    temperature : float
        Temperature T, by which all logits are divided.
    weight : Tensor of shape (n,), optional
        Weight of each row; by default 1.

    Returns
    -------
    Tensor of shape ()

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
    """Decoupled knowledge distillation, with separate weights of correct and wrong classes.

    Hinton's loss is the sum of two parts: the divergence of the correct class against the rest,
    and the divergence among the wrong classes. Hinton's loss weights the second part by the
    teacher's probability of the wrong classes. This method gives each part a constant weight.
    With two classes the second part is zero. For an unlabelled series, the class that the teacher
    predicts counts as the correct class.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the term.
    alpha : float, default=1.0
        Weight of the divergence of the correct class against the rest.
    beta : float, default=8.0
        Weight of the divergence among the wrong classes; the default is the paper's value.
    temperature : float, default=4.0
        Temperature by which the logits are divided; the default is the paper's value.

    References
    ----------
    B. Zhao et al., "Decoupled knowledge distillation", arXiv 2203.08679.
    """

    _parameter_constraints = {
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="left")],
        "temperature": TEMPERATURE_RANGE,
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

    def loss(self, output: SeriesOutput, batch: Batch) -> Tensor:
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
    """Distillation by correlations of the student's probabilities with the teacher's (DIST).

    A correlation does not depend on shift and scale, so the student may be less certain than the
    teacher. With two classes, each correlation over classes is 1 or -1 and has no gradient; only
    the correlation over series remains.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the term.
    inter : float, default=1.0
        Weight of the correlations over the classes of a series.
    intra : float, default=1.0
        Weight of the correlations over the series of a batch, class by class.
    temperature : float, default=1.0
        Temperature by which the logits are divided; the default is the paper's value for strong
        teachers.

    References
    ----------
    T. Huang et al., "Knowledge distillation from a stronger teacher", arXiv 2205.10536.
    """

    _parameter_constraints = {
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "inter": [Interval(Real, 0, None, closed="left")],
        "intra": [Interval(Real, 0, None, closed="left")],
        "temperature": TEMPERATURE_RANGE,
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

    def loss(self, output: SeriesOutput, batch: Batch) -> Tensor:
        return relational_loss(
            output.logits,
            batch["teacher_logits"],
            self.inter,
            self.intra,
            self.temperature,
            batch.get("target_weight"),
        )

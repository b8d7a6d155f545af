"""Distillers that compare the student's logits with the teacher's."""

from __future__ import annotations

from numbers import Real

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor

from ..nets.student import StudentNet, StudentOutput
from ..training import Batch, Step, Terms
from .base import Distillation, Distiller, Lesson


def hinton_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    temperature: float,
    weight: Tensor | None = None,
) -> Tensor:
    """``T² KL(p_T || p_S)`` of softened probabilities, mean over rows.

    Parameters
    ----------
    student_logits, teacher_logits : Tensor of shape (n, n_classes)
        The teacher's are constants.
    temperature : float
        T; both are divided by it.
    weight : Tensor of shape (n,), optional
        Weight of each row.

    References
    ----------
    G. Hinton, O. Vinyals, J. Dean, "Distilling the knowledge in a neural network",
    arXiv 1503.02531.
    """
    teacher = torch.log_softmax(teacher_logits.detach() / temperature, -1)
    student = torch.log_softmax(student_logits / temperature, -1)
    divergence = (teacher.exp() * (teacher - student)).sum(-1)
    if weight is not None:
        divergence = divergence * weight
    return temperature**2 * divergence.mean()


class HintonDistillation(Distillation):
    """See :class:`Hinton`."""

    def __init__(self, lambda_kd: float, temperature: float) -> None:
        super().__init__()
        self.lambda_kd = lambda_kd
        self.temperature = temperature

    def terms(self, student: StudentNet, output: StudentOutput, batch: Batch, step: Step) -> Terms:
        if not self.lambda_kd:
            return {}
        loss = hinton_loss(
            output.logits, batch["teacher_logits"], self.temperature, batch.get("target_weight")
        )
        return {"hinton": self.lambda_kd * loss}


class Hinton(Distiller):
    """Softened probabilities of the teacher as targets.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the term.
    temperature : float, default=4.0
        Divides the logits. Higher shows more of what the teacher thinks of the wrong classes;
        4 is the usual choice for classifiers that are nearly always right on their training part.

    References
    ----------
    G. Hinton, O. Vinyals, J. Dean, "Distilling the knowledge in a neural network",
    arXiv 1503.02531.
    """

    _parameter_constraints = {
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, lambda_kd: float = 1.0, temperature: float = 4.0) -> None:
        self.lambda_kd = lambda_kd
        self.temperature = temperature

    def prepare(self, lesson: Lesson) -> HintonDistillation:
        return HintonDistillation(self.lambda_kd, self.temperature)

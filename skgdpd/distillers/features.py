"""Distillers that compare the student's features with the teacher's."""

from __future__ import annotations

from numbers import Real

from sklearn.utils._param_validation import Interval
from torch import nn

from ..nets.student import StudentNet, StudentOutput
from ..training import Batch, Step, Terms
from .base import Distillation, Distiller, Lesson


class FitNetsDistillation(Distillation):
    """See :class:`FitNets`."""

    def __init__(
        self, lambda_kd: float, first_stage_epochs: int, n_student: int, n_teacher: int
    ) -> None:
        super().__init__()
        self.lambda_kd = lambda_kd
        self.warmup_epochs = first_stage_epochs
        self.regressor = nn.Linear(n_student, n_teacher, bias=False)

    def label_weight(self, step: Step) -> float:
        return 0.0 if step.epoch < self.warmup_epochs else 1.0

    def terms(self, student: StudentNet, output: StudentOutput, batch: Batch, step: Step) -> Terms:
        if step.epoch >= self.warmup_epochs:
            return {}
        guess = self.regressor(output.features)
        return {"fitnets": self.lambda_kd * (guess - batch["teacher_features"]).square().mean()}


class FitNets(Distiller):
    """Hints: first learn to predict the teacher's features, then the labels.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the squared error in the first stage.
    first_stage : float, default=0.5
        Share of the epochs that the first stage takes; the labels are off in it.

    References
    ----------
    A. Romero et al., "FitNets: hints for thin deep nets", arXiv 1412.6550.
    """

    _parameter_constraints = {
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "first_stage": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(self, lambda_kd: float = 1.0, first_stage: float = 0.5) -> None:
        self.lambda_kd = lambda_kd
        self.first_stage = first_stage

    def prepare(self, lesson: Lesson) -> FitNetsDistillation:
        return FitNetsDistillation(
            self.lambda_kd,
            min(round(self.first_stage * lesson.max_epochs), lesson.max_epochs - 1),
            lesson.n_student_features,
            lesson.rows.tensors["teacher_features"].shape[1],
        )

"""The control of every teacher of whole series: one that has seen no more than its student."""

from __future__ import annotations

from collections.abc import Hashable
from numbers import Real

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor

from ..nets.student import StudentNet, StudentOutput
from ..training import Batch, Rows, Step, Terms
from .base import Distillation, Distiller, Lesson
from .logits import hinton_loss

CHUNK = 1024
"""Series read at once; bounds the memory."""


class SelfTeacherDistillation(Distillation):
    """See :class:`SelfTeacher`."""

    own_logits: Tensor

    def __init__(
        self, lambda_kd: float, temperature: float, first_stage_epochs: int, rows: Rows
    ) -> None:
        super().__init__()
        self.lambda_kd = lambda_kd
        self.temperature = temperature
        self.warmup_epochs = first_stage_epochs
        self.register_buffer("own_logits", torch.zeros_like(rows.tensors["teacher_logits"]))

    def phase(self, step: Step) -> Hashable:
        return step.epoch >= self.warmup_epochs

    def start_epoch(self, student: StudentNet, rows: Rows, step: Step) -> None:
        if step.epoch != self.warmup_epochs:
            return
        training = student.training
        student.eval()
        with torch.no_grad():
            for index in torch.arange(len(rows), device=rows.device).split(CHUNK):
                self.own_logits.index_copy_(0, index, student.read(rows.select(index)).logits)
        student.train(training)

    def terms(self, student: StudentNet, output: StudentOutput, batch: Batch, step: Step) -> Terms:
        if step.epoch < self.warmup_epochs or not self.lambda_kd:
            return {}
        own, weight = self.own_logits[batch["index"]], batch.get("target_weight")
        loss = hinton_loss(output.logits, own, self.temperature, weight)
        return {"selfteacher": self.lambda_kd * loss}


class SelfTeacher(Distiller):
    """Hinton's loss with the student's own earlier predictions, from the prefix, as targets.

    The teacher of whole series is not asked (but fitted, as always). What a distiller gains over
    this one comes from what only whole series show; what this one gains over no teacher comes
    from softened targets alone.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the term.
    temperature : float, default=4.0
        Divides the logits; as for Hinton.
    first_stage : float, default=0.5
        Share of the epochs, on labels alone, after which the predictions are taken.

    References
    ----------
    T. Furlanello et al., "Born again neural networks", arXiv 1805.04770 (there the student starts
    afresh).
    """

    _parameter_constraints = {
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "first_stage": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self, lambda_kd: float = 1.0, temperature: float = 4.0, first_stage: float = 0.5
    ) -> None:
        self.lambda_kd = lambda_kd
        self.temperature = temperature
        self.first_stage = first_stage

    def prepare(self, lesson: Lesson) -> SelfTeacherDistillation:
        stage = min(round(self.first_stage * lesson.max_epochs), lesson.max_epochs - 1)
        return SelfTeacherDistillation(self.lambda_kd, self.temperature, stage, lesson.rows)

"""Distillers whose teacher is the student itself: earlier, or on whole series."""

from __future__ import annotations

from collections.abc import Hashable
from numbers import Real

import torch
import torch.nn.functional as F
from sklearn.utils._param_validation import Interval
from torch import Tensor

from ..nets.student import SeriesNet, SeriesOutput
from ..training import Batch, Rows, Step, Terms
from .base import Distillation, DistillationContext, Distiller
from .logits import hinton_loss
from .own_outputs import own_outputs
from .rows import TEMPERATURE_RANGE, mean_over_rows, of_part


class SelfTeacherDistillation(Distillation):
    """Distillation of :class:`SelfTeacher`."""

    own_logits: Tensor

    def __init__(
        self, lambda_kd: float, temperature: float, first_stage_epochs: int, rows: Rows
    ) -> None:
        super().__init__()
        self.lambda_kd = lambda_kd
        self.temperature = temperature
        self.warmup_epochs = first_stage_epochs
        self.register_buffer("own_logits", torch.zeros_like(rows.tensors["teacher_logits"]))
        # No buffer: chunks of a stream have any size, and no chunk occurs twice.
        self.logits_of_chunk = self.own_logits[:0]

    def phase(self, step: Step) -> Hashable:
        return step.epoch >= self.warmup_epochs

    def start_epoch(self, student: SeriesNet, rows: Rows, step: Step) -> None:
        if self.calibrating and step.epoch != self.warmup_epochs:
            return
        if not self.calibrating:
            self.logits_of_chunk = torch.zeros_like(rows.tensors["teacher_logits"])
        self._logits().copy_(own_outputs(student, rows).logits)

    def _logits(self) -> Tensor:
        """Return the student's earlier logits of the current training rows."""
        return self.own_logits if self.calibrating else self.logits_of_chunk

    def terms(self, student: SeriesNet, output: SeriesOutput, batch: Batch, step: Step) -> Terms:
        if step.epoch < self.warmup_epochs or not self.lambda_kd:
            return {}
        own, weight = self._logits()[batch["index"]], batch.get("target_weight")
        loss = hinton_loss(output.logits, own, self.temperature, weight)
        return {"selfteacher": self.lambda_kd * loss}


class SelfTeacher(Distiller):
    """Self-distillation with the student's own earlier predictions as soft targets.

    The soft targets are predictions from prefixes. The teacher of whole series is fitted as
    usual, but the loss does not use it. The distiller is a control: another distiller's gain over
    it comes from the information in whole series. Its own gain over no distillation comes from
    soft targets alone.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the term.
    temperature : float, default=4.0
        Temperature by which the logits are divided, as in :class:`~skgdpd.distillers.Hinton`.
    first_stage : float, default=0.5
        Share of the epochs that train on labels alone. The soft targets are computed after them.

    References
    ----------
    T. Furlanello et al., "Born again neural networks", arXiv 1805.04770, which trains the student
    again from the start.
    """

    _parameter_constraints = {
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "temperature": TEMPERATURE_RANGE,
        "first_stage": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self, lambda_kd: float = 1.0, temperature: float = 4.0, first_stage: float = 0.5
    ) -> None:
        self.lambda_kd = lambda_kd
        self.temperature = temperature
        self.first_stage = first_stage

    def prepare(self, context: DistillationContext) -> SelfTeacherDistillation:
        stage = min(round(self.first_stage * context.max_epochs), context.max_epochs - 1)
        return SelfTeacherDistillation(self.lambda_kd, self.temperature, stage, context.rows)


class PrivilegedSelfTeacherDistillation(Distillation):
    """Distillation of :class:`PrivilegedSelfTeacher`."""

    def __init__(self, lambda_kd: float, temperature: float) -> None:
        super().__init__()
        self.lambda_kd = lambda_kd
        self.temperature = temperature

    def phase(self, step: Step) -> Hashable:
        return ()

    def terms(self, student: SeriesNet, output: SeriesOutput, batch: Batch, step: Step) -> Terms:
        if not self.lambda_kd:
            return {}
        whole = student.read(of_part(batch, "whole")).logits
        y, weight = batch["y"], batch.get("target_weight")
        losses = F.cross_entropy(whole, y.clamp(min=0), reduction="none")
        own = mean_over_rows(torch.where(y >= 0, losses, 0.0), weight)
        taught = hinton_loss(output.logits, whole, self.temperature, weight)
        return {"privilegedselfteacher": self.lambda_kd * (own + taught)}


class PrivilegedSelfTeacher(Distiller):
    """Distillation in which one network learns from whole series and teaches itself on prefixes.

    The student is given the whole series and its first part, with the same weights. Both outputs
    learn the label. The output on the first part also learns the output on the whole series:
    ``CE(prefix) + lambda_kd (CE(whole) + T² KL(p(whole) || p(prefix)))``. In the divergence, no
    gradient flows through ``p(whole)``. The classifier's teacher is fitted as usual, but the loss
    does not use it.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the losses on whole series: their cross-entropy, and the divergence.
    temperature : float, default=1.0
        Temperature T, by which the logits of the divergence are divided. The default compares the
        probabilities themselves, because at the start of the training the network is as uncertain
        on whole series as on prefixes.

    Notes
    -----
    Students with fixed features, such as ``"mixed"`` and ``"rocket"``, are refused, because they
    take series of one length only. The cost of a step grows with the length of the whole series.

    References
    ----------
    Privileged information distillation (pi-Distill), arXiv 2602.04942, on language models.
    """

    _parameter_constraints = {
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "temperature": TEMPERATURE_RANGE,
    }

    def __init__(self, lambda_kd: float = 1.0, temperature: float = 1.0) -> None:
        self.lambda_kd = lambda_kd
        self.temperature = temperature

    def longer_parts(self, n_seen: int, n_whole: int) -> dict[str, int]:
        return {"whole": n_whole}

    def prepare(self, context: DistillationContext) -> PrivilegedSelfTeacherDistillation:
        return PrivilegedSelfTeacherDistillation(self.lambda_kd, self.temperature)

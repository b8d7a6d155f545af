"""Students that are their own teachers: earlier, or of whole series."""

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
from .rows import mean_over_rows, of_part


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
        # No buffer: chunks of a stream are of any size, and none is met again.
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
        """Return the student's earlier logits of the rows that are being learned from."""
        return self.own_logits if self.calibrating else self.logits_of_chunk

    def terms(self, student: SeriesNet, output: SeriesOutput, batch: Batch, step: Step) -> Terms:
        if step.epoch < self.warmup_epochs or not self.lambda_kd:
            return {}
        own, weight = self._logits()[batch["index"]], batch.get("target_weight")
        loss = hinton_loss(output.logits, own, self.temperature, weight)
        return {"selfteacher": self.lambda_kd * loss}


class SelfTeacher(Distiller):
    """Self-distillation with the student's own earlier predictions as soft targets.

    The predictions are made from prefixes. The teacher of whole series is fitted as always but
    not used in the loss. The gain of another distiller over this one is due to the information in
    whole series. The gain of this one over no distillation is due to soft targets alone.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the term.
    temperature : float, default=4.0
        Temperature by which the logits are divided, as in :class:`~skgdpd.distillers.Hinton`.
    first_stage : float, default=0.5
        Share of the epochs that are trained on labels alone. The predictions are made after them.

    References
    ----------
    T. Furlanello et al., "Born again neural networks", arXiv 1805.04770 (where the student is
    trained from the start again).
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
    """Distiller by which one network learns from whole series and teaches itself on prefixes.

    The student is given the whole series and its first part, with the same weights. Both answers
    learn the label, and the answer on the first part learns the one on the whole:
    ``CE(prefix) + lambda_kd (CE(whole) + T² KL(p(whole) || p(prefix)))``. No gradient flows
    through the teacher's side of the divergence. The teacher of the classifier is fitted as
    always but not used in the loss.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of what whole series teach: their own cross-entropy, and the divergence.
    temperature : float, default=1.0
        Temperature T, by which the logits of the divergence are divided. The default compares the
        probabilities themselves, as the network's answers on whole series are as unsure at the
        start as its others.

    Notes
    -----
    Students with fixed features, such as ``"mixed"`` and ``"rocket"``, are refused, as they take
    series of one length. A step costs about as much more as whole series are longer.

    References
    ----------
    Privileged information distillation (pi-Distill), arXiv 2602.04942, on language models.
    """

    _parameter_constraints = {
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, lambda_kd: float = 1.0, temperature: float = 1.0) -> None:
        self.lambda_kd = lambda_kd
        self.temperature = temperature

    def longer_parts(self, n_seen: int, n_whole: int) -> dict[str, int]:
        return {"whole": n_whole}

    def prepare(self, context: DistillationContext) -> PrivilegedSelfTeacherDistillation:
        return PrivilegedSelfTeacherDistillation(self.lambda_kd, self.temperature)

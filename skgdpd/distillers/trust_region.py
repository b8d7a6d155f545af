"""Distiller that wraps another one and keeps the student near its state after a stage."""

from __future__ import annotations

from collections.abc import Hashable
from numbers import Real

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor

from ..nets.student import SeriesNet, SeriesOutput
from ..training import Batch, Rows, Step, Terms
from ..training.graphs import phase_of
from .around import AroundDistillation, AroundDistiller
from .base import Distillation, DistillationContext, Distiller
from .own_outputs import own_outputs
from .rows import kl_divergence, mean_over_rows


class TrustRegionDistillation(AroundDistillation):
    """Distillation of :class:`TrustRegion`."""

    anchor: Tensor

    def __init__(
        self, inner: Distillation, lambda_kd: float, beta: float, stage: int, rows: Rows
    ) -> None:
        super().__init__(inner, lambda_kd)
        self.beta = beta
        self.warmup_epochs = max(inner.warmup_epochs, stage)
        logits = rows.tensors["teacher_logits"]
        shape = (len(rows), rows.n_moments, logits.shape[1])
        self.register_buffer("anchor", logits.new_zeros(shape))
        # No buffer: chunks of a stream have any size, and no chunk occurs twice.
        self.anchor_of_chunk = logits.new_zeros((0, *shape[1:]))

    def phase(self, step: Step) -> Hashable | None:
        inner = phase_of(self.inner, step)
        return None if inner is None else (step.epoch >= self.warmup_epochs, inner)

    def start_epoch(self, student: SeriesNet, rows: Rows, step: Step) -> None:
        super().start_epoch(student, rows, step)
        if not self.beta or (self.calibrating and step.epoch != self.warmup_epochs):
            return
        moments = [own_outputs(student, rows, m).logits for m in range(rows.n_moments)]
        logits = torch.stack(moments, 1)
        if self.calibrating:
            self.anchor.copy_(logits)
        else:
            self.anchor_of_chunk = logits

    def terms(self, student: SeriesNet, output: SeriesOutput, batch: Batch, step: Step) -> Terms:
        losses = []
        if self.lambda_kd:
            loss = self.inner_sum(student, output, batch, step)
            losses += [] if loss is None else [self.lambda_kd * loss]
        if self.beta and step.epoch >= self.warmup_epochs:
            losses.append(self.beta * self.distance(output, batch))
        return {"trustregion": torch.stack(losses).sum()} if losses else {}

    def distance(self, output: SeriesOutput, batch: Batch) -> Tensor:
        """Return the mean divergence of the student's probabilities from the anchor's."""
        anchor = self.anchor if self.calibrating else self.anchor_of_chunk
        moment = int(batch["moment"]) if "moment" in batch else 0
        was = torch.log_softmax(anchor[batch["index"], moment], -1)
        losses = kl_divergence(was, torch.log_softmax(output.logits, -1))
        return mean_over_rows(losses, batch.get("target_weight"))


class TrustRegion(AroundDistiller):
    """Trust region around the student after a first stage, for any distiller.

    In the first stage, the student learns from the labels and the wrapped distiller. The anchor is
    its probabilities for the training series at the end of that stage. From then on,
    ``beta KL(p_anchor || p_S)`` is added to the loss, at temperature 1.

    In a stream, the anchor of each chunk is the student before the chunk.

    Parameters
    ----------
    distiller : Distiller, default=None
        Wrapped distiller; None is :class:`~skgdpd.distillers.Hinton`.
    lambda_kd : float, default=1.0
        Weight of the wrapped distiller's terms. It multiplies the distiller's own weight, but not
        ``beta``.
    beta : float, default=1.0
        Weight of the divergence from the anchor. 0 leaves the wrapped distiller unchanged. The
        default is the weight of the labels' cross-entropy.
    first_stage : float, default=0.5
        Share of the epochs before the anchor is computed, with at least one epoch. The anchor is
        computed later if the wrapped distiller has a longer warm-up.

    References
    ----------
    Z. Wang, "ADPO: anchored direct preference optimization", arXiv 2510.18913, which anchors the
    logits.
    """

    _parameter_constraints = {
        "distiller": [Distiller, None],
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="left")],
        "first_stage": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        distiller: Distiller | None = None,
        lambda_kd: float = 1.0,
        beta: float = 1.0,
        first_stage: float = 0.5,
    ) -> None:
        self.distiller = distiller
        self.lambda_kd = lambda_kd
        self.beta = beta
        self.first_stage = first_stage

    def prepare(self, context: DistillationContext) -> TrustRegionDistillation:
        # An untrained student is no anchor, and one epoch at least follows the first stage.
        stage = min(max(round(self.first_stage * context.max_epochs), 1), context.max_epochs - 1)
        inner = self.prepare_inner(context)
        return TrustRegionDistillation(inner, self.lambda_kd, self.beta, stage, context.rows)

"""Distillers that wrap another one and change its teacher outputs or its series weights."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils._param_validation import Interval
from torch import Tensor

from ..nets.heads import Head
from ..nets.student import SeriesNet, SeriesOutput
from ..training import Batch, Rows, Step, Terms
from ..training.graphs import phase_of
from .base import Distillation, DistillationContext, Distiller, Predictor, PredictorContext
from .logits import Hinton
from .rows import known_classes
from .time_steps import TeacherMaps

TAUGHT = ("teacher_features", "teacher_logits", "teacher_attention", "teacher_steps")
"""Names of the teacher outputs in a batch."""


class AroundDistillation(Distillation):
    """Base class of distillations that wrap another distillation and keep its schedule.

    Parameters
    ----------
    inner : Distillation
        Wrapped distillation.
    lambda_kd : float
        Weight of the wrapped distillation's terms.
    """

    def __init__(self, inner: Distillation, lambda_kd: float) -> None:
        super().__init__()
        self.inner = inner
        self.lambda_kd = lambda_kd
        self.warmup_epochs = inner.warmup_epochs
        self.compares_maps = inner.compares_maps

    @property
    def calibrating(self) -> bool:
        return self.inner.calibrating

    @calibrating.setter
    def calibrating(self, value: bool) -> None:
        self.inner.calibrating = value

    def constants_of_maps(self, maps: TeacherMaps) -> dict[str, Tensor]:
        return self.inner.constants_of_maps(maps)

    def start_epoch(self, student: SeriesNet, rows: Rows, step: Step) -> None:
        self.inner.start_epoch(student, rows, step)

    def phase(self, step: Step) -> Hashable | None:
        return phase_of(self.inner, step)

    def student_batch(self, batch: Batch, step: Step) -> Batch:
        return self.inner.student_batch(batch, step)

    def label_weight(self, step: Step) -> float:
        return self.inner.label_weight(step)

    def label_logits(self, student: SeriesNet, output: SeriesOutput) -> Tensor:
        return self.inner.label_logits(student, output)

    def resume(self, step: Step) -> None:
        self.inner.resume(step)

    def finish(self, student: SeriesNet, valid_rows: Rows | None) -> None:
        self.inner.finish(student, valid_rows)

    def predictor(self, student: SeriesNet, context: PredictorContext) -> Predictor | None:
        return self.inner.predictor(student, context)

    def inner_sum(
        self, student: SeriesNet, output: SeriesOutput, batch: Batch, step: Step
    ) -> Tensor | None:
        """Return the sum of the wrapped distillation's terms, or None if it has no terms."""
        terms = self.inner.terms(student, output, batch, step)
        return torch.stack(list(terms.values())).sum() if terms else None


class WeighingDistillation(AroundDistillation):
    """Base class of distillations that change the series weights of the wrapped distillation.

    Parameters
    ----------
    inner : Distillation
        Wrapped distillation.
    lambda_kd : float
        Weight of the wrapped distillation's terms.
    name : str
        Name of the loss term.
    """

    def __init__(self, inner: Distillation, lambda_kd: float, name: str) -> None:
        super().__init__(inner, lambda_kd)
        self.name = name

    def row_weights(self, output: SeriesOutput, batch: Batch) -> Tensor:
        """Return the weights ``(n,)`` of a batch's rows, through which no gradient flows."""
        raise NotImplementedError

    def terms(self, student: SeriesNet, output: SeriesOutput, batch: Batch, step: Step) -> Terms:
        if not self.lambda_kd:
            return {}
        weight = self.row_weights(output, batch)
        if "target_weight" in batch:
            weight = weight * batch["target_weight"]
        loss = self.inner_sum(student, output, {**batch, "target_weight": weight}, step)
        return {} if loss is None else {self.name: self.lambda_kd * loss}


class AroundDistiller(Distiller):
    """Base class of distillers that wrap another distiller."""

    distiller: Distiller | None
    lambda_kd: float

    @property
    def replaces_outputs(self) -> bool:
        """True if the distiller replaces the teacher's outputs in a batch."""
        return isinstance(self.inner, AroundDistiller) and self.inner.replaces_outputs

    @property
    def inner(self) -> Distiller:
        """Wrapped distiller; Hinton's if the parameter ``distiller`` is None."""
        return Hinton() if self.distiller is None else self.distiller

    def make_head(self, n_features: int, n_classes: int) -> Head:
        return self.inner.make_head(n_features, n_classes)

    @property
    def compares_maps(self) -> bool:  # type: ignore[override]
        return self.inner.compares_maps

    @property
    def hides_labels(self) -> bool:  # type: ignore[override]
        return self.inner.hides_labels

    @property
    def predictor_stage(self) -> str | None:  # type: ignore[override]
        return self.inner.predictor_stage

    def constants_of_maps(self, maps: TeacherMaps) -> dict[str, Tensor]:
        return self.inner.constants_of_maps(maps)

    def teacher_epochs(self, max_epochs: int) -> tuple[int, ...]:
        return self.inner.teacher_epochs(max_epochs)

    def longer_parts(self, n_seen: int, n_whole: int) -> dict[str, int]:
        return self.inner.longer_parts(n_seen, n_whole)

    def teacher_answers(
        self, logits: NDArray[Any], seed: Callable[[], int]
    ) -> NDArray[np.float32] | None:
        return self.inner.teacher_answers(logits, seed)

    def refuse_replaced_outputs(self) -> None:
        """Refuse a wrapped distiller that would replace the outputs that this one changes."""
        inner = self.inner
        if isinstance(inner, AroundDistiller) and inner.replaces_outputs:
            name = type(self).__name__
            raise ValueError(
                f"{name} changes the teacher's outputs, which distiller={inner!r} then replaces; "
                f"put {name} inside of it"
            )

    def prepare_inner(self, context: DistillationContext) -> Distillation:
        """Prepare the wrapped distillation, from a clone of its distiller."""
        inner = clone(self.inner)
        inner._validate_params()
        return inner.prepare(context)


class TeKAPDistillation(AroundDistillation):
    """Distillation of :class:`TeKAP`."""

    def __init__(
        self, inner: Distillation, lambda_kd: float, n_teachers: int, noise: float, rows: Rows
    ) -> None:
        super().__init__(inner, lambda_kd)
        self.n_teachers = n_teachers
        self.noise = noise
        self.known = [name for name in TAUGHT if name in rows.tensors]
        for name in self.known:
            self.register_buffer(f"{name}_scale", rows.tensors[name].std(0, correction=0))

    def terms(self, student: SeriesNet, output: SeriesOutput, batch: Batch, step: Step) -> Terms:
        if not self.lambda_kd:
            return {}
        batches = [batch, *(self._perturbed(batch, step) for _ in range(self.n_teachers))]
        sums = [self.inner_sum(student, output, each, step) for each in batches]
        losses = [loss for loss in sums if loss is not None]
        return {"tekap": self.lambda_kd * torch.stack(losses).mean()} if losses else {}

    def _perturbed(self, batch: Batch, step: Step) -> Batch:
        """Return a copy of the batch with noisy teacher outputs."""
        changed = dict(batch)
        for name in self.known:
            known = batch[name]
            noise = torch.randn(
                known.shape, dtype=known.dtype, device=known.device, generator=step.generator
            )
            scale = self.get_buffer(f"{name}_scale")
            changed[name] = (1 - self.noise) * known + self.noise * scale * noise
        return changed


class TeKAP(AroundDistiller):
    """Augmentation of any distiller's teacher by noisy copies of its outputs (TeKAP).

    The loss is the mean of the wrapped distiller's losses over the teacher and its noisy copies.
    The noise is drawn anew in each step.

    Parameters
    ----------
    distiller : Distiller, default=None
        Wrapped distiller; None is :class:`~skgdpd.distillers.Hinton`.
    lambda_kd : float, default=1.0
        Weight of the wrapped distiller's terms. It multiplies the distiller's own weight.
    n_teachers : int, default=3
        Number of noisy copies; the default is the paper's value.
    noise : float, default=0.1
        Weight of the noise in a copy's logits, features and maps over time, in [0, 1]; the default
        is the paper's value. The noise has the standard deviation of each output over the training
        series, so the scale of the teacher's outputs does not matter.

    References
    ----------
    "Single teacher, multiple perspectives: teacher knowledge augmentation for enhanced knowledge
    distillation", ICLR 2025.
    """

    _parameter_constraints = {
        "distiller": [Distiller, None],
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "n_teachers": [Interval(Integral, 0, None, closed="left")],
        "noise": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        distiller: Distiller | None = None,
        lambda_kd: float = 1.0,
        n_teachers: int = 3,
        noise: float = 0.1,
    ) -> None:
        self.distiller = distiller
        self.lambda_kd = lambda_kd
        self.n_teachers = n_teachers
        self.noise = noise

    def _validate_params(self) -> None:
        super()._validate_params()
        self.refuse_replaced_outputs()

    def prepare(self, context: DistillationContext) -> TeKAPDistillation:
        inner = self.prepare_inner(context)
        return TeKAPDistillation(inner, self.lambda_kd, self.n_teachers, self.noise, context.rows)


def frontier_weight(p: Tensor, alpha: float, beta: float) -> Tensor:
    """Return ``p^alpha (1 - p)^beta``, divided by its maximum.

    The maximum is at ``p = alpha / (alpha + beta)``.

    Parameters
    ----------
    p : Tensor
        Probabilities.
    alpha, beta : float
        Exponents; if both are 0, all weights are 1.

    Returns
    -------
    Tensor
        Weights in [0, 1], of the shape of ``p``.
    """
    top = alpha / (alpha + beta) if alpha + beta else 0.0
    return p**alpha * (1 - p) ** beta / (top**alpha * (1 - top) ** beta)


class PACEDDistillation(WeighingDistillation):
    """Distillation of :class:`PACED`."""

    competence: Tensor

    def __init__(self, inner: Distillation, distiller: PACED, rows: Rows, n_classes: int) -> None:
        super().__init__(inner, distiller.lambda_kd, "paced")
        self.distiller = distiller
        like = rows.tensors["teacher_logits"]
        self.register_buffer("competence", like.new_full((len(rows),), 1 / n_classes))

    def row_weights(self, output: SeriesOutput, batch: Batch) -> Tensor:
        distiller = self.distiller
        p = torch.softmax(output.logits.detach(), -1)
        running = p.gather(1, known_classes(batch)[:, None])[:, 0]
        if self.calibrating:  # A series in a later stream occurs only once.
            index = batch["index"]
            running = torch.lerp(running, self.competence[index], distiller.momentum)
            self.competence.index_copy_(0, index, running)
        return frontier_weight(running, distiller.alpha, distiller.beta)


class PACED(AroundDistiller):
    """Weighting of any distiller's series by the competence of the student (PACED).

    The weight of a series in the wrapped distiller is proportional to ``p^alpha (1 - p)^beta``.
    Here p is a running mean of the student's probability of the correct class. For an unlabelled
    series, the class that the teacher predicts counts as correct. Series with p near 0 or 1 get
    little weight.

    Parameters
    ----------
    distiller : Distiller, default=None
        Wrapped distiller; None is :class:`~skgdpd.distillers.Hinton`.
    lambda_kd : float, default=1.0
        Weight of the wrapped distiller's terms. It multiplies the distiller's own weight.
    alpha : float, default=1.0
        Exponent of p. A larger value gives less weight to series that the student gets wrong.
    beta : float, default=1.0
        Exponent of 1 - p. A larger value gives less weight to series that the student already
        classifies correctly.
    momentum : float, default=0.5
        Weight of the previous value in the running mean, in [0, 1). The mean is updated once per
        epoch. 0 uses the last probability alone.

    References
    ----------
    "PACED: distillation at the frontier of student competence", arXiv 2603.11178.
    """

    _parameter_constraints = {
        "distiller": [Distiller, None],
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="left")],
        "momentum": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        distiller: Distiller | None = None,
        lambda_kd: float = 1.0,
        alpha: float = 1.0,
        beta: float = 1.0,
        momentum: float = 0.5,
    ) -> None:
        self.distiller = distiller
        self.lambda_kd = lambda_kd
        self.alpha = alpha
        self.beta = beta
        self.momentum = momentum

    def prepare(self, context: DistillationContext) -> PACEDDistillation:
        inner = self.prepare_inner(context)
        return PACEDDistillation(inner, self, context.rows, context.n_classes)

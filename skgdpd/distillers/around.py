"""Distillers around another: they change what it sees of the teacher, or how rows count."""

from __future__ import annotations

from collections.abc import Hashable
from numbers import Integral, Real

import torch
from sklearn.base import clone
from sklearn.utils._param_validation import Interval
from torch import Tensor

from ..nets.heads import Head
from ..nets.student import StudentNet, StudentOutput
from ..training import Batch, Rows, Step, Terms
from .base import Distillation, Distiller, Lesson
from .logits import Hinton
from .rows import known_classes
from .time_steps import TeacherMaps

TAUGHT = ("teacher_features", "teacher_logits", "teacher_attention", "teacher_steps")
"""What batches hold of a teacher."""


class AroundDistillation(Distillation):
    """Base of the distillations around another, whose schedule they keep.

    Parameters
    ----------
    inner : Distillation
        The other one.
    lambda_kd : float
        Weight of its terms.
    """

    def __init__(self, inner: Distillation, lambda_kd: float) -> None:
        super().__init__()
        self.inner = inner
        self.lambda_kd = lambda_kd
        self.warmup_epochs = inner.warmup_epochs
        self.compares_maps = inner.compares_maps

    def constants_of_maps(self, maps: TeacherMaps) -> dict[str, Tensor]:
        return self.inner.constants_of_maps(maps)

    def start_epoch(self, student: StudentNet, rows: Rows, step: Step) -> None:
        self.inner.start_epoch(student, rows, step)

    def phase(self, step: Step) -> Hashable | None:
        return self.inner.phase(step)

    def label_weight(self, step: Step) -> float:
        return self.inner.label_weight(step)

    def label_logits(self, student: StudentNet, output: StudentOutput) -> Tensor:
        return self.inner.label_logits(student, output)

    def resume(self, step: Step) -> None:
        self.inner.resume(step)

    def finish(self, student: StudentNet, valid_rows: Rows | None) -> None:
        self.inner.finish(student, valid_rows)

    def inner_sum(
        self, student: StudentNet, output: StudentOutput, batch: Batch, step: Step
    ) -> Tensor | None:
        """Sum of the other's terms; None if it has none in this epoch."""
        terms = self.inner.terms(student, output, batch, step)
        return torch.stack(list(terms.values())).sum() if terms else None


class AroundDistiller(Distiller):
    """Base of the distillers around another."""

    distiller: Distiller | None
    lambda_kd: float

    @property
    def inner(self) -> Distiller:
        """The other one: the distiller, or Hinton's if there is none."""
        return Hinton() if self.distiller is None else self.distiller

    def make_head(self, n_features: int, n_classes: int) -> Head:
        return self.inner.make_head(n_features, n_classes)

    @property
    def compares_maps(self) -> bool:  # type: ignore[override]
        return self.inner.compares_maps

    def constants_of_maps(self, maps: TeacherMaps) -> dict[str, Tensor]:
        return self.inner.constants_of_maps(maps)

    def prepare_inner(self, lesson: Lesson) -> Distillation:
        """The other distillation, of a copy of its distiller."""
        inner = clone(self.inner)
        inner._validate_params()
        return inner.prepare(lesson)


class TeKAPDistillation(AroundDistillation):
    """See :class:`TeKAP`."""

    def __init__(
        self, inner: Distillation, lambda_kd: float, n_teachers: int, noise: float, rows: Rows
    ) -> None:
        super().__init__(inner, lambda_kd)
        self.n_teachers = n_teachers
        self.noise = noise
        self.known = [name for name in TAUGHT if name in rows.tensors]
        for name in self.known:
            self.register_buffer(f"{name}_scale", rows.tensors[name].std(0, correction=0))

    def terms(self, student: StudentNet, output: StudentOutput, batch: Batch, step: Step) -> Terms:
        if not self.lambda_kd:
            return {}
        batches = [batch, *(self._perturbed(batch, step) for _ in range(self.n_teachers))]
        sums = [self.inner_sum(student, output, each, step) for each in batches]
        losses = [loss for loss in sums if loss is not None]
        return {"tekap": self.lambda_kd * torch.stack(losses).mean()} if losses else {}

    def _perturbed(self, batch: Batch, step: Step) -> Batch:
        """The batch with another teacher."""
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
    """Several teachers made of one by noise, for any distiller.

    The loss is the mean over the teacher itself and its noisy copies, which are new in each step.

    Parameters
    ----------
    distiller : Distiller, default=None
        The method; None is :class:`~skgdpd.distillers.Hinton`.
    lambda_kd : float, default=1.0
        Weight of its terms, beside its own.
    n_teachers : int, default=3
        Noisy copies; the paper's value.
    noise : float, default=0.1
        Share of the noise in a copy's logits, features and activations over time, the paper's
        value; noise has the standard deviation of each of them over the training series, so that
        a teacher's scale does not matter.

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

    def prepare(self, lesson: Lesson) -> TeKAPDistillation:
        inner = self.prepare_inner(lesson)
        return TeKAPDistillation(inner, self.lambda_kd, self.n_teachers, self.noise, lesson.rows)


def frontier_weight(p: Tensor, alpha: float, beta: float) -> Tensor:
    """``p^alpha (1 - p)^beta``, divided by its largest value, which it has at a/(a + b).

    Parameters
    ----------
    p : Tensor
        Probabilities.
    alpha, beta : float
        Powers; 0 for both weighs everything by 1.
    """
    top = alpha / (alpha + beta) if alpha + beta else 0.0
    return p**alpha * (1 - p) ** beta / (top**alpha * (1 - top) ** beta)


class PACEDDistillation(AroundDistillation):
    """See :class:`PACED`."""

    competence: Tensor

    def __init__(self, inner: Distillation, distiller: PACED, rows: Rows, n_classes: int) -> None:
        super().__init__(inner, distiller.lambda_kd)
        self.distiller = distiller
        like = rows.tensors["teacher_logits"]
        self.register_buffer("competence", like.new_full((len(rows),), 1 / n_classes))

    def terms(self, student: StudentNet, output: StudentOutput, batch: Batch, step: Step) -> Terms:
        distiller = self.distiller
        if not distiller.lambda_kd:
            return {}
        index = batch["index"]
        p = torch.softmax(output.logits.detach(), -1)
        now = p.gather(1, known_classes(batch)[:, None])[:, 0]
        running = torch.lerp(now, self.competence[index], distiller.momentum)
        self.competence.index_copy_(0, index, running)
        weight = frontier_weight(running, distiller.alpha, distiller.beta)
        if "target_weight" in batch:
            weight = weight * batch["target_weight"]
        loss = self.inner_sum(student, output, {**batch, "target_weight": weight}, step)
        return {} if loss is None else {"paced": distiller.lambda_kd * loss}


class PACED(AroundDistiller):
    """The teacher is listened to where the student is neither sure nor lost, for any distiller.

    Each series' weight in the other method follows ``p^alpha (1 - p)^beta``, p being the running
    probability that the student gives to its class (to the teacher's choice where there is no
    label).

    Parameters
    ----------
    distiller : Distiller, default=None
        The method; None is :class:`~skgdpd.distillers.Hinton`.
    lambda_kd : float, default=1.0
        Weight of its terms, beside its own.
    alpha : float, default=1.0
        Power of p: how little hopeless series count.
    beta : float, default=1.0
        Power of 1 - p: how little series count that are known already.
    momentum : float, default=0.5
        How much of a series' p is kept when the student sees it again, once an epoch; 0 takes the
        last probability alone.

    References
    ----------
    "PACED: distillation at the frontier of student competence", 2026.
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

    def prepare(self, lesson: Lesson) -> PACEDDistillation:
        inner = self.prepare_inner(lesson)
        return PACEDDistillation(inner, self, lesson.rows, lesson.n_classes)

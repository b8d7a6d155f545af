"""The contract of a distiller: one method, one class.

A :class:`Distiller` is an object of parameters, cloned and searched like any scikit-learn
estimator. Before a training it is told what there is to learn from (a :class:`Lesson`) and
returns a :class:`Distillation`, a torch module with whatever extra parameters the method trains,
which then turns each batch into named, weighted loss terms.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any, cast

from joblib import Memory
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from .._docs import LinksToDocs
from ..nets.heads import Head, LinearHead
from ..nets.student import StudentNet, StudentOutput
from ..training import (
    Batch,
    Objective,
    Progress,
    Rows,
    Step,
    Terms,
    Warmup,
    weighted_cross_entropy,
)
from .time_steps import MapShapes, TeacherMaps


@dataclass(frozen=True)
class Lesson:
    """What a distiller may use to set itself up.

    Attributes
    ----------
    rows : Rows
        The training rows, on the training device: ``x``, the student's view; ``y``, class
        numbers, -1 where there is no label; ``teacher_features (n, dT)`` and ``teacher_logits
        (n, n_classes)``; ``target (n, n_classes)``, the label one-hot where there is one and the
        teacher's probabilities elsewhere; ``weight`` and ``target_weight (n,)``, weights of the
        cross-entropy against y and against the target, missing where all are 1.
    n_student_features : int
        Width dS of the student's features.
    n_classes : int
        Number of classes.
    max_epochs : int
        Length of the training.
    seed : int
        For what the distiller draws before training (torch's generators are seeded already).
    memory : joblib.Memory
        Remembers fits that depend on the teacher alone.
    progress : Progress
        Advanced by one unit for whatever is fitted before the training.
    teacher_head : callable, optional
        Makes the linear layer by which the teacher classifies its features.
    map_shapes : MapShapes, optional
        Of activations over time, for distillers that compare them; ``rows`` then hold what their
        ``constants_of_maps`` made of the teacher's.
    """

    rows: Rows
    n_student_features: int
    n_classes: int
    max_epochs: int
    seed: int
    memory: Memory
    progress: Progress
    teacher_head: Callable[[], nn.Linear] | None = None
    map_shapes: MapShapes | None = None


class Distillation(nn.Module):
    """A distiller at work on one training. Its parameters are trained with the student's."""

    warmup_epochs = 0
    """Epochs before the method starts; weights from these are never the ones kept."""

    calibrating = True
    """Whether batches are of the lesson's rows; those of a later stream are not."""

    compares_maps = False
    """Whether ``terms`` looks at the student's activations over time, ``output.maps``."""

    def constants_of_maps(self, maps: TeacherMaps) -> dict[str, Tensor]:
        """As :meth:`Distiller.constants_of_maps`, for the rows of a later stream."""
        return {}

    def start_epoch(self, student: StudentNet, rows: Rows, step: Step) -> None:
        """Prepare for an epoch; called before its first batch."""

    def phase(self, step: Step) -> Hashable | None:
        """As :meth:`~skgdpd.training.Objective.phase`; the labels' weight need not be told."""
        return None

    def label_weight(self, step: Step) -> float:
        """Weight of the cross-entropy against the labels, ``ce``."""
        return 1.0

    def label_logits(self, student: StudentNet, output: StudentOutput) -> Tensor:
        """What the labels are compared with."""
        return output.logits

    def terms(self, student: StudentNet, output: StudentOutput, batch: Batch, step: Step) -> Terms:
        """Weighted loss terms by name; a term whose weight is zero is left out."""
        raise NotImplementedError

    def warmup(self) -> Warmup | None:
        """The warm-up, if other distillations may have the same; None if it is one's own.

        Its ``rows`` are those that the method looks at; the labels' cross-entropy adds its own.
        """
        return None

    def resume(self, step: Step) -> None:
        """Make anew what no tensor holds, when a training is continued after ``step.epoch``."""

    def finish(self, student: StudentNet, valid_rows: Rows | None) -> None:
        """Choose what is chosen when the training is over; without rows nothing is."""


class Distiller(LinksToDocs, BaseEstimator):
    """Base of the distillers: parameters only."""

    _parameter_constraints: dict[str, list[Any]] = {}

    compares_maps = False
    """Whether activations over time are compared, which student and teacher then must have."""

    def constants_of_maps(self, maps: TeacherMaps) -> dict[str, Tensor]:
        """What is kept of a teacher's activations over time: tensors ``(n, ...)`` by name.

        Batches hold their rows of them. The teacher runs once, before the training. Of series of
        other lengths the second dimension may be another; the shorter ones get zeros.
        """
        return {}

    def _validate_params(self) -> None:
        """Refuse bad parameters, also those of the estimators among the parameters."""
        super()._validate_params()
        for value in self.get_params(deep=False).values():
            if isinstance(value, BaseEstimator):
                value._validate_params()

    def make_head(self, n_features: int, n_classes: int) -> Head:
        """The classifier on top of the student."""
        return LinearHead(n_features, n_classes)

    def prepare(self, lesson: Lesson) -> Distillation:
        """Set up for one training."""
        raise NotImplementedError


class StudentObjective(Objective):
    """Cross-entropy against the labels, and what a distillation adds.

    Parameters
    ----------
    distillation : Distillation or None
        None trains on labels alone.
    """

    def __init__(self, distillation: Distillation | None = None) -> None:
        super().__init__()
        self.distillation = distillation

    def start_epoch(self, module: StudentNet, rows: Rows, step: Step) -> None:  # type: ignore[override]
        if self.distillation is not None:
            self.distillation.start_epoch(module, rows, step)

    def phase(self, step: Step) -> Hashable | None:
        if self.distillation is None:
            return ()
        phase = self.distillation.phase(step)
        return None if phase is None else (self.distillation.label_weight(step), phase)

    def terms(self, module: nn.Module, batch: Batch, step: Step) -> Terms:
        student, distillation = cast(StudentNet, module), self.distillation
        y, weight = batch["y"], batch.get("weight")
        if distillation is None:
            return {"ce": weighted_cross_entropy(student.read(batch).logits, y, weight)}
        output = student.read(batch, distillation.compares_maps)
        label_weight = distillation.label_weight(step)
        terms: Terms = {}
        if label_weight:
            ce = weighted_cross_entropy(distillation.label_logits(student, output), y, weight)
            terms["ce"] = ce if label_weight == 1.0 else label_weight * ce
        terms.update(distillation.terms(student, output, batch, step))
        return terms

    def validation_terms(self, module: nn.Module, batch: Batch) -> Terms:
        output = module.read(batch)  # type: ignore[operator]
        return {"loss": weighted_cross_entropy(output.logits, batch["y"], batch.get("weight"))}

    def warmup(self) -> Warmup | None:
        warmup = None if self.distillation is None else self.distillation.warmup()
        if warmup is None:
            return None
        return replace(
            warmup,
            rows=("x", "lengths", "y", "weight", *warmup.rows),
            leaves=tuple(f"distillation.{name}" for name in warmup.leaves),
        )

    def resume(self, step: Step) -> None:
        if self.distillation is not None:
            self.distillation.resume(step)

    def finish(self, module: StudentNet, valid_rows: Rows | None) -> None:  # type: ignore[override]
        if self.distillation is not None:
            self.distillation.finish(module, valid_rows)

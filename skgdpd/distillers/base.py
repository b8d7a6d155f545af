"""Interface of a distiller, the class of one method of distillation.

A :class:`Distiller` holds parameters only. It is cloned and searched like any scikit-learn
estimator. Before a training it receives a :class:`DistillationContext` with the training rows, and
returns a :class:`Distillation`. The distillation is a torch module with the parameters that the
method trains in addition to the student. It turns each batch into named, weighted loss terms.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, cast

import numpy as np
import torch
from joblib import Memory
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from .._runtime.doc_links import LinksToDocs
from .._runtime.parameters import PlainNumbers
from ..nets.heads import Head, LinearHead
from ..nets.student import SeriesNet, SeriesOutput
from ..training import (
    Batch,
    Objective,
    Progress,
    Rows,
    Step,
    Terms,
    TrainingConfig,
    Warmup,
    weighted_cross_entropy,
)
from ..training.checkpoint import Checkpoints
from ..training.graphs import phase_of
from .time_steps import MapShapes, TeacherMaps


@dataclass(frozen=True)
class DistillationContext:
    """Data and services that a distiller may use before a training.

    Attributes
    ----------
    rows : Rows
        Training rows on the device of the training. ``x`` is the student's view of the series.
        ``y (n,)`` holds class numbers, or -1 for an unlabelled series. ``teacher_features
        (n, dT)`` and ``teacher_logits (n, n_classes)`` are the teacher's outputs. ``target
        (n, n_classes)`` holds the one-hot labels of labelled series and the teacher's
        probabilities of unlabelled series; it is missing if all series have labels. ``weight
        (n,)`` and ``target_weight (n,)`` are the weights of the cross-entropies against y and
        target; they are missing if all are 1.
    n_student_features : int
        Width dS of the student's features.
    n_classes : int
        Number of classes.
    max_epochs : int
        Number of epochs of the training.
    seed : int
        Seed of the distiller's random draws before the training. The generators of torch are
        already seeded.
    memory : joblib.Memory
        Cache of fits that depend on nothing but the teacher.
    progress : Progress
        Progress bar, which fits before the training advance by one unit in total.
    teacher_head : callable, optional
        Function that makes the linear layer from the teacher's features to its logits.
    map_shapes : MapShapes, optional
        Shapes of the activations over time, for distillers that compare them. ``rows`` then
        contain the results of the distiller's ``constants_of_maps``.
    earlier_outputs : dict of int to tuple, optional
        Features ``(n, dT)`` and logits ``(n, n_classes)`` of the teacher after each epoch in
        :meth:`Distiller.teacher_epochs`.
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
    earlier_outputs: dict[int, tuple[NDArray[Any], NDArray[Any]]] = field(default_factory=dict)


class Predictor(Protocol):
    """Object that predicts from a student's outputs in place of the student's own head."""

    def probabilities(
        self, z_short: NDArray[Any], logits: NDArray[Any], device: torch.device
    ) -> NDArray[np.float64]:
        """Return class probabilities of series.

        Parameters
        ----------
        z_short : ndarray of shape (n, dS)
            Student features.
        logits : ndarray of shape (n, n_classes)
            Logits of the student's own head.
        device : torch.device
            Device of the computation.

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        ...


@dataclass(frozen=True)
class PredictorContext:
    """Data and services for making a predictor after the student's training.

    Attributes
    ----------
    rows : Rows
        Training rows of the student.
    config : TrainingConfig
        Configuration of the student's training.
    seeds : callable
        Function from a name to a seed.
    progress : Progress
        Progress bar, which the predictor's stage advances by ``units`` in total.
    units : float
        Length of the stage on the bar, in units.
    left_out : callable
        Function without parameters that returns class probabilities ``(n, n_classes)`` of the
        rows, predicted by students that were fitted without them. It may run several trainings.
    checkpoints : Checkpoints or None
        Store of unfinished trainings; None if they are not stored.
    """

    rows: Rows
    config: TrainingConfig
    seeds: Callable[[str], int]
    progress: Progress
    units: float
    left_out: Callable[[], NDArray[np.float64]]
    checkpoints: Checkpoints | None = None


class Distillation(nn.Module):
    """Method of distillation in one training, with parameters of the method to train."""

    warmup_epochs = 0
    """Number of epochs before the method starts. Weights from these epochs are never kept."""

    calibrating = True
    """True while batches consist of rows of the context; False for chunks of a later stream."""

    compares_maps = False
    """True if ``terms`` uses the student's activations over time, ``output.maps``."""

    def constants_of_maps(self, maps: TeacherMaps) -> dict[str, Tensor]:
        """Return :meth:`Distiller.constants_of_maps` for the rows of a later stream."""
        return {}

    def start_epoch(self, student: SeriesNet, rows: Rows, step: Step) -> None:
        """Prepare for an epoch, before its first batch."""

    def student_batch(self, batch: Batch, step: Step) -> Batch:
        """Return the batch that the student is given; by default the batch itself."""
        return batch

    def label_weight(self, step: Step) -> float:
        """Return the weight of the cross-entropy against the labels, ``ce``."""
        return 1.0

    def label_logits(self, student: SeriesNet, output: SeriesOutput) -> Tensor:
        """Return the logits whose cross-entropy against the labels is minimised."""
        return output.logits

    def terms(self, student: SeriesNet, output: SeriesOutput, batch: Batch, step: Step) -> Terms:
        """Return weighted loss terms by name; terms with weight zero are left out."""
        raise NotImplementedError

    def warmup(self) -> Warmup | None:
        """Return the warm-up if several distillations can share it, else None.

        Its ``rows`` name the tensors that the method uses in addition to those of the
        cross-entropy of the labels.
        """
        return None

    def resume(self, step: Step) -> None:
        """Restore all state that is not in tensors, before a training continues after ``step``."""

    def finish(self, student: SeriesNet, valid_rows: Rows | None) -> None:
        """Set the parameters that are chosen on the validation rows, after the training."""

    def predictor(self, student: SeriesNet, context: PredictorContext) -> Predictor | None:
        """Return the predictor that replaces the student's head, or None if the head predicts."""
        return None


class Distiller(LinksToDocs, PlainNumbers, BaseEstimator):
    """Base class of distillers, which hold parameters only."""

    _parameter_constraints: dict[str, list[Any]] = {}

    compares_maps = False
    """True if activations over time are compared; student and teacher must then have them."""

    hides_labels = False
    """True if the student is told the teacher's outputs alone: no row has a label."""

    def constants_of_maps(self, maps: TeacherMaps) -> dict[str, Tensor]:
        """Return constants that are computed from a teacher's activations over time.

        The teacher runs once, before the training. Each batch then contains the constants of its
        rows. For series of different lengths, the constants may differ in their second dimension;
        they are then padded with zeros.

        Parameters
        ----------
        maps : TeacherMaps
            Activations of the teacher for n series.

        Returns
        -------
        dict of str to Tensor of shape (n, ...)
            Constants by name.
        """
        return {}

    def teacher_epochs(self, max_epochs: int) -> tuple[int, ...]:
        """Return the epochs, besides the last, after which the teacher's outputs are needed.

        If there are any, the teacher must be a network of this package.

        Parameters
        ----------
        max_epochs : int
            Number of epochs in the training of the teacher and in that of the student.

        Returns
        -------
        tuple of int
            Numbers of epochs in ascending order, from 1 to ``max_epochs - 1``.
        """
        return ()

    def longer_parts(self, n_seen: int, n_whole: int) -> dict[str, int]:
        """Return further parts of the series that the student is given in its training.

        Batches then contain the values of these parts as ``x_NAME``, and their lengths as
        ``lengths_NAME`` if series differ in length. Students that take one length only are
        refused.

        Parameters
        ----------
        n_seen : int
            Number of time points that the student sees.
        n_whole : int
            Number of time points of the longest series.

        Returns
        -------
        dict of str to int
            Number of time points of each part, by name.
        """
        return {}

    def teacher_answers(
        self, logits: NDArray[Any], seed: Callable[[], int]
    ) -> NDArray[np.float32] | None:
        """Return logits that replace the teacher's outputs for the student, or None.

        Parameters
        ----------
        logits : ndarray of shape (n, n_classes)
            Logits of the teacher.
        seed : callable
            Function that returns the seed of random draws, for methods that make any.

        Returns
        -------
        ndarray of shape (n, n_classes) or None
            Logits that replace all outputs of the teacher; None keeps these outputs.
        """
        return None

    def _validate_params(self) -> None:
        """Refuse invalid parameters, including those of nested estimators."""
        super()._validate_params()
        for name, value in self.get_params(deep=False).items():
            if isinstance(value, type):
                raise TypeError(
                    f"{name}={value.__name__} is a class; give an instance: {value.__name__}()"
                )
            if isinstance(value, BaseEstimator):
                value._validate_params()

    predictor_stage: str | None = None
    """Name of the stage that runs :meth:`Distillation.predictor`, for progress bars.

    None if the student's own head predicts."""

    def make_head(self, n_features: int, n_classes: int) -> Head:
        """Return the student's head, the classifier on top of its backbone."""
        return LinearHead(n_features, n_classes)

    def prepare(self, context: DistillationContext) -> Distillation:
        """Return the distillation for one training."""
        raise NotImplementedError


class SeriesObjective(Objective):
    """Objective of the cross-entropy against the labels and of a distillation's terms.

    Parameters
    ----------
    distillation : Distillation or None
        Distillation; None trains on labels alone.
    """

    def __init__(self, distillation: Distillation | None = None) -> None:
        super().__init__()
        self.distillation = distillation

    def start_epoch(self, module: SeriesNet, rows: Rows, step: Step) -> None:  # type: ignore[override]
        if self.distillation is not None:
            self.distillation.start_epoch(module, rows, step)

    def phase(self, step: Step) -> Hashable | None:
        """Return the phase of a step for captured steps, or None if steps can't be captured."""
        if self.distillation is None:
            return ()
        phase = phase_of(self.distillation, step)
        return None if phase is None else (self.distillation.label_weight(step), phase)

    def terms(self, module: nn.Module, batch: Batch, step: Step) -> Terms:
        student, distillation = cast(SeriesNet, module), self.distillation
        y, weight = batch["y"], batch.get("weight")
        if distillation is None:
            return {"ce": weighted_cross_entropy(student.read(batch).logits, y, weight)}
        batch = distillation.student_batch(batch, step)
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

    def finish(self, module: SeriesNet, valid_rows: Rows | None) -> None:  # type: ignore[override]
        if self.distillation is not None:
            self.distillation.finish(module, valid_rows)

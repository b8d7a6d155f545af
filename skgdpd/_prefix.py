"""Students without a teacher, and students with any distiller."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from joblib import Memory
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_memory

from ._base import NETWORK_CONSTRAINTS, Task
from ._callbacks import FitProgress, with_callbacks
from ._docs import describe
from ._linear_head import linear_head
from ._network import make_rows
from ._random import RandomState
from ._storage import features_folder
from ._stream import StreamMixin, TaughtStreamMixin, can_stream
from ._taught_rows import taught_rows, taught_series
from ._teacher import (
    Knowledge,
    TeacherPlan,
    check_teacher,
    learn_from_teacher,
    n_networks,
)
from ._teacher_maps import check_maps, taught_maps
from ._threads import one_thread_in_workers
from ._views import EarlinessOf, Missing, Normalization
from .distillers import Distiller, Hinton, Lesson
from .nets.registry import BackboneSpec
from .nets.student import Precision
from .training import PartOfProgress, Progress, isolated_random_state

PREPARATION_SHARE = 0.2
"""What fitting a prior counts on the progress bar, in student's trainings."""


@describe
class PrefixClassifier(StreamMixin):
    """Classifies series from their first part, with no teacher: the baseline.

    Parameters
    ----------
    {student}
    {network}

    {attributes}

    Examples
    --------
    >>> from skgdpd import PrefixClassifier
    >>> from skgdpd.datasets import make_bumps
    >>> X, y = make_bumps(n_samples=60, random_state=0)
    >>> clf = PrefixClassifier("fcn", earliness=0.5, max_epochs=10, random_state=0).fit(X, y)
    >>> clf.predict_proba(X[:, :, : clf.prefix_length_]).shape
    (60, 2)
    """

    def __init__(
        self,
        student: BackboneSpec = "rocket-quant",
        *,
        earliness: Any = 0.3,
        max_epochs: int = 60,
        batch_size: int | str = "auto",
        lr: float | str = "auto",
        weight_decay: float = 1e-2,
        optimizer: str = "adamw",
        lr_schedule: str = "one-cycle",
        weight_averaging: float = 5.0,
        validation_fraction: float | str = "auto",
        early_stopping: int | None = None,
        class_weight: dict[Any, float] | str | None = None,
        normalize: Normalization | None = "train",
        resample_length: int | None = None,
        earliness_of: EarlinessOf = "longest",
        missing: Missing = "error",
        precision: Precision = "float32",
        predict_batch_size: int = 1024,
        random_state: RandomState = None,
        device: str | torch.device = "auto",
        verbose: int = 0,
        checkpoint_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        self.student = student
        self.earliness = earliness
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.optimizer = optimizer
        self.lr_schedule = lr_schedule
        self.weight_averaging = weight_averaging
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.class_weight = class_weight
        self.normalize = normalize
        self.resample_length = resample_length
        self.earliness_of = earliness_of
        self.missing = missing
        self.precision = precision
        self.predict_batch_size = predict_batch_size
        self.random_state = random_state
        self.device = device
        self.verbose = verbose
        self.checkpoint_dir = checkpoint_dir

    @with_callbacks
    @one_thread_in_workers()
    def fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> PrefixClassifier:
        """Learn from labelled whole series, of which the network sees the first part.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Whole series; 2-D is one channel. Lists of ``(n_channels, n_timepoints)`` arrays and
            sktime's pandas panels are taken too.
        y : array-like of shape (n_samples,)
            Labels of any type.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each series in the loss.

        Returns
        -------
        PrefixClassifier
            Itself.
        """
        task = self._start(X, y, sample_weight=sample_weight)
        with (
            FitProgress(
                self, self.max_epochs, {"student": self.max_epochs}, X, y, sample_weight
            ) as progress,
            isolated_random_state(task.seeds("student"), task.device),
        ):
            view, module = self._make_student(task)
            seen = task.panel.take(task.train)
            rows = make_rows(view, seen, y=task.y[task.train], weight=task.train_weight)
            rows = self._fit_fixed(module, rows.to(task.device), task.seeds("fixed"))
            self._train_student(task, view, module, rows, None, progress)
        return self

    @available_if(can_stream)
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> PrefixClassifier:
        """Learn from the next chunk of a stream.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Whole series, as for :meth:`fit`.
        y : array-like of shape (n_samples,)
            Their labels.
        classes : array-like of shape (n_classes,), optional
            All labels that will ever come; needed in the first call.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each series in the loss, as it is: weights aren't brought to a mean of 1.

        Returns
        -------
        PrefixClassifier
            Itself.

        Notes
        -----
        Each call trains once on each series of the chunk, at a constant learning rate ``lr``;
        the weights that predict are averaged over about ``weight_averaging`` chunks. Nothing is
        kept for validation, and ``max_epochs``, ``lr_schedule`` and ``early_stopping`` do nothing.
        The statistics of ``normalize="train"`` are of all chunks so far; lengths are the first
        chunk's. After :meth:`fit`, it goes on from there. ``history_`` gets a number a chunk.
        """
        panel, labels, weight = self._read_chunk(X, y, classes, sample_weight)
        self._start_stream(panel, labels)
        self._train_on(make_rows(self.network_.view, panel, y=labels, weight=weight))
        return self


class BaseDistilledClassifier(TaughtStreamMixin):
    """A student that a teacher of whole series helps to train; subclasses say how."""

    _parameter_constraints = {
        **NETWORK_CONSTRAINTS,
        "teacher": "no_validation",  # check_teacher does
        "unlabeled": "no_validation",  # any value that y may hold
        "memory": [str, os.PathLike, HasMethods(["cache"]), None],
    }

    def _make_distiller(self, task: Task) -> Distiller:
        """The method, with this estimator's parameters."""
        raise NotImplementedError

    @with_callbacks
    @one_thread_in_workers()
    def _fit_distilled(self, X: Any, y: ArrayLike, **data: Any) -> None:
        check_teacher(self.teacher)
        task = self._start(X, y, **data)
        distiller = self._make_distiller(task)
        distiller._validate_params()
        memory = self.memory
        memory = check_memory(os.fspath(memory) if isinstance(memory, os.PathLike) else memory)
        if self.memory is not None and not self._has_seed():
            warnings.warn(
                f"memory is of no use with random_state={self.random_state!r}: every fit draws "
                f"another split and teacher; give an int to share teachers between fits",
                stacklevel=4,
            )
        preparation = PREPARATION_SHARE * self.max_epochs
        teacher_epochs = self.max_epochs * n_networks(self.teacher)
        finishing, later = self._later_stages()
        total = teacher_epochs + preparation + self.max_epochs + finishing
        stages = {"teacher": teacher_epochs, "prior": None, "student": self.max_epochs, **later}
        with (
            FitProgress(self, total, stages, X, y, data.get("sample_weight")) as progress,
            features_folder(memory) as folder,
        ):
            # Before the teacher, which may take hours: a student that can't be made is refused.
            with isolated_random_state(task.seeds("student"), task.device):
                view, module = self._make_student(task, distiller.make_head)
            check_maps(distiller, self.student, module, self.teacher, view, task.whole)
            with self._timed("teacher"):
                knowledge = self._learn_from_teacher(task, memory, progress, folder)
            with isolated_random_state(task.seeds("fixed"), task.device):
                shapes, constants = taught_maps(
                    distiller, module, view, knowledge.teacher, partial(taught_series, task)
                )
                rows = taught_rows(task, view, knowledge, len(self.classes_), constants)
                rows = rows.to(task.device)
                rows = self._fit_fixed(module, rows, task.seeds("fixed"))
            with isolated_random_state(task.seeds("distiller"), task.device):
                lesson = Lesson(
                    rows=rows,
                    n_student_features=module.head.in_features,
                    n_classes=len(self.classes_),
                    max_epochs=self.max_epochs,
                    seed=task.seeds("prior"),
                    memory=memory,
                    progress=PartOfProgress(progress, preparation),
                    teacher_head=partial(linear_head, knowledge),
                    map_shapes=shapes,
                )
                with self._timed("preparation"):
                    distillation = distiller.prepare(lesson)
                lesson.progress.advance(1 - lesson.progress.done)
            with isolated_random_state(task.seeds("training"), task.device):
                shared = None if self.memory is None else memory
                self._train_student(task, view, module, rows, distillation, progress, shared)
        self.teacher_ = knowledge.teacher
        self.distillation_ = distillation.cpu()

    def _later_stages(self) -> tuple[float, dict[str, int | None]]:
        """Units on the progress bar, and epochs by name, of what follows the student."""
        return 0.0, {}

    def _learn_from_teacher(
        self, task: Task, memory: Memory, progress: Progress, folder: str
    ) -> Knowledge:
        plan = TeacherPlan(
            spec=self._teacher_or_own(self.teacher),
            config=replace(self._training_config(), patience=None),
            normalize=self.normalize,
            resample_length=self.resample_length,
            device=str(task.device),
            predict_batch_size=self.predict_batch_size,
            missing=self.missing,
            ragged=task.ragged,
        )
        knowledge = learn_from_teacher(
            plan,
            task.whole.take(task.train).values,
            task.y[task.train],
            task.train_weight,
            None if task.whole_pool is None else task.whole_pool.values,
            self.classes_,
            task.seeds("teacher"),
            memory,
            progress,
            task.checkpoints,
            folder,
        )
        if self.memory is not None and task.checkpoints is not None:
            # The cache has the teacher now: a later fit would not look for its checkpoint.
            task.checkpoints.remove()
        return knowledge

    def _teacher_or_own(self, teacher: Any) -> Any:
        """The teacher, and the student's own architecture wherever it is None."""
        if isinstance(teacher, (list, tuple)):
            return [self._teacher_or_own(member) for member in teacher]
        return self.student if teacher is None else teacher


@describe
class DistilledPrefixClassifier(BaseDistilledClassifier):
    """Classifies series from their first part, taught by a teacher in a way of your choice.

    Parameters
    ----------
    distiller : Distiller, default=None
        The method, from :mod:`skgdpd.distillers`; None is :class:`~skgdpd.distillers.Hinton`.
        Its parameters can be searched as ``distiller__...``.
    {teacher}
    {student}
    {unlabeled}
    {memory}
    {network}

    {attributes}
    {teacher_attributes}

    Examples
    --------
    >>> from skgdpd import DistilledPrefixClassifier
    >>> from skgdpd.datasets import make_bumps
    >>> from skgdpd.distillers import FitNets
    >>> X, y = make_bumps(n_samples=60, random_state=0)
    >>> clf = DistilledPrefixClassifier(
    ...     FitNets(), student="fcn", earliness=0.5, max_epochs=10, random_state=0).fit(X, y)
    >>> clf.history_["fitnets"].shape
    (10,)
    """

    _parameter_constraints = {
        **BaseDistilledClassifier._parameter_constraints,
        "distiller": [Distiller, None],
    }

    def __init__(
        self,
        distiller: Distiller | None = None,
        *,
        teacher: Any = None,
        student: BackboneSpec = "rocket-quant",
        unlabeled: Any = None,
        memory: str | os.PathLike[str] | Memory | None = None,
        earliness: Any = 0.3,
        max_epochs: int = 60,
        batch_size: int | str = "auto",
        lr: float | str = "auto",
        weight_decay: float = 1e-2,
        optimizer: str = "adamw",
        lr_schedule: str = "one-cycle",
        weight_averaging: float = 5.0,
        validation_fraction: float | str = "auto",
        early_stopping: int | None = None,
        class_weight: dict[Any, float] | str | None = None,
        normalize: Normalization | None = "train",
        resample_length: int | None = None,
        earliness_of: EarlinessOf = "longest",
        missing: Missing = "error",
        precision: Precision = "float32",
        predict_batch_size: int = 1024,
        random_state: RandomState = None,
        device: str | torch.device = "auto",
        verbose: int = 0,
        checkpoint_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        self.distiller = distiller
        self.teacher = teacher
        self.student = student
        self.unlabeled = unlabeled
        self.memory = memory
        self.earliness = earliness
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.optimizer = optimizer
        self.lr_schedule = lr_schedule
        self.weight_averaging = weight_averaging
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.class_weight = class_weight
        self.normalize = normalize
        self.resample_length = resample_length
        self.earliness_of = earliness_of
        self.missing = missing
        self.precision = precision
        self.predict_batch_size = predict_batch_size
        self.random_state = random_state
        self.device = device
        self.verbose = verbose
        self.checkpoint_dir = checkpoint_dir

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        X_unlabeled: Any = None,
        *,
        X_full: Any = None,
        X_unlabeled_full: Any = None,
        sample_weight: ArrayLike | None = None,
    ) -> DistilledPrefixClassifier:
        """Learn from whole series, labelled and, if there are, unlabelled.

        Parameters
        ----------
        {fit}

        Returns
        -------
        DistilledPrefixClassifier
            Itself.
        """
        self._fit_distilled(
            X,
            y,
            sample_weight=sample_weight,
            X_unlabeled=X_unlabeled,
            X_full=X_full,
            X_unlabeled_full=X_unlabeled_full,
        )
        return self

    def _make_distiller(self, task: Task) -> Distiller:
        return Hinton() if self.distiller is None else clone(self.distiller)

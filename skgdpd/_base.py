"""What all classifiers of prefixes share. Think twice before adding to it."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from joblib import Memory
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, column_or_1d
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)

from ._callbacks import CallbackSupportMixin, FitProgress
from ._device import resolve_device
from ._docs import LinksToDocs
from ._network import SeriesNetwork, add_fixed_part, fit_fixed_part, folded_copy, make_rows
from ._onnx import export_onnx
from ._panel import Panel, check_panel, read_panel
from ._persistence import Saveable
from ._random import Seeds
from ._split import stratified_split
from ._task import Task, check_pairs, encode, loss_weights, set_aside
from ._truncation import MIN_LENGTH
from ._unlabeled import Mask, split_marked
from ._views import Normalizer, View
from .distillers.base import Distillation, StudentObjective
from .nets import make_backbone, starts_fitted, takes_lengths
from .nets.heads import HeadMaker, LinearHead
from .nets.student import StudentNet
from .training import Checkpoints, Rows, TrainingConfig, train

NETWORK_CONSTRAINTS: dict[str, Any] = {
    "student": [str, torch.nn.Module, callable],
    "earliness": [
        Interval(Real, 0, 1, closed="right"),
        Interval(Integral, MIN_LENGTH, None, closed="left"),
        HasMethods(["fit", "transform"]),
    ],
    "max_epochs": [Interval(Integral, 1, None, closed="left")],
    "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "lr": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "optimizer": [StrOptions({"adamw", "adam"})],
    "weight_averaging": [Interval(Real, 0, None, closed="left")],
    "lr_schedule": [
        StrOptions({"one-cycle", "cosine", "constant", "halving", "halving-per-batch"})
    ],
    "validation_fraction": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
    "precision": [StrOptions({"float32", "bf16"})],
    "early_stopping": [Interval(Integral, 1, None, closed="left"), None],
    "earliness_of": [StrOptions({"longest", "own"})],
    "missing": [StrOptions({"error", "interpolate", "mask"})],
    "class_weight": [dict, StrOptions({"balanced"}), None],
    "normalize": [StrOptions({"train", "prefix"}), None],
    "resample_length": [Interval(Integral, MIN_LENGTH, None, closed="left"), None],
    "predict_batch_size": [Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
    "device": [str, torch.device],
    "verbose": ["verbose"],
    "checkpoint_dir": [str, os.PathLike, None],
}

SELECTION_START = 0.5
"""Share of the epochs whose weights are never kept.

A validation part of a handful of series is easily fooled by a network that has learned nothing
yet. Without a teacher, on FaceFour's first 20 %, the mean accuracy of five seeds rose from 0.666
to 0.823, on TwoLeadECG's first 30 % from 0.889 to 0.917."""


class BasePrefixClassifier(
    LinksToDocs, Saveable, CallbackSupportMixin, ClassifierMixin, BaseEstimator
):
    """Base of the classifiers of prefixes: a network that sees the first part of a series."""

    _parameter_constraints = NETWORK_CONSTRAINTS

    _train = staticmethod(train)
    _fit_fixed = staticmethod(fit_fixed_part)
    _needs_student = False  # whether _after_training does

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing != "error"
        return tags

    def _start(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: Any = None,
        X_unlabeled: Any = None,
        X_full: Any = None,
        X_unlabeled_full: Any = None,
    ) -> Task:
        """Check everything that can be checked before training, and split."""
        self._validate_params()
        if self.early_stopping is not None and not self.validation_fraction:
            raise ValueError(
                f"early_stopping={self.early_stopping!r} needs a validation part, of which "
                f"validation_fraction={self.validation_fraction!r} leaves none; set it above 0, "
                f"or early_stopping=None"
            )
        self.__dict__.pop("_stream", None)
        self.fit_seconds_: dict[str, float] = {}
        device = resolve_device(self.device)
        panel = read_panel(X)
        panel = self._measure(panel, X)
        y, unlabeled = self._labels_of(y, len(panel))
        labels = self._encode(y)
        pool = whole_pool = self._read_like(panel, X_unlabeled, "X_unlabeled", "X")
        whole = panel
        if X_full is not None:
            whole = self._checked(read_panel(X_full, "X_full"), "X_full")
            whole_pool = self._read_like(whole, X_unlabeled_full, "X_unlabeled_full", "X_full")
            check_pairs(panel, whole, "X", "X_full")
            check_pairs(pool, whole_pool, "X_unlabeled", "X_unlabeled_full")
        elif X_unlabeled_full is not None:
            raise ValueError("X_unlabeled_full goes with X_full; whole series are X_unlabeled")
        if unlabeled is not None:
            panel, pool = set_aside(panel, unlabeled, pool)
            if X_full is not None:
                whole, whole_pool = set_aside(whole, unlabeled, whole_pool)
            else:
                whole, whole_pool = panel, pool
            if sample_weight is not None:
                sample_weight = _check_sample_weight(sample_weight, unlabeled)[~unlabeled]
        seeds = Seeds(self.random_state)
        train, valid = stratified_split(labels, self._resolved_fraction(), seeds("split"))
        weight, class_weight = loss_weights(
            labels, self.classes_, train, self.class_weight, sample_weight
        )
        return Task(
            panel=panel,
            whole=whole,
            y=labels,
            weight=weight,
            class_weight=class_weight,
            train=train,
            valid=valid,
            pool=pool,
            whole_pool=whole_pool,
            cut=X_full is not None,
            seeds=seeds,
            device=device,
            checkpoints=self._make_checkpoints(),
        )

    def _resolved_fraction(self) -> float:
        fraction: float | str = self.validation_fraction
        if not isinstance(fraction, str):
            return fraction
        return 0.0 if starts_fitted(self.student) and self.early_stopping is None else 0.2

    def _make_checkpoints(self) -> Checkpoints | None:
        if self.checkpoint_dir is None:
            return None
        if not self._has_seed():
            warnings.warn(
                f"checkpoint_dir is of no use with random_state={self.random_state!r}: the next "
                f"fit is another one; give an int to go on where a fit was killed",
                UserWarning,
                stacklevel=4,
            )
        try:
            return Checkpoints(self.checkpoint_dir)
        except OSError as error:
            raise ValueError(
                f"checkpoint_dir={self.checkpoint_dir!r} can't be used as a folder ({error}); "
                "give one that exists or can be made"
            ) from error

    def _has_seed(self) -> bool:
        return isinstance(self.random_state, (int, np.integer))

    def _checked(self, panel: Panel, name: str) -> Panel:
        """Sound series in single precision, without time points that none of them has."""
        return check_panel(panel, name, gaps=self.missing != "error", min_length=MIN_LENGTH)

    def _read_like(self, panel: Panel, X: Any, name: str, model: str) -> Panel | None:
        """Series without a label, which must be like those that have one."""
        if X is None:
            return None
        other = self._checked(read_panel(X, name), name)
        alike = other.n_channels == panel.n_channels and (
            other.n_timepoints == panel.n_timepoints or panel.ragged
        )
        if not alike:
            raise ValueError(
                f"{name} has series of {other.n_channels} channels and {other.n_timepoints} time "
                f"points; they must be like those of {model}, {panel.n_channels} and "
                f"{panel.n_timepoints}"
            )
        return other

    def _labels_of(self, y: Any, n: int) -> tuple[Any, Mask | None]:
        """Labels of the rows that have one, and, if some have none, where these are."""
        marker = getattr(self, "unlabeled", None)
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        unlabeled: Mask | None = None
        if marker is None:
            labels = column_or_1d(y, warn=True)
            n_labels = len(labels)
        else:
            labels, unlabeled = split_marked(y, marker)
            n_labels = len(unlabeled)
            unlabeled = unlabeled if unlabeled.any() else None
        if n_labels != n:
            raise ValueError(
                f"X has {n} series and y {n_labels} labels; they must be equally many"
            )
        return labels, unlabeled

    def _encode(self, y: ArrayLike) -> NDArray[np.int64]:
        self.classes_, labels = encode(y)
        return labels

    def _training_config(self) -> TrainingConfig:
        return TrainingConfig(
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            weight_decay=self.weight_decay,
            optimizer=self.optimizer,
            lr_schedule=self.lr_schedule,
            averaging_epochs=self.weight_averaging,
            patience=self.early_stopping,
            precision=self.precision,
        )

    def _make_student(self, task: Task, head: HeadMaker = LinearHead) -> tuple[View, StudentNet]:
        """The student's view, and a fresh network for it; needs torch to be seeded."""
        view = View(
            1.0 if task.cut else self.earliness,
            Normalizer(self.normalize),
            self.resample_length,
            earliness_of=self.earliness_of,
            missing=self.missing,
        ).fit(task.panel, task.train)
        self.prefix_length_ = view.n_seen_
        backbone = make_backbone(self.student, view.n_channels_, view.n_out_, "student")
        if view.ragged_ and self.resample_length is None and not takes_lengths(backbone):
            raise ValueError(
                f"student={self.student!r} can't learn from series of unequal length: its forward "
                f"has no parameter lengths. Set resample_length, or choose another student"
            )
        module = StudentNet(backbone, len(self.classes_), self.precision, head)
        return view, module.to(task.device)

    def _train_student(
        self,
        task: Task,
        view: View,
        module: StudentNet,
        rows: Rows,
        distillation: Distillation | None,
        progress: FitProgress,
        memory: Memory | None = None,
    ) -> None:
        """Train the student, and set the fitted attributes."""
        valid_rows = None
        if len(task.valid):
            weight = None if task.weight is None else task.weight[task.valid]
            valid = task.panel.take(task.valid)
            valid_rows = make_rows(view, valid, y=task.y[task.valid], weight=weight)
            valid_rows = add_fixed_part(module, valid_rows.to(task.device))
        progress.stage("student")
        progress.reconstruct = lambda trained: self._attributes_in_training(
            SeriesNetwork(view, folded_copy(trained), task.device, self.predict_batch_size)
        )
        warmup = 0 if distillation is None else distillation.warmup_epochs
        with self._timed("student"):
            self.history_ = self._train(
                module,
                StudentObjective(distillation).to(task.device),
                rows,
                self._training_config(),
                valid_rows=valid_rows,
                shuffle_seed=task.seeds("shuffle"),
                noise_seed=task.seeds("noise"),
                first_selected_epoch=max(round(SELECTION_START * self.max_epochs), warmup),
                progress=progress,
                memory=memory,
                checkpoints=task.checkpoints,
            )
        self._after_training(task, module, rows, distillation, progress)
        self.history_.warmup_epochs = warmup
        self.history_.n_labeled = len(task.train)
        self.history_.n_unlabeled = 0 if task.pool is None else len(task.pool)
        self.network_ = SeriesNetwork(view, module, task.device, self.predict_batch_size)
        if task.checkpoints is not None:
            task.checkpoints.remove()

    def _attributes_in_training(self, network: SeriesNetwork) -> dict[str, Any]:
        """With which the classifier predicts while its student is trained."""
        return {"network_": network}

    def _after_training(
        self,
        task: Task,
        module: StudentNet,
        rows: Rows,
        distillation: Distillation | None,
        progress: FitProgress,
    ) -> None:
        """Fit what needs the trained student and its rows; then it needs series alone."""
        module.fold()

    def _measure(self, panel: Panel, X: Any) -> Panel:
        """Take the shape of what is fitted; checked series."""
        if panel.n_timepoints < MIN_LENGTH:
            raise ValueError(
                f"X has series of {panel.n_timepoints} time point(s) "
                f"(n_features={panel.n_timepoints}) and {panel.n_channels} channels; at least "
                f"{MIN_LENGTH} time points are needed, in the order (n_samples, n_channels, "
                f"n_timepoints)"
            )
        validate_data(self, X if panel.flat else panel.values, skip_check_array=True)
        panel = self._checked(panel, "X")
        self.n_channels_in_, self.n_timepoints_in_ = panel.n_channels, panel.n_timepoints
        return panel

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.fit_seconds_[stage] = time.perf_counter() - start

    @property
    def module_(self) -> StudentNet:
        """The trained student, a torch module."""
        check_is_fitted(self)
        return self.network_.module

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Class probabilities of series, from their first part.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Whole series, of which only the first ``prefix_length_`` points are looked at, or just
            these. In any form that ``fit`` takes.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        panel = self._read(X)
        return self.network_.probabilities(panel)

    def predict(self, X: Any) -> NDArray[Any]:
        """Labels of series, from their first part.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            As in :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples,)
            The most probable of ``classes_``.
        """
        panel = self._read(X)
        logits = self.network_.logits(panel)
        return self.classes_[logits.argmax(1)]

    def embed(self, X: Any) -> NDArray[np.float32]:
        """Features of series, of which the last layer makes the prediction.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            As in :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The student's features, z_short.
        """
        panel = self._read(X)
        return self.network_.features(panel)

    def export_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted network as an ONNX file, to run without this package or torch.

        Its input ``prefix``, of shape ``(n, n_channels_in_, prefix_length_)`` and type float32, is
        the raw first part of series: normalisation and resampling are in the graph. Its output
        ``probabilities`` is that of :meth:`predict_proba`, to about 1e-7. NaN is not refused
        there: it gives NaN, or with ``missing="mask"`` is a missing value. The metadata hold
        ``classes`` (JSON, in the order of the columns), ``prefix_length`` and ``n_channels``.

        Parameters
        ----------
        path : path
            Where to. The file appears in one piece, when it is finished.

        Raises
        ------
        ImportError
            If onnx or onnxscript isn't installed: ``pip install 'skgdpd[onnx]'``.
        ValueError
            If the classifier fills gaps (``missing="interpolate"``) or cuts each series by its own
            length, which the graph can't do.
        FileNotFoundError
            If the folder doesn't exist.
        """
        check_is_fitted(self, "network_")
        export_onnx(self.network_, self.classes_, self.n_channels_in_, path)

    def _read(self, X: Any) -> Panel:
        """Series to predict, of a form that this classifier can take."""
        if "network_" not in vars(self):
            check_is_fitted(self, "network_")
        self.network_.batch_size = self.predict_batch_size
        panel = read_panel(X)
        if self.network_.view.ragged_ and panel.n_channels == self.n_channels_in_:
            pass  # of any length
        elif panel.flat and panel.n_timepoints == self.n_features_in_:
            validate_data(self, X, reset=False, skip_check_array=True)
        elif panel.n_channels != self.n_channels_in_:
            raise ValueError(
                f"X has {panel.n_channels} channels, but {type(self).__name__} is expecting "
                f"{self.n_channels_in_}"
            )
        elif panel.flat and panel.n_timepoints != self.prefix_length_:
            # Worded as scikit-learn's own check.
            raise ValueError(
                f"X has {panel.n_timepoints} features, but {type(self).__name__} is expecting "
                f"{self.n_timepoints_in_} features as input, or the first {self.prefix_length_}"
            )
        return panel

"""Base class of all classifiers that predict from a prefix."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from .._fitting.data import (
    FitData,
    check_pairs,
    checked_series,
    make_fit_data,
    read_unlabelled,
    warn_of_axes,
)
from .._fitting.network import SeriesNetwork, folded_copy
from .._fitting.onnx import export_onnx
from .._fitting.preparation import FixedFit, NetworkPlan, Preparation, finish, train
from .._fitting.rows import fit_fixed_part
from .._persistence import Saveable
from .._runtime.device import resolve_device
from .._runtime.doc_links import LinksToDocs
from .._runtime.groups import Groups, with_defaults, with_own_groups
from .._runtime.log_probabilities import log_probabilities
from .._runtime.parameters import PlainNumbers
from .._runtime.random import RandomState, Seeds
from .._runtime.warn import warn_user
from .._runtime.worker_config import CarriesConfig, in_worker_settings
from .._series.frames import (
    aligned,
    check_fitted_names,
    check_names,
    is_long,
    names_of,
    set_names,
)
from .._series.panel import Panel, check_channels, read_paired, read_panel
from .._series.truncation import parts_of
from .._series.unlabeled import check_equally_many, refuse_marked
from .._series.views import Normalization
from ..nets import starts_fitted
from ..nets.registry import BackboneSpec
from ..nets.student import SeriesNet
from ..training import History, Progress
from ..training.checkpoint import Checkpoints
from .callbacks import CallbackSupportMixin, FitProgress
from .options import (
    EVERYDAY,
    SeriesOptions,
    TrainingOptions,
    check_moments,
    has_several,
    training_config,
)
from .scoring import accuracy

COMMON = (
    "student", "earliness", "max_epochs", "batch_size", "lr", "class_weight", "normalize",
    "random_state", "device", "verbose",
)  # fmt: skip
"""Names of the parameters outside option groups that all prefix classifiers share."""


@dataclass
class PreparedFit:
    """State of a fit between the preparation and the training of the student.

    Attributes
    ----------
    data : FitData
        Series and labels.
    student : Preparation
        Student, ready for its training.
    memory : joblib.Memory or None
        Cache of warm-ups; None if warm-ups are not kept.
    checkpoints : Checkpoints or None
        Store of unfinished trainings; None if they are not stored.
    fitted : dict
        Fitted attributes that are known before the training, by name.
    seconds : dict of str to float
        Duration of each finished stage in seconds, by name.
    predictor_stage : str or None
        Name of the stage after the student's training in which a predictor is made; None if
        there is no such stage.
    """

    data: FitData
    student: Preparation
    memory: Any = None
    checkpoints: Checkpoints | None = None
    fitted: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    predictor_stage: str | None = None


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Record the duration of the block, in seconds, under the name of a stage."""
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start


class BasePrefixClassifier(
    CarriesConfig,
    LinksToDocs,
    Saveable,
    CallbackSupportMixin,
    PlainNumbers,
    ClassifierMixin,
    BaseEstimator,
):
    """Base class of classifiers that predict from the first part of a series."""

    _parameter_constraints: dict[str, Any] = {
        **{name: EVERYDAY[name] for name in COMMON},
        "training": [TrainingOptions, None],
        "series": [SeriesOptions, None],
    }
    _groups: Groups = {"training": TrainingOptions, "series": SeriesOptions}

    def __init__(
        self,
        student: BackboneSpec,
        earliness: Any,
        max_epochs: int,
        batch_size: int | str,
        lr: float | str,
        class_weight: dict[Any, float] | str | None,
        normalize: Normalization | None,
        training: TrainingOptions | None,
        series: SeriesOptions | None,
        random_state: RandomState,
        device: str | torch.device,
        verbose: int,
    ) -> None:
        self.student = student
        self.earliness = earliness
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.class_weight = class_weight
        self.normalize = normalize
        self.training = training
        self.series = series
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    # Parameters

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the options of groups, such as ``training__weight_decay``, and the
            parameters of estimators among the parameters.

        Returns
        -------
        dict
            Values by parameter name.
        """
        params = super().get_params(deep)
        return with_defaults(params, self._groups) if deep else params

    def set_params(self, **params: Any) -> Any:
        """Set parameters by name.

        Parameters
        ----------
        **params
            Values by parameter name. The options of a group are set on a copy of the group, so
            that other estimators that share the group keep their values.

        Returns
        -------
        estimator
            The estimator itself.
        """
        return super().set_params(**with_own_groups(self, params, self._groups))

    def _validate_params(self) -> None:
        super()._validate_params()
        for name in self._groups:
            options = getattr(self, name)
            if options is not None:
                options._validate_params()

    @property
    def _training(self) -> TrainingOptions:
        return TrainingOptions() if self.training is None else self.training

    @property
    def _series(self) -> SeriesOptions:
        return SeriesOptions() if self.series is None else self.series

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self._series.missing_values != "error"
        return tags

    # A fit: read, prepare, train, finish

    def _fit(self, X: Any, y: Any, **more: Any) -> None:
        """Run a whole fit; ``more`` holds the further arguments of ``fit``."""
        # If this fit fails, the classifier must not predict by the network of an earlier fit.
        self.__dict__.pop("network_", None)
        data = self._read_fit(X, y, **more)
        total, stages = self._stages()
        weight = aligned(X, more.get("sample_weight"), "sample_weight")
        # Callbacks take rows of X and y, so each row must be a series.
        given = read_panel(X).values if is_long(X) else X
        with FitProgress(self, total, stages, given, aligned(X, y, "y"), weight) as progress:
            prepared = self._prepare(data, progress)
            history = self._train(prepared, progress)
            self._finish(prepared, history, progress)

    def _read_fit(
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        X_unlabeled: Any = None,
        X_teacher: Any = None,
    ) -> FitData:
        """Check parameters and data, and hold out a validation part of the labelled series."""
        self._validate_params()
        check_moments(self.earliness, self._series)
        resolve_device(self.device)
        gaps = self._series.missing_values
        read = read_panel(X)
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        y, sample_weight = aligned(X, y, "y"), aligned(X, sample_weight, "sample_weight")
        # Before values: labels of other series hide what is missing in these.
        check_equally_many(y, len(read))
        panel = self._measure(read, X)
        whole = unlabelled = None
        if X_teacher is not None:
            if X_unlabeled is not None:
                raise ValueError(
                    "X_unlabeled can't be given with X_teacher, which pairs with X row by row; "
                    "append the unlabelled series to both, and mark their rows in y"
                )
            whole = checked_series(read_paired(X, X_teacher, "X_teacher"), "X_teacher", gaps)
            check_pairs(panel, whole)
        elif X_unlabeled is not None:
            unlabelled = read_unlabelled(panel, X_unlabeled, gaps)
            check_names(names_of(X_unlabeled), names_of(X), "X_unlabeled", "X", wide=panel.flat)
        data = make_fit_data(
            panel,
            y,
            X_unlabeled=unlabelled,
            X_teacher=whole,
            sample_weight=sample_weight,
            class_weight=self.class_weight,
            marker=getattr(self, "unlabeled", None),
            may_lack=hasattr(self, "teacher"),
            validation_fraction=self._validation_fraction(),
            seeds=Seeds(self.random_state),
        )
        self.classes_ = data.classes
        self.n_timepoints_in_ = data.panel.n_timepoints
        return data

    def _stages(self) -> tuple[float, dict[str, int | None]]:
        """Return the length of the progress bar and the epochs of each stage (None if unknown)."""
        return self.max_epochs, {"student": self.max_epochs}

    def _prepare(
        self,
        data: FitData,
        progress: Progress,
        memory: Any = None,
        fit_fixed: FixedFit = fit_fixed_part,
    ) -> PreparedFit:
        """Run all stages that come before the student's training."""
        raise NotImplementedError

    def _train(self, prepared: PreparedFit, progress: FitProgress) -> History:
        """Train the prepared student."""
        progress.stage("student")
        progress.reconstruct = lambda module: self._attributes_in_training(
            prepared.student.network(folded_copy(module))
        )
        with timed(prepared.seconds, "student"):
            return train(
                prepared.student,
                progress=progress,
                memory=prepared.memory,
                checkpoints=prepared.checkpoints,
            )

    def _finish(self, prepared: PreparedFit, history: History, progress: Progress) -> None:
        """Set the fitted attributes after the training."""
        self._training_state = None
        network = finish(prepared.student)
        for name, value in prepared.fitted.items():
            setattr(self, name, value)
        self.network_, self.history_ = network, history
        self.time_points_ = np.array(network.view.time_points_)
        self.prefix_length_ = int(self.time_points_[0])
        self.fit_seconds_ = prepared.seconds
        if prepared.checkpoints is not None:
            prepared.checkpoints.remove()

    def _attributes_in_training(self, network: SeriesNetwork) -> dict[str, Any]:
        """Return the fitted attributes that callbacks use during the student's training."""
        times = np.array(network.view.time_points_)
        return {"network_": network, "time_points_": times, "prefix_length_": int(times[0])}

    def _student_plan(self, data: FitData) -> NetworkPlan:
        series = self._series
        return NetworkPlan(
            spec=self.student,
            role="student",
            config=training_config(self),
            device=str(resolve_device(self.device)),
            earliness=self._parts(data.is_paired),
            normalize=self.normalize,
            resample_length=series.resample_length,
            earliness_of=series.earliness_of,
            missing_values=series.missing_values,
            predict_batch_size=series.predict_batch_size,
            any_length=series.short_series == "ended",
        )

    def _parts(self, is_paired: bool) -> Any:
        """Return the part of a series that the student is given, or a list of several parts."""
        parts = parts_of(self.earliness)
        if has_several(self.earliness):
            return parts or self.earliness
        if is_paired:
            return 1.0
        return parts[0] if parts else self.earliness

    def _validation_fraction(self) -> float:
        options = self._training
        fraction: float | str = options.validation_fraction
        if not isinstance(fraction, str):
            return fraction
        stops_early = self.max_epochs > 0 and options.early_stopping is not None
        return 0.2 if stops_early or not starts_fitted(self.student) else 0.0

    def _checkpoints(self) -> Checkpoints | None:
        folder = self._training.checkpoint_dir
        if folder is None:
            return None
        if not self._has_seed():
            warn_user(
                f"checkpoint_dir is of no use with random_state={self.random_state!r}: the next "
                f"fit has other seeds; give an int to continue a fit that was killed"
            )
        try:
            return Checkpoints(folder)
        except OSError as error:
            raise ValueError(
                f"checkpoint_dir={folder!r} can't be used as a folder ({error}); "
                "give one that exists or can be made"
            ) from error

    def _has_seed(self) -> bool:
        return isinstance(self.random_state, (int, np.integer))

    def _measure(self, panel: Panel, X: Any) -> Panel:
        """Set the attributes that hold the shape of the series, and return the checked series."""
        checked = checked_series(panel, "X", self._series.missing_values)
        warn_of_axes(checked)
        validate_data(self, X if panel.flat else panel.values, skip_check_array=True)
        set_names(self, X, panel.flat)
        self.n_channels_in_, self.n_timepoints_in_ = checked.n_channels, checked.n_timepoints
        return checked

    # Predictions

    @property
    def module_(self) -> SeriesNet:
        """Trained network of the student, a torch module."""
        check_is_fitted(self)
        return self.network_.module

    @in_worker_settings
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the class probabilities of series, predicted from their first part.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Series with at least ``prefix_length_`` time points, in any form that ``fit`` allows.
            Later time points have no effect. A 2-D table may not have more columns than the table
            in ``fit``. With several moments, a series is classified at the last moment that it
            reaches. With a transformer as ``earliness``, X holds whole series or the output of
            the transformer.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, with columns in the order of ``classes_``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the classifier is not fitted.
        ValueError
            If a series is too short, or if the channels differ from those in ``fit``.
        """
        return self._probabilities(*self._read(X))

    @in_worker_settings
    def predict_proba_path(self, X: Any) -> NDArray[np.float64]:
        """Return the class probabilities of series at each moment.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Series with at least ``time_points_[0]`` time points.

        Returns
        -------
        ndarray of shape (n_samples, n_moments, n_classes)
            Probabilities at the moments in ``time_points_``. They are NaN at moments that a
            series has not reached. Probabilities at a moment don't depend on later time points.
        """
        panel, network = self._read(X)
        return network.path(panel)

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the logarithms of the class probabilities of series.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            As in :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Natural logarithms of ``predict_proba``, in the order of ``classes_``. A probability
            of 0 gives minus infinity.
        """
        return log_probabilities(self.predict_proba(X))

    @in_worker_settings
    def predict(self, X: Any) -> NDArray[Any]:
        """Return the predicted labels of series.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            As in :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Label of the most probable class of each series.
        """
        numbers = self._numbers(*self._read(X))
        return self.classes_[numbers]

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy on labelled series.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            As in :meth:`predict_proba`.
        y : array-like of shape (n_samples,)
            Labels of the series.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the series.

        Returns
        -------
        float
            Share of correctly classified series, weighted by ``sample_weight``.

        Raises
        ------
        ValueError
            If a label is missing, or if y contains the value of ``unlabeled``.
        """
        labels = refuse_marked(aligned(X, y, "y"), getattr(self, "unlabeled", None))
        return accuracy(labels, self.predict(X), aligned(X, sample_weight, "sample_weight"))

    @in_worker_settings
    def embed(self, X: Any) -> NDArray[np.float32]:
        """Return the features of series that are the input of the network's last layer.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            As in :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Features z_short of the student.
        """
        panel, network = self._read(X)
        return network.features(panel)

    def export_onnx(self, path: str | os.PathLike[str], time_point: int | None = None) -> None:
        """Write the fitted network as an ONNX file, which runs without this package or torch.

        The input ``prefix`` has the shape ``(n, n_channels_in_, prefix_length_)`` and the type
        float32. It holds raw values, because the graph includes normalisation and resampling. The
        output ``probabilities`` agrees with :meth:`predict_proba` up to rounding in single
        precision. The graph does not refuse NaN. With ``missing_values="mask"`` or
        ``"interpolate"``, a NaN counts as a missing value; otherwise the output is NaN. The
        metadata contain ``classes`` (JSON, in the order of the columns), ``prefix_length`` and
        ``n_channels``.

        Parameters
        ----------
        path : path
            Name of the file. An export that fails leaves no partial file.
        time_point : int, optional
            Number of time points after which the graph predicts: one of ``time_points_``. It is
            required if there are several moments, because a graph has one moment.

        Raises
        ------
        ImportError
            If onnx or onnxscript isn't installed: ``pip install 'skgdpd[onnx]'``.
        ValueError
            If ``time_point`` is not one of ``time_points_``, if the classifier cuts each series
            by its own length (``earliness_of="own"``), or if it fills gaps
            (``missing_values="interpolate"``) at several moments or in series of unequal length.
        FileNotFoundError
            If the folder doesn't exist.
        """
        check_is_fitted(self, "network_")
        export_onnx(self.network_, self.classes_, self.n_channels_in_, path, time_point)

    def _probabilities(self, panel: Panel, network: SeriesNetwork) -> NDArray[np.float64]:
        return network.probabilities(panel)

    def _numbers(self, panel: Panel, network: SeriesNetwork) -> NDArray[np.int64]:
        """Return the index of the most probable class of each series, ``(n,)``."""
        return network.logits(panel).argmax(1)

    def _read(self, X: Any) -> tuple[Panel, SeriesNetwork]:
        """Return the checked series to classify, and the network."""
        if "network_" not in vars(self):
            check_is_fitted(self, "network_")
        panel = read_panel(X)
        network = self.network_.with_batch_size(self._series.predict_batch_size)
        if not network.view.ragged_ or panel.n_channels != self.n_channels_in_:
            check_seen(self, X, panel)
        check_fitted_names(self, X, panel.flat)
        return panel, network


def check_seen(clf: Any, X: Any, panel: Panel) -> None:
    """Refuse series with other channels, and tables with too few or too many columns."""
    if panel.flat and panel.n_timepoints == clf.n_features_in_:
        validate_data(clf, X, reset=False, skip_check_array=True)
        return
    check_channels(panel, clf.n_channels_in_, clf)
    # A table of more columns may be transposed, which scikit-learn's checks want to be refused.
    if panel.flat and not clf.prefix_length_ <= panel.n_timepoints <= clf.n_timepoints_in_:
        # Worded as scikit-learn's own check.
        raise ValueError(
            f"X has {panel.n_timepoints} features, but {type(clf).__name__} is expecting "
            f"{clf.n_timepoints_in_} features as input, or at least the first "
            f"{clf.prefix_length_}; longer series are taken in arrays of three dimensions"
        )

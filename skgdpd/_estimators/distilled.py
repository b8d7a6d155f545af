"""Base class of classifiers with a teacher, and the classifier for any distiller."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from joblib import Memory
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.metaestimators import available_if

from .._fitting.cross_fitting import left_out
from .._fitting.data import FitData
from .._fitting.longer import check_longer, longer_views
from .._fitting.network import SeriesNetwork
from .._fitting.preparation import (
    FixedFit,
    NetworkPlan,
    Preparation,
    new_network,
    validation_rows,
)
from .._fitting.rows import fit_fixed_part, fit_moment_maps, make_rows
from .._runtime.caching import private_cache
from .._runtime.random import RandomState, Seeds
from .._runtime.warn import warn_user
from .._runtime.worker_config import in_worker_settings
from .._series.panel import Panel
from .._series.storage import features_folder
from .._series.views import Normalization
from .._teachers.answers import told
from .._teachers.copies import check_can_cross_fit, fit_teachers
from .._teachers.linear_head import linear_head
from .._teachers.maps import check_maps, taught_maps
from .._teachers.rows import taught_rows, taught_series
from .._teachers.teacher import (
    TeacherOutputs,
    check_states,
    check_teacher,
    n_networks,
    outputs_for,
)
from ..distillers import Distiller, Hinton
from ..distillers.base import (
    Distillation,
    DistillationContext,
    Predictor,
    PredictorContext,
    SeriesObjective,
)
from ..nets import has_moment_maps
from ..nets.registry import BackboneSpec
from ..training import History, Progress
from ..training.batches import MomentRows
from ..training.checkpoint import Checkpoints
from ..training.fitting import isolated_random_state
from ..training.progress import PartOfProgress
from .base import BasePrefixClassifier, PreparedFit, timed
from .callbacks import with_callbacks
from .incremental import (
    can_stream,
    kept_statistics,
    known_labels,
    read_chunk,
    refuse_balanced,
    refuse_hidden_labels,
    train_further,
)
from .options import (
    EVERYDAY,
    SeriesOptions,
    TrainingOptions,
    has_several,
    training_config,
)

PREPARATION_SHARE = 0.2
"""Length of the preparation on the progress bar, as a fraction of the student's training."""

PREDICTOR_SHARE = 0.2
"""Length of the predictor's stage on the progress bar, as a fraction of the student's training."""


def teacher_or(student: Any, teacher: Any) -> Any:
    """Return the teacher, with each None replaced by the student's architecture."""
    if isinstance(teacher, (list, tuple)):
        return [teacher_or(student, member) for member in teacher]
    return student if teacher is None else teacher


def check_moments(distiller: Distiller, earliness: Any) -> None:
    """Refuse several moments if the distiller teaches at one moment only."""
    single = distiller.compares_maps or distiller.predictor_stage or distiller.longer_parts(2, 4)
    if has_several(earliness) and single:
        raise ValueError(
            f"earliness={earliness!r}: {type(distiller).__name__} teaches at one moment; "
            f"give one share or number of time points, or another distiller"
        )


def make_predictor(
    distillation: Distillation,
    prepared: PreparedFit,
    plan: NetworkPlan,
    progress: Progress,
    units: float,
) -> Predictor | None:
    """Return the predictor that replaces the student's own head; None if the head predicts.

    Parameters
    ----------
    distillation : Distillation
        Distillation of the student.
    prepared : PreparedFit
        Fit with a trained student. The duration of this stage is added to its ``seconds``.
    plan : NetworkPlan
        Settings of the student.
    progress : Progress
        Progress bar.
    units : float
        Length of this stage on the progress bar, in units.

    Returns
    -------
    Predictor or None
    """
    stage, student = prepared.predictor_stage, prepared.student
    if stage is None:
        return None
    progress.stage(stage)
    context = PredictorContext(
        rows=student.rows,
        config=student.config,
        seeds=student.seeds,
        progress=progress,
        units=units,
        left_out=partial(left_out, student, plan, prepared.data.labelled),
        checkpoints=prepared.checkpoints,
    )
    with timed(prepared.seconds, stage):
        return distillation.predictor(student.module, context)


class BaseDistilledClassifier(BasePrefixClassifier):
    """Base class of classifiers with a teacher; a subclass chooses the distiller."""

    _parameter_constraints = {
        **BasePrefixClassifier._parameter_constraints,
        **{name: EVERYDAY[name] for name in ("teacher", "unlabeled", "memory")},
    }
    distillation_: Distillation
    _paired: bool

    def __init__(self, teacher: Any, unlabeled: Any, memory: Any, **common: Any) -> None:
        super().__init__(**common)
        self.teacher = teacher
        self.unlabeled = unlabeled
        self.memory = memory

    def _make_distiller(self, has_unlabelled: bool) -> Distiller:
        """Return the distiller with the parameters of this estimator."""
        raise NotImplementedError

    def _validation_fraction(self) -> float:
        chosen = self._training.early_stopping or self._training.validation_fraction != "auto"
        if self._make_distiller(False).hides_labels and not chosen:
            return 0.0  # the choice of an epoch would be a use of labels
        return super()._validation_fraction()

    def _validate_params(self) -> None:
        super()._validate_params()
        check_teacher(self.teacher)
        if isinstance(self.memory, str) and not self.memory:
            raise ValueError("memory='' names no folder; give the name of one, or None")
        distiller = self._make_distiller(False)
        distiller._validate_params()
        epochs = distiller.teacher_epochs(self.max_epochs)
        check_states(distiller, self.teacher, epochs)
        check_can_cross_fit(self._training.teacher_folds, self.teacher, epochs)
        check_moments(distiller, self.earliness)

    @available_if(can_stream)
    @in_worker_settings
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> BaseDistilledClassifier:
        """Continue the training on the next chunk of a stream.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Whole series, as for :meth:`fit`.
        y : array-like of shape (n_samples,)
            Labels of the series; none may be missing.
        classes : array-like of shape (n_classes,), optional
            All labels that occur in the stream. Required in the first call.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each series in the loss. Unlike in :meth:`fit`, weights are not scaled to a
            mean of 1.

        Returns
        -------
        estimator
            The estimator itself.

        Raises
        ------
        ValueError
            If ``classes`` is missing in the first call, if the first chunk lacks a class, if a
            label is missing or unknown, if ``fit`` was given ``X_teacher``, or if the estimator
            was loaded from a file.

        Notes
        -----
        The first call is :meth:`fit` on its chunk, which must contain every class. It fits the
        teacher, the prior and the student. Later calls keep the teacher and the prior fixed, and
        compute their outputs for the new chunk. They train the student on the labels and on these
        outputs, without a warm-up.

        Each later call makes one pass over the chunk at the constant learning rate ``lr``.
        Predictions use a moving average of the weights over about ``weight_averaging`` chunks.
        No series are held out for validation, and ``max_epochs``, ``lr_schedule`` and
        ``early_stopping`` have no effect. With ``normalize="train"``, the statistics cover all
        chunks so far. Lengths are those of the first chunk. After :meth:`fit`, the training
        continues from the fitted network. Each chunk adds one number to each term of
        ``history_``.
        """
        refuse_hidden_labels(self)
        if "network_" not in vars(self):
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            refuse_balanced(self)
            missing = np.setdiff1d(classes, known_labels(self, y, classes))
            if len(missing):
                raise ValueError(
                    f"the first chunk has no series of the classes {missing.tolist()}; the "
                    f"teacher is fitted on it, so it must have some of every class"
                )
            return self.fit(X, y, sample_weight=sample_weight)
        if "distillation_" not in vars(self):
            raise ValueError(
                f"this {type(self).__name__} was opened from a file, which holds nothing to go on "
                f"learning from; fit it anew, or keep it by pickle"
            )
        if self._paired:
            raise ValueError(
                "fit was given X_teacher, which partial_fit can't take; fit on X alone to go on "
                "with chunks"
            )
        chunk = read_chunk(self, X, y, classes, sample_weight)
        panel, view, distillation = chunk.panel, self.network_.view, self.distillation_
        if panel.n_timepoints != self.n_timepoints_in_ and not view.ragged_:
            raise ValueError(
                f"X has series of {panel.n_timepoints} time points; the teacher needs whole ones, "
                f"of {self.n_timepoints_in_}"
            )
        teacher = self.teacher_
        distiller = self._make_distiller(False)
        outputs = told(distiller, outputs_for(teacher, panel, self.classes_), self._chunk_seed)
        with kept_statistics(view):
            view.learn_statistics(panel)
            _, constants = taught_maps(
                distillation, self.network_.module, view, teacher, lambda: (panel, panel)
            )
            parts = distiller.longer_parts(view.n_seen_, view.n_whole_)
            constants |= longer_views(parts, view, panel)
            rows = make_rows(
                view,
                panel,
                y=chunk.y,
                weight=chunk.weight,
                target_weight=chunk.weight,
                teacher_features=outputs.features,
                teacher_logits=outputs.logits,
                **constants,
            )
            distillation.calibrating = False
            train_further(self, self.network_, self.history_, rows, distillation)
        distillation.cpu()
        return self

    def export_onnx(self, path: str | os.PathLike[str], time_point: int | None = None) -> None:
        """Write the student as an ONNX file; see :meth:`PrefixClassifier.export_onnx`.

        Parameters
        ----------
        path : path
            Name of the file.
        time_point : int, optional
            Number of time points after which the graph predicts. It is required if there are
            several moments.

        Raises
        ------
        ValueError
            If the predictions are not made by the student's own head.
        """
        predictor = self._predictor()
        if predictor is not None:
            raise ValueError(
                f"a {type(self).__name__} that predicts by a {type(predictor).__name__} can't be "
                f"exported: the graph holds the student alone"
            )
        super().export_onnx(path, time_point)

    def _probabilities(self, panel: Panel, network: SeriesNetwork) -> NDArray[np.float64]:
        predictor = self._predictor()
        if predictor is None:
            return super()._probabilities(panel, network)
        proba = predictor.probabilities(*network.run_panel(panel), network.device)
        network.check_finite(proba)
        return proba

    def _numbers(self, panel: Panel, network: SeriesNetwork) -> NDArray[np.int64]:
        if self._predictor() is None:
            return super()._numbers(panel, network)
        return self._probabilities(panel, network).argmax(1)

    def _predictor(self) -> Any:
        """Return the predictor that replaces the student's head, or None if the head predicts."""
        return getattr(self, "predictor_", None)

    def _stages(self) -> tuple[float, dict[str, int | None]]:
        n = self.max_epochs
        teacher = n * n_networks(self.teacher) * (1 + (self._training.teacher_folds or 0))
        total = teacher + PREPARATION_SHARE * n + n
        stages: dict[str, int | None] = {"teacher": teacher, "prior": None, "student": n}
        later = self._make_distiller(False).predictor_stage
        if later is not None:
            total, stages = total + PREDICTOR_SHARE * n, {**stages, later: None}
        return total, stages

    def _prepare(
        self,
        data: FitData,
        progress: Progress,
        memory: Any = None,
        fit_fixed: FixedFit = fit_fixed_part,
    ) -> PreparedFit:
        memory = self._checked_memory() if memory is None else memory
        checkpoints = self._checkpoints()
        distiller = self._make_distiller(bool(len(data.unlabelled)))
        distiller._validate_params()
        plan, seeds = self._student_plan(data), data.seeds
        device, labelled = torch.device(plan.device), data.labelled
        seconds: dict[str, float] = {}
        # Made before the teacher, so that a student that can't be made is refused at once.
        with isolated_random_state(seeds("student"), device):
            view, module = new_network(plan, labelled, distiller.make_head)
        check_maps(distiller, self.student, module, self.teacher, view, data.whole)
        parts = distiller.longer_parts(view.n_seen_, view.n_whole_)
        check_longer(distiller, parts, self.student, module, view)
        with features_folder(memory) as folder:
            with timed(seconds, "teacher"):
                outputs = self._teach(data, memory, progress, checkpoints, folder)
            left_out_of_start = None
            with isolated_random_state(seeds("fixed"), device):
                shapes, constants = taught_maps(
                    distiller, module, view, outputs.teacher, partial(taught_series, data)
                )
                teacher, outputs = outputs.teacher, told(distiller, outputs, seeds)
                constants |= longer_views(parts, view, taught_series(data)[0])
                seen = data.without_labels if distiller.hides_labels else data
                rows = taught_rows(seen, view, outputs, constants).to(device)
                if isinstance(rows, MomentRows) and has_moment_maps(module.backbone):
                    rows, _ = fit_moment_maps(module, rows, seeds("fixed"), trains=True)
                else:
                    rows, left_out_of_start = fit_fixed(module, rows, seeds("fixed"))
            # A part of the bar, so that a distiller can't advance beyond its own stage.
            part = PartOfProgress(progress, PREPARATION_SHARE * self.max_epochs)
            with isolated_random_state(seeds("distiller"), device), timed(seconds, "preparation"):
                context = DistillationContext(
                    rows=rows,
                    n_student_features=module.head.in_features,
                    n_classes=len(data.classes),
                    max_epochs=self.max_epochs,
                    seed=seeds("prior"),
                    memory=memory,
                    progress=part,
                    teacher_head=partial(linear_head, outputs),
                    map_shapes=shapes,
                    earlier_outputs=outputs.earlier,
                )
                distillation = distiller.prepare(context)
                part.advance(1 - part.done)
        student = Preparation(
            view=view,
            module=module,
            rows=rows,
            objective=SeriesObjective(distillation).to(device),
            config=plan.config,
            seeds=seeds,
            valid_rows=validation_rows(view, module, labelled, device),
            predict_batch_size=plan.predict_batch_size,
            n_labeled=len(seen.train),
            n_unlabeled=len(seen.unlabelled),
            left_out=left_out_of_start,
        )
        return PreparedFit(
            data=data,
            student=student,
            memory=None if self.memory is None else memory,
            checkpoints=checkpoints,
            fitted={"teacher_": teacher, "_paired": data.is_paired},
            seconds=seconds,
            predictor_stage=distiller.predictor_stage,
        )

    def _finish(self, prepared: PreparedFit, history: History, progress: Progress) -> None:
        distillation = prepared.student.objective.distillation
        assert distillation is not None
        plan, units = self._student_plan(prepared.data), PREDICTOR_SHARE * self.max_epochs
        predictor = make_predictor(distillation, prepared, plan, progress, units)
        super()._finish(prepared, history, progress)
        self.predictor_, self.distillation_ = predictor, distillation.cpu()

    def _attributes_in_training(self, network: SeriesNetwork) -> dict[str, Any]:
        # The predictor is made after the training; callbacks get the student's own head.
        return {**super()._attributes_in_training(network), "predictor_": None}

    def _teach(
        self,
        data: FitData,
        memory: Memory,
        progress: Progress,
        checkpoints: Checkpoints | None,
        folder: str,
    ) -> TeacherOutputs:
        config = replace(training_config(self), patience=None)
        plan = replace(
            self._student_plan(data),
            spec=teacher_or(self.student, self.teacher),
            role="teacher",
            config=config,
            earliness=1.0,
            earliness_of="longest",
            ragged=data.whole.ragged,
            kept_epochs=self._make_distiller(False).teacher_epochs(self.max_epochs),
        )
        outputs = fit_teachers(
            self._training.teacher_folds,
            plan,
            data.whole.take(data.taught).values,
            data.y[data.train],
            data.train_weight,
            data.classes,
            data.seeds("teacher"),
            memory,
            progress,
            checkpoints,
            folder,
        )
        if self.memory is not None and checkpoints is not None:
            # The teacher is in the cache now, so no later fit opens its checkpoint.
            checkpoints.remove()
        return outputs

    def _chunk_seed(self, name: str) -> int:
        """Return the seed that belongs to a name and the next chunk of a stream."""
        return Seeds(self.random_state)(f"{name} {self.history_.n_epochs}")

    def _checked_memory(self) -> Memory:
        if self.memory is not None and not self._has_seed():
            warn_user(
                f"memory is of no use with random_state={self.random_state!r}: every fit draws "
                f"another split and teacher; give an int to share teachers between fits"
            )
        return private_cache(self.memory)


class DistilledPrefixClassifier(BaseDistilledClassifier):
    """Classifier of series from their first part, trained with a teacher and any distiller.

    Knowledge distillation for early classification (ECTS): a teacher learns from whole series, and
    a student that sees their first part learns from labels and from the teacher. For unlabelled
    series, the teacher's predictions are soft pseudo-labels.

    Parameters
    ----------
    distiller : Distiller, default=None
        Distillation method from :mod:`skgdpd.distillers`. None means
        :class:`~skgdpd.distillers.Hinton`. Searches reach its parameters as ``distiller__...``.
    teacher : None, str, torch.nn.Module, classifier or list of these, default=None
        Model that learns from whole series and teaches the student.

        - None means a network with the student's architecture. The name of a backbone, or a
          module, means that network. Networks are trained with the settings of this estimator.
        - A classifier with ``predict_proba``, from scikit-learn, sktime or aeon, is cloned and
          fitted on the training part. It is given arrays of three dimensions, or rows ``(n,
          n_channels * n_timepoints)`` if it is a classifier of scikit-learn that takes tables
          only. A classifier inside a ``FrozenEstimator`` is used without another fit. The
          features of a classifier are the output of its ``embed`` method. If it has none, they are
          the output of the steps before the last one in a Pipeline, and log-probabilities
          otherwise.
        - A list of teachers, or a ``VotingClassifier``, is an ensemble. Its logits are the
          logarithms of the mean probabilities of the members. Its features are the standardised
          features of the members, concatenated.
    student : str, torch.nn.Module or callable, default="mixed"
        Backbone of the network that predicts: a name (see
        :func:`skgdpd.nets.available_backbones`), a module that maps ``(n, n_channels,
        n_timepoints)`` to ``(n, n_features)``, or a callable ``(n_channels, n_timepoints) ->
        module``. The default was the best one on validation data; see docs/choosing.md.
    unlabeled : object, default=None
        Value of y that marks an unlabelled series, for instance ``-1`` or ``"?"``. A missing label
        (None, NaN, pandas' NA) always marks one. The default adds no value, because -1 is a class
        in several data sets. For searches, see :class:`skgdpd.LabeledFolds`.
    memory : str, path or joblib.Memory, default=None
        Folder or cache that keeps fitted teachers, priors and warm-ups. A grid search over
        ``lambda_kd`` and ``warmup_epochs`` then fits each of them once per training set. Results
        are the same as without a cache, to the last bit. A cache is of use only with an int as
        ``random_state``. None keeps nothing. The folder holds pickle files, which can run code
        when they are read. A folder in which other users can write is therefore refused.
    earliness : float, int, transformer, sequence of float or int, or "every", \
default=0.3
        Part of a series that the student is given. A float in (0, 1] is a fraction of the length
        of the training series. An int is a number of time points. A transformer of series, such
        as sktime's ``TruncationTransformer``, may compute any other part. An ascending list of
        fractions, or of numbers of time points, makes one model that predicts at several moments.
        "every" makes one model that predicts at every time point; its student must have a state
        at each time point. See docs/many-moments.md. Distillers that teach at one moment only
        refuse several moments.
    max_epochs : int, default=60
        Number of passes over the training part (all series except those held out for validation).
        With the one-cycle schedule, more than 60 passes did not help on small data sets; see
        docs/choosing.md.
    batch_size : int or "auto", default="auto"
        Number of series in an optimisation step. "auto" is a tenth of the training part, but at
        least 16 and at most 64, because many steps help small data sets more than precise
        gradients.
    lr : float or "auto", default="auto"
        Learning rate at the peak of the schedule. "auto" is the rate that the backbone declares,
        or 1e-3 if it declares none. Student and teacher may then have different rates. See
        docs/choosing.md.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in every cross-entropy, as in scikit-learn, for imbalanced classes.
        None gives all classes the weight 1.
    normalize : {"train", "prefix"} or None, default="train"
        Normalisation of each channel to mean 0 and variance 1. ``"train"`` takes the statistics
        from the training part, which keeps differences in level and scale between series.
        ``"prefix"`` takes them from each prefix separately. None leaves the values unchanged.
    training : TrainingOptions, default=None
        Further options of the optimisation; None means ``TrainingOptions()``. ``set_params`` and
        searches reach one option under a name such as ``training__weight_decay``.
    series : SeriesOptions, default=None
        Options for reading series; None means ``SeriesOptions()``. ``set_params`` and searches
        reach one option under a name such as ``series__missing_values``.
    random_state : int, RandomState instance or None, default=None
        Source of all seeds. Two fits on a CPU with the same int are equal to the last bit.
    device : str, default="auto"
        Device of the networks. ``"auto"`` means CUDA if it is available, otherwise the CPU.
    verbose : int, default=0
        Verbosity. 0 shows nothing. 1 shows a progress bar on standard error. Outside of terminals
        and notebooks, 1 prints a line every ten seconds instead.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels in ascending order.
    n_features_in_ : int
        Number of channels after a fit on 3-D series; number of time points after a fit on 2-D
        series.
    feature_names_in_ : ndarray of shape (n_names,)
        Names of the columns of X, which later frames must have too. It exists only after a fit on
        a data frame whose column names are all strings.
    sampling_step_ : tuple of (float, bool)
        Time from point to point, and whether it is in seconds because times are dates. It exists
        only after a fit on the command line to a table with times.
    series_digests_ : ndarray of shape (n_digests,)
        Digests of the training series, by which ``skgdpd evaluate`` finds series that the model
        was fitted to. They exist only after a fit on the command line.
    n_channels_in_, n_timepoints_in_ : int
        Number of channels and number of time points of the whole series.
    prefix_length_ : int
        Number of time points from which predictions are made, at the first moment if there are
        several.
    time_points_ : ndarray of shape (n_moments,)
        Number of time points at each moment, in ascending order.
    module_ : torch.nn.Module
        Trained network of the student.
    history_ : History
        Loss terms of the student's training, by epoch.
    fit_seconds_ : dict of str to float
        Duration of each stage of the fit in seconds, by name. Every fit has ``"student"``. A fit
        with a teacher adds ``"teacher"`` and ``"preparation"`` (for instance of a prior). A fit
        with a generator of features adds ``"generator"``.
    teacher_ : NetworkTeacher, EstimatorTeacher or EnsembleTeacher
        Fitted teacher. Its ``predict_proba`` and ``embed`` take whole series.
    predictor_ : Predictor or None
        Object that predicts in place of the student's own head; None if the head predicts.

    Examples
    --------
    >>> from skgdpd import DistilledPrefixClassifier
    >>> from skgdpd.datasets import make_bumps
    >>> from skgdpd.distillers import FitNets
    >>> X, y = make_bumps(n_samples=60, random_state=0)
    >>> clf = DistilledPrefixClassifier(
    ...     FitNets(), student="fcn", earliness=0.5, max_epochs=10, random_state=0
    ... ).fit(X, y)
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
        student: BackboneSpec = "mixed",
        unlabeled: Any = None,
        memory: str | os.PathLike[str] | Memory | None = None,
        earliness: Any = 0.3,
        max_epochs: int = 60,
        batch_size: int | str = "auto",
        lr: float | str = "auto",
        class_weight: dict[Any, float] | str | None = None,
        normalize: Normalization | None = "train",
        training: TrainingOptions | None = None,
        series: SeriesOptions | None = None,
        random_state: RandomState = None,
        device: str | torch.device = "auto",
        verbose: int = 0,
    ) -> None:
        super().__init__(
            teacher=teacher,
            student=student,
            unlabeled=unlabeled,
            memory=memory,
            earliness=earliness,
            max_epochs=max_epochs,
            batch_size=batch_size,
            lr=lr,
            class_weight=class_weight,
            normalize=normalize,
            training=training,
            series=series,
            random_state=random_state,
            device=device,
            verbose=verbose,
        )
        self.distiller = distiller

    def _validate_params(self) -> None:
        given = self.distiller
        if isinstance(given, type) and issubclass(given, Distiller):
            raise TypeError(
                f"distiller={given.__name__} is a class; give an instance: {given.__name__}()"
            )
        if isinstance(given, str):
            raise TypeError(
                f"distiller={given!r} is a text; give an instance of a class of "
                f"skgdpd.distillers, such as Hinton()"
            )
        super()._validate_params()

    @with_callbacks
    @in_worker_settings
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        X_unlabeled: Any = None,
        *,
        X_teacher: Any = None,
        sample_weight: ArrayLike | None = None,
    ) -> DistilledPrefixClassifier:
        """Fit the teacher on labelled series, and the student on labelled and unlabelled series.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Whole series. A 2-D array holds series with one channel. Lists of ``(n_channels,
            n_timepoints)`` arrays and sktime's pandas panels are also allowed.
        y : array-like of shape (n_samples,)
            Labels of any type. A missing label (None, NaN, pandas' NA), or the value of
            ``unlabeled``, marks an unlabelled series.
        X_unlabeled : array-like of shape (n_unlabeled, n_channels, n_timepoints), optional
            Further whole series without labels. This is equivalent to appending them to X and
            marking them in y. The teacher is fitted on the labelled series. The student learns
            from the teacher's outputs for all series.
        X_teacher : array-like of shape (n_samples, n_channels_teacher, n_timepoints_teacher), \
optional
            The series of X, row by row, in the form that the teacher is given, for instance with
            more channels or a higher sampling rate. The student is then given X without a cut, and
            a single ``earliness`` has no effect. ``X_unlabeled`` can't be given together with it.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each labelled series in the loss. Weights of unlabelled series have no
            effect.

        Returns
        -------
        DistilledPrefixClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            If a parameter or the data are invalid.
        TypeError
            If ``teacher`` or ``distiller`` is of a wrong type.
        FloatingPointError
            If a training diverges, so that a loss term is not finite.
        """
        self._fit(X, y, X_unlabeled=X_unlabeled, X_teacher=X_teacher, sample_weight=sample_weight)
        return self

    def _make_distiller(self, has_unlabelled: bool) -> Distiller:
        return Hinton() if self.distiller is None else clone(self.distiller)

"""Classifier without a teacher."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import Interval
from sklearn.utils.metaestimators import available_if

from .._fitting.data import FitData
from .._fitting.preparation import FixedFit, Preparation, prepare
from .._fitting.rows import fit_fixed_part, make_rows
from .._runtime.random import RandomState
from .._runtime.warn import warn_user
from .._runtime.worker_config import in_worker_settings
from .._series.panel import own_lengths
from .._series.views import Normalization
from ..nets.registry import BackboneSpec, check_name, starts_fitted
from ..training import Progress
from .base import BasePrefixClassifier, PreparedFit
from .callbacks import with_callbacks
from .incremental import (
    can_stream,
    first_network,
    kept_statistics,
    read_chunk,
    train_further,
)
from .options import SeriesOptions, TrainingOptions

ONLY_IN_TRAINING = (
    "batch_size", "lr", "training__weight_decay", "training__optimizer", "training__lr_schedule",
    "training__weight_averaging", "training__early_stopping", "training__precision",
    "training__checkpoint_dir",
)  # fmt: skip
"""Names of parameters that have no effect without an epoch."""


def warn_of_idle(clf: PrefixClassifier) -> None:
    """Warn if parameters are set that have no effect without an epoch."""
    own, usual = clf.get_params(), PrefixClassifier().get_params()
    idle = [f"{name}={own[name]!r}" for name in ONLY_IN_TRAINING if own[name] != usual[name]]
    if clf.max_epochs == 0 and idle:
        warn_user(
            f"{', '.join(idle)} has no effect with max_epochs=0, as there is no training; set "
            f"max_epochs to 1 or more, or leave it out"
        )


class PrefixClassifier(BasePrefixClassifier):
    """Classifier of series from their first part, trained without a teacher.

    It is the default for early classification (ECTS) with labels only, and the baseline for
    classifiers with a teacher.

    Parameters
    ----------
    student : str, torch.nn.Module or callable, default="mixed"
        Backbone of the network that predicts: a name (see
        :func:`skgdpd.nets.available_backbones`), a module that maps ``(n, n_channels,
        n_timepoints)`` to ``(n, n_features)``, or a callable ``(n_channels, n_timepoints) ->
        module``. The default was the best one on validation data; see docs/choosing.md.
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
    left_out_path_ : ndarray of shape (n_samples, n_moments, n_classes)
        Probabilities of the training series at each moment, from classifiers that were fitted
        without these series. They are NaN at moments that a series has not reached. The attribute
        exists only with several moments and a student that is fitted in closed form (``"rocket"``,
        ``"rocket-quant"``, ``"mixed"``).
    module_ : torch.nn.Module
        Trained network of the student.
    history_ : History
        Loss terms of the student's training, by epoch.
    fit_seconds_ : dict of str to float
        Duration of each stage of the fit in seconds, by name. Every fit has ``"student"``. A fit
        with a teacher adds ``"teacher"`` and ``"preparation"`` (for instance of a prior). A fit
        with a generator of features adds ``"generator"``.

    Notes
    -----
    With ``max_epochs=0``, a student that starts from a classifier in closed form (``"rocket"``,
    ``"rocket-quant"``, ``"mixed"``) gets no further training. Other students refuse 0. ``lr``,
    ``batch_size`` and most options of ``training`` then have no effect, and a fit warns if they
    are set.

    Examples
    --------
    >>> from skgdpd import PrefixClassifier
    >>> from skgdpd.datasets import make_bumps
    >>> X, y = make_bumps(n_samples=60, random_state=0)
    >>> clf = PrefixClassifier("fcn", earliness=0.5, max_epochs=10, random_state=0).fit(X, y)
    >>> clf.predict_proba(X[:, :, : clf.prefix_length_]).shape
    (60, 2)
    """

    _parameter_constraints = {
        **BasePrefixClassifier._parameter_constraints,
        "max_epochs": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self,
        student: BackboneSpec = "mixed",
        *,
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
            student=student,
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

    @with_callbacks
    @in_worker_settings
    def fit(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> PrefixClassifier:
        """Fit the network to the first part of labelled series.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Whole series. A 2-D array holds series with one channel. Lists of ``(n_channels,
            n_timepoints)`` arrays and sktime's pandas panels are also allowed.
        y : array-like of shape (n_samples,)
            Labels of any type; none may be missing.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each series in the loss.

        Returns
        -------
        PrefixClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            If a parameter or the data are invalid.
        FloatingPointError
            If a training diverges, so that a loss term is not finite.
        """
        self._fit(X, y, sample_weight=sample_weight)
        return self

    def _read_fit(self, X: Any, y: Any, **more: Any) -> FitData:
        data = super()._read_fit(X, y, **more)
        warn_of_idle(self)
        return data

    def _validate_params(self) -> None:
        super()._validate_params()
        check_name(self.student, "student")
        if self.max_epochs == 0 and not starts_fitted(self.student):
            raise ValueError(
                f"max_epochs=0 needs a student that starts from a classifier in closed form, such "
                f"as 'mixed' or 'rocket'; student={self.student!r} must be trained for 1 epoch or "
                "more"
            )
        if self._training.teacher_folds is not None:
            raise ValueError(
                f"training__teacher_folds={self._training.teacher_folds} is for classifiers with "
                f"a teacher, and a PrefixClassifier has none; allowed is None"
            )

    @available_if(can_stream)
    @in_worker_settings
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> PrefixClassifier:
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
            If ``classes`` is missing in the first call, or if a label is missing or unknown.

        Notes
        -----
        Each call makes one pass over the chunk at the constant learning rate ``lr``. Predictions
        use a moving average of the weights over about ``weight_averaging`` chunks. No series are
        held out for validation, and ``max_epochs``, ``lr_schedule`` and ``early_stopping`` have no
        effect. With ``normalize="train"``, the statistics cover all chunks so far. Lengths are
        those of the first chunk. After :meth:`fit`, the training continues from the fitted
        network. Each chunk adds one number to each term of ``history_``.
        """
        chunk = read_chunk(self, X, y, classes, sample_weight)
        is_first = "network_" not in vars(self)
        if is_first:
            network, history = first_network(self, chunk)
        else:
            network, history = self.network_, self.history_
        with kept_statistics(network.view):
            if not is_first:
                network.view.learn_statistics(chunk.panel)
            rows = make_rows(network.view, chunk.panel, y=chunk.y, weight=chunk.weight)
            train_further(self, network, history, rows)
        self.network_, self.history_ = network, history
        self.time_points_ = np.array(network.view.time_points_)
        self.prefix_length_ = int(self.time_points_[0])
        return self

    def _prepare(
        self,
        data: FitData,
        progress: Progress,
        memory: Any = None,
        fit_fixed: FixedFit = fit_fixed_part,
    ) -> PreparedFit:
        seeds = data.seeds
        plan, checkpoints = self._student_plan(data), self._checkpoints()
        student = prepare(plan, data.labelled, seeds, seeds("student"), fit_fixed)
        fitted = {}
        if student.left_out is not None:
            fitted["left_out_path_"] = left_out_path(data, student)
        return PreparedFit(data, student, checkpoints=checkpoints, fitted=fitted)


def left_out_path(data: FitData, student: Preparation) -> NDArray[np.float64]:
    """Return probabilities of the training series, by classifiers fitted without them.

    Parameters
    ----------
    data : FitData
        Series and labels.
    student : Preparation
        Student that is fitted in closed form.

    Returns
    -------
    ndarray of shape (n_samples, n_moments, n_classes)
        Probabilities, NaN at moments that a series has not reached.
    """
    assert student.left_out is not None
    network = student.network(student.module)
    path = np.full((len(data.panel), *student.left_out.shape[1:]), np.nan)
    path[data.train] = student.left_out
    if len(data.valid):
        path[data.valid] = network.path(data.panel.take(data.valid))
    ends = own_lengths(np.isnan(data.panel.values))
    path[ends[:, None] < np.array(network.view.time_points_)] = np.nan
    return path

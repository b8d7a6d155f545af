"""Classifier with Generative Distribution Distillation (GenDD)."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from joblib import Memory
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from .._fitting.network import SeriesNetwork
from .._runtime.random import RandomState
from .._runtime.worker_config import in_worker_settings
from .._series.views import Normalization
from ..distillers import GenDD, GeneratorOptions
from ..distillers.gendd import Deployment
from ..distillers.generator import FeatureGenerator
from ..nets.registry import BackboneSpec
from .callbacks import with_callbacks
from .distilled import BaseDistilledClassifier
from .options import SeriesOptions, TrainingOptions

OF_THE_METHOD = tuple(GenDD._parameter_constraints)
"""Names of the parameters that the classifier passes to the distiller."""


class GenDDClassifier(BaseDistilledClassifier):
    """Classifier of series from their first part that generates teacher features (GenDD).

    A teacher learns from whole series. The student sees their first part. It learns from the
    labels, and from the teacher's probabilities for unlabelled series. A diffusion model then
    learns to generate the teacher's features of a series. By default it is conditioned on the
    predictions of students that were fitted without this series. To classify a series, the model
    draws several teacher features, and the teacher's classifier maps each draw to probabilities.
    The answer is a weighted mean of these probabilities and the student's own. With
    ``deploy="student_head"`` the student predicts alone, which takes no more time than any other
    student.

    Parameters
    ----------
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
    lambda_kd : float, default=1.0
        Weight of the cross-entropy between the student and the teacher's probabilities for
        unlabelled series. It is added to the cross-entropy of the labels. With
        ``condition="features"`` it is the weight of the generator's loss, which is about 1 before
        the training.
    generator : GeneratorOptions, default=None
        Options of the generator; None means ``GeneratorOptions()``. ``set_params`` and searches
        reach one option under a name such as ``generator__contraction``.
    deploy : {"sampled", "student_head"}, default="sampled"
        Source of the predictions. ``"sampled"`` uses generated features, and ``"student_head"``
        uses the student's own head. A classifier that was fitted with ``"sampled"`` can be set to
        ``"student_head"`` without another fit.
    n_posterior_samples : int, default=32
        Number J of features drawn per series. It may be changed after the fit.
    n_sampling_steps : int, default=16
        Number of noise levels that a draw passes through. The prediction time is proportional to
        it. It may be changed after the fit.
    guidance : float, default=1.0
        Weight of the condition in a draw (classifier-free guidance). 1 draws from the learned
        model. The reference program uses 2, which draws from another distribution and takes twice
        the time. It may be changed after the fit.
    student_share : float, default=0.5
        Weight of the student's own prediction in the answer, in [0, 1]; the mean over the draws
        has the remaining weight. The default is the plain mean of both. A few draws often give
        several series the same answer, and the student's prediction then ranks these series. 0 is
        the paper's method. It may be changed after the fit.
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

    Notes
    -----
    With ``deploy="sampled"``, ``predictor_`` is a generator of features. Its ``history`` has the
    loss terms of its training, which follows the student's training.

    The fit fixes the seed of the draws. A series therefore has the same probabilities in each
    call, whatever other series are predicted with it.

    References
    ----------
    GenDD, arXiv 2507.14503. The paper's student has no cross-entropy loss. Here the student has
    one, because ``deploy="student_head"`` and the choice of the best epoch need its predictions.

    Examples
    --------
    >>> from skgdpd import GenDDClassifier, GeneratorOptions
    >>> from skgdpd.datasets import make_bumps
    >>> X, y = make_bumps(n_samples=60, random_state=0)
    >>> clf = GenDDClassifier(student="fcn", earliness=0.5, max_epochs=10, n_sampling_steps=16,
    ...                       generator=GeneratorOptions(max_epochs=50), random_state=0)
    >>> clf.fit(X, y).predict_proba(X[:3, :, : clf.prefix_length_]).shape
    (3, 2)
    >>> clf.sample_features(X[:3]).shape  # 32 draws of the teacher's 128 features
    (3, 32, 128)
    >>> cheap = clf.set_params(deploy="student_head").predict(X)  # without any draw
    """

    _parameter_constraints = {
        **BaseDistilledClassifier._parameter_constraints,
        **GenDD._parameter_constraints,
    }
    _groups = {**BaseDistilledClassifier._groups, "generator": GeneratorOptions}

    def __init__(
        self,
        teacher: Any = None,
        *,
        student: BackboneSpec = "mixed",
        lambda_kd: float = 1.0,
        generator: GeneratorOptions | None = None,
        deploy: Deployment = "sampled",
        n_posterior_samples: int = 32,
        n_sampling_steps: int = 16,
        guidance: float = 1.0,
        student_share: float = 0.5,
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
        self.lambda_kd = lambda_kd
        self.generator = generator
        self.deploy = deploy
        self.n_posterior_samples = n_posterior_samples
        self.n_sampling_steps = n_sampling_steps
        self.guidance = guidance
        self.student_share = student_share

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
    ) -> GenDDClassifier:
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
        GenDDClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            If a parameter or the data are invalid.
        TypeError
            If ``teacher`` is of a wrong type.
        FloatingPointError
            If a training diverges, so that a loss term is not finite.
        """
        self._fit(X, y, X_unlabeled=X_unlabeled, X_teacher=X_teacher, sample_weight=sample_weight)
        return self

    @in_worker_settings
    def sample_features(self, X: Any) -> NDArray[np.float64]:
        """Draw teacher features of series, given their first part.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            As in :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples, n_posterior_samples, dT)
            Draws from which predictions are made. dT is the number of teacher features.

        Raises
        ------
        ValueError
            If the classifier was fitted with ``deploy="student_head"``.
        """
        panel, network = self._read(X)
        return self._generator().draw(*network.run_panel(panel), network.device)

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
            If ``deploy="sampled"``, because a graph makes no random draws.
        """
        if self.deploy != "student_head":
            raise ValueError(
                f"deploy={self.deploy!r} can't be exported: a graph makes no draws. "
                f"set_params(deploy='student_head') exports the student with its own classifier"
            )
        super().export_onnx(path, time_point)

    def _predictor(self) -> FeatureGenerator | None:
        return None if self.deploy == "student_head" else self._generator()

    def _generator(self) -> FeatureGenerator:
        """Return the generator with the current values of the sampling parameters."""
        self._validate_params()
        check_is_fitted(self, "network_")
        if not isinstance(self.predictor_, FeatureGenerator):
            raise ValueError(
                "deploy='sampled' needs a generator, and this classifier was fitted with "
                "deploy='student_head'; fit it anew"
            )
        return replace(
            self.predictor_,
            n_draws=self.n_posterior_samples,
            n_steps=self.n_sampling_steps,
            guidance=self.guidance,
            student_share=self.student_share,
        )

    def _make_distiller(self, has_unlabelled: bool) -> GenDD:
        return GenDD(**{name: getattr(self, name) for name in OF_THE_METHOD})

    def _attributes_in_training(self, network: SeriesNetwork) -> dict[str, Any]:
        return {**super()._attributes_in_training(network), "deploy": "student_head"}

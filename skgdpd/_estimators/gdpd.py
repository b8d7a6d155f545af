"""Classifier with the method of the GDPD paper."""

from __future__ import annotations

import os
from numbers import Real
from typing import Any

import torch
from joblib import Memory
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, StrOptions

from .._runtime.random import RandomState
from .._runtime.worker_config import in_worker_settings
from .._series.views import Normalization
from ..distillers import GDPD, Distiller
from ..distillers.gdpd import ExpectationName
from ..nets.registry import BackboneSpec
from ..training import History, Progress
from .base import PreparedFit
from .callbacks import with_callbacks
from .distilled import BaseDistilledClassifier
from .options import SeriesOptions, TrainingOptions
from .prior import DiffusionFeaturePrior

OF_THE_METHOD = (
    "lambda_kd", "warmup_epochs", "objective", "n_posterior_samples", "prior_trainable",
)  # fmt: skip
"""Names of the parameters that the classifier passes to the distiller."""


def default_prior(**settings: Any) -> DiffusionFeaturePrior:
    """Return the default prior of :class:`GDPDClassifier`, updated with ``settings``."""
    return DiffusionFeaturePrior(
        **{"encoder": "autoencoder", "degradation": "learned-alpha", **settings}
    )


class GDPDClassifier(BaseDistilledClassifier):
    """Classifier of series from their first part, taught through a diffusion prior (GDPD).

    A teacher learns from whole series. A diffusion prior learns the distribution of the
    teacher's features. The student sees only the first part of each series, and first learns from
    labels alone. After this warm-up, the student's features are treated as degraded observations
    of the teacher's features. The prior draws teacher features that agree with them, and the
    student is trained so that these draws are also classified correctly. For unlabelled series,
    the teacher's predictions are soft pseudo-labels. Predictions use the student alone.

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
    prior : DiffusionFeaturePrior, default=None
        Prior of the teacher's features, which is cloned and fitted. None means
        ``DiffusionFeaturePrior(encoder="autoencoder", degradation="learned-alpha")``. It differs
        from the paper's prior in the denoiser only. Searches reach the parameters of a given
        prior as ``prior__...``.
    lambda_kd : float, default=1.0
        Weight lambda_KD of the cross-entropy of the restored features. The paper found 1 best.
    warmup_epochs : int or float, default=0.5
        Number E_warm of epochs on labels alone. A float in (0, 1) is a share of ``max_epochs``;
        the paper uses one half.
    objective : {"mean", "logmeanexp"}, default="mean"
        Loss over several draws. ``"mean"`` is the mean of their losses, as in the paper.
        ``"logmeanexp"`` is the loss of their mean probability, which is never larger. The two are
        equal for one draw.
    n_posterior_samples : int, default=1
        Number J of draws per series and optimisation step; the paper uses 1.
    prior_trainable : bool, default=False
        Whether the student's loss also trains the denoiser, as in the authors' program. The prior
        then moves away from the distribution of the teacher's features.
    hinton_weight : float or "auto", default="auto"
        Weight of Hinton's loss between the logits of student and teacher, at temperature 2.
        "auto" is 1 if there are unlabelled series, otherwise 0; see docs/method.md.
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
    prior_ : DiffusionFeaturePrior
        Fitted prior of the teacher's features.

    References
    ----------
    GDPD, arXiv 2605.11414, ICLR 2026.

    Examples
    --------
    >>> from skgdpd import GDPDClassifier
    >>> from skgdpd.datasets import make_bumps
    >>> X, y = make_bumps(n_samples=60, random_state=0)
    >>> clf = GDPDClassifier(student="fcn", earliness=0.5, max_epochs=10, random_state=0)
    >>> clf.fit(X, y).predict(X[:3, :, : clf.prefix_length_]).shape
    (3,)
    """

    _parameter_constraints = {
        **BaseDistilledClassifier._parameter_constraints,
        **{name: GDPD._parameter_constraints[name] for name in OF_THE_METHOD},
        "prior": [DiffusionFeaturePrior, None],
        "hinton_weight": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
    }

    def __init__(
        self,
        teacher: Any = None,
        *,
        student: BackboneSpec = "mixed",
        prior: DiffusionFeaturePrior | None = None,
        lambda_kd: float = 1.0,
        warmup_epochs: float = 0.5,
        objective: ExpectationName = "mean",
        n_posterior_samples: int = 1,
        prior_trainable: bool = False,
        hinton_weight: float | str = "auto",
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
        self.prior = prior
        self.lambda_kd = lambda_kd
        self.warmup_epochs = warmup_epochs
        self.objective = objective
        self.n_posterior_samples = n_posterior_samples
        self.prior_trainable = prior_trainable
        self.hinton_weight = hinton_weight

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
    ) -> GDPDClassifier:
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
        GDPDClassifier
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

    def _make_distiller(self, has_unlabelled: bool) -> Distiller:
        if self.warmup_epochs >= self.max_epochs:
            raise ValueError(
                f"warmup_epochs={self.warmup_epochs!r} leaves no epoch of max_epochs="
                f"{self.max_epochs} for distillation; allowed are 0 to {self.max_epochs - 1}, or "
                f"a share in (0, 1)"
            )
        hinton_weight = self.hinton_weight
        if isinstance(hinton_weight, str):
            hinton_weight = 1.0 if has_unlabelled else 0.0
        prior = default_prior() if self.prior is None else self.prior
        own = {name: getattr(self, name) for name in OF_THE_METHOD}
        return GDPD(prior, **own, hinton_weight=hinton_weight)

    def _finish(self, prepared: PreparedFit, history: History, progress: Progress) -> None:
        super()._finish(prepared, history, progress)
        self.prior_ = self.distillation_.prior

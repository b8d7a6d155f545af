"""The paper's method."""

from __future__ import annotations

import os
from numbers import Real
from typing import Any

import torch
from joblib import Memory
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, StrOptions

from ._base import Task
from ._docs import describe
from ._prefix import BaseDistilledClassifier
from ._prior import DiffusionFeaturePrior
from ._random import RandomState
from ._views import EarlinessOf, Missing, Normalization
from .distillers import GDPD, Distiller
from .distillers.gdpd import ExpectationName
from .nets.registry import BackboneSpec
from .nets.student import Precision


def default_prior(**settings: Any) -> DiffusionFeaturePrior:
    """The prior of a :class:`GDPDClassifier` that is given none, but for some settings."""
    return DiffusionFeaturePrior(
        **{"encoder": "autoencoder", "degradation": "learned-alpha", **settings}
    )


@describe
class GDPDClassifier(BaseDistilledClassifier):
    """Classifies series from their first part, taught through a diffusion prior (GDPD).

    A teacher learns from whole series; a diffusion prior learns the distribution of its features.
    The student, which sees prefixes, first learns from labels. Then its features are taken for
    degraded observations of whole-series features, the prior draws what these may have been, and
    the student is trained so that the draws, too, are classified right. Prediction runs the
    student alone.

    Parameters
    ----------
    {teacher}
    {student}
    prior : DiffusionFeaturePrior, default=None
        The prior, cloned and fitted on the teacher's features; None is
        ``DiffusionFeaturePrior(encoder="autoencoder", degradation="learned-alpha")``, the paper's
        but for the denoiser; on eight small sets it did as well as or better than the measured
        degradations. Its parameters can be searched as ``prior__...``
        if it is given.
    lambda_kd : float, default=1.0
        Weight of the restored features' cross-entropy, lambda_KD in the paper, where 1 did best.
    warmup_epochs : int or float, default=0.5
        Epochs on labels alone, E_warm in the paper; a float in (0, 1) is a share of
        ``max_epochs``. The paper's is a half.
    objective : {"mean", "logmeanexp"}, default="mean"
        Loss of several draws: the mean of their losses, as in the paper, or the loss of their
        mean probability, which is tighter. The same for one draw.
    n_posterior_samples : int, default=1
        Draws J for each series and step; the paper has 1.
    prior_trainable : bool, default=False
        Let the denoiser go on learning from the student's loss, as the reference program does.
    hinton_weight : float or "auto", default="auto"
        Weight of a term on the student's own logits against the teacher's, at temperature 2.
        "auto" is 1 where there are unlabelled series, else 0.
    {unlabeled}
    {memory}
    {network}

    {attributes}
    {teacher_attributes}
    prior_ : DiffusionFeaturePrior
        The fitted prior.

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
        "prior": [DiffusionFeaturePrior, None],
        **{
            name: GDPD._parameter_constraints[name]
            for name in (
                "lambda_kd",
                "warmup_epochs",
                "objective",
                "n_posterior_samples",
                "prior_trainable",
            )
        },
        "hinton_weight": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
    }

    def __init__(
        self,
        teacher: Any = None,
        *,
        student: BackboneSpec = "rocket-quant",
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
        self.teacher = teacher
        self.student = student
        self.prior = prior
        self.lambda_kd = lambda_kd
        self.warmup_epochs = warmup_epochs
        self.objective = objective
        self.n_posterior_samples = n_posterior_samples
        self.prior_trainable = prior_trainable
        self.hinton_weight = hinton_weight
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
    ) -> GDPDClassifier:
        """Learn from whole series, labelled and, if there are, unlabelled.

        Parameters
        ----------
        {fit}

        Returns
        -------
        GDPDClassifier
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
        self.prior_ = self.distillation_.prior
        return self

    def _make_distiller(self, task: Task) -> Distiller:
        if self.warmup_epochs >= self.max_epochs:
            raise ValueError(
                f"warmup_epochs={self.warmup_epochs!r} leaves no epoch of max_epochs="
                f"{self.max_epochs} for distillation; allowed are 0 to {self.max_epochs - 1}, or "
                f"a share in (0, 1)"
            )
        hinton_weight = self.hinton_weight
        if isinstance(hinton_weight, str):
            hinton_weight = 0.0 if task.pool is None else 1.0
        return GDPD(
            default_prior() if self.prior is None else self.prior,
            lambda_kd=self.lambda_kd,
            warmup_epochs=self.warmup_epochs,
            objective=self.objective,
            n_posterior_samples=self.n_posterior_samples,
            prior_trainable=self.prior_trainable,
            hinton_weight=hinton_weight,
        )

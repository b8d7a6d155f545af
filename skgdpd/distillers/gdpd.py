r"""GDPD: generative distillation with a diffusion prior.

After a warm-up on labels, each student feature :math:`z_{short}` is treated as a degraded
observation of the teacher's feature :math:`z_{long}` of the whole series. A diffusion prior over
teacher features gives posterior draws :math:`\hat z` of that feature. The student minimises

.. math:: CE(S(z_{short}), y) + \lambda_{KD}\, E_J[CE(S(\hat z), y)],

where S is the student's linear head, and the expectation is over J draws. Gradients reach the
student through the draws, too. Optionally, the teacher's head classifies the draws instead of S.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Hashable, Sequence
from numbers import Integral, Real
from typing import Any, Literal, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from torch import Tensor, nn

from .._runtime.caching import call_cached
from .._runtime.workers import is_shared
from ..diffusion import (
    AffineEncoder,
    LinearGaussian,
    LinearMeasurement,
    PosteriorSampler,
    make_posterior_sampler,
)
from ..nets.layers import FeatureBatchNorm
from ..nets.student import SeriesNet, SeriesOutput
from ..training import Batch, Progress, Rows, Step, Terms, Warmup
from ..training.batches import MomentRows
from .base import Distillation, DistillationContext, Distiller
from .logits import hinton_loss
from .rows import TEMPERATURE_RANGE

ExpectationName = Literal["mean", "logmeanexp"]
ClassifierName = Literal["student", "teacher"]

MAX_CALIBRATION_ROWS = 4096
"""Largest number of rows in the estimate of the measurement model, which bounds its time."""

MAX_PRIOR_ROWS = 65536
"""Largest number of features that the prior is fitted on, which bounds its memory."""


def expected_cross_entropy(
    logits: Tensor,
    batch: Batch,
    expectation: ExpectationName = "mean",
) -> Tensor:
    """Return the cross-entropy of several draws against the batch's labels or soft targets.

    Parameters
    ----------
    logits : Tensor of shape (n_draws, n, n_classes)
        Logits of the head for each draw.
    batch : Batch
        Batch with soft targets ``target (n, n_classes)`` or labels ``y (n,)``, and optionally
        with weights ``target_weight (n,)``.
    expectation : {"mean", "logmeanexp"}, default="mean"
        Reduction over the draws. ``"mean"`` averages their losses, as in the paper.
        ``"logmeanexp"`` is the loss of their averaged probabilities, the posterior predictive. By
        Jensen's inequality, it is never larger.

    Returns
    -------
    Tensor of shape ()
    """
    n_draws = len(logits)
    if expectation == "mean":
        if "target" not in batch and "target_weight" not in batch:
            return F.cross_entropy(logits.flatten(0, 1), batch["y"].repeat(n_draws))
        log_p = torch.log_softmax(logits, -1).mean(0)
    else:
        log_p = torch.logsumexp(torch.log_softmax(logits, -1), 0) - math.log(n_draws)
    if "target" in batch:
        losses = -(batch["target"] * log_p).sum(-1)
    else:
        losses = -log_p.gather(1, batch["y"][:, None])[:, 0]
    if "target_weight" in batch:
        losses = losses * batch["target_weight"]
    return losses.mean()


class GDPDDistillation(Distillation):
    """Distillation of :class:`GDPD`.

    Parameters
    ----------
    distiller : GDPD
        Distiller, which holds the parameters.
    codes : Tensor of shape (n_calibration, d)
        Teacher features of some training rows, encoded by the prior.
    calibration : Tensor of shape (n_calibration,)
        Indices of these rows.
    n_rows : int
        Number of all training rows.
    degradations : sequence of PosteriorSampler
        Posterior sampler of each moment, which maps student features to draws.
    warmup_epochs : int
        Number of epochs on labels alone.
    n_student_features : int
        Width dS of the student's features.
    """

    name = "gdpd"
    """Name of the loss term."""

    seen: Tensor
    calibrated: Tensor
    place: Tensor
    calibration: Tensor
    prior: Any = None

    def __init__(
        self,
        distiller: GDPD,
        codes: Tensor,
        calibration: Tensor,
        n_rows: int,
        degradations: Sequence[PosteriorSampler],
        warmup_epochs: int,
        n_student_features: int,
    ) -> None:
        super().__init__()
        self.distiller = distiller
        self.warmup_epochs = warmup_epochs
        degradation, *others = degradations
        self.degradation = degradation
        self.others = nn.ModuleList(others)
        if distiller.prior_trainable:
            self.trained_prior = degradation.latent
        self._prepare_comparison(codes, n_student_features)
        if degradation.needs_measurement:
            self._measurement = LinearMeasurement(codes.double().cpu().numpy())
            # Features of the last batches, so that the student isn't run again for a calibration.
            # All rows without calibration share the last place.
            self.register_buffer("seen", torch.zeros(len(codes) + 1, n_student_features))
            # Features of the last calibration, so that a resumed training can repeat it.
            kept = self.seen[:-1].clone()
            self.register_buffer(
                "calibrated", kept.repeat(len(degradations), 1, 1) if others else kept
            )
            place = torch.full((n_rows,), len(codes))
            place[calibration] = torch.arange(len(codes))
            self.register_buffer("calibration", calibration)
            self.register_buffer("place", place)

    def _prepare_comparison(self, codes: Tensor, n_student_features: int) -> None:
        """Make the modules that :meth:`compare` needs."""
        self.projection = nn.Sequential(
            nn.Linear(codes.shape[1], n_student_features), FeatureBatchNorm(n_student_features)
        )

    def compare(self, student: SeriesNet, draws: Tensor, batch: Batch) -> Tensor:
        """Return the loss of draws ``(n_draws, n, d)``."""
        restored = self.projection(draws.flatten(0, 1))
        logits = student.head(restored).unflatten(0, draws.shape[:2])
        return expected_cross_entropy(logits, batch, self.distiller.objective)

    def start_epoch(self, student: SeriesNet, rows: Rows, step: Step) -> None:
        since = step.epoch - self.warmup_epochs
        if not self.degradation.needs_measurement or since < 0:
            return
        if since % self.distiller.recalibrate_every:
            return
        if isinstance(rows, MomentRows):
            # Each batch was at one moment, so most of the last features are of other moments.
            with torch.no_grad():
                for m in range(rows.n_moments):
                    batch = rows.select(self.calibration, m)
                    self.calibrated[m] = student.read(batch).features
            self._calibrate()
            return
        # No batch has run before the first epoch; of shared ones, only this process's part has.
        if step.epoch == 0 or is_shared():
            with torch.no_grad():
                self.seen[:-1] = student.read(rows.select(self.calibration)).features
        self.calibrated.copy_(self.seen[:-1])
        self._calibrate()

    def phase(self, step: Step) -> Hashable:
        active = step.epoch >= self.warmup_epochs and bool(self.distiller.lambda_kd)
        return (active, self.degradation.phase() if active else (), self.calibrating)

    def resume(self, step: Step) -> None:
        if self.degradation.needs_measurement and step.epoch >= self.warmup_epochs:
            self._calibrate()

    def _calibrate(self) -> None:
        features = self.calibrated.double().cpu().numpy()
        by_moment = features if len(self.others) else features[None]
        for sampler, own in zip([self.degradation, *self.others], by_moment, strict=True):
            cast(PosteriorSampler, sampler).calibrate(self.measure(own))

    def measure(self, features: NDArray[np.float64]) -> LinearGaussian:
        """Return the measurement model of student features ``(n_calibration, dS)``."""
        return self._measurement.fit(features)

    def _sampler(self, batch: Batch) -> PosteriorSampler:
        """Return the posterior sampler of the batch's moment."""
        moment = int(batch["moment"]) if "moment" in batch else 0
        return cast(PosteriorSampler, [self.degradation, *self.others][moment])

    def warmup(self) -> Warmup:
        distiller, measured = self.distiller, self.degradation.needs_measurement
        hinton = (distiller.hinton_weight, distiller.hinton_temperature)
        return Warmup(
            self.warmup_epochs,
            settings=("gdpd", *hinton) if distiller.hinton_weight else "labels",
            rows=("teacher_logits", "target_weight") if distiller.hinton_weight else (),
            leaves=("seen",) if measured else (),
        )

    def terms(self, student: SeriesNet, output: SeriesOutput, batch: Batch, step: Step) -> Terms:
        terms: Terms = {}
        distiller = self.distiller
        if self.degradation.needs_measurement and self.calibrating and not len(self.others):
            self.seen.index_copy_(0, self.place[batch["index"]], output.features.detach())
        if step.epoch >= self.warmup_epochs and distiller.lambda_kd:
            draws = self._sampler(batch).draw(
                output.features, distiller.n_posterior_samples, step.generator
            )
            terms[self.name] = distiller.lambda_kd * self.compare(student, draws, batch)
        if distiller.hinton_weight:
            loss = hinton_loss(
                output.logits,
                batch["teacher_logits"],
                distiller.hinton_temperature,
                batch.get("target_weight"),
            )
            terms["hinton"] = distiller.hinton_weight * loss
        return terms


class TeacherClassified(GDPDDistillation):
    """Distillation of :class:`GDPD` whose draws are classified by the teacher's linear head."""

    decoder: AffineEncoder
    head: nn.Linear

    def _prepare_comparison(self, codes: Tensor, n_student_features: int) -> None:
        """Do nothing: :meth:`use` adds the decoder and the head."""

    def use(self, decoder: AffineEncoder, head: nn.Linear) -> None:
        """Set the map from codes to teacher features, and the layer that classifies features.

        Neither is trained.

        Parameters
        ----------
        decoder : AffineEncoder
            Encoder of the prior, whose decoder is used.
        head : torch.nn.Linear
            Linear layer from teacher features to logits.
        """
        self.decoder = decoder.requires_grad_(False)
        self.head = head.requires_grad_(False)

    def compare(self, student: SeriesNet, draws: Tensor, batch: Batch) -> Tensor:
        logits = self.head(self.decoder.decode(draws))
        return expected_cross_entropy(logits, batch, self.distiller.objective)


class GDPD(Distiller):
    """Generative distillation with a diffusion prior over teacher features.

    Parameters
    ----------
    prior : DiffusionFeaturePrior
        Unfitted prior. A clone of it is fitted on the teacher's features.
    lambda_kd : float, default=1.0
        Weight of the cross-entropy of the restored features.
    warmup_epochs : int or float, default=0.5
        Number of epochs on labels alone. A float in (0, 1) is a share of all epochs.
    objective : {"mean", "logmeanexp"}, default="mean"
        Reduction over the draws. ``"mean"`` averages their cross-entropies, as in the paper.
        ``"logmeanexp"`` is the cross-entropy of their averaged probabilities.
    n_posterior_samples : int, default=1
        Number J of posterior draws per series and step; the default is the paper's value.
    prior_trainable : bool, default=False
        Whether the cross-entropy of the restored features also trains the denoiser after the
        warm-up, as in the authors' program. The prior then drifts away from the distribution of
        teacher features.
    recalibrate_every : int, default=5
        Number of epochs between two estimates of the measurement model, for degradations that
        have one.
    hinton_weight : float, default=0.0
        Weight of an additional Hinton loss, from the first epoch on.
    hinton_temperature : float, default=2.0
        Temperature of the Hinton loss; the default is the value of the authors' program.
    classified_by : {"student", "teacher"}, default="student"
        Head that classifies the draws. ``"student"`` is the student's head after a learned
        projection, as in the paper. ``"teacher"`` is the teacher's linear head, applied to the
        decoded draws. It is not trained, so a draw must resemble the teacher's features of series
        of the same class. The student's head then learns from the labels alone.

    References
    ----------
    GDPD, arXiv 2605.11414, ICLR 2026.
    """

    distillation_class = GDPDDistillation
    classified_by: ClassifierName = "student"

    _parameter_constraints = {
        "prior": [HasMethods(["fit", "encode"])],
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "warmup_epochs": [
            Interval(Integral, 0, None, closed="left"),
            Interval(Real, 0, 1, closed="neither"),
        ],
        "objective": [StrOptions({"mean", "logmeanexp"})],
        "n_posterior_samples": [Interval(Integral, 1, None, closed="left")],
        "prior_trainable": ["boolean"],
        "recalibrate_every": [Interval(Integral, 1, None, closed="left")],
        "hinton_weight": [Interval(Real, 0, None, closed="left")],
        "hinton_temperature": TEMPERATURE_RANGE,
        "classified_by": [StrOptions({"student", "teacher"})],
    }

    def __init__(
        self,
        prior: Any,
        lambda_kd: float = 1.0,
        warmup_epochs: float = 0.5,
        objective: ExpectationName = "mean",
        n_posterior_samples: int = 1,
        prior_trainable: bool = False,
        recalibrate_every: int = 5,
        hinton_weight: float = 0.0,
        hinton_temperature: float = 2.0,
        classified_by: ClassifierName = "student",
    ) -> None:
        self.prior = prior
        self.lambda_kd = lambda_kd
        self.warmup_epochs = warmup_epochs
        self.objective = objective
        self.n_posterior_samples = n_posterior_samples
        self.prior_trainable = prior_trainable
        self.recalibrate_every = recalibrate_every
        self.hinton_weight = hinton_weight
        self.hinton_temperature = hinton_temperature
        self.classified_by = classified_by

    def prepare(self, context: DistillationContext) -> GDPDDistillation:
        """Fit the prior on the teacher's features, or load it from the cache.

        Parameters
        ----------
        context : DistillationContext
            Training rows and services.

        Returns
        -------
        GDPDDistillation

        Raises
        ------
        ValueError
            If ``classified_by="teacher"`` and the context has no ``teacher_head``.
        """
        by_teacher = self.classified_by == "teacher"
        if by_teacher and context.teacher_head is None:
            raise ValueError(
                "classified_by='teacher' needs a teacher's classifier, and this context has "
                "none; allowed is 'student'"
            )
        features = context.rows.tensors["teacher_features"]
        prior = fitted_prior(self.prior, context)
        # A copy, so that the fitted prior itself stays unchanged and in double precision.
        latent = copy.deepcopy(prior.latent_).to(features)
        latent.requires_grad_(self.prior_trainable)
        calibration = evenly(len(features), MAX_CALIBRATION_ROWS).to(features.device)
        codes = torch.as_tensor(prior.encode(features[calibration].cpu())).to(features)
        settings = (latent, prior.n_sampling_steps, context.n_student_features)
        degradations = [make_posterior_sampler(prior.degradation, *settings)]
        for _ in range(context.rows.n_moments - 1):
            other = make_posterior_sampler(prior.degradation, *settings, degradations[0])
            degradations.append(other)
        warmup = self.warmup_epochs
        if not isinstance(warmup, Integral):
            warmup = min(round(warmup * context.max_epochs), context.max_epochs - 1)
        kind = TeacherClassified if by_teacher else self.distillation_class
        distillation = kind(
            self,
            codes,
            calibration,
            len(features),
            degradations,
            int(warmup),
            context.n_student_features,
        )
        if isinstance(distillation, TeacherClassified):
            assert context.teacher_head is not None
            decoder = copy.deepcopy(prior.encoder_)
            distillation.use(decoder.to(features), context.teacher_head().to(features))
        distillation.prior = prior
        return distillation.to(features.device)


def fitted_prior(prior: Any, context: DistillationContext) -> Any:
    """Return a clone of a prior, fitted on teacher features or loaded from the cache.

    Parameters
    ----------
    prior : DiffusionFeaturePrior
        Unfitted prior, which is cloned.
    context : DistillationContext
        Training rows and services.

    Returns
    -------
    DiffusionFeaturePrior
        Fitted clone.
    """
    features = context.rows.tensors["teacher_features"]
    known = features[evenly(len(features), MAX_PRIOR_ROWS).to(features.device)]
    own = clone(prior)
    settings: dict[str, Any] = {}
    if own.random_state is None:
        settings["random_state"] = context.seed
    if own.n_latent is None and own.encoder == "autoencoder":
        # The head classifies latents, so the paper gives them the width of z_short.
        settings["n_latent"] = context.n_student_features
    if own.device == "auto":
        settings["device"] = str(context.rows.device)
    own.set_params(**settings)
    Z = known.cpu().numpy()
    fitted = call_cached(context.memory, fit_prior, own, Z, context.progress, ignore=["progress"])
    context.progress.advance(1 - context.progress.done)
    return fitted


def evenly(n_rows: int, n_wanted: int) -> Tensor:
    """Return indices of at most ``n_wanted`` evenly spaced rows, because rows may be sorted."""
    return torch.linspace(0, n_rows - 1, min(n_rows, n_wanted), dtype=torch.float64).long()


def fit_prior(prior: Any, Z: NDArray[np.float32], progress: Progress) -> Any:
    """Fit a prior on teacher features ``Z (n, dT)``; as a function, it can be cached."""
    progress.stage("prior")
    return prior.fit(Z, progress=progress)

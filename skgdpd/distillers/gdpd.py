r"""GDPD: the student's features, restored by a diffusion prior, must classify right.

After a warm-up on labels, each student feature :math:`z_{short}` is taken for a degraded
observation of the long-context feature it should have been. A diffusion prior over teacher
features gives draws :math:`\hat z` of that feature, and the student is trained on

.. math:: CE(S(z_{short}), y) + \lambda_{KD}\, E_J[CE(S(\hat z), y)],

S being the student's own linear head. Gradients reach the student through the draws.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Hashable
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from torch import Tensor, nn

from .._workers import is_shared
from ..diffusion import Degradation, LinearMeasurement, make_degradation
from ..nets.layers import FeatureBatchNorm
from ..nets.student import StudentNet, StudentOutput
from ..training import Batch, Progress, Rows, Step, Terms, Warmup
from .base import Distillation, Distiller, Lesson
from .logits import hinton_loss

ExpectationName = Literal["mean", "logmeanexp"]

MAX_CALIBRATION_ROWS = 4096
"""Rows that the measurement model is estimated from; more cost time and change little."""

MAX_PRIOR_ROWS = 65536
"""Features that the prior is fitted on; a million of them would take a gigabyte."""


def expected_cross_entropy(
    logits: Tensor,
    batch: Batch,
    expectation: ExpectationName = "mean",
) -> Tensor:
    """Cross-entropy of several draws against the batch's labels or soft targets.

    Parameters
    ----------
    logits : Tensor of shape (n_draws, n, n_classes)
        The head's output for each draw.
    batch : Batch
        Its ``target (n, n_classes)`` where there is one, else ``y (n,)``; its
        ``target_weight`` if present.
    expectation : {"mean", "logmeanexp"}, default="mean"
        ``"mean"`` averages the draws' losses, as in the paper; ``"logmeanexp"`` is the loss of
        their averaged probabilities, the posterior predictive, which is never larger (Jensen).
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
    """See :class:`GDPD`.

    Parameters
    ----------
    distiller : GDPD
        Its parameters.
    codes : Tensor of shape (n_calibration, d)
        The teacher's features of some training rows, as the prior encodes them.
    calibration : Tensor of shape (n_calibration,)
        Numbers of these rows.
    n_rows : int
        Number of all training rows.
    degradation : Degradation
        From student features to draws.
    warmup_epochs : int
        Epochs on labels alone.
    n_student_features : int
        Width dS of the student's features.
    """

    name = "gdpd"
    """Of the term."""

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
        degradation: Degradation,
        warmup_epochs: int,
        n_student_features: int,
    ) -> None:
        super().__init__()
        self.distiller = distiller
        self.warmup_epochs = warmup_epochs
        self.degradation = degradation
        if distiller.prior_trainable:
            self.trained_prior = degradation.latent
        self._prepare_comparison(codes, n_student_features)
        if degradation.needs_measurement:
            self._measurement = LinearMeasurement(codes.double().cpu().numpy())
            # Features as the batches saw them, so that calibrating runs nothing twice; rows that
            # aren't calibrated on share a place beyond the others.
            self.register_buffer("seen", torch.zeros(len(codes) + 1, n_student_features))
            # Those of the last calibration, so that it can be made again.
            self.register_buffer("calibrated", self.seen[:-1].clone())
            place = torch.full((n_rows,), len(codes))
            place[calibration] = torch.arange(len(codes))
            self.register_buffer("calibration", calibration)
            self.register_buffer("place", place)

    def _prepare_comparison(self, codes: Tensor, n_student_features: int) -> None:
        """Make what :meth:`compare` needs."""
        self.projection = nn.Sequential(
            nn.Linear(codes.shape[1], n_student_features), FeatureBatchNorm(n_student_features)
        )

    def compare(self, student: StudentNet, draws: Tensor, batch: Batch) -> Tensor:
        """The loss of draws ``(n_draws, n, d)``."""
        restored = self.projection(draws.flatten(0, 1))
        logits = student.head(restored).unflatten(0, draws.shape[:2])
        return expected_cross_entropy(logits, batch, self.distiller.objective)

    def start_epoch(self, student: StudentNet, rows: Rows, step: Step) -> None:
        since = step.epoch - self.warmup_epochs
        if not self.degradation.needs_measurement or since < 0:
            return
        if since % self.distiller.recalibrate_every:
            return
        # Before the first epoch no batch was seen, and of shared ones only this process's part.
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
        self.degradation.calibrate(self._measurement.fit(features))

    def warmup(self) -> Warmup:
        distiller, measured = self.distiller, self.degradation.needs_measurement
        hinton = (distiller.hinton_weight, distiller.hinton_temperature)
        return Warmup(
            self.warmup_epochs,
            settings=("gdpd", *hinton) if distiller.hinton_weight else "labels",
            rows=("teacher_logits", "target_weight") if distiller.hinton_weight else (),
            leaves=("seen",) if measured else (),
        )

    def terms(self, student: StudentNet, output: StudentOutput, batch: Batch, step: Step) -> Terms:
        terms: Terms = {}
        distiller = self.distiller
        if self.degradation.needs_measurement and self.calibrating:
            self.seen.index_copy_(0, self.place[batch["index"]], output.features.detach())
        if step.epoch >= self.warmup_epochs and distiller.lambda_kd:
            draws = self.degradation.draw(
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


class GDPD(Distiller):
    """Generative distillation with a diffusion prior over teacher features.

    Parameters
    ----------
    prior : DiffusionFeaturePrior
        The prior, not fitted; cloned and fitted on the teacher's features.
    lambda_kd : float, default=1.0
        Weight of the restored features' cross-entropy.
    warmup_epochs : int or float, default=0.5
        Epochs on labels alone; a float in (0, 1) is a share of the training.
    objective : {"mean", "logmeanexp"}, default="mean"
        See :func:`expected_cross_entropy`.
    n_posterior_samples : int, default=1
        Draws J for each series and step.
    prior_trainable : bool, default=False
        Let the denoiser go on learning from the restored features' cross-entropy after the
        warm-up, as the reference program does. It then drifts from the teacher's features.
    recalibrate_every : int, default=5
        Epochs after which a measured degradation is measured again.
    hinton_weight : float, default=0.0
        Weight of a Hinton term beside, from the first epoch.
    hinton_temperature : float, default=2.0
        Its temperature; 2 as in the reference program.

    References
    ----------
    GDPD, arXiv 2605.11414, ICLR 2026.
    """

    distillation_class = GDPDDistillation

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
        "hinton_temperature": [Interval(Real, 0, None, closed="neither")],
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

    def prepare(self, lesson: Lesson) -> GDPDDistillation:
        """Fit the prior on the teacher's features, or find it in the cache."""
        features = lesson.rows.tensors["teacher_features"]
        known = features[evenly(len(features), MAX_PRIOR_ROWS).to(features.device)]
        prior = self._fit_prior(lesson, known.cpu().numpy())
        # A copy: the prior stays as fitted, in double precision, whatever training does to it.
        latent = copy.deepcopy(prior.latent_).to(features)
        latent.requires_grad_(self.prior_trainable)
        calibration = evenly(len(features), MAX_CALIBRATION_ROWS).to(features.device)
        codes = torch.as_tensor(prior.encode(features[calibration].cpu())).to(features)
        degradation = make_degradation(
            prior.degradation, latent, prior.n_sampling_steps, lesson.n_student_features
        )
        warmup = self.warmup_epochs
        if not isinstance(warmup, Integral):
            warmup = min(round(warmup * lesson.max_epochs), lesson.max_epochs - 1)
        distillation = self.distillation_class(
            self,
            codes,
            calibration,
            len(features),
            degradation,
            int(warmup),
            lesson.n_student_features,
        )
        distillation.prior = prior
        return distillation.to(features.device)

    def _fit_prior(self, lesson: Lesson, Z: NDArray[np.float32]) -> Any:
        prior = clone(self.prior)
        settings: dict[str, Any] = {}
        if prior.random_state is None:
            settings["random_state"] = lesson.seed
        if prior.n_latent is None and prior.encoder == "autoencoder":
            # The paper's condition: the head reads latents, so they are as wide as z_short.
            settings["n_latent"] = lesson.n_student_features
        if prior.device == "auto":
            settings["device"] = str(lesson.rows.device)
        prior.set_params(**settings)
        fitted = lesson.memory.cache(fit_prior, ignore=["progress"])(prior, Z, lesson.progress)
        lesson.progress.advance(1 - lesson.progress.done)
        return fitted


def evenly(n_rows: int, n_wanted: int) -> Tensor:
    """Numbers of so many rows, at most, evenly spread over all: files are often in some order."""
    return torch.linspace(0, n_rows - 1, min(n_rows, n_wanted), dtype=torch.float64).long()


def fit_prior(prior: Any, Z: NDArray[np.float32], progress: Progress) -> Any:
    """Fit a prior on teacher features; a function of its arguments alone, so it can be cached."""
    progress.stage("prior")
    return prior.fit(Z, progress=progress)

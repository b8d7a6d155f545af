r"""Distribution matching of student features with teacher features.

A linear map takes the student's feature to a latent f of the diffusion prior. The gradient of the
loss with respect to f is

.. math:: w_t \, (\epsilon_\phi(f_t, t) - \epsilon_\psi(f_t, t)),

where f_t is f with the noise of step t. The prior's denoiser :math:`\epsilon_\phi` is frozen. The
denoiser :math:`\epsilon_\psi` of the student's latents is trained along with the student. In
expectation over the noise, this is a gradient of the Kullback-Leibler divergence between the noisy
distributions of student and teacher.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable
from numbers import Real
from typing import Any

import torch
from sklearn.utils._param_validation import HasMethods, Interval
from torch import Tensor, nn

from ..diffusion import FiLMDenoiser, NoiseSchedule, make_denoiser
from ..nets.student import SeriesNet, SeriesOutput
from ..training import Batch, Step, Terms
from .base import Distillation, DistillationContext, Distiller
from .gdpd import fitted_prior
from .rows import mean_over_rows


def score_gap(f_t: Tensor, t: Tensor, phi: nn.Module, psi: nn.Module) -> Tensor:
    """Return the difference of two denoisers, which is the direction of distribution matching.

    Parameters
    ----------
    f_t : Tensor of shape (n, d)
        Noisy latents.
    t : Tensor of shape (n,)
        Step of the noise of each latent.
    phi, psi : torch.nn.Module
        Denoiser of the teacher's latents, and denoiser of the student's latents.

    Returns
    -------
    Tensor of shape (n, d)
        Gradient with respect to the latents, without a graph. It is 0 where the denoisers agree.
    """
    with torch.no_grad():
        return phi(f_t, t) - psi(f_t, t)


class MatchingDistillation(Distillation):
    """Distillation of :class:`DistributionMatching`.

    Parameters
    ----------
    lambda_kd : float
        Weight of the term.
    phi : torch.nn.Module
        Denoiser of the teacher's latents.
    psi : torch.nn.Module
        Denoiser of the student's latents, which is trained.
    schedule : NoiseSchedule
        Noise level of each step.
    n_student_features, n_latent : int
        Width of the student's features, and width of the latents.
    """

    def __init__(
        self,
        lambda_kd: float,
        phi: nn.Module,
        psi: nn.Module,
        schedule: NoiseSchedule,
        n_student_features: int,
        n_latent: int,
    ) -> None:
        super().__init__()
        self.lambda_kd = lambda_kd
        self.phi = phi.requires_grad_(False)
        self.psi = psi
        self.schedule = schedule
        self.to_latent = nn.Linear(n_student_features, n_latent)

    def train(self, mode: bool = True) -> MatchingDistillation:
        super().train(mode)
        self.phi.eval()  # It is fitted: no statistic of it may follow the student.
        return self

    def phase(self, step: Step) -> Hashable:
        return ()

    def terms(self, student: SeriesNet, output: SeriesOutput, batch: Batch, step: Step) -> Terms:
        if not self.lambda_kd:
            return {}
        f = self.to_latent(output.features)
        place: dict[str, Any] = {"device": f.device, "generator": step.generator}
        t = torch.randint(self.schedule.n_steps, (len(f),), **place)
        eps = torch.randn(f.shape, dtype=f.dtype, **place)
        f_t = self.schedule.diffuse(f.detach(), t, eps)
        # Half the squared distance to a constant has the distance as its gradient.
        goal = f.detach() - score_gap(f_t, t, self.phi, self.psi)
        matching = (f - goal).square().mean(1) / 2
        noise = (self.psi(f_t, t) - eps).square().mean(1)
        weight = batch.get("target_weight")
        return {
            "distributionmatching": self.lambda_kd * mean_over_rows(matching, weight),
            "score": mean_over_rows(noise, weight),
        }


class DistributionMatching(Distiller):
    r"""Distillation that matches the distribution of student features to that of teacher features.

    A linear map turns the student's features into latents of a diffusion prior, which is fitted on
    the teacher's features. The gradient of the loss with respect to the latents,
    :math:`w_t(\epsilon_\phi - \epsilon_\psi)` with :math:`w_t = 1`, moves them to where the prior
    is denser than the student's own distribution. The denoiser of the student's latents is trained
    along with the student; its loss is the term ``score``. The method does not pair the two
    features of a series. It matches the teacher's features as a set.

    Parameters
    ----------
    prior : DiffusionFeaturePrior
        Unfitted prior with ``dynamics="diffusion"``. A clone of it is fitted on the teacher's
        features. Its degradation is not used.
    lambda_kd : float, default=1.0
        Weight of the term. Latents have about unit variance, so the gradient has the scale of a
        squared error's gradient.

    References
    ----------
    T. Yin et al., "One-step diffusion with distribution matching distillation", CVPR 2024,
    arXiv 2311.18828, which matches images.
    """

    _parameter_constraints = {
        "prior": [HasMethods(["fit", "encode"])],
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, prior: Any, lambda_kd: float = 1.0) -> None:
        self.prior = prior
        self.lambda_kd = lambda_kd

    def _validate_params(self) -> None:
        super()._validate_params()
        dynamics = getattr(self.prior, "dynamics", "diffusion")
        if dynamics != "diffusion":
            raise ValueError(
                f"prior={self.prior!r} has dynamics={dynamics!r}, which predict no noise; give a "
                f"prior with dynamics='diffusion'"
            )

    def prepare(self, context: DistillationContext) -> MatchingDistillation:
        """Fit the prior on the teacher's features, or load it from the cache."""
        features = context.rows.tensors["teacher_features"]
        latent = copy.deepcopy(fitted_prior(self.prior, context).latent_).to(features)
        # The student's score starts from the teacher's, if that is a network.
        if isinstance(latent.denoiser, FiLMDenoiser):
            psi: nn.Module = copy.deepcopy(latent.denoiser).requires_grad_(True)
        else:
            psi = make_denoiser("film", latent.n_features, latent.schedule).to(features)
        return MatchingDistillation(
            self.lambda_kd,
            latent.denoiser,
            psi,
            latent.schedule,
            context.n_student_features,
            latent.n_features,
        ).to(features.device)

"""Fit of the torch parts of a prior: the encoder and the generative model of codes."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import LogisticRegression
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn

from .._runtime.random import Seeds
from ..diffusion import (
    AffineEncoder,
    AutoEncoder,
    DegradationName,
    DenoiserName,
    DynamicsName,
    LatentDiffusion,
    LatentFlow,
    LinearGaussian,
    LinearMeasurement,
    MixtureDenoiser,
    NoiseSchedule,
    PriorEncoderName,
    fit_mixture,
    make_denoiser,
    principal_encoder,
    standardising_encoder,
)
from ..diffusion.measurement import ROUNDING
from ..diffusion.names import NEEDS_INDEPENDENT_NOISE
from ..diffusion.schedule import ScheduleName
from ..training import (
    Batch,
    History,
    Objective,
    Progress,
    Rows,
    Step,
    Terms,
    TrainingConfig,
    train,
)
from ..training.divergence import check_trained
from ..training.fitting import isolated_random_state, resolve_epochs

AUTO_STEPS, AUTO_STEPS_TO_TEACH = 2000, 500
"""Steps for ``max_epochs="auto"``, for a prior that samples and for one that only teaches.

See docs/prior.md."""
AUTO_MIN_EPOCHS = 20
WEIGHT_DECAY = 1e-4

PRIOR_CONSTRAINTS: dict[str, list[Any]] = {
    "denoiser": [StrOptions({"film", "bottleneck", "gmm"})],
    "dynamics": [StrOptions(set(get_args(DynamicsName)))],
    "encoder": [StrOptions({"identity", "pca", "autoencoder"})],
    "n_latent": [Interval(Integral, 1, None, closed="left"), None],
    "schedule": [StrOptions({"linear", "cosine"})],
    "n_diffusion_steps": [Interval(Integral, 2, None, closed="left")],
    "n_sampling_steps": [Interval(Integral, 1, None, closed="left")],
    "degradation": [StrOptions({"learned-alpha", "linear-gaussian", "matched-noise", "none"})],
    # Whose square, and the inverse of it, are numbers of double precision.
    "measurement_noise": [Interval(Real, 1e-100, 1e100, closed="both")],
    "n_posterior_samples": [Interval(Integral, 1, None, closed="left")],
    "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "n_noise_levels": [Interval(Integral, 1, None, closed="left")],
    "lr": [Interval(Real, 0, None, closed="neither")],
    "random_state": ["random_state"],
    "device": [str, torch.device],
    "verbose": ["verbose"],
}
"""Constraints of the parameters of :class:`~skgdpd.DiffusionFeaturePrior`."""


class FeatureHead(LogisticRegression):
    """Logistic regression on a prior's features, with a separate kind in model files."""

    def __init__(self) -> None:
        super().__init__(max_iter=1000)


class PriorModel(nn.Module):
    """Trained parts of a prior: a diffusion model or a flow, an autoencoder, or both."""

    def __init__(
        self, latent: LatentDiffusion | LatentFlow | None, autoencoder: AutoEncoder | None
    ) -> None:
        super().__init__()
        self.latent = latent
        self.autoencoder = autoencoder


class PriorObjective(Objective):
    """Loss of the diffusion or the flow, plus the reconstruction loss of an autoencoder.

    Parameters
    ----------
    n_noise_levels : int
        Number of random noise levels per feature and step. Several are used because features are
        few and further noise levels cost little.
    dynamics : {"diffusion", "flow", "flow-map", "mean-flow", "shortcut"}
        Name of the generative model.
    """

    def __init__(self, n_noise_levels: int, dynamics: DynamicsName) -> None:
        super().__init__()
        self.n_noise_levels = n_noise_levels
        self.dynamics = dynamics

    def phase(self, step: Step) -> Hashable | None:
        # Optimal transport is computed on the CPU, so a flow's step waits for the device.
        return () if self.dynamics == "diffusion" else None

    def terms(self, module: nn.Module, batch: Batch, step: Step) -> Terms:
        model = cast(PriorModel, module)
        u = batch["z"]
        terms: Terms = {}
        if model.autoencoder is not None:
            u, reconstruction = model.autoencoder(batch["z"])
            terms["reconstruction"] = (reconstruction - batch["z"]).square().mean()
        if model.latent is not None:
            repeated = u.detach().repeat(self.n_noise_levels, 1)
            name = "diffusion" if self.dynamics == "diffusion" else "flow"
            terms[name] = model.latent.loss(repeated, step.generator)
        return terms


@dataclass(frozen=True)
class PriorSettings:
    """Settings of a prior's fit; see :class:`~skgdpd.DiffusionFeaturePrior` for their meaning."""

    denoiser: DenoiserName
    dynamics: DynamicsName
    encoder: PriorEncoderName
    n_latent: int | None
    schedule: ScheduleName
    n_diffusion_steps: int
    max_epochs: int | str
    batch_size: int
    n_noise_levels: int
    lr: float
    degradation: DegradationName


def fit_prior_model(
    Z: Tensor,
    labels: NDArray[np.int64] | None,
    settings: PriorSettings,
    device: torch.device,
    seeds: Seeds,
    progress: Progress,
) -> tuple[AffineEncoder, LatentDiffusion | LatentFlow, History]:
    """Fit an encoder and a generative model of codes.

    Parameters
    ----------
    Z : Tensor of shape (n, dT)
        Features in double precision.
    labels : ndarray of shape (n,) or None
        Class numbers for the mixture of Gaussians; None fits a single Gaussian.
    settings : PriorSettings
        Settings of the fit.
    device : torch.device
        Device of the training.
    seeds : Seeds
        Seeds of weights, order and noise, by name.
    progress : Progress
        Progress bar, which the fit advances by one unit in total.

    Returns
    -------
    encoder : AffineEncoder
        Map from features to codes, in double precision on the CPU, without gradients.
    latent : LatentDiffusion or LatentFlow
        Generative model of codes, in double precision on the CPU, without gradients.
    history : History
        Loss terms by epoch.
    """
    autoencoder: AutoEncoder | None = None
    latent: LatentDiffusion | LatentFlow | None = None
    offset = Z.mean(0)
    scale = Z.std(0, correction=0).square().mean().sqrt()
    scale = torch.where(scale > ROUNDING * Z.abs().max(), scale, 1.0)
    schedule = NoiseSchedule(settings.schedule, settings.n_diffusion_steps)
    with isolated_random_state(seeds("weights"), device):
        if settings.encoder == "autoencoder":
            width = settings.n_latent or Z.shape[1]
            autoencoder = AutoEncoder(Z.shape[1], width)
            inputs = (Z - offset) / scale
        else:
            principal = settings.encoder == "pca"
            encoder = (
                principal_encoder(Z, settings.n_latent) if principal else standardising_encoder(Z)
            )
            inputs = encoder.encode(Z)
            width = inputs.shape[1]
        if settings.dynamics != "diffusion":
            # Straighter lines, where no degradation needs the noise to be independent.
            coupled = settings.degradation not in NEEDS_INDEPENDENT_NOISE
            latent = LatentFlow(settings.dynamics, width, coupled)
        elif settings.denoiser != "gmm":
            denoiser = make_denoiser(settings.denoiser, width, schedule)
            latent = LatentDiffusion(denoiser, schedule, width)
        history = History()
        model = PriorModel(latent, autoencoder).to(device)
        if latent is not None or autoencoder is not None:
            rows = Rows(z=inputs.float()).to(device)
            history = _train(model, rows, settings, seeds, progress)
            check_trained(model, torch.zeros(()), "prior", settings.lr, WEIGHT_DECAY)
    model.double().cpu().eval()
    if autoencoder is not None:
        encoder = autoencoder.as_encoder(offset, scale)
    codes = encoder.encode(Z).numpy()
    if latent is None:
        weights, means, covariances = (
            torch.as_tensor(part) for part in fit_mixture(codes, labels)
        )
        latent = LatentDiffusion(
            MixtureDenoiser(weights, means, covariances, schedule), schedule, width
        ).double()
    covariance = ledoit_wolf(codes)[0] if len(codes) > 1 else np.eye(width)
    latent.set_moments(
        torch.as_tensor(codes.mean(0)), torch.as_tensor(np.reshape(covariance, (width, width)))
    )
    return encoder, latent.requires_grad_(False), history


def _train(
    model: PriorModel, rows: Rows, settings: PriorSettings, seeds: Seeds, progress: Progress
) -> History:
    teaches = settings.degradation == "learned-alpha"
    max_epochs = resolve_epochs(
        settings.max_epochs,
        len(rows),
        settings.batch_size,
        n_steps=AUTO_STEPS_TO_TEACH if teaches else AUTO_STEPS,
        at_least=AUTO_MIN_EPOCHS,
    )
    config = TrainingConfig(
        max_epochs=max_epochs,
        batch_size=settings.batch_size,
        lr=settings.lr,
        weight_decay=WEIGHT_DECAY,
    )
    progress.stage("prior")
    return train(
        model,
        PriorObjective(settings.n_noise_levels, settings.dynamics),
        rows,
        config,
        shuffle_seed=seeds("shuffle"),
        noise_seed=seeds("noise"),
        progress=progress,
        progress_units=1 / max_epochs,
        role="prior",
    )


def measured(
    encoder: AffineEncoder,
    codes: NDArray[np.float64],
    pairs: NDArray[np.float64] | None,
    noise: float,
) -> LinearGaussian:
    """Return the measurement model of degraded features, given codes.

    Parameters
    ----------
    encoder : AffineEncoder
        Encoder of the features.
    codes : ndarray of shape (n, d)
        Codes of the training features.
    pairs : ndarray of shape (n, dS) or None
        Degraded features of the same samples. None assumes that degraded features are features
        with noise.
    noise : float
        Standard deviation of this noise, in the units of the features.

    Returns
    -------
    LinearGaussian
        Map, offset and noise covariance.
    """
    if pairs is not None:
        return LinearMeasurement(codes).fit(pairs)
    return LinearGaussian(encoder.V.numpy(), encoder.m.numpy(), noise**2 * np.eye(len(encoder.m)))

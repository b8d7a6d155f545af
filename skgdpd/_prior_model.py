"""Fitting the torch parts of a prior: the code and the generative model of codes."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import LogisticRegression
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn

from ._random import Seeds
from .diffusion import (
    AffineCode,
    AutoEncoder,
    CodeName,
    DegradationName,
    DenoiserName,
    LatentDiffusion,
    LinearGaussian,
    LinearMeasurement,
    MixtureDenoiser,
    NoiseSchedule,
    fit_mixture,
    make_denoiser,
    principal_code,
    standardising_code,
)
from .diffusion.schedule import ScheduleName
from .training import (
    Batch,
    History,
    Objective,
    Progress,
    Rows,
    Step,
    Terms,
    TrainingConfig,
    isolated_random_state,
    resolve_epochs,
    train,
)

AUTO_STEPS, AUTO_STEPS_TO_TEACH = 2000, 500
"""Of a prior that samples, and of one that only teaches; see ``docs/prior.md``."""
AUTO_MIN_EPOCHS = 20

PRIOR_CONSTRAINTS: dict[str, list[Any]] = {
    "denoiser": [StrOptions({"film", "bottleneck", "gmm"})],
    "encoder": [StrOptions({"identity", "pca", "autoencoder"})],
    "n_latent": [Interval(Integral, 1, None, closed="left"), None],
    "schedule": [StrOptions({"linear", "cosine"})],
    "n_diffusion_steps": [Interval(Integral, 2, None, closed="left")],
    "n_sampling_steps": [Interval(Integral, 1, None, closed="left")],
    "degradation": [StrOptions({"learned-alpha", "linear-gaussian", "matched-noise", "none"})],
    "measurement_noise": [Interval(Real, 0, None, closed="neither")],
    "n_posterior_samples": [Interval(Integral, 1, None, closed="left")],
    "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "n_noise_levels": [Interval(Integral, 1, None, closed="left")],
    "lr": [Interval(Real, 0, None, closed="neither")],
    "random_state": ["random_state"],
    "device": [str, torch.device],
    "verbose": ["verbose"],
}
"""What :class:`~skgdpd.DiffusionFeaturePrior` may be given."""


class FeatureHead(LogisticRegression):
    """A prior's classifier of features; of a class of its own so that files can tell it."""

    def __init__(self) -> None:
        super().__init__(max_iter=1000)


class PriorModel(nn.Module):
    """What a prior trains: a denoiser, if it is learned, and an autoencoder, if there is one."""

    def __init__(self, latent: LatentDiffusion | None, autoencoder: AutoEncoder | None) -> None:
        super().__init__()
        self.latent = latent
        self.autoencoder = autoencoder


class PriorObjective(Objective):
    """Denoising loss and, for an autoencoder, reconstruction loss.

    Parameters
    ----------
    n_noise_levels : int
        Fresh noise levels for each feature and step: features are few, noise is cheap.
    """

    def __init__(self, n_noise_levels: int) -> None:
        super().__init__()
        self.n_noise_levels = n_noise_levels

    def phase(self, step: Step) -> Hashable:
        return ()

    def terms(self, module: nn.Module, batch: Batch, step: Step) -> Terms:
        model = cast(PriorModel, module)
        u = batch["z"]
        terms: Terms = {}
        if model.autoencoder is not None:
            u, reconstruction = model.autoencoder(batch["z"])
            terms["reconstruction"] = (reconstruction - batch["z"]).square().mean()
        if model.latent is not None:
            repeated = u.detach().repeat(self.n_noise_levels, 1)
            terms["diffusion"] = model.latent.loss(repeated, step.generator)
        return terms


@dataclass(frozen=True)
class PriorSettings:
    """How a prior is fitted; see :class:`~skgdpd.DiffusionFeaturePrior` for the meaning."""

    denoiser: DenoiserName
    encoder: CodeName
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
) -> tuple[AffineCode, LatentDiffusion, History]:
    """Fit a code and a generative model of codes.

    Parameters
    ----------
    Z : Tensor of shape (n, dT)
        Features, in double precision.
    labels : ndarray of shape (n,) or None
        Class numbers, for the mixture.
    settings : PriorSettings
        How.
    device : torch.device
        Where to train.
    seeds : Seeds
        Of weights, order and noise.
    progress : Progress
        Advanced by one unit in all.

    Returns
    -------
    AffineCode, LatentDiffusion, History
        The first two in double precision on the CPU, without gradients.
    """
    autoencoder: AutoEncoder | None = None
    latent: LatentDiffusion | None = None
    offset = Z.mean(0)
    scale = Z.std(0, correction=0).square().mean().sqrt().clamp(min=1e-12)
    schedule = NoiseSchedule(settings.schedule, settings.n_diffusion_steps)
    with isolated_random_state(seeds("weights"), device):
        if settings.encoder == "autoencoder":
            width = settings.n_latent or Z.shape[1]
            autoencoder = AutoEncoder(Z.shape[1], width)
            inputs = (Z - offset) / scale
        else:
            principal = settings.encoder == "pca"
            code = principal_code(Z, settings.n_latent) if principal else standardising_code(Z)
            inputs = code.encode(Z)
            width = inputs.shape[1]
        if settings.denoiser != "gmm":
            denoiser = make_denoiser(settings.denoiser, width, schedule)
            latent = LatentDiffusion(denoiser, schedule, width)
        history = History()
        model = PriorModel(latent, autoencoder).to(device)
        if latent is not None or autoencoder is not None:
            rows = Rows(z=inputs.float()).to(device)
            history = _train(model, rows, settings, seeds, progress)
    model.double().cpu().eval()
    if autoencoder is not None:
        code = autoencoder.as_code(offset, scale)
    codes = code.encode(Z).numpy()
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
    return code, latent.requires_grad_(False), history


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
        weight_decay=1e-4,
    )
    progress.stage("prior")
    return train(
        model,
        PriorObjective(settings.n_noise_levels),
        rows,
        config,
        shuffle_seed=seeds("shuffle"),
        noise_seed=seeds("noise"),
        progress=progress,
        progress_units=1 / max_epochs,
    )


def measured(
    code: AffineCode,
    codes: NDArray[np.float64],
    pairs: NDArray[np.float64] | None,
    noise: float,
) -> LinearGaussian:
    """How degraded features depend on codes.

    Parameters
    ----------
    code : AffineCode
        Of the features.
    codes : ndarray of shape (n, d)
        Of the training's features.
    pairs : ndarray of shape (n, dS) or None
        Their degraded features; None takes the features themselves, with noise.
    noise : float
        Its standard deviation.
    """
    if pairs is not None:
        return LinearMeasurement(codes).fit(pairs)
    return LinearGaussian(code.V.numpy(), code.m.numpy(), noise**2 * np.eye(len(code.m)))

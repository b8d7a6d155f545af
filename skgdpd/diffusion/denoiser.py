"""Denoisers: networks and closed forms that predict the noise in a noisy feature.

Each denoiser maps noisy features ``x_t (n, d)`` and time steps ``t (n,)`` to the expected noise
``(n, d)``. Two denoisers are learned. The others are closed forms, exact for Gaussian and
Gaussian-mixture features.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ..nets.layers import FeatureBatchNorm
from .schedule import NoiseSchedule

Array = NDArray[np.float64]


class SinusoidalEmbedding(nn.Module):
    """Embedding of the log signal-to-noise ratio by sines and cosines.

    Parameters
    ----------
    width : int
        Width of the embedding. One half are sines, the other cosines, at geometric frequencies.
    """

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.logspace(-1.5, 0.5, width // 2) * math.pi)

    def forward(self, log_snr: Tensor) -> Tensor:
        """Embed log ratios ``(n,)`` as ``(n, width)``."""
        angles = log_snr[:, None] * self.frequencies
        return torch.cat([angles.sin(), angles.cos()], -1)


class FiLMBlock(nn.Module):
    """Residual perceptron of two layers, modulated by the noise level.

    The layer-normalised input is scaled and shifted by linear functions of the condition.

    Parameters
    ----------
    width : int
        Width d of input and output.
    hidden : int
        Width between the two layers.
    condition : int
        Width of the condition.
    """

    def __init__(self, width: int, hidden: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(condition, 2 * width)
        self.inner = nn.Linear(width, hidden)
        self.outer = nn.Linear(hidden, width)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Transform hidden states ``(n, width)`` under conditions ``(n, condition)``."""
        scale, shift = self.modulation(condition).chunk(2, -1)
        modulated = torch.addcmul(shift, self.norm(x), 1 + scale)
        return x + self.outer(F.silu(self.inner(modulated)))


class FiLMDenoiser(nn.Module):
    """Residual perceptron with layer normalisation and feature-wise modulation by noise level.

    The network takes no statistics over rows. It is therefore the same function in training, where
    a batch has many noise levels, and in sampling, where it has one. The output is preconditioned:
    the network learns a correction to ``sqrt(1 - alpha_bar) x_t``, which is exact for standard
    normal features. The correction starts at 0.

    Parameters
    ----------
    n_features : int
        Width d of the features.
    schedule : NoiseSchedule
        Noise level of each time step.
    hidden : int, default=128
        Width of the residual stream and of its blocks.
    depth : int, default=2
        Number of blocks.

    References
    ----------
    E. Perez et al., "FiLM: visual reasoning with a general conditioning layer", AAAI 2018.
    T. Salimans, J. Ho, "Progressive distillation for fast sampling of diffusion models",
    ICLR 2022 (the preconditioning).
    """

    def __init__(
        self, n_features: int, schedule: NoiseSchedule, hidden: int = 128, depth: int = 2
    ) -> None:
        super().__init__()
        self.schedule = schedule
        self.embed = nn.Sequential(SinusoidalEmbedding(64), nn.Linear(64, 64), nn.SiLU())
        self.enter = nn.Linear(n_features, hidden)
        self.blocks = nn.ModuleList(FiLMBlock(hidden, hidden, 64) for _ in range(depth))
        self.leave = nn.Linear(hidden, n_features)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Predict the noise ``(n, d)`` in ``x_t (n, d)`` at steps ``t (n,)``."""
        signal, noise = self.schedule.shares(t)
        condition = self.embed(torch.log(signal / noise)[:, 0])
        h = self.enter(x_t)
        for block in self.blocks:
            h = block(h, condition)
        return torch.addcmul(noise.sqrt() * x_t, signal.sqrt(), self.leave(h))


class BottleneckDenoiser(nn.Module):
    """Denoiser of the authors' program: two residual bottlenecks with batch normalisation.

    In training, its batch statistics cover many time steps. In sampling, a batch has only one time
    step. The class exists to reproduce the paper.

    Parameters
    ----------
    n_features : int
        Width d of the features. The bottlenecks have a quarter of this width.
    schedule : NoiseSchedule
        Noise level of each time step. Its number of steps is the size of the table of time
        embeddings.

    References
    ----------
    GDPD, arXiv 2605.11414, and T. Huang et al., "Knowledge diffusion for distillation",
    NeurIPS 2023, on which its design is based.
    """

    def __init__(self, n_features: int, schedule: NoiseSchedule) -> None:
        super().__init__()
        self.schedule = schedule
        narrow = max(n_features // 4, 1)
        self.embed = nn.Embedding(schedule.n_steps, n_features)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Linear(n_features, narrow),
                FeatureBatchNorm(narrow),
                nn.ReLU(),
                nn.Linear(narrow, narrow),
                FeatureBatchNorm(narrow),
                nn.ReLU(),
                nn.Linear(narrow, n_features),
                FeatureBatchNorm(n_features),
            )
            for _ in range(2)
        )
        self.leave = nn.Sequential(nn.Linear(n_features, n_features), FeatureBatchNorm(n_features))

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Predict the noise ``(n, d)`` in ``x_t (n, d)`` at steps ``t (n,)``."""
        h = x_t + self.embed(t)
        for block in self.blocks:
            h = h + block(h)
        eps = self.leave(h)
        if self.training:
            return eps
        # At the noisiest level an error of 0.1 in eps is an error of 16 in x_0. Features are
        # standardised, so estimates of x_0 are clipped to 5 standard deviations.
        signal, noise = self.schedule.shares(t)
        x_0 = ((x_t - noise.sqrt() * eps) / signal.sqrt()).clamp(-5, 5)
        return (x_t - signal.sqrt() * x_0) / noise.sqrt()


class MixtureDenoiser(nn.Module):
    """Exact denoiser of features that follow a Gaussian mixture.

    At step t, component k of the noisy features has mean ``sqrt(a) m_k`` and covariance
    ``a S_k + (1 - a) I`` with ``a = alpha_bar_t``. The expected feature is the average of the
    components' linear estimates, weighted by their posterior probabilities. The expected noise
    follows from it by Tweedie's formula. A single component is the Gaussian case.

    Parameters
    ----------
    weights : Tensor of shape (k,)
        Probabilities of the components.
    means : Tensor of shape (k, d)
        Means of the components.
    covariances : Tensor of shape (k, d, d)
        Covariances of the components, positive semi-definite.
    schedule : NoiseSchedule
        Noise level of each time step.
    """

    log_weights: Tensor
    means: Tensor
    axes: Tensor
    spectra: Tensor

    def __init__(
        self, weights: Tensor, means: Tensor, covariances: Tensor, schedule: NoiseSchedule
    ) -> None:
        super().__init__()
        self.schedule = schedule
        spectra, axes = torch.linalg.eigh(covariances)
        self.register_buffer("log_weights", weights.log())
        self.register_buffer("means", means)
        self.register_buffer("axes", axes)
        self.register_buffer("spectra", spectra.clamp(min=0))

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Return the expected noise ``(n, d)`` in ``x_t (n, d)`` at steps ``t (n,)``."""
        signal, noise = (share[:, None] for share in self.schedule.shares(t))
        centred = x_t[:, None] - signal.sqrt() * self.means
        rotated = torch.einsum("nkd,kde->nke", centred, self.axes)
        variances = signal * self.spectra + noise
        log_density = -0.5 * (rotated.square() / variances + variances.log()).sum(-1)
        share = torch.softmax(self.log_weights + log_density, -1)
        # E[eps | x_t, k] = sqrt(1 - a) (a S_k + (1 - a) I)^-1 (x_t - sqrt(a) m_k)
        whitened = torch.einsum("nke,kde->nkd", rotated / variances, self.axes)
        return noise[:, 0].sqrt() * (share[..., None] * whitened).sum(1)

    def parts(self) -> tuple[Array, Array, Array]:
        """Return weights ``(k,)``, means ``(k, d)`` and covariances ``(k, d, d)`` as arrays."""
        covariances = torch.einsum("kde,ke,kfe->kdf", self.axes, self.spectra, self.axes)
        weights, means = self.log_weights.exp(), self.means
        return tuple(part.double().cpu().numpy() for part in (weights, means, covariances))  # type: ignore[return-value]


def gaussian_denoiser(
    mean: Tensor, covariance: Tensor, schedule: NoiseSchedule
) -> MixtureDenoiser:
    """Make the exact denoiser of Gaussian features.

    Parameters
    ----------
    mean : Tensor of shape (d,)
        Mean of the features.
    covariance : Tensor of shape (d, d)
        Covariance of the features.
    schedule : NoiseSchedule
        Noise level of each time step.

    Returns
    -------
    MixtureDenoiser
    """
    return MixtureDenoiser(torch.ones_like(mean[:1]), mean[None], covariance[None], schedule)

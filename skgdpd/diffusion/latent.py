"""Unconditional diffusion model of features, which is the prior of posterior samplers."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .schedule import NoiseSchedule


class LatentDiffusion(nn.Module):
    """Diffusion model of features: a denoiser, its schedule, and the features' moments.

    Parameters
    ----------
    denoiser : torch.nn.Module
        Network that maps noisy features ``x_t (n, d)`` and steps ``(n,)`` to the expected noise
        ``(n, d)``.
    schedule : NoiseSchedule
        Noise level of each time step.
    n_features : int
        Width d of the features.

    Attributes
    ----------
    mean : Tensor of shape (d,)
        Mean of the features.
    covariance : Tensor of shape (d, d)
        Shrunk estimate of the covariance of the features.
    """

    mean: Tensor
    covariance: Tensor

    def __init__(self, denoiser: nn.Module, schedule: NoiseSchedule, n_features: int) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.schedule = schedule
        self.n_features = n_features
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("covariance", torch.eye(n_features))

    def set_moments(self, mean: Tensor, covariance: Tensor) -> None:
        """Store the mean ``(d,)`` and the covariance ``(d, d)`` of the features."""
        self.mean.copy_(mean)
        self.covariance.copy_(covariance)

    def loss(self, u: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the mean squared error of the predicted noise.

        Parameters
        ----------
        u : Tensor of shape (n, d)
            Features. One time step is drawn uniformly for each of them.
        generator : torch.Generator, optional
            Source of time steps and noise.

        Returns
        -------
        Tensor of shape ()
        """
        t = torch.randint(self.schedule.n_steps, (len(u),), device=u.device, generator=generator)
        eps = torch.randn(u.shape, dtype=u.dtype, device=u.device, generator=generator)
        return (eps - self.denoiser(self.schedule.diffuse(u, t, eps), t)).square().mean()

    def log_density_bound(self, u: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return a variational lower bound on each row's log-density, in nats.

        The cost of each step is half the drop in signal-to-noise ratio times the squared error of
        the denoised feature.

        Parameters
        ----------
        u : Tensor of shape (n, d)
            Features.
        generator : torch.Generator, optional
            Source of the noise. All rows get the same noise, so that their densities are
            comparable.

        Returns
        -------
        Tensor of shape (n,)

        References
        ----------
        D. Kingma et al., "Variational diffusion models", NeurIPS 2021, eq. 11-13.
        """
        schedule, d = self.schedule, self.n_features
        ratios = [schedule.level(t) / (1 - schedule.level(t)) for t in range(schedule.n_steps)]
        first = self._decoding_step(ratios)
        last = schedule.level(schedule.n_steps - 1)
        # Kullback-Leibler divergence of the noisiest marginal from a standard normal.
        shift = last * u.square().sum(-1)
        cost = 0.5 * (d * (1 - last) + shift - d - d * math.log(1 - last))
        for t in range(first, schedule.n_steps):
            signal = schedule.level(t)
            noise = torch.randn(1, d, dtype=u.dtype, device=u.device, generator=generator)
            noise = noise * (d**0.5 / noise.norm())
            # Antithetic noise: with its mirror image, terms that are odd in the noise cancel.
            noise = torch.cat([noise, -noise])[:, None]
            x_t = (math.sqrt(signal) * u + math.sqrt(1 - signal) * noise).flatten(0, 1)
            eps = self.denoiser(x_t, torch.full((len(x_t),), t, device=u.device))
            error = (eps.unflatten(0, (2, len(u))) - noise).square().sum(-1).mean(0) / ratios[t]
            if t == first:
                # The reconstruction term: x_0 is decoded with a Gaussian of this level's noise.
                cost = cost + 0.5 * (error * ratios[t] + d * math.log(2 * math.pi / ratios[t]))
            else:
                cost = cost + 0.5 * (ratios[t - 1] - ratios[t]) * error
        return -cost

    def _decoding_step(self, ratios: list[float]) -> int:
        """Return the step at which decoding x_0 is cheapest for Gaussian features."""
        s = torch.linalg.eigvalsh(self.covariance.double().cpu()).clamp(min=0)
        r = torch.tensor(ratios, dtype=torch.float64)
        error = (s / (1 + s * r[:, None])).sum(1)
        drops = torch.zeros_like(r)
        drops[1:] = (r[:-1] - r[1:]) * error[1:]
        after = drops.flip(0).cumsum(0).flip(0) - drops
        return int((after + r * error - len(s) * r.log()).argmin())

"""Samplers: chains of denoising steps from noise to clean features.

A sampler visits a decreasing grid of time steps. At each step, the denoiser gives the expected
clean feature, and a restoration (see :mod:`skgdpd.diffusion.posterior`) may correct it. The
sampler then computes the next, less noisy feature. A subclass defines only this last computation.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .schedule import NoiseSchedule

Restoration = Callable[[Tensor, int], Tensor]
"""Function that corrects the expected clean feature ``(n, d)``, given the index of the step."""


class NoiseSource:
    """Source of random numbers for a batch of chains.

    The rows of a batch are all series of draw 1, followed by all series of draw 2, and so on.

    Parameters
    ----------
    generator : torch.Generator or None
        Source of the random numbers. None uses torch's global generator.
    n_draws : int, default=1
        Number of chains per series.
    shared : bool, default=False
        Whether all series get the same noise (common random numbers), so that the result for a
        series does not depend on the other series of the batch.
    """

    def __init__(
        self, generator: torch.Generator | None = None, n_draws: int = 1, shared: bool = False
    ) -> None:
        self.generator = generator
        self.n_draws = n_draws
        self.shared = shared

    def _shape(self, n_rows: int, width: int) -> tuple[int, int]:
        return (self.n_draws, width) if self.shared else (n_rows, width)

    def _spread(self, noise: Tensor, n_rows: int) -> Tensor:
        return noise.repeat_interleave(n_rows // self.n_draws, 0) if self.shared else noise

    def normal(self, x: Tensor, width: int | None = None) -> Tensor:
        """Draw standard normal noise with the type and the device of a tensor.

        Parameters
        ----------
        x : Tensor of shape (n, d)
            Tensor that sets the number of rows, the type and the device of the noise.
        width : int, optional
            Width of the noise; by default d.

        Returns
        -------
        Tensor of shape (n, width)
        """
        shape = self._shape(len(x), x.shape[1] if width is None else width)
        noise = torch.randn(shape, dtype=x.dtype, device=x.device, generator=self.generator)
        return self._spread(noise, len(x))

    def uniform(self, x: Tensor) -> Tensor:
        """Draw uniform noise ``(len(x), 1)`` on [0, 1) with the type and the device of ``x``."""
        shape = self._shape(len(x), 1)
        noise = torch.rand(shape, dtype=x.dtype, device=x.device, generator=self.generator)
        return self._spread(noise, len(x))


class Sampler:
    """Base class of samplers.

    Parameters
    ----------
    schedule : NoiseSchedule
        Noise level of each time step.
    n_steps : int
        Number of time steps visited, with one evaluation of the denoiser each.
    start : int, optional
        First, noisiest time step; by default the last one of the schedule.

    Attributes
    ----------
    steps : list of int
        Time steps visited, evenly spaced from ``start`` to 0.
    """

    def __init__(self, schedule: NoiseSchedule, n_steps: int, start: int | None = None) -> None:
        self.schedule = schedule
        start = schedule.n_steps - 1 if start is None else start
        n_steps = min(n_steps, start + 1)
        stride = start / max(n_steps - 1, 1)
        self.steps = [round(start - i * stride) for i in range(n_steps)]

    def step(self, x_t: Tensor, x_0: Tensor, t: int, s: int, noise: NoiseSource) -> Tensor:
        """Compute the feature at the next time step.

        Parameters
        ----------
        x_t : Tensor of shape (n, d)
            Noisy feature at time step t.
        x_0 : Tensor of shape (n, d)
            Estimate of the clean feature.
        t, s : int
            Current and next time step, s < t.
        noise : NoiseSource
            Source of new noise.

        Returns
        -------
        Tensor of shape (n, d)
        """
        raise NotImplementedError

    def run(
        self,
        denoiser: Callable[[Tensor, Tensor], Tensor],
        x: Tensor,
        noise: NoiseSource,
        restore: Restoration | None = None,
    ) -> Tensor:
        """Run the chain from noisy to clean features; gradients flow through all steps.

        Parameters
        ----------
        denoiser : callable
            Function of ``x_t (n, d)`` and a time step ``(1,)`` that returns the expected noise.
        x : Tensor of shape (n, d)
            Noisy features at the first time step.
        noise : NoiseSource
            Source of new noise.
        restore : callable, optional
            Function that corrects the expected clean feature ``(n, d)``, given the index of the
            step.

        Returns
        -------
        Tensor of shape (n, d)
        """
        for i, t in enumerate(self.steps):
            signal = self.schedule.level(t)
            # One entry for all rows, so that functions of the time step are computed once.
            eps = denoiser(x, torch.full((1,), t, device=x.device))
            x_0 = torch.sub(x / math.sqrt(signal), eps, alpha=math.sqrt(1 / signal - 1))
            if restore is not None:
                x_0 = restore(x_0, i)
            s = self.steps[i + 1] if i + 1 < len(self.steps) else -1
            x = self.step(x, x_0, t, s, noise) if s >= 0 else x_0
        return x


class DDIM(Sampler):
    """Sampler with deterministic steps, which reuse the predicted noise at the next level.

    References
    ----------
    J. Song, C. Meng, S. Ermon, "Denoising diffusion implicit models", ICLR 2021, eq. 12.
    """

    eta = 0.0

    def step(self, x_t: Tensor, x_0: Tensor, t: int, s: int, noise: NoiseSource) -> Tensor:
        high, low = self.schedule.level(t), self.schedule.level(s)
        sigma = self.eta * math.sqrt((1 - low) / (1 - high) * (1 - high / low))
        # Factor of the predicted noise, (x_t - sqrt(high) x_0) / sqrt(1 - high), that is kept.
        kept = math.sqrt(max(1 - low - sigma**2, 0.0) / (1 - high))
        x_s = torch.add((math.sqrt(low) - kept * math.sqrt(high)) * x_0, x_t, alpha=kept)
        return x_s + sigma * noise.normal(x_s) if sigma else x_s


class Ancestral(DDIM):
    """Sampler whose steps are draws from ``q(x_s | x_t, x_0)``, the forward process's posterior.

    References
    ----------
    J. Ho, A. Jain, P. Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020, eq. 6-7.
    """

    eta = 1.0


class Renoise(Sampler):
    """Sampler whose steps add new noise to a *draw* of ``x_0``.

    It is exact at any number of steps if the restoration draws from
    ``p(x_0 | x_t, observation)``. Each step is then a Gibbs step, which leaves the posterior
    unchanged.
    """

    def step(self, x_t: Tensor, x_0: Tensor, t: int, s: int, noise: NoiseSource) -> Tensor:
        low = self.schedule.level(s)
        return math.sqrt(low) * x_0 + math.sqrt(1 - low) * noise.normal(x_0)

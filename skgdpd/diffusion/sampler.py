"""Samplers: from noise to features, level by level.

A sampler visits a decreasing grid of time steps. At each it asks the denoiser for the expected
clean feature, lets a restoration (see :mod:`skgdpd.diffusion.degradation`) correct it, and makes
the next, less noisy feature from it. A subclass writes only that last step.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .schedule import NoiseSchedule

Restoration = Callable[[Tensor, int], Tensor]
"""Maps the expected clean feature ``(n, d)`` and the index of the level to a corrected one."""


class NoiseSource:
    """Standard normal noise for a batch of chains, laid out as all series of draw 1, of draw 2 ...

    Parameters
    ----------
    generator : torch.Generator or None
        Where it comes from.
    n_draws : int, default=1
        Chains for each series.
    shared : bool, default=False
        Give all series the same noise (common random numbers), so that what comes out for one
        does not depend on which others are in the batch.
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
        """Noise ``(len(x), width)`` of the type and device of ``x``; its width by default."""
        shape = self._shape(len(x), x.shape[1] if width is None else width)
        noise = torch.randn(shape, dtype=x.dtype, device=x.device, generator=self.generator)
        return self._spread(noise, len(x))

    def uniform(self, x: Tensor) -> Tensor:
        """Uniform noise ``(len(x), 1)`` on [0, 1)."""
        shape = self._shape(len(x), 1)
        noise = torch.rand(shape, dtype=x.dtype, device=x.device, generator=self.generator)
        return self._spread(noise, len(x))


class Sampler:
    """Base of the samplers.

    Parameters
    ----------
    schedule : NoiseSchedule
        Noise level of each time step.
    n_steps : int
        Number of levels visited, each one evaluation of the denoiser.
    start : int, optional
        The first, noisiest time step; default is the schedule's last.

    Attributes
    ----------
    steps : list of int
        The time steps visited, evenly spaced from ``start`` to 0.
    """

    def __init__(self, schedule: NoiseSchedule, n_steps: int, start: int | None = None) -> None:
        self.schedule = schedule
        start = schedule.n_steps - 1 if start is None else start
        n_steps = min(n_steps, start + 1)
        stride = start / max(n_steps - 1, 1)
        self.steps = [round(start - i * stride) for i in range(n_steps)]

    def step(self, x_t: Tensor, x_0: Tensor, t: int, s: int, noise: NoiseSource) -> Tensor:
        """Make ``x_s`` of ``x_t`` and an estimate of ``x_0``; s < t, and s = -1 is the data."""
        raise NotImplementedError

    def run(
        self,
        denoiser: Callable[[Tensor, Tensor], Tensor],
        x: Tensor,
        noise: NoiseSource,
        restore: Restoration | None = None,
    ) -> Tensor:
        """Walk from ``x``, noisy features ``(n, d)`` at the first level, to clean ones ``(n, d)``.

        Gradients flow through all levels.
        """
        for i, t in enumerate(self.steps):
            signal = self.schedule.level(t)
            # One step for all rows: what depends on it alone is computed once.
            eps = denoiser(x, torch.full((1,), t, device=x.device))
            x_0 = torch.sub(x / math.sqrt(signal), eps, alpha=math.sqrt(1 / signal - 1))
            if restore is not None:
                x_0 = restore(x_0, i)
            s = self.steps[i + 1] if i + 1 < len(self.steps) else -1
            x = self.step(x, x_0, t, s, noise) if s >= 0 else x_0
        return x


class DDIM(Sampler):
    """Deterministic steps: the noise found is put back at the lower level.

    References
    ----------
    J. Song, C. Meng, S. Ermon, "Denoising diffusion implicit models", ICLR 2021, eq. 12.
    """

    eta = 0.0

    def step(self, x_t: Tensor, x_0: Tensor, t: int, s: int, noise: NoiseSource) -> Tensor:
        high, low = self.schedule.level(t), self.schedule.level(s)
        sigma = self.eta * math.sqrt((1 - low) / (1 - high) * (1 - high / low))
        # Of the noise found, (x_t - sqrt(high) x_0) / sqrt(1 - high), what is put back.
        kept = math.sqrt(max(1 - low - sigma**2, 0.0) / (1 - high))
        x_s = torch.add((math.sqrt(low) - kept * math.sqrt(high)) * x_0, x_t, alpha=kept)
        return x_s + sigma * noise.normal(x_s) if sigma else x_s


class Ancestral(DDIM):
    """Steps drawn from the posterior ``q(x_s | x_t, x_0)`` of the forward process.

    References
    ----------
    J. Ho, A. Jain, P. Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020, eq. 6-7.
    """

    eta = 1.0


class Renoise(Sampler):
    """Steps that add fresh noise to a *draw* of ``x_0``.

    Exact, at any number of steps, if the restoration draws from ``p(x_0 | x_t, observation)``:
    each level then is a Gibbs step that leaves the posterior unchanged.
    """

    def step(self, x_t: Tensor, x_0: Tensor, t: int, s: int, noise: NoiseSource) -> Tensor:
        low = self.schedule.level(s)
        return math.sqrt(low) * x_0 + math.sqrt(1 - low) * noise.normal(x_0)

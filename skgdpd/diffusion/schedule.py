"""Noise schedules: the shares of signal and noise at each time step.

A variance-preserving diffusion turns data ``x_0`` into ``x_t = sqrt(alpha_bar_t) x_0 +
sqrt(1 - alpha_bar_t) eps`` with ``alpha_bar_t = prod_{s <= t} (1 - beta_s)``. Time steps run from
0 (least noise) to ``n_steps - 1`` (nearly pure noise); step -1 is the data itself.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

ScheduleName = Literal["linear", "cosine"]


class NoiseSchedule(nn.Module):
    """Schedule of noise levels: the share of signal variance at each time step.

    Parameters
    ----------
    name : {"linear", "cosine"}, default="linear"
        Form of the schedule. ``"linear"`` has betas from 1e-4 to 0.02 [1]_. They are scaled by
        ``1000 / n_steps``, so that a schedule with fewer steps ends at the same noise level. In
        ``"cosine"``, ``alpha_bar`` follows a squared cosine [2]_, which gives more steps with
        little noise. The default is the paper's schedule.
    n_steps : int, default=1000
        Number of time steps T.

    Attributes
    ----------
    alpha_bar : Tensor of shape (n_steps,)
        Share of signal variance at each time step.
    complement : Tensor of shape (n_steps,)
        Share of noise variance, ``1 - alpha_bar``, computed in double precision.

    Raises
    ------
    ValueError
        If the name is unknown.

    References
    ----------
    .. [1] J. Ho, A. Jain, P. Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020.
    .. [2] A. Nichol, P. Dhariwal, "Improved denoising diffusion probabilistic models", ICML 2021.
    """

    alpha_bar: Tensor
    complement: Tensor

    def __init__(self, name: ScheduleName = "linear", n_steps: int = 1000) -> None:
        super().__init__()
        self.name = name
        # On the CPU whatever the default device is, since single levels are read.
        even = partial(torch.linspace, dtype=torch.float64, device="cpu")
        if name == "linear":
            scale = 1000 / n_steps
            betas = even(1e-4 * scale, 0.02 * scale, n_steps)
        elif name == "cosine":
            angles = even(0, 1, n_steps + 1).add(0.008).div(1.008)
            signal = torch.cos(angles * math.pi / 2).square()
            betas = 1 - signal[1:] / signal[:-1]
        else:
            raise ValueError(f"unknown schedule {name!r}; the names are 'linear' and 'cosine'")
        alpha_bar = torch.cumprod(1 - betas.clamp(max=0.999), 0)
        # Both are stored: in single precision, 1 - alpha_bar near 1 has few correct digits.
        self.register_buffer("alpha_bar", alpha_bar.to(torch.get_default_dtype()))
        self.register_buffer("complement", (1 - alpha_bar).to(torch.get_default_dtype()))
        # Python floats, because reading single levels from the device would wait for it.
        self._levels = alpha_bar.tolist()

    @property
    def n_steps(self) -> int:
        """Number of time steps T."""
        return len(self._levels)

    def shares(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return the variances of signal and noise ``(n, 1)`` at time steps ``(n,)``."""
        return self.alpha_bar[t][:, None], self.complement[t][:, None]

    def level(self, t: int) -> float:
        """Return ``alpha_bar`` of one time step; it is 1 at step -1, the data itself."""
        return 1.0 if t < 0 else self._levels[t]

    def nearest_step(self, noise_to_signal: float) -> int:
        """Return the time step whose ``(1 - alpha_bar) / alpha_bar`` is nearest to a value."""
        ratios = [(1 - level) / level for level in self._levels]
        target = math.log(max(noise_to_signal, 1e-12))
        return min(range(self.n_steps), key=lambda t: abs(math.log(ratios[t]) - target))

    def diffuse(self, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """Add noise ``eps (n, d)`` to clean features ``x_0 (n, d)`` at time steps ``t (n,)``."""
        signal, noise = self.shares(t)
        return signal.sqrt() * x_0 + noise.sqrt() * eps

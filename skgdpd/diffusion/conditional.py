r"""Conditional diffusion models of features, ``p(u | z)``.

The feature ``u`` is cut into tokens of equal width. One network denoises each token separately,
given the token's index and a condition that is computed from another feature ``z``:

.. math:: L = E\,(v - v_\theta(u_t, t, \mathrm{LayerNorm}(z)))^2.

The target ``v`` is either the noise, or a combination of noise and feature whose weights depend
on the noise level. A new network outputs 0, so the loss starts at 1, which is the variance of both
targets.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .denoiser import SinusoidalEmbedding
from .sampler import Ancestral, NoiseSource
from .schedule import NoiseSchedule, ScheduleName

PredictionName = Literal["v", "eps"]

MAX_TOKEN_WIDTH = 64
"""Largest default width of a token."""

MARGIN = 1.0
"""Distance in SDs by which an estimate may lie outside the range of the training features."""


def token_width_of(n_features: int, token_width: int | None = None, joint: bool = False) -> int:
    """Return the width of the tokens that a feature is cut into.

    Parameters
    ----------
    n_features : int
        Width d of the feature.
    token_width : int, optional
        Requested width of a token, which must divide d. By default it is the largest divisor of d
        up to 64.
    joint : bool, default=False
        Whether the whole feature is one token, so that its parts are generated jointly.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If ``token_width`` doesn't divide d, or if it differs from d while ``joint`` is set.
    """
    if joint:
        if token_width not in (None, n_features):
            raise ValueError(
                f"token_width={token_width} with joint=True; one token has all {n_features} "
                f"features, so leave token_width=None"
            )
        return n_features
    divisors = [w for w in range(1, n_features + 1) if n_features % w == 0]
    if token_width is None:
        return max(w for w in divisors if w <= MAX_TOKEN_WIDTH)
    if token_width not in divisors:
        raise ValueError(
            f"token_width={token_width} doesn't divide the {n_features} features that are "
            f"generated; allowed are {', '.join(map(str, divisors))}"
        )
    return token_width


class ModulatedBlock(nn.Module):
    """Residual perceptron with adaptive layer normalisation and a gate.

    The condition sets scale, shift and gate. All three start at 0, so a new block is the identity.

    Parameters
    ----------
    width : int
        Width of the input, the condition and the output.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = _zero(nn.Linear(width, 3 * width))
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)

    def forward(self, h: Tensor, condition: Tensor) -> Tensor:
        """Transform hidden states ``(..., width)``; the shape is kept."""
        scale, shift, gate = self.modulation(condition).chunk(3, -1)
        inner = self.inner(self.norm(h) * (1 + scale) + shift)
        return h + gate * self.outer(F.silu(inner))


class TokenDenoiser(nn.Module):
    """Perceptron with adaptive layer normalisation that denoises each token separately.

    Parameters
    ----------
    n_features : int
        Width d of the feature.
    n_condition : int
        Width of the condition.
    token_width : int
        Width of a token; it divides d.
    schedule : NoiseSchedule
        Noise level of each time step.
    hidden : int, default=128
        Width of the residual stream.
    depth : int, default=3
        Number of blocks.
    normalize_condition : bool, default=True
        Whether conditions are layer-normalised, so that only their direction counts.

    References
    ----------
    W. Peebles, S. Xie, "Scalable diffusion models with transformers", ICCV 2023 (the
    initialisation at zero).
    T. Li et al., "Autoregressive image generation without vector quantization", NeurIPS 2024
    (the perceptron and its condition).
    """

    def __init__(
        self,
        n_features: int,
        n_condition: int,
        token_width: int,
        schedule: NoiseSchedule,
        hidden: int = 128,
        depth: int = 3,
        normalize_condition: bool = True,
    ) -> None:
        super().__init__()
        self.schedule = schedule
        self.normalize_condition = normalize_condition
        self.token_width = token_width
        self.level = nn.Sequential(
            SinusoidalEmbedding(64), nn.Linear(64, hidden), nn.SiLU(), nn.Linear(hidden, hidden)
        )
        self.read = nn.Linear(n_condition, hidden)
        self.nothing = nn.Parameter(torch.zeros(hidden))
        self.enter = nn.Linear(token_width, hidden)
        self.index = nn.Parameter(0.1 * torch.randn(n_features // token_width, hidden))
        self.blocks = nn.ModuleList(ModulatedBlock(hidden) for _ in range(depth))
        self.norm = nn.LayerNorm(hidden, elementwise_affine=False)
        self.modulation = _zero(nn.Linear(hidden, 2 * hidden))
        self.leave = _zero(nn.Linear(hidden, token_width))

    def condition(self, z: Tensor) -> Tensor:
        """Embed features ``(n, n_condition)`` as conditions ``(n, hidden)``."""
        return self.read(F.layer_norm(z, z.shape[-1:]) if self.normalize_condition else z)

    def forward(self, u_t: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """Predict the target of the diffusion from noisy features.

        Parameters
        ----------
        u_t : Tensor of shape (..., n, d)
            Noisy features.
        t : Tensor of shape (..., n) or (1,)
            Time steps of the noisy features.
        condition : Tensor of shape (..., n, hidden) or (hidden,)
            Embedded conditions, or the embedding ``nothing`` for the unconditional model.

        Returns
        -------
        Tensor of shape (..., n, d)
            Predicted noise or predicted ``v``, depending on the model's target.
        """
        log_snr = torch.log(self.schedule.alpha_bar[t] / self.schedule.complement[t])
        level = self.level(log_snr.flatten()).unflatten(0, t.shape)
        # The modulation is computed once for all tokens; only the input differs between tokens.
        common = F.silu(level + condition)[..., None, :]
        h = self.enter(u_t.unflatten(-1, (-1, self.token_width))) + self.index
        for block in self.blocks:
            h = block(h, common)
        scale, shift = self.modulation(common).chunk(2, -1)
        return self.leave(self.norm(h) * (1 + scale) + shift).flatten(-2)


class ConditionalDiffusion(nn.Module):
    """Conditional diffusion model of features, sampled by ancestral steps.

    Parameters
    ----------
    n_features : int
        Width d of the features, which should have about unit variance.
    n_condition : int
        Width of the condition.
    token_width : int
        Width of a token; it divides d. See :func:`token_width_of`.
    hidden : int, default=128
        Width of the network.
    depth : int, default=3
        Number of residual blocks.
    schedule : {"cosine", "linear"}, default="cosine"
        Noise schedule; see :class:`~skgdpd.diffusion.NoiseSchedule`.
    n_diffusion_steps : int, default=1000
        Number of time steps T.
    prediction : {"v", "eps"}, default="v"
        Quantity that the network predicts: ``v = sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) u``
        [1]_, or the noise ``eps``. At the noisiest level of the cosine schedule, an error of 0.01
        in ``eps`` becomes an error of 200 in the feature, and such levels decide the class of a
        draw. The default is therefore ``v``.
    normalize_condition : bool, default=True
        Whether conditions are layer-normalised. This suits features, which can have any scale. It
        does not suit class scores: their scale is their confidence, and two scores have no
        direction.

    Attributes
    ----------
    low, high : Tensor of shape (d,)
        Bounds to which estimates of clean features are clipped. They are infinite before
        :meth:`set_bounds`.

    References
    ----------
    .. [1] T. Salimans, J. Ho, "Progressive distillation for fast sampling of diffusion models",
       ICLR 2022.
    """

    low: Tensor
    high: Tensor

    def __init__(
        self,
        n_features: int,
        n_condition: int,
        token_width: int,
        hidden: int = 128,
        depth: int = 3,
        schedule: ScheduleName = "cosine",
        n_diffusion_steps: int = 1000,
        prediction: PredictionName = "v",
        normalize_condition: bool = True,
    ) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {
            "n_features": n_features,
            "n_condition": n_condition,
            "token_width": token_width,
            "hidden": hidden,
            "depth": depth,
            "schedule": schedule,
            "n_diffusion_steps": n_diffusion_steps,
            "prediction": prediction,
            "normalize_condition": normalize_condition,
        }
        self.n_features = n_features
        self.prediction = prediction
        self.schedule = NoiseSchedule(schedule, n_diffusion_steps)
        self.denoiser = TokenDenoiser(
            n_features,
            n_condition,
            token_width,
            self.schedule,
            hidden,
            depth,
            normalize_condition,
        )
        self.register_buffer("low", torch.full((n_features,), -torch.inf))
        self.register_buffer("high", torch.full((n_features,), torch.inf))

    def set_bounds(self, u: Tensor) -> None:
        """Set the bounds of estimates to the range of features ``(n, d)``, plus a margin."""
        self.low.copy_(u.amin(0) - MARGIN)
        self.high.copy_(u.amax(0) + MARGIN)

    def loss(
        self,
        u: Tensor,
        z: Tensor,
        n_noise_levels: int = 1,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the mean squared error of the network's prediction for each row.

        Parameters
        ----------
        u : Tensor of shape (n, d)
            Features.
        z : Tensor of shape (n, n_condition)
            Conditions of the features; gradients flow into them.
        n_noise_levels : int, default=1
            Number of noise levels per row. More levels make the gradient less noisy.
        dropout : float, default=0.0
            Probability of withholding the condition of a row. With a positive value, the model
            also learns the unconditional distribution p(u), which guidance needs.
        generator : torch.Generator, optional
            Source of noise levels, noise and dropout.

        Returns
        -------
        Tensor of shape (n,)
        """
        shape = (n_noise_levels, len(u))
        t = torch.randint(self.schedule.n_steps, shape, device=u.device, generator=generator)
        eps = torch.randn(
            (*shape, self.n_features), dtype=u.dtype, device=u.device, generator=generator
        )
        signal, noise = self._shares(t)
        condition = self.denoiser.condition(z)
        if dropout:
            dropped = torch.rand(shape, device=u.device, generator=generator) < dropout
            condition = torch.where(dropped[..., None], self.denoiser.nothing, condition)
        u_t = signal.sqrt() * u + noise.sqrt() * eps
        target = eps if self.prediction == "eps" else signal.sqrt() * eps - noise.sqrt() * u
        return (self.denoiser(u_t, t, condition) - target).square().mean((0, 2))

    def predict_noise(self, u_t: Tensor, t: Tensor, condition: Tensor, guidance: float) -> Tensor:
        """Predict the noise ``(..., n, d)`` with classifier-free guidance.

        Parameters
        ----------
        u_t : Tensor of shape (..., n, d)
            Noisy features.
        t : Tensor of shape (..., n) or (1,)
            Time steps of the noisy features.
        condition : Tensor of shape (..., n, hidden)
            Embedded conditions.
        guidance : float
            Weight of the condition; 1 is the conditional model and 0 the unconditional model.

        Returns
        -------
        Tensor of shape (..., n, d)
        """
        answer = self._guided(u_t, t, condition, guidance)
        if self.prediction == "eps":
            return answer
        signal, noise = self._shares(t)
        return noise.sqrt() * u_t + signal.sqrt() * answer

    def _shares(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return the variances of signal and noise ``(..., n, 1)`` at steps ``(..., n)``."""
        return self.schedule.alpha_bar[t][..., None], self.schedule.complement[t][..., None]

    def _guided(self, u_t: Tensor, t: Tensor, condition: Tensor, guidance: float) -> Tensor:
        if guidance == 1:
            return self.denoiser(u_t, t, condition)
        free = self.denoiser(u_t, t, self.denoiser.nothing)
        if guidance == 0:
            return free
        return free + guidance * (self.denoiser(u_t, t, condition) - free)

    def draw(
        self,
        z: Tensor,
        noise: NoiseSource,
        n_steps: int = 64,
        guidance: float = 1.0,
    ) -> Tensor:
        """Draw features given conditions.

        Parameters
        ----------
        z : Tensor of shape (n, n_condition)
            Conditions.
        noise : NoiseSource
            Source of noise; its ``n_draws`` is the number of draws per row.
        n_steps : int, default=64
            Number of noise levels visited, with one evaluation of the network each.
        guidance : float, default=1.0
            Weight of the condition (classifier-free guidance). 1 draws from the model of
            ``p(u | z)``, and 0 from the model of ``p(u)``. A value above 1 exaggerates the
            influence of the condition and no longer samples the posterior.

        Returns
        -------
        Tensor of shape (n_draws, n, d)
        """
        condition = self.denoiser.condition(z)
        chains = (noise.n_draws, len(z))

        def predict(u_t: Tensor, t: Tensor) -> Tensor:
            guess = self.predict_noise(u_t.unflatten(0, chains), t, condition, guidance)
            return guess.flatten(0, 1)

        def within(u: Tensor, level: int) -> Tensor:
            return u.clamp(self.low, self.high)

        start = noise.normal(z.new_empty(noise.n_draws * len(z), self.n_features))
        sampler = Ancestral(self.schedule, n_steps)
        return sampler.run(predict, start, noise, within).unflatten(0, chains)


def _zero(linear: nn.Linear) -> nn.Linear:
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear

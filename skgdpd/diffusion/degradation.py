r"""Degradations: from a short view's feature to draws of the long view's feature.

Each maps student features ``z_short (n, dS)`` to ``n_draws`` plausible teacher features
``(n_draws, n, d)``, differentiably in ``z_short``, with the help of a diffusion prior:

- :class:`LearnedAlpha` is the paper's heuristic: mix the feature with noise in a learned share,
  then denoise.
- :class:`MatchedNoise` is its calibrated form: the noise level is measured, not learned.
- :class:`LinearGaussianPosterior` samples the posterior of a measured linear-Gaussian model.
- :class:`NoObservation` ignores the student: draws from the prior, the control.
"""

from __future__ import annotations

import math
from collections.abc import Hashable

import numpy as np
import torch
from torch import Tensor, nn

from .latent import LatentDiffusion
from .measurement import LinearGaussian
from .sampler import DDIM, Ancestral, NoiseSource, Renoise, Sampler


class Degradation(nn.Module):
    """Base of the degradations.

    Parameters
    ----------
    latent : LatentDiffusion
        The prior. It is not registered as a submodule: whoever trains decides whether the
        prior's parameters are among the trained ones.
    n_steps : int
        Evaluations of the denoiser for one draw.
    """

    needs_measurement = False
    """Whether :meth:`calibrate` has to be called before the first draw."""

    def __init__(self, latent: LatentDiffusion, n_steps: int) -> None:
        super().__init__()
        self._latent = (latent,)
        self.n_steps = n_steps

    @property
    def latent(self) -> LatentDiffusion:
        """The prior that draws come from."""
        return self._latent[0]

    def calibrate(self, measurement: LinearGaussian) -> None:
        """Take over a measured degradation; constants for the gradient."""

    def phase(self) -> Hashable:
        """All that decides, besides tensors, how :meth:`draw` computes."""
        return ()

    def draw(
        self,
        z_short: Tensor,
        n_draws: int = 1,
        generator: torch.Generator | None = None,
        shared_noise: bool = False,
    ) -> Tensor:
        """Draw teacher features for student features.

        Parameters
        ----------
        z_short : Tensor of shape (n, dS)
            Student features; gradients flow back into them.
        n_draws : int, default=1
            Draws for each.
        generator : torch.Generator, optional
            Source of the noise, on the features' device.
        shared_noise : bool, default=False
            Use the same noise for all rows, so that a row's draws don't depend on the others.

        Returns
        -------
        Tensor of shape (n_draws, n, d)
        """
        noise = NoiseSource(generator, n_draws, shared_noise)
        repeated = z_short.repeat(n_draws, 1)
        return self._draw(repeated, noise).unflatten(0, (n_draws, len(z_short)))

    def _draw(self, z_short: Tensor, noise: NoiseSource) -> Tensor:
        raise NotImplementedError


class LearnedAlpha(Degradation):
    """The paper's degradation: a learned share of noise, then a deterministic chain.

    ``f = Linear(z_short)``, ``alpha = softmax(adapter(f))_0`` (one number per series), start at
    ``alpha f + (1 - alpha) eps``, and denoise from 0.4 T down. It has no measurement model, and
    is not posterior sampling even for Gaussian features; see ``docs/prior.md``.

    Parameters
    ----------
    latent : LatentDiffusion
        The prior.
    n_steps : int
        Evaluations of the denoiser; the paper's chain has 5: t = 400, 300, 200, 100, 0 of 1000.
    n_short : int
        Width dS of the student features.

    References
    ----------
    GDPD, arXiv 2605.11414, section on posterior sampling.
    """

    start = 0.4
    """First level of the chain, as a share of the schedule."""

    def __init__(self, latent: LatentDiffusion, n_steps: int, n_short: int) -> None:
        super().__init__(latent, n_steps)
        self.map = nn.Linear(n_short, latent.n_features)
        self.adapter = nn.Linear(latent.n_features, 2)
        first = min(round(self.start * latent.schedule.n_steps), latent.schedule.n_steps - 1)
        self.sampler: Sampler = DDIM(latent.schedule, n_steps, first)

    def _draw(self, z_short: Tensor, noise: NoiseSource) -> Tensor:
        f = self.map(z_short)
        alpha = self.adapter(f).softmax(-1)[:, :1]
        start = alpha * f + (1 - alpha) * noise.normal(f)
        return self.sampler.run(self.latent.denoiser, start, noise)


class MeasuredDegradation(Degradation):
    """Base of the degradations that are measured, not learned.

    Attributes
    ----------
    measurement : LinearGaussian
        What :meth:`calibrate` was told last.
    """

    needs_measurement = True
    measurement: LinearGaussian

    def calibrate(self, measurement: LinearGaussian) -> None:
        self.measurement = measurement

    def _constant(self, name: str, value: np.ndarray | Tensor) -> None:
        """Store a measured constant as a buffer of the prior's type, on its device."""
        tensor = torch.as_tensor(value).to(self.latent.mean)
        known = self._buffers.get(name)
        alike = ("shape", "dtype", "device")
        if known is not None and all(getattr(known, k) == getattr(tensor, k) for k in alike):
            # Where it is: steps that were recorded look there.
            known.copy_(tensor)
        else:
            self.register_buffer(name, tensor)


class MatchedNoise(MeasuredDegradation):
    """Start the chain where the schedule's noise is as large as the measured one.

    The student feature is turned into an unbiased estimate of the teacher feature by generalised
    least squares on the measurement; its error covariance N decides the time step t* with
    ``(1 - alpha_bar) / alpha_bar`` equal to N's largest eigenvalue; noise is added where N is
    smaller, so that the total is what the denoiser expects at t*; then ancestral steps.

    One level serves all directions, so the worst measured one decides: if the measurement says
    nothing of one direction, as always where dS < d, the level is the last, and the draws are
    the prior's in all.
    """

    estimator: Tensor
    offset: Tensor
    fill: Tensor

    def phase(self) -> Hashable:
        return tuple(self.sampler.steps)

    def calibrate(self, measurement: LinearGaussian) -> None:
        super().calibrate(measurement)
        schedule = self.latent.schedule
        A, R = measurement.A, measurement.R
        precision_A = np.linalg.solve(R, A)
        information = A.T @ precision_A
        last = schedule.level(schedule.n_steps - 1)
        # Directions that the measurement does not see get the schedule's largest noise.
        floor = last / (1 - last)
        noise = np.linalg.inv(information + floor * np.eye(len(information)))
        estimator = noise @ precision_A.T
        spectrum, axes = np.linalg.eigh(noise)
        t = schedule.nearest_step(float(spectrum[-1]))
        signal = schedule.level(t)
        missing = np.maximum((1 - signal) / signal - spectrum * (1 - floor * spectrum), 0)
        self._constant("estimator", estimator)
        self._constant("offset", measurement.b)
        self._constant("fill", (axes * np.sqrt(missing)) @ axes.T)
        self.sampler = Ancestral(schedule, self.n_steps, t)

    def _draw(self, z_short: Tensor, noise: NoiseSource) -> Tensor:
        estimate = (z_short - self.offset) @ self.estimator.T
        filled = estimate + noise.normal(estimate) @ self.fill
        signal = self.latent.schedule.level(self.sampler.steps[0])
        return self.sampler.run(self.latent.denoiser, math.sqrt(signal) * filled, noise)


class LinearGaussianPosterior(MeasuredDegradation):
    """Draws from the posterior of ``y = A z + b + n``, exact if the prior is Gaussian.

    At each level the denoised mean mu is corrected by the measurement and a draw is made,

        ``C = (S^-1 + a / (1 - a) I)^-1``,  ``G = C A' (A C A' + R)^-1``,
        ``z_0 = mu + G (y - b - A mu) + (C - G A C)^(1/2) n``,

    with ``a`` the level's ``alpha_bar`` and S the prior's covariance; then fresh noise leads to
    the next level. Only constants depend on the level, so a draw costs the denoiser's evaluations
    and two small matrix products each, and no Jacobian.
    """

    A: Tensor
    b: Tensor
    gains: Tensor
    spreads: Tensor
    start: Tensor

    def calibrate(self, measurement: LinearGaussian) -> None:
        super().calibrate(measurement)
        self.sampler = Renoise(self.latent.schedule, self.n_steps)
        A, R = measurement.A, measurement.R
        spectrum, axes = np.linalg.eigh(self.latent.covariance.double().cpu().numpy())
        spectrum = np.maximum(spectrum, 0)
        gains, spreads = [], []
        for t in self.sampler.steps:
            signal = self.latent.schedule.level(t)
            shrunk = spectrum * (1 - signal) / (1 - signal + signal * spectrum)
            C = (axes * shrunk) @ axes.T
            gain = np.linalg.solve(A @ C @ A.T + R, A @ C).T
            left, right = np.linalg.eigh(C - gain @ A @ C)
            gains.append(gain)
            spreads.append((right * np.sqrt(np.maximum(left, 0))) @ right.T)
        first = self.latent.schedule.level(self.sampler.steps[0])
        self._constant("A", A)
        self._constant("b", measurement.b)
        self._constant("gains", np.stack(gains))
        self._constant("spreads", np.stack(spreads))
        self._constant("start", (axes * np.sqrt(first * spectrum + 1 - first)) @ axes.T)

    def _draw(self, z_short: Tensor, noise: NoiseSource) -> Tensor:
        observed = z_short - self.b

        def restore(mean: Tensor, i: int) -> Tensor:
            surprise = observed - mean @ self.A.T
            return mean + surprise @ self.gains[i].T + noise.normal(mean) @ self.spreads[i]

        first = self.latent.schedule.level(self.sampler.steps[0])
        spread = noise.normal(z_short, self.latent.n_features) @ self.start
        start = math.sqrt(first) * self.latent.mean + spread
        return self.sampler.run(self.latent.denoiser, start, noise, restore)


class NoObservation(Degradation):
    """Draws from the prior, whatever the student says: the control.

    Parameters
    ----------
    posterior : MeasuredDegradation
        Draws given a measurement; it is given one that says nothing, A = 0.
    """

    def __init__(self, posterior: MeasuredDegradation) -> None:
        super().__init__(posterior.latent, posterior.n_steps)
        d = posterior.latent.n_features
        posterior.calibrate(LinearGaussian(np.zeros((1, d)), np.zeros(1), np.eye(1)))
        self.posterior = posterior

    def phase(self) -> Hashable:
        return self.posterior.phase()

    def _draw(self, z_short: Tensor, noise: NoiseSource) -> Tensor:
        return self.posterior._draw(z_short.new_zeros(len(z_short), 1), noise)

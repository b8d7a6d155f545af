r"""Posterior samplers: draws of the whole series' feature, given the feature of its prefix.

Each sampler maps student features ``z_short (n, dS)`` to ``n_draws`` plausible teacher features
``(n_draws, n, d)`` with a diffusion prior. The draws are differentiable in ``z_short``.

- :class:`LearnedAlpha` is the heuristic of the paper. It mixes the student feature with noise in
  a learned proportion and denoises the mixture.
- :class:`MatchedNoise` is a calibrated form of this heuristic. It measures the noise level instead
  of learning it.
- :class:`LinearGaussianPosterior` samples the posterior under a measured linear-Gaussian model.
- :class:`NoObservation` ignores the student feature and draws from the prior. It is the control.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .latent import LatentDiffusion
from .latent_flow import LatentFlow
from .measurement import LinearGaussian
from .sampler import DDIM, Ancestral, NoiseSource, Renoise, Sampler

Array = NDArray[np.float64]


class PosteriorSampler(nn.Module):
    """Base class of posterior samplers.

    Parameters
    ----------
    latent : LatentDiffusion or LatentFlow
        Prior over teacher features. It is not registered as a submodule, so its parameters are not
        parameters of the sampler. The caller decides whether they are trained.
    n_steps : int
        Number of evaluations of the denoiser for one draw.
    """

    needs_measurement = False
    """True if :meth:`calibrate` must be called before the first draw."""

    def __init__(self, latent: LatentDiffusion | LatentFlow, n_steps: int) -> None:
        super().__init__()
        self._latent = (latent,)
        self.n_steps = n_steps

    @property
    def latent(self) -> Any:
        """Prior from which the draws come, of the type that the sampler requires."""
        return self._latent[0]

    def calibrate(self, measurement: LinearGaussian) -> None:
        """Set the measurement model; gradients treat it as constant."""

    def phase(self) -> Hashable:
        """Return the state outside of tensors that decides how :meth:`draw` computes.

        A recorded training step is valid as long as this state stays the same.

        Returns
        -------
        hashable
            State; an empty tuple if there is none.
        """
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
            Number of draws per row.
        generator : torch.Generator, optional
            Source of the noise, on the features' device. By default torch's global generator.
        shared_noise : bool, default=False
            Whether all rows use the same noise, so that the draws of a row do not depend on the
            other rows.

        Returns
        -------
        Tensor of shape (n_draws, n, d)
        """
        noise = NoiseSource(generator, n_draws, shared_noise)
        repeated = z_short.repeat(n_draws, 1)
        return self._draw(repeated, noise).unflatten(0, (n_draws, len(z_short)))

    def _draw(self, z_short: Tensor, noise: NoiseSource) -> Tensor:
        raise NotImplementedError


class LearnedAlpha(PosteriorSampler):
    """Restoration of the paper: a learned proportion of noise, then a deterministic chain.

    Let ``f = Linear(z_short)`` and ``alpha = softmax(adapter(f))_0``, one number per series. The
    chain starts at ``alpha f + (1 - alpha) eps`` and denoises from 0.4 T down to 0. A flow starts
    at the same mixture, which is its state at the time alpha, and runs to time 1. Both lack a
    measurement model. They do not sample the posterior, not even for Gaussian features; see
    ``docs/prior.md``.

    Parameters
    ----------
    latent : LatentDiffusion or LatentFlow
        Prior over teacher features.
    n_steps : int
        Number of evaluations of the denoiser. The paper's chain has 5, at t = 400, 300, 200, 100
        and 0 of 1000.
    n_short : int
        Width dS of the student features.
    like : LearnedAlpha, optional
        Sampler of another moment, whose maps are shared. A learned constant for this moment is
        added to the logits of alpha, because earlier moments need more restoration.

    References
    ----------
    GDPD, arXiv 2605.11414, section on posterior sampling.
    """

    start = 0.4
    """First time step of the chain, as a fraction of T."""

    def __init__(
        self,
        latent: LatentDiffusion | LatentFlow,
        n_steps: int,
        n_short: int,
        like: LearnedAlpha | None = None,
    ) -> None:
        super().__init__(latent, n_steps)
        self.shift: nn.Parameter | None = None
        if like is None:
            self.map = nn.Linear(n_short, latent.n_features)
            self.adapter = nn.Linear(latent.n_features, 2)
        else:
            self.map, self.adapter = like.map, like.adapter
            self.shift = nn.Parameter(torch.zeros_like(like.adapter.bias))
        if isinstance(latent, LatentDiffusion):
            last = latent.schedule.n_steps - 1
            first = min(round(self.start * latent.schedule.n_steps), last)
            self.sampler: Sampler = DDIM(latent.schedule, n_steps, first)

    def _draw(self, z_short: Tensor, noise: NoiseSource) -> Tensor:
        f = self.map(z_short)
        logits = self.adapter(f) if self.shift is None else self.adapter(f) + self.shift
        alpha = logits.softmax(-1)[:, :1]
        start = alpha * f + (1 - alpha) * noise.normal(f)
        if isinstance(self.latent, LatentFlow):
            return self.latent.transport(start, alpha, self.n_steps)
        return self.sampler.run(self.latent.denoiser, start, noise)


class MeasuredDegradation(PosteriorSampler):
    """Base class of posterior samplers with a measurement model.

    Attributes
    ----------
    measurement : LinearGaussian
        Measurement model from the last call of :meth:`calibrate`.
    """

    needs_measurement = True
    measurement: LinearGaussian

    def calibrate(self, measurement: LinearGaussian) -> None:
        self.measurement = measurement

    def _constant(self, name: str, value: np.ndarray | Tensor) -> None:
        """Store a constant as a buffer with the type and the device of the prior."""
        tensor = torch.as_tensor(value).to(self.latent.mean)
        known = self._buffers.get(name)
        alike = ("shape", "dtype", "device")
        if known is not None and all(getattr(known, k) == getattr(tensor, k) for k in alike):
            # In place, because recorded training steps read this memory.
            known.copy_(tensor)
        else:
            self.register_buffer(name, tensor)


class MatchedNoise(MeasuredDegradation):  # numpydoc ignore=PR02
    """Restoration that starts at the time step whose noise matches the measured noise.

    Generalised least squares on the measurement turns the student feature into an unbiased
    estimate of the teacher feature. The chain starts at the time step t* at which
    ``(1 - alpha_bar) / alpha_bar`` equals the largest eigenvalue of the estimate's error
    covariance N. In directions of smaller error, noise is added until the total is the noise that
    the denoiser expects at t*. Ancestral steps follow.

    All directions share one time step, so the direction with the largest error determines it. If
    the measurement has no information about some direction, which is always so for dS < d, the
    chain starts at the last time step. The draws are then draws from the prior in all directions.

    Parameters
    ----------
    latent : LatentDiffusion
        Prior over teacher features.
    n_steps : int
        Number of evaluations of the denoiser for one draw.
    """

    estimator: Tensor
    offset: Tensor
    fill: Tensor

    def phase(self) -> Hashable:
        return tuple(self.sampler.steps)

    def calibrate(self, measurement: LinearGaussian) -> None:
        super().calibrate(measurement)
        schedule = self.latent.schedule
        last = schedule.level(schedule.n_steps - 1)
        # Directions without information in the measurement get the schedule's largest noise.
        floor = last / (1 - last)
        estimator, spectrum, axes = unbiased_estimate(measurement, floor)
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


class LinearGaussianPosterior(MeasuredDegradation):  # numpydoc ignore=PR02
    """Posterior sampler under ``y = A z + b + n``, exact if the prior is Gaussian.

    At each time step, the measurement corrects the denoised mean mu, and a clean feature is
    drawn,

        ``C = (S^-1 + a / (1 - a) I)^-1``,  ``G = C A' (A C A' + R)^-1``,
        ``z_0 = mu + G (y - b - A mu) + (C - G A C)^(1/2) n``,

    where ``a`` is the ``alpha_bar`` of the time step and S the covariance of the prior. New noise
    then leads to the next time step. C and G depend on the time step only, so they are computed
    once. Each step of a draw costs one evaluation of the denoiser and two small matrix products;
    no Jacobian is needed.

    Parameters
    ----------
    latent : LatentDiffusion
        Prior over teacher features, with the mean and covariance of these features.
    n_steps : int
        Number of evaluations of the denoiser for one draw.
    """

    A: Tensor
    b: Tensor
    gains: Tensor
    spreads: Tensor
    start: Tensor

    def calibrate(self, measurement: LinearGaussian) -> None:
        super().calibrate(measurement)
        self.sampler = Renoise(self.latent.schedule, self.n_steps)
        levels = [self.latent.schedule.level(t) for t in self.sampler.steps]
        spectrum, axes = _principal(self.latent.covariance)
        gains, spreads = corrections(measurement, self.latent.covariance, levels)
        first = levels[0]
        self._constant("A", measurement.A)
        self._constant("b", measurement.b)
        self._constant("gains", gains)
        self._constant("spreads", spreads)
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


class NoObservation(PosteriorSampler):
    """Sampler that draws from the prior and ignores the student feature, as a control.

    Parameters
    ----------
    posterior : MeasuredDegradation
        Sampler whose measurement is replaced by one without information, A = 0.
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


def unbiased_estimate(measurement: LinearGaussian, floor: float) -> tuple[Array, Array, Array]:
    """Return the estimate of teacher features by generalised least squares, and its error.

    Parameters
    ----------
    measurement : LinearGaussian
        Measurement model.
    floor : float
        Precision that is added in all directions, because some may have no information.

    Returns
    -------
    estimator : ndarray of shape (d, dS)
        Matrix that multiplies student features from which the offset is subtracted.
    spectrum : ndarray of shape (d,)
        Eigenvalues of the error's covariance, in ascending order.
    axes : ndarray of shape (d, d)
        Eigenvectors of the error's covariance, as columns.
    """
    precision_A = np.linalg.solve(measurement.R, measurement.A)
    information = measurement.A.T @ precision_A
    noise = np.linalg.inv(information + floor * np.eye(len(information)))
    spectrum, axes = np.linalg.eigh(noise)
    return noise @ precision_A.T, spectrum, axes


def corrections(
    measurement: LinearGaussian, covariance: Tensor, levels: Sequence[float]
) -> tuple[Array, Array]:
    """Return the gains G and the roots of ``C - G A C`` of :class:`LinearGaussianPosterior`.

    Parameters
    ----------
    measurement : LinearGaussian
        Measurement model.
    covariance : Tensor of shape (d, d)
        Covariance S of the prior.
    levels : sequence of float
        Share of signal variance, ``alpha_bar``, at each step. 0 is pure noise.

    Returns
    -------
    gains : ndarray of shape (n_steps, d, dS)
        Gains.
    spreads : ndarray of shape (n_steps, d, d)
        Symmetric roots.
    """
    A, R = measurement.A, measurement.R
    spectrum, axes = _principal(covariance)
    gains, spreads = [], []
    for signal in levels:
        shrunk = spectrum * (1 - signal) / (1 - signal + signal * spectrum)
        C = (axes * shrunk) @ axes.T
        gain = np.linalg.solve(A @ C @ A.T + R, A @ C).T
        left, right = np.linalg.eigh(C - gain @ A @ C)
        gains.append(gain)
        spreads.append((right * np.sqrt(np.maximum(left, 0))) @ right.T)
    return np.stack(gains), np.stack(spreads)


def _principal(covariance: Tensor) -> tuple[Array, Array]:
    """Return the variances in the principal directions, and the directions as columns."""
    spectrum, axes = np.linalg.eigh(covariance.double().cpu().numpy())
    return np.maximum(spectrum, 0), axes

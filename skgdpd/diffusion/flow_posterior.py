"""Posterior samplers of flows; :mod:`skgdpd.diffusion.posterior` has the samplers of diffusion.

:class:`~skgdpd.diffusion.LearnedAlpha` supports both.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from .measurement import LinearGaussian
from .posterior import MeasuredDegradation, PosteriorSampler, corrections, unbiased_estimate
from .sampler import NoiseSource

LEAST_TIME = 0.01
"""Earliest start of matched noise; directions without information have only noise there."""


class FlowMatchedNoise(MeasuredDegradation):  # numpydoc ignore=PR02
    """Restoration that starts at the time whose noise matches the measured noise.

    Generalised least squares turns the student feature into an unbiased estimate of the teacher
    feature. The flow starts at the time s at which the ratio of noise to signal, ``(1 - s)^2 /
    s^2``, equals the largest eigenvalue of the estimate's error covariance. Noise is added in
    directions of smaller error.

    The flow is deterministic. Over many series, restored features are therefore distributed as the
    prior. For a single series, they differ only by the added noise, which is less than under the
    posterior.

    Parameters
    ----------
    latent : LatentFlow
        Prior over teacher features, trained with independent noise.
    n_steps : int
        Number of evaluations of the network for one draw.
    """

    estimator: Tensor
    offset: Tensor
    fill: Tensor
    start: Tensor

    def calibrate(self, measurement: LinearGaussian) -> None:
        super().calibrate(measurement)
        floor = LEAST_TIME**2 / (1 - LEAST_TIME) ** 2
        estimator, spectrum, axes = unbiased_estimate(measurement, floor)
        ratio = spectrum[-1]
        missing = np.maximum(ratio - spectrum * (1 - floor * spectrum), 0)
        self._constant("estimator", estimator)
        self._constant("offset", measurement.b)
        self._constant("fill", (axes * np.sqrt(missing)) @ axes.T)
        self._constant("start", np.array([[1 / (1 + math.sqrt(ratio))]]))

    def _draw(self, z_short: Tensor, noise: NoiseSource) -> Tensor:
        estimate = (z_short - self.offset) @ self.estimator.T
        filled = estimate + noise.normal(estimate) @ self.fill
        return self.latent.transport(self.start * filled, self.start, self.n_steps)


class FlowLinearGaussianPosterior(MeasuredDegradation):  # numpydoc ignore=PR02
    """Posterior sampler under ``y = A z + b + n``, exact if the prior is Gaussian.

    A point on the way is a noisy feature, ``x_s = s z + (1 - s) x_0``. The velocity gives the
    expected feature, ``E[z | x_s] = x_s + (1 - s) v_s(x_s)``. The measurement corrects it as in
    :class:`LinearGaussianPosterior`, and new noise leads to the next time. The sampler uses
    velocities only, so a flow map has no advantage here.

    Parameters
    ----------
    latent : LatentFlow
        Prior over teacher features, trained with independent noise.
    n_steps : int
        Number of evaluations of the network for one draw.
    """

    A: Tensor
    b: Tensor
    gains: Tensor
    spreads: Tensor

    def calibrate(self, measurement: LinearGaussian) -> None:
        super().calibrate(measurement)
        self.times = [i / self.n_steps for i in range(self.n_steps + 1)]
        levels = [s**2 / (s**2 + (1 - s) ** 2) for s in self.times[:-1]]
        gains, spreads = corrections(measurement, self.latent.covariance, levels)
        self._constant("A", measurement.A)
        self._constant("b", measurement.b)
        self._constant("gains", gains)
        self._constant("spreads", spreads)

    def _draw(self, z_short: Tensor, noise: NoiseSource) -> Tensor:
        observed = z_short - self.b
        x = noise.normal(z_short, self.latent.n_features)
        for i, s in enumerate(self.times[:-1]):
            mean = x + (1 - s) * self.latent.velocity(x, torch.full_like(x[:1, :1], s))
            surprise = observed - mean @ self.A.T
            z = mean + surprise @ self.gains[i].T + noise.normal(mean) @ self.spreads[i]
            t = self.times[i + 1]
            x = t * z + (1 - t) * noise.normal(z) if t < 1 else z
        return x


class FlowNoObservation(PosteriorSampler):  # numpydoc ignore=PR02
    """Sampler that runs a flow from noise and ignores the student feature, as a control.

    Parameters
    ----------
    latent : LatentFlow
        Prior over teacher features.
    n_steps : int
        Number of evaluations of the network for one draw.
    """

    def _draw(self, z_short: Tensor, noise: NoiseSource) -> Tensor:
        x = noise.normal(z_short, self.latent.n_features)
        return self.latent.transport(x, torch.zeros_like(x[:1, :1]), self.n_steps)

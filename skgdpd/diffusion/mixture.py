"""Gaussian-mixture prior: density, denoiser and posterior sampling in closed form."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.covariance import ledoit_wolf
from torch import Tensor

from .denoiser import MixtureDenoiser
from .measurement import LinearGaussian
from .posterior import MeasuredDegradation
from .sampler import NoiseSource

Array = NDArray[np.float64]


def fit_mixture(u: Array, y: NDArray[np.int64] | None) -> tuple[Array, Array, Array]:
    """Fit one Gaussian with a shrunk covariance to each class.

    Parameters
    ----------
    u : ndarray of shape (n, d)
        Features.
    y : ndarray of shape (n,), optional
        Class numbers; rows with -1 are left out. None fits one Gaussian to all rows.

    Returns
    -------
    weights : ndarray of shape (k,)
        Shares of the classes.
    means : ndarray of shape (k, d)
        Means of the classes.
    covariances : ndarray of shape (k, d, d)
        Ledoit-Wolf estimates. A class with a single row gets the pooled within-class covariance.
    """
    labels = np.zeros(len(u), dtype=np.int64) if y is None else np.asarray(y)
    groups = [u[labels == k] for k in np.unique(labels[labels >= 0])]
    within = np.concatenate([group - group.mean(0) for group in groups])
    pooled = ledoit_wolf(within, assume_centered=True)[0] if len(u) > 1 else np.eye(u.shape[1])
    ridge = 1e-6 * max(np.trace(pooled) / len(pooled), 1e-12) * np.eye(len(pooled))
    weights = np.array([len(group) for group in groups], dtype=float)
    covariances = [ledoit_wolf(group)[0] if len(group) > 1 else pooled for group in groups]
    return (
        weights / weights.sum(),
        np.stack([group.mean(0) for group in groups]),
        np.stack(covariances) + ridge,
    )


def mixture_log_density(u: Array, weights: Array, means: Array, covariances: Array) -> Array:
    """Return the log-density of each row under a Gaussian mixture, in nats.

    Parameters
    ----------
    u : ndarray of shape (n, d)
        Features.
    weights : ndarray of shape (k,)
        Probabilities of the components.
    means : ndarray of shape (k, d)
        Means of the components.
    covariances : ndarray of shape (k, d, d)
        Covariances of the components, positive definite.

    Returns
    -------
    ndarray of shape (n,)
    """
    return logsumexp(_component_log_density(u, weights, means, covariances), axis=1)


def _component_log_density(u: Array, weights: Array, means: Array, covs: Array) -> Array:
    columns = []
    for weight, mean, cov in zip(weights, means, covs, strict=True):
        root = np.linalg.cholesky(cov)
        white = np.linalg.solve(root, (u - mean).T)
        norm = 2 * np.log(np.diag(root)).sum() + len(mean) * np.log(2 * np.pi)
        columns.append(np.log(weight) - 0.5 * (np.square(white).sum(0) + norm))
    return np.stack(columns, 1)


class MixturePosterior(MeasuredDegradation):  # numpydoc ignore=PR02
    """Exact posterior sampler of a Gaussian mixture under a linear-Gaussian measurement.

    A component is drawn with its posterior probability given ``y = A z + b + n``. Then a feature
    is drawn from this component's Gaussian posterior. The draw is differentiable in y through the
    component's gain, but not through the choice of the component.

    Parameters
    ----------
    latent : LatentDiffusion
        Prior; its denoiser must be a :class:`~skgdpd.diffusion.MixtureDenoiser`.
    n_steps : int
        Ignored, because a draw takes one exact step. It is a parameter of all posterior samplers.
    """

    b: Tensor
    log_weights: Tensor
    gains: Tensor
    constants: Tensor
    spreads: Tensor
    whiteners: Tensor
    centres: Tensor

    def calibrate(self, measurement: LinearGaussian) -> None:
        super().calibrate(measurement)
        assert isinstance(self.latent.denoiser, MixtureDenoiser)
        A, R = measurement.A, measurement.R
        gains, constants, spreads, whiteners, centres, log_weights = [], [], [], [], [], []
        for weight, mean, S in zip(*self.latent.denoiser.parts(), strict=True):
            marginal = A @ S @ A.T + R
            gain = np.linalg.solve(marginal, A @ S).T
            left, right = np.linalg.eigh(S - gain @ A @ S)
            root = np.linalg.cholesky(marginal)
            gains.append(gain)
            constants.append(mean - gain @ (A @ mean))
            spreads.append((right * np.sqrt(np.maximum(left, 0))) @ right.T)
            whiteners.append(np.linalg.inv(root))
            centres.append(A @ mean)
            log_weights.append(np.log(weight) - np.log(np.diag(root)).sum())
        self._constant("b", measurement.b)
        for name, values in {
            "gains": gains,
            "constants": constants,
            "spreads": spreads,
            "whiteners": whiteners,
            "centres": centres,
            "log_weights": log_weights,
        }.items():
            self._constant(name, np.stack(values))

    def _draw(self, z_short: Tensor, noise: NoiseSource) -> Tensor:
        observed = z_short - self.b
        with torch.no_grad():
            white = torch.einsum("nks,kzs->nkz", observed[:, None] - self.centres, self.whiteners)
            log_share = self.log_weights - 0.5 * white.square().sum(-1)
            cumulative = log_share.softmax(-1).cumsum(-1)
            chosen = (noise.uniform(z_short) > cumulative[:, :-1]).sum(-1)
        mean = torch.einsum("nds,ns->nd", self.gains[chosen], observed) + self.constants[chosen]
        return mean + torch.einsum("nde,ne->nd", self.spreads[chosen], noise.normal(mean))

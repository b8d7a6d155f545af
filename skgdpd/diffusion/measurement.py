r"""Linear-Gaussian model of student features given teacher features, and its estimation.

Student features are modelled as :math:`y = A z + b + n` with noise :math:`n \sim N(0, R)`, where
z are the teacher features. :class:`LinearMeasurement` estimates A and b by ridge regression and
chooses the penalty by generalised cross-validation. R is the Ledoit-Wolf shrunk covariance of the
leave-one-out residuals, which is the noise on *unseen* series. In-sample residuals would be too
small, because a ridge regression with few series nearly interpolates its training data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf

Array = NDArray[np.float64]

ROUNDING = 1e-12
"""Deviation, as a fraction of the largest value, that counts as rounding."""


@dataclass(frozen=True)
class LinearGaussian:
    """Linear-Gaussian measurement ``y = A z + b + n`` with noise ``n ~ N(0, R)``.

    Attributes
    ----------
    A : ndarray of shape (dS, d)
        Matrix of the measurement.
    b : ndarray of shape (dS,)
        Offset of the measurement.
    R : ndarray of shape (dS, dS)
        Covariance of the noise, positive definite.
    """

    A: Array
    b: Array
    R: Array


class LinearMeasurement:
    """Estimator of a :class:`LinearGaussian` measurement from pairs of features.

    The teacher features are decomposed once. A new estimate then costs little whenever the student
    features have changed.

    Parameters
    ----------
    z : ndarray of shape (n, d)
        Teacher features.
    penalties : ndarray of shape (n_penalties,), optional
        Candidates of the ridge penalty, in units of n times the mean variance of the features'
        principal components. The default is 25 values from 1e-4 to 1e4 in geometric steps.
    """

    def __init__(self, z: Array, penalties: Array | None = None) -> None:
        z = np.asarray(z, dtype=np.float64)
        self.mean = z.mean(0)
        left, scale, right = np.linalg.svd(z - self.mean, full_matrices=False)
        kept = scale > scale.max(initial=0.0) * 1e-10
        self.left, self.scale, self.right = left[:, kept], scale[kept], right[kept]
        unit = np.square(self.scale).mean() if kept.any() else 1.0
        grid = np.logspace(-4, 4, 25) if penalties is None else np.asarray(penalties)
        # (n_penalties, rank): factor by which a penalty shrinks each principal direction
        squares = np.square(self.scale)
        self.filters = squares / (squares + unit * grid[:, None])

    def fit(self, y: Array) -> LinearGaussian:
        """Estimate A, b and R from the student's features.

        Parameters
        ----------
        y : ndarray of shape (n, dS)
            Student features of the same series, in the same order.

        Returns
        -------
        LinearGaussian
        """
        y = np.asarray(y, dtype=np.float64)
        n, mean = len(y), y.mean(0)
        centred = y - mean
        inside = self.left.T @ centred
        outside = np.square(centred).sum() - np.square(inside).sum()
        energy = np.square(inside).sum(1)
        misfit = (np.square(1 - self.filters) * energy).sum(1) + max(outside, 0.0)
        freedom = n - 1 - self.filters.sum(1)
        best = int(np.argmin(misfit / np.maximum(freedom, 1e-9) ** 2))
        passed = self.filters[best]
        A = (inside * (passed / self.scale)[:, None]).T @ self.right
        residual = centred - self.left @ (passed[:, None] * inside)
        # 1 - leverage, as a sum of positive terms: exact even where a row is nearly interpolated.
        squares = np.square(self.left)
        free = squares @ (1 - passed) + np.maximum(1 - 1 / n - squares.sum(1), 0)
        left_out = residual / np.maximum(free, 1e-9)[:, None]
        R = ledoit_wolf(left_out, assume_centered=True)[0] if n > 1 else np.eye(y.shape[1])
        power, rounding = np.square(centred).mean(), np.square(ROUNDING * np.abs(y).max())
        floor = 1e-6 * (power if power > rounding else max(power, 1e-12))
        return LinearGaussian(A, mean - A @ self.mean, R + floor * np.eye(len(R)))

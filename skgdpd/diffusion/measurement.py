r"""The linear-Gaussian measurement model: what a short view keeps of a long one's feature.

Student features are taken as :math:`y = A z + b + n`, :math:`n \sim N(0, R)`, of teacher features
z. :class:`LinearMeasurement` estimates A and b by ridge regression, the penalty by generalised
cross-validation, and R as the Ledoit-Wolf shrunk covariance of the leave-one-out residuals, so
that R is the noise on *unseen* series: in-sample residuals of thirty series would be next to nil.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LinearGaussian:
    """A measurement ``y = A z + b + n`` with ``n ~ N(0, R)``.

    Attributes
    ----------
    A : ndarray of shape (dS, d)
        What the measurement keeps.
    b : ndarray of shape (dS,)
        Offset.
    R : ndarray of shape (dS, dS)
        Covariance of the noise, positive definite.
    """

    A: Array
    b: Array
    R: Array


class LinearMeasurement:
    """Estimator of :class:`LinearGaussian` for fixed teacher features and changing student ones.

    The teacher's part of the algebra is done once, so that the estimate can be renewed while a
    student trains.

    Parameters
    ----------
    z : ndarray of shape (n, d)
        Teacher features.
    penalties : ndarray, default=1e-4 ... 1e4 in 25 steps
        Candidates of the ridge penalty, in units of the features' mean variance times n.
    """

    def __init__(self, z: Array, penalties: Array | None = None) -> None:
        z = np.asarray(z, dtype=np.float64)
        self.mean = z.mean(0)
        left, scale, right = np.linalg.svd(z - self.mean, full_matrices=False)
        kept = scale > scale.max(initial=0.0) * 1e-10
        self.left, self.scale, self.right = left[:, kept], scale[kept], right[kept]
        unit = np.square(self.scale).mean() if kept.any() else 1.0
        grid = np.logspace(-4, 4, 25) if penalties is None else np.asarray(penalties)
        # (n_penalties, rank): how much of each principal direction a penalty lets through
        squares = np.square(self.scale)
        self.filters = squares / (squares + unit * grid[:, None])

    def fit(self, y: Array) -> LinearGaussian:
        """Estimate A, b and R.

        Parameters
        ----------
        y : ndarray of shape (n, dS)
            Student features of the same series.

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
        # 1 - leverage, summed so that it keeps its digits where a row is nearly interpolated.
        squares = np.square(self.left)
        free = squares @ (1 - passed) + np.maximum(1 - 1 / n - squares.sum(1), 0)
        left_out = residual / np.maximum(free, 1e-9)[:, None]
        R = ledoit_wolf(left_out, assume_centered=True)[0] if n > 1 else np.eye(y.shape[1])
        floor = 1e-6 * max(np.square(centred).mean(), 1e-12)
        return LinearGaussian(A, mean - A @ self.mean, R + floor * np.eye(len(R)))

"""Sums of Gaussian kernels, for ridge regressions and one-class support vector machines."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from .costs import Floats, Integers

PENALTIES = np.logspace(-5, 1, 13)
"""Ridge penalties, relative to the mean squared length of the rows."""
RELATIVE_WIDTHS = (0.03, 0.3, 3.0)
"""Values of gamma times the number of features that are compared, for features of variance 1."""
BLOCK = 1 << 22
"""Largest number of kernel values in memory at once."""


class KernelSum(NamedTuple):
    """Function ``intercept + sum(coefficients * exp(-gamma * |x - centres|^2))``.

    Attributes
    ----------
    centres : ndarray of shape (n_centres, n_features)
        Centres of the kernels.
    coefficients : ndarray of shape (n_centres,)
        Weights of the kernels.
    gamma : float
        Factor of the squared distance in the exponent.
    intercept : float
        Constant term, which is the value far from all centres.
    """

    centres: Floats
    coefficients: Floats
    gamma: float
    intercept: float

    def __call__(self, x: Floats) -> Floats:
        """Return the values ``(n,)`` at rows; no bit of a value depends on the other rows."""
        step = max(BLOCK // max(len(self.centres), 1), 1)
        parts = [
            (rbf(x[i : i + step], self.centres, self.gamma) * self.coefficients).sum(1)
            for i in range(0, len(x), step)
        ]
        return np.concatenate([*parts, np.zeros(0)]) + self.intercept


def rbf(x: Floats, centres: Floats, gamma: float) -> Floats:
    """Return the Gaussian kernel ``(n, n_centres)`` of each row and each centre."""
    values = cdist(x, centres, "sqeuclidean")
    values *= -gamma
    return np.exp(values, out=values)


def kernel_ridge(
    x: Floats, target: Floats, weight: Floats, group: Integers, centres: Floats
) -> tuple[KernelSum, Floats]:
    """Fit a ridge regression on Gaussian kernels, with the width and penalty that predict best.

    If all rows are centres, this is kernel ridge regression. With fewer centres, it is the
    Nystroem approximation. A width and a penalty are compared by the predictions of each group
    from the other groups. These predictions have a closed form, so one fit is enough. With the
    hat matrix H, the left-out residuals of a group g are (1 - H_gg)^-1 times its residuals.

    Parameters
    ----------
    x : ndarray of shape (n, n_features)
        Rows.
    target : ndarray of shape (n,)
        Values to predict.
    weight : ndarray of shape (n,)
        Positive weight of each row.
    group : ndarray of shape (n,)
        Group of each row. Rows of a group are left out together.
    centres : ndarray of shape (n_centres, n_features)
        Centres of the kernels.

    Returns
    -------
    function : KernelSum
        Fitted regression.
    left_out : ndarray of shape (n,)
        Prediction of each row by a regression that leaves out its group.
    """
    share = weight / weight.sum()
    root = np.sqrt(share * len(x))
    mean = share @ target
    centred = (target - mean) * root
    blocks = _blocks(group)
    best = np.inf
    for width in RELATIVE_WIDTHS:
        gamma = width / x.shape[1]
        to_basis = _whitening(rbf(centres, centres, gamma))
        z = rbf(x, centres, gamma) @ to_basis
        middle = share @ z
        z = (z - middle) * root[:, None]
        squares, directions = np.linalg.eigh(z.T @ z)
        kept = squares > max(squares[-1], 1e-12) * 1e-10
        squares, directions = squares[kept], directions[:, kept]
        left = z @ (directions / np.sqrt(squares))
        along = left.T @ centred
        for penalty in PENALTIES * squares.sum():
            shrinkage = squares / (squares + penalty)
            residuals = centred - left @ (shrinkage * along)
            half_hat = np.column_stack([left * np.sqrt(shrinkage), np.sqrt(share)])
            outside = _left_out_residuals(half_hat, residuals, blocks)
            error = float((outside**2).mean())
            if error < best:
                best = error
                left_out = target - outside / root
                slope = directions @ (np.sqrt(squares) / (squares + penalty) * along)
                intercept = float(mean - middle @ slope)
                chosen = KernelSum(centres, to_basis @ slope, gamma, intercept)
    return chosen, left_out


def _whitening(kernel: Floats) -> Floats:
    """Return the matrix that turns kernels with the centres into orthonormal features."""
    squares, directions = np.linalg.eigh(kernel)
    kept = squares > squares[-1] * 1e-10
    return directions[:, kept] / np.sqrt(squares[kept])


def _blocks(group: Integers) -> list[NDArray[np.int64]]:
    """Return the rows of all groups of a size as an array ``(n_groups, size)``, for each size."""
    _, number, counts = np.unique(group, return_inverse=True, return_counts=True)
    order = np.argsort(number, kind="stable")
    starts = np.cumsum(counts) - counts
    return [order[starts[counts == size][:, None] + np.arange(size)] for size in np.unique(counts)]


def _left_out_residuals(
    half_hat: Floats, residuals: Floats, blocks: list[NDArray[np.int64]]
) -> Floats:
    """Return the left-out residuals of each group, where H = A A^T and ``half_hat`` is A."""
    outside = np.empty_like(residuals)
    for rows in blocks:
        part = half_hat[rows]
        if rows.shape[1] == 1:
            leverage = (part[:, 0] ** 2).sum(1)
            # No other row predicts a row with leverage 1, so its residual stays unchanged.
            alone = leverage >= 1 - 1e-9
            outside[rows[:, 0]] = residuals[rows[:, 0]] / np.where(alone, 1, 1 - leverage)
        else:
            inner = np.eye(rows.shape[1]) * (1 + 1e-12) - part @ part.transpose(0, 2, 1)
            outside[rows] = np.linalg.solve(inner, residuals[rows][..., None])[..., 0]
    return outside

"""Sums of Gaussian kernels: ridge regressions and one-class machines that are plain arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from .costs import Floats, Integers

PENALTIES = np.logspace(-5, 1, 13)
"""Ridge penalties, relative to the mean squared length of the rows."""
RELATIVE_WIDTHS = (0.03, 0.3, 3.0)
"""Factors of the kernel's exponent, over the number of features, for features of variance 1."""
BLOCK = 1 << 22
"""Number of kernel values that are held at once."""


class KernelSum(NamedTuple):
    """Function ``intercept + sum of coefficients * exp(-gamma * |x - centre|^2)``.

    Attributes
    ----------
    centres : ndarray of shape (n_centres, n_features)
        Centres of the kernels.
    coefficients : ndarray of shape (n_centres,)
        Weights of the kernels.
    gamma : float
        Factor of the squared distance.
    intercept : float
        Value far from all centres.
    """

    centres: Floats
    coefficients: Floats
    gamma: float
    intercept: float

    def __call__(self, x: Floats) -> Floats:
        """Return the values of rows, ``(n,)``; each row by itself, to the bit."""
        step = max(BLOCK // max(len(self.centres), 1), 1)
        parts = [
            (rbf(x[i : i + step], self.centres, self.gamma) * self.coefficients).sum(1)
            for i in range(0, len(x), step)
        ]
        return np.concatenate([*parts, np.zeros(0)]) + self.intercept


def rbf(x: Floats, centres: Floats, gamma: float) -> Floats:
    """Return Gaussian kernels ``(n, n_centres)`` of rows and centres."""
    values = cdist(x, centres, "sqeuclidean")
    values *= -gamma
    return np.exp(values, out=values)


def kernel_ridge(
    x: Floats, target: Floats, weight: Floats, group: Integers, centres: Floats
) -> tuple[KernelSum, Floats]:
    """Fit a ridge regression on Gaussian kernels, with the width and penalty that predict best.

    With all rows as centres this is kernel ridge regression; with fewer it is its Nystroem form.
    A width and a penalty are judged by predictions of rows from the other groups. These are in
    closed form, of the one fit: with the hat matrix H, the residuals of a group that is left out
    are (1 - H_gg)^-1 times its residuals.

    Parameters
    ----------
    x : ndarray of shape (n, n_features)
        Rows.
    target : ndarray of shape (n,)
        Values to predict.
    weight : ndarray of shape (n,)
        Positive weights.
    group : ndarray of shape (n,)
        Group of each row; rows of a group are left out together.
    centres : ndarray of shape (n_centres, n_features)
        Centres of the kernels.

    Returns
    -------
    function : KernelSum
        The regression.
    left_out : ndarray of shape (n,)
        Prediction of each row without its group.
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
    """Return the matrix that makes kernels of the centres into orthonormal features."""
    squares, directions = np.linalg.eigh(kernel)
    kept = squares > squares[-1] * 1e-10
    return directions[:, kept] / np.sqrt(squares[kept])


def _blocks(group: Integers) -> list[NDArray[np.int64]]:
    """Return the rows of each group, ``(n_groups, size)`` for each size of groups."""
    _, number, counts = np.unique(group, return_inverse=True, return_counts=True)
    order = np.argsort(number, kind="stable")
    starts = np.cumsum(counts) - counts
    return [order[starts[counts == size][:, None] + np.arange(size)] for size in np.unique(counts)]


def _left_out_residuals(
    half_hat: Floats, residuals: Floats, blocks: list[NDArray[np.int64]]
) -> Floats:
    """Return the residuals of each group by the fit without it; the hat matrix is A A^T."""
    outside = np.empty_like(residuals)
    for rows in blocks:
        part = half_hat[rows]
        if rows.shape[1] == 1:
            leverage = (part[:, 0] ** 2).sum(1)
            # A row with all the weight leaves no others to predict it; its residual stays.
            alone = leverage >= 1 - 1e-9
            outside[rows[:, 0]] = residuals[rows[:, 0]] / np.where(alone, 1, 1 - leverage)
        else:
            inner = np.eye(rows.shape[1]) * (1 + 1e-12) - part @ part.transpose(0, 2, 1)
            outside[rows] = np.linalg.solve(inner, residuals[rows][..., None])[..., 0]
    return outside

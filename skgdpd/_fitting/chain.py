"""Linear maps in closed form, from one moment of series to the next and to the labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
RANK = 1e-9
"""Singular values below this share of the largest one are rounding errors."""


class LinearMap(NamedTuple):
    """Linear map ``x @ weight + bias``.

    Attributes
    ----------
    weight : ndarray of shape (n_in, n_out)
        Weights.
    bias : ndarray of shape (n_out,)
        Offsets.
    """

    weight: Floats
    bias: Floats

    def __call__(self, x: Floats) -> Floats:
        """Map rows ``(n, n_in)`` to ``(n, n_out)``."""
        return x @ self.weight + self.bias

    def then(self, other: LinearMap) -> LinearMap:
        """Return the map that applies this map and then ``other``."""
        return LinearMap(self.weight @ other.weight, self.bias @ other.weight + other.bias)


def ridge_map(x: Floats, target: Floats, penalties: Sequence[float]) -> LinearMap:
    """Fit a ridge regression with the penalty that has the least leave-one-out error.

    Parameters
    ----------
    x : ndarray of shape (n, n_in)
        Inputs.
    target : ndarray of shape (n, n_out)
        Values to predict.
    penalties : sequence of float
        Candidate penalties. 0 alone gives least squares, with the solution of least norm.

    Returns
    -------
    LinearMap
    """
    mean, middle = x.mean(0), target.mean(0)
    left, sizes, right = np.linalg.svd(x - mean, full_matrices=False)
    kept = sizes > RANK * max(sizes.max(initial=0), np.finfo(float).tiny)
    left, squares, right = left[:, kept], sizes[kept] ** 2, right[kept]
    along = left.T @ (target - middle)
    chosen = penalties[0]
    if len(penalties) > 1 and target.size:
        errors = []
        for penalty in penalties:
            shares = squares / (squares + penalty)
            leverage = np.minimum(left**2 @ shares + 1 / len(x), 1 - 1e-9)[:, None]
            residual = target - middle - left @ (shares[:, None] * along)
            errors.append(float(np.mean((residual / (1 - leverage)) ** 2)))
        chosen = penalties[int(np.argmin(errors))]
    weight = right.T @ ((np.sqrt(squares) / (squares + chosen))[:, None] * along)
    return LinearMap(weight, middle - mean @ weight)


def chain_map(
    states: Sequence[Floats], target: Floats, known: NDArray[np.int64], penalties: Sequence[float]
) -> LinearMap:
    """Fit a map from the first moment to a target, through all moments between.

    Parameters
    ----------
    states : sequence of ndarray of shape (n, n_features)
        Features of all series at each moment; widths may differ.
    target : ndarray of shape (n_known, n_out)
        Values to predict, for the known series.
    known : ndarray of shape (n_known,)
        Row numbers of the known series.
    penalties : sequence of float
        Candidate penalties of each map.

    Returns
    -------
    LinearMap
        Composition of the maps. With a single moment, it is the direct regression.
    """
    found = ridge_map(states[-1][known], target, penalties)
    for now, after in zip(states[-2::-1], states[:0:-1], strict=True):
        found = ridge_map(now, after, penalties).then(found)
    return found

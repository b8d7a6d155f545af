"""Split of labelled series into a training and a validation part."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]


def stratified_split(y: NDArray[np.int64], fraction: float, seed: int) -> tuple[Index, Index]:
    """Split rows at random into a training and a validation part, class by class.

    Unlike scikit-learn's splitters, this function supports classes of any size. The number of
    validation rows of a class is rounded, and at least one row stays in the training part.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Class numbers.
    fraction : float
        Fraction of each class for validation, in [0, 1).
    seed : int
        Seed of the random draw.

    Returns
    -------
    train, valid : ndarray of int
        Row numbers in ascending order; ``valid`` may be empty.
    """
    rng = np.random.default_rng(seed)
    valid: list[Index] = []
    for label in np.unique(y):
        members = rng.permutation(np.flatnonzero(y == label))
        n_valid = min(round(fraction * len(members)), len(members) - 1)
        valid.append(members[:n_valid])
    chosen = np.sort(np.concatenate(valid))
    return np.setdiff1d(np.arange(len(y)), chosen), chosen

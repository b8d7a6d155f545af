"""Keeping some of the labelled series for validation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]


def stratified_split(y: NDArray[np.int64], fraction: float, seed: int) -> tuple[Index, Index]:
    """Training and validation rows, in random order within each class.

    Unlike scikit-learn's splitters it never refuses: of each class the nearest number to
    ``fraction`` is kept for validation, but one at least stays for training.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Class numbers.
    fraction : float
        Part of each class for validation, in [0, 1).
    seed : int
        Of the draw.

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

"""Folds for cross-validation that keep groups together and spread classes evenly."""

from __future__ import annotations

import numpy as np

from .costs import Integers


def fold_numbers(y: Integers, group: Integers, n_folds: int, rng: np.random.Generator) -> Integers:
    """Return the fold of each row.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Class numbers. The class of a group is the class of its first row.
    group : ndarray of shape (n,)
        Number of the group of each row. Rows of a group are in the same fold.
    n_folds : int
        Number of folds. With fewer groups than folds, each group is a fold.
    rng : numpy.random.Generator
        Random generator of the order within a class.

    Returns
    -------
    ndarray of shape (n,)
        Number of the fold of each row, from 0.
    """
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    order = np.lexsort((rng.random(len(first)), y[first]))
    fold_of_group = np.empty(len(first), dtype=np.int64)
    fold_of_group[order] = np.arange(len(first)) % n_folds
    return fold_of_group[inverse]

"""Rows held out in turn: groups stay together, and classes are spread evenly."""

from __future__ import annotations

import numpy as np

from .costs import Integers


def fold_numbers(y: Integers, group: Integers, n_folds: int, rng: np.random.Generator) -> Integers:
    """Divide rows into folds.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Numbers of the classes. Groups are spread over the folds by the class of their first row.
    group : ndarray of shape (n,)
        Number of the group of each row.
    n_folds : int
        Number of folds. Of fewer groups, each is a fold.
    rng : numpy.random.Generator
        Generator of the order.

    Returns
    -------
    ndarray of shape (n,)
        Fold of each row, from 0.
    """
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    order = np.lexsort((rng.random(len(first)), y[first]))
    fold_of_group = np.empty(len(first), dtype=np.int64)
    fold_of_group[order] = np.arange(len(first)) % n_folds
    return fold_of_group[inverse]

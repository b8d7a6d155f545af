"""The compiled evaluation of :class:`~skgdpd.nets.forest.Forest`, for CPUs."""

from __future__ import annotations

from functools import cache
from typing import Any

import numba as nb
import numpy as np
from numpy.typing import NDArray

from .._runtime.compiled import compiled


def _run(x: Any, feature: Any, threshold: Any, right: Any, leaf: Any, root: Any, out: Any) -> None:
    for tree in range(len(root)):
        for i in range(len(x)):
            node = root[tree]
            while right[node] != node:
                goes_left = x[i, feature[node]] <= threshold[node]
                node = node + 1 if goes_left else right[node]
            out[i, tree] = leaf[node]


@cache
def _compiled() -> Any:
    rows = nb.types.Array(nb.float32, 2, "A", readonly=True)
    whole = nb.types.Array(nb.int32, 1, "C", readonly=True)
    real = nb.types.Array(nb.float32, 1, "C", readonly=True)
    out = nb.types.Array(nb.int64, 2, "C")
    return compiled(_run, nb.void(rows, whole, real, whole, whole, whole, out))


def leaves(
    x: NDArray[np.float32],
    feature: NDArray[np.int32],
    threshold: NDArray[np.float32],
    right: NDArray[np.int32],
    leaf: NDArray[np.int32],
    root: NDArray[np.int32],
) -> NDArray[np.int64]:
    """Return the leaf of each row in each tree.

    Parameters
    ----------
    x : ndarray of shape (n, n_features)
        Rows.
    feature, threshold, right, leaf : ndarray of shape (n_nodes,)
        Nodes of all trees, as in ``Forest``.
    root : ndarray of shape (n_trees,)
        First node of each tree.

    Returns
    -------
    ndarray of shape (n, n_trees)
    """
    out = np.empty((len(x), len(root)), np.int64)
    _compiled()(x, feature, threshold, right, leaf, root, out)
    return out

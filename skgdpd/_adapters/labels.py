"""Labels in a format that sktime and aeon can count and sort."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._series.unlabeled import split_marked


def without_marks(y: Any, marker: Any) -> NDArray[Any] | None:
    """Return y with an arbitrary label instead of each missing label.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels.
    marker : object
        A value of y that means a missing label, in addition to None, NaN, NaT and pandas' NA.

    Returns
    -------
    ndarray of shape (n,) or None
        Labels; None if no label is missing, or if y is not one column, which is refused elsewhere.

    Raises
    ------
    ValueError
        If there is only one class besides the missing labels.
    """
    if np.ndim(y) != 1:
        return None
    labels, missing = split_marked(y, marker)
    if not missing.any():
        return None
    # Both packages would make a classifier that always gives this class.
    if len(np.unique(labels)) == 1:
        raise ValueError(
            f"y has one class, {labels.tolist()[0]!r}, beside {int(missing.sum())} of "
            f"{len(missing)} labels that are missing (None, NaN, or unlabeled={marker!r}); "
            f"a classifier needs two classes at least"
        )
    filled = np.full(len(missing), labels[0], dtype=labels.dtype)
    filled[~missing] = labels
    return filled

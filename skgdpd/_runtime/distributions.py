"""Checks that rows are probability distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SUM_TOLERANCE = 1e-3
"""Tolerance of the sum of a row of probabilities, far above rounding in single precision."""


def check_distributions(rows: NDArray[Any], name: str) -> None:
    """Raise an error unless each row is a probability distribution.

    Parameters
    ----------
    rows : ndarray of shape (n, n_classes)
        Probabilities.
    name : str
        Name of the source of the probabilities, for errors.

    Raises
    ------
    ValueError
        If a value is negative or NaN, or if a sum is not 1. The error names the first such row.
    """
    good = (rows >= 0).all(1) & (np.abs(rows.sum(1) - 1) <= SUM_TOLERANCE)
    if good.all():
        return
    row = int((~good).argmax())
    shown = np.array2string(rows[row], precision=4, separator=", ", threshold=8)
    raise ValueError(
        f"{name} must have probabilities that are not negative and sum to 1, but row {row} of "
        f"{len(rows)} is {shown}, with the sum {rows[row].sum():.4g}"
    )


def checked_answers(
    answers: Any, n: int, classes: NDArray[Any], whose: str
) -> NDArray[np.float64]:
    """Return the output of a classifier's ``predict_proba``, after a check.

    Parameters
    ----------
    answers : array-like
        Output of ``predict_proba``.
    n : int
        Number of series.
    classes : ndarray of shape (n_classes,)
        Classes of the classifier.
    whose : str
        Name of the classifier, for errors.

    Returns
    -------
    ndarray of shape (n, n_classes)
        Probabilities in double precision.

    Raises
    ------
    ValueError
        If the output has the wrong shape, or if a row is not a probability distribution.
    """
    try:
        proba = np.asarray(answers, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"predict_proba of {whose} gave no array of numbers: {error}") from error
    if proba.shape != (n, len(classes)):
        raise ValueError(
            f"predict_proba of {whose} gave the shape {proba.shape} for {n} series; with the "
            f"classes {classes.tolist()} it must be {(n, len(classes))}"
        )
    check_distributions(proba, f"predict_proba of {whose}")
    return proba

"""Checks of labels and classifiers, for displays of early answers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from .._early.classifier import EarlyClassifier
from .._series.unlabeled import refuse_marked


def checked_classes(classes: ArrayLike, n_classes: int) -> NDArray[Any]:
    """Return the label of each column of probabilities.

    Parameters
    ----------
    classes : array-like of shape (n_classes,)
        Labels.
    n_classes : int
        Number of columns.

    Returns
    -------
    ndarray of shape (n_classes,)

    Raises
    ------
    ValueError
        If they are fewer or more, or not distinct.
    """
    known = np.asarray(classes)
    if known.shape != (n_classes,) or len(set(known.tolist())) < n_classes:
        raise ValueError(
            f"classes is {known.tolist()}; the probabilities have {n_classes} columns, so there "
            f"must be {n_classes} distinct labels"
        )
    return known


def class_numbers(
    y: ArrayLike, classes: ArrayLike | None, n: int, n_classes: int, name: str = "y"
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the number of each label's class, and the classes.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels.
    classes : array-like of shape (n_classes,) or None
        Label of each column of the probabilities, ascending. None is the sorted labels of ``y``.
    n : int
        Number of labels that there must be.
    n_classes : int
        Number of classes that there must be.
    name : str, default="y"
        Name of the labels in errors.

    Returns
    -------
    numbers : ndarray of shape (n,)
        Numbers of the classes.
    classes : ndarray of shape (n_classes,)
        The classes.

    Raises
    ------
    ValueError
        If a label is missing or unknown, or if one of the numbers is another.
    """
    labels = refuse_marked(y)
    if labels.shape != (n,):
        raise ValueError(f"{name} has shape {labels.shape}; there are {n} series, so give {(n,)}")
    known = checked_classes(np.unique(labels) if classes is None else classes, n_classes)
    place = {label: i for i, label in enumerate(known.tolist())}
    unknown = sorted({label for label in labels.tolist() if label not in place}, key=str)
    if unknown:
        raise ValueError(f"{name} has the labels {unknown}; the classes are {known.tolist()}")
    return np.array([place[label] for label in labels.tolist()], dtype=np.int64), known


def check_early(early: Any) -> EarlyClassifier:
    """Return a fitted ``EarlyClassifier``, or raise an error for anything else.

    Parameters
    ----------
    early : EarlyClassifier
        Fitted classifier.

    Returns
    -------
    EarlyClassifier
        The same.

    Raises
    ------
    TypeError
        If it is none.
    NotFittedError
        If it is not fitted.
    """
    if not isinstance(early, EarlyClassifier):
        raise TypeError(
            f"{type(early).__name__} has no rule of when to answer; give an EarlyClassifier"
        )
    check_is_fitted(early)
    return early

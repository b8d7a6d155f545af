"""Series without a label among those that have one, marked in y."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import check_cv
from sklearn.utils import column_or_1d, indexable

Mask = NDArray[np.bool_]


def split_marked(y: Any, marker: Any) -> tuple[NDArray[Any], Mask]:
    """Labels of the rows that have one, and a mask of those that haven't.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, and the marker where there is none.
    marker : object
        The value that stands for no label; NaN stands for None and pandas' NA too.

    Returns
    -------
    labels : ndarray of shape (n_labelled,)
        An array of objects becomes one of numbers or strings if it holds only such.
    unlabeled : ndarray of bool of shape (n,)
        Where the marker is.

    Raises
    ------
    ValueError
        If no row has a label, if the marker is of a type that no label has and is never met, or
        if it is a collection.
    """
    if not (isinstance(marker, (str, Number)) or np.ndim(marker) == 0):
        raise ValueError(
            f"unlabeled={marker!r} must be one value of y: a number, a string, or NaN (which "
            f"stands for None too)"
        )
    if not hasattr(y, "__array__"):
        # numpy would make strings of numbers beside strings, and hide the marker.
        values = np.empty(len(y), dtype=object)
        values[:] = list(y)
        y = values
    column: NDArray[Any] = column_or_1d(y, warn=True)
    if _is_missing(marker):
        mask = np.array([_is_missing(value) for value in column], dtype=bool)
    else:
        mask = np.array([bool(np.all(value == marker)) for value in column], dtype=bool)
    labels = column[~mask]
    if not len(labels):
        raise ValueError(
            f"all {len(column)} values of y are unlabeled={marker!r}; a classifier needs labelled "
            f"series too"
        )
    if not mask.any() and not _is_missing(marker) and not _alike(marker, labels[0]):
        raise ValueError(
            f"unlabeled={marker!r} is a {type(marker).__name__}, but y holds values such as "
            f"{labels.tolist()[0]!r}; it must be a value that y can hold"
        )
    if labels.dtype == object and (
        all(isinstance(v, str) for v in labels) or all(isinstance(v, Number) for v in labels)
    ):
        labels = np.array(labels.tolist())
    return labels, mask


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ == "NAType":
        return True
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def _alike(a: Any, b: Any) -> bool:
    return isinstance(a, str) == isinstance(b, str)


class LabeledFolds:
    """Splits the labelled series into folds; those without a label are in every training part.

    For ``cv=`` of searches and cross-validation, where unlabelled series are marked in y: a score
    on them would mean nothing, and every fold may learn from them.

    Parameters
    ----------
    cv : int or splitter, default=5
        Splits the labelled series; an int is of stratified folds.
    unlabeled : object
        The value of y that marks a series without a label, as given to the classifier.

    Notes
    -----
    scikit-learn's scorers take labels that are strings, or numbers in an array of numbers: mark
    by a string, a number, or NaN, rather than by None in an array of objects.

    Examples
    --------
    >>> import numpy as np
    >>> from skgdpd import LabeledFolds
    >>> y = np.array(["a", "?", "b", "a", "b", "?"])
    >>> for train, test in LabeledFolds(2, unlabeled="?").split(y, y):
    ...     print(train, test)
    [1 3 4 5] [0 2]
    [0 1 2 5] [3 4]
    """

    def __init__(self, cv: Any = 5, *, unlabeled: Any) -> None:
        self.cv = cv
        self.unlabeled = unlabeled

    def split(self, X: Any, y: Any, groups: Any = None) -> Iterator[tuple[Any, Any]]:
        """Row numbers of training and test parts.

        Parameters
        ----------
        X : array-like of shape (n, ...)
            Series; only their number counts.
        y : array-like of shape (n,)
            Labels and markers.
        groups : array-like of shape (n,), optional
            For splitters that keep groups together; those of unlabelled rows have no effect.

        Yields
        ------
        train, test : ndarray of int
            In ascending order; no unlabelled row is in ``test``.
        """
        if y is None:
            raise ValueError("LabeledFolds needs y, in which unlabelled series are marked")
        X, y, groups = indexable(X, y, groups)
        labels, mask = split_marked(y, self.unlabeled)
        known, unknown = np.flatnonzero(~mask), np.flatnonzero(mask)
        own_groups = None if groups is None else np.asarray(groups)[known]
        splitter = check_cv(self.cv, labels, classifier=True)
        for train, test in splitter.split(np.zeros((len(known), 1)), labels, own_groups):
            yield np.sort(np.concatenate([known[train], unknown])), np.sort(known[test])

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Number of splits.

        Parameters
        ----------
        X : object
            Ignored.
        y : array-like of shape (n_samples,), optional
            Labels, and the marker; some splitters need them to tell.
        groups : array-like of shape (n_samples,), optional
            Groups; some splitters need them to tell.

        Returns
        -------
        int
        """
        if y is None:
            return check_cv(self.cv, classifier=True).get_n_splits()
        labels, mask = split_marked(y, self.unlabeled)
        own_groups = None if groups is None else np.asarray(groups)[~mask]
        splitter = check_cv(self.cv, labels, classifier=True)
        return splitter.get_n_splits(np.zeros((len(labels), 1)), labels, own_groups)

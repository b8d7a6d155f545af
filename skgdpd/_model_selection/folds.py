"""Cross-validation folds of labelled series, and checks of the rows of folds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import BaseCrossValidator, check_cv
from sklearn.utils import indexable

from .._runtime.arguments import about
from .._series.unlabeled import split_marked

Rows = NDArray[np.int64]


class LabeledFolds(BaseCrossValidator):
    """Splitter of labelled series that keeps unlabelled series in every training part.

    Use it as ``cv`` of searches and of cross-validation if y marks unlabelled series. All
    unlabelled series are in the training part of each fold, and only labelled series are scored.

    Parameters
    ----------
    cv : int, splitter or iterable, default=5
        Split of the labelled series: a number of stratified folds, a splitter, or an iterable of
        pairs of training and test indices. The indices count labelled series only.
    unlabeled : object, default=None
        The value of y that marks an unlabelled series, in addition to None, NaN and pandas' NA.
        It must be equal to ``unlabeled`` of the classifier.

    See Also
    --------
    SharedGridSearchCV : Grid search that refuses other splitters if y marks series.

    Notes
    -----
    With these folds, every scorer of scikit-learn works for all labels but one kind: numbers in an
    array of objects, such as ``np.array([0, None, 1], dtype=object)``, which the metrics of
    scikit-learn reject. Use an array of floats with NaN, a list, or a nullable type of pandas
    instead. With ``scoring=None``, arrays of objects work, too.

    With other splitters, such as an int, unlabelled rows are in test parts. The method ``score``
    of the classifiers (``scoring=None``) then raises an error. The scorers of scikit-learn, such
    as ``"accuracy"``, raise an error for None and NaN. But they treat a value named by
    ``unlabeled=``, such as ``-1``, as a class, and count each unlabelled row as an error. Mark
    unlabelled rows by None or NaN to be safe.

    ``cross_val_predict`` needs every row in a test part. Therefore it works for labelled series
    only.

    Examples
    --------
    >>> import numpy as np
    >>> from skgdpd import LabeledFolds
    >>> y = np.array(["a", None, "b", "a", "b", None], dtype=object)
    >>> for train, test in LabeledFolds(2).split(y, y):
    ...     print(train, test)
    [1 3 4 5] [0 2]
    [0 1 2 5] [3 4]
    """

    # scikit-learn's metadata routing passes groups on, as to GroupKFold.
    __metadata_request__split = {"groups": True}

    def __init__(self, cv: Any = 5, *, unlabeled: Any = None) -> None:
        # An iterator of pairs can be read only once, but several searches may use the splitter.
        is_iterable = hasattr(cv, "__iter__") and not hasattr(cv, "split")
        self.cv = check_cv(cv) if is_iterable else cv
        self.unlabeled = unlabeled

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Any, Any]]:
        """Yield row numbers of training and test parts.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Series. Only their number matters.
        y : array-like of shape (n_samples,)
            Labels, some of them missing.
        groups : array-like of shape (n_samples,), optional
            Groups that stay together, for splitters that use groups. Groups of unlabelled rows
            have no effect.

        Yields
        ------
        train, test : ndarray of int
            Row numbers in ascending order. All unlabelled rows are in ``train``.

        Raises
        ------
        ValueError
            If y is None or has no labels, if there are no folds, or if a part of a fold is empty
            or has a number that is not one of a labelled series.
        """
        if y is None:
            raise ValueError("LabeledFolds needs y, where missing labels mark unlabelled series")
        X, y, groups = indexable(X, y, groups)
        labels, mask = split_marked(y, self.unlabeled)
        known, unknown = np.flatnonzero(~mask), np.flatnonzero(mask)
        own_groups = None if groups is None else np.asarray(groups)[known]
        for train, test in split_rows(
            self.cv, np.zeros((len(known), 1)), labels, groups=own_groups
        ):
            yield np.sort(np.concatenate([known[train], unknown])), np.sort(known[test])

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X : object
            Ignored.
        y : array-like of shape (n_samples,), optional
            Labels, some of them missing. Some splitters need them.
        groups : array-like of shape (n_samples,), optional
            Groups. Some splitters need them.

        Returns
        -------
        int
            Number of pairs that :meth:`split` yields.
        """
        if y is None:
            return check_cv(self.cv, classifier=True).get_n_splits()
        labels, mask = split_marked(y, self.unlabeled)
        own_groups = None if groups is None else np.asarray(groups)[~mask]
        splitter = check_cv(self.cv, labels, classifier=True)
        return splitter.get_n_splits(np.zeros((len(labels), 1)), labels, own_groups)


def split_rows(cv: Any, X: Any, y: Any, **params: Any) -> list[tuple[Rows, Rows]]:
    """Return the rows of the training part and the test part of each fold.

    Parameters
    ----------
    cv : int, splitter or iterable
        Number of folds, splitter, or iterable of pairs of row numbers.
    X, y : array-like
        Series and labels.
    **params
        Further arguments of the splitter's ``split``.

    Returns
    -------
    list of pairs of ndarray of int

    Raises
    ------
    ValueError
        If there are no folds, if a part is empty, or if a row number is not a row of X.
    """
    with about("cv"):
        folds = [
            (checked_rows(train, len(y)), checked_rows(test, len(y)))
            for train, test in check_cv(cv, y, classifier=True).split(X, y, **params)
        ]
    if not folds:
        raise ValueError(f"cv={cv!r} has no folds; at least one is needed")
    return folds


def checked_rows(rows: Any, n: int) -> NDArray[np.int64]:
    """Return the row numbers of a part of a fold, after a check.

    Parameters
    ----------
    rows : array-like of int
        Row numbers.
    n : int
        Number of all rows.

    Returns
    -------
    ndarray of int

    Raises
    ------
    ValueError
        If there are no row numbers, or if one is out of range.
    """
    index = np.asarray(rows)
    if index.ndim != 1 or not len(index) or index.dtype.kind not in "iu":
        raise ValueError(f"{rows!r} is not a list of row numbers, one at least")
    if index.min() < 0 or index.max() >= n:
        raise ValueError(f"rows must be from 0 to {n - 1}, got {index.min()} to {index.max()}")
    return index

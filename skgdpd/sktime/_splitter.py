"""Folds that sktime cannot misread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import BaseCrossValidator, check_cv


class SortedSplitter(BaseCrossValidator):
    """Folds in the order in which sktime's ``evaluate`` reads them.

    sktime's ``evaluate``, and with it ``ClassificationBenchmark`` and ``TSCGridSearchCV``, takes
    the series of a fold in the order of the panel, but their labels in the order of the fold's
    indices. With ``ShuffleSplit``, ``StratifiedShuffleSplit`` or any other splitter whose indices
    are not in ascending order, it trains and scores on wrong pairs without a word. This
    sorts the indices: the same folds, the right pairs.

    Parameters
    ----------
    cv : int, splitter or iterable
        What scikit-learn takes for ``cv``: a number of folds, stratified if there is ``y``; a
        splitter; or pairs of training and test indices.
    y : array-like of shape (n_samples,), optional
        Labels, for splitters that need them and are not given any, as by ``evaluate``.
    groups : array-like of shape (n_samples,), optional
        Groups, likewise.

    Examples
    --------
    >>> from sklearn.model_selection import ShuffleSplit
    >>> from skgdpd.sktime import SortedSplitter
    >>> shuffled = ShuffleSplit(1, test_size=3, random_state=0)
    >>> [test.tolist() for _, test in shuffled.split(range(8))]
    [[6, 2, 1]]
    >>> [test.tolist() for _, test in SortedSplitter(shuffled).split(range(8))]
    [[1, 2, 6]]
    """

    def __init__(
        self,
        cv: int | BaseCrossValidator | Iterable[Any],
        y: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> None:
        self.cv = cv
        self.y = y
        self.groups = groups
        self._splitter = check_cv(cv, y, classifier=y is not None)

    def split(
        self, X: Any, y: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield indices of training and test series, each in ascending order.

        Parameters
        ----------
        X : array-like of length n_samples
            The series, or anything with as many entries.
        y, groups : array-like of shape (n_samples,), optional
            In place of those given to the constructor.

        Yields
        ------
        train, test : ndarray of shape (n_train,), ndarray of shape (n_test,)
            Indices of a fold.

        Raises
        ------
        ValueError
            If an index occurs twice in a part, as in a bootstrap: ``evaluate`` would take the
            series once and its label twice.
        """
        y = self.y if y is None else y
        groups = self.groups if groups is None else groups
        for number, fold in enumerate(self._splitter.split(X, y, groups)):
            train, test = (np.arange(len(X))[part] for part in fold)
            for name, part in (("training", train), ("test", test)):
                if len(np.unique(part)) < len(part):
                    raise ValueError(
                        f"cv={self.cv!r} draws series more than once into the {name} part of fold "
                        f"{number}; sktime's evaluate would take each once, but all their labels"
                    )
            yield np.sort(train), np.sort(test)

    def get_n_splits(
        self, X: Any = None, y: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> int:
        """Count the folds.

        Parameters
        ----------
        X, y, groups : array-like, optional
            As for ``split``; some splitters need them.

        Returns
        -------
        int
            Their number.
        """
        y = self.y if y is None else y
        groups = self.groups if groups is None else groups
        return self._splitter.get_n_splits(X, y, groups)

"""Splitter whose folds have the order that sktime assumes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import BaseCrossValidator, check_cv


class SortedSplitter(BaseCrossValidator):
    """Splitter that sorts the indices of each fold in ascending order, as sktime requires.

    The function ``evaluate`` of sktime takes the series of a fold in the order of the panel, but
    their labels in the order of the fold's indices. ``ClassificationBenchmark`` and
    ``TSCGridSearchCV`` use this function. With ``ShuffleSplit``, ``StratifiedShuffleSplit`` or
    any other splitter with unsorted indices, they train and score on wrong pairs of series and
    labels, without an error. This splitter makes the same folds with sorted indices.

    Parameters
    ----------
    cv : int, splitter or iterable
        Number of folds, which are stratified if ``y`` is given; a splitter; or an iterable of
        pairs of training and test indices.
    y : array-like of shape (n_samples,), optional
        Labels for splitters that need them, such as ``LabeledFolds``, because ``evaluate`` passes
        no labels.
    groups : array-like of shape (n_samples,), optional
        Groups for splitters that need them.

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
            Series. Only their number matters.
        y, groups : array-like of shape (n_samples,), optional
            Labels and groups. They replace those of the constructor.

        Yields
        ------
        train, test : ndarray of shape (n_train,), ndarray of shape (n_test,)
            Indices of the training part and of the test part.

        Raises
        ------
        ValueError
            If an index occurs twice in a part, as in a bootstrap sample. ``evaluate`` would use
            the series once but its label twice.
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
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups : array-like, optional
            Data as for ``split``. Some splitters need them.

        Returns
        -------
        int
            Number of folds.
        """
        y = self.y if y is None else y
        groups = self.groups if groups is None else groups
        return self._splitter.get_n_splits(X, y, groups)

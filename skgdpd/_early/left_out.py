"""Left-out paths: probabilities of training series by models that were fitted without them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from joblib import delayed
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from .._runtime.arguments import about
from .._series.panel import Panel
from ..training.progress import SILENT, Progress
from .costs import Floats
from .steps import in_order

Fold = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Row numbers of the training part and of the left-out part."""

ROW_BY_ROW = ("sample_weight", "X_teacher")
"""Names of the arguments of ``fit`` that have an entry for each series of X."""


def cross_fitted_path(
    classifier: Any,
    panel: Panel,
    y: NDArray[Any],
    folds: Sequence[Fold],
    classes: NDArray[Any],
    *,
    fit_params: dict[str, Any],
    n_jobs: int | None = None,
    progress: Progress = SILENT,
) -> Floats:
    """Return the left-out path of each training series, by cross-validation.

    Parameters
    ----------
    classifier : estimator
        Classifier with ``predict_proba_path``. A clone of it is fitted for each fold.
    panel : Panel
        Training series.
    y : ndarray of shape (n,)
        Labels. Labels may be missing.
    folds : sequence of pairs of ndarray of int
        Row numbers of the training part and of the left-out part of each fold; see
        :func:`left_out_folds`.
    classes : ndarray of shape (n_classes,)
        All labels, in ascending order.
    fit_params : dict
        Further arguments of ``fit``.
    n_jobs : int, optional
        Number of processes. None means one.
    progress : Progress, optional
        Progress bar, which advances by one for each fold.

    Returns
    -------
    ndarray of shape (n, n_moments, n_classes)
        Class probabilities; NaN for series without a label and at moments that a series has not
        reached.
    """
    calls = (
        delayed(_fold_path)(
            clone(classifier),
            panel,
            y,
            train,
            test,
            classes,
            fit_params,
        )
        for train, test in folds
    )
    paths = in_order(calls, n_jobs, progress, "folds")
    found = np.full((len(panel), *paths[0].shape[1:]), np.nan)
    for (_, test), path in zip(folds, paths, strict=True):
        found[test] = path
    return found


def left_out_folds(
    cv: Any,
    numbers: NDArray[np.int64],
    classes: NDArray[Any],
    groups: NDArray[Any] | None,
    seed: int,
) -> list[Fold]:
    """Return folds in which each labelled series is left out exactly once.

    Series without a label are in the training part of every fold.

    Parameters
    ----------
    cv : int or splitter
        Number of folds, or a splitter of scikit-learn.
    numbers : ndarray of shape (n,)
        Class numbers; -1 for series without a label.
    classes : ndarray of shape (n_classes,)
        Labels by class number, for error messages.
    groups : ndarray of shape (n,) or None
        Group of each series. Series of a group are left out together.
    seed : int
        Seed of the folds if ``cv`` is a number.

    Returns
    -------
    list of pairs of ndarray of int
        Row numbers of the training part and of the left-out part of each fold.

    Raises
    ------
    ValueError
        If a class has only one series or one group. If the splitter can't split the series. If
        it does not leave each series out exactly once. If a training part has only one class.
    """
    known, always = np.flatnonzero(numbers >= 0), np.flatnonzero(numbers < 0)
    own, own_groups = numbers[known], None if groups is None else groups[known]
    split = splitter(cv, own, classes, own_groups, seed)
    with about("cv"):
        pairs = list(split.split(known, own, own_groups))
    tests = np.concatenate([test for _, test in pairs])
    n_tests = np.bincount(tests, minlength=len(known))
    if (n_tests != 1).any():
        raise ValueError(
            f"cv={cv!r} predicts {int((n_tests == 0).sum())} series never and "
            f"{int((n_tests > 1).sum())} more than once; each must be left out once, as by KFold"
        )
    for train, _ in pairs:
        there = np.unique(own[train])
        if len(there) < min(2, len(np.unique(own))):
            alone = classes.tolist()[there[0]] if len(there) else None
            raise ValueError(
                f"cv={cv!r} fits the classifier to the class {alone!r} alone in one of its parts; "
                f"each must have two classes at least, as by StratifiedKFold"
            )
    return [
        (np.sort(np.concatenate([known[train], always])), known[test]) for train, test in pairs
    ]


def splitter(
    cv: Any,
    numbers: NDArray[np.int64],
    classes: NDArray[Any],
    groups: NDArray[Any] | None,
    seed: int,
) -> Any:
    """Return a splitter whose folds are stratified by label and keep groups together.

    Parameters
    ----------
    cv : int or splitter
        Number of folds, or a splitter, which is returned unchanged. The number of folds is
        reduced to the size of the smallest class if that is less.
    numbers : ndarray of shape (n,)
        Class numbers.
    classes : ndarray of shape (n_classes,)
        Labels by class number, for error messages.
    groups : ndarray of shape (n,) or None
        Group of each series.
    seed : int
        Seed of the folds.

    Returns
    -------
    splitter
        Object with the ``split`` method of scikit-learn's splitters.

    Raises
    ------
    ValueError
        If a class has only one series or one group.
    """
    if hasattr(cv, "split"):
        return cv
    there = np.unique(numbers)
    sizes = [
        np.count_nonzero(numbers == k) if groups is None else len(np.unique(groups[numbers == k]))
        for k in there
    ]
    if min(sizes) < 2:
        rare = classes[there].tolist()[sizes.index(min(sizes))]
        unit = "series" if groups is None else "group"
        raise ValueError(
            f"y has one {unit} of the class {rare!r}; at least two are needed, since each is "
            f"predicted by a model that was fitted without it"
        )
    n_folds = min(cv, *sizes)
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    return kind(n_folds, shuffle=True, random_state=seed)


def rows_of(fit_params: dict[str, Any], rows: NDArray[np.int64]) -> dict[str, Any]:
    """Return the arguments of ``fit`` for the given rows."""
    return {
        name: _taken(value, rows) if _is_row_by_row(name) and value is not None else value
        for name, value in fit_params.items()
    }


def _is_row_by_row(name: str) -> bool:
    # Pipelines put the name of the step first: logisticregression__sample_weight.
    return name.rsplit("__", 1)[-1] in ROW_BY_ROW


def _taken(value: Any, rows: NDArray[np.int64]) -> Any:
    if isinstance(value, list):
        return [value[i] for i in rows]
    return value.iloc[rows] if hasattr(value, "iloc") else np.asarray(value)[rows]


def _fold_path(
    classifier: Any,
    panel: Panel,
    y: NDArray[Any],
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    classes: NDArray[Any],
    fit_params: dict[str, Any],
) -> Floats:
    classifier.fit(series_of(panel.take(train)), y[train], **rows_of(fit_params, train))
    path = classifier.predict_proba_path(series_of(panel.take(test)))
    # A rare class may be missing from the training part of a fold.
    found = np.zeros((*path.shape[:2], len(classes)))
    found[..., np.searchsorted(classes, classifier.classes_)] = path
    found[np.isnan(path[..., 0])] = np.nan
    return found


def series_of(panel: Panel) -> NDArray[Any]:
    """Return the series of a panel as an array, which is 2-D if the series were given as 2-D."""
    values = np.asarray(panel.values)
    return values[:, 0] if panel.flat else values

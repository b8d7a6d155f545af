"""Probabilities of the training series by models that were fitted without them."""

from __future__ import annotations

from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from .._series.panel import Panel
from .costs import Floats

ROW_BY_ROW = ("sample_weight", "X_teacher")
"""Arguments of ``fit`` with an entry for each series of X."""


def cross_fitted_path(
    classifier: Any,
    panel: Panel,
    y: NDArray[Any],
    labelled: NDArray[np.bool_],
    classes: NDArray[Any],
    *,
    cv: Any,
    groups: NDArray[Any] | None,
    fit_params: dict[str, Any],
    n_jobs: int | None = None,
    seed: int = 0,
) -> Floats:
    """Return left-out paths by cross-fitting.

    Series without a label are in the training part of every fold, and are predicted in none.

    Parameters
    ----------
    classifier : estimator
        Classifier with ``predict_proba_path``; clones of it are fitted.
    panel : Panel
        Training series.
    y : ndarray of shape (n,)
        Labels, some of which may be missing.
    labelled : ndarray of bool of shape (n,)
        True where there is a label.
    classes : ndarray of shape (n_classes,)
        All labels.
    cv : int or splitter
        Number of folds, or a splitter of scikit-learn.
    groups : ndarray of shape (n,) or None
        Group of each series; those of one group are left out together.
    fit_params : dict
        Further arguments of ``fit``.
    n_jobs : int, optional
        Number of processes.
    seed : int, default=0
        Seed of the folds, if ``cv`` is a number.

    Returns
    -------
    ndarray of shape (n, n_moments, n_classes)
        Probabilities; NaN for series without a label and at moments that a series has not
        reached.
    """
    known = np.flatnonzero(labelled)
    own_groups = None if groups is None else groups[known]
    numbers = np.searchsorted(classes, np.array(y[known].tolist()))
    split = splitter(cv, numbers, own_groups, seed).split(known, numbers, own_groups)
    folds = [(known[train], known[test]) for train, test in split]
    n_tests = np.bincount(np.concatenate([test for _, test in folds]), minlength=len(panel))[known]
    if (n_tests != 1).any():
        raise ValueError(
            f"cv={cv!r} predicts {int((n_tests == 0).sum())} series never and "
            f"{int((n_tests > 1).sum())} more than once; each must be left out once, as by KFold"
        )
    always = np.flatnonzero(~labelled)
    paths = Parallel(n_jobs=n_jobs)(
        delayed(_fold_path)(
            clone(classifier),
            panel,
            y,
            np.sort(np.concatenate([train, always])),
            test,
            classes,
            fit_params,
        )
        for train, test in folds
    )
    found = np.full((len(panel), *paths[0].shape[1:]), np.nan)
    for (_, test), path in zip(folds, paths, strict=True):
        found[test] = path
    return found


def splitter(cv: Any, y: NDArray[Any], groups: NDArray[Any] | None, seed: int) -> Any:
    """Return a splitter: folds stratified by label, which keep groups together.

    Parameters
    ----------
    cv : int or splitter
        Number of folds, which is lowered to the size of the smallest class, or a splitter.
    y : ndarray of shape (n,)
        Labels.
    groups : ndarray of shape (n,) or None
        Group of each series.
    seed : int
        Seed of the folds.

    Returns
    -------
    splitter
        Object with scikit-learn's ``split``.

    Raises
    ------
    ValueError
        If a class has one series, or one group, only.
    """
    if hasattr(cv, "split"):
        return cv
    labels = np.unique(y)
    sizes = [
        np.count_nonzero(y == k) if groups is None else len(np.unique(groups[y == k]))
        for k in labels
    ]
    if min(sizes) < 2:
        rare = labels.tolist()[sizes.index(min(sizes))]
        unit = "series" if groups is None else "group"
        raise ValueError(
            f"y has one {unit} of the class {rare!r}; at least two are needed, since each is "
            f"predicted by a model that was fitted without it"
        )
    n_folds = min(cv, *sizes)
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    return kind(n_folds, shuffle=True, random_state=seed)


def rows_of(fit_params: dict[str, Any], rows: NDArray[np.int64]) -> dict[str, Any]:
    """Return the arguments of ``fit`` for some of the series."""
    return {
        name: _taken(value, rows) if _is_row_by_row(name) and value is not None else value
        for name, value in fit_params.items()
    }


def _is_row_by_row(name: str) -> bool:
    # Pipelines name the step first: logisticregression__sample_weight.
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
    # A rare class may be missing from a fold.
    found = np.zeros((*path.shape[:2], len(classes)))
    found[..., np.searchsorted(classes, classifier.classes_)] = path
    found[np.isnan(path[..., 0])] = np.nan
    return found


def series_of(panel: Panel) -> NDArray[Any]:
    """Return the series of a panel as an array, of two dimensions if they were given so."""
    values = np.asarray(panel.values)
    return values[:, 0] if panel.flat else values

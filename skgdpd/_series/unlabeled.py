"""Labels of which some are missing, which mark unlabelled series."""

from __future__ import annotations

from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import column_or_1d

from .._runtime.arguments import about
from .._runtime.warn import warn_user

Mask = NDArray[np.bool_]

SCORED = (
    "only labelled rows can be scored: leave the others out, or let searches and "
    "cross-validation split by cv=LabeledFolds({unlabeled})"
)
"""Reason for :func:`refuse_marked` if y is to be compared with predictions."""


def split_marked(y: Any, marker: Any = None) -> tuple[NDArray[Any], Mask]:
    """Separate labels from missing ones.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels. None, NaN, NaT and pandas' NA are missing labels.
    marker : object, default=None
        A value of y, such as ``-1`` or ``"?"``, that also means a missing label. None and NaN add
        no further value.

    Returns
    -------
    labels : ndarray of shape (n_labelled,)
        Labels that are not missing. An array of objects becomes an array of numbers or strings if
        all its elements are numbers or all are strings.
    unlabeled : ndarray of bool of shape (n,)
        True where the label is missing.

    Raises
    ------
    ValueError
        If all labels are missing, if strings and numbers are mixed, if ``marker`` is a
        collection, or if ``marker`` does not occur in y and has another type than the labels.
    """
    column, mask = _find_marked(y, marker)
    if len(column) and mask.all():
        raise ValueError(
            f"all {len(column)} values of y are missing labels{_named(marker)}; a classifier "
            f"needs labelled series too"
        )
    labels = _plain(column[~mask])
    if not (is_missing(marker) or _equal(column, marker).any() or _alike(marker, labels[:1])):
        raise ValueError(
            f"unlabeled={marker!r} is a {type(marker).__name__}, but y holds values such as "
            f"{labels.tolist()[0]!r}; it must be a value that y can hold"
        )
    return labels, mask


def refuse_bytes(labels: NDArray[Any], name: str = "y") -> None:
    """Raise an error for labels of bytes, which not all versions of scikit-learn support."""
    if labels.dtype.kind in "SO" and any(isinstance(label, bytes) for label in labels.tolist()):
        raise TypeError(f"{name} has labels of bytes; make strings or whole numbers of them")


def refuse_marked(
    y: Any, marker: Any = None, reason: str = SCORED, name: str = "y"
) -> NDArray[Any]:
    """Return the labels of y, after a check that none of them is missing.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels.
    marker : object, default=None
        A value of y that means a missing label, in addition to None, NaN, NaT and pandas' NA.
    reason : str, default=SCORED
        Reason and remedy, which follow the number of missing labels in the error. The text
        ``{unlabeled}`` is replaced by the argument that names ``marker``.
    name : str, default="y"
        Name of the argument with the labels, for errors.

    Returns
    -------
    ndarray of shape (n,)
        Labels as returned by :func:`split_marked`.

    Raises
    ------
    TypeError
        If labels are bytes objects.
    ValueError
        If a label is missing, or strings and numbers are mixed.
    """
    column, mask = _find_marked(y, marker)
    refuse_bytes(column, name)
    if mask.any():
        argument = "" if is_missing(marker) else f"unlabeled={marker!r}"
        raise ValueError(
            f"{name} has missing labels{_named(marker)}: {int(mask.sum())} of {len(mask)}, the "
            f"first in row {int(mask.argmax())}; {reason.replace('{unlabeled}', argument)}"
        )
    return _plain(column)


def check_equally_many(y: Any, n: int) -> None:
    """Raise an error if y has a length, and another one than X.

    Parameters
    ----------
    y : object
        Labels, not yet read.
    n : int
        Number of series.

    Raises
    ------
    ValueError
        If the lengths differ.
    """
    try:
        n_labels = n if isinstance(y, (str, bytes)) else len(y)
    except TypeError:
        return
    if n_labels != n:
        hint = (
            ". If the rows of X are time points of a frame, index it by series and time "
            "(set_index), or read it by skgdpd.datasets.from_long"
            if n_labels and n > n_labels and n % n_labels == 0
            else ""
        )
        raise ValueError(
            f"X has {n} series and y {n_labels} labels; they must be equally many{hint}"
        )


def marker_of(estimator: Any) -> Any:
    """Return the value that marks unlabelled series for a classifier, also for a nested one."""
    params = estimator.get_params()
    names = [name for name in params if name.split("__")[-1] == "unlabeled"]
    return params[min(names, key=lambda name: name.count("__"))] if names else None


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, NaT or pandas' NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return bool(np.isnat(value))
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def _find_marked(y: Any, marker: Any) -> tuple[NDArray[Any], Mask]:
    """Return y as a one-dimensional array, and a mask of its missing labels."""
    if not (isinstance(marker, (str, Number)) or np.ndim(marker) == 0):
        raise ValueError(
            f"unlabeled={marker!r} must be one value of y: a number or a string; None, NaN and "
            f"pandas' NA are missing labels anyway"
        )
    with about("y"):
        column = _read_column(y)
    mask = _missing(column)
    if not is_missing(marker):
        mask[~mask] = _equal(column[~mask], marker)
    return column, mask


def _read_column(y: Any) -> NDArray[Any]:
    if np.ma.isMaskedArray(y):
        raise ValueError("y has a mask, which is not read; put None or NaN where it is missing")
    if hasattr(y, "isna") and hasattr(y, "dtype") and not isinstance(y.dtype, np.dtype):
        # numpy would turn pandas' integers into floats if one is missing.
        values = np.empty(len(y), dtype=object)
        values[:] = y.tolist()
        y = values
    elif isinstance(y, (list, tuple)) and not any(_is_collection(value) for value in y):
        # numpy would turn numbers beside strings, such as the marker, into strings.
        values = np.empty(len(y), dtype=object)
        values[:] = list(y)
        y = values
    column: NDArray[Any] = column_or_1d(y)
    if np.asarray(y).ndim == 2:
        # Worded as scikit-learn's own warning, which would not show the user's line.
        warn_user(
            "A column-vector y was passed when a 1d array was expected. Please change the shape "
            "of y to (n_samples,), for example using ravel().",
            DataConversionWarning,
        )
    return column


def _missing(column: NDArray[Any]) -> Mask:
    if column.dtype.kind == "f":
        return np.isnan(column)
    if column.dtype.kind in "Mm":
        return np.isnat(column)
    if column.dtype.kind in "biuUS":
        return np.zeros(len(column), dtype=bool)
    return np.array([is_missing(value) for value in column], dtype=bool)


def _equal(values: NDArray[Any], marker: Any) -> Mask:
    kind = "biufc" if isinstance(marker, Number) else "U" if isinstance(marker, str) else ""
    if values.dtype.kind in kind:
        return np.asarray(values == marker)
    return np.array([bool(np.all(value == marker)) for value in values], dtype=bool)


def _plain(labels: NDArray[Any]) -> NDArray[Any]:
    """Return objects as an array of strings or of numbers if all are of this type."""
    if labels.dtype.kind in "OT" and len(labels):
        strings = [isinstance(value, str) for value in labels]
        numbers = [isinstance(value, (Number, np.bool_)) for value in labels]
        if any(strings) and any(numbers):
            raise ValueError(
                f"y holds labels of several types, {labels[strings.index(True)]!r} and "
                f"{labels[numbers.index(True)]!r} among them; all must be strings, or all numbers"
            )
        if all(strings) or all(numbers):
            return np.array(labels.tolist())
    return labels


def _is_collection(value: Any) -> bool:
    return np.ndim(value) > 0


def _alike(marker: Any, labels: NDArray[Any]) -> bool:
    return all(isinstance(marker, str) == isinstance(label, str) for label in labels)


def _named(marker: Any) -> str:
    return "" if is_missing(marker) else f" (None, NaN, or unlabeled={marker!r})"

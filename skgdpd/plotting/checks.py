"""Checks of the arguments of displays: moments, labels, classifiers and series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from .._early.classifier import EarlyClassifier
from .._early.costs import Floats, shares_of, whole_points
from .._early.paths import numbers_of, path_of_one
from .._series.unlabeled import refuse_marked


class Times(NamedTuple):
    """Moments at which a method gives probabilities.

    Attributes
    ----------
    points : list of int
        Number of time points at each moment.
    n_timepoints : int
        Number of time points of a whole series.
    shares : ndarray of shape (n_moments,)
        Share of a whole series that has been seen at each moment.
    """

    points: list[int]
    n_timepoints: int
    shares: Floats


def by_name(values: Any, argument: str) -> dict[str, Any]:
    """Return a copy of a dict by names, after a check that it is not empty.

    Parameters
    ----------
    values : dict of str to object
        Values by name.
    argument : str
        Name of the argument, for error messages.

    Returns
    -------
    dict of str to object

    Raises
    ------
    ValueError
        If ``values`` is empty, or is not a dict.
    """
    if not isinstance(values, Mapping):
        raise ValueError(
            f"{argument} must be a dict by names, such as {{'calimera': ...}}, got {values!r}"
        )
    if not values:
        raise ValueError(f"{argument} is empty; there must be at least one name")
    return dict(values)


def check_flag(value: Any, argument: str) -> None:
    """Raise an error for a value that is not a bool, because any text would count as True."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{argument}={value!r} must be True or False")


def read_times(
    time_points: Sequence[int] | Mapping[str, Sequence[int]],
    n_timepoints: int | None,
    paths: Mapping[str, Floats],
) -> dict[str, Times]:
    """Return the moments of each method.

    Parameters
    ----------
    time_points : sequence of int, or dict of str to sequence of int
        Number of time points at each moment, the same for all methods or by method name.
    n_timepoints : int or None
        Number of time points of a whole series. None means the number at the latest moment.
    paths : dict of str to ndarray of shape (n, n_moments, n_classes)
        Class probabilities of each method.

    Returns
    -------
    dict of str to Times

    Raises
    ------
    ValueError
        If names or numbers of moments differ, or if moments are not in ascending order.
    """
    given = (
        dict(time_points)
        if isinstance(time_points, Mapping)
        else dict.fromkeys(paths, time_points)
    )
    if set(given) != set(paths):
        raise ValueError(
            f"time_points names {list(given)}, but there are probabilities of {list(paths)}; "
            f"the names must be the same"
        )
    points = {name: whole_points(own) for name, own in given.items()}
    if n_timepoints is None:
        n_timepoints = max(int(own.max()) for own in points.values())
    found = {}
    for name, own in points.items():
        shares, n_moments = shares_of(own, n_timepoints), paths[name].shape[1]
        if len(shares) != n_moments:
            raise ValueError(
                f"time_points has {len(shares)} entries for {name!r}; its path has {n_moments} "
                f"moments"
            )
        found[name] = Times(own.tolist(), int(n_timepoints), shares)
    return found


def one_path(
    path: ArrayLike, time_points: Sequence[int], n_timepoints: int | None
) -> tuple[Floats, Times]:
    """Return the path of one series, and its moments.

    Parameters
    ----------
    path : array-like of shape (n_moments, n_classes)
        Class probabilities of the series at each moment; NaN after its own end.
    time_points : sequence of int
        Number of points seen at each moment.
    n_timepoints : int or None
        Number of points of a whole series. None is that of the last moment.

    Returns
    -------
    path : ndarray of shape (n_moments, n_classes)
        The path in double precision.
    times : Times
        Its moments.
    """
    own, name = path_of_one(path), "the series"
    return own, read_times(time_points, n_timepoints, {name: own[None]})[name]


def checked_classes(classes: ArrayLike, n_classes: int) -> NDArray[Any]:
    """Return the label of each column of probabilities.

    Parameters
    ----------
    classes : array-like of shape (n_classes,)
        Label of each column.
    n_classes : int
        Number of columns.

    Returns
    -------
    ndarray of shape (n_classes,)

    Raises
    ------
    ValueError
        If the number of labels differs from the number of columns, or if labels are repeated.
    """
    try:
        known = np.asarray(classes)
    except ValueError as error:  # lists of unequal lengths
        raise ValueError(f"classes={classes!r} must be a list of labels") from error
    if known.shape != (n_classes,) or len(set(known.tolist())) < n_classes:
        raise ValueError(
            f"classes is {known.tolist()}; the probabilities have {n_classes} columns, so there "
            f"must be {n_classes} distinct labels"
        )
    return known


def class_numbers(
    y: ArrayLike, classes: ArrayLike | None, n: int, n_classes: int, name: str = "y"
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the class number of each label, and the classes.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels.
    classes : array-like of shape (n_classes,) or None
        Label of each column of the probabilities. None means the sorted labels of ``y``.
    n : int
        Required number of labels.
    n_classes : int
        Required number of classes.
    name : str, default="y"
        Name of the labels in error messages.

    Returns
    -------
    numbers : ndarray of shape (n,)
        Class number of each label, which is the index of its column.
    classes : ndarray of shape (n_classes,)
        Label of each column.

    Raises
    ------
    ValueError
        If a label is missing or unknown. If the number of labels or of classes is wrong.
    """
    if np.ndim(y) == 0:
        raise ValueError(f"{name}={y!r} must be a list of {n} labels")
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
    """Return an ``EarlyClassifier`` after a check of its type and of its fit.

    Parameters
    ----------
    early : EarlyClassifier
        Fitted classifier.

    Returns
    -------
    EarlyClassifier
        The same object.

    Raises
    ------
    TypeError
        If the object is not an ``EarlyClassifier``.
    NotFittedError
        If the classifier is not fitted.
    """
    if not isinstance(early, EarlyClassifier):
        raise TypeError(
            f"{type(early).__name__} has no rule of when to answer; give an EarlyClassifier"
        )
    check_is_fitted(early)
    return early


def one_series(x: ArrayLike) -> NDArray[Any]:
    """Return a series as a panel of shape (1, n_channels, n_timepoints).

    Parameters
    ----------
    x : array-like of shape (n_channels, n_timepoints)
        One series. ``(n_timepoints,)`` is also allowed for one channel, and ``(1, n_channels,
        n_timepoints)`` for a panel of one series.

    Returns
    -------
    ndarray of shape (1, n_channels, n_timepoints)

    Raises
    ------
    ValueError
        If ``x`` is not one series.
    """
    series = numbers_of(x, "x")
    if series.ndim in (1, 2) and series.size:
        series = series.reshape(1, -1, series.shape[-1])
    if series.ndim != 3 or len(series) != 1:
        raise ValueError(
            f"x has shape {np.shape(x)}; one series has (n_channels, n_timepoints), or "
            f"(n_timepoints,) for one channel"
        )
    return series

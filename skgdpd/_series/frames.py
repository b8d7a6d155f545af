"""Ids of series and names of channels in frames, by which frames are matched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHOWN = 5
"""Number of ids that an error names."""


def is_frame(X: Any) -> bool:
    """Return whether an object is a frame of pandas, or like one."""
    # In this order: a lazy frame of polars warns when it is asked for its columns.
    return hasattr(X, "iloc") and hasattr(X, "columns")


def is_table(X: Any) -> bool:
    """Return whether an object is a frame of polars, a table of pyarrow, or like one of them."""
    offers = hasattr(X, "__arrow_c_stream__") or hasattr(X, "__dataframe__")
    return offers and not is_frame(X) and column_names(X) is not None


def is_long(X: Any) -> bool:
    """Return whether X is a frame whose rows are time points, indexed by series and time."""
    return is_frame(X) and getattr(X.index, "nlevels", 1) == 2


def ids_of(X: Any) -> Any:
    """Return the ids of the series of a long frame, an index, in the order of appearance.

    Parameters
    ----------
    X : array-like or pandas panel
        Series.

    Returns
    -------
    pandas.Index or None
        None if X is no long frame.
    """
    return X.index.get_level_values(0).unique() if is_long(X) else None


def names_of(X: Any) -> tuple[str, ...] | None:
    """Return the names of the columns of a frame, or of the first of several frames.

    Parameters
    ----------
    X : array-like or pandas panel
        Series. Columns are channels, and time points in a wide frame of numbers.

    Returns
    -------
    tuple of str or None
        None if there are no frames, or if not all names are strings.
    """
    if isinstance(X, list | tuple) and len(X):
        X = X[0]
    if not is_frame(X) and not is_table(X):
        return None
    names = tuple(column_names(X) or ())
    return names if all(isinstance(name, str) for name in names) else None


def aligned(X: Any, values: Any, name: str) -> Any:
    """Return values of series in the order of the series of a long frame.

    Parameters
    ----------
    X : array-like or pandas panel
        Series.
    values : array-like of shape (n_samples,) or None
        Labels or weights. A column of pandas is matched with a long frame by its index.
    name : str
        Name of their argument in errors.

    Returns
    -------
    array-like of shape (n_samples,) or None
        The values in the order of the series. They are returned as they are if X is no long
        frame, or if they have no index.

    Raises
    ------
    ValueError
        If their index does not hold each id once and no other.
    """
    ids = ids_of(X)
    if ids is None or not (hasattr(values, "index") and hasattr(values, "iloc")):
        return values
    index = values.index
    if index.equals(ids):
        return values
    return values.iloc[_places(index, ids, name)]


def places_in(X: Any, other: Any, name: str) -> NDArray[np.int64] | None:
    """Return the places of the series of a long frame in another one.

    Parameters
    ----------
    X, other : array-like or pandas panel
        Series.
    name : str
        Name of the argument ``other`` in errors.

    Returns
    -------
    ndarray of shape (n_samples,) or None
        None unless both are long frames.

    Raises
    ------
    ValueError
        If they have different ids.
    """
    ids, index = ids_of(X), ids_of(other)
    return None if ids is None or index is None else _places(index, ids, name)


def column_names(frame: Any) -> list[Any] | None:
    """Return the names of an object's columns; None if it has none."""
    if isinstance(frame, Mapping):
        return list(frame)
    if isinstance(frame, np.ndarray):
        return None if frame.dtype.names is None else list(frame.dtype.names)
    if not hasattr(frame, "__getitem__"):
        return None
    for attribute in ("column_names", "columns"):
        names = getattr(frame, attribute, None)
        if isinstance(names, Iterable) and not isinstance(names, str):
            return list(names)
    return None


def check_names(
    given: tuple[str, ...] | None, known: Any, name: str, whose: str, *, wide: bool = False
) -> None:
    """Raise an error if columns have other names than those before.

    Parameters
    ----------
    given : tuple of str or None
        Names of the columns; None is not checked.
    known : sequence of str or None
        Names that they must have.
    name : str
        Name of the argument in errors.
    whose : str
        What has the other names, for errors.
    wide : bool, default=False
        Whether columns are time points, of which the first are compared that both have.

    Raises
    ------
    ValueError
        If a name differs.
    """
    if given is None or known is None:
        return
    n = min(len(given), len(known)) if wide else None
    found, wanted = list(given)[:n], list(known)[:n]
    if found == wanted:
        return
    hint = "; they are the same in another order" if sorted(found) == sorted(wanted) else ""
    raise ValueError(
        f"{name} has the columns {some_of(found)}, but {whose} has {some_of(wanted)}{hint}"
    )


def set_names(estimator: Any, X: Any, flat: bool) -> None:
    """Set ``feature_names_in_`` of an estimator that is fitted to a frame, or to several.

    Parameters
    ----------
    estimator : estimator
        Estimator that is being fitted.
    X : array-like or pandas panel
        Series.
    flat : bool
        Whether scikit-learn has set the names already, as it does for wide frames.
    """
    names = names_of(X)
    if names is not None and not flat:
        estimator.feature_names_in_ = np.array(names, dtype=object)


def check_fitted_names(estimator: Any, X: Any, flat: bool) -> None:
    """Raise an error if a frame has other columns than that to which an estimator was fitted.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator with ``n_channels_in_``, and ``feature_names_in_`` if it was fitted to a
        frame.
    X : array-like or pandas panel
        Series.
    flat : bool
        Whether X is of two dimensions, so that its columns are time points.
    """
    known = vars(estimator).get("feature_names_in_")
    # Names of time points say nothing about channels, of which X has one then.
    if known is not None and (flat or len(known) == estimator.n_channels_in_):
        whose = f"the X that {type(estimator).__name__} was fitted to"
        check_names(names_of(X), known, "X", whose, wide=flat)


def sorted_rows(X: Any, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the order of the rows of a long frame, by series and time.

    Parameters
    ----------
    X : pandas.DataFrame
        Long frame.
    name : str
        Name of the argument in errors.

    Returns
    -------
    rows : ndarray of shape (n_rows,)
        Numbers of the rows: series in the order of their appearance, each by time.
    counts : ndarray of shape (n_samples,)
        Number of rows of each series.

    Raises
    ------
    ValueError
        If an id or a time is missing, if a series has a time twice, or if times can't be
        compared.
    """
    ids, times = (X.index.get_level_values(level) for level in (0, 1))
    for level, values in (("ids", ids), ("times", times)):
        missing = np.flatnonzero(values.isna())
        if len(missing):
            raise ValueError(f"{name} has no {level[:-1]} in row {missing[0]} of its index")
    return sort_rows(ids.unique().get_indexer(ids), ids, times, name)


def sort_rows(
    series: NDArray[np.int64], ids: Any, times: Any, name: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the order of rows by series and time.

    Parameters
    ----------
    series : ndarray of shape (n_rows,)
        Number of each row's series.
    ids, times : sequence of length n_rows
        Id of each row's series, and the row's time.
    name : str
        Name of what has the rows, in errors.

    Returns
    -------
    rows : ndarray of shape (n_rows,)
        Numbers of the rows: series by their numbers, each by time.
    counts : ndarray of shape (n_samples,)
        Number of rows of each series.

    Raises
    ------
    ValueError
        If a series has a time twice, or if times can't be compared.
    """
    try:
        rank = np.unique(np.asarray(times), return_inverse=True)[1]
    except TypeError as error:
        raise ValueError(f"{name} has times that can't be put in order: {error}") from error
    rows = np.lexsort((rank, series))
    twice = (np.diff(series[rows]) == 0) & (np.diff(rank[rows]) == 0)
    if twice.any():
        row = int(rows[twice.argmax() + 1])
        raise ValueError(
            f"{name} has the time {shown(times[row])!r} of series {shown(ids[row])!r} twice; give "
            f"each time once"
        )
    return rows, np.bincount(series)


def shown(value: Any) -> Any:
    """Return a value of an array as an error shows it: dates as texts, others as of Python."""
    if isinstance(value, np.datetime64 | np.timedelta64):
        return str(value)
    return value.item() if isinstance(value, np.generic) else value


def _places(index: Any, ids: Any, name: str) -> NDArray[np.int64]:
    """Return the place of each id in an index that holds each once, and no other."""
    unknown = [id_ for id_ in index if id_ not in ids]
    missing = [id_ for id_ in ids if id_ not in index]
    if unknown or missing or len(index) != len(ids):
        found = (
            f"lacks {missing[:SHOWN]}"
            if missing
            else f"has {unknown[:SHOWN]} besides"
            if unknown
            else "names some twice"
        )
        raise ValueError(
            f"{name} is matched with X by its index, which {found}; index it by the ids of X's "
            f"series, or give {name}.to_numpy() in the order in which they first appear in X"
        )
    places: NDArray[np.int64] = index.get_indexer(ids)
    return places


def some_of(names: Sequence[Any]) -> str:
    """Return the first of some names, and how many more there are, for an error."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{list(names[:SHOWN])}{more}"

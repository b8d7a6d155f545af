"""Ids of series and names of channels in data frames, which are used to match frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHOWN = 5
"""Maximum number of ids that an error names."""
OF_FILES = ("sampling_step_", "series_digests_")
"""Fitted attributes that a fit on the command line adds."""


def is_frame(X: Any) -> bool:
    """Return whether an object is a pandas data frame or behaves like one."""
    # In this order: a lazy frame of polars warns when it is asked for its columns.
    return hasattr(X, "iloc") and hasattr(X, "columns")


def is_table(X: Any) -> bool:
    """Return whether an object is a polars data frame, a pyarrow table, or behaves like one."""
    offers = hasattr(X, "__arrow_c_stream__") or hasattr(X, "__dataframe__")
    return offers and not is_frame(X) and column_names(X) is not None


def is_long(X: Any) -> bool:
    """Return whether X is a frame whose rows are time points, indexed by series and time."""
    return is_frame(X) and getattr(X.index, "nlevels", 1) == 2


def ids_of(X: Any) -> Any:
    """Return the ids of the series of a long frame, in order of appearance.

    Parameters
    ----------
    X : array-like or pandas panel
        Series.

    Returns
    -------
    pandas.Index or None
        None if X is not a long frame.
    """
    return X.index.get_level_values(0).unique() if is_long(X) else None


def names_of(X: Any) -> tuple[str, ...] | None:
    """Return the names of the columns of a frame, or of the first of several frames.

    Parameters
    ----------
    X : array-like or pandas panel
        Series. Columns are channels; in a wide frame of numbers, they are time points.

    Returns
    -------
    tuple of str or None
        Names; None if there are no frames, or if a name is not a string.
    """
    if isinstance(X, list | tuple) and len(X):
        X = X[0]
    if not is_frame(X) and not is_table(X):
        return None
    names = tuple(column_names(X) or ())
    return names if all(isinstance(name, str) for name in names) else None


def aligned(X: Any, values: Any, name: str) -> Any:
    """Return labels or weights in the order of the series of a long frame.

    Parameters
    ----------
    X : array-like or pandas panel
        Series.
    values : array-like of shape (n_samples,) or None
        Labels or weights. A pandas column is matched with a long frame by its index.
    name : str
        Name of the argument ``values`` in errors.

    Returns
    -------
    array-like of shape (n_samples,) or None
        The values in the order of the series. They are returned unchanged if X is not a long
        frame, or if they have no index.

    Raises
    ------
    ValueError
        If the index of the values does not contain each id exactly once, or contains other ids.
    """
    ids = ids_of(X)
    if ids is None or not (hasattr(values, "index") and hasattr(values, "iloc")):
        return values
    index = values.index
    if index.equals(ids):
        return values
    return values.iloc[_places(index, ids, name)]


def places_in(X: Any, other: Any, name: str) -> NDArray[np.int64] | None:
    """Return the positions in a long frame of the series of another long frame.

    Parameters
    ----------
    X, other : array-like or pandas panel
        Series.
    name : str
        Name of the argument ``other`` in errors.

    Returns
    -------
    ndarray of shape (n_samples,) or None
        Positions; None unless both are long frames.

    Raises
    ------
    ValueError
        If the two frames have different ids.
    """
    ids, index = ids_of(X), ids_of(other)
    return None if ids is None or index is None else _places(index, ids, name)


def column_names(frame: Any) -> list[Any] | None:
    """Return the column names of an object; None if it has no column names."""
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
    """Raise an error if columns differ from the expected names.

    Parameters
    ----------
    given : tuple of str or None
        Names of the columns; None means no check.
    known : sequence of str or None
        Expected names; None means no check.
    name : str
        Name of the argument in errors.
    whose : str
        Description of the object with the expected names, for errors.
    wide : bool, default=False
        Whether columns are time points. Then only the time points that both have are compared.

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
    """Set ``feature_names_in_`` of an estimator that is fitted to one or several frames.

    What an earlier fit left of its frame or file is removed.

    Parameters
    ----------
    estimator : estimator
        Estimator that is being fitted.
    X : array-like or pandas panel
        Series.
    flat : bool
        Whether scikit-learn has set the names already, as it does for wide frames.
    """
    fitted = vars(estimator)
    for name in OF_FILES:
        fitted.pop(name, None)
    if flat:
        return
    names = names_of(X)
    fitted.pop("feature_names_in_", None)
    if names is not None:
        estimator.feature_names_in_ = np.array(names, dtype=object)


def check_fitted_names(estimator: Any, X: Any, flat: bool) -> None:
    """Raise an error if a frame has other columns than the frame of the fit.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator with ``n_channels_in_``, and ``feature_names_in_`` if it was fitted to a
        frame.
    X : array-like or pandas panel
        Series.
    flat : bool
        Whether X is two-dimensional, so that its columns are time points.
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
        Row numbers, sorted by the first appearance of the series and then by time.
    counts : ndarray of shape (n_samples,)
        Number of rows of each series.

    Raises
    ------
    ValueError
        If an id or a time is missing, if a series has the same time twice, or if times can't be
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
        Index of the series of each row.
    ids, times : sequence of length n_rows
        Id of the series of each row, and time of each row.
    name : str
        Name of the source of the rows, for errors.

    Returns
    -------
    rows : ndarray of shape (n_rows,)
        Row numbers, sorted by series and then by time.
    counts : ndarray of shape (n_samples,)
        Number of rows of each series.

    Raises
    ------
    ValueError
        If a series has the same time twice, or if times can't be compared.
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
    """Return an array element for an error message: dates as strings, others as Python values."""
    if isinstance(value, np.datetime64 | np.timedelta64):
        return str(value)
    return value.item() if isinstance(value, np.generic) else value


def _places(index: Any, ids: Any, name: str) -> NDArray[np.int64]:
    """Return the position of each id in an index that must contain each id exactly once."""
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
    """Return the first names, and the number of further ones, for an error message."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{list(names[:SHOWN])}{more}"

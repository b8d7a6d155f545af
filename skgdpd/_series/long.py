"""Series from tables with one row per time point (long) or one row per series (wide)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .files import NAMES_OF_LABELS, check_padding
from .frames import SHOWN, shown, some_of, sort_rows
from .sampling import Sampling, Step, plain_step, sampling_of
from .tables import Table
from .unlabeled import is_missing, refuse_bytes

LEAST_ROWS = 5
"""Least number of rows in which 0, 1, 2, ... can hardly be measured values."""


class TableSeries(NamedTuple):
    """Series of a table.

    Attributes
    ----------
    X : ndarray of shape (n, n_channels, n_timepoints)
        Series. Missing values are NaN, and so is everything after the end of a series.
    y : ndarray of shape (n,) or None
        Labels.
    ids : ndarray of shape (n,) or None
        Ids.
    channels : list
        Names of the value columns.
    step : Step or None
        Time from point to point; None if the table has no times.
    """

    X: NDArray[np.floating[Any]]
    y: NDArray[Any] | None
    ids: NDArray[Any] | None
    channels: list[Any]
    step: Step | None = None


def read_long(
    table: Table,
    id: Any,
    time: Any,
    values: Sequence[Any] | None,
    label: Any,
    step: Any,
) -> TableSeries:
    """Read series from a table with one row per time point.

    Parameters
    ----------
    table : Table
        Rows in any order.
    id, time : object
        Names of the id column and the time column.
    values : sequence or None
        Names of the value columns, one for each channel; None means all other columns.
    label : object
        Name of the label column, a dict or a pandas column from ids to labels, or None.
    step : float, timedelta or None
        Sampling interval; None means the median difference of consecutive times.

    Returns
    -------
    TableSeries
        Series in the order in which their ids first appear.

    Raises
    ------
    ValueError
        If columns are missing, if a series has the same time twice or two labels, or if times are
        not evenly spaced.
    """
    check_label(label, several=True)
    by_id = hasattr(label, "items")
    named = [id, time] if label is None or by_id else [id, time, label]
    if len(set(named)) < len(named):
        raise ValueError(f"id, time and label are {named}; they must be different columns")
    channels = value_columns(table, values, named)
    keys = table.keys(id, "id")
    known: dict[Any, int] = {}
    series = np.array([known.setdefault(key, len(known)) for key in keys.tolist()], dtype=int)
    times = table.times(time)
    role = "label" if label is None or by_id else None
    numbers = [table.numbers(name, "values", role) for name in channels]
    check_lengths(table, dict(zip([id, time, *channels], [keys, times, *numbers], strict=True)))
    for name, own in zip(channels, numbers, strict=True):
        if np.isnan(own).all():
            raise ValueError(f"column {name!r} of {table.name} has no value in any row")
    rows, counts = sort_rows(series, keys, times, table.name)
    ids = np.array(list(known), dtype=None if keys.dtype.kind != "O" else object)
    sampling = sampling_of(times[rows], counts, step)
    if sampling.fault is not None:
        raise _uneven(table, sampling, rows, ids, counts, times, (id, time, label, channels))
    y = None
    if by_id:
        y = _matched(label, list(known))
    elif label is not None:
        y = _constant(table, label, series, list(known))
    n_points = int(sampling.places.max()) + 1
    check_padding(table.name, len(ids), len(channels), n_points, len(rows))
    X = np.full((len(ids), len(channels), n_points), np.nan, np.result_type(np.float32, *numbers))
    for channel, own in enumerate(numbers):
        X[series[rows], channel, sampling.places] = own[rows]
    known_step = step is not None or len(rows) > len(ids)
    found = Step(sampling.seconds if known_step else None, times.dtype.kind in "mM")
    return TableSeries(X, y, plain(ids), channels, found)


def check_label(label: Any, several: bool) -> None:
    """Raise an error for labels that are neither the name of a column nor labels by id.

    Parameters
    ----------
    label : object
        Argument of a reader.
    several : bool
        Whether labels by id are allowed.

    Raises
    ------
    ValueError
        If they are a list, an array or a frame.
    """
    by_id = ", or labels by id, as a dict or a column of pandas" if several else ""
    if hasattr(label, "columns"):
        names = some_of(list(label.columns))
        advice = (
            ". Give one column by id: frame.set_index('the id')['the label']" if several else ""
        )
        raise ValueError(
            f"label is a frame with the columns {names}; it must be the name of a column{by_id}"
            f"{advice}"
        )
    if isinstance(label, (list, set, np.ndarray)):
        advice = ". Give a dict by id: dict(zip(ids, labels))" if several else ""
        raise ValueError(
            f"label is a {type(label).__name__}; it must be the name of a column{by_id}{advice}"
        )


def read_wide(table: Table, id: Any, values: Sequence[Any] | None, label: Any) -> TableSeries:
    """Read series of one channel from a table with one row per series.

    Parameters
    ----------
    table : Table
        Rows in any order.
    id : object
        Name of the id column, or None.
    values : sequence or None
        Names of the value columns, one for each time point in order; None means all other
        columns.
    label : object
        Name of the label column, or None.

    Returns
    -------
    TableSeries
        Series in the order of the rows.

    Raises
    ------
    ValueError
        If columns are missing or not in the order of the numbers in their names, or if an id
        occurs twice.
    """
    check_label(label, several=False)
    named = [name for name in (id, label) if name is not None]
    points = value_columns(table, values, named)
    if values is None:
        _check_order(points, table.name)
    role = "id" if id is None else "label" if label is None else None
    numbers = {name: table.numbers(name, "values", role) for name in points}
    if values is None:
        _refuse_row_numbers(numbers, table.name)
    ids = None if id is None else table.keys(id, "id")
    labels = None if label is None else table.column(label, "label")
    check_lengths(table, numbers | {id: ids, label: labels})
    if ids is not None:
        first: dict[Any, int] = {}
        for row, key in enumerate(ids.tolist()):
            if first.setdefault(key, row) != row:
                raise ValueError(
                    f"{table.name} has the id {key!r} in {table.where(first[key])} and in "
                    f"{table.where(row)}; without a column of times, each row is a "
                    f"series. If rows are points of series, name that column"
                )
    y = None if labels is None else _labels(table, labels)
    X = np.stack(list(numbers.values()), axis=1)[:, None]
    return TableSeries(X, y, None if ids is None else plain(ids), points)


def value_columns(table: Table, values: Sequence[Any] | None, named: list[Any]) -> list[Any]:
    """Return the names of the value columns: all but ``named``, unless ``values`` names them."""
    for name in named:
        if name not in table.names:
            raise ValueError(f"{name!r} is not a column of {table.name}, which has {table.names}")
    if values is None:
        found = [name for name in table.names if name not in named]
        for name in found:
            if name == "" or str(name).lower() in NAMES_OF_LABELS or str(name) == "Unnamed: 0":
                raise ValueError(
                    f"{table.name} has a column {name!r}, which looks like "
                    f"{'labels' if name and 'Unnamed' not in str(name) else 'numbers of rows'}, "
                    f"not values; name it as label or id, or name the columns of values"
                )
    else:
        if isinstance(values, str) or not isinstance(values, Sequence):
            raise ValueError(f"values={values!r} must be a list of names of columns")
        found = list(values)
        if twice := [name for name in found if found.count(name) > 1 or name in named]:
            raise ValueError(f"values names {twice[0]!r}, which is named twice")
    if not found:
        raise ValueError(f"{table.name} has no column of values beside {named}")
    return found


def check_lengths(table: Table, columns: Mapping[Any, Any]) -> None:
    """Raise an error unless columns have the same number of rows, at least one."""
    lengths = {name: len(values) for name, values in columns.items() if values is not None}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{table.name} has columns of different lengths: {lengths}")
    if not max(lengths.values()):
        raise ValueError(f"{table.name} has no rows")


def plain(values: NDArray[Any]) -> NDArray[Any]:
    """Return an array of objects as strings or numbers if all elements have this type."""
    items = values.tolist()
    if values.dtype.kind in "OT" and len({type(item) for item in items}) == 1:
        if isinstance(items[0], str | bool | int | float):
            return np.array(items)
    return values


def _labels(table: Table, labels: NDArray[Any]) -> NDArray[Any]:
    """Return labels, with None for missing strings."""
    refuse_bytes(labels, "label")
    missing = table.missing(labels)
    if not missing.any():
        return plain(labels)
    if labels.dtype.kind == "f":
        return labels
    found = labels.astype(object)
    found[missing] = None
    return found


def _constant(table: Table, label: Any, series: NDArray[np.int64], ids: list[Any]) -> NDArray[Any]:
    """Return the label of each series, after a check that all of its rows have the same label."""
    labels = table.column(label, "label")
    check_lengths(table, {label: labels, "id": series})
    labels = _labels(table, labels)
    first = np.unique(series, return_index=True)[1]
    for row, (one, other) in enumerate(
        zip(labels.tolist(), labels[first[series]].tolist(), strict=True)
    ):
        if one != other and not (is_missing(one) and is_missing(other)):
            raise ValueError(
                f"{table.name} has the label {other!r} of series {ids[series[row]]!r} in "
                f"{table.where(int(first[series[row]]))} and {one!r} in {table.where(row)}; the "
                f"label must be the same in all rows of a series"
            )
    return plain(labels[first])


def _matched(label: Any, ids: list[Any]) -> NDArray[Any]:
    """Return labels from a dict or a pandas column, in the order of ids."""
    pairs = list(label.items())
    found = dict(pairs)
    missing = [id_ for id_ in ids if id_ not in found]
    if missing or len(found) < len(pairs):
        fault = f"lacks {missing[:SHOWN]}" if missing else "names some twice"
        raise ValueError(f"label is matched with the ids, and {fault}; it must name each id once")
    values = np.empty(len(ids), dtype=object)
    values[:] = [found[id_] for id_ in ids]
    refuse_bytes(values, "label")
    return plain(values)


def _refuse_row_numbers(numbers: Mapping[Any, NDArray[Any]], source: str) -> None:
    """Raise an error if the values of a column are 0, 1, 2, ... or 1, 2, 3, ... by row."""
    for name, own in numbers.items():
        if len(own) >= LEAST_ROWS and own[0] in (0, 1) and (np.diff(own) == 1).all():
            raise ValueError(
                f"{source} has a column {name!r}, which looks like numbers of rows, not values; "
                f"name it as label or id, or name the columns of values"
            )


def _check_order(points: list[Any], name: str) -> None:
    """Raise an error if the numbers in column names don't ascend evenly, as in t1, t10, t2."""
    parts = [re.fullmatch(r"(.*?)(-?\d+(?:\.\d+)?)", str(point)) for point in points]
    found = [part.groups() for part in parts if part is not None]
    if len(found) < len(points) or len({prefix for prefix, _ in found}) > 1:
        return
    numbers = np.array([float(number) for _, number in found])
    steps = np.diff(numbers)
    if len(steps) and not (steps[0] > 0 and np.allclose(steps, steps[0], rtol=0.01)):
        row = int(np.flatnonzero(~np.isclose(steps, np.median(steps), rtol=0.01))[:1].sum())
        raise ValueError(
            f"{name} has the columns {some_of(points)} of time points, of which {points[row]!r} "
            f"and {points[row + 1]!r} follow one another; their numbers must ascend evenly. Put "
            f"them in order, or name them so in values, or rename them if the numbers are not "
            f"times"
        )


def _uneven(
    table: Table,
    sampling: Sampling,
    rows: NDArray[np.int64],
    ids: NDArray[Any],
    counts: NDArray[np.int64],
    times: NDArray[Any],
    columns: tuple[Any, Any, Any, list[Any]],
) -> ValueError:
    """Return the error for unevenly sampled series, which shows how to resample them."""
    id_, time, label, channels = columns
    series = int(np.searchsorted(np.cumsum(counts), sampling.row, side="right"))
    here = [shown(times[row]) for row in rows[[sampling.row - 1, sampling.row]]]
    by = [id_] if label is None or hasattr(label, "items") else [id_, label]
    step = f"{plain_step(sampling.seconds):.15g}s"
    stamps = (
        f"frame[{time!r}]"
        if times.dtype.kind in "mM"
        else f"pandas.to_timedelta(frame[{time!r}], unit='s')"
    )
    dated = f"pandas.to_datetime(frame[{time!r}])" if times.dtype.kind == "M" else stamps
    return ValueError(
        f"{table.name} is not sampled evenly: in series {shown(ids[series])!r} the time "
        f"{here[0]} is followed by {here[1]} ({table.where(int(rows[sampling.row]))}), and "
        f"{sampling.fault}. "
        f"Networks need even steps. If only the times are inexact, number the points, and give "
        f"the numbers as times: frame.sort_values({time!r}).groupby({id_!r}).cumcount(). Else "
        f"resample, by pandas for example: frame.set_index({dated})"
        f".groupby({by})[{channels}].resample(pandas.Timedelta({step!r})).mean().reset_index()"
    )

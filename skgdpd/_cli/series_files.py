"""Series of files on the command line: those of the archives, and tables with named columns."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._series.files import read_file
from .._series.frames import check_names, some_of
from .._series.long import TableSeries, read_long, read_wide
from .._series.sampling import Step
from .._series.tables import Table, read_table
from .label_files import IdLabels, read_id_labels
from .steps import check_step, step_of


@dataclass(frozen=True)
class Columns:
    """Options that say what the columns of a table are.

    Attributes
    ----------
    id, time, label : str or None
        Names of the columns of ids, times and labels.
    values : list of str or None
        Names of the columns of values; None is all others.
    step : float or None
        Time from point to point; None is found in the times.
    header : bool
        Whether the first line names the columns.
    separator : str or None
        Character between the fields; None is that of the suffix.
    decimal : {".", ","}
        Character before the decimals of numbers.
    labels : str or None
        Path of a table of ids and labels; None if labels are in the file of the series.
    """

    id: str | None = None
    time: str | None = None
    values: list[str] | None = None
    label: str | None = None
    step: float | None = None
    header: bool = True
    separator: str | None = None
    decimal: str = "."
    labels: str | None = None

    def given(self) -> list[str]:
        """Return the options that are not at their defaults, as they are written."""
        mine, others = asdict(self), asdict(Columns())
        names = [name for name in mine if mine[name] != others[name]]
        return ["--no-header" if name == "header" else f"--{name}" for name in names]

    def typed(self) -> str:
        """Return the options that are not at their defaults with their values, as typed."""
        words: list[str] = []
        for option in self.given():
            value = getattr(self, option.removeprefix("--"), None)
            values = [] if value is None else value if isinstance(value, list) else [value]
            words += [option, *(shlex.quote(str(value)) for value in values)]
        return " ".join(words)


class FileSeries(NamedTuple):
    """Series of a file.

    Attributes
    ----------
    X : ndarray of shape (n, n_channels, n_timepoints)
        Series.
    y : ndarray of shape (n,) or None
        Labels; None if there are none.
    ids : ndarray of shape (n,) or None
        Ids; None if there are none.
    channels : tuple of str or None
        Names of the channels; None if there are none.
    step : Step or None
        Time from point to point; None if there are no times.
    points : tuple of str or None
        Names of the columns of time points, of a table with a row for each series.
    """

    X: NDArray[Any]
    y: NDArray[Any] | None = None
    ids: NDArray[Any] | None = None
    channels: tuple[str, ...] | None = None
    step: Step | None = None
    points: tuple[str, ...] | None = None

    def name(self, row: int) -> str:
        """Return the id of a series, or else its number from 0."""
        return str(row if self.ids is None else self.ids[row])

    def fitted(self, path: str) -> FittedSeries:
        """Return what further files of a fit to these series, of a path, must agree with."""
        return FittedSeries(self.X.shape[2], self.channels, self.points, self.step, path)

    def take(self, rows: NDArray[np.int64]) -> FileSeries:
        """Return some of the series, with their ids, or else with their numbers as ids."""
        ids = rows if self.ids is None else self.ids[rows]
        return FileSeries(
            self.X[rows], None if self.y is None else self.y[rows], ids, self.channels
        )


class FittedSeries(NamedTuple):
    """Facts on the series of a fit, with which other files must agree.

    Attributes
    ----------
    longest : int
        Number of time points of the longest series. It is the most that a table with a row for
        each series may have if its columns can't be found by their names.
    channels : tuple of str or None
        Names of the channels, in their order, which a table with a row for each point must have.
    points : tuple of str or None
        Names of the columns of time points, in their order. A table with a row for each series
        must have the first of them.
    step : Step or None
        Time from point to point that a table with a row for each point must have.
    whose : str
        Description of the series, for errors.
    """

    longest: int
    channels: tuple[str, ...] | None = None
    points: tuple[str, ...] | None = None
    step: Step | None = None
    whose: str = "the series of the fit"


def fitted_series(model: Any) -> FittedSeries:
    """Return what a fitted model keeps of its series."""
    names = vars(model).get("feature_names_in_")
    channels, points = channels_of(model), None
    if names is not None and model.n_channels_in_ == 1 and len(names) == model.n_timepoints_in_:
        points = tuple(np.asarray(names).tolist())
    return FittedSeries(int(model.n_timepoints_in_), channels, points, step_of(model))


def read_for_fit(
    data: str, unlabeled: str | None, columns: Columns
) -> list[tuple[str, FileSeries]]:
    """Read the series of the files of a fit.

    Parameters
    ----------
    data : str
        Path of the file of labelled series.
    unlabeled : str or None
        Path of the file of unlabelled series; None if there is none.
    columns : Columns
        What the columns of a table are.

    Returns
    -------
    list of (str, FileSeries)
        Path and series of each file. Labels of unlabelled series are left out.

    Raises
    ------
    FileNotFoundError, ImportError, OSError or ValueError
        If a file can't be read as the options say, or a table does not agree with the first one.
    """
    series = read_series(data, columns)
    if unlabeled is None:
        return [(data, series)]
    other = read_series(unlabeled, columns, labelled=False, fitted=series.fitted(data))
    return [(data, series), (unlabeled, other._replace(y=None))]


def read_series(
    path: str,
    columns: Columns,
    *,
    labelled: bool = True,
    last: bool = False,
    fitted: FittedSeries | None = None,
) -> FileSeries:
    """Read the series of a file.

    Parameters
    ----------
    path : str
        File of a format of the archives, or a table with named columns. A ``.tsv`` file is such
        a table if columns are named, and else of the archive's format.
    columns : Columns
        What the columns of a table are.
    labelled : bool, default=True
        Whether series must have labels. A column of labels that is named and not there is no
        error otherwise.
    last : bool, default=False
        Whether to take the test part of a file that has a training and a test part.
    fitted : FittedSeries, optional
        Facts on the series of a fit, with which a table must agree.

    Returns
    -------
    FileSeries

    Raises
    ------
    FileNotFoundError, ImportError, OSError or ValueError
        If the file can't be read as the options say.
    """
    given = columns.given()
    if not is_table(path, columns):
        parts = read_file(Path(path), labelled=labelled)
        if given:
            raise ValueError(f"{given[0]} is for .csv, .tsv and .parquet files, not for {path}")
        X, *y = parts[2:] if last and len(parts) == 4 else parts[:2]
        return FileSeries(X, y[0] if y else None)
    table = _table(path, columns)
    by_id = _labels_of(path, table, columns) if labelled and columns.labels is not None else None
    if labelled and columns.label is None:
        names = ", ".join(map(str, table.names[:5]))
        more = f" and {len(table.names) - 5} more" if len(table.names) > 5 else ""
        rows = (
            ""
            if columns.time
            else ". If each row is a point of a series, name --id and --time, too"
        )
        raise ValueError(f"--label must name the column of labels of {path}: {names}{more}{rows}")
    label = columns.label if labelled or columns.label in table.names else None
    if by_id is not None:
        label = None
    _check_named(table, columns, label)
    if columns.time is None:
        series = _read_wide(path, table, columns, label, fitted)
        points = tuple(map(str, series.channels))
        return FileSeries(*_labelled(series, path, by_id)[:3], points=points)
    series = _labelled(_read_long(path, table, columns, label, fitted), path, by_id)
    return FileSeries(*series[:3], tuple(map(str, series.channels)), series.step)


def _read_wide(
    path: str, table: Table, columns: Columns, label: str | None, fitted: FittedSeries | None
) -> TableSeries:
    """Read a table with a row for each series."""
    if columns.step is not None:
        raise ValueError("--step needs --time, the column of times")
    values = columns.values
    if values is None and fitted is not None and fitted.points is not None and columns.header:
        values = _points_in(table, fitted.points)
        _check_roles(path, values, columns)
    series = read_wide(table, columns.id, values, label)
    if values is None and fitted is not None and len(series.channels) > fitted.longest:
        raise ValueError(
            f"{path} has {len(series.channels)} columns of time points, and {fitted.whose} had "
            f"{fitted.longest}. If some are not time points, name them by --label and --id; else "
            f"name the columns to read by --values"
        )
    return series


def _read_long(
    path: str, table: Table, columns: Columns, label: str | None, fitted: FittedSeries | None
) -> TableSeries:
    """Read a table with a row for each point of a series."""
    if columns.id is None:
        raise ValueError("--time needs --id, the column that tells series apart")
    values = columns.values
    if fitted is not None and fitted.channels is not None:
        if values is None:
            values = list(fitted.channels)
            _check_fitted(table, values)
            _check_roles(path, values, columns)
        check_names(tuple(values), fitted.channels, "--values", "the model")
    series = read_long(table, columns.id, columns.time, values, label, columns.step)
    source = path if columns.step is None else f"{path}, as --step says"
    if fitted is not None:
        check_step(source, series.step, fitted.step, fitted.whose)
    return series


def _points_in(table: Table, points: tuple[str, ...]) -> list[str]:
    """Return the columns of time points of a table, the first of those of a fit."""
    found = [name for name in points if name in table.names]
    _check_fitted(table, points[: max(len(found), 1)])
    return found


def _check_fitted(table: Table, names: Sequence[str]) -> None:
    """Raise an error if a table has no column of one of the names that a model was fitted to."""
    if missing := [name for name in names if name not in table.names]:
        raise ValueError(
            f"{table.name} has no column {missing[0]!r}, which the model was fitted to; its "
            f"columns are {some_of(table.names)}. Columns must have the names that they had in "
            f"the fit"
        )


def _check_roles(path: str, values: list[str], columns: Columns) -> None:
    """Raise an error if a column of values of a fit is named as another one."""
    for name in (columns.id, columns.time, columns.label):
        if name in values:
            raise ValueError(
                f"{path}: {name!r} is a column of values in the fit; --id, --time and --label "
                f"can't name it"
            )


def _table(path: str, columns: Columns) -> Table:
    return read_table(
        Path(path), header=columns.header, separator=columns.separator, decimal=columns.decimal
    )


def _labels_of(path: str, table: Table, columns: Columns) -> IdLabels:
    """Return the labels of a file of their own."""
    assert columns.labels is not None
    if columns.id is None or columns.label is None:
        raise ValueError("--labels needs --id and --label, the columns of ids and of labels")
    if columns.label in table.names:
        raise ValueError(
            f"{path} has a column {columns.label!r}, too; leave out --labels, or rename one of "
            f"the columns"
        )
    return read_id_labels(_table(columns.labels, columns), columns.id, columns.label)


def _labelled(series: TableSeries, path: str, by_id: IdLabels | None) -> TableSeries:
    if by_id is None:
        return series
    assert series.ids is not None
    return series._replace(y=by_id.of(series.ids, path))


def _check_named(table: Table, columns: Columns, label: str | None) -> None:
    """Raise an error if an option names a column that is not there."""
    names = {"--id": [columns.id], "--time": [columns.time], "--label": [label]}
    for option, given in (names | {"--values": columns.values or []}).items():
        for name in given:
            if name is not None and name not in table.names:
                raise ValueError(
                    f"{option} names {name!r}, which is not a column of {table.name}; its columns "
                    f"are {some_of(table.names)}"
                )


def is_table(path: str, columns: Columns) -> bool:
    """Return whether a file is read as a table with named columns."""
    suffix = Path(path).suffix
    return suffix in (".csv", ".parquet") or (suffix == ".tsv" and bool(columns.given()))


def channels_of(model: Any) -> tuple[str, ...] | None:
    """Return the names of the channels of a model; None if it was fitted without."""
    names = vars(model).get("feature_names_in_")
    if names is None or len(names) != model.n_channels_in_:
        return None
    return tuple(np.asarray(names).tolist())


def keep_names(model: Any, series: FileSeries, columns: Columns) -> None:
    """Keep the names of the columns that a model was fitted to, if a file has any."""
    names = series.channels or (series.points if columns.header else None)
    if names is not None:
        model.feature_names_in_ = np.array(names, dtype=object)

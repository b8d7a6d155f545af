"""Tables of named columns: data frames, dicts of arrays, and CSV, TSV and Parquet files."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._runtime.plain_files import open_plain, read_plain
from .frames import column_names, some_of
from .unlabeled import is_missing

MISSING = {"", "?", "na", "nan", "null", "none", "<na>"}
"""Lower-case strings in a file that mean a missing value."""
COMMA = re.compile(r"[-+]?\d+,\d+(e[-+]?\d+)?", re.IGNORECASE)
"""Number with a decimal comma."""
SEPARATORS = {".csv": ",", ".tsv": "\t"}
"""Characters between the fields of a file, by suffix."""
SUFFIXES = (*SEPARATORS, ".parquet")
"""Suffixes of files that are read as tables."""


@dataclass(frozen=True)
class Table:
    """Named columns of equal length, which are read one by one.

    Attributes
    ----------
    source : object
        Object from which a column is obtained by its name.
    names : list
        Names of the columns in order.
    name : str
        Name of the table in errors.
    lines : ndarray of int or None, default=None
        Line number of each row in a text file; all values are then strings. None for other
        sources.
    decimal : {".", ","}, default="."
        Decimal separator of numbers in a text file.
    """

    source: Any
    names: list[Any]
    name: str
    lines: NDArray[np.int64] | None = None
    decimal: str = "."

    def where(self, row: int) -> str:
        """Return a description of the position of a row, for errors."""
        return f"row {row}" if self.lines is None else f"line {self.lines[row]}"

    def column(self, name: Any, argument: str) -> NDArray[Any]:
        """Return the values of a column ``(n_rows,)``; ``argument`` is for errors."""
        if name not in self.names:
            raise ValueError(
                f"{argument}={name!r} is not a column of {self.name}, which has "
                f"{some_of(self.names)}"
            )
        values = self.source[name]
        values = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values)
        if values.ndim != 1:
            raise ValueError(
                f"column {name!r} of {self.name} has shape {values.shape}; it must have one "
                f"dimension"
            )
        return values

    def numbers(self, name: Any, argument: str, open_role: str | None = "id") -> NDArray[Any]:
        """Return a column as numbers; missing values are NaN.

        Parameters
        ----------
        name : object
            Name of the column.
        argument : str
            Name of the argument that gave ``name``, for errors.
        open_role : {"id", "label"} or None, default="id"
            What a column of words may be, for errors; None if it may be nothing.

        Returns
        -------
        numbers : ndarray of shape (n_rows,)
            The values of the column.
        """
        values = self.column(name, argument)
        if values.dtype.kind in "biu":
            return values.astype(np.float64)
        if values.dtype.kind == "f":
            return values
        if self.lines is not None:
            values = np.array(
                [number_of(text, self.decimal) for text in values.tolist()], dtype=object
            )
        if values.dtype.kind != "O":
            raise ValueError(
                f"column {name!r} of {self.name} has values of the type {values.dtype}; they must "
                f"be real numbers"
            )
        numbers = np.full(len(values), np.nan)
        for row, value in enumerate(values):
            if isinstance(value, Real | Decimal):
                numbers[row] = float(value)
            elif not is_missing(value):
                raise ValueError(
                    f"{self.name}, {self.where(row)}: the value {value!r} of column {name!r} is "
                    f"not a number{_advice(name, value, values, open_role)}"
                )
        return numbers

    def keys(self, name: Any, argument: str) -> NDArray[Any]:
        """Return an id column, after a check that no id is missing."""
        values = self.column(name, argument)
        for row in np.flatnonzero(self.missing(values)).tolist():
            raise ValueError(f"{self.name} has no {argument} in {self.where(row)}")
        return values

    def times(self, name: Any) -> NDArray[Any]:
        """Return a time column as numbers, numpy dates or numpy durations."""
        values = self.keys(name, "time")
        if values.dtype.kind in "iufmM":
            return values
        items = values.tolist()
        if all(isinstance(item, str) for item in items):
            if all(_is_whole(item) for item in items):
                return np.array([int(item) for item in items], dtype=np.int64)
            numbers = [number_of(item, self.decimal) for item in items]
            if all(isinstance(number, float) for number in numbers):
                return np.array(numbers)
        try:
            return _dates(items)
        except (TypeError, ValueError) as error:
            texts = all(isinstance(item, str) for item in items)
            more = "" if texts else ", dates of numpy or pandas"
            raise ValueError(
                f"time={name!r}: {self.name} has times such as {items[0]!r}, which are neither "
                f"numbers nor dates ({error}); allowed are numbers{more} and texts of ISO 8601, "
                f"such as 2026-01-31 12:00:00{_other_times(name, items[0])}"
            ) from error

    def missing(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Return a mask of the missing values of a column."""
        if self.lines is not None:
            return np.array([text.lower() in MISSING for text in values.tolist()], dtype=bool)
        if values.dtype.kind in "biuSU":
            return np.zeros(len(values), dtype=bool)
        return np.array([is_missing(value) for value in values], dtype=bool)


def as_table(frame: Any, name: str = "frame") -> Table:
    """Return a table from any object with named columns.

    Parameters
    ----------
    frame : object
        A pandas or polars data frame, a pyarrow table, a structured array, or a dict of columns.
    name : str, default="frame"
        Name of the argument in errors.

    Returns
    -------
    Table

    Raises
    ------
    TypeError
        If the object has no named columns, or is not in memory.
    ValueError
        If there are no columns, or if a name occurs twice.
    """
    package = type(frame).__module__.partition(".")[0]
    kind = f"{package}.{type(frame).__name__}"
    if hasattr(frame, "collect") or package == "dask":
        method = "collect" if hasattr(frame, "collect") else "compute"
        raise TypeError(f"{name} is a {kind}, whose rows are not read yet; give {name}.{method}()")
    names = column_names(frame)
    if names is None:
        raise TypeError(
            f"{name} is a {kind}; it must have named columns, as a frame of pandas or polars, a "
            f"table of pyarrow or a dict of arrays has"
        )
    check_distinct(names, name)
    if not names:
        raise ValueError(f"{name} has no columns")
    return Table(frame, names, name)


def check_distinct(names: Sequence[Any], name: str) -> None:
    """Raise an error if a column name occurs twice."""
    if len(set(names)) < len(names):
        twice = next(each for each in names if list(names).count(each) > 1)
        raise ValueError(f"{name} has the column {twice!r} twice; give each another name")


def read_table(
    path: Path, *, header: bool = True, separator: str | None = None, decimal: str = "."
) -> Table:
    """Read a ``.csv``, ``.tsv`` or ``.parquet`` file.

    Parameters
    ----------
    path : Path
        Path of the file.
    header : bool, default=True
        Whether the first line of a text file names the columns. If False, the columns are named
        ``"0"``, ``"1"`` and so on.
    separator : str, optional
        Character between the fields of a text file. By default, a comma or a tab, depending on
        the suffix.
    decimal : {".", ","}, default="."
        Decimal separator of numbers in a text file.

    Returns
    -------
    Table

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If pandas or pyarrow is missing for a ``.parquet`` file.
    OSError
        If the path is a device or a pipe.
    ValueError
        If the file is empty, malformed or in another format. The error names the line.
    """
    if path.is_dir() or not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path} is not a {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file")
    if decimal not in (".", ","):
        raise ValueError(f"decimal={decimal!r} must be '.' or ','")
    if path.suffix == ".parquet":
        return _read_parquet(path)
    separator = SEPARATORS[path.suffix] if separator is None else separator
    if separator == decimal:
        raise ValueError(
            f"{path}: {separator!r} can't both separate fields and begin decimals; name the "
            f"separator, such as separator=';'"
        )
    return replace(_read_texts(path, header, separator), decimal=decimal)


def _read_parquet(path: Path) -> Table:
    with open_plain(path, follow_links=True) as file:
        try:
            import pandas

            frame = pandas.read_parquet(file)
        except ImportError as error:
            raise ImportError(
                f"{path}: pandas and pyarrow are needed to read .parquet files; install them "
                f"with: pip install pandas pyarrow"
            ) from error
        except Exception as error:  # each engine has its own errors for damaged files
            raise ValueError(f"{path} can't be read as a .parquet file: {error}") from error
    return as_table(frame, str(path))


def _read_texts(path: Path, header: bool, separator: str) -> Table:
    if len(separator) != 1:
        raise ValueError(f"separator={separator!r} must be one character")
    try:
        text = read_plain(path, follow_links=True).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: {error}") from error
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows, lines = [], []
    try:
        for fields in reader:
            fields = [field.strip() for field in fields]
            if any(fields):
                rows.append(fields)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}") from error
    if not rows:
        raise ValueError(f"{path} is empty")
    names = rows.pop(0) if header else [str(i) for i in range(len(rows[0]))]
    first = lines.pop(0) if header else lines[0]
    if len(names) == 1:
        other = ";" if separator == "," else ","
        raise ValueError(
            f"{path}, line {first}: there is no {separator!r}, so there is one column only; if "
            f"another character separates the fields, name it, such as separator={other!r}"
        )
    if header:
        _check_header(names, path, first)
    if not rows:
        raise ValueError(f"{path} has no line after its header")
    for fields, line in zip(rows, lines, strict=True):
        if len(fields) != len(names):
            raise ValueError(
                f"{path}, line {line}: {len(fields)} fields, in line {first} {len(names)}; all "
                f"lines must have equally many"
            )
    texts = np.array(rows, dtype=object)
    columns = {each: texts[:, i] for i, each in enumerate(names)}
    return Table(columns, names, str(path), np.array(lines))


def _check_header(names: list[str], path: Path, line: int) -> None:
    """Raise an error if the first line has values instead of column names."""
    check_distinct(names, f"{path}, line {line}")
    if not all(isinstance(number_of(name), float) for name in names):
        return
    counted = all(map(_is_whole, names)) and set(np.diff([int(name) for name in names])) == {1}
    if not counted:
        raise ValueError(
            f"{path}, line {line}: {some_of(names)} are numbers, as a series has; if there is no "
            f"header, say so (header=False, --no-header), and columns are named 0, 1, 2, ..."
        )


def _other_times(name: Any, value: Any) -> str:
    """Return what can be done about a text that is no time, for an error."""
    if isinstance(value, str) and COMMA.fullmatch(value):
        return _advice(name, value, np.empty(0))
    return (
        f". Other dates can be converted, by pandas for example: frame[{name!r}] = "
        f"pandas.to_datetime(frame[{name!r}], dayfirst=True)"
    )


def _advice(name: Any, value: Any, values: NDArray[Any], open_role: str | None = "id") -> str:
    """Return what may be meant by a value that is not a number, for an error."""
    if not isinstance(value, str):
        return ""
    if COMMA.fullmatch(value):
        return "; if numbers have a decimal comma, say so: decimal=','"
    if any(isinstance(other, Real) for other in values.tolist()):
        return ""
    if is_date(value):
        return f"; if the column has times, name it: time={name!r}"
    if open_role is None:
        return "; name the columns of values, without this one"
    what = f"; if the column has {open_role}s, name it: {open_role}={name!r}"
    return what if open_role == "id" else f"{what}; else name the columns of values, without it"


def number_of(text: str, decimal: str = ".") -> Any:
    """Return a string as a number, as NaN if it means a missing value, or else unchanged."""
    if text.lower() in MISSING:
        return np.nan
    if "_" in text or (decimal != "." and "." in text):
        return text
    try:
        return float(text.replace(decimal, "."))
    except ValueError:
        return text


def _is_whole(text: str) -> bool:
    return text.removeprefix("-").isdecimal() and len(text) < 19


def is_date(text: str) -> bool:
    """Return whether a text is a date of ISO 8601 that is not a number."""
    try:
        float(text)
    except ValueError:
        try:
            datetime.fromisoformat(text)
        except ValueError:
            return False
        return True
    return False


def _dates(items: list[Any]) -> NDArray[Any]:
    """Return Python dates, or strings in ISO 8601, as numpy dates in UTC."""
    found = [_date(item) if isinstance(item, str) else item for item in items]
    for item in found:
        if not isinstance(item, date):
            raise TypeError(f"{item!r} is a {type(item).__name__}")
    zoned = [getattr(item, "tzinfo", None) is not None for item in found]
    if any(zoned) and not all(zoned):
        raise ValueError("some have a time zone, and some have none")
    return np.array([_plain_date(item) for item in found], dtype="datetime64[us]")


def _date(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a date of ISO 8601") from error


def _plain_date(item: date) -> date:
    if isinstance(item, datetime) and item.tzinfo is not None:
        item = item.astimezone(UTC).replace(tzinfo=None)
    return item

"""Input and output lines of a stream, as JSON or as CSV: points and answers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from .._early.session import StreamDecision
from .._series.tables import COMMA, MISSING, is_date, number_of
from .stream_times import LineTimes

LARGEST = float(np.finfo(np.float32).max)
KEYS = {"id", "values", "points", "t", "time", "end"}


class Line(NamedTuple):
    """Content of an input line: points of one series.

    Attributes
    ----------
    id : str or int
        Id of the series.
    points : list of list of float
        Points in order of time. A point has a number for each channel.
    first : int or None
        Index of the first point within its series; None if the line does not give it.
    time : float or None
        Time of the line; None if the line does not give it.
    ends : bool
        Whether the series ends with this line.
    kind : {"number", "date", "zoned"} or None
        Kind of the time; None if the line has no time.
    """

    id: str | int
    points: list[list[float]]
    first: int | None
    time: float | None
    ends: bool
    kind: str | None


class CsvOptions(NamedTuple):
    """Form of CSV lines: names of columns, and characters with a meaning.

    Attributes
    ----------
    id, time : str or None
        Names of the columns of ids and times. None means ``"id"`` and ``"time"``.
    values : list of str or None
        Names of the columns of values, with a column for each channel. None means all columns
        without another meaning.
    channels : tuple of str or None
        Names of the model's channels, in their order; None if the channels have no names.
    separator : str
        Character between fields.
    decimal : {".", ","}
        Character before the decimals of numbers.
    """

    id: str | None = None
    time: str | None = None
    values: list[str] | None = None
    channels: tuple[str, ...] | None = None
    separator: str = ","
    decimal: str = "."

    def check(self) -> None:
        """Raise an error for characters that can't be told apart."""
        if len(self.separator) != 1:
            raise ValueError(f"--separator {self.separator!r} must be one character")
        if self.separator == self.decimal:
            raise ValueError(
                f"{self.separator!r} can't both separate fields and begin decimals; name the "
                f"separator, such as --separator ';'"
            )

    def meanings(self) -> dict[str, str]:
        """Return the meaning of each column other than the values, by column name."""
        return {self.id or "id": "id", "t": "t", self.time or "time": "time", "end": "end"}

    def named(self) -> list[str]:
        """Return the options of the command line that name columns."""
        return [f"--{name}" for name in ("id", "time", "values") if getattr(self, name)]

    def given(self) -> list[str]:
        """Return all options of the command line that are not at their defaults."""
        mine, defaults = self._asdict(), CsvOptions()._asdict()
        signs = [name for name in ("separator", "decimal") if mine[name] != defaults[name]]
        return [*self.named(), *(f"--{name}" for name in signs)]


class Form(Protocol):
    """Format of input and output lines."""

    columns: list[str] | None
    times: LineTimes

    def read(self, text: str) -> Line | None:
        """Return the content of a line; None for an empty line or a header."""
        ...

    def head(self) -> list[str]:
        """Return the output lines before the first answer."""
        ...

    def write(self, decision: StreamDecision) -> str:
        """Return the line of an answer."""
        ...


def form_of(
    name: str, n_channels: int, gaps: bool, classes: Sequence[Any], names: CsvOptions | None = None
) -> Form:
    """Return the format of lines by its name.

    Parameters
    ----------
    name : {"jsonl", "csv"}
        Name of the format.
    n_channels : int
        Number of channels of the series.
    gaps : bool
        Whether missing values are allowed.
    classes : sequence
        Labels of the classes, in the order of the probabilities.
    names : CsvOptions, optional
        Form of CSV lines.

    Returns
    -------
    Form

    Raises
    ------
    ValueError
        If options are given that the format does not have, or if separator and decimal are the
        same character.
    """
    labels = [str(label) for label in classes]
    if name == "jsonl":
        if given := [] if names is None else names.given():
            raise ValueError(
                f"{given[0]} needs --format csv; lines of JSON have keys of their own"
            )
        return JsonLines(n_channels, gaps, labels)
    return CsvLines(n_channels, gaps, labels, names)


class JsonLines:
    """Format of lines that are JSON objects.

    Parameters
    ----------
    n_channels : int
        Number of channels of the series.
    gaps : bool
        Whether missing values are allowed.
    labels : list of str
        Labels of the classes.
    """

    columns: list[str] | None = None

    def __init__(self, n_channels: int, gaps: bool, labels: list[str]) -> None:
        self.n_channels, self.gaps, self.labels = n_channels, gaps, labels
        self.times = LineTimes()

    def read(self, text: str) -> Line | None:
        """Return what a line says; see :class:`Form`."""
        if not text.strip():
            return None
        try:
            found = json.loads(text, object_pairs_hook=_without_repeats)
        except RepeatedKeyError:
            raise
        except (ValueError, RecursionError) as error:
            advice = "" if text.lstrip()[0] in "{[" else "; lines of CSV need --format csv"
            raise ValueError(f"the line is not JSON: {error}{advice}") from error
        if not isinstance(found, dict):
            raise ValueError('the line is not a JSON object, such as {"id": "a", "values": [0.5]}')
        if not found.keys() <= KEYS:
            unknown = ", ".join(sorted(found.keys() - KEYS))
            raise ValueError(f"unknown keys {unknown}; allowed are {', '.join(sorted(KEYS))}")
        id_ = found.get("id")
        if not isinstance(id_, str | int) or isinstance(id_, bool):
            raise ValueError(f"id={id_!r} must be a string or a whole number")
        ends = found.get("end", False)
        if type(ends) is not bool:
            raise ValueError(f"end={ends!r} must be true or false")
        points = self._points(found, ends)
        for point in points:
            check_values(point, self.n_channels, self.gaps)
        first = first_of(found.get("t"))
        kind, time = self.times.read(found.get("time"))
        return Line(id_, points, first, time, ends, kind)

    def _points(self, found: dict[str, Any], ends: bool) -> list[list[float]]:
        if "values" in found and "points" in found:
            raise ValueError("values and points are both given; leave one of them out")
        if "values" in found:
            points = [found["values"]]
        elif "points" in found:
            points = found["points"]
            if not isinstance(points, list) or not points:
                raise ValueError(f"points={points!r} must be a list of points, a list each")
        elif ends:
            return []
        else:
            raise ValueError("the line has neither values nor points")
        for point in points:
            if not isinstance(point, list):
                raise ValueError(f"{point!r} must be a list, with a number for each channel")
        return [[np.nan if value is None else value for value in point] for point in points]

    def head(self) -> list[str]:
        """Return an empty list, because JSON lines need no header."""
        return []

    def write(self, decision: StreamDecision) -> str:
        """Return the line of an answer; see :class:`Form`."""
        probabilities = dict(zip(self.labels, decision.probabilities.tolist(), strict=True))
        fields = {
            "id": decision.id,
            "label": plain(decision.label),
            "probabilities": probabilities,
            "n_seen": decision.n_seen,
            "share_seen": decision.share_seen,
            "forced": decision.forced,
            "time": self.times.write(decision.time),
        }
        return json.dumps(fields) + "\n"


class CsvLines:
    """Format of lines of values that are separated by commas or by another character.

    The first line is a header if one of its fields is ``id``, or the name of the column of ids.
    With a header, the columns ``t``, ``time`` and ``end`` have the same meaning as the keys of
    JSON lines. If no columns of values are named, all other columns are the channels, in their
    order. Without a header, a line consists of an id and a value for each channel.

    Parameters
    ----------
    n_channels : int
        Number of channels of the series.
    gaps : bool
        Whether missing values are allowed.
    labels : list of str
        Labels of the classes.
    names : CsvOptions, optional
        Names of columns, separator and decimal. If an option names a column, the first line must
        be a header.

    Attributes
    ----------
    columns : list of str or None
        Names of the columns of the header; None if there is no header.
    """

    def __init__(
        self, n_channels: int, gaps: bool, labels: list[str], names: CsvOptions | None = None
    ) -> None:
        self.n_channels, self.gaps, self.labels = n_channels, gaps, labels
        self.names = CsvOptions() if names is None else names
        self.names.check()
        self.meanings = self.names.meanings()
        self.columns: list[str] | None = None
        self.times = LineTimes()
        self._begun = False

    def read(self, text: str) -> Line | None:
        """Return what a line says; see :class:`Form`."""
        text = text.rstrip("\r\n")
        if not text.strip():
            return None
        try:
            fields = self._fields(text)
        except csv.Error as error:
            raise ValueError(f"the line is not CSV: {error}") from error
        if not self._begun:
            self._begun = True
            if (self.names.id or "id") in fields:
                self._read_header(fields)
                return None
            if self.columns is None and self.names.named():
                advice = ""
                if len(fields) == 1:
                    advice = "; name the character between fields, such as --separator ';'"
                raise HeaderError(
                    f"the first line must be a header with the column {self.names.id or 'id'!r}, "
                    f"because of {self.names.named()[0]}; it has {', '.join(fields)}{advice}"
                )
            headless = self.columns is None and len(fields) > 1
            if headless and all(map(self._is_word, fields)):
                raise ValueError(
                    f"the line has no number: {', '.join(fields)}; if it is a header, name its "
                    f"columns, such as --id {fields[0]}"
                )
        return self._line(fields)

    def _fields(self, text: str) -> list[str]:
        separator = self.names.separator
        if '"' not in text:
            return text.split(separator)
        return next(csv.reader([text], delimiter=separator, strict=True))

    def _read_header(self, fields: list[str]) -> None:
        """Store the column names of a header; raise an error if no line could be read with it."""
        if numbers := [field for field in fields if self._is_number(field)]:
            raise HeaderError(
                f"the first line has the field {self.names.id or 'id'}, as a header has, and the "
                f"number {numbers[0]}; "
                f"name another id, or put a header before it"
            )
        if len(set(fields)) < len(fields):
            raise HeaderError(f"the header names a column twice: {','.join(fields)}")
        if self.columns is not None and fields != self.columns:
            raise HeaderError(
                f"the header is {','.join(fields)}, but the stream began with "
                f"{','.join(self.columns)}"
            )
        if self.names.time is not None and self.names.time not in fields:
            raise HeaderError(f"the header has no column {self.names.time!r}: {','.join(fields)}")
        channels = self.names.values
        if channels is None:
            channels = [name for name in fields if name not in self.meanings]
            known = self.names.channels
            if known is not None and tuple(channels) != known:
                raise HeaderError(
                    f"the header has the columns of values {', '.join(channels)}; the model was "
                    f"fitted to {', '.join(known)}. Name the columns in this order: --values"
                )
        elif missing := [name for name in channels if name not in fields]:
            raise HeaderError(f"the header has no column {missing[0]!r}: {','.join(fields)}")
        if len(channels) != self.n_channels:
            raise HeaderError(
                f"the header has {len(channels)} columns of values, {', '.join(channels)}; the "
                f"model has {self.n_channels} channels"
            )
        self.columns = fields

    def _line(self, fields: list[str]) -> Line:
        columns = self.columns
        n = 1 + self.n_channels if columns is None else len(columns)
        if len(fields) != n:
            names = ",".join(columns or ["id", *(f"value{i + 1}" for i in range(n - 1))])
            more = ""
            if len(fields) == 1:
                more = "; if another character separates fields, name it by --separator"
            raise ValueError(f"the line has {len(fields)} fields, not the {n} of {names}{more}")
        if columns is None:
            named, texts = {"id": fields[0]}, fields[1:]
        else:
            pairs = list(zip(columns, fields, strict=True))
            meanings, chosen = self.meanings, self.names.values
            named = {meanings[name]: field for name, field in pairs if name in meanings}
            texts = [field for name, field in pairs if name not in meanings]
            if chosen is not None:
                texts = [dict(pairs)[name] for name in chosen]
        if not named["id"]:
            raise ValueError("the id is empty")
        ends = _truth(named.get("end", ""))
        first = named.get("t", "")
        clock = named.get("time", "")
        values = [_number(text, self.names.decimal) for text in texts]
        # A line without values may end its series.
        points = [] if ends and not any(texts) else [values]
        for point in points:
            check_values(point, self.n_channels, self.gaps)
        t = first_of(_whole(first) if first else None)
        kind, time = self.times.read(self._time(clock) if clock else None)
        return Line(named["id"], points, t, time, ends, kind)

    def _time(self, text: str) -> float | str:
        return number_of(text, self.names.decimal) if self._is_number(text) else text

    def _is_word(self, text: str) -> bool:
        return text[:1].isalpha() and text.lower() not in MISSING and not self._is_number(text)

    def _is_number(self, text: str) -> bool:
        found = number_of(text, self.names.decimal)
        return isinstance(found, float) and not np.isnan(found)

    def head(self) -> list[str]:
        """Return the header of the output."""
        names = ["id", "label", "n_seen", "share_seen", "forced", "time"]
        return [_csv_line([*names, *(f"p_{label}" for label in self.labels)])]

    def write(self, decision: StreamDecision) -> str:
        """Return the line of an answer; see :class:`Form`."""
        return _csv_line(
            [
                decision.id,
                plain(decision.label),
                decision.n_seen,
                decision.share_seen,
                str(decision.forced).lower(),
                "" if decision.time is None else self.times.write(decision.time),
                *decision.probabilities.tolist(),
            ]
        )


class RepeatedKeyError(ValueError):
    """Error for a JSON object with a repeated key, of which Python would use the last value."""


class HeaderError(Exception):
    """Error for a header with which no line can be read."""


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object as a dict; raise an error if a key is repeated."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RepeatedKeyError(f"the line names the key {twice!r} twice; leave one of them out")
    return found


def check_values(point: list[Any], n_channels: int, gaps: bool) -> None:
    """Raise an error if the number of values or a value of a point is not allowed."""
    if len(point) != n_channels:
        raise ValueError(f"a point has {len(point)} values; the model has {n_channels} channels")
    for value in point:
        if type(value) is not float and type(value) is not int:
            raise ValueError(f"the value {value!r} is not a number")
        if not -LARGEST <= value <= LARGEST:
            if value != value and gaps:
                continue
            if value != value:
                raise ValueError("a value is missing, which this model does not allow")
            raise ValueError(
                f"a value is not finite, or beyond {LARGEST:.3g}, the largest allowed"
            )


def first_of(value: Any) -> int | None:
    """Return the index of a line's first point, after a check; None if the line has none."""
    if value is not None and (type(value) is not int or value < 0):
        raise ValueError(f"t={value!r} must be a whole number from 0 on")
    return value


def plain(label: Any) -> Any:
    """Return a label as an object of a built-in Python type, for JSON."""
    value = label.item() if isinstance(label, np.generic) else label
    return value if isinstance(value, str | int | float | bool) else str(value)


def _number(text: str, decimal: str) -> float:
    found = number_of(text.strip(), decimal)
    if isinstance(found, float):
        return found
    more = "; if it is a time, name its column in a header by --time" if is_date(text) else ""
    if COMMA.fullmatch(text.strip()):
        more = "; if numbers have a decimal comma, say so by --decimal ,"
    raise ValueError(f"the value {text!r} is not a number{more}")


def _whole(text: str) -> Any:
    return int(text) if text.isdecimal() else text


def _truth(text: str) -> bool:
    if text not in ("", "0", "1", "true", "false"):
        raise ValueError(f"end={text!r} must be true, false, 1, 0 or empty")
    return text in ("1", "true")


def _csv_line(fields: Iterable[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(fields)
    return buffer.getvalue()

"""Times of a stream's lines: numbers, or dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
KINDS = {"number": "numbers", "date": "dates", "zoned": "dates with a time zone"}


class LineTimes:
    """Times of lines, all of one kind, as numbers; dates as seconds since 1970 in UTC.

    Attributes
    ----------
    kind : {"number", "date", "zoned"} or None
        Kind of the times; None before the first one of a line that was taken.
    """

    def __init__(self) -> None:
        self.kind: str | None = None

    def read(self, value: Any) -> tuple[str | None, float | None]:
        """Return the time of a line, and its kind.

        Parameters
        ----------
        value : object
            A number, a text of ISO 8601, or None.

        Returns
        -------
        kind : {"number", "date", "zoned"} or None
            Kind of the time, for :meth:`keep`; None without a time.
        time : float or None
            The time.

        Raises
        ------
        ValueError
            If it is no time, or of another kind than those before.
        """
        if value is None:
            return None, None
        kind, time = _time_of(value)
        if self.kind not in (None, kind):
            assert self.kind is not None
            raise ValueError(
                f"time={value!r} is of the kind {KINDS[kind]}; lines before had {KINDS[self.kind]}"
            )
        return kind, time

    def keep(self, kind: str | None) -> None:
        """Keep the kind of a time whose line was taken; all later ones must be of it."""
        if kind is not None:
            self.kind = kind

    def write(self, time: float | None) -> float | str | None:
        """Return a time as lines have it; a zoned one in UTC."""
        if time is None or self.kind in (None, "number"):
            return time
        date = _date_of(time)
        return str(date if self.kind == "zoned" else date.replace(tzinfo=None))


def _time_of(value: Any) -> tuple[str, float]:
    """Return the kind of a time, and the time as a number."""
    if isinstance(value, str):
        try:
            date = datetime.fromisoformat(value)
            zoned = date.tzinfo is not None
            since = (date if zoned else date.replace(tzinfo=UTC)) - EPOCH
            time = since.total_seconds()
            _date_of(time)  # answers must be able to have it
        except (ValueError, OverflowError) as error:
            raise _no_time(value) from error
        return ("zoned" if zoned else "date"), time
    if type(value) not in (int, float) or not abs(value) < np.inf:
        raise _no_time(value)
    try:
        return "number", float(value)
    except OverflowError as error:
        raise _no_time(value) from error


def _date_of(time: float) -> datetime:
    """Return the date in UTC of a time in seconds."""
    return EPOCH + timedelta(seconds=time)


def _no_time(value: Any) -> ValueError:
    return ValueError(
        f"time={value!r} must be a finite number, or a date of ISO 8601, such as "
        f"2026-01-31 12:00:00, within the years 1 to 9999 in UTC"
    )

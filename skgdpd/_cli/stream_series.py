"""Series of a stream: which points are new, and what became of each series."""

from __future__ import annotations

from typing import Any

from .lines import Line

ANSWERED, ENDED, TURNED_AWAY, PAUSED = "answered", "ended", "turned away", "paused"
"""What became of a series: it has its answer, and its points are no longer needed; it was closed
or given up; there was no place for it; it was given up, and goes on with its next points."""

Id = str | int


class SeriesTable:
    """Numbers of points that were read of series.

    Parameters
    ----------
    remember : int
        Number of series that are remembered when they need no more points. Those without lines
        for the longest time are forgotten first.

    Attributes
    ----------
    open : dict of id to [int, int]
        Series that are read: the number of points so far, and how many of them had gone before
        the present series began, which is above 0 where series follow each other under one id.
    past : dict of id to (int, str)
        Other series: the number of points so far, and what became of the series.
    last : dict of id to float
        Time of the last point of the series whose points are placed by their times.
    """

    def __init__(self, remember: int) -> None:
        self.remember = remember
        self.open: dict[Id, list[int]] = {}
        self.past: dict[Id, tuple[int, str]] = {}
        self.last: dict[Id, float] = {}

    def new_points(self, line: Line) -> list[list[float]] | None:
        """Return the points of a line that were not read before.

        Parameters
        ----------
        line : Line
            The line.

        Returns
        -------
        list of list of float, or None
            The new points. None if the line repeats what was read, and does nothing else.

        Raises
        ------
        ValueError
            If there is a gap between the points that were read and these, or if there is nothing
            that they could belong to.
        """
        n_read, state = self.state(line.id)
        if state == TURNED_AWAY:
            if line.ends:
                self._forget(line.id)
            raise ValueError(f"id {line.id!r} was refused, because too many series were open")
        if state == ENDED and line.first is None and line.points:
            return line.points
        points = line.points
        if line.first is not None:
            if line.first > n_read:
                raise ValueError(
                    f"t={line.first} of id {line.id!r} leaves a gap: {n_read} points were read"
                )
            points = points[n_read - line.first :]
        if state == ENDED and points:
            raise ValueError(f"id {line.id!r} has ended after {n_read} points")
        if state == "" and line.ends and not points:
            raise ValueError(f"there is no series {line.id!r} that could end")
        if not points and (state == ENDED or (line.points and not line.ends)):
            return None
        return points

    def state(self, id_: Id) -> tuple[int, str]:
        """Return the number of points of a series, and what became of it.

        Parameters
        ----------
        id_ : str or int
            Id of the series.

        Returns
        -------
        n_read : int
            Number of points that were read.
        what : str
            What became of the series; ``"open"`` if it is read, and empty if it is unknown.
        """
        if id_ in self.open:
            return self.open[id_][0], "open"
        return self.past.get(id_, (0, ""))

    def add(self, id_: Id, n: int) -> int:
        """Count new points of a series that is read from now on; return how many it has."""
        own = self.open.get(id_)
        if own is None:
            n_read, state = self.past.pop(id_, (0, ""))
            begun = n_read if state == PAUSED else 0
            own = self.open[id_] = [begun, begun]
        own[0] += n
        return own[0]

    def leave(self, id_: Id, what: str) -> None:
        """Note that a series is no longer read."""
        n_read = self.open.pop(id_)[0] if id_ in self.open else self.past.get(id_, (0, ""))[0]
        self.note(id_, n_read, what)

    def note(self, id_: Id, n_read: int, what: str) -> None:
        """Note what became of a series, and forget the one without lines for the longest time."""
        self.past.pop(id_, None)
        self.past[id_] = n_read, what
        while len(self.past) > self.remember:
            self._forget(next(iter(self.past)))

    def set_last(self, id_: Id, time: float | None) -> None:
        """Note the time of the last point of a series; None if times do not place its points."""
        if time is None:
            self.last.pop(id_, None)
        else:
            self.last[id_] = time

    def _forget(self, id_: Id) -> None:
        del self.past[id_]
        self.last.pop(id_, None)

    def to_state(self) -> dict[str, Any]:
        """Return all as plain lists, for a file."""
        return {
            "open": [[id_, *own] for id_, own in self.open.items()],
            "past": [[id_, *own] for id_, own in self.past.items()],
            "last": [[id_, time] for id_, time in self.last.items()],
        }

    def from_state(self, state: dict[str, Any]) -> None:
        """Take all from the lists of :meth:`to_state`."""
        self.open = {id_: [n_read, begun] for id_, n_read, begun in state["open"]}
        self.past = {id_: (n_read, what) for id_, n_read, what in state["past"]}
        self.last = dict(state["last"])

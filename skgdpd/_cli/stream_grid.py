"""Places of a stream's points, from the times of its lines and the step of the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .._series.sampling import EXACT, Step
from .lines import Line
from .steps import in_words, kind_of
from .stream_series import ENDED, TURNED_AWAY, Id

MICROSECOND = 1e-6
"""Unit in seconds in which dates are exact."""


class Placed(NamedTuple):
    """Points of a line that were not read before.

    Attributes
    ----------
    points : list of list of float
        The points.
    missing : int
        Number of points that are missing before them.
    """

    points: list[list[float]]
    missing: int


class TimeGrid:
    """Times at which a series of a stream has points: one step apart.

    As in a file of points, each time is compared with the one before it.

    Parameters
    ----------
    step : Step
        Time from point to point of the model, which is known.
    gaps : bool
        Whether points may be missing.
    write : callable
        Function that returns a time as lines have it.
    idle_timeout : float, optional
        Time without points after which the stream gives up a series, in the unit of the step.

    Attributes
    ----------
    size : float
        The step.
    resumed : set of id
        Series that a stream goes on with after a restart, of which no new line has come. Lines
        up to their last times are repeats.
    """

    def __init__(
        self,
        step: Step,
        gaps: bool,
        write: Callable[[float], Any],
        idle_timeout: float | None = None,
    ) -> None:
        assert step.size is not None
        self.step, self.gaps, self.write = step, gaps, write
        self.idle_timeout = idle_timeout
        self.size: float = step.size
        self.resumed: set[Id] = set()

    def steps(self, line: Line, last: float | None) -> float | None:
        """Return the number of steps from the last point of a series to the first one of a line.

        Parameters
        ----------
        line : Line
            The line.
        last : float or None
            Time of the last point of its series; None if no times place its points.

        Returns
        -------
        float or None
            None if the line's time does not place its points.
        """
        if last is None or line.time is None or line.first is not None:
            return None
        distance = line.time - last
        if self.step.dated:  # as exact as the differences of dates in a file
            distance = round(distance / MICROSECOND) * MICROSECOND
        return distance / self.size

    def place(self, line: Line, state: str, has_points: bool, last: float | None) -> Placed | None:
        """Return the points of a line that were not read before, and how many are missing.

        Parameters
        ----------
        line : Line
            The line.
        state : str
            What became of its series; see :class:`~.stream_series.SeriesTable`.
        has_points : bool
            Whether the series is open and has points, so that the line must keep to the grid.
        last : float or None
            Time of the last point of the series; None if no times place its points.

        Returns
        -------
        Placed or None
            None if the line repeats what was read before a restart.

        Raises
        ------
        ValueError
            If the line's time can't be, or if points are missing that the model needs.
        """
        if state == TURNED_AWAY:
            return Placed(line.points, 0)
        if line.points:
            self._check_kind(line, state, last is not None)
        steps = self.steps(line, last)
        if steps is None:
            return Placed(line.points, 0)
        assert line.time is not None
        assert last is not None
        if steps < 0 or (steps == 0 and line.points):
            if line.id in self.resumed:
                n_known = 1 - round(steps)
                points = line.points[n_known:]
                return Placed(points, 0) if points else None
            fault = "repeats" if steps == 0 else f"is before {self.write(last)},"
            raise ValueError(
                f"time={self.write(line.time)} of id {line.id!r} {fault} the time of the point "
                f"before; times of an id must ascend"
            )
        if not has_points or not line.points:
            return Placed(line.points, 0)
        missing = round(steps) - 1
        between = f"{self.write(last)} and {self.write(line.time)}"
        if missing < 0 or abs(steps - round(steps)) > EXACT:
            raise ValueError(
                f"time={self.write(line.time)} of id {line.id!r} is {steps:.4g} steps after "
                f"{self.write(last)}; it must be a whole number of steps of "
                f"{in_words(self.step)}, the time from point to point in the fit"
            )
        if missing and not self.gaps:
            raise ValueError(
                f"{missing} {'point is' if missing == 1 else 'points are'} missing between "
                f"{between}, times of id {line.id!r}, which this model does not allow; fit it "
                f"with --missing interpolate or --missing mask"
            )
        return Placed(line.points, missing)

    def end_of(self, line: Line) -> float | None:
        """Return the time of the last point of a line; None if its time does not place it."""
        if line.time is None or line.first is not None:
            return None
        return line.time + (len(line.points) - 1) * self.size

    def _check_kind(self, line: Line, state: str, timed: bool) -> None:
        """Raise an error for points whose place is not given as that of the points before."""
        by_time = line.time is not None and line.first is None
        if by_time and self.step.dated == (line.kind == "number"):
            raise ValueError(
                f"the time of id {line.id!r} is a {'number' if self.step.dated else 'date'}, and "
                f"the times of the fit were {kind_of(self.step)}; give these, or t, the index of "
                f"the point"
            )
        if by_time and self.idle_timeout is not None and self.idle_timeout < self.size:
            raise ValueError(
                f"--idle-timeout {self.idle_timeout:g} is less than {self.size:g}, the time from "
                "point to point in the fit: each series would be given up before its second point"
            )
        if state not in ("", ENDED) and by_time != timed:
            had = "times and no t" if timed else "t, or no times"
            raise ValueError(
                f"lines before of id {line.id!r} had {had}; all lines of a series must be alike "
                f"in this, as their times give the places of their points"
            )

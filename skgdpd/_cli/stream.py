"""The ``stream`` command, which reads points line by line and writes each answer at once."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time as clock
import warnings
from bisect import bisect_left
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from sklearn.utils import get_tags

from .._early.classifier import EarlyClassifier
from .._early.session import EarlySession, StreamDecision
from .._persistence import check_target, load
from .._persistence.archive import read_model, write_model
from .._runtime.program import INTERRUPTED, PARTLY_FAILED
from .._series.sampling import EXACT
from .lines import CsvOptions, HeaderError, Line, form_of
from .notes import counted, forced_note
from .series_files import channels_of
from .standard_io import LineInput, StopSignals, write_lines
from .steps import step_of
from .stream_grid import Placed, TimeGrid
from .stream_series import ANSWERED, ENDED, PAUSED, TURNED_AWAY, Id, SeriesTable

STATE = "early-stream"
"""Kind of a stream's file."""
MOST_SHOWN = 6
"""Number of moments that are named at most."""
COUNTED = ("lines", "refused", "repeated", "missing", "late", "unanswered", "answers", "forced")
"""Names of what a stream counts, see :attr:`Stream.counts`."""


@dataclass
class StreamOptions:
    """Options of a stream. They are saved with its state.

    Attributes
    ----------
    format : {"jsonl", "csv"}
        Format of the lines.
    after_answer : {"ignore", "refuse", "restart"}
        What happens to points that arrive after the answer to their series.
    max_open : int or None
        Maximum number of open series. None means no limit.
    idle_timeout : float or None
        Time without points after which a series is given up. None means that no series is.
    remember : int
        Number of series without further points whose ids are remembered.
    id, time : str or None
        Names of the columns of ids and times in CSV lines. None means ``"id"`` and ``"time"``.
    values : list of str or None
        Names of the columns of values in CSV lines. None means all columns that have no other
        meaning.
    separator : str
        Character between the fields of CSV lines.
    decimal : {".", ","}
        Character before the decimals of numbers in CSV lines.
    """

    format: Literal["jsonl", "csv"] = "jsonl"
    after_answer: Literal["ignore", "refuse", "restart"] = "ignore"
    max_open: int | None = None
    idle_timeout: float | None = None
    remember: int = 100_000
    id: str | None = None
    time: str | None = None
    values: list[str] | None = None
    separator: str = ","
    decimal: str = "."


@dataclass
class Batch:
    """Points that are pushed into the session together.

    Attributes
    ----------
    points : dict of id to list of list of float
        New points of each series.
    places : dict of id to list of (int, int, float or None)
        For each line of a series: the number of points of the series up to this line, the number
        of the line, and its time.
    ends : dict of id to (int, float or None)
        Number and time of the line that ends a series.
    """

    points: dict[Id, list[list[float]]] = field(default_factory=dict)
    places: dict[Id, list[tuple[int, int, float | None]]] = field(default_factory=dict)
    ends: dict[Id, tuple[int, float | None]] = field(default_factory=dict)


class Stream:
    """Stream of series whose points arrive in lines, with their answers.

    Answers do not depend on how many lines are handled together, and are in the order of the lines
    that led to them. Lines that are handled together are faster.

    Parameters
    ----------
    early : EarlyClassifier
        Fitted estimator.
    options : StreamOptions
        Options.

    Attributes
    ----------
    series : SeriesTable
        States of the series, and the numbers of their points that were read.
    unwritten : list of str
        Lines of output that are not written yet.
    counts : dict of str to int
        Numbers of lines, refused lines and repeated lines; of missing points before answers, and
        of points after answers; of series without an answer; of answers and forced answers.
    """

    def __init__(self, early: EarlyClassifier, options: StreamOptions) -> None:
        self.early = early
        self.options = options
        self.restarts = options.after_answer == "restart"
        self.session = early.start(
            join=True,
            after_answer="restart" if self.restarts else "ignore",
            idle_timeout=options.idle_timeout,
        )
        gaps = bool(get_tags(early).input_tags.allow_nan)
        classes = early.classes_.tolist()
        csv_options = CsvOptions(
            id=options.id,
            time=options.time,
            values=options.values,
            channels=channels_of(early),
            separator=options.separator,
            decimal=options.decimal,
        )
        self.form = form_of(options.format, early.n_channels_in_, gaps, classes, csv_options)
        self.series = SeriesTable(options.remember)
        step = step_of(early)
        self.grid = (
            None
            if step is None
            else TimeGrid(step, gaps, self.form.times.write, options.idle_timeout)
        )
        self.time: float | None = None
        self.unwritten = self.form.head()
        self.counts = dict.fromkeys(COUNTED, 0)
        self._batch = Batch()
        self._found: list[tuple[int, StreamDecision]] = []

    def handle(self, lines: list[bytes]) -> None:
        """Read lines, and append the answers that they led to to :attr:`unwritten`."""
        for content in lines:
            self.counts["lines"] += 1
            try:
                line = self.form.read(content.decode("utf-8-sig"))
                if line is not None:
                    self._take(line)
                    self.form.times.keep(line.kind)
            except ValueError as error:
                self.counts["refused"] += 1
                print(f"skgdpd: line {self.counts['lines']}: {error}", file=sys.stderr)
        self._push()
        self._found.sort(key=lambda pair: pair[0])
        self._write_found()

    def end(self) -> None:
        """Answer all open series from the latest moments that they have reached."""
        number = self.counts["lines"]
        for id_ in list(self.series.open):
            self._close(id_, number, None)
        self._write_found()

    def _write_found(self) -> None:
        """Count the answers that were found, and format them for the output."""
        self.counts["answers"] += len(self._found)
        self.counts["forced"] += sum(decision.forced for _, decision in self._found)
        self.unwritten += [self.form.write(decision) for _, decision in self._found]
        self._found = []

    # A line

    def _take(self, line: Line) -> None:
        """Add the new points of a line to the batch."""
        id_, batch = line.id, self._batch
        one_by_one = self.options.after_answer == "refuse"
        if id_ in batch.ends or (one_by_one and id_ in batch.points):
            self._push()
        placed = self._place(line)
        points = None
        if placed is not None:
            points = self.series.new_points(line._replace(points=placed.points))
        if placed is None or points is None:
            self.counts["repeated"] += 1
            return
        if self.options.idle_timeout is not None and self._advance(line.time):
            self._take(line)  # it may have been given up in the meantime
            return
        if placed.missing:
            self._fill(line, placed.missing)
            self._take(line)  # its series may have its answer by now
            return
        n_read, state = self.series.state(id_)
        if state == ANSWERED:
            self._take_late(line, n_read, points)
            self._set_last(line)
            return
        if not points and state != "open":  # a series that was given up before ends now
            self.series.leave(id_, ENDED)
            return
        if state != "open":
            self._make_place(id_)
        self._add(line, points)
        self._set_last(line)
        if line.ends:
            self._batch.ends[id_] = self.counts["lines"], line.time

    def _add(self, line: Line, points: list[list[float]]) -> None:
        """Add points of a line's series to the batch."""
        id_ = line.id
        n_read = self.series.add(id_, len(points))
        if points:
            self._batch.points.setdefault(id_, []).extend(points)
            place = (n_read, self.counts["lines"], line.time)
            self._batch.places.setdefault(id_, []).append(place)

    # Times that place points

    def _place(self, line: Line) -> Placed | None:
        """Return the new points of a line, and the number of missing points before them."""
        if self.grid is None:
            return Placed(line.points, 0)
        id_, last = line.id, self.series.last.get(line.id)
        steps = self.grid.steps(line, last)
        if steps is not None and abs(steps - 1) > EXACT:
            # What is right depends on whether the series has its answer, or is given up.
            if id_ in self._batch.points:
                self._push()
            if steps > 0 and self.options.idle_timeout is not None:
                self._advance(line.time)
        n_read, begun = self.series.open.get(id_, (0, 0))
        return self.grid.place(line, self.series.state(id_)[1], n_read > begun, last)

    def _fill(self, line: Line, missing: int) -> None:
        """Add missing points before those of a line, until its series is answered."""
        assert self.grid is not None
        assert line.time is not None
        own, times = self.series.open[line.id], self.early.time_points_
        nothing = [np.nan] * self.early.n_channels_in_
        while missing and line.id in self.series.open and own[0] > own[1]:
            n_seen = own[0] - own[1]
            wanted = int(times[np.searchsorted(times, n_seen, side="right")]) - n_seen
            n = min(missing, wanted)
            self._add(line, [nothing] * n)
            self.counts["missing"] += n
            missing -= n
            if n == wanted:
                self._push()
        self.series.set_last(line.id, line.time - self.grid.size)

    def _set_last(self, line: Line) -> None:
        """Note the time of the last point of a line that was taken."""
        if self.grid is not None and line.points:
            self.series.set_last(line.id, self.grid.end_of(line))
            self.grid.resumed.discard(line.id)

    # Lines that are late or idle

    def _take_late(self, line: Line, n_read: int, points: list[list[float]]) -> None:
        """Take points of a series that has its answer."""
        refused = bool(points) and self.options.after_answer == "refuse"
        if not refused:
            n_read += len(points)
            self.counts["late"] += len(points)
        self.series.note(line.id, n_read, ENDED if line.ends else ANSWERED)
        if refused:
            raise ValueError(f"id {line.id!r} has its answer already")

    def _advance(self, time: float | None) -> bool:
        """Give up series that are idle at a time; return whether it is a later one."""
        if time is None:
            raise ValueError("time must be given, because of --idle-timeout")
        if time == self.time:
            return False
        if self.time is not None and time < self.time:
            now, before = map(self.form.times.write, (time, self.time))
            raise ValueError(f"time={now} is before {before}, that of an earlier line")
        self._push()
        self.time = time
        decisions = self.session.expire(time)
        for decision in decisions:
            self._found.append((self.counts["lines"], decision))
            self.series.leave(self._id(decision), PAUSED if self.restarts else ANSWERED)
        if len(self.session) < len(self.series.open):
            kept = set(self.session.ids)
            for id_ in [id_ for id_ in self.series.open if id_ not in kept]:
                self.counts["unanswered"] += 1
                self.series.leave(id_, PAUSED if self.restarts else ENDED)
        return True

    def _make_place(self, id_: Id) -> None:
        """Refuse a new series if the maximum number of series is open."""
        most = self.options.max_open
        if most is None or len(self.series.open) < most:
            return
        self._push()
        if len(self.series.open) >= most:
            self.series.leave(id_, TURNED_AWAY)
            raise ValueError(
                f"id {id_!r} is refused: {most} series are open, as many as --max-open allows"
            )

    # A batch

    def _push(self) -> None:
        """Push the points of the batch, and end the series that it ends."""
        batch, self._batch = self._batch, Batch()
        if batch.points:
            points = {id_: np.array(own).T for id_, own in batch.points.items()}
            time = None if self.options.idle_timeout is None else self.time
            for decision in _pushed(self.session, points, time):
                self._note(decision, batch)
        for id_, (number, time) in batch.ends.items():
            if id_ in self.series.open:
                self._close(id_, number, time)
            self.series.leave(id_, ENDED)

    def _note(self, decision: StreamDecision, batch: Batch) -> None:
        """Note an answer, with the line that led to it."""
        id_ = self._id(decision)
        own = self.series.open[id_]
        last = own[1] + decision.n_seen
        places = batch.places[id_]
        _, number, time = places[bisect_left(places, last, key=lambda place: place[0])]
        self._found.append((number, decision._replace(time=time)))
        if self.restarts:
            own[1] = last
            return
        self.counts["late"] += own[0] - last
        self.session.drop(id_)
        self.series.leave(id_, ANSWERED)

    def _close(self, id_: Id, number: int, time: float | None) -> None:
        """End a series that is open, with an answer if it is owed one."""
        n_read, begun = self.series.open[id_]
        if n_read - begun >= self.early.time_points_[0]:
            decision = self.session.close(id_)
            self._found.append((number, decision._replace(time=time)))
        else:
            self.session.drop(id_)
            self.counts["unanswered"] += n_read > begun
        self.series.leave(id_, ENDED)

    def _id(self, decision: StreamDecision) -> Id:
        id_ = decision.id
        assert isinstance(id_, str | int)
        return id_

    # Files

    def save(self, path: str) -> None:
        """Save the stream to a file without pickle; an existing file is replaced in one step."""
        target = check_target(path)[0]
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".skgdpd-") as folder:
            self.session.save(Path(folder) / "session.zip")
            session, tensors = read_model(Path(folder) / "session.zip")
        stream = {
            "options": asdict(self.options),
            "columns": self.form.columns,
            "time": self.time,
            "times": self.form.times.kind,
            "unwritten": self.unwritten,
            **self.series.to_state(),
        }
        header = {"versions": session.pop("versions"), "session": session, "stream": stream}
        write_model(path, {"kind": STATE, **header}, tensors)

    def resume(self, path: str) -> None:
        """Go on from a file that :meth:`save` wrote, with the same options."""
        header, tensors = read_model(path)
        if header.get("kind") != STATE:
            raise ValueError(f"{path} holds no stream but {header.get('kind')!r}")
        state, mine = header["stream"], asdict(self.options)
        saved = asdict(StreamOptions()) | state["options"]
        if other := [name for name in mine if mine[name] != saved[name]]:
            theirs = ", ".join(f"{name}={saved[name]}" for name in other)
            ours = ", ".join(f"{name}={mine[name]}" for name in other)
            raise ValueError(f"{path} is of a stream with {theirs}; now it is {ours}")
        with tempfile.TemporaryDirectory(
            dir=check_target(path)[0].parent, prefix=".skgdpd-"
        ) as folder:
            write_model(Path(folder) / "session.zip", header["session"], tensors)
            try:
                self.session = self.early.resume(Path(folder) / "session.zip")
            except ValueError as error:
                raise ValueError(str(error).replace(f"{folder}/session.zip", path)) from error
        self.series.from_state(state)
        if self.grid is not None:
            self.grid.resumed = set(self.series.last)
        self.form.columns, self.time = state["columns"], state["time"]
        self.form.times.kind = state.get("times")
        self.unwritten = state["unwritten"]


def stream(
    model: str,
    *,
    state: str | None = None,
    save_every: float = 60.0,
    wait: bool = False,
    **options: Any,
) -> int:
    """Answer the series whose points arrive on standard input.

    Parameters
    ----------
    model : str
        Path of a saved :class:`~skgdpd.EarlyClassifier`.
    state : str, optional
        Path of the file that keeps open series when the program ends. If it exists, the stream
        continues from it.
    save_every : float, default=60.0
        Seconds after which the state is saved again, if there were new lines.
    wait : bool, default=False
        Whether series that are open at the end of the input stay without an answer. By default
        they get a forced answer, except with ``state``, which keeps them open.
    **options : object
        Options of the stream.

    Returns
    -------
    int
        Exit status: 0, 1 if lines were refused, 130 after SIGINT.
    """
    if state is not None:
        check_target(state)
    current = Stream(open_early(model), StreamOptions(**options))
    if state is not None and os.path.exists(state):
        current.resume(state)
    if sys.stderr.isatty():
        print(ready(current.early), file=sys.stderr, flush=True)
    with StopSignals() as stop:
        try:
            _run(current, stop, state, save_every, wait)
        except OSError:  # the reader of the answers is gone, or the disk is full
            if state is not None:
                current.save(state)
            raise
        except HeaderError as error:
            raise ValueError(str(error)) from error
    waits = wait and stop.number is None
    print(_report(current, state, waits), end="", file=sys.stderr)
    if stop.number == signal.SIGINT:
        return INTERRUPTED
    return PARTLY_FAILED if current.counts["refused"] else 0


def _run(
    current: Stream, stop: StopSignals, state: str | None, save_every: float, wait: bool
) -> None:
    """Handle lines until the input ends or a signal arrives."""
    out, lines = sys.stdout.fileno(), LineInput(sys.stdin.fileno())
    due: float | None = None
    while not lines.ended and stop.number is None:
        left = None if due is None else max(due - clock.monotonic(), 0.0)
        if stop.wait(lines.descriptor, left):
            current.handle(lines.read())
            write_lines(out, current.unwritten)
            if due is None and state is not None:
                due = clock.monotonic() + save_every
        if due is not None and clock.monotonic() >= due:
            assert state is not None
            current.save(state)
            due = None
    if state is None and stop.number is None and not wait:
        current.end()
    write_lines(out, current.unwritten)
    if state is not None:
        current.save(state)


def ready(early: EarlyClassifier) -> str:
    """Return the line for a terminal that says that the stream is ready for input."""
    times = [str(t) for t in early.time_points_.tolist()]
    shown = times if len(times) <= MOST_SHOWN else [*times[:3], "...", times[-1]]
    return f"skgdpd: ready; answers come after {', '.join(shown)} points"


def _report(current: Stream, state: str | None, waits: bool = False) -> str:
    """Return the closing line of a stream; it is empty if nothing unusual happened."""
    counts, n_open = current.counts, len(current.series.open)
    parts = [
        counted(counts[name], *words)
        for name, words in (
            ("refused", ("refused", "refused")),
            ("repeated", ("repeated what had been read",) * 2),
            (
                "missing",
                ("point before an answer was missing", "points before answers were missing"),
            ),
            ("late", ("point came after the answer", "points came after the answers")),
            ("unanswered", ("series ended too early for an answer",) * 2),
        )
        if counts[name]
    ]
    if counts["forced"]:
        note = forced_note(counts["forced"], counts["answers"])
        more = " (with --open, series that may still grow wait; --state keeps them)"
        parts.append(note + ("" if state is not None or waits else more))
    if n_open and state is None and waits:
        words = "open series waits", "open series wait"
        parts.append(f"{counted(n_open, *words)}: the rule needs more points; --state keeps them")
    elif n_open:
        where = f"kept in {state}" if state is not None else "lost, as there is no --state"
        parts.append(f"{counted(n_open, 'open series is', 'open series are')} {where}")
    lines = counted(counts["lines"], "line", "lines")
    return f"skgdpd: {lines}; {'; '.join(parts)}\n" if parts else ""


def open_early(path: str) -> EarlyClassifier:
    """Load a saved early classifier.

    Parameters
    ----------
    path : str
        Path of a saved model.

    Returns
    -------
    EarlyClassifier

    Raises
    ------
    ValueError
        If the model is no early classifier.
    """
    model = load(path)
    if not isinstance(model, EarlyClassifier):
        raise ValueError(
            f"{path} is a {type(model).__name__}; a stream needs an EarlyClassifier, which says "
            f"when to answer"
        )
    return model


def _pushed(
    session: EarlySession, points: dict[Id, Any], time: float | None
) -> list[StreamDecision]:
    """Push points into a session without a warning about many points, and return the answers."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*points in one push", category=UserWarning)
        return session.push(points, time=time)

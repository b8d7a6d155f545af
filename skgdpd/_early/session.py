"""EarlySession: answers to series while their points arrive."""

from __future__ import annotations

import copy
import os
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import get_tags

from .._persistence import ModelFileError
from .._runtime.parameters import plain
from .arrivals import checked_ids, checked_time, read_points, some, warn_of_long
from .costs import DecisionCost, Floats, Integers
from .reading import reader_of
from .rule import Rule
from .session_files import check_arrays, read_session, write_session
from .slots import Slots

AfterAnswer = Literal["ignore", "refuse", "restart"]
OnIdle = Literal["force", "drop"]
MEMORY = "memory"
"""Prefix of the names of the arrays that hold the state of the classifier's reader."""
BLOCK = 128
"""Number of series that are read at once, small enough for their states to stay in a cache."""


class Fitted(Protocol):
    """Attributes of a fitted :class:`EarlyClassifier` that a session needs."""

    classifier_: Any
    rule_: Rule
    cost_: DecisionCost
    classes_: NDArray[Any]
    time_points_: Integers
    n_channels_in_: int
    n_timepoints_in_: int

    def predict_proba_path(self, X: Any) -> Floats: ...


class StreamDecision(NamedTuple):
    """Answer to a series of a session.

    Attributes
    ----------
    id : hashable
        Id of the series.
    label : object
        Label of the answer, as a string or number of a built-in Python type.
    probabilities : ndarray of shape (n_classes,)
        Class probabilities at the moment of the answer, in the order of the classifier's
        ``classes_``.
    n_seen : int
        Number of time points that were seen before the answer.
    share_seen : float
        ``n_seen`` as a share of the length of the training series.
    forced : bool
        True if the series ended, was closed or was given up before the stopping rule had seen
        enough.
    time : float or None
        Time of the last push that had points of the series. None if pushes had no times.
    """

    id: Hashable
    label: Any
    probabilities: Floats
    n_seen: int
    share_seen: float
    forced: bool
    time: float | None = None


@dataclass
class SessionOptions:
    """Options of a session.

    Attributes
    ----------
    join : bool
        Whether points of an unknown id begin a new series. If False, they are refused.
    after_answer : {"ignore", "refuse", "restart"}
        Treatment of points that arrive after their series has been answered.
    max_open : int or None
        Largest number of series that may wait for an answer at the same time. None means no
        limit.
    idle_timeout : float or None
        Time without points after which a series is given up. It is counted from the last points
        of the series, or from its opening. None means that a series is never given up.
    on_idle : {"force", "drop"}
        What to do with a series that is given up. "force" answers it, and "drop" forgets it.
    """

    join: bool = False
    after_answer: AfterAnswer = "ignore"
    max_open: int | None = None
    idle_timeout: float | None = None
    on_idle: OnIdle = "force"

    def check(self) -> None:
        """Raise an error if the value of an option is not allowed."""
        if self.after_answer not in ("ignore", "refuse", "restart"):
            raise ValueError(
                f"after_answer={self.after_answer!r} must be 'ignore', 'refuse' or 'restart'"
            )
        if self.on_idle not in ("force", "drop"):
            raise ValueError(f"on_idle={self.on_idle!r} must be 'force' or 'drop'")
        if type(self.join) is not bool:
            raise ValueError(f"join={self.join!r} must be True or False")
        number = _is_number(self.max_open, Integral)
        if self.max_open is not None and not number:
            raise ValueError(f"max_open={self.max_open!r} must be None or a whole number above 0")
        number = _is_number(self.idle_timeout, Real)
        if self.idle_timeout is not None and not number:
            raise ValueError(f"idle_timeout={self.idle_timeout!r} must be None or above 0")


def _is_number(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and value > 0  # type: ignore[operator]


class EarlySession:
    """Session that reads points of series as they arrive, and gives answers.

    :meth:`EarlyClassifier.start` creates a session. The session holds the state of all its series.
    The estimator does not change, so any number of sessions may use it at the same time. A single
    session must be used by one thread only.

    The answers are bit-for-bit identical to those of :meth:`EarlyClassifier.decide` on the whole
    series. They do not depend on how the points are divided into pushes.

    Parameters
    ----------
    early : EarlyClassifier
        Fitted estimator.
    ids : int or sequence of hashable
        Ids of the series. A number n stands for the ids 0 to n - 1.
    options : SessionOptions
        Options of the session.

    Attributes
    ----------
    options : SessionOptions
        Options of the session.
    n_ignored : int
        Number of points that were ignored because their series had been answered.
    """

    def __init__(
        self, early: Fitted, ids: int | Iterable[Hashable], options: SessionOptions
    ) -> None:
        options.check()
        # With a copy, a later fit of the estimator does not change an open session.
        self.early = early = copy.copy(early)
        self.options = options
        self.n_ignored = 0
        self._now = -np.inf
        self._reader = reader_of(early.classifier_)
        self._gaps = get_tags(early).input_tags.allow_nan
        n_classes = len(early.classes_)
        one: dict[str, NDArray[Any]] = {
            "points": np.full((1, early.n_channels_in_, int(early.time_points_[-1])), np.nan),
            "n_points": np.zeros(1, dtype=np.int64),
            "moment": np.zeros(1, dtype=np.int64),
            "answered": np.zeros(1, dtype=bool),
            "forced": np.zeros(1, dtype=bool),
            "probabilities": np.full((1, n_classes), np.nan),
            "rule": early.rule_.start(1),
            "time": np.full(1, np.nan),
            "since": np.full(1, np.nan),
        }
        memory = {f"{MEMORY}{i}": part for i, part in enumerate(self._reader.start(1))}
        self._slots = Slots({**one, **memory})
        self._memory = list(memory)
        self.open(*checked_ids(ids))

    # State of the series

    def __len__(self) -> int:
        return len(self._slots)

    def __repr__(self) -> str:
        n = len(self)
        return (
            f"{type(self).__name__}({n} series, {int(self.decided.sum())} answered, "
            f"after_answer={self.options.after_answer!r})"
        )

    @property
    def ids(self) -> list[Hashable]:
        """Ids of the series, in the order in which they were opened."""
        return list(self._slots.places)

    @property
    def decided(self) -> NDArray[np.bool_]:
        """Whether each series has been answered, ``(n,)``, in the order of ``ids``."""
        return self._slots["answered"][self._slots.rows]

    @property
    def probabilities(self) -> Floats:
        """Probabilities ``(n, n_classes)`` at the latest moment that was read, or else NaN."""
        return self._slots["probabilities"][self._slots.rows]

    @property
    def labels(self) -> NDArray[Any]:
        """Labels of the answers, ``(n,)``; None for series that still wait."""
        found = np.full(len(self), None, dtype=object)
        decided = self.decided
        answers = self.early.cost_.labels(self.probabilities[decided])
        found[decided] = self.early.classes_[answers]
        return found

    @property
    def n_seen(self) -> Integers:
        """Number of time points seen before the answer, or so far for open series, ``(n,)``."""
        rows = self._slots.rows
        slots, times = self._slots, self.early.time_points_
        at_answer = times[np.maximum(slots["moment"][rows] - 1, 0)]
        return np.where(slots["answered"][rows], at_answer, slots["n_points"][rows])

    # Events

    def open(self, *ids: Hashable) -> None:
        """Begin new series.

        Parameters
        ----------
        *ids : hashable
            Ids that are not in use. A session can be saved only if all ids are strings or whole
            numbers.

        Raises
        ------
        ValueError
            If an id is in use or given twice, or if more than ``max_open`` series would wait.
        """
        new = checked_ids(ids)
        _check_new(self._slots, self.options.max_open, new)
        self._slots.add(new)
        if np.isfinite(self._now):
            self._slots.set("since", self._slots.of(new), self._now)
        self._slots.keep()

    def push(self, points: Any, *, time: float | None = None) -> list[StreamDecision]:
        """Read the next points of series.

        Parameters
        ----------
        points : array-like of shape (n, n_channels, k) or mapping
            An array holds the next k points of all series, in the order of ``ids``. With one
            channel, ``(n, k)`` is also allowed, and ``(n,)`` for a single point. A mapping from
            ids holds the next points of some series, ``(n_channels, k)`` each. With one channel,
            ``(k,)`` or a number is also allowed; with several, ``(n_channels,)`` for one point.
        time : float, optional
            Time of the push, which must not be before the time of the last push. Answers carry
            this time, and ``idle_timeout`` is measured in its unit. Required with
            ``idle_timeout``.

        Returns
        -------
        list of StreamDecision
            Forced answers to idle series, followed by the answers that these points led to.

        Raises
        ------
        KeyError
            If an id is unknown.
        ValueError
            If points have a wrong shape, have values that are not allowed, or are a pandas frame
            or series. If points arrive after an answer and ``after_answer`` is "refuse". If too
            many series would wait. If ``time`` is missing or not allowed. After any error, the
            session is as it was before the push. Points that follow an answer within one push
            are ignored and not refused.

        Warns
        -----
        UserWarning
            If a series has more points in one push than a whole series has, unless
            ``after_answer`` is "restart".
        """
        arrived, fresh = self._arrived(points)
        if self.options.idle_timeout is not None and time is None:
            raise ValueError("time must be given, as the session has an idle_timeout")
        now = self._now if time is None else checked_time(time, self._now)
        ignored = self.n_ignored
        try:
            decisions = [] if time is None else self._expire(now, set(arrived))
            _check_new(self._slots, self.options.max_open, fresh)
            self._slots.add(fresh)
            decisions += self._apply(arrived, time)
        except BaseException:
            self._slots.undo()
            self.n_ignored = ignored
            raise
        self._slots.keep()
        self._now = now
        return decisions

    def close(self, id: Hashable) -> StreamDecision:
        """End a series, return its answer, and free its id.

        If the series has not been answered yet, it gets a forced answer from its latest moment.
        If :meth:`push` has already returned the answer, it is returned a second time. Count one
        answer for each id, or use :meth:`drop` for series that have been answered.

        Parameters
        ----------
        id : hashable
            Id of the series.

        Returns
        -------
        StreamDecision
            Answer to the series.

        Raises
        ------
        KeyError
            If the id is unknown.
        ValueError
            If the series has not reached the first moment. :meth:`drop` forgets such a series.
        """
        row = self._row(id)
        slots = self._slots
        if not slots["moment"][row]:
            first = int(self.early.time_points_[0])
            raise ValueError(
                f"id={id!r} has {slots['n_points'][row]} points, and there is no answer before "
                f"{first}; drop({id!r}) forgets it"
            )
        forced = bool(slots["forced"][row]) or not slots["answered"][row]
        decision = self._decision(id, row, forced)
        self.drop(id)
        return decision

    def drop(self, id: Hashable) -> None:
        """Forget a series without an answer, and free its id.

        Parameters
        ----------
        id : hashable
            Id of the series.

        Raises
        ------
        KeyError
            If the id is unknown.
        """
        self._row(id)
        self._slots.forget(id)

    def expire(self, time: float) -> list[StreamDecision]:
        """Give up all series that have had no points for longer than ``idle_timeout``.

        The idle time of a series without any points is counted from its opening. The time of the
        opening is the last known time before it, or else the first known time after it.

        Parameters
        ----------
        time : float
            The present time, in the unit of the ``time`` of :meth:`push`.

        Returns
        -------
        list of StreamDecision
            Forced answers. Series that have not reached the first moment are forgotten. With
            ``on_idle="drop"``, all idle series are forgotten.

        Raises
        ------
        ValueError
            If the session has no ``idle_timeout``. If ``time`` is not finite, or is before the
            time of the last push.
        """
        if self.options.idle_timeout is None:
            raise ValueError("the session has no idle_timeout, so no series is idle")
        self._now = checked_time(time, self._now)
        decisions = self._expire(self._now, set())
        self._slots.keep()
        return decisions

    # Reading of points

    def _row(self, id: Hashable) -> int:
        if id not in self._slots.places:
            raise KeyError(f"id={id!r} is unknown; the session has {some(self.ids)}")
        return self._slots.places[id]

    def _arrived(self, points: Any) -> tuple[dict[Hashable, Floats], list[Hashable]]:
        """Return the points ``(n_channels, k)`` of each series, and the ids of new series."""
        ids = self._slots.places
        arrived = read_points(points, ids, self.early.n_channels_in_, self._gaps)
        fresh = [id_ for id_ in arrived if id_ not in self._slots.places]
        if fresh and not self.options.join:
            raise KeyError(f"ids {some(fresh)} are unknown; the session has {some(self.ids)}")
        if self.options.after_answer == "refuse":
            _check_unanswered(self._slots, arrived)
        if self.options.after_answer != "restart":
            warn_of_long(arrived, self.early.n_timepoints_in_)
        return arrived, fresh

    # Application of points

    def _apply(self, arrived: dict[Hashable, Floats], time: float | None) -> list[StreamDecision]:
        """Read all points moment by moment, and return the answers."""
        ids = list(arrived)
        left = np.array([own.shape[1] for own in arrived.values()], dtype=np.int64)
        n_given = left.copy()
        values = list(arrived.values())
        decisions: list[StreamDecision] = []
        slots, times = self._slots, self.early.time_points_
        if time is not None and ids:
            self._set_time(slots.of(ids), time)
        active = np.flatnonzero(left)
        while len(active):
            rows = slots.of(ids[i] for i in active)
            late = slots["answered"][rows]
            if late.any():
                done = active[late]
                if self.options.after_answer == "restart":
                    slots.renew(slots.of(ids[i] for i in done))
                    if time is not None:
                        self._set_time(slots.of(ids[i] for i in done), time)
                    continue
                self.n_ignored += int(left[done].sum())
                left[done] = 0
                active, rows = active[~late], rows[~late]
            moments = slots["moment"][rows]
            taken = np.minimum(left[active], times[moments] - slots["n_points"][rows])
            self._store(rows, active, values, n_given - left, taken)
            left[active] -= taken
            reached = slots["n_points"][rows] == times[moments]
            for m in np.unique(moments[reached]):
                chosen = np.flatnonzero(reached & (moments == m))
                for start in range(0, len(chosen), BLOCK):
                    block = chosen[start : start + BLOCK]
                    answered = block[self._read_moment(rows[block], int(m))]
                    for i, row in zip(active[answered], rows[answered], strict=True):
                        forced = bool(slots["forced"][row])
                        decisions.append(self._decision(ids[i], int(row), forced))
            active = active[left[active] > 0]
        return decisions

    def _set_time(self, rows: Integers, time: float) -> None:
        """Set the time of the last points of series, from which their idle time is counted."""
        self._slots.set("time", rows, time)
        self._slots.set("since", rows, time)

    def _store(
        self,
        rows: Integers,
        which: Integers,
        values: list[Floats],
        first: Integers,
        taken: Integers,
    ) -> None:
        """Append new points to the stored points of series."""
        slots = self._slots
        n_points = slots["n_points"][rows]
        kinds = np.stack([n_points, taken, first[which]], 1)
        for n, k, start in np.unique(kinds, axis=0):
            alike = np.flatnonzero((kinds == (n, k, start)).all(1))
            new = np.stack([values[which[j]][:, start : start + k] for j in alike])
            # An undo need not restore these values, since no point after n_points is ever read.
            slots["points"][rows[alike], :, n : n + k] = new
        slots.set("n_points", rows, n_points + taken)

    def _read_moment(self, rows: Integers, moment: int) -> NDArray[np.bool_]:
        """Read series that have reached a moment, and return which of them are answered."""
        slots, early = self._slots, self.early
        values = slots["points"][rows, :, : early.time_points_[moment]]
        memory = [slots[name][rows] for name in self._memory]
        state = slots["rule"][rows]
        try:
            proba = self._reader.read(memory, values, moment)
        except ValueError:
            fresh = [slots[name][rows] for name in self._memory]
            names = {row: id_ for id_, row in slots.places.items()}
            _name_unread(
                self._reader, fresh, values, moment, [names[row] for row in rows.tolist()]
            )
            raise
        answered = early.rule_.step(state, moment, proba)
        if moment == len(early.time_points_) - 1:
            slots.set("forced", rows, ~answered)
            answered = np.ones(len(rows), dtype=bool)
        for name, part in zip(self._memory, memory, strict=True):
            slots.set(name, rows, part)
        slots.set("rule", rows, state)
        slots.set("probabilities", rows, proba)
        slots.set("moment", rows, moment + 1)
        slots.set("answered", rows, answered)
        return answered

    def _decision(self, id_: Hashable, row: int, forced: bool) -> StreamDecision:
        slots, early = self._slots, self.early
        proba = slots["probabilities"][row].copy()
        time = float(slots["time"][row])
        n_seen = int(early.time_points_[slots["moment"][row] - 1])
        return StreamDecision(
            id_,
            plain(early.classes_[early.cost_.labels(proba)]),
            proba,
            n_seen,
            n_seen / early.n_timepoints_in_,
            forced,
            None if np.isnan(time) else time,
        )

    def _expire(self, time: float, alive: set[Hashable]) -> list[StreamDecision]:
        timeout = self.options.idle_timeout
        if timeout is None:
            return []
        slots, decisions = self._slots, []
        for id_, row in _idle(slots, time, timeout):
            if id_ in alive:
                continue
            if self.options.on_idle == "force" and slots["moment"][row]:
                decisions.append(self._decision(id_, row, True))
            slots.remove(id_)
        return decisions

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the session to a file, which :meth:`EarlyClassifier.resume` opens.

        The file can't run code when it is opened. It replaces an existing file in one step.

        Parameters
        ----------
        path : str or path
            Name of the file.

        Raises
        ------
        ValueError
            If an id is neither a string nor a whole number.
        """
        rows = self._slots.rows
        arrays = {name: array[rows] for name, array in self._slots.arrays.items()}
        facts = {"n_ignored": self.n_ignored, "now": self._now}
        write_session(path, self.early, self.ids, vars(self.options), facts, arrays)

    @classmethod
    def opened(cls, early: Fitted, path: str | os.PathLike[str]) -> EarlySession:
        """Return a session from a saved file; see :meth:`EarlyClassifier.resume`.

        Parameters
        ----------
        early : EarlyClassifier
            Fitted estimator that the session was started with.
        path : str or path
            Name of the file.

        Returns
        -------
        EarlySession
            Session with the saved state.

        Raises
        ------
        FileNotFoundError
            If the file does not exist.
        ModelFileError
            If the file does not hold a session of this estimator.
        """
        state = read_session(path, early)
        try:
            session = cls(early, state["ids"], SessionOptions(**state["options"]))
        except (ValueError, TypeError) as error:
            raise ModelFileError(f"{path} can't be opened: {error}") from error
        known, n, times = session._slots.arrays, len(session), session.early.time_points_
        check_arrays(path, state["arrays"], known, n, times)
        for name, array in state["arrays"].items():
            session._slots[name][session._slots.rows] = array
        session.n_ignored, session._now = state["n_ignored"], state["now"]
        return session


def _idle(slots: Slots, time: float, timeout: float) -> list[tuple[Hashable, int]]:
    """Return ids and rows of the open series that have had no points for too long."""
    rows = slots.rows
    # The idle time of a series that was opened before any time was known begins now.
    unknown = rows[np.isnan(slots["since"][rows])]
    if len(unknown):
        slots.set("since", unknown, time)
    gone = (slots["since"][rows] < time - timeout) & ~slots["answered"][rows]
    return [pair for pair, idle in zip(slots.places.items(), gone, strict=True) if idle]


def _check_unanswered(slots: Slots, ids: Iterable[Hashable]) -> None:
    """Refuse points of series that have their answers."""
    known = [id_ for id_ in ids if id_ in slots.places]
    answered = slots["answered"][slots.of(known)]
    if answered.any():
        late = [id_ for id_, done in zip(known, answered, strict=True) if done]
        raise ValueError(
            f"ids {some(late)} have their answers; close them first, or use "
            f"after_answer='ignore' or 'restart'"
        )


def _name_unread(
    reader: Any, memory: list[NDArray[Any]], values: Floats, moment: int, ids: list[Hashable]
) -> None:
    """Raise an error that names the first series whose points can't be read by themselves."""
    for i, id_ in enumerate(ids):
        own = [part[i : i + 1] for part in memory]
        try:
            reader.read(own, values[i : i + 1], moment)
        except ValueError as error:
            raise ValueError(
                f"points of id {id_!r}, here series 0, can't be read: {error}"
            ) from error


def _check_new(slots: Slots, most: int | None, ids: list[Hashable]) -> None:
    """Refuse new ids that are in use or repeated, and more open series than are allowed."""
    used = [id_ for id_ in ids if id_ in slots.places]
    if used:
        raise ValueError(f"ids {some(used)} are in use already; choose others, or close them")
    if len(set(ids)) < len(ids):
        raise ValueError(f"ids {some(ids)} name a series twice")
    if most is not None and ids:
        n_open = int((~slots["answered"][slots.rows]).sum()) + len(ids)
        if n_open > most:
            raise ValueError(
                f"{n_open} series would wait for an answer, more than max_open={most}"
            )

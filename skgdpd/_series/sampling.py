"""Even sampling: the position of each point in its series, computed from its time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

EXACT = 0.01
"""Deviation of a time difference, as a fraction of the step, that counts as rounding."""


class Step(NamedTuple):
    """Time from point to point of series.

    Attributes
    ----------
    size : float or None
        The step, in seconds if times are dates or durations, otherwise in the unit of the times.
        None if no series has two points.
    dated : bool
        Whether times are dates or durations.
    """

    size: float | None
    dated: bool


class Sampling(NamedTuple):
    """Positions of points in their series.

    Attributes
    ----------
    places : ndarray of int of shape (n_rows,)
        Number of steps since the first point of the series.
    seconds : float
        Sampling interval, in seconds if times are dates or durations, otherwise in the unit of
        the times.
    fault : str or None
        Reason why times are not evenly spaced; None if they are.
    row : int
        Number of the row with the fault, in the order of the times.
    """

    places: NDArray[np.int64]
    seconds: float
    fault: str | None = None
    row: int = 0


def sampling_of(times: NDArray[Any], counts: NDArray[np.int64], step: Any = None) -> Sampling:
    """Find the positions of points in their series.

    Parameters
    ----------
    times : ndarray of shape (n_rows,)
        Times: numbers, dates or durations, ascending within each series.
    counts : ndarray of shape (n_samples,)
        Number of points of each series. Rows of a series are consecutive.
    step : float, timedelta or None, default=None
        Sampling interval, in seconds if times are dates or durations. None means the median of
        all differences. In this case, a series must have more points than it misses.

    Returns
    -------
    Sampling

    Raises
    ------
    ValueError
        If a time is infinite, or if ``step`` is not a positive number.
    """
    ticks, unit = _ticks(times)
    differences = np.diff(ticks).astype(np.float64) * unit
    seconds = " seconds" if times.dtype.kind in "mM" else ""
    starts = np.cumsum(counts)[:-1]
    within = np.ones(len(differences), dtype=bool)
    within[starts - 1] = False
    inner = differences[within]
    if step is None:
        size = float(np.sort(inner)[(len(inner) - 1) // 2]) if len(inner) else 1.0
    else:
        size = _seconds(step)
    steps = differences / size
    steps[~within] = 0
    whole = np.rint(steps)
    uneven = within & ((np.abs(steps - whole) > EXACT) | (whole < 1))
    if uneven.any():
        row = int(uneven.argmax()) + 1
        fault = f"that is {steps[row - 1]:.4g} times the step of {size:g}{seconds}"
        return Sampling(np.zeros(0, dtype=np.int64), size, fault, row)
    taken = np.concatenate([[0.0], whole])
    series = np.repeat(np.arange(len(counts)), counts)
    missing = np.bincount(series, np.maximum(taken - 1, 0), len(counts))
    gaps = np.bincount(series, taken > 1, len(counts))
    sparse = (missing > counts) | (gaps > counts - 1 - gaps)
    if step is None and sparse.any():
        own = int(sparse.argmax())
        first = int(np.flatnonzero((series == own) & (taken > 1))[0])
        fault = (
            f"with the median step of {size:g}{seconds}, {int(missing[own])} points would "
            f"be missing beside the {int(counts[own])} that are there; if they are, set "
            f"step={size:g}. If these are several series, give each an id of its own"
        )
        return Sampling(np.zeros(0, dtype=np.int64), size, fault, first)
    total = np.cumsum(taken)
    firsts = np.concatenate([[0], starts])
    places = total - np.repeat(total[firsts], counts)
    return Sampling(places.astype(np.int64), size)


def plain_step(seconds: float) -> float:
    """Return a step that is easily said, and differs from a measured one by a hundredth at most.

    Parameters
    ----------
    seconds : float
        Step, such as a median of inexact times.

    Returns
    -------
    float
        Whole numbers as they are; else the number of fewest digits that is near, in days, hours
        or minutes where these are whole.
    """
    if seconds == round(seconds):
        return seconds
    for unit in (86400, 3600, 60):
        if round(seconds / unit) >= 1 and _near(whole := round(seconds / unit) * unit, seconds):
            return float(whole)
    for digits in range(1, 17):
        if _near(found := float(f"{seconds:.{digits}g}"), seconds):
            return found
    return seconds


def _near(step: float, seconds: float) -> bool:
    return abs(step - seconds) <= EXACT * seconds


def _ticks(times: NDArray[Any]) -> tuple[NDArray[Any], float]:
    """Return times as numbers, and the length of their unit in seconds; 1 for plain numbers."""
    if times.dtype.kind in "mM":
        name, count = np.datetime_data(times.dtype)
        if name in ("Y", "M"):  # which are even as they are, and not in seconds
            return times.astype(np.int64), float(count)
        unit = np.array(count, dtype=f"m8[{name}]") / np.timedelta64(1, "s")
        return times.astype(np.int64), float(unit)
    if times.dtype.kind != "f":
        return times.astype(np.int64), 1.0
    if not np.isfinite(times).all():
        raise ValueError("time has values that are not finite")
    return times.astype(np.float64), 1.0


def _seconds(step: Any) -> float:
    if isinstance(step, np.timedelta64):
        step = step / np.timedelta64(1, "s")
    if isinstance(step, timedelta):
        step = step.total_seconds()
    try:
        size = float(step)
    except (TypeError, ValueError) as error:
        raise ValueError(f"step={step!r} must be a number above 0, or a timedelta") from error
    if not 0 < size < np.inf:
        raise ValueError(f"step={step!r} must be a number above 0, or a timedelta")
    return size

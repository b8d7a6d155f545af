"""Conversion and checks of the points, ids and times that a session receives."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from .costs import Floats

LARGEST = float(np.finfo(np.float32).max)
"""Largest absolute value of a point, because networks compute in single precision."""


def read_points(
    points: Any, ids: Collection[Hashable], n_channels: int, gaps: bool
) -> dict[Hashable, Floats]:
    """Return the points of each series.

    Parameters
    ----------
    points : array-like or mapping
        Points in any form that :meth:`EarlySession.push` allows.
    ids : collection of hashable
        Ids of all series, in the order of the rows of an array.
    n_channels : int
        Number of channels.
    gaps : bool
        Whether missing values are allowed.

    Returns
    -------
    dict of hashable to ndarray of shape (n_channels, k)
        Points by id.

    Raises
    ------
    ValueError
        If the points have another shape, contain values that are not allowed, or are a pandas
        frame or series.
    """
    if isinstance(points, Mapping):
        arrived = {id_: _of_one(id_, own, n_channels) for id_, own in points.items()}
        everything = np.concatenate([*arrived.values(), np.zeros((n_channels, 0))], axis=1)
        _check_all(arrived, everything, gaps)
        return arrived
    if hasattr(points, "iloc"):
        # Its rows may be series or times, and its labels may be ids in another order.
        raise ValueError(
            f"points is a pandas {type(points).__name__}, whose labels are not read; give a dict "
            f"of the points by id, or an array in the order of ids"
        )
    array = _numbers(points, "points")
    if n_channels == 1 and array.ndim == 1:
        array = array[:, None]
    if n_channels == 1 and array.ndim == 2:
        array = array[:, None]
    n = len(ids)
    if array.ndim != 3 or array.shape[:2] != (n, n_channels):
        short = f", ({n}, k) or ({n},)" if n_channels == 1 else ""
        raise ValueError(
            f"points has shape {array.shape}; for all series it must be ({n}, {n_channels}, k)"
            f"{short}"
        )
    arrived = dict(zip(ids, array, strict=True))
    _check_all(arrived, array, gaps)
    return arrived


def warn_of_long(arrived: Mapping[Hashable, Floats], n_timepoints: int) -> None:
    """Warn of series that have more points in one push than a whole series has.

    Parameters
    ----------
    arrived : mapping of hashable to ndarray of shape (n_channels, k)
        Points by id.
    n_timepoints : int
        Number of points of a whole series.
    """
    long = [id_ for id_, own in arrived.items() if own.shape[1] > n_timepoints]
    if long:
        warnings.warn(
            f"ids {some(long)} have more than {n_timepoints} points in one push, and a whole "
            f"series has {n_timepoints}; those after the answer are ignored. If several series "
            f"follow one another, start(after_answer='restart') answers each",
            UserWarning,
            stacklevel=4,
        )


def checked_ids(ids: Any) -> list[Hashable]:
    """Return ids as a list; a number n stands for the ids 0 to n - 1.

    Parameters
    ----------
    ids : int or iterable of hashable
        Ids, or the number of series.

    Returns
    -------
    list of hashable

    Raises
    ------
    ValueError
        If ``ids`` is a string or a negative number, or if an id is not hashable.
    """
    if isinstance(ids, Integral) and not isinstance(ids, bool):
        if ids < 0:
            raise ValueError(f"ids={ids!r} must be the number of series, 0 at least, or their ids")
        return list(range(int(ids)))
    if isinstance(ids, (str, bytes, bool)) or not isinstance(ids, Iterable):
        raise ValueError(f"ids={ids!r} must be the number of series, or a list of their ids")
    found = [id_.item() if isinstance(id_, np.generic) else id_ for id_ in ids]
    for id_ in found:
        if not isinstance(id_, Hashable) or isinstance(id_, (list, set)):
            raise ValueError(f"id {id_!r} can't be an id; allowed are strings and whole numbers")
    return found


def checked_time(time: Any, now: float) -> float:
    """Return a time as a float, after a check that it is finite and not before ``now``.

    Parameters
    ----------
    time : float
        Time of the new push.
    now : float
        Time of the last push.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the time is not a finite number, or is before ``now``.
    """
    if not isinstance(time, Real) or isinstance(time, bool) or not np.isfinite(float(time)):
        raise ValueError(f"time={time!r} must be a finite number")
    if float(time) < now:
        raise ValueError(f"time={time!r} is before {now}, the time of the last push")
    return float(time)


def some(ids: Sequence[Hashable]) -> str:
    """Return the first five ids as text for an error message."""
    shown = ", ".join(repr(id_) for id_ in ids[:5])
    return shown + (f", ... ({len(ids)} in all)" if len(ids) > 5 else "")


def _of_one(id_: Hashable, points: Any, n_channels: int) -> Floats:
    whose = f"points of id {id_!r}"
    array = _numbers(points, whose)
    if array.ndim < 2:
        array = array.reshape(1, -1) if n_channels == 1 else array.reshape(-1, 1)
    if array.ndim != 2 or array.shape[0] != n_channels:
        raise ValueError(
            f"{whose} have shape {np.shape(points)}; they must be ({n_channels}, k), k points of "
            f"{n_channels} channels"
        )
    return array


def _numbers(values: Any, name: str) -> Floats:
    if isinstance(values, np.ma.MaskedArray):
        raise ValueError(
            f"{name} have a mask, which is not read; put NaN where values are missing"
        )
    try:
        array = np.asarray(values)
        if array.size and array.dtype.kind not in "iuf":
            raise TypeError(f"it holds {array.dtype.type.__name__}")
        return np.array(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of numbers: {error}") from error


def _check_all(arrived: dict[Hashable, Floats], everything: Floats, gaps: bool) -> None:
    """Check all values at once, and one series after the other only to name a bad one."""
    if not (np.abs(everything) <= LARGEST).all():  # NaN is not less than anything
        for id_, own in arrived.items():
            _check_values(own, f"points of id {id_!r}", gaps)


def _check_values(array: Floats, whose: str, gaps: bool) -> None:
    finite = np.isfinite(array)
    if not finite.all() and (np.isinf(array).any() or not gaps):
        allowed = "finite or missing" if gaps else "finite"
        advice = (
            ""
            if gaps or np.isinf(array).any()
            else ". Missing values are taken by a classifier that was fitted with "
            "series__missing_values='interpolate' or 'mask'"
        )
        raise ValueError(f"{whose} must be {allowed}; there is {array[~finite][0]}{advice}")
    if (np.abs(array) > LARGEST).any():
        raise ValueError(f"{whose} have values beyond {LARGEST:.3g}, the largest allowed")

"""Checks that series keep their signal in single precision, which networks use."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LOST = 0.1
"""Conversion error, as a fraction of a channel's deviation, above which the signal is lost."""
ROUNDING = 1e-14
"""Deviation, as a fraction of the values, that counts as rounding in double precision."""
BLOCK_VALUES = 2**20
"""Number of values that are checked at once."""


class Conversion(NamedTuple):
    """Measurements for each series and channel, as arrays ``(n, n_channels)``.

    Attributes
    ----------
    largest : ndarray
        Largest absolute value.
    spread : ndarray
        Sum of the squared deviations from the mean of the series.
    error : ndarray
        Sum of the squared errors of the conversion to single precision.
    """

    largest: Floats
    spread: Floats
    error: Floats


def check_precision(values: NDArray[Any], name: str = "X") -> None:
    """Raise an error if a signal on a large offset would be lost in single precision.

    Parameters
    ----------
    values : ndarray of shape (n, n_channels, n_timepoints)
        Series before their conversion. Missing values are NaN.
    name : str, default="X"
        Name of the argument in the error.

    Raises
    ------
    ValueError
        If the conversion error is more than the fraction :data:`LOST` of the deviation of a
        channel from its mean within series. A channel that is constant up to rounding is allowed.
    """
    if not _is_wide(values):
        return
    step = max(BLOCK_VALUES // max(values.shape[1] * values.shape[2], 1), 1)
    parts = [_conversion(values[i : i + step]) for i in range(0, max(len(values), 1), step)]
    largest = np.concatenate([part.largest for part in parts]).max(0, initial=0)
    spread = np.sum([part.spread.sum(0) for part in parts], axis=0)
    error = np.sum([part.error.sum(0) for part in parts], axis=0)
    rounding = np.square(ROUNDING * largest) * len(values) * values.shape[2]
    lost = (error > LOST**2 * spread) & (spread > rounding)
    if lost.any():
        channel = int(lost.argmax())
        raise _lost(name, f"channel {channel}", largest[channel])


def check_like_training(
    values: NDArray[Any], scale: NDArray[Any], name: str = "X", first: int = 0
) -> None:
    """Raise an error if the conversion error is large compared with deviations in training.

    Parameters
    ----------
    values : ndarray of shape (n, n_channels, n_timepoints)
        Series, before their conversion; NaN where a value is missing.
    scale : ndarray of shape (n_channels, 1)
        Deviation of each channel within the training series.
    name : str, default="X"
        Name of their argument in the error.
    first : int, default=0
        Index of the first of these series among all series, for the error.

    Raises
    ------
    ValueError
        If the conversion error of a series is large compared with the deviations of the training
        series and with the deviation of the series itself.
    """
    if not _is_wide(values) or not values.size:
        return
    found = _conversion(values)
    enough = np.maximum(found.spread, np.square(scale[:, 0]) * values.shape[2])
    lost = (found.error > LOST**2 * enough) & (scale[:, 0] > 0)
    if lost.any():
        series, channel = (int(i) for i in np.argwhere(lost)[0])
        where = f"series {first + series}, channel {channel}"
        raise _lost(name, where, found.largest[series, channel])


def _is_wide(values: NDArray[Any]) -> bool:
    """Return whether a conversion to single precision may change values."""
    return values.dtype.kind in "iuf" and values.dtype.itemsize >= 4 and values.dtype != np.float32


def _conversion(values: NDArray[Any]) -> Conversion:
    double = values.astype(np.float64)
    there = np.isfinite(double)
    double[~there] = 0
    with np.errstate(over="ignore", invalid="ignore"):
        error = double - double.astype(np.float32)
        counts = np.maximum(there.sum(2, keepdims=True), 1)
        centred = np.where(there, double - double.sum(2, keepdims=True) / counts, 0)
        return Conversion(
            np.abs(double).max(2, initial=0), np.square(centred).sum(2), np.square(error).sum(2)
        )


def _lost(name: str, where: str, largest: float) -> ValueError:
    return ValueError(
        f"{name} has values up to {largest:.6g} in {where}, beside which its changes are so small "
        f"that single precision loses them; subtract the offset first, in double precision, or "
        f"give {name} in float32 if the changes mean nothing"
    )

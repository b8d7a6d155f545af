"""Panels of time series, read from every format that the classifiers allow.

:func:`read_panel` converts each format to one array, ``(n_samples, n_channels, n_timepoints)``.
Shorter series are filled up with NaN in all channels. Values are copied only if the format
requires it. They are checked later, by :func:`check_values` after the truncation to prefixes,
because predictions must not depend on values after the prefix.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_array

from .._runtime.arguments import about
from .._runtime.extras import require
from .files import NAMES_OF_LABELS
from .frames import (
    check_names,
    column_names,
    is_frame,
    is_long,
    is_table,
    names_of,
    places_in,
    sorted_rows,
)
from .others import plain_form
from .precision import check_precision
from .storage import StoredSeries, is_large, is_lazy_array

FORMS = (
    "a 3-D array (n_samples, n_channels, n_timepoints), a 2-D array (n_samples, n_timepoints) of "
    "one channel, a list of (n_channels, n_timepoints) arrays, or a pandas panel of sktime's "
    "forms (multi-indexed, nested, or a list of frames)"
)

NO_TIME_POINTS = {**dict.fromkeys(NAMES_OF_LABELS, "labels"), "id": "ids", "ids": "ids"}
"""What columns of a table hold that have these names, in small letters."""

PLAIN_ARRAYS = (np.ndarray, np.memmap)
"""Array classes that need no conversion."""


@dataclass(frozen=True)
class Panel:
    """Time series of one fit or prediction.

    Attributes
    ----------
    values : ndarray or StoredSeries of shape (n_samples, n_channels, n_timepoints)
        Unchecked numbers of any type. Values after the end of a series are NaN in all channels.
    flat : bool
        Whether the series were given as a 2-D array, whose time points are features for
        scikit-learn.
    """

    values: Any
    flat: bool = False

    def __len__(self) -> int:
        return len(self.values)

    @property
    def stored(self) -> bool:
        """Whether the series are not in memory and are read in parts."""
        return isinstance(self.values, StoredSeries)

    @property
    def ragged(self) -> bool:
        """Whether some series end before others."""
        return any(np.isnan(part.values[:, :, -1]).all(1).any() for _, part in self.chunks())

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return self.values.shape[1]

    @property
    def n_timepoints(self) -> int:
        """Number of time points."""
        return self.values.shape[2]

    def take(self, index: NDArray[np.int64]) -> Panel:
        """Return the series with the given indices.

        Stored and memory-mapped series are not read. Consecutive series are not copied.

        Parameters
        ----------
        index : ndarray of int
            Indices of the series.

        Returns
        -------
        Panel
            The series in the order of ``index``.
        """
        if len(index) == len(self) and np.array_equal(index, np.arange(len(self))):
            return self
        values = self.values
        if isinstance(values, np.memmap):
            values = StoredSeries(values)
        if isinstance(values, StoredSeries):
            return Panel(values.take(index), self.flat)
        if len(index) and np.array_equal(index, np.arange(index[0], index[0] + len(index))):
            return self.part(index[0], index[0] + len(index))
        return Panel(values[index], self.flat)

    def chunks(self) -> Iterator[tuple[int, Panel]]:
        """Yield the series in parts that are in memory, each with the index of its first one."""
        if not self.stored:
            yield 0, self
            return
        for start, values in self.values.chunks():
            yield start, Panel(values, self.flat)

    def part(self, start: int, stop: int) -> Panel:
        """Return series ``start`` to ``stop - 1`` without copying."""
        return Panel(self.values[start:stop], self.flat)

    def first(self, n_timepoints: int) -> Panel:
        """Return the first time points of each series without copying."""
        return Panel(self.values[:, :, :n_timepoints], self.flat)


def read_panel(X: Any, name: str = "X") -> Panel:
    """Convert series in any supported format to a :class:`Panel`.

    Parameters
    ----------
    X : array-like or pandas panel
        Series in a format of :data:`FORMS`, a torch tensor, a container of
        :mod:`~skgdpd._series.others`, or stored series.
    name : str, default="X"
        Name of the argument in errors.

    Returns
    -------
    Panel
        The series. Their values are not checked.

    Raises
    ------
    TypeError or ValueError
        If the format is not supported, if values are not numbers, if there are no series, or if
        series differ in their number of channels. The error names the argument.
    """
    with about(name):
        return _read_panel(X, name)


def read_paired(X: Any, other: Any, name: str) -> Panel:
    """Convert series that correspond to the series of X to a panel in the order of X.

    Parameters
    ----------
    X, other : array-like or pandas panel
        Series. Two long frames are matched by the ids of their series, other formats by position.
    name : str
        Name of the argument ``other`` in errors.

    Returns
    -------
    Panel
        The series of ``other``. Their values and their number are not checked.

    Raises
    ------
    TypeError or ValueError
        For the reasons of :func:`read_panel`, or if two long frames have different ids.
    """
    panel, places = read_panel(other, name), places_in(X, other, name)
    return panel if places is None else panel.take(places)


def _read_panel(X: Any, name: str) -> Panel:
    if isinstance(X, StoredSeries):
        return Panel(X)
    if X is None:
        raise ValueError(f"{name} is None; allowed are {FORMS}")
    if isinstance(X, np.ma.MaskedArray):
        raise ValueError(f"{name} has a mask, which is not read; put NaN where values are missing")
    if isinstance(X, (str, os.PathLike)):
        raise ValueError(
            f"{name}={str(X)!r} is a name; open files with skgdpd.datasets.load_file, and give "
            f"their series"
        )
    if is_lazy_array(X) and len(X.shape) in (2, 3) and 0 not in X.shape and X.dtype.kind in "biuf":
        return Panel(StoredSeries(X), flat=len(X.shape) == 2)
    if type(X) in PLAIN_ARRAYS and X.dtype.kind in "biuf" and X.ndim in (2, 3) and X.size:
        # check_array would return the same, but it takes longer than a small network's prediction.
        return Panel(X[:, None, :] if X.ndim == 2 else X, flat=X.ndim == 2)
    if hasattr(X, "detach") and hasattr(X, "cpu"):
        X = X.detach().cpu().numpy()
    if is_frame(X):
        return _read_frame(X, name)
    if is_table(X):
        _check_names_of_points(column_names(X) or (), name)
    X = plain_form(X, name)
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1:
        X = list(X)
    if _is_list_of_series(X):
        for i, x in enumerate(X):
            check_names(names_of([x]), names_of(X), f"series {i} of {name}", "series 0")
        return _stack([_as_series(x, name, i) for i, x in enumerate(X)], name)
    _check_form(X, name)
    # Finiteness is checked after the cut, the number of time points below.
    array = check_array(
        X,
        allow_nd=True,
        dtype="numeric",
        ensure_all_finite=False,
        ensure_min_features=0,
        input_name=name,
    )
    if array.ndim > 3:
        raise ValueError(f"{name} has {array.ndim} dimensions; allowed are {FORMS}")
    if array.shape[1] == 0:
        # scikit-learn's checks of estimators expect these words.
        raise ValueError(
            f"Found array with 0 feature(s) (shape={array.shape}) while a minimum of "
            "1 is required."
        )
    flat = array.ndim == 2
    return Panel(array[:, None, :] if flat else array, flat)


def _check_form(X: Any, name: str) -> None:
    """Raise an error for too few dimensions, or for values that are not numbers."""
    if hasattr(X, "nnz"):  # check_array names what is sparse.
        return
    array = np.asarray(X)
    if array.ndim == 0:
        raise ValueError(f"{name} is a {type(X).__name__}; allowed are {FORMS}")
    _check_type(array.dtype, name)
    if array.dtype.kind == "O":
        _refuse_texts(array.ravel().tolist(), name)
    if array.ndim > 1 or len(array) == 0:
        return
    if array.dtype.kind == "O":
        raise ValueError(f"{name} has one dimension; allowed are {FORMS}")
    # scikit-learn's checks of estimators expect the words "Reshape your data".
    raise ValueError(
        f"{name} has one dimension, of {len(array)} values; allowed are {FORMS}. Reshape your "
        f"data: {name}.reshape(1, -1) is one series of {len(array)} time points"
    )


def _check_type(dtype: Any, name: str) -> None:
    if dtype.kind not in "biufO":
        # scikit-learn's checks of estimators expect these words.
        more = ". Complex data not supported" if dtype.kind == "c" else ""
        raise ValueError(f"{name} has values of the type {dtype}; they must be real numbers{more}")


def _refuse_texts(values: list[Any], name: str) -> None:
    """Refuse texts, which scikit-learn would read as numbers where they have digits."""
    for value in values:
        if isinstance(value, str):
            raise ValueError(
                f"{name} holds texts, such as {value!r}; time points must be numbers. Leave "
                f"columns of labels and ids out; make numbers of others by astype(float)"
            )


def _check_names_of_points(columns: Iterable[Any], name: str) -> None:
    """Refuse a table with a column that is named as labels or ids are."""
    for column in columns:
        held = NO_TIME_POINTS.get(str(column).lower())
        if held is not None:
            raise ValueError(
                f"{name} has a column {column!r}, which looks like {held}, but each column of a "
                f"table is a time point; leave it out, or rename it if it is one"
            )


def _check_points(X: Any, name: str) -> None:
    """Refuse a wide frame of pandas with columns that are not time points."""
    _check_names_of_points(X.columns, name)
    for place, dtype in enumerate(X.dtypes):
        if getattr(dtype, "kind", "O") != "O":
            continue
        where = f"column {X.columns[place]!r} of {name}"
        if getattr(dtype, "name", "") == "category":
            raise ValueError(
                f"{where} holds categories; time points must be numbers. Leave it out if it "
                f"holds labels, and else make numbers of it by astype(float)"
            )
        _refuse_texts(X.iloc[:, place].tolist(), where)


@dataclass(frozen=True)
class Checked:
    """Series whose values have been checked.

    Attributes
    ----------
    values : ndarray of shape (n_samples, n_channels, n_timepoints)
        Contiguous values in single precision. Missing values, and values after the end of a
        series, are NaN.
    lengths : ndarray of shape (n_samples,) or None
        Length of each series; None if all have ``n_timepoints`` points.
    gaps : bool
        Whether values are missing before the end of a series.
    """

    values: NDArray[np.float32]
    lengths: NDArray[np.int64] | None = None
    gaps: bool = False


def check_values(
    values: NDArray[Any],
    name: str = "X",
    *,
    ragged: bool = True,
    gaps: bool = False,
    min_length: int = 1,
    first: int = 0,
) -> Checked:
    """Convert values to single precision and check them.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_channels, n_timepoints)
        Numbers.
    name : str, default="X"
        Name of the argument in errors.
    ragged : bool, default=True
        Whether NaN in all channels at the end of a series marks its end. Otherwise, it counts as
        missing values.
    gaps : bool, default=False
        Whether values may be missing before the end of a series.
    min_length : int, default=1
        Minimum number of time points of a series.
    first : int, default=0
        Index of the first of these series among all series, for errors.

    Returns
    -------
    Checked
        Values with the length of each series.

    Raises
    ------
    ValueError
        If a value is infinite, too large for single precision, or NaN where NaN is not allowed,
        or if a series is too short. The error names the first such value or series.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        single = np.ascontiguousarray(values, dtype=np.float32)
        total = single.sum(dtype=np.float64)
    if np.isfinite(total) or np.isfinite(single).all():
        if single.shape[2] < min_length:
            raise _too_short(name, first, single.shape[2], min_length)
        return Checked(single)
    missing = np.isnan(single)
    infinite = np.isinf(single)
    if infinite.any():
        kind = "infinity or a value too large for single precision"
        raise _not_finite(infinite, name, kind, first)
    lengths = own_lengths(missing) if ragged else None
    if lengths is not None:
        short = np.flatnonzero(lengths < min_length)
        if len(short):
            i = int(short[0])
            raise _too_short(name, first + i, int(lengths[i]), min_length)
        missing &= (np.arange(missing.shape[2]) < lengths[:, None])[:, None]
        if (lengths == single.shape[2]).all():
            lengths = None
    any_missing = bool(missing.any())
    if any_missing and not gaps:
        raise _not_finite(missing, name, "NaN", first)
    return Checked(single, lengths, any_missing)


def check_panel(
    panel: Panel, name: str = "X", *, gaps: bool = False, min_length: int = 1
) -> Panel:
    """Return checked series in single precision, without time points after the longest series.

    Series that are too large to be copied are read once, in parts.

    Parameters
    ----------
    panel : Panel
        Series.
    name : str, default="X"
        Name of the argument in errors.
    gaps : bool, default=False
        Whether values may be missing before the end of a series.
    min_length : int, default=1
        Minimum number of time points of a series.

    Returns
    -------
    Panel
        Checked series; stored series if they are large.
    """
    values = panel.values
    if is_large(values.shape):
        values = values if panel.stored else StoredSeries(values)
    longest, checked = 0, None
    for start, part in Panel(values).chunks() if is_large(values.shape) else [(0, panel)]:
        array = np.asarray(part.values)
        checked = check_values(array, name, gaps=gaps, min_length=min_length, first=start)
        own = part.n_timepoints if checked.lengths is None else int(checked.lengths.max())
        longest = max(longest, own)
        check_precision(array, name)
    assert checked is not None
    if not is_large(values.shape):
        values = checked.values
    return Panel(values, panel.flat).first(longest)


def check_channels(panel: Panel, n_channels: int, owner: object) -> None:
    """Raise an error if series X have another number of channels than the series of the fit.

    Parameters
    ----------
    panel : Panel
        Series.
    n_channels : int
        Number of channels in the fit.
    owner : estimator
        The estimator, whose class the error names.

    Raises
    ------
    ValueError
        If the numbers differ.
    """
    if panel.n_channels != n_channels:
        raise ValueError(
            f"X has {panel.n_channels} channels, but {type(owner).__name__} is expecting "
            f"{n_channels}"
        )


def check_alike(panel: Panel, model: Panel, name: str, model_name: str) -> None:
    """Raise an error unless series have the same channels and length as other series.

    Parameters
    ----------
    panel : Panel
        Series to check.
    model : Panel
        Series for comparison. If they have unequal lengths, any length is allowed.
    name, model_name : str
        Names of the two arguments in errors.

    Raises
    ------
    ValueError
        If the numbers of channels or the lengths differ.
    """
    if panel.n_channels == model.n_channels and (
        panel.n_timepoints == model.n_timepoints or model.ragged
    ):
        return
    raise ValueError(
        f"{name} has series of {panel.n_channels} channels and {panel.n_timepoints} time points; "
        f"they must be like those of {model_name}, {model.n_channels} and {model.n_timepoints}"
    )


GAPS_ADVICE = "set series__missing_values='interpolate' or 'mask' before the fit"
"""What errors advise for missing values; an estimator around the classifier names its own way."""


def own_lengths(missing: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the length ``(n,)`` of each series without NaN at its end, given a mask of NaN."""
    there: NDArray[np.bool_] = np.logical_not(missing.all(axis=1))
    n_timepoints = there.shape[1]
    if not n_timepoints:
        return np.zeros(len(there), dtype=np.int64)
    last = n_timepoints - there[:, ::-1].argmax(1)
    return np.where(there.any(1), last, 0)


def join(*panels: Panel) -> Panel:
    """Join several panels; shorter series are filled up with NaN.

    Parameters
    ----------
    *panels : Panel
        Panels with the same number of channels.

    Returns
    -------
    Panel
        All series. If a panel is stored, or if the result is large, the result is stored, and no
        series are read or copied.
    """
    width = max(panel.n_timepoints for panel in panels)
    shape = (sum(map(len, panels)), panels[0].n_channels, width)
    if any(panel.stored for panel in panels) or is_large(shape):
        return Panel(StoredSeries(*(panel.values for panel in panels)))
    parts = []
    for panel in panels:
        values = panel.values
        if values.shape[2] < width:
            end = ((0, 0), (0, 0), (0, width - values.shape[2]))
            values = np.pad(values, end, constant_values=np.nan)
        parts.append(values)
    return Panel(np.concatenate(parts))


def as_list(values: NDArray[Any]) -> list[NDArray[Any]]:
    """Return series as a list of ``(n_channels, length)`` arrays without NaN at the end."""
    lengths = own_lengths(np.isnan(values))
    return [series[:, :length] for series, length in zip(values, lengths, strict=True)]


def as_frames(values: NDArray[Any]) -> list[Any]:
    """Return series as a list of data frames with a column for each channel, as in sktime."""
    pandas = require("pandas", "sktime", "to hand series of unequal length to sktime")
    return [pandas.DataFrame(series.T) for series in as_list(values)]


def _too_short(name: str, series: int, length: int, min_length: int) -> ValueError:
    return ValueError(
        f"series {series} of {name} has {length} time point(s) before it ends; at least "
        f"{min_length} are needed"
    )


def _not_finite(bad: NDArray[np.bool_], name: str, kind: str, start: int) -> ValueError:
    sample, channel, time = (int(i) for i in np.argwhere(bad)[0])
    among = f" of series {start} to {start + len(bad) - 1}" if start else ""
    advice = (
        "All values must be finite. NaN at the end of a series, in all channels, marks its end; "
        f"for gaps before it, {GAPS_ADVICE}, or leave the series out"
        if kind == "NaN"
        else "All values must be finite"
    )
    return ValueError(
        f"{name} contains {kind}: {int(bad.sum())} of {bad.size} values{among}, the first in "
        f"series {start + sample}, channel {channel}, at time point {time}. {advice}"
    )


def _is_list_of_series(X: Any) -> bool:
    """Return whether X is a sequence of 2-D arrays, frames, or 1-D arrays of unequal length."""
    if isinstance(X, np.ndarray):
        if X.dtype != object or X.ndim != 1 or len(X) == 0:
            return False
    elif not isinstance(X, Sequence) or isinstance(X, (str, bytes)) or len(X) == 0:
        return False
    if any(is_frame(x) or is_table(x) for x in X):
        return True
    if not all(hasattr(x, "__len__") and not isinstance(x, (str, bytes, dict)) for x in X):
        return False
    if any(np.ndim(x) >= 2 for x in X if hasattr(x, "ndim")):
        return True
    if all(isinstance(x, (list, tuple)) and len(x) and np.iterable(x[0]) for x in X):
        return True
    return len({len(x) for x in X}) > 1


def _as_series(x: Any, name: str, i: int) -> NDArray[Any]:
    """Return one series as ``(n_channels, n_timepoints)``."""
    if is_frame(x):
        return _as_floats(x, f"series {i} of {name}").T
    if is_table(x):
        return plain_form(x, f"series {i} of {name}").T
    if hasattr(x, "detach") and hasattr(x, "cpu"):
        x = x.detach().cpu().numpy()
    series = np.asarray(plain_form(x, f"series {i} of {name}"))
    if series.ndim == 1:
        series = series[None]
    if series.ndim != 2 or series.dtype.kind not in "biuf":
        raise ValueError(
            f"series {i} of {name} is {series.ndim}-dimensional of type {series.dtype}; in a "
            f"list each must be a numeric (n_channels, n_timepoints) array or a frame with a "
            f"column a channel"
        )
    return series


def _as_floats(x: Any, name: str) -> NDArray[np.float64]:
    """Return the numbers of a data frame, a pandas series, or a sequence."""
    values: Any = x if hasattr(x, "to_numpy") else np.asarray(x)
    for dtype in values.dtypes if is_frame(values) else [values.dtype]:
        _check_type(dtype, name)
    if isinstance(values, np.ndarray):
        return values.astype(float)
    return np.asarray(values.to_numpy(dtype=float))


def _stack(series: list[NDArray[Any]], name: str) -> Panel:
    channels = sorted({len(s) for s in series})
    if len(channels) > 1:
        raise ValueError(
            f"the series of {name} have different numbers of channels ({channels}); all must "
            f"have the same"
        )
    lengths = [s.shape[1] for s in series]
    if len(set(lengths)) == 1:
        return Panel(np.stack(series))
    kind = np.result_type(np.float32, *(s.dtype for s in series))
    values = np.full((len(series), channels[0], max(lengths)), np.nan, dtype=kind)
    for row, s in zip(values, series, strict=True):
        row[:, : s.shape[1]] = s
    return Panel(values)


def _read_frame(X: Any, name: str) -> Panel:
    if len(X) == 0:
        raise ValueError(f"{name} has 0 sample(s); a minimum of 1 is required.")
    if X.shape[1] == 0:
        raise ValueError(f"{name} has 0 feature(s); a minimum of 1 is required.")
    if getattr(X.index, "nlevels", 1) > 2:
        raise ValueError(f"{name} has {X.index.nlevels} index levels; allowed are {FORMS}")
    if is_long(X):
        order, counts = sorted_rows(X, name)
        values = _as_floats(X, name)[order]
        return _stack([part.T for part in np.split(values, np.cumsum(counts)[:-1])], name)
    first = X.iloc[0, 0]
    if hasattr(first, "__len__") and not isinstance(first, (str, bytes)):
        rows = []
        for row in X.itertuples(index=False):
            cells = [_as_floats(cell, name) for cell in row]
            if len({len(cell) for cell in cells}) > 1:
                raise ValueError(f"a series of {name} has channels of different lengths")
            rows.append(np.stack(cells))
        return _stack(rows, name)
    _check_points(X, name)
    return read_panel(X.to_numpy(), name)

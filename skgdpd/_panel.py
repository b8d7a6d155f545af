"""Panels of time series in every form that users bring them in.

:func:`read_panel` brings all of them to one array, ``(n_samples, n_channels, n_timepoints)``; a
series that is shorter than others ends in NaN in all channels. Nothing is copied or checked that
need not be: the future of a series may hold anything, since predictions must not look at it, so
values are only checked once the view is cut (:func:`check_values`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_array

from ._extras import require
from ._storage import StoredSeries, is_large, is_lazy_array

FORMS = (
    "a 3-D array (n_samples, n_channels, n_timepoints), a 2-D array (n_samples, n_timepoints) of "
    "one channel, a list of (n_channels, n_timepoints) arrays, or a pandas panel as sktime knows "
    "it (multi-indexed, nested, or a list of frames)"
)

PLAIN_ARRAYS = (np.ndarray, np.memmap)
"""Array classes that hold numbers and nothing else."""


@dataclass(frozen=True)
class Panel:
    """Time series side by side.

    Attributes
    ----------
    values : ndarray or StoredSeries of shape (n_samples, n_channels, n_timepoints)
        Numbers of any floating type, unchecked; NaN in all channels from a series' end on.
    flat : bool
        Whether they came as a 2-D table, for which scikit-learn counts time points as features.
    """

    values: Any
    flat: bool = False

    def __len__(self) -> int:
        return len(self.values)

    @property
    def stored(self) -> bool:
        """Whether the series stay where they are and are read in parts."""
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
        """Some of the series."""
        return Panel(self.values.take(index) if self.stored else self.values[index], self.flat)

    def chunks(self) -> Iterator[tuple[int, Panel]]:
        """All series in memory, in one piece or several, each with the number of its first."""
        if not self.stored:
            yield 0, self
            return
        for start, values in self.values.chunks():
            yield start, Panel(values, self.flat)

    def part(self, start: int, stop: int) -> Panel:
        """Series ``start`` to ``stop - 1``, not copied."""
        return Panel(self.values[start:stop], self.flat)

    def first(self, n_timepoints: int) -> Panel:
        """The first time points of each series."""
        return Panel(self.values[:, :, :n_timepoints], self.flat)


class Recordings:
    """Series that scikit-learn must not slice.

    Searches and cross-validation take any argument of ``fit`` that has as many rows as X for
    something that belongs to its rows, and pass each fold its part. Recordings without a label
    belong to no row; wrapped, all of them reach every fold, however many there are.

    Parameters
    ----------
    X : array-like or pandas panel
        Series in any form that the classifiers take.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import cross_validate
    >>> from skgdpd import GDPDClassifier, Recordings
    >>> from skgdpd.datasets import make_bumps
    >>> X, y = make_bumps(40, random_state=0)
    >>> clf = GDPDClassifier(student="lstm1-8", max_epochs=2, random_state=0)
    >>> params = {"X_unlabeled": Recordings(X[20:])}
    >>> found = cross_validate(clf, X[:20], y[:20], cv=2, params=params, return_estimator=True)
    >>> [fitted.history_.n_unlabeled for fitted in found["estimator"]]
    [20, 20]
    """

    def __init__(self, X: Any) -> None:
        self.X = X


def read_panel(X: Any, name: str = "X") -> Panel:
    """Bring series in any supported form to a :class:`Panel`.

    Parameters
    ----------
    X : array-like or pandas panel
        See :data:`FORMS`; torch tensors too.
    name : str, default="X"
        What errors call it.

    Raises
    ------
    ValueError
        If the form is none of these, there are no series, or their channels differ.
    """
    if isinstance(X, Recordings):
        X = X.X
    if X is None:
        raise ValueError(f"{name} is None; allowed are {FORMS}")
    if isinstance(X, (str, os.PathLike)):
        raise ValueError(
            f"{name}={str(X)!r} is a name; open files with skgdpd.datasets.load_file, and give "
            f"their series"
        )
    if is_lazy_array(X) and len(X.shape) in (2, 3) and 0 not in X.shape and X.dtype.kind in "biuf":
        return Panel(StoredSeries((X, None)), flat=len(X.shape) == 2)
    if type(X) in PLAIN_ARRAYS and X.dtype.kind in "biuf" and X.ndim in (2, 3) and X.size:
        # What check_array would let through as it is; asking it takes longer than a small network.
        return Panel(X[:, None, :] if X.ndim == 2 else X, flat=X.ndim == 2)
    if hasattr(X, "detach") and hasattr(X, "cpu"):
        X = X.detach().cpu().numpy()
    if _is_frame(X):
        return _read_frame(X, name)
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1:
        X = list(X)
    if _is_list_of_series(X):
        return _stack([_as_series(x, name, i) for i, x in enumerate(X)], name)
    # Finiteness is checked after the cut; the number of time points with a message of our own.
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
        # Worded as scikit-learn's own check.
        raise ValueError(
            f"Found array with 0 feature(s) (shape={array.shape}) while a minimum of "
            "1 is required."
        )
    flat = array.ndim == 2
    return Panel(array[:, None, :] if flat else array, flat)


@dataclass(frozen=True)
class Checked:
    """Series whose values are known to be sound.

    Attributes
    ----------
    values : ndarray of shape (n_samples, n_channels, n_timepoints)
        Contiguous, in single precision; NaN beyond a series' end and where a value is missing.
    lengths : ndarray of shape (n_samples,) or None
        Own lengths; None where all are ``n_timepoints`` long.
    gaps : bool
        Whether values are missing before a series' end.
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
    """Bring values to single precision and see that they are sound.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_channels, n_timepoints)
        Numbers.
    name : str, default="X"
        What errors call them.
    ragged : bool, default=True
        Take NaN at the end of a series, in all channels, for its end; else for missing values.
    gaps : bool, default=False
        Let values be missing before a series' end.
    min_length : int, default=1
        Points that each series must have.
    first : int, default=0
        Number of the first of these series among all, for errors.

    Returns
    -------
    Checked

    Raises
    ------
    ValueError
        If there is infinity, a value beyond single precision, or NaN where it is not allowed;
        says where first. If a series is too short.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        single = np.ascontiguousarray(values, dtype=np.float32)
        total = single.sum(dtype=np.float64)
    if np.isfinite(total) or np.isfinite(single).all():
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
            raise ValueError(
                f"series {first + i} of {name} has {lengths[i]} time point(s) before it ends in "
                f"NaN; at least {min_length} are needed"
            )
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
    """Sound series in single precision, without time points that none of them has.

    Large ones stay where they are, and are read once to be checked.

    Parameters
    ----------
    panel : Panel
        Series.
    name, gaps, min_length
        As in :func:`check_values`.
    """
    values = panel.values
    if is_large(values.shape):
        values = values if panel.stored else StoredSeries((values, None))
    longest, checked = 0, None
    for start, part in Panel(values).chunks() if is_large(values.shape) else [(0, panel)]:
        array = np.asarray(part.values)
        checked = check_values(array, name, gaps=gaps, min_length=min_length, first=start)
        own = part.n_timepoints if checked.lengths is None else int(checked.lengths.max())
        longest = max(longest, own)
    assert checked is not None
    if not is_large(values.shape):
        values = checked.values
    return Panel(values, panel.flat).first(longest)


def own_lengths(missing: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Time points ``(n,)`` before each series ends in NaN, of a mask of NaN ``(n, c, t)``."""
    there: NDArray[np.bool_] = np.logical_not(missing.all(axis=1))
    n_timepoints = there.shape[1]
    last = n_timepoints - there[:, ::-1].argmax(1)
    return np.where(there.any(1), last, 0)


def join(*panels: Panel) -> Panel:
    """One panel of several, the shorter series ended with NaN."""
    if any(panel.stored for panel in panels):
        pieces: list[Any] = []
        for panel in panels:
            pieces += panel.values.parts if panel.stored else [(panel.values, None)]
        return Panel(StoredSeries(*pieces, n_timepoints=max(p.n_timepoints for p in panels)))
    width = max(panel.n_timepoints for panel in panels)
    parts = []
    for panel in panels:
        values = panel.values
        if values.shape[2] < width:
            end = ((0, 0), (0, 0), (0, width - values.shape[2]))
            values = np.pad(values, end, constant_values=np.nan)
        parts.append(values)
    return Panel(np.concatenate(parts))


def as_list(values: NDArray[Any]) -> list[NDArray[Any]]:
    """Series as a list of ``(n_channels, own length)`` arrays, without the NaN at their ends."""
    lengths = own_lengths(np.isnan(values))
    return [series[:, :length] for series, length in zip(values, lengths, strict=True)]


def as_frames(values: NDArray[Any]) -> list[Any]:
    """Series as sktime's list of frames, a column a channel."""
    pandas = require("pandas", "sktime", "to hand series of unequal length to sktime")
    return [pandas.DataFrame(series.T) for series in as_list(values)]


def _not_finite(bad: NDArray[np.bool_], name: str, kind: str, start: int) -> ValueError:
    sample, channel, time = (int(i) for i in np.argwhere(bad)[0])
    among = f" of series {start} to {start + len(bad) - 1}" if start else ""
    advice = (
        "All values must be finite. NaN at the end of a series, in all channels, marks its end; "
        "for gaps before it, set missing='interpolate' or 'mask', or leave the series out"
        if kind == "NaN"
        else "All values must be finite"
    )
    return ValueError(
        f"{name} contains {kind}: {int(bad.sum())} of {bad.size} values{among}, the first in "
        f"series {start + sample}, channel {channel}, at time point {time}. {advice}"
    )


def _is_frame(X: Any) -> bool:
    return hasattr(X, "columns") and hasattr(X, "iloc")


def _is_list_of_series(X: Any) -> bool:
    """Whether X is a sequence of 2-D arrays, frames, or 1-D arrays of unequal length."""
    if isinstance(X, np.ndarray):
        if X.dtype != object or X.ndim != 1 or len(X) == 0:
            return False
    elif not isinstance(X, Sequence) or isinstance(X, (str, bytes)) or len(X) == 0:
        return False
    if any(_is_frame(x) for x in X):
        return True
    if not all(hasattr(x, "__len__") and not isinstance(x, (str, bytes, dict)) for x in X):
        return False
    if any(np.ndim(x) >= 2 for x in X if hasattr(x, "ndim")):
        return True
    if all(isinstance(x, (list, tuple)) and len(x) and np.iterable(x[0]) for x in X):
        return True
    return len({len(x) for x in X}) > 1


def _as_series(x: Any, name: str, i: int) -> NDArray[Any]:
    """One series as ``(n_channels, n_timepoints)``."""
    if _is_frame(x):
        return np.asarray(x.to_numpy(dtype=float)).T
    if hasattr(x, "detach") and hasattr(x, "cpu"):
        x = x.detach().cpu().numpy()
    series = np.asarray(x)
    if series.ndim == 1:
        series = series[None]
    if series.ndim != 2 or series.dtype.kind not in "biuf":
        raise ValueError(
            f"series {i} of {name} is {series.ndim}-dimensional of type {series.dtype}; in a "
            f"list each must be a numeric (n_channels, n_timepoints) array or a frame with a "
            f"column a channel"
        )
    return series


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
    if getattr(X.index, "nlevels", 1) == 2:
        instances = X.index.get_level_values(0)
        values = X.to_numpy(dtype=float)
        # In the order in which they stand, which is y's; np.unique would sort them.
        _, first, order = np.unique(instances, return_index=True, return_inverse=True)
        groups = [values[order == k].T for k in np.argsort(first)]
        return _stack(groups, name)
    first = X.iloc[0, 0]
    if hasattr(first, "__len__") and not isinstance(first, (str, bytes)):
        rows = []
        for row in X.itertuples(index=False):
            cells = [np.asarray(cell, dtype=float) for cell in row]
            if len({len(cell) for cell in cells}) > 1:
                raise ValueError(f"a series of {name} has channels of different lengths")
            rows.append(np.stack(cells))
        return _stack(rows, name)
    return read_panel(X.to_numpy(), name)

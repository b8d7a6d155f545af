"""Stored series, which are read in parts from files or large arrays instead of being copied."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from joblib import Memory
from numpy.typing import NDArray

Index = NDArray[np.int64]

RESIDENT_BYTES = 2**28
"""Size in bytes, in single precision, above which series are not copied as a whole."""

CHUNK_BYTES = 2**24
"""Number of bytes that are read at once in a pass over stored series."""


class StoredSeries:
    """Rows of one or several arrays, read in parts and in single precision.

    The object has the members of an array ``(n, c, t)`` that a
    :class:`~skgdpd._series.panel.Panel` needs. Indexing by rows reads the rows. Selection of rows
    (:meth:`take`) and truncation of series read nothing.

    Parameters
    ----------
    *sources : array of shape (n, c, t) or (n, t)
        Arrays of series that can be sliced (``numpy.memmap``, zarr), or other stored series. The
        sources are concatenated.
    n_timepoints : int, optional
        Number of first points to keep. Shorter series are filled up with NaN. By default, the
        number of time points of the longest source.
    order : ndarray of int, optional
        Indices of the rows to use, counted over all sources, in the order of use. By default, all
        rows.
    """

    dtype = np.dtype(np.float32)
    ndim = 3

    def __init__(
        self, *sources: Any, n_timepoints: int | None = None, order: Index | None = None
    ) -> None:
        self.sources = sources
        self.starts = np.concatenate([[0], np.cumsum([source.shape[0] for source in sources])])
        self.order = order
        first = sources[0].shape
        longest = max(source.shape[-1] for source in sources)
        width = longest if n_timepoints is None else min(n_timepoints, longest)
        n = int(self.starts[-1]) if order is None else len(order)
        self.shape = (n, 1 if len(first) == 2 else first[1], width)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape))

    def __getitem__(self, key: Any) -> Any:
        """Return rows as an array, given a slice or indices, or first points as stored series."""
        if isinstance(key, tuple):
            *others, time = key
            if any(k != slice(None) for k in others) or time.start or time.step:
                raise IndexError(f"stored series can be cut to their first points only, not {key}")
            width = min(time.stop, self.shape[2])
            return StoredSeries(*self.sources, n_timepoints=width, order=self.order)
        if isinstance(key, slice):
            key = np.arange(*key.indices(len(self)))
        if self.order is not None:
            key = self.order[key]
        out = np.empty((len(key), *self.shape[1:]), dtype=np.float32)
        which = np.searchsorted(self.starts, key, side="right") - 1
        for i, source in enumerate(self.sources):
            mine = slice(None) if len(self.sources) == 1 else np.flatnonzero(which == i)
            rows = key[mine] - self.starts[i]
            if not len(rows):
                continue
            values = _read(source, rows, self.shape[2])
            with np.errstate(over="ignore"):
                out[mine, :, : values.shape[2]] = values
            out[mine, :, values.shape[2] :] = np.nan
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:].astype(dtype or np.float32, copy=False)

    def take(self, index: Index) -> StoredSeries:
        """Return the rows with the given indices, in their order, without reading them."""
        order = index if self.order is None else self.order[index]
        return StoredSeries(*self.sources, n_timepoints=self.shape[2], order=order)

    def chunks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield all rows in chunks of some megabytes, each with the index of its first row."""
        step = max(CHUNK_BYTES // (4 * self.shape[1] * self.shape[2]), 1)
        for start in range(0, len(self), step):
            yield start, self[start : start + step]

    def __reduce__(self) -> Any:
        """Pickle a digest of the content, because joblib hashes arguments by pickling them."""
        digest = hashlib.blake2b(repr(self.shape).encode())
        for _, chunk in self.chunks():
            digest.update(chunk.tobytes())
        return bytes, (digest.digest(),)


def _read(source: Any, rows: Index, n_timepoints: int) -> NDArray[Any]:
    """Return rows ``(n, c, t)`` of an array, in any order."""
    if isinstance(source, StoredSeries):
        return source[:, :, :n_timepoints][rows]
    cut = (slice(None),) * (len(source.shape) - 2) + (slice(n_timepoints),)
    if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        values = source[(slice(int(rows[0]), int(rows[0]) + len(rows)), *cut)]
    elif isinstance(source, np.ndarray):
        values = source[(rows, *cut)]
    else:
        # zarr and h5py take rows in ascending order only, each once.
        unique, order = np.unique(rows, return_inverse=True)
        chosen = source.oindex if hasattr(source, "oindex") else source
        values = np.asarray(chosen[(unique, *cut)])[order]
    return np.asarray(values if len(source.shape) == 3 else values[:, None, :])


def is_lazy_array(X: Any) -> bool:
    """Return whether X is an array of zarr or h5py, which is read from a file when indexed."""
    module = type(X).__module__.split(".")[0]
    return module in ("zarr", "h5py") and hasattr(X, "shape") and hasattr(X, "dtype")


def is_large(shape: tuple[int, ...]) -> bool:
    """Return whether series of this shape are too large to be copied as a whole."""
    return 4 * int(np.prod(shape)) > RESIDENT_BYTES


@contextmanager
def features_folder(memory: Memory) -> Iterator[str]:
    """Create a temporary folder for a fit, beside the cache if any, and remove it at the end."""
    parent = getattr(memory, "location", None)
    if parent is not None:
        os.makedirs(parent, exist_ok=True)
    # Rows of the training stay mapped to the files. Windows can't remove such files: the system's
    # clean-up does it there.
    made = tempfile.TemporaryDirectory(prefix="skgdpd-", dir=parent, ignore_cleanup_errors=True)
    with made as folder:
        yield folder

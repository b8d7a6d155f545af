"""Storage of the series of a session: arrays that grow, with changes that can be undone."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .costs import Integers


class Slots:
    """Arrays with a row for each series of a session.

    Every change is recorded, so that all changes since the last :meth:`keep` can be undone.

    Parameters
    ----------
    arrays : dict of str to ndarray of shape (1, ...)
        Arrays by name, each with one row: the initial values of a new series.

    Attributes
    ----------
    arrays : dict of str to ndarray of shape (capacity, ...)
        Arrays by name. Some rows may be unused.
    places : dict
        Row of each series by id, in the order in which the series were added.
    """

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        self._new = arrays
        self.arrays = {name: row[:0].copy() for name, row in arrays.items()}
        self.places: dict[Hashable, int] = {}
        self._free: list[int] = []
        self._notes: list[tuple[str, Any, Any]] = []
        self._added: list[Hashable] = []
        # A copy is made only before the first removal. The undo of a removal must restore the
        # order of the series, while the undo of an addition needs only the id.
        self._before: tuple[dict[Hashable, int], list[int]] | None = None

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.arrays[name]

    @property
    def rows(self) -> Integers:
        """Rows of all series, in the order of ``places``."""
        return np.fromiter(self.places.values(), np.int64, len(self))

    def of(self, ids: Any) -> Integers:
        """Return the rows of the series with these ids."""
        return np.array([self.places[id_] for id_ in ids], dtype=np.int64)

    def set(self, name: str, rows: Any, values: Any) -> None:
        """Set rows of an array."""
        array = self.arrays[name]
        # An index array gives a copy, but a slice or a single number gives a view.
        before = array[rows] if isinstance(rows, np.ndarray) else array[rows].copy()
        self._notes.append((name, rows, before))
        array[rows] = values

    def add(self, ids: list[Hashable]) -> None:
        """Add new series with initial values; the ids must not be in use."""
        if not ids:
            return
        if len(ids) > len(self._free):
            self._grow(len(ids) - len(self._free))
        if self._before is None:
            self._added += ids
        for id_ in ids:
            self.places[id_] = self._free.pop()
        rows = self.of(ids)
        for name, new in self._new.items():
            self.set(name, rows, new)

    def renew(self, rows: Integers) -> None:
        """Set the rows of series to the initial values of new series."""
        for name, new in self._new.items():
            self.set(name, rows, new)

    def remove(self, id_: Hashable) -> None:
        """Remove a series; :meth:`undo` can restore it."""
        if self._before is None:
            self._before = dict(self.places), list(self._free)
        self.forget(id_)

    def forget(self, id_: Hashable) -> None:
        """Remove a series permanently; :meth:`undo` does not restore it."""
        self._free.append(self.places.pop(id_))

    def keep(self) -> None:
        """Make all changes since the last call permanent."""
        self._notes.clear()
        self._added.clear()
        self._before = None

    def undo(self) -> None:
        """Undo all changes since the last :meth:`keep`."""
        for name, rows, values in reversed(self._notes):
            self.arrays[name][rows] = values
        if self._before is not None:
            self.places, self._free = self._before
        for id_ in reversed(self._added):
            self.forget(id_)
        self.keep()

    def _grow(self, n: int) -> None:
        """Add at least ``n`` rows. The capacity at least doubles, so that growth is rare."""
        size = len(next(iter(self.arrays.values())))
        n = max(n, size)
        for name, new in self._new.items():
            more = np.repeat(new, n, 0)
            self.arrays[name] = np.concatenate([self.arrays[name], more])
        fresh = list(range(size + n - 1, size - 1, -1))
        self._free = fresh + self._free
        if self._before is not None:
            self._before[1][:0] = fresh

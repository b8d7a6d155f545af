"""Batches as slices of tensors that are on the training device from the start.

Data sets for these networks are small. The work of a data loader for each row (fetch, collate,
pin, copy) would cost more than the computation. A batch is one ``index_select`` for each tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .._runtime.workers import is_shared, own_part
from ..nets.prefixes import Prefixes

Batch = dict[str, Tensor]
SERIES = "series"
"""Name of the tensor that holds the series of :class:`MomentRows`."""


class Rows:
    """Named tensors on one device, with one row for each series.

    Parameters
    ----------
    **tensors : Tensor of shape (n_rows, ...)
        The tensors by name. A tensor ``index`` with the number of each row is added.
    """

    def __init__(self, **tensors: Tensor) -> None:
        sizes = {name: len(tensor) for name, tensor in tensors.items()}
        if len(set(sizes.values())) != 1:
            raise ValueError(f"tensors must have equally many rows, got {sizes}")
        (self.n_rows,) = set(sizes.values())
        first = next(iter(tensors.values()))
        self.tensors: Batch = {**tensors, "index": torch.arange(self.n_rows, device=first.device)}

    def __len__(self) -> int:
        return self.n_rows

    @property
    def n_moments(self) -> int:
        """Number of moments at which a batch may contain the series."""
        return 1

    @property
    def device(self) -> torch.device:
        """Device of the tensors."""
        return self.tensors["index"].device

    @property
    def numbers_on(self) -> torch.device:
        """Device on which :meth:`select` takes row numbers without synchronisation."""
        return self.device

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row of the series ``x``, or of the first tensor if there is no ``x``."""
        row = self.select(self.tensors["index"][:1])
        return tuple(row.get("x", next(iter(row.values()))).shape[1:])

    def to(self, device: torch.device) -> Rows:
        """Return the same rows on another device."""
        moved = {k: v.to(device) for k, v in self.tensors.items() if k != "index"}
        return Rows(**moved)

    def select(self, index: Tensor) -> Batch:
        """Return the rows with the numbers in ``index``, in the order of ``index``."""
        return {name: tensor.index_select(0, index) for name, tensor in self.tensors.items()}

    def everything(self) -> Batch:
        """Return all rows in order."""
        return self.tensors


class MomentRows(Rows):
    """Rows for several moments; a batch contains the prefixes of its series at one moment.

    Parameters
    ----------
    prefixes : Prefixes
        The series at each moment.
    fixed : Tensor of shape (n_rows, n_moments, n_fixed), optional
        Fixed features of the series at each moment. They replace the series in batches.
    **tensors : Tensor of shape (n_rows, ...)
        Further tensors by name, the same at all moments.
    """

    def __init__(self, prefixes: Prefixes, fixed: Tensor | None = None, **tensors: Tensor) -> None:
        super().__init__(**tensors)
        self.prefixes = prefixes
        self.fixed = fixed
        # Training is continued only for the same series, of which these are told apart.
        series = prefixes.series[-1] if fixed is None else fixed
        self.tensors = {**self.tensors, SERIES: series}

    @property
    def n_moments(self) -> int:
        return self.prefixes.n_moments

    def with_fixed(self, fixed: Tensor) -> MomentRows:
        """Return the same rows with fixed features in place of the series."""
        return MomentRows(self.prefixes, fixed, **self._others())

    def to(self, device: torch.device) -> MomentRows:
        moved = {name: tensor.to(device) for name, tensor in self._others().items()}
        fixed = None if self.fixed is None else self.fixed.to(device)
        return MomentRows(self.prefixes.to(device), fixed, **moved)

    def select(self, index: Tensor, moment: int = -1) -> Batch:
        """Return the rows with the numbers in ``index`` at a moment, by default the last."""
        known = {name: tensor for name, tensor in self.tensors.items() if name != SERIES}
        batch = {name: tensor.index_select(0, index) for name, tensor in known.items()}
        moment = range(self.n_moments)[moment]
        batch["moment"] = torch.tensor(moment)
        if self.fixed is not None:
            return {**batch, "fixed": self.fixed[index, moment]}
        x, lengths = self.prefixes.at(moment)
        batch["x"] = x.index_select(0, index)
        if lengths is not None:
            batch["lengths"] = lengths.index_select(0, index)
        return batch

    def everything(self) -> Batch:
        return self.select(self.tensors["index"])

    def _others(self) -> Batch:
        return {k: v for k, v in self.tensors.items() if k not in ("index", SERIES)}


class StreamedRows(Rows):
    """Rows with tensors that don't fit into memory and are loaded for each batch.

    Parameters
    ----------
    fetch : callable
        Function that takes row numbers, an array of shape (n,), and returns the tensors of these
        rows on the CPU.
    **tensors : Tensor of shape (n_rows, ...)
        The tensors that are kept in memory, by name.
    """

    def __init__(self, fetch: Callable[[NDArray[np.int64]], Batch], **tensors: Tensor) -> None:
        super().__init__(**tensors)
        self.fetch = fetch

    def to(self, device: torch.device) -> StreamedRows:
        moved = {k: v.to(device) for k, v in self.tensors.items() if k != "index"}
        return StreamedRows(self.fetch, **moved)

    @property
    def numbers_on(self) -> torch.device:
        return torch.device("cpu")

    def select(self, index: Tensor) -> Batch:
        made = self.fetch(index.cpu().numpy())
        return {
            **super().select(sent(index, self.device)),
            **{name: sent(tensor, self.device) for name, tensor in made.items()},
        }

    def everything(self) -> Batch:
        return self.select(self.tensors["index"])


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device, without waiting for the end of the copy."""
    if device.type == "cuda" and not tensor.is_cuda:
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


class RowBatches:
    """Batches of the rows of one epoch.

    The sizes of batches differ by at most one row. Therefore no epoch ends with a batch of a
    single row, which batch normalisation could not normalise. For :class:`MomentRows`, each batch
    gets a random moment. Without a generator, each batch is yielded at every moment.

    Parameters
    ----------
    rows : Rows
        The data.
    batch_size : int
        Maximum size of a batch.
    generator : torch.Generator, optional
        Source of the random order of rows. It is on the CPU, so that the order is the same for
        every device. If processes train together (``data_parallel`` of
        :func:`skgdpd.set_config`), each process gets its part of every batch. None keeps the
        order of rows and gives each process all rows.
    """

    def __init__(
        self, rows: Rows, batch_size: int, generator: torch.Generator | None = None
    ) -> None:
        self.rows = rows
        self.n_batches = -(-len(rows) // batch_size)
        self.generator = generator

    def __len__(self) -> int:
        return self.n_batches if self.generator is not None else self.n_batches * self.n_moments

    @property
    def n_moments(self) -> int:
        """Number of moments of the rows."""
        return self.rows.n_moments

    def __iter__(self) -> Iterator[Batch]:
        if isinstance(self.rows, MomentRows):
            yield from self._at_moments(self.rows)
            return
        if self.n_batches == 1 and not self._is_shared:
            yield self.rows.everything()
            return
        for part in self.numbers():
            yield self.rows.select(part)

    def _at_moments(self, rows: MomentRows) -> Iterator[Batch]:
        for part in self.numbers():
            drawn = range(rows.n_moments)
            if self.generator is not None:
                m = int(torch.randint(rows.n_moments, (), generator=self.generator))
                drawn = range(m, m + 1)
            for moment in drawn:
                yield rows.select(part, moment)

    def numbers(self) -> Iterator[Tensor]:
        """Yield the row numbers of each batch of an epoch."""
        if self.generator is None or (self.n_batches == 1 and not self._is_shared):
            order = torch.arange(len(self.rows))
        else:
            order = torch.randperm(len(self.rows), generator=self.generator)
        for part in sent(order, self.rows.numbers_on).tensor_split(self.n_batches):
            yield own_part(part) if self._is_shared else part

    @property
    def _is_shared(self) -> bool:
        return self.generator is not None and is_shared()

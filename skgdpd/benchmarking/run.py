"""Run of all cells that are missing in a store."""

from __future__ import annotations

from collections.abc import Sequence

from joblib import Parallel, delayed

from ..training import Progress
from .cells import Cell
from .evaluation import run_cell
from .store import Store


def missing_cells(cells: Sequence[Cell], store: Store, retry: bool = False) -> list[Cell]:
    """Return the cells that are missing in a store.

    Parameters
    ----------
    cells : sequence of Cell
        The cells that the store should contain.
    store : Store
        The store.
    retry : bool, default=False
        Whether to include cells that failed.

    Returns
    -------
    list of Cell
        The cells without duplicates. A killed run continues with them.
    """
    there = {record.cell for record in store if not (retry and record.error)}
    return [cell for cell in dict.fromkeys(cells) if cell not in there]


def run(
    cells: Sequence[Cell],
    store: Store,
    *,
    folder: str | None = None,
    memory: str | None = None,
    device: str = "auto",
    n_jobs: int | None = None,
    verbose: bool = True,
) -> int:
    """Run cells.

    Parameters
    ----------
    cells : sequence of Cell
        The cells, as :func:`missing_cells` returns them.
    store : Store
        The store, to which each record is written as soon as its cell is finished.
    folder : str or None, default=None
        The folder of the data sets.
    memory : str or None, default=None
        The folder of a cache of teachers and priors. With a cache, each of them is fitted once
        for all methods.
    device : str, default="auto"
        The device of the networks.
    n_jobs : int or None, default=None
        Number of cells that run in parallel, in processes of the current joblib backend (loky,
        dask, ray). None means 1, or the number set by :func:`joblib.parallel_config`.
    verbose : bool, default=True
        Whether to show a progress bar with the remaining time.

    Returns
    -------
    int
        The number of cells that failed. Their tracebacks are in the store.
    """
    n_failed = 0
    with Progress(len(cells), verbose) as progress:
        results = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(
            delayed(_run_and_write)(cell, store, folder, memory, device) for cell in cells
        )
        for cell, failed in results:
            n_failed += failed
            progress.stage(f"{cell.data}, {cell.method}")
            progress.advance(1, {"failed": n_failed} if n_failed else None)
    return n_failed


def _run_and_write(
    cell: Cell, store: Store, folder: str | None, memory: str | None, device: str
) -> tuple[Cell, bool]:
    record = run_cell(cell, folder, memory, device)
    store.write(record)
    return cell, record.error is not None

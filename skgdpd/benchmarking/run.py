"""Run of all cells that a store does not have yet."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from joblib import Parallel, delayed

from ..training import Progress
from .cells import Cell
from .evaluation import run_cell
from .store import Store


def missing_cells(cells: Sequence[Cell], store: Store, retry: bool = False) -> list[Cell]:
    """Return the cells that a store does not have.

    Parameters
    ----------
    cells : sequence of Cell
        The cells that the store is to hold.
    store : Store
        The store.
    retry : bool, default=False
        Whether cells that failed are missing, too.

    Returns
    -------
    list of Cell
        The cells, each once.
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
    retry: bool = False,
    verbose: bool = True,
) -> tuple[int, int]:
    """Run the cells that a store does not have, so that a killed run can go on.

    Parameters
    ----------
    cells : sequence of Cell
        The cells that the store is to hold.
    store : Store
        The store, which gets each record as soon as its cell is done.
    folder : str or None, default=None
        The folder of the data sets.
    memory : str or None, default=None
        The folder of a cache of teachers and priors, each of which is then fitted once for all
        methods.
    device : str, default="auto"
        The device of the networks.
    n_jobs : int or None, default=None
        Number of cells at once, in processes of the current joblib backend (loky, dask, ray).
        None stands for 1, or for the number of :func:`joblib.parallel_config`.
    retry : bool, default=False
        Whether cells that failed are run again.
    verbose : bool, default=True
        Whether to show the number of cells, and a bar with the time left.

    Returns
    -------
    n_run, n_failed : int
        The number of cells run now, and of those that failed; their tracebacks are in the store.
    """
    missing = missing_cells(cells, store, retry)
    n_failed = 0
    if verbose:
        n_there = len(set(cells)) - len(missing)
        print(f"{len(missing)} cells to run, {n_there} there already", file=sys.stderr, flush=True)
    with Progress(len(missing), verbose) as progress:
        results = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(
            delayed(_run_and_write)(cell, store, folder, memory, device) for cell in missing
        )
        for cell, failed in results:
            n_failed += failed
            progress.stage(f"{cell.data}, {cell.method}")
            progress.advance(1, {"failed": n_failed} if n_failed else None)
    return len(missing), n_failed


def _run_and_write(
    cell: Cell, store: Store, folder: str | None, memory: str | None, device: str
) -> tuple[Cell, bool]:
    record = run_cell(cell, folder, memory, device)
    store.write(record)
    return cell, record.error is not None

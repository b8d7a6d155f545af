"""Run of the fits and scores that a store does not have yet."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

import numpy as np

from ..._runtime.threads import same_threads
from ...datasets import TrainTest, make_bumps
from ...training import Progress
from ..scenario import load_data
from .cells import EarlyCell
from .models import Fit, bounded, fit_model
from .scores import score_fit
from .store import EarlyStore


def missing_early_cells(
    cells: Sequence[EarlyCell], store: EarlyStore, *, retry: bool = False, rescore: bool = False
) -> list[EarlyCell]:
    """Return the cells that are to be fitted or scored.

    Parameters
    ----------
    cells : sequence of EarlyCell
        The cells that the store is to hold.
    store : EarlyStore
        The store.
    retry : bool, default=False
        Whether cells whose fit failed are missing, too.
    rescore : bool, default=False
        Whether cells that have scores are missing, too.

    Returns
    -------
    list of EarlyCell
        The cells, each once.
    """
    scored = set() if rescore else {record.cell for record in store.records()}
    return [
        cell
        for cell in dict.fromkeys(cells)
        if cell not in scored and (retry or store.error(cell) is None)
    ]


@same_threads()
def run_early(
    cells: Sequence[EarlyCell],
    store: EarlyStore,
    *,
    folder: str | None = None,
    max_train: int | None = None,
    retry: bool = False,
    rescore: bool = False,
    verbose: bool = True,
) -> tuple[int, int]:
    """Fit and score the cells that have no scores yet.

    A fit that the store still has is not repeated. Packed scores count as scores.

    Parameters
    ----------
    cells : sequence of EarlyCell
        The cells that the store is to hold.
    store : EarlyStore
        The store, which gets each fit and its scores as soon as they are done.
    folder : str or None, default=None
        The folder of the data sets.
    max_train : int or None, default=None
        Number of training series of a set at most; None for all.
    retry : bool, default=False
        Whether fits that failed are tried again.
    rescore : bool, default=False
        Whether rules are fitted again to fits that have scores.
    verbose : bool, default=True
        Whether to show a bar with the time left.

    Returns
    -------
    n_fits, n_failed : int
        The number of fits that were tried now, and of cells whose fit or scores failed.
    """
    asked = missing_early_cells(cells, store, retry=retry, rescore=rescore)
    n_fits = n_failed = 0
    with Progress(len(asked), verbose) as progress:
        for cell in asked:
            progress.stage(f"{cell.data}, {cell.model}, {cell.normalize}, {cell.seed}")
            fit = store.fit(cell)
            n_fits += fit is None
            n_failed += not _scored(cell, fit, store, folder, max_train)
            progress.advance(1, {"failed": n_failed} if n_failed else None)
    return n_fits, n_failed


def _scored(
    cell: EarlyCell,
    fit: Fit | None,
    store: EarlyStore,
    folder: str | None,
    max_train: int | None,
) -> bool:
    """Fit and score a cell, and write all or the error; return whether it went well."""
    try:
        if fit is None:
            parts = bounded(load_data(cell.data, folder), max_train, cell.seed)
            fit = store.write_fit(cell, fit_model(cell, parts))
        store.write_scores(cell, score_fit(fit, cell.seed))
    except Exception:
        store.write_error(cell, traceback.format_exc())
        return False
    return True


def load_compiled_parts() -> None:
    """Fit small models once, so that no measured time has the loading of compiled code in it."""
    X, y = make_bumps(24, 60, random_state=0)
    for series in (X, np.concatenate([X, X], 1)):
        parts = TrainTest(series[:16], y[:16], series[16:], y[16:])
        for model in ("ours", "clones"):
            fit_model(EarlyCell("bumps", model), parts)

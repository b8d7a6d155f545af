"""Run of the fits and scores that are missing in a store."""

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
    """Return the cells that have to be fitted or scored. Packed scores count as scores.

    Parameters
    ----------
    cells : sequence of EarlyCell
        The cells that the store should contain.
    store : EarlyStore
        The store.
    retry : bool, default=False
        Whether to include cells whose fit failed.
    rescore : bool, default=False
        Whether to include cells that already have scores.

    Returns
    -------
    list of EarlyCell
        The cells without duplicates.
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
    verbose: bool = True,
) -> tuple[int, int]:
    """Fit and score cells. A fit that the store contains is not repeated.

    Parameters
    ----------
    cells : sequence of EarlyCell
        The cells, as :func:`missing_early_cells` returns them.
    store : EarlyStore
        The store, to which each fit and its scores are written as soon as they are finished.
    folder : str or None, default=None
        The folder of the data sets.
    max_train : int or None, default=None
        Maximum number of training series of each data set; None means all.
    verbose : bool, default=True
        Whether to show a progress bar with the remaining time.

    Returns
    -------
    n_fits, n_failed : int
        The number of fits that were run in this call, and the number of cells whose fit or scores
        failed.
    """
    n_fits = n_failed = 0
    with Progress(len(cells), verbose) as progress:
        for cell in cells:
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
    """Fit and score a cell, and write the results or the error; return whether it succeeded."""
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
    """Fit small models once, so that measured times don't include the loading of compiled code."""
    X, y = make_bumps(24, 60, random_state=0)
    for series in (X, np.concatenate([X, X], 1)):
        parts = TrainTest(series[:16], y[:16], series[16:], y[16:])
        for model in ("ours", "clones"):
            fit_model(EarlyCell("bumps", model), parts)

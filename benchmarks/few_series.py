"""Compare early classifiers that learn from few series.

    python benchmarks/few_series.py FOLDER STORE ECG200 Trace ... --series 24 --seeds 0 1
    python -m skgdpd.benchmarking early-report --store STORE --out REPORT

No test part is read. A few series of each training part are drawn by class for the fit. Up to 150
other series of it replace the test part. The store has the format of ``skgdpd.benchmarking
early``, so its report compares models and rules. An interrupted run can be continued.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from skgdpd._series.split import stratified_split
from skgdpd.benchmarking.early.cells import EarlyCell, make_early_cells
from skgdpd.benchmarking.early.models import fit_model
from skgdpd.benchmarking.early.scores import score_fit
from skgdpd.benchmarking.early.store import EarlyStore
from skgdpd.datasets import TrainTest, load_file

MOST_SCORED = 150
"""Number of series that are scored at most."""


def main() -> None:
    """Fit and score what the store does not have."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of .npz, .ts or .tsv files")
    parser.add_argument("store", type=Path, help="folder of the results")
    parser.add_argument("sets", nargs="+", help="names of data sets, without file endings")
    parser.add_argument("--series", type=int, default=24, help="number of series to learn from")
    parser.add_argument("--models", nargs="+", default=["ours", "clones"])
    parser.add_argument("--normalize", nargs="+", default=["train"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    store = EarlyStore(options.store)
    cells = make_early_cells(options.sets, options.models, options.normalize, options.seeds)
    done = {record.cell for record in store.records()}
    for cell in cells:
        if cell not in done:
            (path,) = options.folder.glob(f"{cell.data}.*")
            fit = fit_model(cell, few(load_file(path), options.series, cell))
            fit = store.write_fit(cell, fit)
            store.write_scores(cell, score_fit(fit, cell.seed))
            print(cell.key, flush=True)


def few(parts: TrainTest, n: int, cell: EarlyCell) -> TrainTest:
    """Return some training series for the fit, and others to be scored.

    Parameters
    ----------
    parts : TrainTest
        A data set.
    n : int
        Number of series for the fit.
    cell : EarlyCell
        Cell of the store. Its seed is the seed of the draw.

    Returns
    -------
    TrainTest
        Scored series only have classes that occur in the fit.
    """
    codes = np.unique(parts.y, return_inverse=True)[1]
    drawn, others = stratified_split(codes, 1 - n / len(codes), cell.seed + 50)
    others = np.random.default_rng(cell.seed).permutation(others)[:MOST_SCORED]
    others = others[np.isin(codes[others], codes[drawn])]
    return TrainTest(parts.X[drawn], parts.y[drawn], parts.X[others], parts.y[others])


if __name__ == "__main__":
    main()

"""Compare the findings of the check of unlabelled series with the gain from these series.

The table is in ``docs/results/unlabelled-series.md``.

    python benchmarks/unlabeled_check.py FOLDER docs/results/rocket CBF Coffee ...

Each data set is divided as in the benchmark: the first 20 % are seen, half of the test part is
unlabelled, and the seed is 0. The program prints the findings of :func:`skgdpd.check_unlabeled`.
Beside them, it prints the difference in AUC-PRC that unlabelled series made, from the records of
all seeds in the store.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np

from skgdpd import GDPDClassifier, SeriesOptions, check_unlabeled
from skgdpd.benchmarking.cells import Cell
from skgdpd.benchmarking.scenario import load_data, make_scenario
from skgdpd.benchmarking.store import Store

ALONE, TAUGHT = "base:rocket-quant", "gdpd:rocket-quant:rocket-quant"
EARLINESS = 0.2


def main() -> None:
    """Print a row for each data set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", help="folder of data sets")
    parser.add_argument("store", type=Path, help="folder of the benchmark's records")
    parser.add_argument("sets", nargs="+", help="names of data sets")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    scores: dict[tuple[str, str], list[float]] = {}
    for record in Store(options.store):
        cell = record.cell
        own = (cell.earliness, cell.normalize, cell.setting, cell.protocol)
        if own == (EARLINESS, "train", "unlabelled", "default") and not record.error:
            scores.setdefault((cell.data, cell.method), []).append(
                record.chosen()["metrics"]["auc_prc"]
            )
    print("| set | teacher | student | p | disagree | certainty | p | advice | gain |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in options.sets:
        given = make_scenario(
            load_data(name, options.folder), Cell(name, "base", EARLINESS, setting="unlabelled")
        )
        options = SeriesOptions(missing_values="interpolate")
        clf = GDPDClassifier(earliness=EARLINESS, random_state=0, series=options)
        found = check_unlabeled(clf, given.X, given.y, given.X_unlabeled)
        gain = 100 * (np.mean(scores[name, TAUGHT]) - np.mean(scores[name, ALONE]))
        print(
            f"| {name} | {found.teacher_accuracy:.3f} | {found.student_accuracy:.3f} "
            f"| {found.p_student:.1g} "
            f"| {found.disagreement:.3f}, {found.disagreement_on_unlabeled:.3f} "
            f"| {found.certainty:.3f}, {found.certainty_on_unlabeled:.3f} "
            f"| {found.p_shift:.1g} | {found.advice} | {gain:+.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

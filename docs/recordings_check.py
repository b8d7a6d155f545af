"""What a check says of recordings, and what they brought: ``results/recordings.md``.

    python docs/recordings_check.py FOLDER docs/results/rocket CBF Coffee ...

For each set, as the benchmark divides it (first 20 % seen, half of the test part as recordings,
seed 0), what :func:`skgdpd.check_recordings` finds, beside the difference in AUC-PRC that
recordings made in the store's records of all seeds.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np

from skgdpd import GDPDClassifier, check_recordings
from skgdpd.benchmarking.cells import Cell
from skgdpd.benchmarking.scenario import load_data, make_scenario
from skgdpd.benchmarking.store import Store

ALONE, TAUGHT = "base:rocket-quant", "gdpd:rocket-quant:rocket-quant"
EARLINESS = 0.2


def main() -> None:
    """Check each set's recordings."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder")
    parser.add_argument("store", type=Path)
    parser.add_argument("sets", nargs="+")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    scores: dict[tuple[str, str], list[float]] = {}
    for record in Store(options.store):
        cell = record.cell
        own = (cell.earliness, cell.normalize, cell.setting, cell.protocol)
        if own == (EARLINESS, "train", "recordings", "default") and not record.error:
            scores.setdefault((cell.data, cell.method), []).append(
                record.chosen()["metrics"]["auc_prc"]
            )
    print("| set | teacher | student | p | disagree | certainty | p | advice | gain |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in options.sets:
        given = make_scenario(
            load_data(name, options.folder), Cell(name, "base", EARLINESS, setting="recordings")
        )
        clf = GDPDClassifier(earliness=EARLINESS, missing="interpolate", random_state=0)
        found = check_recordings(clf, given.X, given.y, given.X_unlabeled)
        gain = 100 * (np.mean(scores[name, TAUGHT]) - np.mean(scores[name, ALONE]))
        print(
            f"| {name} | {found.teacher_accuracy:.3f} | {found.student_accuracy:.3f} "
            f"| {found.p_student:.1g} "
            f"| {found.disagreement:.3f}, {found.disagreement_on_recordings:.3f} "
            f"| {found.certainty:.3f}, {found.certainty_on_recordings:.3f} "
            f"| {found.p_shift:.1g} | {found.advice} | {gain:+.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

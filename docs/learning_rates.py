"""Which learning rate suits a student, on thirds of training parts: no test part is read.

    python docs/learning_rates.py FOLDER CBF Coffee ... --rates 1e-3 3e-4 1e-4
    python docs/learning_rates.py FOLDER Crop Wafer ... --rates 1e-3 3e-4 1e-4 --labelled 8
    python docs/learning_rates.py FOLDER Wafer ... --student fcn24 --teacher rocket --epochs 60 200

A third of each training part is labelled, a third are recordings, and a third is scored; with
``--labelled``, so many series of each class are labelled, and the rest of two thirds, up to 500,
are recordings, as where labels are dear. Prints macro AUC-PRC, accuracy and log loss of students
of labels only, of those taught by Hinton's distillation with the recordings, and of those given
the recordings' labels.
"""

import argparse
import warnings
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skgdpd import DistilledPrefixClassifier, PrefixClassifier
from skgdpd._split import stratified_split
from skgdpd.benchmarking.evaluation import score
from skgdpd.datasets import TrainTest, load_file
from skgdpd.distillers import Hinton

SHOWN = ("auc_prc", "accuracy", "log_loss")
MOST_RECORDED = 500

Numbers = NDArray[Any]


class Division(NamedTuple):
    """Numbers of the rows that are labelled, recordings, and scored."""

    labelled: Numbers
    recorded: Numbers
    scored: Numbers


def main() -> None:
    """Compare on each set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("sets", nargs="+")
    parser.add_argument("--student", default="rocket-quant")
    parser.add_argument("--teacher", help="the student's own architecture by default")
    parser.add_argument("--epochs", nargs="+", type=int, default=[60])
    parser.add_argument("--rates", nargs="+", type=float, default=[1e-3, 3e-4, 1e-4])
    parser.add_argument("--earliness", type=float, default=0.2)
    parser.add_argument("--normalize", nargs="+", default=["train", "prefix"])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--labelled", type=int, help="of each class; a third by default")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    found: dict[tuple[str, float, int], list[Any]] = {}
    for name in options.sets:
        parts = load_file(options.folder / f"{name}.npz")
        for seed in range(options.seeds):
            rows = divide(parts.y, seed, options.labelled)
            for normalize in options.normalize:
                own = {
                    "student": options.student,
                    "earliness": options.earliness,
                    "normalize": normalize,
                    "missing": "interpolate",
                    "random_state": seed,
                }
                for rate, epochs in product(options.rates, options.epochs):
                    tried = own | {"lr": rate, "max_epochs": epochs}
                    for kind, scores in compare(parts, rows, tried, options.teacher).items():
                        found.setdefault((kind, rate, epochs), []).append(scores)
        print(name, flush=True)
    print(f"\n| student | rate | epochs | {' | '.join(SHOWN)} |\n|{'---|' * (3 + len(SHOWN))}")
    for (kind, rate, epochs), scores in sorted(found.items()):
        means = " | ".join(f"{v:.3f}" for v in np.mean(scores, 0))
        print(f"| {kind} | {rate:g} | {epochs} | {means} |")


def divide(y: Numbers, seed: int, n_labelled: int | None) -> Division:
    """Numbers of rows."""
    codes = np.unique(y, return_inverse=True)[1]
    rest, scored = stratified_split(codes, 1 / 3, seed + 200)
    if n_labelled is None:
        labelled, recorded = stratified_split(codes[rest], 1 / 2, seed + 300)
        return Division(rest[labelled], rest[recorded], scored)
    rest = np.random.default_rng(seed).permutation(rest)
    place = np.empty(len(rest), dtype=int)  # of each row among those of its class
    for code in np.unique(codes):
        own = codes[rest] == code
        place[own] = np.arange(own.sum())
    is_labelled = place < n_labelled
    return Division(rest[is_labelled], rest[~is_labelled][:MOST_RECORDED], scored)


def compare(
    parts: TrainTest, rows: Division, settings: dict[str, Any], teacher: str | None
) -> dict[str, list[float]]:
    """Scores of the three students."""
    labelled, recorded, held = rows
    known = np.concatenate([labelled, recorded])
    alone, ceiling = PrefixClassifier(**settings), PrefixClassifier(**settings)
    taught = DistilledPrefixClassifier(Hinton(), teacher=teacher, **settings)
    alone.fit(parts.X[labelled], parts.y[labelled])
    taught.fit(parts.X[labelled], parts.y[labelled], X_unlabeled=parts.X[recorded])
    ceiling.fit(parts.X[known], parts.y[known])
    students = {"labels only": alone, "taught, with recordings": taught, "true labels": ceiling}
    return {
        kind: [
            score(
                np.searchsorted(clf.classes_, parts.y[held]),
                clf.predict_proba(parts.X[held]),
                np.arange(len(clf.classes_)),
            )[name]
            for name in SHOWN
        ]
        for kind, clf in students.items()
    }


if __name__ == "__main__":
    main()

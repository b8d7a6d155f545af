r"""Compare a student's learning rates on thirds of training parts.

    python benchmarks/learning_rates.py FOLDER CBF Coffee ... --rates 1e-3 3e-4 1e-4
    python benchmarks/learning_rates.py FOLDER Crop Wafer ... --rates 1e-3 3e-4 --labelled 8
    python benchmarks/learning_rates.py FOLDER Wafer ... --student fcn24 --teacher rocket \
        --epochs 60 200

No test part is read. One third of each training part is labelled, one is unlabelled, and one is
scored. With ``--labelled 8``, eight series of each class are labelled. The rest of the two thirds,
up to 500 series, are unlabelled, as in applications where labels are expensive. The program prints
macro AUC-PRC, accuracy and log loss of three students. The first learns from labels only, the
second is taught by Hinton's distillation with the unlabelled series, and the third is given the
labels of these series.
"""

from __future__ import annotations

import argparse
import warnings
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skgdpd import DistilledPrefixClassifier, PrefixClassifier
from skgdpd._series.split import stratified_split
from skgdpd.benchmarking.evaluation import score
from skgdpd.datasets import TrainTest, load_file
from skgdpd.distillers import Hinton

SHOWN = ("auc_prc", "accuracy", "log_loss")
MAX_UNLABELED = 500

Numbers = NDArray[Any]


class Division(NamedTuple):
    """Indices of a training part's rows.

    Attributes
    ----------
    labelled, unlabelled : ndarray of int
        The rows that teach with and without their labels.
    scored : ndarray of int
        The rows that are scored.
    """

    labelled: Numbers
    unlabelled: Numbers
    scored: Numbers


def main() -> None:
    """Print the mean scores of each learning rate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of .npz files")
    parser.add_argument("sets", nargs="+", help="names of data sets, without file endings")
    parser.add_argument("--student", default="rocket-quant")
    parser.add_argument("--teacher", help="architecture of the teacher (default: the student's)")
    parser.add_argument("--epochs", nargs="+", type=int, default=[60])
    parser.add_argument("--rates", nargs="+", type=float, default=[1e-3, 3e-4, 1e-4])
    parser.add_argument("--earliness", type=float, default=0.2)
    parser.add_argument("--normalize", nargs="+", default=["train", "prefix"])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument(
        "--labelled",
        type=int,
        help="labelled series of each class (default: a third of all series)",
    )
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
    """Divide a training part.

    Parameters
    ----------
    y : ndarray
        The labels.
    seed : int
        Seed of the division.
    n_labelled : int or None
        Number of labelled series of each class; None for a third of all.

    Returns
    -------
    Division
    """
    codes = np.unique(y, return_inverse=True)[1]
    rest, scored = stratified_split(codes, 1 / 3, seed + 200)
    if n_labelled is None:
        labelled, unlabelled = stratified_split(codes[rest], 1 / 2, seed + 300)
        return Division(rest[labelled], rest[unlabelled], scored)
    rest = np.random.default_rng(seed).permutation(rest)
    place = np.empty(len(rest), dtype=int)  # each row's place among those of its class
    for code in np.unique(codes):
        own = codes[rest] == code
        place[own] = np.arange(own.sum())
    is_labelled = place < n_labelled
    return Division(rest[is_labelled], rest[~is_labelled][:MAX_UNLABELED], scored)


def compare(
    parts: TrainTest, rows: Division, settings: dict[str, Any], teacher: str | None
) -> dict[str, list[float]]:
    """Score the three students.

    Parameters
    ----------
    parts : TrainTest
        The data set, of which the training part is divided.
    rows : Division
        The division.
    settings : dict
        Parameters of all three students.
    teacher : str or None
        The teacher's architecture; None for the student's own.

    Returns
    -------
    dict of str to list of float
        Macro AUC-PRC, accuracy and log loss, by kind of student.
    """
    labelled, unlabelled, held = rows
    known = np.concatenate([labelled, unlabelled])
    alone, ceiling = PrefixClassifier(**settings), PrefixClassifier(**settings)
    taught = DistilledPrefixClassifier(Hinton(), teacher=teacher, **settings)
    alone.fit(parts.X[labelled], parts.y[labelled])
    taught.fit(parts.X[labelled], parts.y[labelled], X_unlabeled=parts.X[unlabelled])
    ceiling.fit(parts.X[known], parts.y[known])
    students = {
        "labels only": alone,
        "taught, with unlabelled series": taught,
        "true labels": ceiling,
    }
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

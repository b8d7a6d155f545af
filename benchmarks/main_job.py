"""Score default classifiers with and without a teacher, and a logistic regression for comparison.

    python benchmarks/main_job.py --seeds 3 --data Coffee.npz

The program prints the table of ``docs/results/main-job.md``. The data are sets that come with
sktime, and the files of ``--data``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgdpd import GDPDClassifier, PrefixClassifier
from skgdpd._series.split import stratified_split
from skgdpd.datasets import (
    TrainTest,
    load_basic_motions,
    load_file,
    load_gunpoint,
    load_italy_power_demand,
)
from skgdpd.metrics import macro_auc_prc
from skgdpd.training import Progress

Scores = tuple[float, float, float]
"""Accuracy, macro AUC-PRC and the seconds of a fit."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="number of repetitions")
    parser.add_argument("--data", nargs="*", default=[], metavar="FILE", help=".ts, .tsv or .npz")
    options = parser.parse_args()
    print(main_job_table(options.seeds, options.data))


def main_job_table(seeds: int, files: Sequence[str]) -> str:
    """Score default classifiers at a first part of 20 to 40 %.

    Parameters
    ----------
    seeds : int
        Number of repetitions, with seeds 0, 1, and so on. Data sets keep their own split.
    files : sequence of str
        Further data sets, scored at 30 %; see :func:`skgdpd.datasets.load_file`.

    Returns
    -------
    str
        A Markdown table of means and standard deviations over seeds.
    """
    settings: list[tuple[str, TrainTest, float, bool]] = [
        ("GunPoint", load_gunpoint(), 0.2, False),
        ("GunPoint", load_gunpoint(), 0.3, False),
        ("ItalyPowerDemand", load_italy_power_demand(), 0.3, False),
        ("BasicMotions", load_basic_motions(), 0.3, False),
        *((Path(path).stem, load_file(path), 0.3, False) for path in files),
        ("ItalyPowerDemand", load_italy_power_demand(), 0.4, True),
    ]
    lines = [
        "| data | seen | method | accuracy | AUC-PRC | seconds |",
        "|---|---|---|---|---|---|",
    ]
    with Progress(len(settings) * seeds, True) as progress:
        for name, parts, earliness, unlabeled in settings:
            scores: dict[str, list[Scores]] = {}
            for seed in range(seeds):
                progress.stage(f"{name}, {earliness:.0%} seen, seed {seed}")
                for method, result in _scores(parts, earliness, unlabeled, seed):
                    scores.setdefault(method, []).append(result)
                progress.advance(1)
            for method, results in scores.items():
                lines.append(f"| {name} | {earliness:.0%} | {method} | {_cells(results)} |")
    return "\n".join(lines)


def _cells(results: list[Scores]) -> str:
    mean, spread = np.mean(results, axis=0), np.std(results, axis=0)
    scores = [f"{m:.3f} ± {s:.3f}" for m, s in zip(mean[:2], spread[:2], strict=True)]
    return " | ".join([*scores, f"{mean[2]:.1f}"])


def _scores(
    parts: TrainTest, earliness: float, unlabeled: bool, seed: int
) -> Iterator[tuple[str, Scores]]:
    extra: dict[str, Any] = {}
    if unlabeled:
        numbers = np.unique(parts.y_test, return_inverse=True)[1]
        scored, teaching = stratified_split(numbers, 0.5, seed)
        extra = {"X_unlabeled": parts.X_test[teaching]}
        parts = TrainTest(parts.X, parts.y, parts.X_test[scored], parts.y_test[scored])
    settings: Any = {"earliness": earliness, "random_state": seed}
    base = PrefixClassifier(**settings).fit(parts.X, parts.y)
    yield "`PrefixClassifier` (no teacher)", _score(base, parts)
    gdpd = GDPDClassifier(**settings).fit(parts.X, parts.y)
    yield "`GDPDClassifier`", _score(gdpd, parts)
    if unlabeled:
        n = len(extra["X_unlabeled"])
        taught = GDPDClassifier(**settings).fit(parts.X, parts.y, **extra)
        yield f"`GDPDClassifier`, {n} unlabelled series", _score(taught, parts)
    k = gdpd.prefix_length_
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    linear.fit(_flat(parts.X, k), parts.y)
    proba = linear.predict_proba(_flat(parts.X_test, k))
    yield "logistic regression", _evaluate(proba, linear.classes_, parts, 0.0)


def _flat(X: NDArray[Any], k: int) -> NDArray[Any]:
    return X[:, :, :k].reshape(len(X), -1)


def _score(clf: Any, parts: TrainTest) -> Scores:
    seconds = sum(clf.fit_seconds_.values())
    return _evaluate(clf.predict_proba(parts.X_test), clf.classes_, parts, seconds)


def _evaluate(
    proba: NDArray[Any], classes: NDArray[Any], parts: TrainTest, seconds: float
) -> Scores:
    accuracy = float((classes[proba.argmax(1)] == parts.y_test).mean())
    return accuracy, macro_auc_prc(parts.y_test, proba, classes), seconds


if __name__ == "__main__":
    main()

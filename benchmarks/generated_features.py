"""Measure whether GenDD's generator learns from features of series that the student remembers.

    python benchmarks/generated_features.py FOLDER CBF Coffee ... --store gendd.jsonl --seeds 3

The training part of each set is divided: two thirds are used for the fit, and one third is scored.
No test part is read. With ``--unlabelled``, half of the two thirds lose their labels. The program
prints

- the student's log loss on its own training series, both as fitted and left out, and on the scored
  series;
- AUC-PRC, accuracy and log loss of the student alone and of GenDD's variants, and the difference
  from the student alone, with the standard error over sets.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import log_loss

from skgdpd import GenDDClassifier, GeneratorOptions, SeriesOptions
from skgdpd._fitting.cross_fitting import fold_numbers
from skgdpd._series.split import stratified_split
from skgdpd.benchmarking.evaluation import score
from skgdpd.datasets import load_file

METRICS = ("auc_prc", "accuracy", "log_loss")
STUDENT = "student alone"
PAPER = {"n_posterior_samples": 5, "n_sampling_steps": 64, "student_share": 0.0}

FITS: dict[str, dict[str, Any]] = {
    "features": {"condition": "features"},
    "left out, labels": {"label_share": 1.0},
    "left out, half labels": {"label_share": 0.5},
    "left out, no labels": {"label_share": 0.0},
    "left out, no contraction": {"contraction": 0.0},
}
"""Options of the generator, by the name of a fit."""

DRAWS: dict[str, dict[str, Any]] = {
    "5 draws of 64 steps": PAPER,
    "32 draws of 16 steps": {**PAPER, "n_posterior_samples": 32, "n_sampling_steps": 16},
    "32 draws and the student": {
        "n_posterior_samples": 32,
        "n_sampling_steps": 16,
        "student_share": 0.5,
    },
}
"""Parameters of a prediction, by name."""


def main() -> None:
    """Score what the store lacks, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of .npz, .ts or .tsv files")
    parser.add_argument("sets", nargs="+", help="names of data sets, without file endings")
    parser.add_argument("--store", type=Path, required=True, help="file of JSON lines")
    parser.add_argument("--student", default="mixed")
    parser.add_argument("--earliness", type=float, default=0.2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--unlabelled", action="store_true")
    options = parser.parse_args()
    lines = options.store.read_text().splitlines() if options.store.exists() else []
    known = {tuple(line["cell"]): line["found"] for line in map(json.loads, lines)}
    wanted = [
        (name, seed, options.student, options.earliness, options.unlabelled)
        for seed in range(options.seeds)
        for name in options.sets
    ]
    for cell in wanted:
        if cell not in known:
            known[cell] = run(options.folder, *cell)
            with options.store.open("a") as file:
                file.write(json.dumps({"cell": cell, "found": known[cell]}) + "\n")
            print(*cell[:2], flush=True)
    report([known[cell] for cell in wanted], [cell[0] for cell in wanted])


def run(
    folder: Path, name: str, seed: int, student: str, earliness: float, unlabelled: bool
) -> dict[str, list[float]]:
    """Fit all forms on two thirds of a training part, and score them on the other third.

    Parameters
    ----------
    folder : Path
        Folder of data sets.
    name : str
        Stem of a file in it.
    seed : int
        Seed of the division and of the fits.
    student : str
        Name of the student's backbone.
    earliness : float
        Part of each series that is seen.
    unlabelled : bool
        Whether half of the two thirds lose their labels.

    Returns
    -------
    dict of str to list of float
        AUC-PRC, accuracy and log loss of each variant, by name. "memory" has three log losses of
        the student: of its labelled training series as fitted, of the same series left out, and
        of the scored third.
    """
    (path,) = folder.glob(f"{name}.*")
    parts = load_file(path)
    y = np.unique(parts.y, return_inverse=True)[1]
    train, held_out = stratified_split(y, 0.33, seed + 100)
    pool = train[:0]
    if unlabelled:
        kept, dropped = stratified_split(y[train], 0.5, seed + 7)
        train, pool = train[kept], train[dropped]
    given = {"X_unlabeled": parts.X[pool]} if unlabelled else {}
    common: dict[str, Any] = {
        "student": student,
        "earliness": earliness,
        "series": SeriesOptions(missing_values="interpolate"),
        "random_state": seed,
    }
    found: dict[str, list[float]] = {}
    for fit, settings in FITS.items():
        clf = GenDDClassifier(generator=GeneratorOptions(**settings), **common)
        clf.fit(parts.X[train], y[train], **given)
        for draws, how in DRAWS.items():
            proba = clf.set_params(**how).predict_proba(parts.X[held_out])
            found[f"{fit}, {draws}"] = _scores(y[held_out], proba, clf.classes_)
    clf.set_params(deploy="student_head")
    own = clf.predict_proba(parts.X[held_out])
    found[STUDENT] = _scores(y[held_out], own, clf.classes_)
    remembered = log_loss(y[train], clf.predict_proba(parts.X[train]), labels=clf.classes_)
    outside = _left_out(clf, parts.X[train], y[train], given, seed)
    left_out = log_loss(y[train], outside, labels=clf.classes_)
    found["memory"] = [remembered, left_out, found[STUDENT][2]]
    return found


def _scores(y: NDArray[Any], proba: NDArray[Any], classes: NDArray[Any]) -> list[float]:
    scores = score(y, proba, classes)
    return [float(scores[name]) for name in METRICS]


def _left_out(
    fitted: Any, X: Any, y: NDArray[Any], given: dict[str, Any], seed: int
) -> NDArray[Any]:
    """Return probabilities of labelled series by five students that were fitted without them."""
    folds, proba = fold_numbers(y, 5, seed), np.zeros((len(y), len(fitted.classes_)))
    for k in range(5):
        clf = GenDDClassifier(**fitted.get_params(deep=False)).fit(
            X[folds != k], y[folds != k], **given
        )
        columns = np.searchsorted(fitted.classes_, clf.classes_)
        proba[np.ix_(folds == k, columns)] = clf.predict_proba(X[folds == k])
    return proba


def report(found: list[dict[str, list[float]]], names: list[str]) -> None:
    """Print the student's memory, and the scores of each form.

    Parameters
    ----------
    found : list of dict
        Results of :func:`run`.
    names : list of str
        Data set of each.
    """
    sets = sorted(set(names))

    def by_set(form: str) -> NDArray[Any]:
        own = [[one[form] for one, n in zip(found, names, strict=True) if n == s] for s in sets]
        return np.array([np.mean(values, 0) for values in own])

    memory = by_set("memory").mean(0)
    print(
        f"log loss of the student: training series {memory[0]:.3f}, the same left out "
        f"{memory[1]:.3f}, other series {memory[2]:.3f}"
    )
    alone = by_set(STUDENT)
    for form in (STUDENT, *(form for form in found[0] if form not in (STUDENT, "memory"))):
        values = by_set(form)
        change = values - alone
        error = change.std(0) / len(sets) ** 0.5
        shown = " / ".join(f"{value:.3f}" for value in values.mean(0))
        print(
            f"| {form} | {shown} | {change[:, 0].mean():+.3f} ± {error[0]:.3f} | "
            f"{change[:, 2].mean():+.3f} ± {error[2]:.3f} |"
        )


if __name__ == "__main__":
    main()

"""Measure the gain from unlabelled series of one model for several moments.

    python benchmarks/taught_moments.py FOLDER STORE SwedishLeaf Plane ... --seeds 0 1

No test part is read. One third of a training part is scored. Eight series of each class of the
other two thirds keep their labels. Three models are compared at each moment. The first learns from
the labelled series alone, the second is also taught with the unlabelled series, and the third has
all true labels. The store, a JSON file, keeps each result, so an interrupted run can be continued.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skgdpd import DistilledPrefixClassifier, PrefixClassifier
from skgdpd._runtime.atomic import replace_file
from skgdpd._series.split import stratified_split
from skgdpd.datasets import load_file
from skgdpd.metrics import macro_auc_prc

SHARES = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0]
N_LABELLED = 8
"""Number of labelled series of each class."""


def main() -> None:
    """Run what is missing in the store, and print the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of .npz, .ts or .tsv files")
    parser.add_argument("store", type=Path, help="JSON file of results")
    parser.add_argument("sets", nargs="+", help="names of data sets, without file endings")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--student", default="mixed")
    parser.add_argument("--teacher", default="mixed")
    options = parser.parse_args()
    found = json.loads(options.store.read_text()) if options.store.exists() else {}
    rows = []
    for name in options.sets:
        for seed in options.seeds:
            key = f"{name} {seed} {options.student} {options.teacher}"
            if key not in found:
                (path,) = options.folder.glob(f"{name}.*")
                found[key] = compare(load_file(path), seed, options.student, options.teacher)
                replace_file(options.store, json.dumps(found, indent=0).encode())
            rows.append(found[key])
            print(key, np.round(np.mean(found[key]["auc_prc"], 1), 3).tolist(), flush=True)
    scores = np.array([row["auc_prc"] for row in rows])
    print("\nseen      " + " ".join(f"{share:6.0%}" for share in SHARES))
    for label, own in zip(("labels", "taught", "all labels"), scores.mean(0), strict=True):
        print(label.ljust(10) + " ".join(f"{value:6.3f}" for value in own))
    labels, taught, everything = scores.mean((0, 2))
    gain, possible = 100 * (taught - labels), 100 * (everything - labels)
    print(f"gain {gain:.1f} of {possible:.1f} points: {gain / possible:.0%}")


def compare(parts: Any, seed: int, student: str, teacher: str) -> dict[str, Any]:
    """Score three models on a third that none was fitted on.

    Parameters
    ----------
    parts : TrainTest
        The data set, of which the training part is divided.
    seed : int
        Seed of the division and of the models.
    student, teacher : str
        Names of backbones.

    Returns
    -------
    dict
        ``auc_prc`` of the three models by moment, and ``seconds`` of CPU of their fits.
    """
    codes = np.unique(parts.y, return_inverse=True)[1]
    train, held_out = stratified_split(codes, 0.33, seed + 100)
    rng = np.random.default_rng(seed)
    some = np.concatenate(
        [rng.permutation(train[codes[train] == k])[:N_LABELLED] for k in np.unique(codes)]
    )
    y = codes.astype(float)
    y[np.setdiff1d(train, some)] = np.nan
    settings: dict[str, Any] = {"student": student, "earliness": SHARES, "random_state": seed}
    models = [
        (PrefixClassifier(**settings), some, codes),
        (DistilledPrefixClassifier(teacher=teacher, **settings), train, y),
        (PrefixClassifier(**settings), train, codes),
    ]
    scores, seconds = [], []
    for model, rows, labels in models:
        start = time.process_time()
        model.fit(parts.X[rows], labels[rows])
        seconds.append(time.process_time() - start)
        path = carried_on(model.predict_proba_path(parts.X[held_out]))
        seen = [max(int(s * parts.X.shape[2] + 1e-9), 2) for s in SHARES]
        # Where the longest series was not drawn, the last moment is earlier.
        places = np.searchsorted(model.time_points_, seen, side="right") - 1
        scores.append([float(macro_auc_prc(codes[held_out], path[:, m])) for m in places])
    return {"auc_prc": scores, "seconds": seconds}


def carried_on(path: NDArray[np.float64]) -> NDArray[np.float64]:
    """Let series that have ended keep their last probabilities.

    Parameters
    ----------
    path : ndarray of shape (n, n_moments, n_classes)
        Probabilities, NaN at moments that a series does not reach.

    Returns
    -------
    ndarray of shape (n, n_moments, n_classes)
    """
    reached = np.isfinite(path[:, :, 0])
    latest = np.maximum.accumulate(np.where(reached, np.arange(path.shape[1]), 0), axis=1)
    return np.asarray(np.take_along_axis(path, latest[:, :, None], axis=1))


if __name__ == "__main__":
    main()

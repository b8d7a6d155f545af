"""Compare lengths of the prior's training on thirds of training parts.

    python benchmarks/prior_steps.py FOLDER CBF Coffee ... --steps 2000 500 200

No test part is read. One third of each training part is labelled, one is unlabelled, and one is
scored. The program prints macro AUC-PRC, accuracy, log loss and processor seconds of Hinton's
distillation, and of GDPD with each number of steps.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from skgdpd import DistilledPrefixClassifier, GDPDClassifier
from skgdpd._estimators.gdpd import default_prior
from skgdpd._series.split import stratified_split
from skgdpd.benchmarking.evaluation import score
from skgdpd.datasets import TrainTest, load_file
from skgdpd.distillers import Hinton

MAX_SERIES, BATCH_SIZE = 300, 64


def main() -> None:
    """Print the mean scores of each number of steps."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of .npz, .ts or .tsv files")
    parser.add_argument("sets", nargs="+", help="names of data sets, without file endings")
    parser.add_argument("--steps", nargs="+", type=int, default=[2000, 500, 200])
    parser.add_argument("--earliness", type=float, default=0.2)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows: dict[str | int, list[list[float]]] = {name: [] for name in ["hinton", *options.steps]}
    for name in options.sets:
        (path,) = options.folder.glob(f"{name}.*")
        parts = load_file(path)
        for seed in range(options.seeds):
            for kind, found in rows.items():
                found.append(compare(parts, kind, options.earliness, seed))
    for kind, found in rows.items():
        print(kind, *(f"{value:.3f}" for value in np.mean(found, 0)))


def compare(parts: TrainTest, kind: str | int, earliness: float, seed: int) -> list[float]:
    """Score a classifier on a third that no network was fitted on.

    Parameters
    ----------
    parts : TrainTest
        The data set, of which the training part is divided.
    kind : "hinton" or int
        Hinton's distillation, or the number of steps of GDPD's prior.
    earliness : float
        The part of each series that the student sees.
    seed : int
        Seed of the division and of the classifier.

    Returns
    -------
    list of float
        Macro AUC-PRC, accuracy, log loss, and processor seconds of the fit.
    """
    codes = np.unique(parts.y, return_inverse=True)[1]
    train, held_out = stratified_split(codes, 0.33, seed + 100)
    train = train[:MAX_SERIES]
    labelled, unlabelled = (train[rows] for rows in stratified_split(codes[train], 0.5, seed))
    settings: dict[str, Any] = {
        "student": "rocket",
        "earliness": earliness,
        "missing": "interpolate",
        "random_state": seed,
    }
    if isinstance(kind, str):
        clf: Any = DistilledPrefixClassifier(Hinton(), **settings)
    else:
        epochs = max(20, kind // -(-len(train) // BATCH_SIZE))
        prior = default_prior(max_epochs=epochs)
        clf = GDPDClassifier(prior=prior, **settings)
    start = time.process_time()
    clf.fit(parts.X[labelled], parts.y[labelled], X_unlabeled=parts.X[unlabelled])
    seconds = time.process_time() - start
    scores = score(parts.y[held_out], clf.predict_proba(parts.X[held_out]), clf.classes_)
    return [*(scores[name] for name in ("auc_prc", "accuracy", "log_loss")), seconds]


if __name__ == "__main__":
    main()

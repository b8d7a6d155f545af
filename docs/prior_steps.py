"""How long a student's prior has to be trained, on thirds of training parts: no test part is read.

    python docs/prior_steps.py FOLDER CBF Coffee ... --steps 2000 500 200

A third of each training part is labelled, a third are recordings, and a third is scored. Prints
macro AUC-PRC, accuracy, log loss and seconds, for Hinton's distillation and for GDPD with each
number of steps.
"""

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from skgdpd import DistilledPrefixClassifier, GDPDClassifier
from skgdpd._gdpd import default_prior
from skgdpd._split import stratified_split
from skgdpd.benchmarking.evaluation import score
from skgdpd.datasets import TrainTest, load_file
from skgdpd.distillers import Hinton

MOST, BATCH_SIZE = 300, 64


def main() -> None:
    """Compare on each set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="with .npz, .ts or .tsv files")
    parser.add_argument("sets", nargs="+", help="files' stems")
    parser.add_argument("--steps", nargs="+", type=int, default=[2000, 500, 200])
    parser.add_argument("--earliness", type=float, default=0.2)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = {name: [] for name in ["hinton", *options.steps]}
    for name in options.sets:
        (path,) = options.folder.glob(f"{name}.*")
        parts = load_file(path)
        for seed in range(options.seeds):
            for kind, found in rows.items():
                found.append(compare(parts, kind, options.earliness, seed))
    for kind, found in rows.items():
        print(kind, *(f"{value:.3f}" for value in np.mean(found, 0)))


def compare(parts: TrainTest, kind: str | int, earliness: float, seed: int) -> list[float]:
    """Scores on the third that no network has seen, and processor seconds of the fit."""
    codes = np.unique(parts.y, return_inverse=True)[1]
    train, held_out = stratified_split(codes, 0.33, seed + 100)
    train = train[:MOST]
    labelled, recorded = (train[rows] for rows in stratified_split(codes[train], 0.5, seed))
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
    clf.fit(parts.X[labelled], parts.y[labelled], X_unlabeled=parts.X[recorded])
    seconds = time.process_time() - start
    scores = score(parts.y[held_out], clf.predict_proba(parts.X[held_out]), clf.classes_)
    return [*(scores[name] for name in ("auc_prc", "accuracy", "log_loss")), seconds]


if __name__ == "__main__":
    main()

"""Compare one model for several moments with a separate model for each moment.

    python benchmarks/many_moments.py FOLDER STORE CBF Coffee ... --methods one separate

No test part is read. Models are fitted to two thirds of a training part, and scored on the other
third. The store, a JSON file, keeps each result, so an interrupted run can be continued. The
report has macro AUC-PRC, accuracy and log loss at each moment, the CPU seconds of the fits, and
the size of the saved models, as means over sets and seeds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from skgdpd import PrefixClassifier, SeriesOptions
from skgdpd._runtime.atomic import replace_file
from skgdpd._series.split import stratified_split
from skgdpd.benchmarking.evaluation import score
from skgdpd.benchmarking.statistics import mean_ratio
from skgdpd.datasets import load_file
from skgdpd.nets import PathRocket
from skgdpd.nets.joined_features import FAMILIES

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
SHOWN = ("auc_prc", "accuracy", "log_loss")
METHODS: dict[str, dict[str, Any]] = {
    "one": {},
    "one-rocket": {"student": "rocket"},
    "one-each-family": {"student": partial(PathRocket, families=tuple(FAMILIES))},
    "one-forest": {"student": "rocket-quant"},
    "one-tcn": {"student": "tcn"},
    "one-lstm": {"student": "lstm2-32"},
    "one-fcn": {"student": "fcn24"},
    "separate": {"student": "rocket-quant"},
    "separate-mixed": {},
    "separate-untrained": {"max_epochs": 0},
    "separate-rocket": {"student": "rocket"},
    "separate-tcn": {"student": "tcn"},
    "separate-lstm": {"student": "lstm2-32"},
    "separate-fcn": {"student": "fcn24"},
}
"""Parameters of the methods by name; a name that begins with "one" is of one model."""


def main() -> None:
    """Run what is missing in the store, and print the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of .npz, .ts or .tsv files")
    parser.add_argument("store", type=Path, help="JSON file of results")
    parser.add_argument("sets", nargs="+", help="names of data sets, without file endings")
    parser.add_argument("--methods", nargs="+", default=["one", "separate"], choices=METHODS)
    parser.add_argument("--normalize", nargs="+", default=["train", "prefix"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--shares", type=float, nargs="+", default=SHARES, help="moments, as shares of a series"
    )
    options = parser.parse_args()
    found = json.loads(options.store.read_text()) if options.store.exists() else {}
    asked = list(
        itertools.product(options.sets, options.seeds, options.normalize, options.methods)
    )
    for name, seed, normalize, method in asked:
        key = f"{name} {seed} {normalize} {method}"
        if key not in found:
            (path,) = options.folder.glob(f"{name}.*")
            found[key] = compare(load_file(path), seed, normalize, method, options.shares)
            replace_file(options.store, json.dumps(found, indent=0).encode())
            print(key, np.round(found[key]["scores"], 3)[:, 0].tolist(), flush=True)
    report(found, asked, options.shares)


def compare(
    parts: Any, seed: int, normalize: str, method: str, shares: Sequence[float]
) -> dict[str, Any]:
    """Score a method on a third that it was not fitted on.

    Parameters
    ----------
    parts : TrainTest
        The data set, of which the training part is divided.
    seed : int
        Seed of the division and of the classifiers.
    normalize : {"train", "prefix"}
        How series are normalised.
    method : str
        A name of ``METHODS``.
    shares : sequence of float
        Shares of a series at which it is scored. A store has results of the same shares.

    Returns
    -------
    dict
        ``scores`` by moment, ``seconds`` of CPU for all fits, and ``bytes`` of the saved models.
    """
    codes = np.unique(parts.y, return_inverse=True)[1]
    train, held_out = stratified_split(codes, 0.33, seed + 100)
    X, y, Z, labels = parts.X[train], parts.y[train], parts.X[held_out], parts.y[held_out]
    settings = {
        "normalize": normalize,
        "random_state": seed,
        "series": SeriesOptions(missing_values="interpolate"),
        **METHODS[method],
    }
    length = int((~np.isnan(np.asarray(X, dtype=float)).all(1)).sum(1).max())
    times = [max(int(share * length + 1e-9), 2) for share in shares]
    start = time.process_time()
    if method.startswith("one"):
        models = [PrefixClassifier(earliness=sorted(set(times)), **settings).fit(X, y)]
    else:
        models = [PrefixClassifier(earliness=t, **settings).fit(X, y) for t in times]
    seconds = time.process_time() - start
    scores = []
    for t, model in zip(times, itertools.cycle(models), strict=False):
        proba = model.predict_proba(Z[:, :, :t])
        own = score(labels, proba, model.classes_)
        scores.append([float(own[key]) for key in SHOWN])
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{i}.skgdpd" for i in range(len(models))]
        for file, model in zip(files, models, strict=True):
            model.save(file, omit=() if isinstance(model.student, str) else ("student",))
        size = sum(file.stat().st_size for file in files)
    return {"scores": scores, "seconds": seconds, "bytes": size}


def report(
    found: dict[str, Any], asked: list[tuple[str, int, str, str]], shares: Sequence[float]
) -> None:
    """Print the means over sets and seeds.

    Parameters
    ----------
    found : dict
        Results by "set seed normalisation method".
    asked : list of tuple
        The results to report.
    shares : sequence of float
        Shares of a series at which it was scored.
    """
    by_method = defaultdict(list)
    for name, seed, normalize, method in asked:
        by_method[normalize, method].append(found[f"{name} {seed} {normalize} {method}"])
    print("\n" + " ".join(["seen".ljust(24), *(f"{share:6.0%}" for share in shares)]))
    for (normalize, method), rows in by_method.items():
        scores = np.mean([row["scores"] for row in rows], 0)
        seconds = np.mean([row["seconds"] for row in rows])
        size = np.mean([row["bytes"] for row in rows]) / 1e6
        print(f"{method}, {normalize}: {seconds:.1f} s, {size:.1f} MB")
        for i, shown in enumerate(SHOWN):
            print(" ".join([shown.rjust(24), *(f"{value:6.3f}" for value in scores[:, i])]))
    for normalize in dict.fromkeys(n for _, _, n, _ in asked):
        rows = [by_method.get((normalize, method)) for method in ("one", "separate")]
        if all(rows):
            gaps = 100 * np.array(
                [
                    np.array(own["scores"])[:, 0] - np.array(other["scores"])[:, 0]
                    for own, other in zip(*rows, strict=True)
                ]
            )
            error = gaps.std(0, ddof=1) / len(gaps) ** 0.5
            shown = " ".join(f"{g:+.1f}±{e:.1f}" for g, e in zip(gaps.mean(0), error, strict=True))
            print(f"one less separate, points of AUC-PRC, {normalize}: {shown}")
    for (normalize, method), rows in by_method.items():
        if method != "one" and (ones := by_method.get((normalize, "one"))):
            own, others = (np.array([row["seconds"] for row in part]) for part in (ones, rows))
            mean, least, most = mean_ratio(own, others)
            told = f"{mean:.3f} [{least:.3f}, {most:.3f}]"
            print(f"seconds of one as a multiple of {method}'s, {normalize}: {told}")


if __name__ == "__main__":
    main()

"""Compare families of causal features of all prefixes, on thirds of training parts.

    python benchmarks/prefix_families.py accuracy --data FOLDER --store FILE.json
    python benchmarks/prefix_families.py table --store FILE.json
    python benchmarks/prefix_families.py speed

No test part is read. ``accuracy`` fits a ridge classifier to the features of two thirds of a
training part at each moment, and scores the other third. It adds the results to the store, and
does not compute again what is there. It scores each family alone, and two combinations: the mean
of the families' probabilities, and one ridge classifier of the joined features, in which each
family has the same total variance. ``table`` prints the means over data sets, with the standard
error of the difference to the first row. ``speed`` prints processor seconds of one thread, as
ratios of programs that alternate.

With ``train``, all series are normalised by the series of the fit, and one pass gives all moments.
With ``prefix``, each prefix is normalised by itself, and each moment needs its own pass and
transform.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

from ratios import alternate, median_ratio
from skgdpd._runtime.atomic import replace_file
from skgdpd.metrics import macro_auc_prc
from skgdpd.nets.closed_form import ridge, span
from skgdpd.nets.minirocket import MiniRocket
from skgdpd.nets.prefix_hydra import PrefixHydra
from skgdpd.nets.prefix_rocket import PrefixRocket
from skgdpd.nets.prefix_shapelets import PrefixShapelets

SHARES = (0.1, 0.2, 0.3, 0.5, 1.0)
PREFIX_SHARES = (0.2, 0.5)
"""Moments of prefixes that are normalised each by itself."""
SETS = (
    "CBF",
    "ECG200",
    "FaceAll",
    "GunPoint",
    "ItalyPowerDemand",
    "Plane",
    "PowerCons",
    "SwedishLeaf",
    "SyntheticControl",
    "Trace",
    "BasicMotions",
    "Epilepsy",
    "NATOPS",
    "RacketSports",
)
FAMILIES: dict[str, Callable[[int, int, list[int]], Any]] = {
    "rocket": PrefixRocket,
    "hydra": PrefixHydra,
    "shapelets": PrefixShapelets,
    "another rocket": PrefixRocket,
}
COMBINATIONS = (
    ("rocket", "another rocket"),
    ("rocket", "hydra"),
    ("rocket", "shapelets"),
    ("hydra", "shapelets"),
    ("rocket", "hydra", "shapelets"),
)
"""Families that vote together. The first pair shows what more features of one kind are worth."""
SCORES = ("auc_prc", "accuracy", "log_loss")


def main() -> None:
    """Print the table that the command line names, or fill the store."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", choices=("accuracy", "table", "speed"))
    parser.add_argument("--data", type=Path, help="folder of data sets, NAME.npz")
    parser.add_argument("--store", type=Path, help="file of the results")
    parser.add_argument("--sets", nargs="+", default=SETS, help="names of data sets")
    parser.add_argument("--folds", type=int, default=3, help="number of thirds that are scored")
    parser.add_argument("--normalize", nargs="+", default=["train", "prefix"])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.table == "speed":
        speed_table(options.repeats)
    elif options.table == "table":
        for normalize in options.normalize:
            print_scores(json.loads(options.store.read_text()), normalize)
    else:
        fill(options.store, options.data, options.sets, options.folds, options.normalize)


def fill(
    store: Path, folder: Path, names: Sequence[str], n_folds: int, normalize: Sequence[str]
) -> None:
    """Add scores to the store.

    Parameters
    ----------
    store : pathlib.Path
        A JSON file; it need not exist.
    folder : pathlib.Path
        Folder of the data sets.
    names : sequence of str
        Their names.
    n_folds : int
        Number of thirds that are scored, at most 3.
    normalize : sequence of {"train", "prefix"}
        How series are normalised.
    """
    found = json.loads(store.read_text()) if store.exists() else {}
    for kind in normalize:
        for name in names:
            with np.load(folder / f"{name}.npz", allow_pickle=False) as data:
                x, y = torch.from_numpy(data["X_train"]), data["y_train"]
            thirds = StratifiedKFold(3, shuffle=True, random_state=0).split(x.numpy(), y)
            for fold, (fit, test) in enumerate(thirds):
                key = f"{name} {fold} {kind}"
                if fold >= n_folds or key in found:
                    continue
                start = time.process_time()
                found[key] = compare(x, y, fit, test, kind, fold)
                replace_file(store, json.dumps(found).encode())
                print(key, f"{time.process_time() - start:.0f} s", flush=True)


def compare(
    x: Tensor,
    y: NDArray[Any],
    fit: NDArray[Any],
    test: NDArray[Any],
    normalize: str,
    seed: int,
) -> dict[str, list[list[float]]]:
    """Score all families and their combinations on the rows that were not fitted.

    Parameters
    ----------
    x : Tensor of shape (n, n_channels, n_timepoints)
        Series.
    y : ndarray of shape (n,)
        Their labels.
    fit, test : ndarray
        Rows that are fitted, and rows that are scored.
    normalize : {"train", "prefix"}
        How series are normalised.
    seed : int
        Seed of the transforms.

    Returns
    -------
    dict of str to list of list of float
        AUC-PRC, accuracy and log loss at each moment, for each method.
    """
    n_timepoints = x.shape[2]
    shares = SHARES if normalize == "train" else PREFIX_SHARES
    moments = [max(round(share * n_timepoints), 2) for share in shares]
    features: dict[str, list[Tensor]] = {}
    if normalize == "train":
        centre, scale = x[fit].mean((0, 2), keepdim=True), x[fit].std((0, 2), keepdim=True)
        series = (x - centre) / scale.clamp(min=1e-8)
        unique = sorted(set(moments))
        for i, (name, make) in enumerate(FAMILIES.items()):
            transform = make(x.shape[1], n_timepoints, unique).fit(series[fit], 10 * seed + i)
            path = torch.cat(list(transform.path(series)))
            features[name] = [path[:, unique.index(t)] for t in moments]
        prefixes = [series[:, :, :t] for t in moments]
    else:
        prefixes = [_normalised(x[:, :, :t]) for t in moments]
        for i, (name, make) in enumerate(FAMILIES.items()):
            features[name] = [
                make(x.shape[1], t, [t]).fit(part[fit], 10 * seed + i)(part)
                for t, part in zip(moments, prefixes, strict=True)
            ]
    features["minirocket"] = [
        MiniRocket(x.shape[1], t, engine="torch").fit(part[fit], None, seed)(part)
        for t, part in zip(moments, prefixes, strict=True)
    ]
    found: dict[str, list[list[float]]] = {}
    for m in range(len(moments)):
        chances = _chances({name: own[m] for name, own in features.items()}, y, fit, test)
        for name, own in chances.items():
            found.setdefault(name, []).append(scores_of(y[test], own, np.unique(y)))
    return found


def _normalised(x: Tensor) -> Tensor:
    return (x - x.mean(2, keepdim=True)) / x.std(2, correction=0, keepdim=True).clamp(min=1e-8)


def _chances(
    features: dict[str, Tensor], y: NDArray[Any], fit: NDArray[Any], test: NDArray[Any]
) -> dict[str, NDArray[np.float64]]:
    """Return the probabilities of each family and each combination."""
    target = torch.from_numpy((y[:, None] == np.unique(y)).astype(np.float32))
    coordinates = {}
    for name, own in features.items():
        directions = span(own[fit])
        others = (own[test] - directions.mean) @ directions.basis
        coordinates[name] = directions.coordinates, others
    chances = {name: _classify(*own, target[fit]) for name, own in coordinates.items()}
    for group in COMBINATIONS:
        chances["mean of " + ", ".join(group)] = np.mean([chances[name] for name in group], 0)
        fitted, others = (torch.cat([coordinates[name][i] for name in group], 1) for i in (0, 1))
        chances["joined " + ", ".join(group)] = _classify(fitted, others, target[fit])
    return chances


def _classify(fitted: Tensor, others: Tensor, target: Tensor) -> NDArray[np.float64]:
    head = ridge(fitted, target)
    return torch.softmax(head.scale * (others @ head.weight + head.bias), 1).numpy()


def scores_of(y: NDArray[Any], chances: NDArray[np.float64], classes: NDArray[Any]) -> list[float]:
    """Return AUC-PRC, accuracy and log loss of probabilities.

    Parameters
    ----------
    y : ndarray of shape (n,)
        True labels.
    chances : ndarray of shape (n, n_classes)
        Probabilities.
    classes : ndarray of shape (n_classes,)
        Labels of the columns.

    Returns
    -------
    list of float
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # A class may be missing in a third.
        return [
            float(macro_auc_prc(y, chances, classes=classes)),
            float(accuracy_score(y, classes[chances.argmax(1)])),
            float(log_loss(y, chances.clip(1e-7), labels=classes)),
        ]


def print_scores(found: dict[str, dict[str, list[list[float]]]], normalize: str) -> None:
    """Print means over data sets.

    Parameters
    ----------
    found : dict
        Content of the store.
    normalize : {"train", "prefix"}
        How series are normalised.
    """
    sets: dict[str, list[dict[str, list[list[float]]]]] = {}
    for key, own in found.items():
        if key.endswith(f" {normalize}"):
            sets.setdefault(key.split()[0], []).append(own)
    if not sets:
        return
    methods = list(next(iter(sets.values()))[0])
    shares = SHARES if normalize == "train" else PREFIX_SHARES
    for s, score in enumerate(SCORES):
        print(f"\n{score}, {normalize}, {len(sets)} data sets\n")
        print("| features | " + " | ".join(f"{share:.0%}" for share in shares) + " | mean | ± |")
        print("|---" * (len(shares) + 3) + "|")
        means = {
            method: np.array(
                [np.mean([fold[method] for fold in own], 0)[:, s] for own in sets.values()]
            )
            for method in methods
        }
        for method, rows in means.items():
            gain = (rows - means[methods[0]]).mean(1)
            cells = [f"{v:.4f}" for v in [*rows.mean(0), rows.mean()]]
            error = gain.std(ddof=1) / len(gain) ** 0.5 if len(gain) > 1 else np.nan
            print(f"| {method} | " + " | ".join(cells) + f" | {error:.4f} |")


def speed_table(repeats: int) -> None:
    """Print the processor time of a path of 20 moments, relative to the first family's.

    Parameters
    ----------
    repeats : int
        Number of runs of each family; medians are printed.
    """
    print("| series | points | family | features | seconds | times as long |")
    print("|---" * 6 + "|")
    for n_timepoints in (100, 500):
        moments = [n_timepoints * i // 20 for i in range(1, 21)]
        x = torch.randn(2000, 1, n_timepoints, generator=torch.Generator().manual_seed(0))
        transforms = {
            name: make(1, n_timepoints, moments).fit(x[:100], 0)
            for name, make in list(FAMILIES.items())[:3]
        }
        for n in (200, 2000):
            programs = [partial(_read_path, own, x[:n]) for own in transforms.values()]
            times = alternate(programs, repeats, time.process_time, n_warm=1)
            for (name, own), seconds in zip(transforms.items(), times, strict=True):
                print(
                    f"| {n} | {n_timepoints} | {name} | {own.n_features} "
                    f"| {np.median(seconds):.3f} | {median_ratio(seconds, times[0]):.2f} |",
                    flush=True,
                )


def _read_path(transform: Any, x: Tensor) -> None:
    for _ in transform.path(x):
        pass


if __name__ == "__main__":
    main()

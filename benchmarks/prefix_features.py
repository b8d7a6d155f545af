"""Compare the features of all prefixes with aeon's MiniRocket, by time and by accuracy.

    python benchmarks/prefix_features.py speed
    python benchmarks/prefix_features.py first
    python benchmarks/prefix_features.py accuracy --data FOLDER

``speed`` prints processor seconds of one thread, as ratios of programs that alternate. It needs
aeon. ``first`` prints the seconds of the first call after an installation, and of the first call
in a later process. ``accuracy`` fits ridge classifiers to thirds of the training parts of data
sets, and reads no test part. The data sets are files ``FOLDER/*.npz`` with arrays ``X_train`` and
``y_train``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold

from ratios import alternate
from skgdpd.nets.closed_form import ridge, span
from skgdpd.nets.minirocket import MiniRocket
from skgdpd.nets.prefix_rocket import PrefixRocket

LENGTHS = (50, 100, 500, 2000)
N_MOMENTS = 20
SHARES = (0.1, 0.2, 0.3, 0.5, 1.0)
SETS = (
    "CBF",
    "ECG200",
    "ECGFiveDays",
    "GunPoint",
    "ItalyPowerDemand",
    "Plane",
    "PowerCons",
    "SyntheticControl",
    "Trace",
    "TwoLeadECG",
    "RacketSports",
    "BasicMotions",
)
FIRST_CALL = """
import time
start = time.perf_counter(), time.process_time()
import torch
from skgdpd.nets.prefix_rocket import PrefixRocket
loaded = time.perf_counter(), time.process_time()
rocket = PrefixRocket(1, 100, [50, 100]).fit(torch.randn(20, 1, 100), 0)
rocket.transform(torch.randn(5, 1, 100))
read = time.perf_counter(), time.process_time()
rocket.step(rocket.start(1), torch.randn(1, 1))
done = time.perf_counter(), time.process_time()
for a, b in ((loaded, read), (read, done)):
    print(b[0] - a[0], b[1] - a[1])
"""


def main() -> None:
    """Print the tables that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", choices=("speed", "first", "accuracy"))
    parser.add_argument("--data", type=Path, help="folder of data sets")
    parser.add_argument("--sets", nargs="+", default=SETS, help="names of data sets")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.table == "speed":
        speed_table(options.repeats)
    elif options.table == "first":
        first_table()
    else:
        accuracy_table(options.data, options.sets)


def speed_table(repeats: int) -> None:
    """Print the processor time of features beside aeon's MiniRocket.

    Parameters
    ----------
    repeats : int
        Number of runs of each program; medians are printed.
    """
    from aeon.transformations.collection.convolution_based import MiniRocket as Peer

    print(
        "| points | aeon, a series of a batch (µs) | ours: times as fast | aeon, one series (µs) "
        "| ours / aeon | 20 moments / one, 200 series | 20 moments / one, 2 000 series |\n"
        "|---|---|---|---|---|---|---|"
    )
    for length in LENGTHS:
        n = 2000 if length <= 100 else 500
        x = torch.randn(2000, 1, length, generator=torch.Generator().manual_seed(0))
        peer = Peer(n_kernels=9996, random_state=0).fit(x[:100].numpy())
        one = PrefixRocket(1, length, [length], engine="numba").fit(x[:100], 0)
        moments = [max(length * i // N_MOMENTS, 2) for i in range(1, N_MOMENTS + 1)]
        many = PrefixRocket(1, length, moments, engine="numba").fit(x[:100], 0)
        batch = x[:n]
        peers, ours = _alternate(
            [partial(peer.transform, batch.numpy()), partial(one.transform, batch)], repeats
        )
        alone = [_each_in_turn(peer.transform, x[:200].numpy()), _each_in_turn(one.transform, x)]
        peers_alone, ours_alone = _alternate(alone, 30 * repeats)
        cells = [
            f"{length}",
            f"{1e6 * statistics.median(peers) / n:.0f}",
            f"{_ratio(peers, ours):.2f}",
            f"{1e6 * statistics.median(peers_alone):.0f}",
            f"{_ratio(ours_alone, peers_alone):.2f}",
        ]
        for size in (200, 2000):
            part = x[:size]
            times = _alternate(
                [partial(one.transform, part), partial(_read, many, part)], max(repeats // 2, 3)
            )
            cells.append(f"{_ratio(times[1], times[0]):.2f}")
        print("| " + " | ".join(cells) + " |", flush=True)


def _each_in_turn(transform: Callable[[Any], Any], series: Any) -> Callable[[], Any]:
    """Return what transforms the next series: the same one twice would be in the caches."""
    rows = cycle(range(len(series)))

    def program() -> Any:
        row = next(rows)
        return transform(series[row : row + 1])

    return program


def _read(rocket: PrefixRocket, x: torch.Tensor) -> Any:
    for _ in rocket.path(x):
        pass


def _alternate(programs: Sequence[Callable[[], Any]], repeats: int) -> list[list[float]]:
    return alternate(programs, repeats, time.process_time, n_warm=1)


def _ratio(above: Sequence[float], below: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def first_table() -> None:
    """Print the time of the first calls of two processes that share a new folder of code."""
    print(
        "| process | features: wall-clock (s) | processor (s) | state: wall-clock (s) "
        "| processor (s) |\n|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {"NUMBA_CACHE_DIR": folder}
        for process in ("first", "second"):
            run = [sys.executable, "-c", FIRST_CALL]
            done = subprocess.run(run, env=env, check=True, capture_output=True, text=True)
            cells = [f"{float(word):.2f}" for word in done.stdout.split()]
            print(f"| {process} | " + " | ".join(cells) + " |", flush=True)


def accuracy_table(folder: Path, names: Sequence[str]) -> None:
    """Print the scores of ridge classifiers on both kinds of features.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the data sets.
    names : sequence of str
        Their names.
    """
    scores: dict[str, NDArray[np.float64]] = {}
    print("| set | features | " + " | ".join(f"{share:.0%}" for share in SHARES) + " |")
    print("|---|---|" + "---|" * len(SHARES))
    for name in names:
        with np.load(folder / f"{name}.npz", allow_pickle=False) as data:
            x, y = torch.from_numpy(data["X_train"]), data["y_train"]
        found = _compare(x, y)
        for kind, values in found.items():
            scores[kind] = np.vstack([scores.get(kind, np.empty((0, len(SHARES)))), values])
            print(
                f"| {name} | {kind} | " + " | ".join(f"{v:.3f}" for v in values) + " |", flush=True
            )
    for kind, rows in scores.items():
        print(f"| mean | {kind} | " + " | ".join(f"{v:.3f}" for v in rows.mean(0)) + " |")


def _compare(x: torch.Tensor, y: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Return the mean AUC-PRC over three folds at each share, for each kind of features."""
    target = torch.from_numpy((y[:, None] == np.unique(y)).astype(np.float32))
    moments = sorted({max(round(share * x.shape[2]), 2) for share in SHARES})
    places = [moments.index(max(round(share * x.shape[2]), 2)) for share in SHARES]
    found: dict[str, list[list[float]]] = {"one pass": [], "each prefix": []}
    for fit, test in StratifiedKFold(3, shuffle=True, random_state=0).split(x.numpy(), y):
        centre, scale = x[fit].mean(), x[fit].std()
        series = (x - centre) / scale
        rocket = PrefixRocket(x.shape[1], x.shape[2], moments).fit(series[fit], 0)
        path = torch.cat(list(rocket.path(series)))
        own = [_score(path[:, m], target, fit, test) for m in range(len(moments))]
        found["one pass"].append(own)
        own = []
        for t in moments:
            prefix = series[:, :, :t]
            each = MiniRocket(x.shape[1], t, engine="torch").fit(prefix[fit], None, 0)
            own.append(_score(each(prefix), target, fit, test))
        found["each prefix"].append(own)
    return {kind: np.mean(values, 0)[places] for kind, values in found.items()}


def _score(
    features: torch.Tensor, target: torch.Tensor, fit: NDArray[Any], test: NDArray[Any]
) -> float:
    directions = span(features[fit])
    head = ridge(directions.coordinates, target[fit])
    logits = ((features[test] - directions.mean) @ directions.basis) @ head.weight + head.bias
    chances = torch.softmax(head.scale * logits, 1).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # A class may be missing in a fold.
        return float(average_precision_score(target[test].numpy(), chances, average="macro"))


if __name__ == "__main__":
    main()

"""Compare stopping rules on parts of the training parts of data sets.

    python benchmarks/stopping_rules.py --data FOLDER --out FOLDER

Data sets are files ``FOLDER/*.npz`` with arrays ``X_train`` and ``y_train``. No test part is read.
Ridge classifiers for 20 moments are fitted to two thirds of a training part, on features of all
prefixes from one pass. The rules are fitted to the leave-one-out probabilities of these
classifiers. The last third is scored. Probabilities are kept in the output folder, so an
interrupted run can be continued, and rules can be compared again quickly. The program prints the
mean cost over sets and seeds. The deviation is the standard deviation over seeds of the mean over
sets.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from skgdpd.nets.closed_form import ridge, span
from skgdpd.nets.prefix_rocket import PrefixRocket
from skgdpd.stopping import (
    ECEC,
    Calimera,
    Economy,
    FixedTime,
    ProbabilityThreshold,
    Rule,
    StoppingRule,
    Teaser,
    decision_cost,
    select_rule,
)

SETS = (
    "ECG200",
    "ECG5000",
    "NATOPS",
    "PowerCons",
    "RacketSports",
    "SwedishLeaf",
    "SyntheticControl",
    "Trace",
)
N_MOMENTS = 20
N_FEATURES = 6000
SETTINGS: dict[str, tuple[float | Callable[[float], float], float]] = {
    "0.11 t/T": (0.11, 1.0),
    "0.25 t/T": (0.25, 1.0),
    "1.0 t/T": (1.0, 1.0),
    "0.25 t/T, rare 10": (0.25, 10.0),
    "100^(t/T - 1), rare 10": (lambda share: float(100 ** (share - 1)), 10.0),
}
"""Cost of delay, and of each error on the smallest class, where other errors cost 1."""
RULES: dict[str, Rule] = {
    "first moment": FixedTime(0),
    "last moment": FixedTime(-1),
    "fixed moment": FixedTime(),
    "threshold": ProbabilityThreshold(),
    "threshold, harmonic mean": ProbabilityThreshold("harmonic_mean"),
    "StoppingRule": StoppingRule(),
    "TEASER": Teaser(),
    "ECEC": ECEC(),
    "Economy, open loop": Economy("open"),
    "Economy": Economy(),
    "Calimera": Calimera(),
}


def main() -> None:
    """Fit the classifiers and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of data sets")
    parser.add_argument("--out", type=Path, required=True, help="folder that keeps probabilities")
    parser.add_argument("--sets", nargs="+", default=SETS, help="names of data sets")
    parser.add_argument("--seeds", type=int, default=3, help="number of divisions of each set")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[list[list[float]]]] = {}
    for seed in range(options.seeds):
        of_seed: dict[str, list[list[float]]] = {}
        for name in options.sets:
            start = time.perf_counter()
            paths = kept_paths(options.data / f"{name}.npz", options.out, seed)
            for rule, costs in compare(paths).items():
                of_seed.setdefault(rule, []).append(costs)
            print(f"{name}, seed {seed}: {time.perf_counter() - start:.0f} s", flush=True)
        for rule, values in of_seed.items():
            found.setdefault(rule, []).append(values)
    print(table({rule: np.array(values) for rule, values in found.items()}))


def kept_paths(data: Path, out: Path, seed: int) -> dict[str, NDArray[Any]]:
    """Return the probabilities of a set, from the output folder if they are there."""
    kept = out / f"{data.stem}-{seed}.npz"
    if not kept.exists():
        with np.load(data) as arrays:
            paths = make_paths(arrays["X_train"], arrays["y_train"], seed)
        part = kept.with_suffix(".part.npz")
        np.savez(part, **paths)  # type: ignore[arg-type]
        part.replace(kept)
    with np.load(kept) as arrays:
        return {name: arrays[name] for name in arrays.files}


def make_paths(x: NDArray[np.float32], y: NDArray[np.str_], seed: int) -> dict[str, NDArray[Any]]:
    """Return left-out paths of two thirds, and paths of the last third, with their labels.

    Parameters
    ----------
    x : ndarray of shape (n, n_channels, n_timepoints)
        Series.
    y : ndarray of shape (n,)
        Labels.
    seed : int
        Seed of the division and of the features.

    Returns
    -------
    dict of str to ndarray
        ``path``, ``y``, ``score_path``, ``score_y``, ``time_points`` and ``n_timepoints``.
    """
    number = np.unique(y, return_inverse=True)[1]
    rows = np.arange(len(y))
    fit, score = train_test_split(rows, test_size=1 / 3, stratify=number, random_state=seed)
    moments = np.unique(np.ceil(x.shape[2] * np.arange(1, N_MOMENTS + 1) / N_MOMENTS).astype(int))
    series = torch.from_numpy((x - x[fit].mean()) / x[fit].std())
    rocket = PrefixRocket(x.shape[1], x.shape[2], moments.tolist(), N_FEATURES)
    rocket.fit(series[fit], seed)
    path = torch.cat(list(rocket.path(series)))
    target = torch.nn.functional.one_hot(torch.from_numpy(number)).double()
    left_out, scored = [], []
    for m in range(len(moments)):
        directions = span(path[fit, m])
        head = ridge(directions.coordinates, target[fit])
        logits = ((path[score, m].double() - directions.mean) @ directions.basis) @ head.weight
        left_out.append(torch.softmax(head.scale * head.left_out, 1).numpy())
        scored.append(torch.softmax(head.scale * (logits + head.bias), 1).numpy())
    return {
        "path": np.stack(left_out, 1),
        "y": number[fit],
        "score_path": np.stack(scored, 1),
        "score_y": number[score],
        "time_points": moments,
        "n_timepoints": np.array(x.shape[2]),
    }


def compare(paths: dict[str, NDArray[Any]]) -> dict[str, list[float]]:
    """Return the mean cost of each rule on the last third, in each setting."""
    time_points, n_timepoints = paths["time_points"].tolist(), int(paths["n_timepoints"])
    path, y = paths["path"], paths["y"]
    score_path, score_y = paths["score_path"], paths["score_y"]
    n_classes = path.shape[2]
    rare = int(np.bincount(y, minlength=n_classes).argmin())
    how = {"time_points": time_points, "n_timepoints": n_timepoints}
    found: dict[str, list[float]] = {}
    for delay, miss in SETTINGS.values():
        cost = decision_cost(delay, {rare: miss}, time_points, n_timepoints, range(n_classes))
        fitted = {name: rule.fit(path, y, cost, **how) for name, rule in RULES.items()}
        fitted["select_rule"] = select_rule(path, y, cost, **how).rule
        for name, rule in fitted.items():
            moments = rule.decide(score_path).moment
            found.setdefault(name, []).append(cost.average(score_path, score_y, moments))
        hindsight = cost.of_answers(score_path, score_y).mean(0).min()
        found.setdefault("fixed moment in hindsight", []).append(float(hindsight))
        found.setdefault("floor", []).append(cost.floor(score_path, score_y))
    return found


def table(found: dict[str, NDArray[np.float64]]) -> str:
    """Return the mean costs, with the deviation over seeds, as a table.

    Parameters
    ----------
    found : dict of str to ndarray of shape (n_seeds, n_sets, n_settings)
        Mean costs by rule.

    Returns
    -------
    str
        Table in Markdown.
    """
    lines = [
        "| rule | " + " | ".join(SETTINGS) + " |",
        "|---|" + "---|" * len(SETTINGS),
    ]
    for rule, values in found.items():
        of_seeds = values.mean(1)
        means, spreads = of_seeds.mean(0), of_seeds.std(0)
        wins = (values.mean(0) < found["fixed moment"].mean(0)).sum(0)
        cells = [f"{a:.3f} ± {b:.3f} ({w})" for a, b, w in zip(means, spreads, wins, strict=True)]
        lines.append(f"| {rule} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

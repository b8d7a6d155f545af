"""Compare the left-out cost by which a stopping rule is chosen with its cost on a test part.

The numbers are in ``docs/results/early.md`` and ``docs/stopping.md``.

    python benchmarks/left_out_cost.py FOLDER STORE.jsonl Coffee GunPoint ... --seeds 3
    python benchmarks/left_out_cost.py FOLDER STORE.jsonl --report

For each set and seed, both parts of the archive are joined. As many training series as the archive
has are drawn from them by class, so the two parts differ only by chance. At most ``--test`` of the
other series are drawn for the test. The store gets a line for each set and seed. Lines that it
already has are not computed again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from skgdpd._early.costs import DecisionCost, decision_cost
from skgdpd._early.fixed import FixedTime
from skgdpd._series.split import stratified_split
from skgdpd.benchmarking.early.cells import EarlyCell
from skgdpd.benchmarking.early.models import Fit, bounded, fit_model
from skgdpd.benchmarking.scenario import load_data
from skgdpd.benchmarking.statistics import mean_ratio
from skgdpd.datasets import TrainTest
from skgdpd.stopping import select_rule

COSTS = {"equal": (0.25, 1.0), "dear": (0.5, 10.0)}
"""Cost of waiting for the end, and of an error on the smallest class; any other error costs 1."""


def main() -> None:
    """Fit what is missing in the store, or print the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", help="folder of data sets")
    parser.add_argument("store", type=Path, help="file of results")
    parser.add_argument("sets", nargs="*", help="names of data sets")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--test", type=int, default=300, help="largest number of test series")
    parser.add_argument("--report", action="store_true", help="print the ratios of all results")
    options = parser.parse_args()
    records = read(options.store)
    done = {(r["data"], r["seed"]) for r in records}
    for seed in range(options.seeds):
        for name in options.sets:
            if (name, seed) in done:
                continue
            parts = redrawn(load_data(name, options.folder), seed, options.test)
            record = {"data": name, "seed": seed, **costs_of(name, parts, seed)}
            with options.store.open("a") as file:
                file.write(json.dumps(record) + "\n")
            print(record, flush=True)
    if options.report:
        report(read(options.store))


def read(store: Path) -> list[dict[str, Any]]:
    """Return the records of a store; none if there is no such file."""
    if not store.exists():
        return []
    return [json.loads(line) for line in store.read_text().splitlines()]


def redrawn(parts: TrainTest, seed: int, n_test: int) -> TrainTest:
    """Return new parts of the same series, with a training part of the same size."""
    length = max(parts.X.shape[2], parts.X_test.shape[2])
    X = np.concatenate([padded(parts.X, length), padded(parts.X_test, length)])
    y = np.concatenate([parts.y, parts.y_test])
    numbers = np.unique(y, return_inverse=True)[1]
    train, test = stratified_split(numbers, 1 - len(parts.y) / len(y), seed)
    other = bounded(TrainTest(X[test], y[test], X[train], y[train]), n_test, seed)
    return TrainTest(X[train], y[train], other.X, other.y)


def padded(X: np.ndarray, length: int) -> np.ndarray:
    """Return series padded to a length, with NaN after their own end."""
    return np.pad(X, ((0, 0), (0, 0), (0, length - X.shape[2])), constant_values=np.nan)


def costs_of(name: str, parts: TrainTest, seed: int) -> dict[str, Any]:
    """Fit the default classifier, choose rules, and return left-out costs and test costs."""
    fit = fit_model(EarlyCell(name, "ours", "train", seed), parts)
    assert fit.left_out is not None
    found: dict[str, Any] = {"n_train": len(fit.y), "n_test": len(fit.y_test)}
    for what, (delay, dear) in COSTS.items():
        cost = cost_of(fit, delay, dear)
        how = {"time_points": fit.time_points.tolist(), "n_timepoints": fit.n_timepoints}
        choice = select_rule(fit.left_out, fit.y, cost, **how, random_state=seed)
        fixed = FixedTime().fit(fit.left_out, fit.y, cost, **how)
        found[what] = {
            "rule": choice.name,
            "left_out": choice.costs[choice.name],
            "test": on_test(fit, cost, choice.rule),
            "left_out_fixed": choice.costs["fixed"],
            "test_fixed": on_test(fit, cost, fixed),
        }
    return found


def cost_of(fit: Fit, delay: float, dear: float) -> DecisionCost:
    """Return costs in which errors on the smallest class cost more."""
    sizes = np.bincount(fit.y)
    smallest = int(sizes.argmin())
    classes = range(len(sizes))
    return decision_cost(
        delay, {smallest: dear}, fit.time_points.tolist(), fit.n_timepoints, classes
    )


def on_test(fit: Fit, cost: DecisionCost, rule: Any) -> tuple[float, float]:
    """Return the mean cost on the test part, and its standard error."""
    assert fit.path is not None
    moments = rule.decide(fit.path).moment
    paid = cost.of_answers(fit.path, fit.y_test)[np.arange(len(moments)), moments]
    return float(paid.mean()), float(paid.std(ddof=1) / np.sqrt(len(paid)))


def report(records: list[dict[str, Any]]) -> None:
    """Print costs by set, and test cost as a multiple of left-out cost."""
    sets = list(dict.fromkeys(r["data"] for r in records))
    for what in COSTS:
        for rule, ending in (("chosen", ""), ("fixed", "_fixed")):
            own = [[r[what] for r in records if r["data"] == name] for name in sets]
            left_out = np.array([np.mean([c["left_out" + ending][0] for c in s]) for s in own])
            test = np.array([np.mean([c["test" + ending][0] for c in s]) for s in own])
            ratio, low, high = mean_ratio(test, left_out)
            print(f"{what}, {rule}: {ratio:.2f} [{low:.2f}, {high:.2f}] over {len(sets)} sets")
            cells = [c for s in own for c in s]
            beyond = [
                c["test" + ending][0] - c["left_out" + ending][0]
                > 2 * np.hypot(c["test" + ending][1], c["left_out" + ending][1])
                for c in cells
            ]
            dearer = [c["test" + ending][0] > c["left_out" + ending][0] for c in cells]
            print(f"  dearer in {sum(dearer)} of {len(cells)}, by two errors in {sum(beyond)}")
            for seed in sorted({r["seed"] for r in records}):
                pairs = [
                    (r[what]["test" + ending][0], r[what]["left_out" + ending][0])
                    for r in records
                    if r["seed"] == seed
                ]
                a, b = np.array(pairs).T
                print(f"  seed {seed}: {mean_ratio(a, b)[0]:.2f} over {len(pairs)} sets")
            if rule == "chosen":
                print("| set | left-out | test | ratio |\n|---|---|---|---|")
                for name, a, b in zip(sets, left_out, test, strict=True):
                    print(f"| {name} | {a:.3f} | {b:.3f} | {b / a:.2f} |")


if __name__ == "__main__":
    main()

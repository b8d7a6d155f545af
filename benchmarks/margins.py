"""Print the margin of one method over others, over the data sets of a store of records.

    python benchmarks/margins.py STORE base:mixed minirocket base:rocket-quant --seeds 0 1 2

Two methods are compared on the cells that both have, with the same set, share seen, normalisation
and seed. A set counts once, with the mean over its cells. The interval is that of a paired t-test
over sets.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from skgdpd.benchmarking.store import Store

SHOWN = ("auc_prc", "average_precision", "accuracy", "log_loss")


def main() -> None:
    """Print a table for each normalisation and one for both."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("store", type=Path, help="folder of the records")
    parser.add_argument("method", help="the method whose margin is printed")
    parser.add_argument("others", nargs="+", help="methods to compare it with")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--earliness", type=float, nargs="+", default=[0.1, 0.2, 0.3, 0.5])
    options = parser.parse_args()
    found: dict[str, dict[tuple[Any, ...], list[float]]] = defaultdict(dict)
    for record in Store(options.store):
        cell = record.cell
        if cell.setting != "labels" or cell.protocol != "default" or cell.search or record.error:
            continue
        if cell.seed in options.seeds and cell.earliness in options.earliness:
            metrics = record.candidates[0]["metrics"]
            key = (cell.data, cell.normalize, cell.earliness, cell.seed)
            found[cell.method][key] = [metrics[name] for name in SHOWN]
    for kinds in (("train",), ("prefix",), ("train", "prefix")):
        print(f"\n{' and '.join(kinds)}\n\n| method | {' | '.join(SHOWN)} | sets, cells |")
        print("|---" * (len(SHOWN) + 2) + "|")
        own = {key: scores for key, scores in found[options.method].items() if key[1] in kinds}
        print(f"| {options.method} | {_means(list(own.values()))} | {_counts(own)} |")
        for other in options.others:
            both = sorted(key for key in own if key in found[other])
            if both:
                print(f"| {other} | {_means([found[other][key] for key in both])} | |")
                print(f"| ahead by | {_margins(own, found[other], both)} | {_counts(both)} |")


def _means(rows: list[list[float]]) -> str:
    return " | ".join(f"{value:.4f}" for value in np.mean(rows, 0))


def _counts(keys: Any) -> str:
    return f"{len({key[0] for key in keys})}, {len(keys)}"


def _margins(
    own: dict[tuple[Any, ...], list[float]],
    other: dict[tuple[Any, ...], list[float]],
    keys: list[tuple[Any, ...]],
) -> str:
    """Return mean differences in points, with 95 % intervals over sets."""
    by_set: dict[str, list[Any]] = defaultdict(list)
    for key in keys:
        by_set[key[0]].append(np.array(own[key]) - other[key])
    means = 100 * np.array([np.mean(rows, 0) for rows in by_set.values()])
    half = stats.t.ppf(0.975, len(means) - 1) * stats.sem(means, axis=0)
    return " | ".join(
        f"{m:+.2f} [{m - h:+.2f}, {m + h:+.2f}]" for m, h in zip(means.mean(0), half, strict=True)
    )


if __name__ == "__main__":
    main()

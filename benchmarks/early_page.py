"""Write the tables of the page on early classifiers from a store of their scores.

    python benchmarks/early_page.py docs/results/early docs/results/early.md

The text between the tables does not change. Read it after each run, because its numbers may no
longer be true. The program prints the numbers of the text by number of training series.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from skgdpd.benchmarking.early.store import EarlyRecord, EarlyStore
from skgdpd.benchmarking.early.tables import EarlyResults, by_set, overview, ratios, times
from skgdpd.benchmarking.statistics import mean_ratio

SETTINGS = [("train", "linear"), ("prefix", "linear"), ("train", "rare"), ("prefix", "rare")]
RULES = (
    "first moment", "last moment", "fixed", "threshold", "stopping_rule", "economy", "calimera",
    "ecec", "teaser", "auto", "floor",
)  # fmt: skip
SMALL = (
    "BasicMotions", "CBF", "Coffee", "DodgerLoopGame", "ECGFiveDays", "FaceFour", "GunPoint",
    "MoteStrain", "TwoLeadECG",
)  # fmt: skip
"""Sets with fewer than 60 training series."""


def main() -> None:
    """Write the tables, and print the figures for the text of the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("page", type=Path)
    parser.add_argument(
        "--timed-seeds", type=int, nargs="+", default=[0, 1], help="seeds in the table of times"
    )
    options = parser.parse_args()
    records = EarlyStore(options.store).records()
    compared = [r for r in records if r.cell.model in ("ours", "clones")]
    with_aeon = [r for r in records if "third" not in r.cell.model and r.cell.seed == 0]
    results, first = EarlyResults(compared), EarlyResults(with_aeon)
    lines = options.page.read_text().split("\n")
    lines = replaced(lines, "| AvgCost of one pass: auto", 0, ratio_rows(results, first))
    for i, setting in enumerate(SETTINGS):
        rules = RULES if setting[1] == "linear" else [r for r in RULES if r != "last moment"]
        lines = replaced(lines, "| rule |", i, pair_rows(results, setting, rules))
    lines = replaced(lines, "| data |", 0, set_rows(results))
    lines = replaced(lines, "| method |", 0, aeon_rows(first))
    models = ["ours", "clones", "aeon-threshold", "aeon-teaser"]
    timed = [r for r in records if r.cell.seed in options.timed_seeds]
    table = times([r for r in timed if r.cell.model in models], models)
    lines = replaced(lines, "| model |", 0, [" | ".join(row) for row in table[1:]])
    options.page.write_text("\n".join(lines))
    tell(results, compared)


def replaced(lines: list[str], head: str, which: int, rows: Sequence[str]) -> list[str]:
    """Return the lines of a page with new rows in the table that has a given header.

    Parameters
    ----------
    lines : list of str
        Lines of the page.
    head : str
        Beginning of the head of the table.
    which : int
        Number of the table, among those with this head.
    rows : sequence of str
        Rows below the head, without their outer bars.

    Returns
    -------
    list of str
    """
    start = [i for i, line in enumerate(lines) if line.startswith(head)][which] + 2
    end = next(i for i in range(start, len(lines)) if not lines[i].startswith("|"))
    return [*lines[:start], *(f"| {row} |" for row in rows), *lines[end:]]


def ratio_rows(results: EarlyResults, first: EarlyResults) -> list[str]:
    """Return rows of ratios, a column for each setting; those of aeon are of seed 0."""
    rules = RULES[2:-1]
    rows = [(results, f"clones: {rule}") for rule in rules]
    rows += [(first, "aeon TEASER"), (first, "aeon threshold")]
    rows += [(results, f"one pass: {rule}") for rule in (*rules, "floor") if rule != "auto"]
    return [
        f"{method.replace('_', ' ')} | " + " | ".join(ratio(of, s, method) for s in SETTINGS)
        for of, method in rows
    ]


def ratio(results: EarlyResults, setting: tuple[str, str], method: str) -> str:
    """Return the cost of the reference as a multiple of a method's, with wins, draws, losses."""
    found = ratios(results, setting, [method])
    if len(found) < 2:
        return ""
    return f"{found[1][2]} ({found[1][-1].replace(', ', '-')})"


def pair_rows(results: EarlyResults, setting: tuple[str, str], rules: Sequence[str]) -> list[str]:
    """Return rows of means for each rule, one pass and clones."""
    methods = [f"{model}: {rule}" for rule in rules for model in ("one pass", "clones")]
    table = {row[0]: row[1:] for row in overview(results, setting, methods)[1:]}
    rows = []
    for rule in rules:
        pairs = zip(table[f"one pass: {rule}"], table[f"clones: {rule}"], strict=True)
        rows.append(f"{rule.replace('_', ' ')} | " + " | ".join(f"{a} / {b}" for a, b in pairs))
    return rows


def set_rows(results: EarlyResults) -> list[str]:
    """Return rows of costs by set at alpha = 0.8, both normalisations."""
    methods = [
        f"{model}: {rule}"
        for model in ("one pass", "clones")
        for rule in ("auto", "calimera", "fixed")
    ]
    both = [by_set(results, setting, methods, 0.8)[1:] for setting in SETTINGS[:2]]
    return [
        f"{a[0]} | " + " | ".join(f"{x} / {y}" for x, y in zip(a[1:], b[1:], strict=True))
        for a, b in zip(*both, strict=True)
    ]


def aeon_rows(first: EarlyResults) -> list[str]:
    """Return rows of aeon's classifiers and of some of ours on the same sets."""
    methods = [
        "one pass: auto", "one pass: teaser", "clones: auto", "clones: teaser",
        "clones: threshold", "aeon threshold", "aeon TEASER",
    ]  # fmt: skip
    return [" | ".join(row) for row in overview(first, SETTINGS[0], methods)[1:]]


def tell(results: EarlyResults, records: Sequence[EarlyRecord]) -> None:
    """Print figures of the text: by number of training series, and by seed."""
    large: Callable[[str], bool] = lambda name: name not in SMALL  # noqa: E731
    small: Callable[[str], bool] = lambda name: name in SMALL  # noqa: E731
    for rule in ("auto", "calimera"):
        for setting in SETTINGS[:2]:
            for words, chosen in (("all", bool), ("60 series or more", large), ("fewer", small)):
                print(rule, *setting, words, subset_ratio(results, setting, rule, chosen))
            for seed in results.seeds:
                own = EarlyResults(records, [seed])
                print(rule, *setting, "seed", seed, subset_ratio(own, setting, rule, bool))


def subset_ratio(
    results: EarlyResults,
    setting: tuple[str, str],
    rule: str,
    chosen: Callable[[str], bool],
) -> str:
    """Return the ratio of the costs of one pass and of clones, on some sets, with one rule."""
    methods = [f"one pass: {rule}", f"clones: {rule}"]
    sets = [name for name in results.sets(setting, methods) if chosen(name)]
    own, other = (np.log(results.values(setting, m, sets, "cost")).mean(1) for m in methods)
    return "{:.2f} [{:.2f}, {:.2f}], {} sets".format(
        *mean_ratio(np.exp(own), np.exp(other)), len(sets)
    )


if __name__ == "__main__":
    main()

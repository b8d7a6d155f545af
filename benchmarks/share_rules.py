"""Rules that decide when a teacher's answers are corrected for class shares, and their gains.

A rule consists of an estimate of the shares, of conditions for its use, and of a limit on the
answers that it may change. The rules work on the measurements of ``class_shares.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

LIMITS = (1.0, 0.2, 0.1, 0.05)
"""Largest shares of predicted classes that a correction may change."""
GROUPS = ("as they are", "80/20", "95/5", "Dirichlet", "noise 0.2", "noise 0.5")
SHIFTED = [1, 2, 3]
"""Groups of other class shares and no noise."""

Array = NDArray[Any]

GUARDS: dict[str, dict[str, Callable[[dict[str, Any]], bool]]] = {
    "shares": {
        "": lambda r: True,
        "shares differ (p < .05)": lambda r: r["p_shares"] < 0.05,
        "shares differ (p < .01)": lambda r: r["p_shares"] < 0.01,
        "shares differ (p < .001)": lambda r: r["p_shares"] < 0.001,
        "likelihood ratio (p < .01)": lambda r: r["p_ratio"] < 0.01,
    },
    "kind": {
        "": lambda r: True,
        "same certainty (p > .01)": lambda r: r["p_certainty"] > 0.01,
        "same certainty (p > .1)": lambda r: r["p_certainty"] > 0.1,
        "same distribution (p > .01)": lambda r: r["p_distribution"] > 0.01,
        "same distribution (p > .1)": lambda r: r["p_distribution"] > 0.1,
        "same both (p > .05)": lambda r: min(r["p_certainty"], r["p_distribution"]) > 0.05,
    },
    "teacher": {
        "": lambda r: True,
        "left-out accuracy > .8": lambda r: r["left_out"] > 0.8,
        "copies disagree less than they err": lambda r: r["disagreement"] <= 1 - r["left_out"],
    },
}
"""Conditions under which answers are corrected, by what they are about."""


class Rules(NamedTuple):
    """Mean gains of each rule.

    Attributes
    ----------
    names : list of tuple of str
        Estimate, guards, and limit on changed answers of each rule.
    sets : list of str
        Names of data sets.
    gains : ndarray of shape (n_rules, n_sets, n_groups)
        Points of accuracy; NaN where a set has no such subsets.
    used, loses : ndarray of shape (n_rules, n_groups)
        Shares of the subsets that are corrected, and that lose more than 0.5 points.
    """

    names: list[tuple[str, ...]]
    sets: list[str]
    gains: Array
    used: Array
    loses: Array


def group_of(record: dict[str, Any]) -> int:
    """Return the number of a record's group, in the order of ``GROUPS``."""
    if record["noise"]:
        return 4 if record["noise"] < 0.5 else 5
    return ["as they are", "80/20", "95/5", "Dirichlet"].index(record["kind"])


def apply_rules(records: list[dict[str, Any]], guarded: bool = True) -> Rules:
    """Return the gains of estimates in all combinations with guards and limits, or without any."""
    sets = sorted({r["set"] for r in records})
    place = np.array([sets.index(r["set"]) * len(GROUPS) + group_of(r) for r in records])
    size = len(sets) * len(GROUPS)
    counts = np.bincount(place, minlength=size).astype(float)
    n = np.where(counts > 0, counts, np.nan)
    by_group = np.nansum(n.reshape(len(sets), -1), 0)
    by_group[by_group == 0] = np.nan
    passed = [
        {name: np.array([test(r) for r in records]) for name, test in guards.items()}
        for guards in GUARDS.values()
    ]
    names: list[tuple[str, ...]] = []
    gains: list[Array] = []
    used: list[Array] = []
    loses: list[Array] = []
    for estimate in records[0]["gains"]:
        own = np.array([r["gains"][estimate] for r in records])
        for guards in product(*passed) if guarded else [("",) * len(passed)]:
            guard = np.all([passed[i][name] for i, name in enumerate(guards)], 0)
            for limit in LIMITS if guarded else (1.0,):
                on = guard & (own[:, 1] <= limit)
                values = np.where(on, own[:, 0], 0)
                names.append((estimate, *guards, "" if limit == 1 else f"change <= {limit:g}"))
                means = np.bincount(place, values, size) / n
                gains.append(means.reshape(len(sets), -1))
                for share, kept in ((used, on), (loses, values < -0.5)):
                    count = np.bincount(place, kept, size).reshape(len(sets), -1).sum(0)
                    share.append(count / by_group)
    return Rules(names, sets, np.array(gains), np.array(used), np.array(loses))


def chosen(gains: Array, groups: list[int]) -> int:
    """Return the rule of the largest mean gain on other shares that keeps the limit, or -1.

    Parameters
    ----------
    gains : ndarray of shape (n_rules, n_sets, n_groups)
        Points of accuracy.
    groups : list of int
        Groups in which no set may lose more than 0.5 points.

    Returns
    -------
    int
        Number of the rule.
    """
    kept = np.flatnonzero(np.nanmin(gains[:, :, groups], (1, 2)) >= -0.5)
    if not len(kept):
        return -1
    return int(kept[np.nanmean(gains[kept][:, :, SHIFTED], (1, 2)).argmax()])


def print_rules(records: list[dict[str, Any]]) -> None:
    """Print the gains of estimates without guards, and of guarded rules.

    The best rule is shown as it is on all records; chosen on the other sets, and scored on each;
    and chosen on the records of seed 0, and scored on those of other seeds.

    Parameters
    ----------
    records : list of dict
        Records of ``class_shares.measure``, with the data set and the seed.
    """
    rules = without_oracle(apply_rules(records))
    print(f"{len(records)} subsets of {len(rules.sets)} sets; mean (worst set) by group\n")
    print(f"| estimate and guards | {' | '.join(GROUPS)} | corrected | lose > 0.5 |")
    print("|---" * (len(GROUPS) + 3) + "|")
    free = apply_rules(records, guarded=False)
    for i, name in enumerate(free.names):
        show(name[0], free.gains[i], free.used[i], free.loses[i])
    for title, groups in (
        ("other shares only", [0, *SHIFTED]),
        ("noise, too", list(range(len(GROUPS)))),
    ):
        best = chosen(rules.gains, groups)
        if best < 0:
            print(f"| {title}: none keeps the limit |")
            continue
        label = ", ".join(part for part in rules.names[best] if part)
        show(f"{title}: {label}", rules.gains[best], rules.used[best], rules.loses[best])
        others = [chosen(np.delete(rules.gains, j, 1), groups) for j in range(len(rules.sets))]
        own = np.array([rules.gains[i, j] for j, i in enumerate(others)])
        show(f"{title}: chosen on the other sets ({len(set(others))} rules)", own)
        first, later = ([r for r in records if (r["seed"] > 0) == late] for late in (False, True))
        if later:
            i = chosen(without_oracle(apply_rules(first)).gains, groups)
            fresh = without_oracle(apply_rules(later))
            label = ", ".join(part for part in fresh.names[i] if part)
            show(
                f"{title}: chosen on seed 0 ({label}), other seeds",
                fresh.gains[i],
                fresh.used[i],
                fresh.loses[i],
            )
        for set_name, row in zip(rules.sets, own, strict=True):
            print(f"    {set_name:18s} {' '.join(f'{v:+6.2f}' for v in row)}")


def show(label: str, gains: Array, used: Array | None = None, loses: Array | None = None) -> None:
    """Print a row: means and worst sets by group, and shares over subsets of other shares."""
    cells = [f"{np.nanmean(g):+.2f} ({np.nanmin(g):+.1f})" for g in np.moveaxis(gains, -1, 0)]
    for share in (used, loses):
        cells.append("" if share is None else f"{np.mean(share[SHIFTED]):.0%}")
    print(f"| {label} | {' | '.join(cells)} |")


def without_oracle(rules: Rules) -> Rules:
    """Return the rules that don't use the true shares."""
    kept = [i for i, name in enumerate(rules.names) if name[0] != "true shares"]
    names = [rules.names[i] for i in kept]
    return Rules(names, rules.sets, rules.gains[kept], rules.used[kept], rules.loses[kept])

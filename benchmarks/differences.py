"""Print how far methods of a store of records are from a reference, over data sets.

    python benchmarks/differences.py STORE hinton:mixed:mixed gendd:mixed ... --setting unlabelled

Only data sets and seeds that the reference has are read, and each other method must have them all.
A set counts once, with the mean over its seeds, and over the parts seen and the normalisations if
there are several. Differences have their standard error over sets. p is that of Wilcoxon's
signed-rank test over sets, by Holm's method for the rows of a score.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skgdpd.benchmarking.kinds import KINDS
from skgdpd.benchmarking.methods import ROLES
from skgdpd.benchmarking.statistics import holm, paired_test
from skgdpd.benchmarking.store import Store

SHOWN = {"auc_prc": "AUC-PRC", "accuracy": "accuracy", "log_loss": "log loss"}


class Problem(NamedTuple):
    """Problem of a store.

    Attributes
    ----------
    data : str
        Data set.
    seed : int
        Seed.
    earliness : float
        Part of the series that is seen.
    normalize : str
        Normalisation.
    """

    data: str
    seed: int
    earliness: float
    normalize: str


Scores = dict[Problem, NDArray[Any]]


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("store", type=Path, help="folder of the records")
    parser.add_argument("reference", help="method from which differences are taken")
    parser.add_argument("others", nargs="+", help="methods of the other rows")
    parser.add_argument("--setting", default="labels")
    parser.add_argument("--sets", nargs="+", help="data sets; by default all of the reference")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--earliness", type=float, nargs="+", default=[0.2])
    parser.add_argument("--normalize", nargs="+", default=["train"])
    options = parser.parse_args()
    found = read_scores(
        options.store,
        setting=options.setting,
        sets=options.sets,
        n_seeds=options.seeds,
        earliness=options.earliness,
        normalize=options.normalize,
    )
    for line in table(found, options.reference, options.others):
        print(line)


def read_scores(
    store: Path,
    *,
    setting: str,
    sets: Sequence[str] | None,
    n_seeds: int,
    earliness: Sequence[float] = (0.2,),
    normalize: Sequence[str] = ("train",),
) -> dict[str, Scores]:
    """Return the scores of a store by method and problem.

    Parameters
    ----------
    store : Path
        Folder of the records.
    setting : str
        Setting of the records.
    sets : sequence of str or None
        Data sets; None is all.
    n_seeds : int
        Number of seeds, from 0 on.
    earliness : sequence of float, default=(0.2,)
        Parts of the series that are seen.
    normalize : sequence of str, default=("train",)
        Normalisations.

    Returns
    -------
    dict of str to dict
        By method, arrays of the scores of :data:`SHOWN` by problem. Failed cells are left out.
    """
    found: dict[str, Scores] = {}
    for record in Store(store):
        cell = record.cell
        problem = Problem(cell.data, cell.seed, cell.earliness, cell.normalize)
        own = (cell.setting, cell.protocol, cell.search)
        if own != (setting, "default", False) or record.error or cell.seed >= n_seeds:
            continue
        if cell.earliness not in earliness or cell.normalize not in normalize:
            continue
        if sets is None or cell.data in sets:
            metrics = record.candidates[0]["metrics"]
            values = np.array([metrics[name] for name in SHOWN])
            found.setdefault(cell.method, {})[problem] = values
    return found


def table(found: dict[str, Scores], reference: str, others: list[str]) -> list[str]:
    """Return the lines of the table, the methods in the order of their AUC-PRC.

    Parameters
    ----------
    found : dict of str to dict
        Scores of :func:`read_scores`.
    reference : str
        Method from which differences are taken.
    others : list of str
        Methods of the other rows. The reference among them is left out.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If there is no record of the reference, or a method lacks one of its problems.
    """
    if reference not in found:
        raise ValueError(
            f"there are no records of the reference {reference!r}; there are records of "
            f"{', '.join(sorted(found)) or 'no method'} with these options"
        )
    others = [name for name in others if name != reference]
    keys = sorted(found[reference])
    for name in others:
        if lacking := [key for key in keys if key not in found.get(name, {})]:
            raise ValueError(f"{name} lacks {len(lacking)} of {len(keys)} records: {lacking[:3]}")
    names = sorted({key.data for key in keys})

    def by_set(method: str) -> NDArray[Any]:
        scores = found[method]
        return np.array([np.mean([scores[k] for k in keys if k.data == d], 0) for d in names])

    base = by_set(reference)
    gaps = {name: by_set(name) - base for name in others}
    p_values = np.array([[paired_test(*pair) for pair in _pairs(gap)] for gap in gaps.values()])
    adjusted = np.stack([holm(column) for column in p_values.T], 1)
    seeds = len({key.seed for key in keys})
    written = row_names([reference, *others])
    lines = [
        f"{len(names)} sets, {seeds} seed{'s' if seeds > 1 else ''}",
        "",
        f"| method | {' / '.join(SHOWN.values())} | {' | '.join(SHOWN.values())} |",
        "|---" * (2 + len(SHOWN)) + "|",
        f"| {written[reference]} | {_means(base)} |" + " |" * len(SHOWN),
    ]
    order = sorted(range(len(others)), key=lambda i: -gaps[others[i]][:, 0].mean())
    for i in order:
        gap = gaps[others[i]]
        errors = gap.std(0, ddof=1) / len(names) ** 0.5
        cells = [
            f"{m:+.3f} ± {e:.3f} (p {p:.2g})" if p < 0.1 else f"{m:+.3f} ± {e:.3f}"
            for m, e, p in zip(gap.mean(0), errors, adjusted[i], strict=True)
        ]
        lines.append(f"| {written[others[i]]} | {_means(base + gap)} | {' | '.join(cells)} |")
    return lines


def row_names(methods: Sequence[str]) -> dict[str, str]:
    """Return the names of rows by method; methods of one kind are told apart by their networks.

    Parameters
    ----------
    methods : sequence of str
        Methods of the rows.

    Returns
    -------
    dict of str to str
    """
    found = {method: in_words(method) for method in methods}
    counts = Counter(found.values())
    for method, words in found.items():
        if counts[words] > 1:
            networks = zip(ROLES, method.split(":")[1:], strict=False)
            found[method] = ", ".join([words, *(f"{role} `{name}`" for role, name in networks)])
    return found


def in_words(method: str) -> str:
    """Return the kind of a method as its classifier or distiller is written."""
    kind = KINDS.get(method.split(":")[0])
    return method if kind is None else kind.written or kind.words


def _pairs(gap: NDArray[Any]) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    return [(column, np.zeros_like(column)) for column in gap.T]


def _means(scores: NDArray[Any]) -> str:
    return " / ".join(f"{value:.3f}" for value in scores.mean(0))


if __name__ == "__main__":
    main()

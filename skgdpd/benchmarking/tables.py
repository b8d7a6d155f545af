"""Tables of the records of a store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cells import Cell
from .store import Record

Floats = NDArray[np.float64]
Problem = tuple[str, float, str, str]
"""Data set, earliness, normalisation and setting, on which methods are compared."""

METRICS = {
    "accuracy": "accuracy",
    "auc_prc": "AUC-PRC",
    "average_precision": "average precision",
    "roc_auc": "ROC-AUC",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
    "agreement": "agreement with the teacher",
    "kl": "KL from the teacher",
    "fit": "seconds to fit",
    "predict": "seconds to predict",
}
"""Names of metrics in tables, by their names in a record. The last two are times."""


LESS_IS_BETTER = ("log_loss", "calibration_error", "kl", "fit", "predict")
"""Metrics for which lower is better."""


def problem(cell: Cell) -> Problem:
    """Return the problem on which a cell's method is compared."""
    return cell.data, cell.earliness, cell.normalize, cell.setting


def label(cell: Cell) -> str:
    """Return the name of the method of a cell in tables."""
    protocol = "" if cell.protocol == "default" else f" ({cell.protocol})"
    return f"{cell.method}{', searched' if cell.search else ''}{protocol}"


def described(cell: Cell) -> str:
    """Return all that tells a cell from others, in words."""
    parts = cell.data, label(cell), f"{cell.earliness:g}", cell.normalize, cell.setting
    return f"{', '.join(parts)}, seed {cell.seed}"


@dataclass
class Results:
    """Scores of every method on every problem, by seed.

    Attributes
    ----------
    scores : dict
        ``scores[method][problem][seed]`` is a dict of metrics.
    """

    scores: dict[str, dict[Problem, dict[int, dict[str, float]]]]

    @classmethod
    def from_records(cls, records: Iterable[Record], selection: str = "validation") -> Results:
        """Collect the chosen candidate of each record; failed records are left out."""
        scores: Any = defaultdict(lambda: defaultdict(dict))
        for record in records:
            if record.error is None:
                chosen = record.chosen(selection)
                values = {**chosen["metrics"], **chosen["seconds"]}
                scores[label(record.cell)][problem(record.cell)][record.cell.seed] = values
        return cls({method: dict(by_problem) for method, by_problem in scores.items()})

    @property
    def methods(self) -> list[str]:
        """Names of the methods, in the order of the records."""
        return list(self.scores)

    def problems(self, methods: Sequence[str] | None = None) -> list[Problem]:
        """Return the problems that all of the methods have, with the same seeds."""
        chosen = [self.scores[name] for name in methods or self.methods]
        shared = set.intersection(*(set(by_problem) for by_problem in chosen))
        return sorted(p for p in shared if len({frozenset(s[p]) for s in chosen}) == 1)

    def values(self, method: str, at: Problem, metric: str) -> Floats:
        """Return one number for each seed; the array is empty if the method lacks the metric."""
        seeds = self.scores[method].get(at, {})
        return np.array([v[metric] for _, v in sorted(seeds.items()) if metric in v])

    def means(self, method: str, problems: Sequence[Problem], metric: str) -> Floats:
        """Return the mean over seeds for each problem; NaN if the method lacks the metric."""
        found = [self.values(method, at, metric) for at in problems]
        return np.array([v.mean() if len(v) else np.nan for v in found])


def overview(results: Results, methods: Sequence[str], metrics: Sequence[str]) -> list[list[str]]:
    """Make a table of means over the problems that all methods share.

    Parameters
    ----------
    results : Results
        The scores.
    methods, metrics : sequence of str
        The rows and the columns of the table.

    Returns
    -------
    list of list of str
        A header and a row for each method. A missing metric is "-".
    """
    problems = results.problems(methods)
    rows = [["method", *(METRICS[name] for name in metrics)]]
    for method in methods:
        means = [results.means(method, problems, metric) for metric in metrics]
        rows.append([method, *(_number(m.mean() if len(m) else np.nan) for m in means)])
    return rows


def by_problem(results: Results, methods: Sequence[str], metric: str) -> list[list[str]]:
    """Make a table of mean ± standard deviation by problem, with the best method in bold."""
    problems = results.problems(methods)
    rows = [["data", "seen", "normalised by", "setting", *methods]]
    best = np.nanmin if metric in LESS_IS_BETTER else np.nanmax
    for at in problems:
        found = [results.values(method, at, metric) for method in methods]
        means = [v.mean() if len(v) else np.nan for v in found]
        top = best(means) if np.isfinite(means).any() else np.nan
        cells = []
        for values, mean in zip(found, means, strict=True):
            text = _number(mean) + (f" ± {values.std():.3f}" if len(values) > 1 else "")
            cells.append(f"**{text}**" if mean == top else text)
        rows.append([at[0], f"{at[1]:.0%}", at[2], at[3], *cells])
    columns = [results.means(method, problems, metric) for method in methods]
    rows.append(["mean", "", "", "", *(_number(m.mean() if len(m) else np.nan) for m in columns)])
    return rows


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Format rows as a Markdown table whose header is the first row."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _number(value: float) -> str:
    return "-" if not np.isfinite(value) else f"{value:.3f}" if value < 100 else f"{value:.0f}"

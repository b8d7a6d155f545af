"""Tables of the comparison."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from ..statistics import mean_ratio, wins_draws_losses
from .costs import ALPHAS
from .scores import AUTO, FLOOR, OWN
from .store import EarlyRecord

Floats = NDArray[np.float64]
Setting = tuple[str, str]
"""Normalisation and regime."""

MODEL_NAMES = {
    "ours": "one pass",
    "clones": "clones",
    "aeon-teaser": "aeon TEASER",
    "aeon-threshold": "aeon threshold",
    "labels-third": "a third of the labels",
    "unlabeled-third": "and the others unlabelled",
}
"""Names of models in tables."""
REFERENCE = f"one pass: {AUTO}"
"""The method with which others are compared."""
MEASURES = ("accuracy", "earliness", "harmonic_mean")


def method_name(model: str, rule: str) -> str:
    """Return the name of a model with a rule."""
    return MODEL_NAMES[model] if rule == OWN else f"{MODEL_NAMES[model]}: {rule}"


class EarlyResults:
    """Scores of every method by setting, alpha and data set, as means over seeds.

    Parameters
    ----------
    records : iterable of EarlyRecord
        The records.
    seeds : sequence of int, optional
        The seeds to include; by default all.

    Attributes
    ----------
    settings : list of (str, str)
        Normalisations and regimes.
    methods : list of str
        Names of the methods, each of which is a model with a rule.
    seeds : list of int
        All seeds in the records.
    """

    def __init__(self, records: Iterable[EarlyRecord], seeds: Sequence[int] | None = None) -> None:
        self.records = [r for r in records if seeds is None or r.cell.seed in seeds]
        found: dict[tuple[Setting, str, float, str], dict[int, dict[str, float]]]
        found = defaultdict(dict)
        methods: dict[str, None] = {}
        for record in self.records:
            cell = record.cell
            for row in record.scores:
                method = method_name(cell.model, row["rule"])
                methods[method] = None
                setting = cell.normalize, row["regime"]
                found[setting, method, row["alpha"], cell.data][cell.seed] = row
        self._found = dict(found)
        self.settings = sorted({key[0] for key in found}, key=lambda s: (s[1], s[0] != "train"))
        self.methods = list(methods)
        self.seeds = sorted({r.cell.seed for r in self.records})

    def sets(self, setting: Setting, methods: Sequence[str]) -> list[str]:
        """Return the data sets that all of the methods have, with the same seeds."""
        names = sorted({key[3] for key in self._found if key[0] == setting})
        return [name for name in names if self._same_seeds(setting, methods, name)]

    def _same_seeds(self, setting: Setting, methods: Sequence[str], name: str) -> bool:
        seeds = {
            frozenset(self._found.get((setting, method, alpha, name), {}))
            for method in methods
            for alpha in ALPHAS
        }
        return len(seeds) == 1 and seeds != {frozenset()}

    def values(self, setting: Setting, method: str, sets: Sequence[str], measure: str) -> Floats:
        """Return means over seeds, ``(n_sets, n_alphas)``."""
        return np.array(
            [
                [
                    np.mean([row[measure] for row in self._found[setting, method, a, n].values()])
                    for a in ALPHAS
                ]
                for n in sets
            ]
        )

    def seed_means(
        self, setting: Setting, method: str, sets: Sequence[str], measure: str
    ) -> Floats:
        """Return means over data sets for the common seeds, ``(n_seeds, n_alphas)``."""
        found = [[self._found[setting, method, a, n] for n in sets] for a in ALPHAS]
        seeds = sorted(set.intersection(*(set(rows) for of in found for rows in of)))
        return np.array(
            [[np.mean([rows[i][measure] for rows in of]) for of in found] for i in seeds]
        )


def overview(results: EarlyResults, setting: Setting, methods: Sequence[str]) -> list[list[str]]:
    """Make a table of means over data sets.

    Parameters
    ----------
    results : EarlyResults
        The scores.
    setting : (str, str)
        Normalisation and regime.
    methods : sequence of str
        The rows.

    Returns
    -------
    list of list of str
        A row for each method. It has the AvgCost at each alpha; the means of accuracy, earliness
        and harmonic mean over all alphas; and the mean rank of the AvgCost over data sets and
        alphas. The optimum is not ranked.
    """
    sets = results.sets(setting, methods)
    head = [
        "method",
        *(f"alpha = {alpha}" for alpha in ALPHAS),
        "accuracy",
        "earliness",
        "HM",
        "rank",
    ]
    costs = {m: results.values(setting, m, sets, "cost") for m in methods}
    ranked = [m for m in methods if not m.endswith(FLOOR)]
    # Rounded, since equal answers may cost differently in the last digit.
    ranks = rankdata(np.round([costs[m] for m in ranked], 9), axis=0).mean((1, 2))
    by_method = dict(zip(ranked, ranks, strict=True))
    best = np.min([costs[m].mean(0) for m in ranked], axis=0)
    rows = [head]
    for m in methods:
        means = costs[m].mean(0)
        cells = [
            f"**{mean:.3f}**" if m in by_method and mean <= low + 5e-4 else f"{mean:.3f}"
            for mean, low in zip(means, best, strict=True)
        ]
        measures = [f"{results.values(setting, m, sets, name).mean():.3f}" for name in MEASURES]
        rank = f"{by_method[m]:.1f}" if m in by_method else "-"
        rows.append([m, *cells, *measures, rank])
    return rows


def ratios(
    results: EarlyResults, setting: Setting, methods: Sequence[str], reference: str = REFERENCE
) -> list[list[str]]:
    """Make a table of the ratios of the reference's AvgCost to the AvgCost of other methods.

    Parameters
    ----------
    results : EarlyResults
        The scores.
    setting : (str, str)
        Normalisation and regime.
    methods : sequence of str
        The rows. Each method is compared on the data sets that it shares with the reference.
    reference : str
        The method whose cost is the numerator.

    Returns
    -------
    list of list of str
        Geometric means over data sets with 95 % intervals, and wins, draws and losses over data
        sets. For wins and losses, the logarithms of the ratios are averaged over alphas.
    """
    head = [
        "against",
        "sets",
        "all alpha",
        *(f"alpha = {a}" for a in ALPHAS),
        "wins, draws, losses",
    ]
    rows = [head]
    for m in methods:
        sets = results.sets(setting, [m, reference])
        if m == reference or not sets:
            continue
        own = results.values(setting, reference, sets, "cost")
        other = results.values(setting, m, sets, "cost")
        pooled = [np.exp(np.log(x).mean(1)) for x in (own, other)]
        columns = [pooled, *((own[:, i], other[:, i]) for i in range(len(ALPHAS)))]
        counts = wins_draws_losses(-np.log(pooled[0]), -np.log(pooled[1]), tie=1e-3)
        rows.append(
            [
                m,
                str(len(sets)),
                *("{:.3f} [{:.3f}, {:.3f}]".format(*mean_ratio(a, b)) for a, b in columns),
                ", ".join(map(str, counts)),
            ]
        )
    return rows


def times(records: Iterable[EarlyRecord], models: Sequence[str]) -> list[list[str]]:
    """Make a table of CPU seconds, and of ratios of the first model's time to the others' times.

    Parameters
    ----------
    records : iterable of EarlyRecord
        The records.
    models : sequence of str
        Names of models. The first model is compared with the others on the cells that both have.

    Returns
    -------
    list of list of str
    """
    seconds: dict[str, dict[tuple[str, str, int], dict[str, float]]] = defaultdict(dict)
    for record in records:
        cell = record.cell
        seconds[cell.model][cell.data, cell.normalize, cell.seed] = record.seconds
    head = [
        "model",
        "fits",
        "mean",
        "median",
        "most",
        "prediction",
        f"{MODEL_NAMES[models[0]]} is",
    ]
    rows = [head]
    first = seconds[models[0]]
    for model in models:
        own = seconds[model]
        if not own:
            continue
        fits = np.array([s["fit"] for s in own.values()])
        predictions = np.array([s["predict"] for s in own.values()])
        shared = [key for key in own if key in first]
        ratio = "-"
        if model != models[0] and shared:
            by_set = [
                np.array([np.log(first[k]["fit"] / own[k]["fit"]) for k in shared if k[0] == name])
                for name in sorted({k[0] for k in shared})
            ]
            logs = np.exp([values.mean() for values in by_set])
            ratio = "{:.2f} [{:.2f}, {:.2f}] times".format(*mean_ratio(logs, np.ones(len(logs))))
        rows.append(
            [
                MODEL_NAMES[model],
                str(len(fits)),
                *(f"{f:.1f}" for f in (fits.mean(), np.median(fits), fits.max())),
                f"{predictions.mean():.1f}",
                ratio,
            ]
        )
    return rows


def by_set(
    results: EarlyResults, setting: Setting, methods: Sequence[str], alpha: float
) -> list[list[str]]:
    """Make a table of AvgCost by data set at one alpha; the lowest, optimum excluded, is bold."""
    sets = results.sets(setting, methods)
    column = ALPHAS.index(alpha)
    costs = np.array([results.values(setting, m, sets, "cost")[:, column] for m in methods]).T
    rows = [["data", *methods]]
    for name, own in zip(sets, costs, strict=True):
        rows.append(
            [name, *(f"**{c:.3f}**" if c <= own.min() + 5e-4 else f"{c:.3f}" for c in own)]
        )
    return rows


def chosen_rules(results: EarlyResults, model: str) -> list[list[str]]:
    """Make a table of how often each rule was chosen, by regime and alpha."""
    counts: dict[str, dict[tuple[str, float], int]] = defaultdict(lambda: defaultdict(int))
    columns: dict[tuple[str, float], None] = {}
    for record in results.records:
        for row in record.scores:
            if record.cell.model == model and row["rule"] == AUTO:
                columns[row["regime"], row["alpha"]] = None
                counts[row["chosen"]][row["regime"], row["alpha"]] += 1
    rows = [["rule", *(f"{regime}, alpha = {alpha}" for regime, alpha in columns)]]
    rows += [[rule, *(str(counts[rule][c]) for c in columns)] for rule in sorted(counts)]
    return rows

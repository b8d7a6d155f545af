"""Report of the comparison: tables and plots of the scores of a store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._runtime.extras import require
from ...plotting.style import marked_style, new_axes
from ..names import NORMALISED
from ..statistics import mean_ratio
from ..tables import markdown
from .cells import MODELS
from .scores import AUTO, FLOOR
from .store import EarlyStore
from .tables import (
    MODEL_NAMES,
    REFERENCE,
    EarlyResults,
    Setting,
    by_set,
    chosen_rules,
    method_name,
    overview,
    ratios,
    times,
)

Floats = NDArray[np.float64]

REGIME_NAMES = {"linear": "linear delay, equal errors", "rare": "exponential delay, dear errors"}
DRAWN_RULES = {
    AUTO: "chosen rule",
    "fixed": "fixed moment",
    "threshold": "threshold",
    "stopping_rule": "stopping rule SR1",
    "economy": "ECONOMY",
    "calimera": "CALIMERA",
    "ecec": "ECEC",
    "teaser": "TEASER",
}
"""Names of rules in plots."""
SHOWN_ALPHA = 0.8
"""Weight of errors in the tables by data set. It is the default of the classifier."""


def write_early_report(
    store: EarlyStore,
    out: str | Path,
    *,
    models: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
) -> Path:
    """Write ``report.md`` and plots.

    Parameters
    ----------
    store : EarlyStore
        Scores of a run.
    out : str or Path
        The folder of the report. It is created if it doesn't exist.
    models : sequence of str, optional
        The models to compare; by default all. Means are over the data sets that all models have.
        Ratios are over the data sets that both models have.
    seeds : sequence of int, optional
        The seeds to include; by default all.

    Returns
    -------
    Path
        The path of ``report.md``.

    Raises
    ------
    ValueError
        If the store has no scores of these models, or if there is no data set that all models
        have with the same seeds.
    """
    chosen = list(models or MODELS)
    records = [r for r in store.records() if r.cell.model in chosen]
    results = EarlyResults(records, seeds)
    if not results.methods:
        of = "" if seeds is None else f" with seeds={list(seeds)}"
        raise ValueError(f"{store.folder} has no scores of {', '.join(chosen)}{of}")
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    models = [m for m in chosen if any(r.cell.model == m for r in results.records)]
    if not any(results.sets(setting, _methods(results, models)) for setting in results.settings):
        raise ValueError(
            f"{', '.join(models)} have no data set with the same seeds in common; choose other "
            "models or seeds"
        )
    text = ["# Early classifiers compared", ""]
    for setting in results.settings:
        text += _of_setting(results, setting, models)
    text += ["## CPU seconds", "", markdown(times(results.records, models)), ""]
    for model in models:
        rows = chosen_rules(results, model)
        if len(rows) > 1:
            text += [f"## Rules chosen, {MODEL_NAMES[model]}", "", markdown(rows), ""]
    for normalize in sorted({s[0] for s in results.settings}):
        name = f"accuracy-{normalize}.png"
        figure = draw_accuracies(results, normalize, models)
        figure.savefig(folder / name, dpi=110)
        require("matplotlib.pyplot", "plot", "to draw").close(figure)
        text += [f"![Accuracy against earliness]({name})", ""]
    if REFERENCE in results.methods:
        figure = draw_ratios(results)
        figure.savefig(folder / "ratios.png", dpi=110)
        require("matplotlib.pyplot", "plot", "to draw").close(figure)
        text += ["![Ratios of costs](ratios.png)", ""]
    path = folder / "report.md"
    path.write_text("\n".join(text).rstrip() + "\n")
    return path


def _of_setting(results: EarlyResults, setting: Setting, models: Sequence[str]) -> list[str]:
    normalize, regime = setting
    methods = _methods(results, models)
    sets = results.sets(setting, methods)
    title = f"{REGIME_NAMES[regime]}, normalised by {normalize}"
    text = [f"## {title}", "", f"{len(sets)} sets, seeds {results.seeds}: {', '.join(sets)}.", ""]
    if sets:
        text += [markdown(overview(results, setting, methods)), ""]
    if REFERENCE in methods:
        others = [m for m in methods if m != REFERENCE]
        text += [f"AvgCost of {REFERENCE} as a multiple of:", ""]
        text += [markdown(ratios(results, setting, others)), ""]
    shown = [m for m in methods if m.endswith((AUTO, ": fixed", FLOOR)) or ":" not in m]
    if results.sets(setting, shown):
        text += [f"AvgCost at alpha = {SHOWN_ALPHA}:", ""]
        text += [markdown(by_set(results, setting, shown, SHOWN_ALPHA)), ""]
    return text


def _methods(results: EarlyResults, models: Sequence[str]) -> list[str]:
    """Return the names of the methods of some models, in the order of the results."""
    names = tuple(MODEL_NAMES[model] for model in models)
    return [m for m in results.methods if m.startswith(names)]


def _drawn(method: str) -> str:
    """Return the name of a method in plots, such as "clones, fixed moment"."""
    model, _, rule = method.partition(": ")
    return f"{model}, {DRAWN_RULES.get(rule, rule)}" if rule else model


def _range(means: Floats) -> Floats:
    """Return the minimum and the maximum of the means of the seeds."""
    return np.array([means.min(0), means.max(0)])


def _around(middle: Floats, ends: Floats) -> Floats:
    """Return the lengths of error bars below and above."""
    return np.maximum([middle - ends[0], ends[1] - middle], 0)


def draw_accuracies(results: EarlyResults, normalize: str, models: Sequence[str]) -> Any:
    """Plot accuracy against earliness in the linear regime, with a point for each alpha.

    Parameters
    ----------
    results : EarlyResults
        The scores.
    normalize : {"train", "prefix"}
        The normalisation.
    models : sequence of str
        The models, with or without a rule of their own.

    Returns
    -------
    matplotlib.figure.Figure
        Means over the data sets that all models have, and the range over seeds. A thin line shows
        the accuracy of a model if all series are classified at the same moment.
    """
    setting = normalize, "linear"
    methods = [
        m
        for model in models
        for m in results.methods
        if m == MODEL_NAMES[model] or m in [method_name(model, rule) for rule in (AUTO, "fixed")]
    ]
    sets = results.sets(setting, methods)
    ax = new_axes()
    for i, model in enumerate(m for m in models if m in ("ours", "clones")):
        grid = np.linspace(0.05, 1, 20)
        by_seed: dict[int, list[Floats]] = defaultdict(list)
        for record in results.records:
            cell = record.cell
            if (cell.model, cell.normalize) == (model, normalize) and cell.data in sets:
                by_seed[cell.seed].append(np.interp(grid, record.shares, record.accuracy))
        if by_seed:
            means = [np.mean(rows, 0) for rows in by_seed.values()]
            color = marked_style(i)["color"]
            label = f"{MODEL_NAMES[model]}, one moment for all"
            line = np.mean(means, 0)
            ax.plot(100 * grid, line, label=label, color=color, linewidth=0.8, alpha=0.6)
            low, high = np.min(means, 0), np.max(means, 0)
            ax.fill_between(100 * grid, low, high, color=color, alpha=0.12, linewidth=0)
    for i, m in enumerate(m for m in methods if not m.endswith(": fixed")):
        earliness = results.values(setting, m, sets, "earliness").mean(0)
        accuracy = results.values(setting, m, sets, "accuracy").mean(0)
        style = marked_style(i)
        ax.plot(100 * earliness, accuracy, label=_drawn(m), **style)
        across, up = (
            _range(results.seed_means(setting, m, sets, measure))
            for measure in ("earliness", "accuracy")
        )
        ax.errorbar(
            100 * earliness, accuracy, xerr=_around(100 * earliness, 100 * across),
            yerr=_around(accuracy, up), color=style["color"], linestyle="none", linewidth=1,
        )  # fmt: skip
    ax.set(xlabel="mean part of the series seen (%)", ylabel="accuracy", xlim=(0, 62))
    ax.set_title(f"means of {len(sets)} sets, {NORMALISED[normalize]}", fontsize="medium")
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small", framealpha=1)
    return ax.figure


def draw_ratios(results: EarlyResults) -> Any:
    """Plot the ratios of the reference's cost to the costs of others, with 95 % intervals.

    Parameters
    ----------
    results : EarlyResults
        The scores.

    Returns
    -------
    matplotlib.figure.Figure
        Ratios in the linear regime, with a line for each method and a mark for each
        normalisation.
    """
    settings = [s for s in results.settings if s[1] == "linear"]
    others = [m for m in results.methods if m != REFERENCE and not m.endswith(FLOOR)]
    others = [m for m in others if "moment" not in m]
    ax = new_axes(figsize=(6.4, 0.6 + 0.36 * len(others)))
    step = 0.3
    for i, setting in enumerate(settings):
        style = marked_style(i)
        places, middles, errors = [], [], []
        for j, m in enumerate(others):
            sets = results.sets(setting, [m, REFERENCE])
            if len(sets) < 2:
                continue
            own, other = (
                np.exp(np.log(results.values(setting, name, sets, "cost")).mean(1))
                for name in (REFERENCE, m)
            )
            ratio, low, high = mean_ratio(own, other)
            places.append(j + (i - (len(settings) - 1) / 2) * step)
            middles.append(ratio)
            errors.append((ratio - low, high - ratio))
        if not places:
            continue
        label = NORMALISED[setting[0]]
        ax.errorbar(
            middles, places, xerr=np.array(errors).T, label=label, linestyle="none",
            color=style["color"], marker=style["marker"], markersize=4, linewidth=1,
        )  # fmt: skip
    ax.axvline(1, color="0.4", linewidth=1)
    ax.set_xscale("log")
    ticks = [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_xlim(0.38, 1.3)
    ax.set_yticks(range(len(others)), [_drawn(m) for m in others], fontsize="small")
    ax.invert_yaxis()
    words = f"cost of {_drawn(REFERENCE)}, as a multiple (below 1: it costs less)"
    ax.set_xlabel(words, fontsize="small")
    ax.grid(alpha=0.3, axis="x")
    ax.figure.legend(
        *ax.get_legend_handles_labels(), fontsize="x-small", loc="outside upper center", ncols=2
    )
    return ax.figure

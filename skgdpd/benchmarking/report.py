"""Report of the records of a store: tables and plots."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from .._runtime.extras import require
from ..plotting import CriticalDifferenceDisplay, EarlinessDisplay
from .names import NORMALISED, drawn_names, drawn_setting
from .statistics import compare, wins_draws_losses
from .store import Record, Store
from .tables import (
    LESS_IS_BETTER,
    METRICS,
    Problem,
    Results,
    by_problem,
    described,
    label,
    markdown,
    overview,
)

OVERVIEW = (
    "accuracy", "auc_prc", "average_precision", "log_loss", "calibration_error", "agreement", "kl",
    "fit", "predict",
)  # fmt: skip


def write_report(
    store: Store,
    out: str,
    *,
    methods: Sequence[str] | None = None,
    settings: Sequence[str] | None = None,
    reference: str | None = None,
    metric: str = "auc_prc",
    selection: str = "validation",
) -> Path:
    """Write ``report.md``, ``results.csv`` and plots.

    Parameters
    ----------
    store : Store
        Records of a benchmark.
    out : str
        The folder of the report. It is created if it doesn't exist.
    methods : sequence of str, optional
        The methods to compare, by their names in the report; by default all. A problem that one
        of them lacks is left out of every comparison.
    settings : sequence of str, optional
        The settings to report, see :class:`~skgdpd.benchmarking.cells.Cell`; by default all.
    reference : str, optional
        The method to which others are compared in wins and losses; by default the first.
    metric : str, default="auc_prc"
        The metric of the comparison.
    selection : {"validation", "test"}, default="validation"
        The part on which the best candidate of a search is chosen.

    Returns
    -------
    Path
        The path of ``report.md``.

    Raises
    ------
    ValueError
        If the store doesn't have one of the methods, or if all its records failed.
    """
    records = [r for r in store if settings is None or r.cell.setting in settings]
    results = Results.from_records(records, selection)
    if not results.methods:
        of = "" if settings is None else f" of settings={list(settings)}"
        raise ValueError(f"{store.folder} has no finished record{of} ({len(records)} in all)")
    unknown = {*(methods or ()), *([reference] if reference else ())} - set(results.methods)
    if unknown:
        raise ValueError(
            f"no record of {sorted(unknown)}; the methods are {', '.join(results.methods)}"
        )
    if methods:
        records = [record for record in records if label(record.cell) in methods]
    methods = list(methods or results.methods)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    text = [
        "# Results",
        "",
        _basis(records, results, methods, selection),
        "",
        "## Means over all problems",
        "",
        markdown(overview(results, methods, OVERVIEW)),
        "",
        f"## {METRICS[metric]} by problem",
        "",
        markdown(by_problem(results, methods, metric)),
    ]
    if len(methods) > 1 and results.problems(methods):
        text += ["", *_comparison(results, methods, reference or methods[0], metric, folder)]
        text += ["", *_curves(results, methods, metric, folder)]
    text += ["", *_failures(records)]
    _write_csv(records, folder / "results.csv", selection)
    path = folder / "report.md"
    path.write_text("\n".join(text).rstrip() + "\n")
    return path


def _basis(records: list[Record], results: Results, methods: Sequence[str], selection: str) -> str:
    problems = results.problems(methods)
    seeds = sorted({record.cell.seed for record in records if not record.error})
    versions = Counter(str(sorted(r.versions.items())) for r in records).most_common(1)
    named = next(r.versions for r in records if str(sorted(r.versions.items())) == versions[0][0])
    chosen = (
        "Parameters that were searched were chosen on the validation part."
        if selection == "validation"
        else "**Parameters were chosen on the test part, as published tables did: these figures "
        "are optimistic and serve comparison with such tables only.**"
    )
    counted = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return (
        f"{counted} (a data set, a part seen, a normalisation, a setting) that all methods have; "
        f"seeds {', '.join(map(str, seeds))}. {chosen} "
        + ", ".join(f"{name} {version}" for name, version in named.items())
        + "."
    )


def _comparison(
    results: Results, methods: Sequence[str], reference: str, metric: str, folder: Path
) -> list[str]:
    problems = results.problems(methods)
    sign = -1 if metric in LESS_IS_BETTER else 1
    scores = {name: sign * results.means(name, problems, metric) for name in methods}
    scores = {name: values for name, values in scores.items() if np.isfinite(values).all()}
    if len(scores) < 2 or reference not in scores:
        return []
    found = compare(scores)
    rows = [["against", "wins", "draws", "losses", "mean difference", "p (Wilcoxon, Holm)"]]
    for name in scores:
        if name == reference:
            continue
        counts = wins_draws_losses(scores[reference], scores[name])
        p = found.p_values.get((reference, name), found.p_values.get((name, reference)))
        gap = float((scores[reference] - scores[name]).mean())
        rows.append([name, *map(str, counts), f"{gap:+.3f}", f"{p:.3g}"])
    text = [f"## {reference} against the others, {METRICS[metric]}", "", markdown(rows)]
    drawn = drawn_names(found.names)
    display = CriticalDifferenceDisplay.from_results(
        [drawn[name] for name in found.names],
        found.ranks.tolist(),
        groups=[[drawn[name] for name in group] for group in found.groups],
        n_problems=found.n_problems,
    )
    name = f"critical-difference-{metric}.png"
    _save(display, folder / name)
    return [*text, "", f"![Mean ranks; a bar joins methods that do not differ]({name})"]


def _curves(results: Results, methods: Sequence[str], metric: str, folder: Path) -> list[str]:
    problems = results.problems(methods)
    text = []
    for normalize, setting in sorted({(p[2], p[3]) for p in problems}):
        here = [p for p in problems if p[2:] == (normalize, setting)]
        levels = sorted({p[1] for p in here})
        names = [{p[0] for p in here if p[1] == level} for level in levels]
        shared = sorted(set.intersection(*names))
        if len(levels) < 2 or not shared:
            continue
        by_level = [[(data, level, normalize, setting) for data in shared] for level in levels]
        scores = {
            name: _by_seed(results, method, by_level, metric)
            for method, name in drawn_names(methods).items()
        }
        display = EarlinessDisplay.from_results(levels, scores, score_name=METRICS[metric])
        display.ax_.set_title(
            f"mean of {len(shared)} data sets, {NORMALISED[normalize]}, {drawn_setting(setting)}",
            fontsize="medium",
        )
        name = f"{metric}-{normalize}-{setting.replace(':', '-')}.png"
        _save(display, folder / name)
        text += [f"![{METRICS[metric]} against the part seen]({name})", ""]
    return text


def _by_seed(
    results: Results, method: str, by_level: Sequence[Sequence[Problem]], metric: str
) -> np.ndarray:
    """Return means over data sets by level and seed; also over seeds if the seeds differ."""
    seeds = {frozenset(results.scores[method][at]) for problems in by_level for at in problems}
    values = [[results.values(method, at, metric) for at in problems] for problems in by_level]
    if len(seeds) == 1 and len({len(v) for level in values for v in level}) == 1:
        return np.mean(values, axis=1)
    return np.array([results.means(method, problems, metric).mean() for problems in by_level])


def _failures(records: list[Record]) -> list[str]:
    failed = [record for record in records if record.error]
    if not failed:
        return []
    lines = ["## Failed cells", ""]
    for record in failed:
        last = (record.error or "").strip().splitlines()[-1]
        lines.append(f"- {described(record.cell)}: {last}")
    return lines


def _write_csv(records: list[Record], path: Path, selection: str) -> None:
    rows = []
    for record in records:
        if record.error:
            continue
        chosen = record.chosen(selection)
        rows.append(
            {
                **asdict(record.cell),
                **{f"chosen {key}": value for key, value in chosen["params"].items()},
                "n_parameters": chosen["n_parameters"],
                **chosen["metrics"],
                **{f"seconds {key}": value for key, value in chosen["seconds"].items()},
            }
        )
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def _save(display: CriticalDifferenceDisplay | EarlinessDisplay, path: Path) -> None:
    display.figure_.savefig(path, dpi=120, bbox_inches="tight")
    require("matplotlib.pyplot", "plot", "to draw").close(display.figure_)

"""Part of a report on what depends on time: fixed moments, and the answers of a rule."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..plotting import DecisionDisplay, EarlinessDisplay
from ..plotting.reliability import wilson
from ..plotting.style import draw_band, marked_style
from .fixed_moments import (
    ALL_ALIKE,
    FixedMoment,
    RuleFacts,
    fixed_moments,
    moment_table,
    moment_words,
)
from .intervals import mean_interval, undefined_words
from .page import figure_of, new_figure, paragraphs, table
from .scores import Answers, ScoreOptions, paid_for
from .series_files import FileSeries

STAR: dict[str, Any] = {
    "color": "white", "markeredgecolor": "black", "markersize": 15, "linestyle": "none",
    "zorder": 4,
}  # fmt: skip
"""Style of the stopping rule's point."""


def over_time(
    y: NDArray[Any], answers: Answers, options: ScoreOptions, rule: RuleFacts | None
) -> Iterable[str]:
    """Yield what one moment for all series would have given, beside the stopping rule.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels.
    answers : Answers
        Answers to the series.
    options : ScoreOptions
        Costs that are given.
    rule : RuleFacts or None
        What is known of the rule; None for a model without one.

    Yields
    ------
    str
        Parts of the page.
    """
    yield "<h2>Over time</h2>"
    if answers.moments is None:
        yield (
            f"<p>The model has one moment: it answers after {answers.n_seen[0]} of "
            f"{answers.n_timepoints} time points. Accuracy against the part seen needs a model of "
            "several moments (fit --earliness 0.2 0.4 0.6).</p>"
        )
        return
    yield "<p>Each row is one moment at which all series are answered by this model.</p>"
    fixed = fixed_moments(y, answers, options)
    rows = moment_table(fixed, y, answers, options, rule)
    yield table(rows)
    yield from paragraphs(moment_words(fixed, y, answers, options, rule))
    yield from paragraphs(undefined_words(rows, ALL_ALIKE))
    yield '<div class="side">'
    if rule is not None:
        yield _cost_picture(y, fixed, answers, options)
    yield _accuracy_picture(y, fixed, answers)
    yield "</div>"


def _cost_picture(
    y: NDArray[Any], fixed: list[FixedMoment], answers: Answers, options: ScoreOptions
) -> str:
    totals = [moment.paid.total for moment in fixed if moment.paid is not None]
    percent = [100 * moment.share_seen.mean() for moment in fixed]
    own = paid_for(y, answers, options)
    assert own is not None
    figure, ax = new_figure((5.6, 3.6))
    style = marked_style(0)
    ax.plot(percent, [total.mean() for total in totals], label="one moment for all", **style)
    low, high = np.transpose([mean_interval(total) for total in totals])
    draw_band(ax, percent, low, high, style)
    seen, cost = 100 * float((answers.n_seen / answers.n_timepoints).mean()), own.total.mean()
    ax.vlines(seen, *mean_interval(own.total), color="black", linewidth=1.5, zorder=3)
    ax.plot(seen, cost, "*", label="stopping rule", **STAR)
    ax.set(xlabel="mean part of the series seen (%)", ylabel="mean cost of a series")
    ax.set_ylim(bottom=0)
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small", framealpha=1)
    words = (
        "Cost against the part seen: of each moment, if all series are answered at it, and of "
        "the stopping rule. The band and the line at the star are 95 % intervals."
    )
    return figure_of(figure, words, "cost against the part seen")


def _accuracy_picture(y: NDArray[Any], fixed: list[FixedMoment], answers: Answers) -> str:
    figure, ax = new_figure((5.6, 3.6))
    shares = [moment.share_seen.mean() for moment in fixed]
    accuracies = [moment.right.mean() for moment in fixed]
    EarlinessDisplay.from_results(shares, {"one moment for all": accuracies}, ax=ax)
    low, high = np.transpose([wilson(int(m.right.sum()), len(m.right)) for m in fixed])
    draw_band(ax, 100 * np.array(shares), low, high, marked_style(0))
    ax.set_xlabel("mean part of the series seen (%)")
    words = "Accuracy against the part seen, of each moment. The band is Wilson's 95 % interval."
    if answers.forced is not None:
        seen = 100 * float((answers.n_seen / answers.n_timepoints).mean())
        right = answers.labels == y
        ends = wilson(int(right.sum()), len(right))
        ax.vlines(seen, *ends, color="black", linewidth=1.5, zorder=3)
        ax.plot(seen, float(right.mean()), "*", label="stopping rule", **STAR)
        ax.legend(fontsize="small", framealpha=1)
        words += " The star is the stopping rule, and the line at it its interval."
    return figure_of(figure, words, "accuracy against the part seen")


def decisions(series: FileSeries, answers: Answers) -> Iterable[str]:
    """Yield when a stopping rule answered, and examples of its answers.

    Parameters
    ----------
    series : FileSeries
        Labelled series.
    answers : Answers
        Answers to the series.

    Yields
    ------
    str
        Parts of the page; none for a model without a rule.
    """
    if answers.forced is None or answers.moments is None:
        return
    yield "<h2>Decisions</h2>"
    yield _moments_picture(answers.moments.time_points, series.y, answers)
    yield '<div class="side">'
    for words, row in _examples(answers):
        path = answers.moments.proba[row]
        yield _decision_picture(path, answers.moments.time_points, series, answers, row, words)
    yield "</div>"


def _moments_picture(moments: NDArray[Any], y: Any, answers: Answers) -> str:
    right = answers.labels == y
    counts = [
        np.array([(answers.n_seen[of] == moment).sum() for moment in moments])
        for of in (right, ~right)
    ]
    figure, ax = new_figure((6.4, 3.6))
    percent = 100 * moments / answers.n_timepoints
    width = 0.8 * float(np.diff(percent).min())
    ax.bar(percent, counts[0], width, color="#0072B2", label="right answers")
    ax.bar(
        percent, counts[1], width, bottom=counts[0], facecolor="white", edgecolor="#D55E00",
        hatch="////", label="errors",
    )  # fmt: skip
    ax.set(xlabel="part of the series seen at the answer (%)", ylabel="series")
    ax.legend(fontsize="small", framealpha=1)
    return figure_of(
        figure, "Answers: when they came, and how many were right.", "moments of answers"
    )


def _examples(answers: Answers) -> list[tuple[str, int]]:
    """Return series to show: with an answer of the earliest, the middle and the latest moment."""
    order = np.argsort(answers.n_seen, kind="stable")
    rows = [int(order[0]), int(order[len(order) // 2]), int(order[-1])]
    named = zip(("an early answer", "an answer in the middle", "a late answer"), rows, strict=True)
    shown: dict[int, str] = {}
    for name, row in named:
        shown.setdefault(row, name)
    return [(name, row) for row, name in shown.items()]


def _decision_picture(
    path: NDArray[Any],
    moments: NDArray[Any],
    series: FileSeries,
    answers: Answers,
    row: int,
    words: str,
) -> str:
    y: Any = series.y
    _, ax = new_figure((5.6, 3.6))
    display = DecisionDisplay.from_predictions(
        path,
        int(np.searchsorted(moments, answers.n_seen[row])),
        time_points=moments.tolist(),
        n_timepoints=answers.n_timepoints,
        classes=answers.classes,
        label=answers.labels[row],
        forced=bool(answers.forced is not None and answers.forced[row]),
        y=y[row],
        ax=ax,
    )
    name = f"series {series.name(row)}"
    return figure_of(display.figure_, f"The decision on {name}: {words}.", f"decision on {name}")

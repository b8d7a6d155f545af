"""Page of a model's scores: one file with tables and pictures, which needs no network."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import ConfusionMatrixDisplay

from .._early.classifier import EarlyClassifier
from .._runtime.extras import require
from .._version import __version__
from ..plotting import DecisionDisplay, EarlinessDisplay, ReliabilityDisplay
from .scores import Answers, ScoreOptions, class_scores, confusion, few_series, overall_scores
from .series_files import FileSeries
from .thresholds import WARNING, Alarms, alarms_of, threshold_table

MEANINGS = {
    "series": "Number of labelled series that were scored.",
    "time points seen": "Points that an answer went by, on average, and those of a whole series.",
    "accuracy": "Share of right answers.",
    "accuracy, 95 %": "Wilson's interval of the accuracy. Few series make it wide.",
    "AUC-PRC": "Area under the precision-recall curve, by the trapezoid rule; mean over classes.",
    "average precision": "The same area by steps, which is not optimistic; mean over classes.",
    "log loss": "Mean of minus the logarithm of the true class's probability. Small is good.",
    "calibration error": "Expected difference between probability and accuracy. Small is good.",
    "cost of errors": "Mean cost of errors, as --cost says. Small is good.",
    "mean cost": "Mean of the cost of errors and of waiting. Small is good.",
    "earliness": "Mean share of a series that was seen at the answer. Small is early.",
    "harmonic mean": "Harmonic mean of accuracy and 1 - earliness. Large is good.",
    "forced answers": "Series that ended before the stopping rule had seen enough.",
}
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
  max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin-top: 2rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .3rem; }
th, td { padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #d0d0d0; text-align: right;
  vertical-align: top; }
th:first-child, td:first-child, .words { text-align: left; }
td { white-space: nowrap; }
td.words { min-width: 12rem; white-space: normal; }
figure { margin: 1rem 0; }
img { max-width: 100%; height: auto; }
.side { display: flex; flex-wrap: wrap; gap: 0 2rem; }
"""
CLASS_OF_WORDS = ' class="words"'
MOST_MISTAKES = 10
MOST_CLASSES_WITH_COUNTS = 15


def page_of(
    model: Any,
    series: FileSeries,
    answers: Answers,
    *,
    model_name: str,
    data_name: str,
    options: ScoreOptions | None = None,
) -> str:
    """Return a page of scores, tables and pictures.

    Parameters
    ----------
    model : BasePrefixClassifier or EarlyClassifier
        Fitted classifier.
    series : FileSeries
        Labelled series.
    answers : Answers
        Answers to the series.
    model_name, data_name : str
        What the page calls the model and the series.
    options : ScoreOptions, optional
        The threshold of the answers, and costs.

    Returns
    -------
    str
        HTML that refers to no other file.
    """
    y: Any = series.y
    kind = f"{type(model).__name__}, {len(answers.classes)} classes"
    options = ScoreOptions() if options is None else options
    threshold = options.threshold
    rule = "" if threshold is None else f" {threshold[0]} is the answer from {threshold[1]:g} on."
    overall = [
        (name, value, MEANINGS[name]) for name, value in overall_scores(y, answers, options)
    ]
    parts = [
        f"<h1>{escape(model_name)} on {escape(data_name)}</h1>",
        f"<p>{escape(kind)}. The scores are of these {len(y)} series only.{escape(rule)}</p>",
        "<h2>Scores</h2>",
        _table([("score", "value", "meaning"), *overall], words=2),
        "<h2>Classes</h2>",
        "<p>Recall is the share of a class's series that were answered with it, and 95 % is its "
        "interval by Wilson. Precision is the share of right answers among those that name the "
        "class. False alarms are those among 100 series of other classes.</p>",
        _table(class_scores(y, answers)),
        *(f"<p>{escape(words)}</p>" for words in few_series(y, answers)),
        '<div class="side">',
        _confusion_picture(y, answers),
        _reliability_picture(y, answers),
        "</div>",
        *_thresholds(alarms_of(y, answers, options), options),
        *_over_time(model, series, answers),
        *_mistakes(series, answers),
        f"<p>Made by skgdpd {escape(__version__)}.</p>",
    ]
    title = escape(f"{model_name} on {data_name}")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def _table(rows: Sequence[tuple[str, ...]], words: int | None = None) -> str:
    """Return a table; the first row is its head, and column ``words`` holds sentences."""

    def line(row: tuple[str, ...], tag: str) -> str:
        cells = (
            f"<{tag}{CLASS_OF_WORDS if i == words else ''}>{escape(c)}</{tag}>"
            for i, c in enumerate(row)
        )
        return f"<tr>{''.join(cells)}</tr>"

    head, *body = rows
    lines = "\n".join(line(row, "td") for row in body)
    return (
        f'<div class="table"><table>\n<thead>{line(head, "th")}</thead>\n'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _figure(figure: Any, words: str, name: str) -> str:
    """Return a picture within the page, and close its figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=144, format="png")
    require("matplotlib.pyplot", "plot", "to draw").close(figure)
    content = base64.b64encode(buffer.getvalue()).decode()
    width = round(figure.get_figwidth() * 80)
    return (
        f'<figure style="max-width: {width}px"><img src="data:image/png;base64,{content}" '
        f'alt="{escape(name)}" width="{width}"><figcaption>{escape(words)}</figcaption></figure>'
    )


def _confusion_picture(y: NDArray[Any], answers: Answers) -> str:
    names = [str(label) for label in answers.classes.tolist()]
    n = len(names)
    size = min(max(4.6, 0.5 * n + 1.5), 12)
    _, ax = _axes((size, size))
    display = ConfusionMatrixDisplay(confusion(y, answers), display_labels=names)
    display.plot(
        ax=ax,
        cmap="Blues",
        colorbar=False,
        include_values=n <= MOST_CLASSES_WITH_COUNTS,
        xticks_rotation="vertical" if max(map(len, names)) * n > 30 else "horizontal",
    )
    ax.set(xlabel="answer", ylabel="true class", title="confusion matrix")
    words = "Confusion matrix: numbers of series. Right answers are on the diagonal."
    return _figure(ax.figure, words, "confusion matrix")


def _reliability_picture(y: NDArray[Any], answers: Answers) -> str:
    display = ReliabilityDisplay.from_predictions(
        y, {"this model": answers.proba}, classes=answers.classes
    )
    words = (
        "Reliability: share of right predictions against the probability of the predicted class. "
        "Below the diagonal the model is overconfident. The number in the legend is the "
        "expected calibration error (ECE)."
    )
    return _figure(display.figure_, words, "reliability diagram")


def _thresholds(alarms: Alarms | None, options: ScoreOptions) -> Iterable[str]:
    """Yield what thresholds would have given, of two classes."""
    if alarms is None:
        return
    yield "<h2>Thresholds</h2>"
    yield (
        f"<p>The answer is {escape(alarms.name)} from this probability on. A false alarm is such "
        f"an answer to a series of the other class. {WARNING}</p>"
    )
    yield _table(threshold_table(alarms, options))
    yield _threshold_picture(alarms, 0.5 if options.threshold is None else options.threshold[1])


def _threshold_picture(alarms: Alarms, used: float) -> str:
    n, n_others = int(alarms.own.sum()), int((~alarms.own).sum())
    if not n or not n_others:
        return "<p>A picture of thresholds needs series of both classes.</p>"
    steps, found, false = alarms.steps()
    low, high = min(alarms.proba.min(), used), max(alarms.proba.max(), used)
    margin = 0.05 * (high - low)
    figure, ax = _axes((6.4, 3.6))
    # The counts hold up to the step and change after it.
    ax.step(steps, 100 * found / n, where="pre", color="#0072B2", label="recall (%)")
    ax.step(
        steps, 100 * false / n_others, where="pre", color="#D55E00", linestyle="--",
        label="false alarms per 100 series",
    )  # fmt: skip
    ax.axvline(used, color="0.5", linewidth=1, label=f"threshold in use, {used:g}")
    ax.set(
        xlabel=f"threshold: probability from which on the answer is {alarms.name}",
        xlim=(max(low - margin, 0), min(high + margin, 1)),
        ylim=(-2, 102),
    )
    ax.legend(fontsize="small", framealpha=1)
    words = (
        f"Recall of {alarms.name}, and false alarms among 100 series of the other class, against "
        "the threshold. A lower threshold misses less, at more false alarms."
    )
    return _figure(figure, words, "recall and false alarms against the threshold")


def _over_time(model: Any, series: FileSeries, answers: Answers) -> Iterable[str]:
    """Yield what depends on time: accuracy against the part seen, and decisions."""
    moments = np.asarray(model.time_points_)
    yield "<h2>Over time</h2>"
    if len(moments) == 1:
        yield (
            f"<p>The model has one moment: it answers after {moments[0]} of "
            f"{answers.n_timepoints} time points. Accuracy against the part seen needs a model of "
            "several moments (fit --earliness 0.2 0.4 0.6).</p>"
        )
        return
    path = model.predict_proba_path(series.X)
    yield _accuracy_picture(path, moments, series.y, answers)
    if isinstance(model, EarlyClassifier):
        yield "<h2>Decisions</h2>"
        yield _moments_picture(moments, series.y, answers)
        yield '<div class="side">'
        for words, row in _examples(answers):
            yield _decision_picture(path[row], moments, series, answers, row, words)
        yield "</div>"


def _accuracy_picture(path: NDArray[Any], moments: NDArray[Any], y: Any, answers: Answers) -> str:
    reached = ~np.isnan(path[:, :, 0])
    right = answers.classes[np.nan_to_num(path, nan=-1).argmax(2)] == np.asarray(y)[:, None]
    counts = reached.sum(0)
    there = counts > 0
    accuracy = (right & reached).sum(0)[there] / counts[there]
    shares = moments[there] / answers.n_timepoints
    display = EarlinessDisplay.from_results(
        shares, {"most probable class at the moment": accuracy}
    )
    words = "Accuracy against the part seen, of the series that reach the moment."
    if answers.forced is not None:
        own = float((answers.labels == y).mean())
        display.ax_.plot(
            100 * float((answers.n_seen / answers.n_timepoints).mean()), own, "*", color="white",
            markeredgecolor="black", markersize=15, linestyle="none", zorder=4,
            label="stopping rule",
        )  # fmt: skip
        display.ax_.legend(fontsize="small", framealpha=1)
        words += " The star is the stopping rule: its mean part seen, and its accuracy."
    return _figure(display.figure_, words, "accuracy against the part seen")


def _moments_picture(moments: NDArray[Any], y: Any, answers: Answers) -> str:
    right = answers.labels == y
    counts = [
        np.array([(answers.n_seen[of] == moment).sum() for moment in moments])
        for of in (right, ~right)
    ]
    figure, ax = _axes((6.4, 3.6))
    percent = 100 * moments / answers.n_timepoints
    width = 0.8 * float(np.diff(percent).min())
    ax.bar(percent, counts[0], width, color="#0072B2", label="right answers")
    ax.bar(
        percent, counts[1], width, bottom=counts[0], facecolor="white", edgecolor="#D55E00",
        hatch="////", label="errors",
    )  # fmt: skip
    ax.set(xlabel="part of the series seen at the answer (%)", ylabel="series")
    ax.legend(fontsize="small", framealpha=1)
    return _figure(
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
    _, ax = _axes((5.6, 3.6))
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
    name = f"series {_name(series, row)}"
    return _figure(display.figure_, f"The decision on {name}: {words}.", f"decision on {name}")


def _mistakes(series: FileSeries, answers: Answers) -> Iterable[str]:
    """Yield a table of the errors with the largest probability of the answer."""
    y: Any = series.y
    wrong = np.flatnonzero(answers.labels != y)
    yield "<h2>Errors</h2>"
    if not len(wrong):
        yield "<p>There is no error among these series.</p>"
        return
    numbers = np.searchsorted(answers.classes, answers.labels[wrong])
    sure = answers.proba[wrong, numbers]
    order = np.argsort(-sure, kind="stable")[:MOST_MISTAKES]
    yield (
        f"<p>{len(wrong)} of {len(y)} answers are wrong. Those with the largest probability come "
        "first; they are worth a look at the series and at the label.</p>"
    )
    rows = [
        (_name(series, row), str(y[row]), str(answers.labels[row]), f"{p:.3f}")
        for row, p in zip(wrong[order].tolist(), sure[order].tolist(), strict=True)
    ]
    yield _table([("series", "true class", "answer", "probability"), *rows])


def _name(series: FileSeries, row: int) -> str:
    return str(row if series.ids is None else series.ids[row])


def _axes(size: tuple[float, float]) -> tuple[Any, Any]:
    pyplot = require("matplotlib.pyplot", "plot", "to draw")
    figure, ax = pyplot.subplots(figsize=size, layout="constrained")
    return figure, ax

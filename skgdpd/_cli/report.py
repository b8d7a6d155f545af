"""Report of a model's scores as one HTML file with tables and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import ConfusionMatrixDisplay

from .._version import __version__
from ..plotting import ReliabilityDisplay
from .costs import cost_words
from .fixed_moments import RuleFacts
from .intervals import undefined_words
from .page import document, figure_of, new_figure, paragraphs, table
from .report_moments import decisions, over_time
from .scores import (
    NO_SUCH_SERIES,
    Answers,
    ScoreOptions,
    class_scores,
    confusion,
    few_series,
    overall_scores,
)
from .series_files import FileSeries
from .thresholds import WARNING, Alarms, alarms_of, threshold_table

MEANINGS = {
    "series": "Number of labelled series that were scored.",
    "time points seen": "Mean number of points before an answer, and length of a whole series.",
    "accuracy": "Share of correct answers.",
    "accuracy, 95 %": "Wilson interval of the accuracy. It is wide if there are few series.",
    "AUC-PRC": "Area under the precision-recall curve, by the trapezoid rule; mean over classes.",
    "average precision": "The same area by steps, which is not optimistic; mean over classes.",
    "log loss": "Mean of minus the logarithm of the true class's probability. Lower is better.",
    "calibration error": "Expected difference between probability and accuracy. Lower is better.",
    "cost of errors": "Mean cost of errors, by the costs below. Lower is better.",
    "cost of waiting": "Mean cost of waiting until the answer. Lower is better.",
    "mean cost": "Sum of the two costs: mean cost of a series. Lower is better.",
    "earliness": "Mean share of a series that was seen before the answer. Lower is earlier.",
    "harmonic mean": "Harmonic mean of accuracy and 1 - earliness. Higher is better.",
    "forced answers": "Number of series that ended before the stopping rule was satisfied.",
}
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
    rule: RuleFacts | None = None,
    remarks: Sequence[str] = (),
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
        Names of the model and of the series on the page.
    options : ScoreOptions, optional
        Threshold and costs.
    rule : RuleFacts, optional
        What is known of the model's stopping rule.
    remarks : sequence of str
        Sentences on series that are not scored, or that the model was fitted to.

    Returns
    -------
    str
        HTML without references to other files.
    """
    y: Any = series.y
    kind = f"{type(model).__name__}, {len(answers.classes)} classes"
    options = ScoreOptions() if options is None else options
    threshold = options.threshold
    kind += (
        "." if threshold is None else f". {threshold[0]} is predicted from {threshold[1]:g} on."
    )
    overall = [
        (name, value, MEANINGS[name]) for name, value in overall_scores(y, answers, options)
    ]
    classes = class_scores(y, answers)
    when = list(over_time(y, answers, options, rule))
    parts = [
        f"<h1>{escape(model_name)} on {escape(data_name)}</h1>",
        f"<p>{escape(kind)} The scores are of these {len(y)} series only.</p>",
        *paragraphs(remarks),
        *paragraphs([] if rule is None else [rule.words]),
        "<h2>Scores</h2>",
        table([("score", "value", "meaning"), *overall], words=2),
        *paragraphs(cost_words(answers, options)),
        *([] if answers.moments is None else when),
        "<h2>Classes</h2>",
        "<p>Recall is the share of a class's series that are predicted as the class, and 95 % is "
        "its Wilson interval. Precision is the share of right predictions of the class. The false "
        "positive rate is the share of the series of other classes that are predicted as the "
        "class. If the class is a fault, this is the rate of false alarms.</p>",
        table(classes),
        *paragraphs(undefined_words(classes, NO_SUCH_SERIES)),
        *paragraphs(few_series(y, answers)),
        '<div class="side">',
        _confusion_picture(y, answers),
        _reliability_picture(y, answers),
        "</div>",
        *_thresholds(alarms_of(y, answers, options), options),
        *(when if answers.moments is None else []),
        *decisions(series, answers),
        *_mistakes(series, answers),
        f"<p>Made by skgdpd {escape(__version__)}.</p>",
    ]
    return document(f"{model_name} on {data_name}", parts)


def _confusion_picture(y: NDArray[Any], answers: Answers) -> str:
    names = [str(label) for label in answers.classes.tolist()]
    n = len(names)
    size = min(max(4.6, 0.5 * n + 1.5), 12)
    _, ax = new_figure((size, size))
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
    return figure_of(ax.figure, words, "confusion matrix")


def _reliability_picture(y: NDArray[Any], answers: Answers) -> str:
    display = ReliabilityDisplay.from_predictions(
        y, {"this model": answers.proba}, classes=answers.classes
    )
    words = (
        "Reliability: how often the most probable class is the true one, against its probability. "
        "Below the diagonal the model is overconfident. The number in the legend is the "
        "expected calibration error (ECE)."
    )
    if others := int((answers.labels != answers.classes[answers.proba.argmax(1)]).sum()):
        words += (
            f" {others} of {len(y)} answers are another class than the most probable one, by the "
            f"{'threshold' if answers.cost is None else 'costs of errors'}. They count here with "
            "the most probable class."
        )
    return figure_of(display.figure_, words, "reliability diagram")


def _thresholds(alarms: Alarms | None, options: ScoreOptions) -> Iterable[str]:
    """Yield a table and a picture of the scores at each threshold, for two classes."""
    if alarms is None:
        return
    yield "<h2>Thresholds</h2>"
    yield (
        f"<p>{escape(alarms.name)} is predicted if its probability is at least the threshold. The "
        f"false positive rate is the share of the other class's series with this prediction, the "
        f"false alarms. {WARNING}</p>"
    )
    yield table(threshold_table(alarms, options))
    yield _threshold_picture(alarms, 0.5 if options.threshold is None else options.threshold[1])


def _threshold_picture(alarms: Alarms, used: float) -> str:
    n, n_others = int(alarms.own.sum()), int((~alarms.own).sum())
    if not n or not n_others:
        return "<p>A picture of thresholds needs series of both classes.</p>"
    steps, found, false = alarms.steps()
    low, high = min(alarms.proba.min(), used), max(alarms.proba.max(), used)
    margin = 0.05 * (high - low)
    figure, ax = new_figure((6.4, 3.6))
    # The counts hold up to the step and change after it.
    ax.step(steps, 100 * found / n, where="pre", color="#0072B2", label="recall (%)")
    ax.step(
        steps, 100 * false / n_others, where="pre", color="#D55E00", linestyle="--",
        label="false positive rate (%)",
    )  # fmt: skip
    ax.axvline(used, color="0.5", linewidth=1, label=f"threshold in use, {used:g}")
    ax.set(
        xlabel=f"threshold for the probability of {alarms.name}",
        xlim=(max(low - margin, 0), min(high + margin, 1)),
        ylim=(-2, 102),
    )
    ax.legend(fontsize="small", framealpha=1)
    words = (
        f"Recall of {alarms.name}, and its false positive rate, against the threshold. A lower "
        "threshold gives fewer misses and more false alarms."
    )
    return figure_of(figure, words, "recall and false positive rate against the threshold")


def _mistakes(series: FileSeries, answers: Answers) -> Iterable[str]:
    """Yield a table of the errors with the most probable answers."""
    y: Any = series.y
    wrong = np.flatnonzero(answers.labels != y)
    yield "<h2>Errors</h2>"
    if not len(wrong):
        yield "<p>No series is misclassified.</p>"
        return
    numbers = np.searchsorted(answers.classes, answers.labels[wrong])
    sure = answers.proba[wrong, numbers]
    order = np.argsort(-sure, kind="stable")[:MOST_MISTAKES]
    yield (
        f"<p>{len(wrong)} of {len(y)} answers are wrong. Those with the largest probability come "
        "first. Check their values and their labels.</p>"
    )
    rows = [
        (series.name(row), str(y[row]), str(answers.labels[row]), f"{p:.3f}")
        for row, p in zip(wrong[order].tolist(), sure[order].tolist(), strict=True)
    ]
    yield table([("series", "true class", "answer", "probability"), *rows])

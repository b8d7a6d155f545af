"""Scores as text, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from .costs import cost_words
from .fixed_moments import ALL_ALIKE, RuleFacts, fixed_moments, moment_table, moment_words
from .intervals import undefined_words
from .scores import (
    FALSE_POSITIVE_RATE,
    NO_SUCH_SERIES,
    Answers,
    ScoreOptions,
    class_scores,
    confusion,
    few_series,
    overall_scores,
)
from .thresholds import WARNING, alarms_of, threshold_table


def as_text(
    y: NDArray[Any],
    answers: Answers,
    options: ScoreOptions | None = None,
    rule: RuleFacts | None = None,
    remarks: Sequence[str] = (),
) -> str:
    """Return all scores as text.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels.
    answers : Answers
        Answers to the series.
    options : ScoreOptions, optional
        Threshold and costs.
    rule : RuleFacts, optional
        What is known of the model's stopping rule.
    remarks : sequence of str
        Sentences on series that are not scored, or that the model was fitted to.

    Returns
    -------
    str
        The scores of all series, costs, scores of each moment and of each class, those of
        thresholds for two classes, and the confusion matrix.
    """
    options = ScoreOptions() if options is None else options
    overall = [f"{name:<18}{value:>12}" for name, value in overall_scores(y, answers, options)]
    names = [str(label) for label in answers.classes.tolist()]
    matrix = [("", *names)]
    for name, counts in zip(names, confusion(y, answers).tolist(), strict=True):
        matrix.append((name, *map(str, counts)))
    lines = [*overall, ""]
    notes = [*remarks, *([] if rule is None else [rule.words]), *cost_words(answers, options)]
    lines += [*notes, *([""] if notes else [])]
    fixed = fixed_moments(y, answers, options)
    if fixed:
        moments = moment_table(fixed, y, answers, options, rule)
        words = moment_words(fixed, y, answers, options, rule)
        lines += [*_aligned(moments), *words, *undefined_words(moments, ALL_ALIKE), ""]
    classes = class_scores(y, answers)
    lines += [*_aligned(classes), FALSE_POSITIVE_RATE, *undefined_words(classes, NO_SUCH_SERIES)]
    lines += [*few_series(y, answers), ""]
    alarms = alarms_of(y, answers, options)
    if alarms is not None:
        lines += [
            f"thresholds: {alarms.name} is predicted if its probability is at least this",
            *_aligned(threshold_table(alarms, options)),
            WARNING,
            "",
        ]
    lines += [
        "confusion matrix: a row for each true class, a column for each predicted class",
        *_aligned(matrix),
    ]
    return "\n".join(lines)


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return lines of a table whose first column is flush left, and the others flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [row[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        )
        for row in rows
    ]

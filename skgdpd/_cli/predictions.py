"""Predictions of a model as CSV, with a line for each series of a file."""

from __future__ import annotations

import csv
import io
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._early.classifier import EarlyClassifier
from .explain import explained
from .lengths import long_enough
from .notes import forced_note
from .scores import Answers, answers_of, class_of_threshold
from .series_files import FileSeries

DIGITS = 6
"""Number of significant digits of a probability, which is that of single precision."""
SKIP = "Leave them without an answer by --short skip. "
WAIT = "Let them wait by --open, or leave them without an answer by --short skip. "


@dataclass(frozen=True)
class Unfinished:
    """Options for series that may not have ended yet.

    Attributes
    ----------
    short : {"refuse", "skip"}
        Treatment of series that are too short for an answer.
    open : bool
        Whether series stay without an answer if the stopping rule needs more points.
    """

    short: str = "refuse"
    open: bool = False


def predictions_of(
    model: Any,
    path: str,
    series: FileSeries,
    threshold: tuple[str, float] | None = None,
    unfinished: Unfinished | None = None,
) -> str:
    """Return the predictions of a file's series as CSV; report missing and forced answers.

    The report is written to standard error.

    Parameters
    ----------
    model : BasePrefixClassifier or EarlyClassifier
        Fitted classifier.
    path : str
        Path of the file.
    series : FileSeries
        Series of the file.
    threshold : tuple of str and float, optional
        One of two classes, and the threshold of its probability. The class is the answer if its
        probability is at least the threshold.
    unfinished : Unfinished, optional
        Options for series that may not have ended yet. By default all series are answered, or an
        error is raised.

    Returns
    -------
    str
        A header, and a line for each series.

    Raises
    ------
    ValueError
        If the model can't answer the series, or if an option does not fit the model.
    """
    options = Unfinished() if unfinished is None else unfinished
    early = isinstance(model, EarlyClassifier)
    if options.open and not early:
        raise ValueError(
            "--open needs a model with a stopping rule, of fit --delay-cost; this one has "
            "none. --short skip leaves short series without a prediction"
        )
    if threshold is not None:
        class_of_threshold(model, threshold)  # before series, which would be blamed for its error
    n = len(series.X)
    rows = np.arange(n)
    if options.open or options.short == "skip":
        rows = long_enough(series.X, model)
    answers = None
    if len(rows):
        with explained(path, series, model, WAIT if early else SKIP, rows):
            answers = answers_of(model, series.X[rows], threshold)
    waits = np.ones(n, dtype=bool)
    if answers is not None:
        waits[rows] = _waits(model, answers) if options.open else False
    _report(n, len(rows), waits, answers, options)
    return _as_csv(model, series, rows, waits, answers)


def _waits(model: Any, answers: Answers) -> NDArray[np.bool_]:
    """Return whether series ended before the rule answered and before the last moment."""
    assert answers.forced is not None
    return answers.forced & (answers.n_seen < int(model.time_points_[-1]))


def _report(
    n: int, n_read: int, waits: NDArray[np.bool_], answers: Answers | None, options: Unfinished
) -> None:
    """Report the numbers of waiting, skipped and forced series on standard error."""
    lines = []
    if options.open:
        if waits.any():
            waiting = int(waits.sum())
            verb = "waits" if waiting == 1 else "wait"
            lines.append(f"{waiting} of {n} series {verb}: the rule needs more points")
    else:
        if n_read < n:
            words = "is too short, and has" if n - n_read == 1 else "are too short, and have"
            lines.append(f"{n - n_read} of {n} series {words} no answer")
        if answers is not None and answers.forced is not None and answers.forced.any():
            note = forced_note(int(answers.forced.sum()), n_read)
            lines.append(f"{note}. With --open, series that may still grow get no label")
    for line in lines:
        print(f"skgdpd: {line}", file=sys.stderr)


def _as_csv(
    model: Any,
    series: FileSeries,
    rows: NDArray[np.int64],
    waits: NDArray[np.bool_],
    answers: Answers | None,
) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    classes = model.classes_.tolist()
    early = isinstance(model, EarlyClassifier)
    more = ["n_seen", "forced"] if early else []
    first = "index" if series.ids is None else "id"
    writer.writerow([first, "label", *more, *(f"p_{label}" for label in classes)])
    fields = [["", *([""] * len(more)), *([""] * len(classes))] for _ in range(len(series.X))]
    for place, row in enumerate(rows.tolist()):
        assert answers is not None
        label = "" if waits[row] else str(answers.labels[place])
        rule: list[Any] = []
        if answers.forced is not None:
            forced = bool(answers.forced[place]) and not waits[row]
            rule = [answers.n_seen[place], str(forced).lower()]
        proba = [f"{p:.{DIGITS}g}" for p in answers.proba[place].tolist()]
        fields[row] = [label, *rule, *proba]
    ids = range(len(series.X)) if series.ids is None else series.ids.tolist()
    writer.writerows([id_, *own] for id_, own in zip(ids, fields, strict=True))
    return buffer.getvalue()

"""Scores of a model on labelled series: overall, for each class, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, confusion_matrix, log_loss

from .._early.classifier import EarlyClassifier
from .._early.costs import DecisionCost, decision_cost
from ..metrics import (
    expected_calibration_error,
    harmonic_mean,
    macro_auc_prc,
    macro_average_precision,
)
from .classes import by_text
from .intervals import UNDEFINED, interval_of, share_of

CLASS_HEAD = (
    "class",
    "series",
    "recall",
    "95 %",
    "precision",
    "false positive rate",
    "average precision",
)
FALSE_POSITIVE_RATE = (
    "false positive rate: share of the series of other classes that are predicted as the class"
)
"""What a column of the class table means."""
NO_SUCH_SERIES = "no series has the class, or none is predicted as it"
"""Why a cell of the class table has no value."""
FEW = 20
"""Number of series of a class below which a note says that its scores are uncertain. At this
number, the interval of a recall of one half is 0.4 wide."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Answers that a model would give at each of its moments.

    Attributes
    ----------
    time_points : ndarray of shape (n_moments,)
        Number of time points at each moment.
    proba : ndarray of shape (n, n_moments, n_classes)
        Class probabilities. They are NaN after the end of a series.
    numbers : ndarray of shape (n, n_moments)
        Index of the answered class. It has no meaning after the end of a series.
    """

    time_points: NDArray[np.int64]
    proba: NDArray[Any]
    numbers: NDArray[np.int64]

    @property
    def last(self) -> NDArray[np.int64]:
        """Index ``(n,)`` of the last moment that each series reaches."""
        found: NDArray[np.int64] = (~np.isnan(self.proba[:, :, 0])).sum(1) - 1
        return found


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers of a model to series.

    Attributes
    ----------
    labels : ndarray of shape (n,)
        Answered classes.
    proba : ndarray of shape (n, n_classes)
        Class probabilities at the moment of the answer.
    classes : ndarray of shape (n_classes,)
        Label of each column of ``proba``.
    n_seen : ndarray of shape (n,)
        Number of time points on which the answer is based.
    n_timepoints : int
        Number of time points of a whole training series.
    forced : ndarray of bool of shape (n,) or None
        Whether a series ended before the stopping rule was satisfied. None for a model without a
        stopping rule.
    cost : DecisionCost or None
        Costs that the model minimises. None for a model without a stopping rule.
    moments : Moments or None
        Answers at each moment; None for a model of one moment.
    """

    labels: NDArray[Any]
    proba: NDArray[Any]
    classes: NDArray[Any]
    n_seen: NDArray[np.int64]
    n_timepoints: int
    forced: NDArray[np.bool_] | None = None
    cost: DecisionCost | None = None
    moments: Moments | None = None


@dataclass(frozen=True, eq=False)
class Paid:
    """Costs of answers.

    Attributes
    ----------
    errors : ndarray of shape (n,)
        Cost of the error of each answer.
    waiting : ndarray of shape (n,) or None
        Cost of waiting until each answer. None for a model without a stopping rule.
    """

    errors: NDArray[np.float64]
    waiting: NDArray[np.float64] | None = None

    @property
    def total(self) -> NDArray[np.float64]:
        """Sum of the costs of errors and of waiting."""
        return self.errors if self.waiting is None else self.errors + self.waiting


@dataclass(frozen=True)
class ScoreOptions:
    """Options on which scores depend, besides answers and labels.

    Attributes
    ----------
    threshold : tuple of str and float, or None
        One of two classes, and the smallest probability at which it is the answer.
    costs : dict or None
        Cost of an error on a series of each class, by its label. It replaces the costs that the
        model minimises.
    """

    threshold: tuple[str, float] | None = None
    costs: Mapping[Any, float] | None = None

    def cost_of(self, label: Any) -> float:
        """Return the cost of an error on a series of a class. The default is 1."""
        return float((self.costs or {}).get(label, 1.0))


def answers_of(
    model: Any,
    X: NDArray[Any],
    threshold: tuple[str, float] | None = None,
) -> Answers:
    """Return the answers of a model to series.

    Parameters
    ----------
    model : BasePrefixClassifier or EarlyClassifier
        Fitted classifier.
    X : ndarray of shape (n, n_channels, n_timepoints)
        Series.
    threshold : tuple of str and float, optional
        One of two classes, and the smallest probability at which it is the answer. By default,
        the answer is the most probable class.

    Returns
    -------
    Answers

    Raises
    ------
    ValueError
        If a threshold is given for a model that allows none.
    """
    classes, whole = model.classes_, int(model.n_timepoints_in_)
    times = np.asarray(model.time_points_)
    if isinstance(model, EarlyClassifier):
        path = model.predict_proba_path(X)
        at, forced = model.rule_.decide(path)
        proba = path[np.arange(len(path)), at]
        moments = Moments(times, path, model.cost_.labels(path))
        best = model.cost_.labels(proba)
        return Answers(
            classes[best], proba, classes, times[at], whole, forced, model.cost_, moments
        )
    number = None if threshold is None else class_of_threshold(model, threshold)
    proba = model.predict_proba(X)
    labels = classes[_best(proba, threshold, number)]
    if len(times) == 1:
        return Answers(labels, proba, classes, np.full(len(X), model.prefix_length_), whole)
    path = model.predict_proba_path(X)
    moments = Moments(times, path, _best(path, threshold, number))
    return Answers(labels, proba, classes, times[moments.last], whole, moments=moments)


def _best(
    proba: NDArray[Any], threshold: tuple[str, float] | None, number: int | None
) -> NDArray[np.int64]:
    """Return the indices of the classes that a model without a stopping rule answers."""
    if threshold is None or number is None:
        return proba.argmax(-1)
    return np.where(proba[..., number] >= threshold[1], number, 1 - number)


def error_costs(answers: Answers, options: ScoreOptions) -> NDArray[np.float64] | None:
    """Return the costs of errors that are used for the scores.

    Parameters
    ----------
    answers : Answers
        Answers to series.
    options : ScoreOptions
        Costs that are given.

    Returns
    -------
    ndarray of shape (n_classes, n_classes) or None
        Costs ``[true, answer]``: those of the options, or else those that the model minimises.
        None if neither has costs.
    """
    if options.costs:
        return decision_cost(0.0, options.costs, [1], 1, answers.classes).misclassification
    return None if answers.cost is None else answers.cost.misclassification


def numbers_of(labels: NDArray[Any], answers: Answers) -> NDArray[np.int64]:
    """Return the index of each label among the classes."""
    places = {label: i for i, label in enumerate(answers.classes.tolist())}
    return np.array([places[label] for label in labels.tolist()], dtype=np.int64)


def overall_scores(
    y: NDArray[Any], answers: Answers, options: ScoreOptions | None = None
) -> list[tuple[str, str]]:
    """Return the overall scores of all series.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels.
    answers : Answers
        Answers to the series.
    options : ScoreOptions, optional
        Threshold and costs.

    Returns
    -------
    list of (str, str)
        Names and values for printing.

    Raises
    ------
    ValueError
        If a label is not among the classes.
    """
    options = ScoreOptions() if options is None else options
    proba, classes = answers.proba, answers.classes
    auc = macro_auc_prc(y, proba, classes)  # first, because its error names unknown labels
    right = answers.labels == y
    accuracy = float(right.mean())
    seen, whole = np.unique(answers.n_seen), answers.n_timepoints
    rows = [
        ("series", f"{len(y)}"),
        ("time points seen", f"{seen[0]} of {whole}")
        if len(seen) == 1
        else ("time points seen", f"{answers.n_seen.mean():.1f} of {whole}"),
        ("accuracy", f"{accuracy:.4f}"),
        ("accuracy, 95 %", interval_of(int(right.sum()), len(y))),
        ("AUC-PRC", f"{auc:.4f}"),
        ("average precision", f"{macro_average_precision(y, proba, classes):.4f}"),
        ("log loss", f"{log_loss(y, proba, labels=classes):.4f}"),
        ("calibration error", f"{expected_calibration_error(y, proba, classes):.4f}"),
    ]
    paid = paid_for(y, answers, options)
    if paid is not None:
        rows.append(("cost of errors", f"{paid.errors.mean():.4f}"))
    if paid is not None and paid.waiting is not None:
        share = float((answers.n_seen / whole).mean())
        rows += [
            ("cost of waiting", f"{paid.waiting.mean():.4f}"),
            ("mean cost", f"{paid.total.mean():.4f}"),
            ("earliness", f"{share:.4f}"),
            ("harmonic mean", f"{harmonic_mean(accuracy, min(share, 1.0)):.4f}"),
        ]
    if answers.forced is not None:
        rows.append(("forced answers", f"{int(answers.forced.sum())}"))
    return rows


def paid_for(y: NDArray[Any], answers: Answers, options: ScoreOptions) -> Paid | None:
    """Return the costs of the answers to series.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels, all of them among the classes.
    answers : Answers
        Answers to the series.
    options : ScoreOptions
        Costs that are given.

    Returns
    -------
    Paid or None
        None if neither the options nor the model have costs.
    """
    costs = error_costs(answers, options)
    if costs is None:
        return None
    errors = costs[numbers_of(y, answers), numbers_of(answers.labels, answers)]
    if answers.cost is None or answers.moments is None:
        return Paid(errors)
    at = np.searchsorted(answers.moments.time_points, answers.n_seen)
    return Paid(errors, answers.cost.delay[at])


def class_scores(y: NDArray[Any], answers: Answers) -> list[tuple[str, ...]]:
    """Return a table of the scores of each class, with a header row.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels, all of them among the classes.
    answers : Answers
        Answers to the series.

    Returns
    -------
    list of tuple of str
        Rows with the class, its number of series, recall and its interval, precision, false
        positive rate and average precision.
    """
    rows: list[tuple[str, ...]] = [CLASS_HEAD]
    for number, label in enumerate(answers.classes.tolist()):
        own, named = y == label, answers.labels == label
        right = int((own & named).sum())
        average = UNDEFINED
        if own.any():
            average = f"{average_precision_score(own, answers.proba[:, number]):.4f}"
        n, false = int(own.sum()), int((named & ~own).sum())
        rows.append(
            (
                str(label),
                f"{n}",
                share_of(right, n),
                interval_of(right, n),
                share_of(right, right + false),
                share_of(false, len(y) - n),
                average,
            )
        )
    return rows


def confusion(y: NDArray[Any], answers: Answers) -> NDArray[np.int64]:
    """Return the confusion matrix of shape (n_classes, n_classes), ``[true, answer]``."""
    return confusion_matrix(y, answers.labels, labels=answers.classes)


def few_series(y: NDArray[Any], answers: Answers) -> list[str]:
    """Return a sentence for each class with few series."""
    counts = [int((y == label).sum()) for label in answers.classes.tolist()]
    return [
        f"There are only {n} series of class {label}: its scores are uncertain, and the recall "
        f"may be anywhere in its interval."
        for label, n in zip(answers.classes.tolist(), counts, strict=True)
        if n < FEW
    ]


def class_of_threshold(model: Any, threshold: tuple[str, float]) -> int:
    """Return the index of the class to which a threshold applies.

    Parameters
    ----------
    model : BasePrefixClassifier or EarlyClassifier
        Fitted classifier.
    threshold : tuple of str and float
        One of two classes, and the smallest probability at which it is the answer.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If the model allows no threshold, or not this one.
    """
    name, value = threshold
    given = f"--threshold {name}={value:g}"
    labels = list(by_text(model.classes_.tolist()))
    if isinstance(model, EarlyClassifier):
        raise ValueError(
            f"{given} is refused for an EarlyClassifier, whose answers follow its costs of "
            f"errors; give these at the fit, as in --error-cost {name}=20, by which a missed "
            f"{name} costs as much as 20 false alarms"
        )
    if len(labels) != 2:
        raise ValueError(
            f"{given} needs a model of two classes; this one has {len(labels)}: {labels}"
        )
    if name not in labels:
        raise ValueError(f"{given} names no class of the model; its classes are {labels}")
    if not 0 < value < 1:
        raise ValueError(f"{given} must be a probability between 0 and 1, both excluded")
    return labels.index(name)

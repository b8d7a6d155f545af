"""Scores of a model on labelled series: of all series, of each class, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, confusion_matrix, log_loss

from .._early.classifier import EarlyClassifier
from ..metrics import (
    expected_calibration_error,
    harmonic_mean,
    macro_auc_prc,
    macro_average_precision,
)
from .intervals import UNDEFINED, interval_of, per_100, share_of

CLASS_HEAD = (
    "class",
    "series",
    "recall",
    "95 %",
    "precision",
    "false alarms per 100",
    "average precision",
)
FEW = 20
"""Fewest series of a class whose recall is reported without a remark. With as many the interval
of a recall of a half is 0.4 wide."""


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
        Label of each column.
    n_seen : ndarray of shape (n,)
        Number of time points that the answer went by.
    n_timepoints : int
        Number of time points of a whole training series.
    cost : ndarray of shape (n,) or None
        Cost of each answer; None for a model without costs, or without labels.
    forced : ndarray of bool of shape (n,) or None
        Whether a series ended before the rule had seen enough; None for a model without a rule.
    """

    labels: NDArray[Any]
    proba: NDArray[Any]
    classes: NDArray[Any]
    n_seen: NDArray[np.int64]
    n_timepoints: int
    cost: NDArray[Any] | None = None
    forced: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class ScoreOptions:
    """What scores depend on, besides answers and labels.

    Attributes
    ----------
    threshold : tuple of str and float, or None
        A class of two, and the probability from which on it is the answer.
    costs : dict or None
        Cost of an error on a series of a class, by its label.
    """

    threshold: tuple[str, float] | None = None
    costs: Mapping[Any, float] | None = None

    def cost_of(self, label: Any) -> float:
        """Return the cost of an error on a series of a class; 1 if none is given."""
        return float((self.costs or {}).get(label, 1.0))


def answers_of(
    model: Any,
    X: NDArray[Any],
    y: NDArray[Any] | None = None,
    threshold: tuple[str, float] | None = None,
) -> Answers:
    """Return the answers of a model to series.

    Parameters
    ----------
    model : BasePrefixClassifier or EarlyClassifier
        Fitted classifier.
    X : ndarray of shape (n, n_channels, n_timepoints)
        Series.
    y : ndarray of shape (n,), optional
        Labels, from which the costs of an early classifier's answers are computed.
    threshold : tuple of str and float, optional
        A class of two, and the probability from which on it is the answer. By default the more
        probable class is.

    Returns
    -------
    Answers

    Raises
    ------
    ValueError
        If there is a threshold for a model that allows none.
    """
    classes, whole = model.classes_, int(model.n_timepoints_in_)
    number = None if threshold is None else class_of_threshold(model, threshold)
    if isinstance(model, EarlyClassifier):
        found = model.decide(X, y)
        return Answers(
            found.labels, found.probabilities, classes, found.n_seen, whole,
            found.cost, found.forced,
        )  # fmt: skip
    proba = model.predict_proba(X)
    best = proba.argmax(1)
    if threshold is not None and number is not None:
        best = np.where(proba[:, number] >= threshold[1], number, 1 - number)
    return Answers(classes[best], proba, classes, _points_seen(model, X), whole)


def overall_scores(
    y: NDArray[Any], answers: Answers, options: ScoreOptions | None = None
) -> list[tuple[str, str]]:
    """Return the scores over all series.

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
        Names and values, to print.

    Raises
    ------
    ValueError
        If a label is not among the classes.
    """
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
    if options is not None and options.costs:
        costs = np.array([options.cost_of(label) for label in y.tolist()])
        rows.append(("cost of errors", f"{(costs * ~right).mean():.4f}"))
    if answers.cost is not None:
        share = float((answers.n_seen / whole).mean())
        rows += [
            ("mean cost", f"{answers.cost.mean():.4f}"),
            ("earliness", f"{share:.4f}"),
            ("harmonic mean", f"{harmonic_mean(accuracy, min(share, 1.0)):.4f}"),
        ]
    if answers.forced is not None:
        rows.append(("forced answers", f"{int(answers.forced.sum())}"))
    return rows


def class_scores(y: NDArray[Any], answers: Answers) -> list[tuple[str, ...]]:
    """Return a table of the scores of each class, with a head.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels, all of them among the classes.
    answers : Answers
        Answers to the series.

    Returns
    -------
    list of tuple of str
        Rows of class, number of series, recall and its interval, precision, false alarms for 100
        series of other classes, and average precision.
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
                per_100(false, len(y) - n),
                average,
            )
        )
    return rows


def confusion(y: NDArray[Any], answers: Answers) -> NDArray[np.int64]:
    """Return the confusion matrix of shape (n_classes, n_classes), ``[true, answer]``."""
    return confusion_matrix(y, answers.labels, labels=answers.classes)


def few_series(y: NDArray[Any], answers: Answers) -> list[str]:
    """Return a sentence for each class of which there are few series."""
    counts = [int((y == label).sum()) for label in answers.classes.tolist()]
    return [
        f"There are only {n} series of class {label}: its scores are uncertain, and the recall "
        f"may be anywhere in its interval."
        for label, n in zip(answers.classes.tolist(), counts, strict=True)
        if n < FEW
    ]


def _points_seen(model: Any, X: NDArray[Any]) -> NDArray[np.int64]:
    """Return the number of time points by which a classifier without a rule answers."""
    moments = np.asarray(model.time_points_)
    if len(moments) == 1:
        return np.full(len(X), model.prefix_length_)
    reached = (~np.isnan(model.predict_proba_path(X)[:, :, 0])).sum(1) - 1
    return moments[reached]


def class_of_threshold(model: Any, threshold: tuple[str, float]) -> int:
    """Return the number of the class that a threshold is about.

    Parameters
    ----------
    model : BasePrefixClassifier or EarlyClassifier
        Fitted classifier.
    threshold : tuple of str and float
        A class of two, and the probability from which on it is the answer.

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
    labels = [str(label) for label in model.classes_.tolist()]
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

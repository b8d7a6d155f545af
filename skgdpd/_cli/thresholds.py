"""Recall, precision, false alarms and costs at each threshold of a model of two classes."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .intervals import share_of
from .scores import Answers, ScoreOptions

RECALLS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
"""Recalls for which the table has a threshold. A fixed grid of thresholds would not work if all
probabilities of a model are close together."""
DIGITS = 3
"""Smallest number of significant digits of a threshold in the table, or of its distance to 1 if
this is less. More digits are used if they are needed to find the same series."""
MOST_DIGITS = 17
"""Number of significant digits that distinguish any two numbers of double precision."""
WARNING = (
    "Scores of a threshold that was chosen on these series are optimistic. Choose it on others."
)


class Alarms(NamedTuple):
    """Labels, probabilities and costs from which the results of thresholds are counted.

    Attributes
    ----------
    name : str
        Name of the class that the thresholds are about.
    own : ndarray of bool of shape (n,)
        Whether each series belongs to the class.
    proba : ndarray of shape (n,)
        Probability of the class for each series.
    missed, false : float
        Cost of a missed series of the class, and of a false alarm.
    answered : ndarray of bool of shape (n,) or None
        Whether the class was the answer to each series, if the model answers with the more
        probable class. A threshold of 0.5 does not determine the answer at equal probabilities.
    """

    name: str
    own: NDArray[np.bool_]
    proba: NDArray[np.floating[Any]]
    missed: float = 1.0
    false: float = 1.0
    answered: NDArray[np.bool_] | None = None

    def counts(self, threshold: float) -> tuple[int, int]:
        """Return the numbers of found series and of false alarms at a threshold."""
        named = self.proba >= threshold
        if threshold == 0.5 and self.answered is not None:
            named = self.answered
        return int((named & self.own).sum()), int((named & ~self.own).sum())

    def steps(self) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
        """Return all thresholds at which the counts change, with 0 and 1, and the counts there.

        Returns
        -------
        thresholds : ndarray of shape (n_thresholds,)
            Thresholds in ascending order.
        found, false : ndarray of shape (n_thresholds,)
            Numbers of found series and of false alarms.
        """
        order = np.argsort(self.proba)
        proba, own = self.proba[order].astype(np.float64), self.own[order]
        thresholds = np.unique(np.concatenate([[0.0], proba, [1.0]]))
        below = np.searchsorted(proba, thresholds)
        n_own = np.concatenate([[0], np.cumsum(own)])
        n_others = np.concatenate([[0], np.cumsum(~own)])
        return thresholds, n_own[-1] - n_own[below], n_others[-1] - n_others[below]

    def cost(self, threshold: float) -> float:
        """Return the mean cost of errors at a threshold."""
        found, false = self.counts(threshold)
        missed = int(self.own.sum()) - found
        return (missed * self.missed + false * self.false) / len(self.own)


def alarms_of(y: NDArray[Any], answers: Answers, options: ScoreOptions) -> Alarms | None:
    """Return the data for thresholds on the probability of one of two classes.

    The class is the one of the threshold in use. Without such a threshold, it is the class whose
    errors cost more, and with equal costs the rarer class.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels.
    answers : Answers
        Answers of the model to the series.
    options : ScoreOptions
        Threshold in use and costs.

    Returns
    -------
    Alarms or None
        None for a model without a threshold, which has more than two classes or a stopping rule.
    """
    if len(answers.classes) != 2 or answers.forced is not None:
        return None
    labels = answers.classes.tolist()
    costs = [options.cost_of(label) for label in labels]
    if options.threshold is not None:
        number = [str(label) for label in labels].index(options.threshold[0])
    elif costs[0] != costs[1]:
        number = int(costs[1] > costs[0])
    else:
        number = int((y == labels[1]).sum() <= (y == labels[0]).sum())
    return Alarms(
        str(labels[number]),
        y == labels[number],
        answers.proba[:, number],
        costs[number],
        costs[1 - number],
        answers.labels == labels[number] if options.threshold is None else None,
    )


def threshold_table(alarms: Alarms, options: ScoreOptions) -> list[tuple[str, ...]]:
    """Return a table of the results at several thresholds, with a header.

    Parameters
    ----------
    alarms : Alarms
        Labels, probabilities and costs.
    options : ScoreOptions
        The threshold in use gets a row in addition to the thresholds of :data:`RECALLS`. Costs
        get a column.

    Returns
    -------
    list of tuple of str
        Rows of threshold, recall, precision, false positive rate, and the mean cost of errors if
        there are costs.
    """
    more = ("cost of errors",) if options.costs else ()
    rows: list[tuple[str, ...]] = [
        ("threshold", "recall", "precision", "false positive rate", *more)
    ]
    n, n_others = int(alarms.own.sum()), int((~alarms.own).sum())
    used = 0.5 if options.threshold is None else float(options.threshold[1])
    for threshold in sorted({used, *_reaching(alarms)}):
        found, false = alarms.counts(threshold)
        rows.append(
            (
                repr(threshold).removesuffix(".0"),
                share_of(found, n),
                share_of(found, found + false),
                share_of(false, n_others),
                *((f"{alarms.cost(threshold):.4f}",) if options.costs else ()),
            )
        )
    return rows


def _reaching(alarms: Alarms) -> set[float]:
    """Return the largest thresholds that reach the recalls of the table, rounded down."""
    own = np.sort(alarms.proba[alarms.own])[::-1]
    if not len(own):
        return set()
    places = [int(np.ceil(recall * len(own) - 1e-9)) - 1 for recall in RECALLS]
    return {_rounded_down(alarms, own[place]) for place in places}


def _rounded_down(alarms: Alarms, proba: np.floating[Any]) -> float:
    """Return a threshold with few digits that finds as many series as the given probability."""
    n_found = int((alarms.proba[alarms.own] >= proba).sum())
    if alarms.counts(float(proba))[0] < n_found:  # a tie, at which the other class is answered
        proba = np.nextafter(proba, proba.dtype.type(0))
    exact = Decimal(float(proba))
    first = -min(exact, 1 - exact).adjusted()
    for digits in range(DIGITS, MOST_DIGITS):
        unit = Decimal(1).scaleb(1 - first - digits)
        threshold = float(exact.quantize(unit, ROUND_FLOOR))
        if alarms.counts(threshold)[0] == n_found:
            return threshold
    return float(proba)

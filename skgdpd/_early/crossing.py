"""Search for the best threshold on scores, among all thresholds that give different answers.

A series is answered at the first moment at which its score reaches the threshold. When the
threshold rises past a running maximum of a series, its answer moves to the next running maximum,
or to its end. The sums over series change only at these values, so one sort gives the sums for
all thresholds.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from .costs import Floats, Integers
from .paths import TrainingPaths

Objective = Literal["cost", "harmonic_mean"]


def best_threshold(
    scores: Floats, data: TrainingPaths, objective: Objective = "cost"
) -> tuple[float, float]:
    """Return the threshold that is best on given series, and its loss.

    Parameters
    ----------
    scores : ndarray of shape (n, n_moments)
        Scores. A series is answered at the first moment at which its score is at least the
        threshold. Scores after a series' own end have no effect.
    data : TrainingPaths
        The series.
    objective : {"cost", "harmonic_mean"}, default="cost"
        "cost" minimises the mean cost. "harmonic_mean" maximises the harmonic mean of accuracy
        and 1 - earliness. Both include forced answers.

    Returns
    -------
    threshold : float
        Midpoint between two neighbouring scores. If several thresholds are equally good, the
        lowest is returned. Minus infinity answers at the first moment, and infinity waits for
        the end.
    loss : float
        Mean cost, or minus the harmonic mean.
    """
    row, moment, following, value = _maxima(scores, data.last)
    order = np.argsort(value, kind="stable")
    row, moment, following, value = row[order], moment[order], following[order], value[order]
    # A threshold above value[i] moves the answers at all maxima up to number i.
    ends = np.flatnonzero(np.append(value[1:] > value[:-1], True))

    def means(of_answer: Floats) -> Floats:
        """Return the weighted mean over series for each threshold, in ascending order."""
        moved = data.weight[row] * (of_answer[row, following] - of_answer[row, moment])
        at_once = data.weight @ of_answer[:, 0]
        return np.append(at_once, at_once + np.cumsum(moved)[ends]) / data.weight.sum()

    if objective == "cost":
        losses = means(data.costs)
    else:
        accuracy = means(data.right.astype(np.float64))
        earliness = means(np.broadcast_to(data.shares, scores.shape))
        losses = -harmonic_means(accuracy, earliness)
    best = int(_first_smallest(losses))
    return _between(value[ends], best), float(losses[best])


def _maxima(scores: Floats, last: Integers) -> tuple[Integers, Integers, Integers, Floats]:
    """Return row, moment, moment of the next answer, and value of each running maximum."""
    moments = np.arange(scores.shape[1])
    reached = np.where(moments <= last[:, None], scores, -np.inf)
    before = np.maximum.accumulate(reached, axis=1)[:, :-1]
    new = np.ones(scores.shape, dtype=bool)
    new[:, 1:] = reached[:, 1:] > before
    row, moment = np.nonzero(new)
    following = np.append(moment[1:], 0)
    is_last = np.append(row[1:] != row[:-1], True)
    following[is_last] = last[row[is_last]]
    return row, moment, following, reached[row, moment]


def harmonic_means(accuracy: Floats, earliness: Floats) -> Floats:
    """Return the harmonic means of accuracy and 1 - earliness; 0 where both are 0."""
    total = accuracy + 1 - earliness
    return 2 * accuracy * (1 - earliness) / np.where(total > 0, total, 1)


def _first_smallest(losses: Floats) -> Integers:
    """Return the first index of the least loss, with a tolerance for rounding of the sums."""
    least = losses.min()
    return np.flatnonzero(losses <= least + 1e-12 * max(abs(least), 1e-300))[0]


def _between(values: Floats, place: int) -> float:
    """Return a threshold above the first ``place`` of ascending values, but not above others."""
    if place == 0:
        return -np.inf
    if place == len(values):
        return np.inf
    middle = (values[place - 1] + values[place]) / 2
    return float(middle if middle > values[place - 1] else values[place])

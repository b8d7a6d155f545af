"""Economy: expected costs of all later moments, from groups of equally sure series."""

from __future__ import annotations

from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval

from .costs import Floats, Integers
from .folds import fold_numbers
from .paths import TrainingPaths, top_two
from .rule import Rule


class Plan(NamedTuple):
    """What to do in each group at each moment.

    Attributes
    ----------
    edges : ndarray of shape (n_moments, n_groups - 1)
        Largest probabilities at which a group ends and the next begins.
    stops : ndarray of shape (n_moments, n_groups)
        Whether to answer.
    """

    edges: Floats
    stops: NDArray[np.bool_]


class Economy(Rule):
    """Rule that answers where no later moment is expected to cost less (Economy-gamma-max).

    At each moment series are divided into groups of equal size by their largest probability. The
    moves from group to group, from one moment to the next, are taken for a Markov chain. In each
    group one knows what an answer costs on average. So the expected cost at each later moment
    follows, and a series is answered if the least one is that of now. What is observed in between
    is not foreseen in these expectations.

    The number of groups is that of the least cost on rows that are held out, fold by fold. A
    group's average is smoothed by one series of the moment's average cost.

    Parameters
    ----------
    max_groups : int, default=10
        Number of groups at most; also at most the root of the number of series.
    n_folds : int, default=5
        Number of folds that compare numbers of groups.
    random_state : int, default=0
        Seed of the folds.

    Attributes
    ----------
    edges_ : ndarray of shape (n_moments, n_groups - 1)
        Largest probabilities at which a group ends and the next begins.
    stops_ : ndarray of shape (n_moments, n_groups)
        Whether series of a group are answered.

    References
    ----------
    Y. Achenchabe, A. Bondu, A. Cornuéjols, A. Dachraoui, "Early classification of time series:
    cost-based optimization criterion and algorithms", Machine Learning 110, 2021.
    """

    _parameter_constraints: dict[str, Any] = {
        "max_groups": [Interval(Integral, 1, None, closed="left")],
        "n_folds": [Interval(Integral, 2, None, closed="left")],
        "random_state": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(self, max_groups: int = 10, n_folds: int = 5, random_state: int = 0) -> None:
        self.max_groups = max_groups
        self.n_folds = n_folds
        self.random_state = random_state

    def _fit(self, data: TrainingPaths) -> None:
        numbers = range(1, min(self.max_groups, int(np.sqrt(len(data.y)))) + 1)
        best = 1
        if len(numbers) > 1 and len(np.unique(data.group)) > 1:
            totals = self._held_out_costs(data, list(numbers))
            best = numbers[int(totals.argmin())]
        self.edges_, self.stops_ = _plans(data, [best])[0]

    def _held_out_costs(self, data: TrainingPaths, numbers: list[int]) -> Floats:
        """Return the sum of costs on rows held out, for each number of groups."""
        rng = np.random.default_rng(self.random_state)
        folds = fold_numbers(data.y, data.group, self.n_folds, rng)
        totals = np.zeros(len(numbers))
        for fold in range(folds.max() + 1):
            held_out = data.rows(folds == fold)
            for i, plan in enumerate(_plans(data.rows(folds != fold), numbers)):
                stops = plan.stops[
                    np.arange(len(data.shares)), _groups(held_out.largest, plan.edges)
                ]
                stops[np.arange(len(stops)), held_out.last] = True
                totals[i] += held_out.weight @ held_out.answered(stops.argmax(1))
        return totals

    def _step(self, state: Floats, moment: int, probabilities: Floats) -> NDArray[np.bool_]:
        largest = top_two(probabilities)[0]
        return self.stops_[moment, np.searchsorted(self.edges_[moment], largest, side="right")]


def _plans(data: TrainingPaths, numbers: list[int]) -> list[Plan]:
    """Return the plan for each number of groups."""
    n_moments = len(data.shares)
    edges = [np.full((n_moments, n - 1), np.inf) for n in numbers]
    for m in range(data.last.max() + 1):
        rows = np.flatnonzero(data.last >= m)
        order = rows[np.argsort(data.largest[rows, m], kind="stable")]
        below = np.cumsum(data.weight[order])
        for own, n in zip(edges, numbers, strict=True):
            places = np.searchsorted(below, np.arange(1, n) / n * below[-1])
            own[m] = data.largest[order[np.minimum(places, len(order) - 1)], m]
    return [
        Plan(own, _stops(data, _groups(data.largest, own), n))
        for own, n in zip(edges, numbers, strict=True)
    ]


def _groups(largest: Floats, edges: Floats) -> Integers:
    """Return the group of each series at each moment, ``(n, n_moments)``."""
    columns = [np.searchsorted(e, p, side="right") for p, e in zip(largest.T, edges, strict=True)]
    return np.column_stack(columns)


def _stops(data: TrainingPaths, group: Integers, n_groups: int) -> NDArray[np.bool_]:
    """Return whether to answer in each group at each moment, ``(n_moments, n_groups)``."""
    last = int(data.last.max())
    stops = np.ones((len(data.shares), n_groups), dtype=bool)
    later = _mean_costs(data, group[:, last], last, n_groups)[:, None]
    for m in reversed(range(last)):
        now = _mean_costs(data, group[:, m], m, n_groups)
        later = _transitions(data, group, m, n_groups) @ later
        stops[m] = now <= later.min(1)
        later = np.column_stack([now, later])
    return stops


def _mean_costs(data: TrainingPaths, group: Integers, m: int, n_groups: int) -> Floats:
    """Return the mean cost of answers in each group at a moment, smoothed."""
    rows = data.last >= m
    weight = data.weight[rows]
    sums = np.bincount(group[rows], weight * data.costs[rows, m], n_groups)
    mean = sums.sum() / weight.sum()
    return (sums + mean) / (np.bincount(group[rows], weight, n_groups) + 1)


def _transitions(data: TrainingPaths, group: Integers, m: int, n_groups: int) -> Floats:
    """Return the probability of each group after each group, of series that go on, smoothed."""
    rows = data.last > m
    moves = group[rows, m] * n_groups + group[rows, m + 1]
    counts = np.bincount(moves, data.weight[rows], n_groups**2).reshape(n_groups, n_groups)
    share = counts.sum(0) / counts.sum()
    return (counts + share) / (counts.sum(1, keepdims=True) + 1)

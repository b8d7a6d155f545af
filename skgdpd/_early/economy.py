"""Economy: a stopping rule on expected costs of later moments, from groups of similar risk."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, StrOptions

from .costs import EXPECTED_COST, Floats, Integers, risks
from .folds import fold_numbers
from .paths import TrainingPaths
from .rule import Rule, Span, Watched

MAX_ROWS = 10_000
"""Largest number of series that choose the number of groups. The plan uses all series."""

Loop = Literal["closed", "open"]


class Plan(NamedTuple):
    """Decision to answer or to wait for each group at each moment.

    Attributes
    ----------
    edges : ndarray of shape (n_moments, n_groups - 1)
        Boundaries between the groups, as risks.
    stops : ndarray of shape (n_moments, n_groups)
        True if the series of a group are answered.
    """

    edges: Floats
    stops: NDArray[np.bool_]


class Economy(Rule):
    """Stopping rule that answers when waiting is not expected to cost less than an answer now.

    At each moment, series are divided into groups of equal size by their risk. The risk is the
    expected cost of the error of the best answer. If each error costs 1, the risk is one minus
    the largest probability, by which the source divides the series. The changes of group from
    one moment to the next are modelled as a Markov chain. The expected cost of waiting follows
    from this chain and from the mean cost of an answer in each group. A series is answered if the
    expected cost of waiting is at least the cost of an answer now.

    The number of groups has the least cost in cross-validation. The mean cost of a group is
    smoothed by one further series, whose cost is the mean over all groups at this moment.

    Parameters
    ----------
    loop : {"closed", "open"}, default="closed"
        Definition of the expected cost of waiting. With ``"open"``, the source's
        Economy-gamma-max, it is the least of the expected costs at all later moments. The moment
        of the answer is then fixed in advance. With ``"closed"``, it is computed from the last
        moment back (Bellman), and each group takes the better of answering and waiting. This
        includes the new decision at each moment, so it comes nearer to the optimum where the
        optimum is known.
    max_groups : int, default=10
        Largest number of groups. The number of groups is also at most the square root of the
        number of series.
    n_folds : int, default=5
        Number of folds of the cross-validation that chooses the number of groups.
    random_state : int, default=0
        Seed of the folds. If there are more than 10 000 series, it is also the seed of the draw
        of 10 000 series that choose the number of groups.

    Attributes
    ----------
    edges_ : ndarray of shape (n_moments, n_groups - 1)
        Boundaries between the groups at each moment, as risks.
    stops_ : ndarray of shape (n_moments, n_groups)
        True if the series of a group are answered at the moment.
    misclassification_ : ndarray of shape (n_classes, n_classes)
        Costs of errors, ``[true, predicted]``.

    References
    ----------
    Y. Achenchabe, A. Bondu, A. Cornuéjols, A. Dachraoui, "Early classification of time series:
    cost-based optimization criterion and algorithms", Machine Learning 110, 2021.
    """

    _parameter_constraints: dict[str, Any] = {
        "loop": [StrOptions({"closed", "open"})],
        "max_groups": [Interval(Integral, 1, None, closed="left")],
        "n_folds": [Interval(Integral, 2, None, closed="left")],
        "random_state": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self,
        loop: Loop = "closed",
        max_groups: int = 10,
        n_folds: int = 5,
        random_state: int = 0,
    ) -> None:
        self.loop = loop
        self.max_groups = max_groups
        self.n_folds = n_folds
        self.random_state = random_state

    def _fit(self, data: TrainingPaths) -> None:
        numbers = range(1, min(self.max_groups, int(np.sqrt(len(data.y)))) + 1)
        best = 1
        if len(numbers) > 1 and len(np.unique(data.group)) > 1:
            rng = np.random.default_rng(self.random_state)
            totals = self._held_out_costs(data.drawn(MAX_ROWS, rng), list(numbers), rng)
            best = numbers[int(totals.argmin())]
        self.misclassification_ = data.cost.misclassification
        self.edges_, self.stops_ = _plans(data, [best], self.loop)[0]

    def _held_out_costs(
        self, data: TrainingPaths, numbers: list[int], rng: np.random.Generator
    ) -> Floats:
        """Return the weighted sum of costs on held-out series, for each number of groups."""
        folds = fold_numbers(data.y, data.group, self.n_folds, rng)
        totals = np.zeros(len(numbers))
        for fold in range(folds.max() + 1):
            held_out = data.rows(folds == fold)
            for i, plan in enumerate(_plans(data.rows(folds != fold), numbers, self.loop)):
                stops = plan.stops[
                    np.arange(len(data.shares)), _groups(held_out.risks, plan.edges)
                ]
                stops[np.arange(len(stops)), held_out.last] = True
                totals[i] += held_out.weight @ held_out.answered(stops.argmax(1))
        return totals

    def _step(self, state: Floats, moment: int, probabilities: Floats) -> NDArray[np.bool_]:
        risk = risks(probabilities, self.misclassification_)
        return self.stops_[moment, np.searchsorted(self.edges_[moment], risk, side="right")]

    def _watch(self, path: Floats) -> Watched:
        n = len(path)
        ends = np.pad(self.edges_[:n], ((0, 0), (1, 1)), constant_values=(-np.inf, np.inf))
        answers_in = [_joined(*plan) for plan in zip(ends, self.stops_[:n], strict=True)]
        return Watched(EXPECTED_COST, risks(path, self.misclassification_), answers_in)


def _joined(ends: Floats, stops: NDArray[np.bool_]) -> list[Span]:
    """Return the groups that are answered as intervals, neighbours in one."""
    found: list[Span] = []
    for low, high, answers in zip(ends[:-1], ends[1:], stops, strict=True):
        if not answers or low == high:
            continue
        if found and found[-1][1] == low:
            low = found.pop()[0]
        found.append((float(low), float(high)))
    return found


def _plans(data: TrainingPaths, numbers: list[int], loop: Loop) -> list[Plan]:
    """Return the plan for each number of groups."""
    n_moments = len(data.shares)
    edges = [np.full((n_moments, n - 1), np.inf) for n in numbers]
    for m in range(data.last.max() + 1):
        rows = np.flatnonzero(data.last >= m)
        order = rows[np.argsort(data.risks[rows, m], kind="stable")]
        below = np.cumsum(data.weight[order])
        for own, n in zip(edges, numbers, strict=True):
            places = np.searchsorted(below, np.arange(1, n) / n * below[-1])
            own[m] = data.risks[order[np.minimum(places, len(order) - 1)], m]
    return [
        Plan(own, _stops(data, _groups(data.risks, own), n, loop))
        for own, n in zip(edges, numbers, strict=True)
    ]


def _groups(risk: Floats, edges: Floats) -> Integers:
    """Return the group of each series at each moment, ``(n, n_moments)``."""
    columns = [np.searchsorted(e, p, side="right") for p, e in zip(risk.T, edges, strict=True)]
    return np.column_stack(columns)


def _stops(data: TrainingPaths, group: Integers, n_groups: int, loop: Loop) -> NDArray[np.bool_]:
    """Return whether each group is answered at each moment, ``(n_moments, n_groups)``."""
    last = int(data.last.max())
    stops = np.ones((len(data.shares), n_groups), dtype=bool)
    # Expected costs of waiting. The open loop has a column for each later moment of an answer,
    # and the closed loop has one column, with a new decision at each moment.
    ways = _mean_costs(data, group[:, last], last, n_groups)[:, None]
    for m in reversed(range(last)):
        now = _mean_costs(data, group[:, m], m, n_groups)
        ways = _transitions(data, group, m, n_groups) @ ways
        stops[m] = now <= ways.min(1)
        ways = np.column_stack([now, ways])
        if loop == "closed":
            ways = ways.min(1, keepdims=True)
    return stops


def _mean_costs(data: TrainingPaths, group: Integers, m: int, n_groups: int) -> Floats:
    """Return the smoothed mean cost of an answer in each group at a moment."""
    rows = data.last >= m
    weight = data.weight[rows]
    sums = np.bincount(group[rows], weight * data.costs[rows, m], n_groups)
    mean = sums.sum() / weight.sum()
    return (sums + mean) / (np.bincount(group[rows], weight, n_groups) + 1)


def _transitions(data: TrainingPaths, group: Integers, m: int, n_groups: int) -> Floats:
    """Return the smoothed probabilities of the next group for each group, ``[group, next]``."""
    rows = data.last > m
    moves = group[rows, m] * n_groups + group[rows, m + 1]
    counts = np.bincount(moves, data.weight[rows], n_groups**2).reshape(n_groups, n_groups)
    share = counts.sum(0) / counts.sum()
    return (counts + share) / (counts.sum(1, keepdims=True) + 1)

"""Costs of answers as a function of the cost of waiting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from .._runtime.random import Seeds
from ..stopping import DecisionCost, Rule, decision_cost, select_rule
from .checks import Times

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CostCurve:
    """Mean costs, accuracies and shares seen of one method, for each cost of waiting.

    Attributes
    ----------
    cost : ndarray of shape (n_delay_costs,)
        Mean cost of a series: the cost of waiting plus the cost of errors.
    error : ndarray of shape (n_delay_costs,)
        Standard error of the mean cost over series.
    accuracy : ndarray of shape (n_delay_costs,)
        Share of correct answers.
    share_seen : ndarray of shape (n_delay_costs,)
        Mean share of the series that is seen before the answer (earliness).
    """

    cost: Floats
    error: Floats
    accuracy: Floats
    share_seen: Floats


def checked_delay_costs(delay_costs: ArrayLike) -> Floats:
    """Return costs of waiting as an array, after a check that they ascend from 0 or more.

    Parameters
    ----------
    delay_costs : array-like of shape (n_delay_costs,)
        Costs of waiting to the end of a series.

    Returns
    -------
    ndarray of shape (n_delay_costs,)

    Raises
    ------
    ValueError
        If the costs are not finite numbers, or are empty, negative or not in ascending order.
    """
    try:
        costs = np.asarray(delay_costs, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"delay_costs must be numbers, got {delay_costs!r}") from error
    bad = costs.ndim != 1 or not len(costs) or not np.isfinite(costs).all()
    if bad or costs[0] < 0 or (np.diff(costs) <= 0).any():
        raise ValueError(
            f"delay_costs must be a list of numbers that ascend from 0 at least, got "
            f"{delay_costs!r}"
        )
    return costs


def costs_by_delay(
    delay_costs: Floats, misclassification_cost: Any, times: Times, classes: ArrayLike
) -> list[DecisionCost]:
    """Return the costs of answers for each cost of waiting.

    Parameters
    ----------
    delay_costs : ndarray of shape (n_delay_costs,)
        Costs of waiting to the end of a series.
    misclassification_cost : array-like, dict or None
        Costs of errors, as for :func:`~skgdpd.stopping.decision_cost`.
    times : Times
        Moments of the method.
    classes : array-like of shape (n_classes,)
        Labels of the classes.

    Returns
    -------
    list of DecisionCost of length n_delay_costs
    """
    points, n = times.points, times.n_timepoints
    return [
        decision_cost(float(c), misclassification_cost, points, n, classes) for c in delay_costs
    ]


def curve(
    costs: Sequence[DecisionCost],
    shares: Floats,
    path: Floats,
    y: Integers,
    moments: Integers | None = None,
) -> CostCurve:
    """Return the mean costs of answers at given moments, or at the cheapest moments.

    Parameters
    ----------
    costs : sequence of DecisionCost of length n_delay_costs
        Costs of answers, one object for each cost of waiting.
    shares : ndarray of shape (n_moments,)
        Share of a whole series that has been seen at each moment.
    path : ndarray of shape (n, n_moments, n_classes)
        Class probabilities; NaN after a series' own end.
    y : ndarray of shape (n,)
        Numbers of the true classes.
    moments : ndarray of shape (n_delay_costs, n), optional
        Index of the moment of each answer. None means the cheapest moment of each series, which
        depends on its label (optimum in hindsight).

    Returns
    -------
    CostCurve
    """
    rows = np.arange(len(y))
    points = []
    for i, cost in enumerate(costs):
        table = cost.of_answers(path, y)
        own = np.nanargmin(table, axis=1) if moments is None else moments[i]
        paid = table[rows, own]
        right = cost.labels(path[rows, own]) == y
        error = paid.std() / np.sqrt(len(y))
        points.append((paid.mean(), error, right.mean(), shares[own].mean()))
    return CostCurve(*np.array(points).T)


def moments_by_cost(
    early: Any, path: Floats, costs: Sequence[DecisionCost], training: Mapping[str, Any]
) -> Integers:
    """Return the moments of a classifier's answers if its rule is fitted to other costs.

    Parameters
    ----------
    early : EarlyClassifier
        Fitted classifier.
    path : ndarray of shape (n, n_moments, n_classes)
        Class probabilities of the classifier for the series to answer.
    costs : sequence of DecisionCost of length n_delay_costs
        Costs to which the rule is fitted, one after another.
    training : dict
        Arguments of a rule's ``fit`` other than the costs, from :func:`training_of`.

    Returns
    -------
    ndarray of shape (n_delay_costs, n)
        Index of the moment of each answer.
    """
    return np.stack([refitted(early, cost, training).decide(path).moment for cost in costs])


def refitted(early: Any, cost: DecisionCost, training: Mapping[str, Any]) -> Rule:
    """Return the rule of a fitted classifier, fitted to another cost.

    Parameters
    ----------
    early : EarlyClassifier
        Fitted classifier. If its rule is "auto", the rule is chosen again. If ``random_state`` is
        a number, the choice uses the folds of the classifier's fit.
    cost : DecisionCost
        Costs of waiting and of errors.
    training : dict
        Arguments of a rule's ``fit`` other than the costs.

    Returns
    -------
    Rule
        The fitted rule.
    """
    if not (isinstance(early.rule, str) and early.rule == "auto"):
        return clone(early.rule_).fit(cost=cost, **training)
    known = isinstance(early.random_state, int | np.integer)
    seed = Seeds(early.random_state if known else 0)("rule")
    return select_rule(cost=cost, **training, random_state=seed).rule


def training_of(early: Any, name: str) -> dict[str, Any]:
    """Return the arguments of the fit of a classifier's stopping rule, except the costs.

    Parameters
    ----------
    early : EarlyClassifier
        Fitted classifier.
    name : str
        Name of the classifier, for error messages.

    Returns
    -------
    dict
        Arguments of a rule's ``fit``.

    Raises
    ------
    ValueError
        If the classifier is from a file that does not hold these arguments.
    """
    if not hasattr(early, "left_out_y_"):
        raise ValueError(
            f"estimators[{name!r}] does not know the labels that it was fitted to, as it is from "
            f"a file of an earlier version; fit it again"
        )
    path, y = early.left_out_path_, early.left_out_y_
    rows = np.flatnonzero(~np.isnan(path[:, 0, 0]) & (y >= 0))
    weight, group = early.left_out_weight_, early.left_out_group_
    return {
        "path": path[rows],
        "y": y[rows],
        "time_points": early.time_points_.tolist(),
        "n_timepoints": int(early.n_timepoints_in_),
        "sample_weight": None if weight is None else weight[rows],
        "groups": None if group is None else group[rows],
    }


def checked_moments(moments: ArrayLike, name: str, n_costs: int, path: Floats) -> Integers:
    """Return the moments of answers, after a check that every series reaches its moment.

    Parameters
    ----------
    moments : array-like of shape (n_delay_costs, n)
        Index of the moment of each answer.
    name : str
        Name of the method, for error messages.
    n_costs : int
        Number of costs of waiting.
    path : ndarray of shape (n, n_moments, n_classes)
        Class probabilities; NaN after a series' own end.

    Returns
    -------
    ndarray of shape (n_delay_costs, n)

    Raises
    ------
    ValueError
        If the shape is wrong, or if a series does not reach the moment of its answer.
    """
    try:
        array = np.asarray(moments)
    except ValueError:  # lists of unequal lengths
        array = np.asarray(None)
    n = len(path)
    if array.shape != (n_costs, n) or array.dtype.kind not in "iu":
        raise ValueError(
            f"moments[{name!r}] has shape {array.shape} and type {array.dtype}; with {n_costs} "
            f"delay costs and {n} series it must have whole numbers of shape {(n_costs, n)}"
        )
    last = (~np.isnan(path[:, :, 0])).sum(1) - 1
    bad = np.argwhere((array < 0) | (array > last))
    if len(bad):
        i, row = bad[0]
        raise ValueError(
            f"moments[{name!r}] has {array[i, row]} for series {row}, whose moments are 0 to "
            f"{last[row]}"
        )
    return array

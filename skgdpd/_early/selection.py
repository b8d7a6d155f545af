"""Names of the stopping rules, and the choice of a rule by its cost on held-out series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils import check_scalar

from .accuracy_gap import AccuracyGap
from .calimera import Calimera
from .costs import DecisionCost
from .ecec import ECEC
from .economy import Economy
from .fixed import FixedTime
from .folds import fold_numbers
from .paths import check_training
from .rule import Rule
from .stopping_rule import StoppingRule
from .teaser import Teaser
from .threshold import ProbabilityThreshold

RULES: dict[str, type[Rule]] = {
    "fixed": FixedTime,
    "threshold": ProbabilityThreshold,
    "stopping_rule": StoppingRule,
    "teaser": Teaser,
    "ecec": ECEC,
    "economy": Economy,
    "calimera": Calimera,
    "accuracy_gap": AccuracyGap,
}
"""Stopping rules by name."""
COMPARED = ("fixed", "threshold", "stopping_rule", "economy", "calimera")
"""Names of the rules that :func:`select_rule` compares by default. Their fit is quick."""


class RuleChoice(NamedTuple):
    """Chosen stopping rule, and the costs of all compared rules.

    Attributes
    ----------
    rule : Rule
        Rule with the least mean cost, fitted to all series.
    name : str
        Name of this rule.
    costs : dict of str to (float, float)
        Mean cost of each rule on held-out series, and its standard error.
    """

    rule: Rule
    name: str
    costs: dict[str, tuple[float, float]]


def check_rule(rule: Any) -> None:
    """Check that a value is the name of a rule, or a rule with valid parameters.

    Parameters
    ----------
    rule : object
        Parameter ``rule`` of an ``EarlyClassifier``.

    Raises
    ------
    ValueError
        If the value is neither.
    """
    if isinstance(rule, Rule):
        rule._validate_params()
        return
    if isinstance(rule, type) and issubclass(rule, Rule):
        raise ValueError(f"rule={rule.__name__} is a class; give an object, {rule.__name__}()")
    names = ("auto", *RULES)
    if not isinstance(rule, str) or rule not in names:
        raise ValueError(
            f"rule={rule!r} must be one of {', '.join(map(repr, names))}, or a rule such as "
            f"Calimera()"
        )


def check_rule_data(rule: Any, n_moments: int, group: NDArray[Any], weight: Any) -> None:
    """Raise an error if a rule can't be fitted to series, before their probabilities are known.

    Parameters
    ----------
    rule : str or Rule
        Checked parameter of an ``EarlyClassifier``.
    n_moments : int
        Number of moments.
    group : ndarray of shape (n,)
        Group of each series that the rule would be fitted to.
    weight : ndarray of shape (n,) or None
        Weights of these series.

    Raises
    ------
    ValueError
        If there are too few of them, or if a parameter of the rule does not fit.
    """
    if weight is not None:
        group = group[weight > 0]
        if not len(group):
            raise ValueError(
                f"sample_weight is zero for all {len(weight)} series to which the rule is fitted; "
                f"one weight at least must be positive"
            )
    n_groups = len(np.unique(group))
    if isinstance(rule, Rule):
        rule._check_sizes(n_moments, n_groups)
    elif rule == "auto":
        _check_choice(n_groups)
    else:
        RULES[rule]()._check_sizes(n_moments, n_groups)


def _check_choice(n_groups: int) -> None:
    if n_groups < 2:
        raise ValueError(
            f"select_rule holds series out, and needs two series or groups at least, got "
            f"{n_groups}"
        )


def select_rule(
    path: ArrayLike,
    y: ArrayLike,
    cost: DecisionCost,
    *,
    time_points: Sequence[int],
    n_timepoints: int,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    rules: Mapping[str, Rule] | None = None,
    n_folds: int = 5,
    random_state: int = 0,
) -> RuleChoice:
    """Return the stopping rule with the least mean cost on held-out series.

    The costs are those of a cross-validation: each rule is fitted to all folds but one, and
    decides on the remaining fold. The cost of the chosen rule is the least of several costs, so it
    is usually lower than the cost on new series. Measure the cost on new series on a test part.

    Parameters
    ----------
    path : array-like of shape (n, n_moments, n_classes)
        Left-out class probabilities at each moment. NaN at the moments after a series' own end.
    y : array-like of shape (n,)
        Numbers of the true classes, from 0.
    cost : DecisionCost
        Costs of waiting and of errors.
    time_points : sequence of int
        Number of time points at each moment.
    n_timepoints : int
        Number of time points of a whole series.
    sample_weight : array-like of shape (n,), optional
        Weight of each series. Only the ratios of weights matter. By default all weights are equal.
    groups : array-like of shape (n,), optional
        Group of each series. Series of a group are held out together. By default each series is
        its own group.
    rules : dict of str to Rule, optional
        Rules to compare, by name. The default is ``FixedTime``, ``ProbabilityThreshold``,
        ``StoppingRule``, ``Economy`` and ``Calimera``, because their fits are quick.
    n_folds : int, default=5
        Number of folds.
    random_state : int, default=0
        Seed of the folds.

    Returns
    -------
    RuleChoice
        Chosen rule, fitted to all series, its name, and the mean cost and standard error of each
        rule.

    Raises
    ------
    ValueError
        If there are fewer than two series or groups, or if ``rules`` is not a dict of rules.
    """
    check_scalar(n_folds, "n_folds", Integral, min_val=2)
    check_scalar(random_state, "random_state", Integral, min_val=0)
    if rules is None:
        rules = {name: RULES[name]() for name in COMPARED}
    if not isinstance(rules, Mapping) or not rules:
        raise ValueError(f"rules={rules!r} must be a dict of rules by name, or None")
    for name, rule in rules.items():
        if not isinstance(rule, Rule):
            raise ValueError(f"rules[{name!r}] is {rule!r}; it must be a rule, as FixedTime()")
        rule._validate_params()
    data = check_training(path, y, cost, time_points, n_timepoints, sample_weight, groups)
    rng = np.random.default_rng(random_state)
    _check_choice(len(np.unique(data.group)))
    folds = fold_numbers(data.y, data.group, n_folds, rng)
    paid = {name: np.empty(len(data.y)) for name in rules}
    for fold in range(folds.max() + 1):
        held_out, others = data.rows(folds == fold), data.rows(folds != fold)
        for name, rule in rules.items():
            fitted = clone(rule)
            fitted._fit_paths(others)
            paid[name][folds == fold] = held_out.answered(fitted._decide(held_out.path).moment)
    share = data.weight / data.weight.sum()
    costs = {}
    for name, own in paid.items():
        mean = float(share @ own)
        costs[name] = mean, float(np.sqrt((share**2 * (own - mean) ** 2).sum()))
    name = min(costs, key=lambda name: costs[name][0])
    rule = clone(rules[name])
    rule._fit_paths(data)
    return RuleChoice(rule, name, costs)

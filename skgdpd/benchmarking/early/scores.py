"""Scores of stopping rules on the test part, computed from the probabilities of a fit."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from sklearn.base import clone

from ..._early.calimera import Calimera
from ..._early.costs import DecisionCost, Integers
from ..._early.ecec import ECEC
from ..._early.economy import Economy
from ..._early.fixed import FixedTime
from ..._early.rule import Rule
from ..._early.selection import select_rule
from ..._early.stopping_rule import StoppingRule
from ..._early.teaser import Teaser
from ..._early.threshold import ProbabilityThreshold
from ...metrics import harmonic_mean
from .costs import ALPHAS, REGIMES, survey_cost
from .models import Fit

RULES: dict[str, Rule] = {
    "first moment": FixedTime(0),
    "last moment": FixedTime(-1),
    "fixed": FixedTime(),
    "threshold": ProbabilityThreshold(),
    "stopping_rule": StoppingRule(),
    "economy": Economy(),
    "calimera": Calimera(),
    "ecec": ECEC(),
    "teaser": Teaser("harmonic_mean"),
}
"""Rules by name. TEASER follows its publication. AccuracyGap is left out, because it doesn't use
the cost of delay and holds series out."""
WITHOUT_DELAY = ("teaser",)
"""Rules that ignore the cost of delay. They are the same for all alphas of a regime, because a
factor of the costs of errors doesn't change labels."""
AUTO, FLOOR, OWN = "auto", "floor", "own"
"""Names of the automatic choice, of the a-posteriori optimum, and of a model's own rule."""


def score_fit(fit: Fit, seed: int) -> list[dict[str, Any]]:
    """Fit all rules to left-out probabilities, in all regimes, and apply them to the test part.

    Parameters
    ----------
    fit : Fit
        Probabilities or decisions of a model.
    seed : int
        Seed of the choice among rules.

    Returns
    -------
    list of dict
        A dict for each regime, alpha and rule. It has ``cost`` (AvgCost), ``accuracy``,
        ``earliness``, ``harmonic_mean``, ``seconds`` (the time to fit the rule), and
        ``rule_name`` (the chosen rule).
    """
    sizes = np.bincount(fit.y, minlength=_n_classes(fit))
    rows = []
    for regime in REGIMES:
        known: dict[str, tuple[Rule, float]] = {}
        for alpha in ALPHAS:
            cost = survey_cost(regime, alpha, fit.time_points, fit.n_timepoints, sizes)
            for row in _scores(fit, cost, seed, known):
                rows.append({"regime": regime, "alpha": alpha, **row})
    return rows


def _n_classes(fit: Fit) -> int:
    return int(max(fit.y.max(), fit.y_test.max())) + 1 if fit.path is None else fit.path.shape[2]


def _scores(
    fit: Fit, cost: DecisionCost, seed: int, known: dict[str, tuple[Rule, float]]
) -> list[dict[str, Any]]:
    """Return the scores for one cost; rules that don't depend on alpha are stored in ``known``."""
    if fit.answers is not None:
        assert fit.moments is not None
        return [{"rule": OWN, **_measures(fit, cost, fit.moments, fit.answers), "seconds": 0.0}]
    assert fit.left_out is not None
    assert fit.path is not None
    how = {"time_points": fit.time_points.tolist(), "n_timepoints": fit.n_timepoints}
    rows = []
    for name, unfitted in RULES.items():
        if name in known:
            rule, seconds = known[name]
        else:
            start = time.process_time()
            rule = clone(unfitted).fit(fit.left_out, fit.y, cost, **how)
            seconds = time.process_time() - start
            if name in WITHOUT_DELAY:
                known[name] = rule, seconds
        rows.append({"rule": name, **_decided(fit, cost, rule), "seconds": seconds})
    start = time.process_time()
    choice = select_rule(fit.left_out, fit.y, cost, **how, random_state=seed)
    seconds = time.process_time() - start
    decided = _decided(fit, cost, choice.rule)
    rows.append({"rule": AUTO, **decided, "seconds": seconds, "chosen": choice.name})
    best = np.nanargmin(cost.of_answers(fit.path, fit.y_test), axis=1)
    rows.append({"rule": FLOOR, **_answered(fit, cost, best), "seconds": 0.0})
    return rows


def _decided(fit: Fit, cost: DecisionCost, rule: Rule) -> dict[str, float]:
    return _answered(fit, cost, rule.decide(fit.path).moment)  # type: ignore[arg-type]


def _answered(fit: Fit, cost: DecisionCost, moments: Integers) -> dict[str, float]:
    assert fit.path is not None
    answers = cost.labels(fit.path[np.arange(len(moments)), moments])
    return _measures(fit, cost, moments, answers)


def _measures(
    fit: Fit, cost: DecisionCost, moments: Integers, answers: Integers
) -> dict[str, float]:
    paid = cost.misclassification[fit.y_test, answers] + cost.delay[moments]
    accuracy = float((answers == fit.y_test).mean())
    earliness = float((fit.time_points[moments] / fit.n_timepoints).mean())
    return {
        "cost": float(paid.mean()),
        "accuracy": accuracy,
        "earliness": earliness,
        "harmonic_mean": harmonic_mean(accuracy, earliness),
    }

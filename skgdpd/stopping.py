"""Stopping rules: they choose the moment of a prediction from paths of class probabilities.

A rule is fitted to the class probabilities of series at several moments, the labels of the series,
and the costs of delay and misclassification. It then decides at which moment each series is
classified.

Examples
--------
There are two moments. The first series is clear at the first moment, and the others are not.

>>> from skgdpd.stopping import ProbabilityThreshold, decision_cost
>>> path = [
...     [[0.9, 0.1], [0.9, 0.1]],
...     [[0.6, 0.4], [0.2, 0.8]],
...     [[0.4, 0.6], [0.8, 0.2]],
... ]
>>> y = [0, 1, 0]
>>> cost = decision_cost(0.5, None, [20, 40], 40, classes=["no", "yes"])
>>> rule = ProbabilityThreshold().fit(path, y, cost, time_points=[20, 40], n_timepoints=40)
>>> round(rule.largest_risk_, 3)
0.3
>>> rule.decide(path).moment
array([0, 1, 1])
"""

from ._early.accuracy_gap import AccuracyGap
from ._early.calimera import Calimera
from ._early.costs import DecisionCost, decision_cost
from ._early.ecec import ECEC
from ._early.economy import Economy
from ._early.fixed import FixedTime
from ._early.rule import Decisions, Rule, Watched
from ._early.selection import RULES, RuleChoice, select_rule
from ._early.stopping_rule import StoppingRule
from ._early.teaser import Teaser
from ._early.threshold import ProbabilityThreshold

__all__ = [
    "ECEC",
    "RULES",
    "AccuracyGap",
    "Calimera",
    "DecisionCost",
    "Decisions",
    "Economy",
    "FixedTime",
    "ProbabilityThreshold",
    "Rule",
    "RuleChoice",
    "StoppingRule",
    "Teaser",
    "Watched",
    "decision_cost",
    "select_rule",
]

"""Rules of when to answer: arrays of probabilities in, moments out.

A rule is fitted to the class probabilities of series at several moments, to their labels, and to
what waiting and errors cost. It then decides at which moment a series is answered.
"""

from ._early.accuracy_gap import AccuracyGap
from ._early.calimera import Calimera
from ._early.costs import DecisionCost, decision_cost
from ._early.ecec import ECEC
from ._early.economy import Economy
from ._early.fixed import FixedTime
from ._early.rule import Decisions, Rule
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
    "decision_cost",
    "select_rule",
]

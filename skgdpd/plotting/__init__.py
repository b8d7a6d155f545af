"""Plots that follow scikit-learn's display API. They need matplotlib (the extra ``plot``)."""

from .cost import CostDisplay
from .critical_difference import CriticalDifferenceDisplay
from .decision import DecisionDisplay
from .earliness import EarlinessDisplay
from .feature_space import FeatureSpaceDisplay
from .history import HistoryDisplay
from .importance import ImportanceDisplay
from .path import PathDisplay
from .posterior import PosteriorDisplay
from .reliability import ReliabilityDisplay
from .rule import RuleDisplay

__all__ = [
    "CostDisplay",
    "CriticalDifferenceDisplay",
    "DecisionDisplay",
    "EarlinessDisplay",
    "FeatureSpaceDisplay",
    "HistoryDisplay",
    "ImportanceDisplay",
    "PathDisplay",
    "PosteriorDisplay",
    "ReliabilityDisplay",
    "RuleDisplay",
]

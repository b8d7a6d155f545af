"""Displays in scikit-learn's convention; they need matplotlib (the extra ``plot``)."""

from .critical_difference import CriticalDifferenceDisplay
from .earliness import EarlinessDisplay
from .feature_space import FeatureSpaceDisplay
from .history import HistoryDisplay
from .posterior import PosteriorDisplay
from .reliability import ReliabilityDisplay

__all__ = [
    "CriticalDifferenceDisplay",
    "EarlinessDisplay",
    "FeatureSpaceDisplay",
    "HistoryDisplay",
    "PosteriorDisplay",
    "ReliabilityDisplay",
]

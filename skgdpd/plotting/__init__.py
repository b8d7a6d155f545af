"""Pictures, in scikit-learn's Display convention. Needs matplotlib (extra ``plot``)."""

from .earliness import EarlinessDisplay
from .history import HistoryDisplay

__all__ = ["EarlinessDisplay", "HistoryDisplay"]

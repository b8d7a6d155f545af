"""A threshold on the largest probability."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import StrOptions

from .costs import Floats
from .crossing import Objective, best_threshold
from .paths import TrainingPaths, top_two
from .rule import Rule


class ProbabilityThreshold(Rule):
    """Rule that answers as soon as the largest probability reaches a threshold.

    All thresholds that tell the series apart are compared, by one sort.

    Parameters
    ----------
    objective : {"cost", "harmonic_mean"}, default="cost"
        What the threshold is best for: the mean cost, or the harmonic mean of accuracy and
        1 - earliness, which knows no costs.

    Attributes
    ----------
    threshold_ : float
        Least probability of an answer. Minus infinity answers at once, infinity waits for the
        end.
    """

    _parameter_constraints: dict[str, Any] = {"objective": [StrOptions({"cost", "harmonic_mean"})]}

    def __init__(self, objective: Objective = "cost") -> None:
        self.objective = objective

    def _fit(self, data: TrainingPaths) -> None:
        self.threshold_, _ = best_threshold(data.largest, data, self.objective)

    def _step(self, state: Floats, moment: int, probabilities: Floats) -> NDArray[np.bool_]:
        return top_two(probabilities)[0] >= self.threshold_

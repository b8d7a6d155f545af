"""ProbabilityThreshold: a threshold on the largest probability, or on the expected cost."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import StrOptions

from .costs import EXPECTED_COST, Floats, risks
from .crossing import Objective, best_threshold
from .paths import TrainingPaths
from .rule import Rule, Watched


class ProbabilityThreshold(Rule):
    """Stopping rule that answers as soon as the largest probability reaches a threshold.

    The rule compares the expected error cost of the best answer with a threshold, and answers if
    the cost is not above it. If each error costs 1, this cost is one minus the largest
    probability. If errors have different costs, a probability alone does not show how costly an
    error would be. The fit compares all thresholds that give different answers, by one sort.

    Parameters
    ----------
    objective : {"cost", "harmonic_mean"}, default="cost"
        Criterion for the threshold. "cost" minimises the mean cost. "harmonic_mean" maximises the
        harmonic mean of accuracy and 1 - earliness, and the cost of waiting then has no effect.

    Attributes
    ----------
    largest_risk_ : float
        Threshold: the largest expected error cost at which the rule answers. With infinity, it
        answers at the first moment. With minus infinity, it waits for the end.
    misclassification_ : ndarray of shape (n_classes, n_classes)
        Costs of errors, ``[true, predicted]``.
    """

    _parameter_constraints: dict[str, Any] = {"objective": [StrOptions({"cost", "harmonic_mean"})]}

    def __init__(self, objective: Objective = "cost") -> None:
        self.objective = objective

    def _fit(self, data: TrainingPaths) -> None:
        self.misclassification_ = data.cost.misclassification
        threshold, _ = best_threshold(-data.risks, data, self.objective)
        self.largest_risk_ = -threshold

    def _step(self, state: Floats, moment: int, probabilities: Floats) -> NDArray[np.bool_]:
        return risks(probabilities, self.misclassification_) <= self.largest_risk_

    def _watch(self, path: Floats) -> Watched:
        own = risks(path, self.misclassification_)
        return Watched(EXPECTED_COST, own, [[(-np.inf, self.largest_risk_)] for _ in path])

"""A threshold on the largest probability."""

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
    """Rule that answers as soon as the largest probability is large enough.

    Where errors cost differently, a probability does not tell how dear an error would be. So the
    expected cost of the errors of the best answer is compared with a threshold. With the cost 1
    for each error it is one less the largest probability. All thresholds that tell the series
    apart are compared, by one sort.

    Parameters
    ----------
    objective : {"cost", "harmonic_mean"}, default="cost"
        What the threshold is best for: the mean cost, or the harmonic mean of accuracy and
        1 - earliness, in which no cost of waiting enters.

    Attributes
    ----------
    largest_risk_ : float
        Largest expected cost of errors of an answer. Infinity answers at once, minus infinity
        waits for the end.
    misclassification_ : ndarray of shape (n_classes, n_classes)
        Cost of errors.
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

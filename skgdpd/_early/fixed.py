"""FixedTime: the same moment for all series."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval

from .costs import Floats
from .paths import TrainingPaths
from .rule import Rule, Watched


class FixedTime(Rule):
    """Stopping rule that answers all series at the same moment, as a baseline for other rules.

    Parameters
    ----------
    moment : int, default=None
        Index of the moment. Negative indices count from the end, and -1 is the last moment. By
        default, the rule takes the moment with the least mean cost, and the first of several
        equal ones.

    Attributes
    ----------
    moment_ : int
        Index of the moment, from 0.
    mean_costs_ : ndarray of shape (n_moments,)
        Mean cost of an answer at each moment. A series that ends before the moment counts with
        its last moment.
    """

    _parameter_constraints: dict[str, Any] = {
        "moment": [Interval(Integral, None, None, closed="neither"), None]
    }

    def __init__(self, moment: int | None = None) -> None:
        self.moment = moment

    def _check_sizes(self, n_moments: int, n_groups: int) -> None:
        if self.moment is not None and not -n_moments <= self.moment < n_moments:
            raise ValueError(
                f"moment={self.moment} must be from {-n_moments} to {n_moments - 1}, as there "
                f"are {n_moments} moments"
            )

    def _fit(self, data: TrainingPaths) -> None:
        n_moments = len(data.shares)
        answered = np.minimum(np.arange(n_moments), data.last[:, None])
        costs = np.take_along_axis(data.costs, answered, axis=1)
        self.mean_costs_ = np.average(costs, axis=0, weights=data.weight)
        chosen = self.mean_costs_.argmin() if self.moment is None else self.moment
        self.moment_ = int(chosen) % n_moments

    def _step(self, state: Floats, moment: int, probabilities: Floats) -> NDArray[np.bool_]:
        return np.full(len(state), moment >= self.moment_)

    def _watch(self, path: Floats) -> Watched:
        moments = np.arange(len(path), dtype=np.float64)
        return Watched("index of the moment", moments, [[(self.moment_, np.inf)] for _ in path])

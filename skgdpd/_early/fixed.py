"""One moment for all series."""

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
    """Rule that answers all series at one moment: the baseline that every other rule must beat.

    Parameters
    ----------
    moment : int, default=None
        Index of the moment, -1 for the last one. By default the moment of the least mean cost;
        the first one where several are equal.

    Attributes
    ----------
    moment_ : int
        Index of the moment.
    mean_costs_ : ndarray of shape (n_moments,)
        Mean cost of each moment. Series that end before it count with their last one.
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

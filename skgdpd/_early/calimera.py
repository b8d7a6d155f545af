"""Calimera: a stopping rule that predicts by regression what waiting will change."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval

from .costs import Floats
from .kernels import KernelSum, kernel_ridge
from .paths import TrainingPaths, top_two
from .rule import Rule, Watched

MAX_ROWS = 5000
"""Largest number of series to which the regressions are fitted."""


class Calimera(Rule):
    """Stopping rule that answers when the cost is predicted to rise by waiting.

    A kernel ridge regression at each moment predicts how the cost changes by waiting. The change
    is the cost of the later answer minus the cost of the best answer now. A series waits if the
    predicted change is negative. The regressions are fitted from the last moment back. The cost
    of a series that waits is the cost of its own later answer, not the predicted one, so that
    errors of prediction do not add up. This is backward induction, as in the pricing of American
    options (Longstaff and Schwartz, 2001).

    Within the fit, each series is predicted by a regression that leaves out its group. The kernel
    width and the penalty of each regression have the least error of such left-out predictions.

    Parameters
    ----------
    n_centres : int, default=128
        Largest number of kernels. Their centres are drawn from the series. More centres change
        little, because probabilities vary in few dimensions.
    random_state : int, default=0
        Seed of the draw of the centres. If there are more than 5000 series, it is also the seed
        of the draw of 5000 series for the fit.

    Attributes
    ----------
    centres_ : ndarray of shape (n_waiting, n_centres, n_classes + 2)
        Centres of the kernels. The features are the class probabilities, their margin and their
        maximum, divided by their standard deviations.
    coefficients_ : ndarray of shape (n_waiting, n_centres)
        Weights of the kernels. They are 0 for the missing kernels of a moment with fewer centres.
    gammas_, intercepts_ : ndarray of shape (n_waiting,)
        Factors of the squared distances in the kernels, and intercepts of the regressions.
    scales_ : ndarray of shape (n_waiting, n_classes + 2)
        Factors by which the features are multiplied before the kernels.
    n_waiting_ : int
        Number of moments at which the rule may wait. From the next moment on, every series is
        answered, because no training series reaches a later moment.

    References
    ----------
    J. M. Bilski, A. Jastrzębska, "CALIMERA: a new early time series classification method",
    Information Processing & Management 60(5), 2023.
    """

    _parameter_constraints: dict[str, Any] = {
        "n_centres": [Interval(Integral, 1, None, closed="left")],
        "random_state": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(self, n_centres: int = 128, random_state: int = 0) -> None:
        self.n_centres = n_centres
        self.random_state = random_state

    def _fit(self, data: TrainingPaths) -> None:
        rng = np.random.default_rng(self.random_state)
        data = data.drawn(MAX_ROWS, rng)
        self.n_waiting_ = int(data.last.max())
        most = min(self.n_centres, len(data.y))
        n_features = self.n_classes_ + 2
        self.centres_ = np.zeros((self.n_waiting_, most, n_features))
        self.coefficients_ = np.zeros((self.n_waiting_, most))
        self.gammas_ = np.ones(self.n_waiting_)
        self.intercepts_ = np.zeros(self.n_waiting_)
        self.scales_ = np.ones((self.n_waiting_, n_features))
        now = data.risks + data.cost.delay
        later = now[:, self.n_waiting_]
        for m in reversed(range(self.n_waiting_)):
            # A series that ends at this moment can't wait, so it is no training row.
            rows = np.flatnonzero(data.last > m)
            features = _features(data.path[rows, m])
            self.scales_[m] = 1 / np.maximum(_deviations(features, data.weight[rows]), 1e-6)
            features *= self.scales_[m]
            drawn = np.sort(rng.permutation(len(rows))[:most])
            function, change = kernel_ridge(
                features,
                (later - now[:, m])[rows],
                data.weight[rows],
                data.group[rows],
                features[drawn],
            )
            self.centres_[m, : len(drawn)] = function.centres
            self.coefficients_[m, : len(drawn)] = function.coefficients
            self.gammas_[m], self.intercepts_[m] = function.gamma, function.intercept
            waits = rows[change < 0]
            value = now[:, m].copy()
            value[waits] = later[waits]
            later = value

    def _change(self, moment: int, probabilities: Floats) -> Floats:
        """Return the predicted change of the cost by waiting, ``(n,)``."""
        function = KernelSum(
            self.centres_[moment],
            self.coefficients_[moment],
            float(self.gammas_[moment]),
            float(self.intercepts_[moment]),
        )
        return function(_features(probabilities) * self.scales_[moment])

    def _step(self, state: Floats, moment: int, probabilities: Floats) -> NDArray[np.bool_]:
        if moment >= self.n_waiting_:
            return np.ones(len(state), dtype=bool)
        return self._change(moment, probabilities) >= 0

    def _watch(self, path: Floats) -> Watched:
        n_waiting = min(self.n_waiting_, len(path))
        values = np.zeros(len(path))
        values[:n_waiting] = [self._change(m, path[m : m + 1])[0] for m in range(n_waiting)]
        # Where every series is answered, nothing is predicted, and any value would do.
        lows = np.where(np.arange(len(path)) < self.n_waiting_, 0.0, -np.inf)
        what = "predicted change of the cost by waiting"
        return Watched(what, values, [[(low, np.inf)] for low in lows.tolist()])


def _features(probabilities: Floats) -> Floats:
    largest, margin = top_two(probabilities)
    return np.column_stack([probabilities, margin, largest])


def _deviations(features: Floats, weight: Floats) -> Floats:
    mean = np.average(features, axis=0, weights=weight)
    return np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weight))

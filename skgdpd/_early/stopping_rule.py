"""StoppingRule: the first stopping rule of Mori et al., the sign of a weighted sum."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval

from .costs import Floats
from .crossing import best_threshold
from .paths import TrainingPaths, top_two
from .rule import Rule, Watched

MAX_ROWS = 10_000
"""Largest number of series that choose the direction. All series choose the threshold."""


class StoppingRule(Rule):
    """Stopping rule that answers when a weighted sum of probability, margin and time is positive.

    This is the rule SR1 of the source. p1 and p2 are the two largest probabilities at time t of T.
    A series is answered if g1 * p1 + g2 * (p1 - p2) + g3 * t / T > 0. Only the direction of the
    weights matters. The source searches the weights by a genetic algorithm. Here, the directions
    of (g1, g2) are spaced evenly on a circle. For each direction, one sort finds the best g3 among
    all values that give different answers.

    Parameters
    ----------
    n_directions : int, default=64
        Number of directions of (g1, g2). With more, neighbouring directions would differ by less
        than the data can show.
    random_state : int, default=0
        Seed of the draw of 10 000 series that choose the direction. It has no effect if there are
        at most 10 000 series.

    Attributes
    ----------
    gamma_ : ndarray of shape (3,)
        Weights g1, g2 and g3.
    shares_ : ndarray of shape (n_moments,)
        Share t / T of a series that has been seen at each moment.

    References
    ----------
    U. Mori, A. Mendiburu, S. Dasgupta, J. A. Lozano, "Early classification of time series by
    simultaneously optimizing the accuracy and earliness", IEEE TNNLS 29(10), 2018.
    """

    _parameter_constraints: dict[str, Any] = {
        "n_directions": [Interval(Integral, 1, None, closed="left")],
        "random_state": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(self, n_directions: int = 64, random_state: int = 0) -> None:
        self.n_directions = n_directions
        self.random_state = random_state

    def _fit(self, data: TrainingPaths) -> None:
        self.shares_ = data.shares
        drawn = data.drawn(MAX_ROWS, np.random.default_rng(self.random_state))
        angles = 2 * np.pi * np.arange(self.n_directions) / self.n_directions
        losses = [best_threshold(self._scores(drawn, a), drawn)[1] for a in angles]
        angle = float(angles[int(np.argmin(losses))])
        threshold, _ = best_threshold(self._scores(data, angle), data)
        if np.isinf(threshold):
            self.gamma_ = np.array([0.0, 0.0, -np.sign(threshold)])
        else:
            self.gamma_ = np.array([np.cos(angle), np.sin(angle), -threshold])

    @staticmethod
    def _scores(data: TrainingPaths, angle: float) -> Floats:
        """Return the scores that are compared with -g3, ``(n, n_moments)``."""
        largest, margin = top_two(data.path)
        return (np.cos(angle) * largest + np.sin(angle) * margin) / data.shares

    def _sums(self, probabilities: Floats, shares: Any) -> Floats:
        largest, margin = top_two(probabilities)
        g1, g2, g3 = self.gamma_
        return g1 * largest + g2 * margin + g3 * shares

    def _step(self, state: Floats, moment: int, probabilities: Floats) -> NDArray[np.bool_]:
        return self._sums(probabilities, self.shares_[moment]) > 0

    def _watch(self, path: Floats) -> Watched:
        what = "weighted sum of probability, margin and time"
        # The rule answers above 0; intervals have their ends.
        least = np.nextafter(0.0, 1.0)
        sums = self._sums(path, self.shares_[: len(path)])
        return Watched(what, sums, [[(least, np.inf)] for _ in path])

"""AccuracyGap: a stopping rule with a tested limit on the loss of accuracy."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom
from sklearn.utils._param_validation import Interval

from .._runtime.warn import warn_user
from .costs import Floats, Integers
from .paths import TrainingPaths, top_two
from .rule import Rule, Watched


class AccuracyGap(Rule):
    """Stopping rule that limits the loss of accuracy caused by early answers.

    A series is lost if its early answer is wrong and its answer at the end would be right. The
    accuracy gap up to a moment is the share of lost series among the series answered by that
    moment. The rule promises that this gap is at most ``max_gap`` at every moment. The promise
    holds with probability 1 - delta over the draw of the calibration series. The rule answers
    when the largest probability reaches the threshold of the moment.

    One part of the series chooses the thresholds. Each moment gets the smallest threshold that
    passes the test below on this part. The other part then tests the thresholds, from the last
    moment back. A moment passes if P(B <= number of lost series) <= delta at this moment and at
    all later ones. B is binomial with the number of answers and the probability ``max_gap``. The
    test stops at the first failure, and the rule does not answer at earlier moments.

    The promise is about the model that computed the path. The path must therefore come from the
    deployed model, on series that it was not trained on. Left-out paths of cross-validation come
    from other models, and the promise does not hold for them. The cost of waiting has no effect.
    The costs of errors affect only the choice of the label.

    Parameters
    ----------
    max_gap : float, default=0.05
        Largest allowed accuracy gap, between 0 and 1.
    delta : float, default=0.05
        Probability that the promise does not hold, between 0 and 1.
    calibration_fraction : float, default=0.5
        Share of the series, or of the groups, that test the thresholds. The others choose them.
        With the default ``max_gap`` and ``delta``, a moment can pass only if at least 59 test
        series are answered by then. If there are exactly 59, none of them may be lost.
    random_state : int, default=0
        Seed of the division into the two parts, and of the draw of a series from each group.

    Attributes
    ----------
    thresholds_ : ndarray of shape (n_moments,)
        Threshold of the largest probability at each moment. It is infinite at moments that did
        not pass the test, and no series is answered there. ``fit`` warns if no moment before the
        last one passes.
    n_calibration_ : int
        Number of series that tested the thresholds. If groups are given, one series is drawn
        from each test group, and the promise is about such a draw. Weights affect the choice of
        the thresholds and not the test.

    References
    ----------
    L. Ringel, R. Cohen, D. Freedman, M. Elad, Y. Romano, "Early time classification with
    accumulated accuracy gap control", ICML 2024.
    """

    needs_held_out = True

    _parameter_constraints: dict[str, Any] = {
        "max_gap": [Interval(Real, 0, 1, closed="neither")],
        "delta": [Interval(Real, 0, 1, closed="neither")],
        "calibration_fraction": [Interval(Real, 0, 1, closed="neither")],
        "random_state": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self,
        max_gap: float = 0.05,
        delta: float = 0.05,
        calibration_fraction: float = 0.5,
        random_state: int = 0,
    ) -> None:
        self.max_gap = max_gap
        self.delta = delta
        self.calibration_fraction = calibration_fraction
        self.random_state = random_state

    def _check_sizes(self, n_moments: int, n_groups: int) -> None:
        n_testing = self._n_testing(n_groups)
        needed = np.ceil(np.log(self.delta) / min(np.log1p(-self.max_gap), -1e-300))
        if n_testing < needed or n_testing == n_groups:
            raise ValueError(
                f"AccuracyGap has {n_testing} of {n_groups} series or groups to test its "
                f"thresholds on; with max_gap={self.max_gap} and delta={self.delta} it needs "
                f"{needed:.0f} at least, and others that choose. Give more series, or larger "
                f"values"
            )

    def _n_testing(self, n_groups: int) -> int:
        return round(self.calibration_fraction * n_groups)

    def _fit(self, data: TrainingPaths) -> None:
        rng = np.random.default_rng(self.random_state)
        order = rng.permutation(len(data.y))
        groups, first = np.unique(data.group[order], return_index=True)
        n_testing = self._n_testing(len(groups))
        testing = rng.permutation(len(groups))[:n_testing]
        drawn = order[first[testing]]
        self.n_calibration_ = n_testing
        choosing = data.rows(~np.isin(data.group, groups[testing]))
        self.thresholds_ = self._tested(data.rows(drawn), self._chosen(choosing))
        if len(data.shares) > 1 and not np.isfinite(self.thresholds_[:-1]).any():
            warn_user(
                f"AccuracyGap: no moment before the last one passed the test with max_gap="
                f"{self.max_gap} and delta={self.delta}, so all series are answered at their "
                f"end. More series, or larger values, let earlier moments pass"
            )

    def _passes(self, losses: Floats, answers: Floats) -> NDArray[np.bool_]:
        return binom.cdf(losses, np.maximum(answers, 1), self.max_gap) <= self.delta

    def _chosen(self, data: TrainingPaths) -> Floats:
        """Return the smallest threshold of each moment that passes the test at that moment."""
        losses = _losses(data)
        thresholds = np.full(len(data.shares), np.inf)
        waiting = np.ones(len(data.y), dtype=bool)
        n_answers = n_losses = 0.0
        for m in range(len(data.shares)):
            ends = waiting & (data.last == m)
            # A series that is answered at its own end is never lost.
            order = np.flatnonzero(waiting & ~ends)
            order = order[np.argsort(-data.largest[order, m], kind="stable")]
            value, weight = data.largest[order, m], data.weight[order]
            answers = n_answers + data.weight[ends].sum() + np.cumsum(weight)
            lost = n_losses + np.cumsum(weight * losses[order, m])
            is_last = np.append(value[1:] < value[:-1], True)[: len(value)]
            passing = np.flatnonzero(self._passes(lost, np.floor(answers)) & is_last)
            if len(passing):
                thresholds[m] = value[passing[-1]]
            stops = waiting & (ends | (data.largest[:, m] >= thresholds[m]))
            n_answers += data.weight[stops].sum()
            n_losses += data.weight[stops] @ losses[stops, m]
            waiting &= ~stops
        return thresholds

    def _tested(self, data: TrainingPaths, thresholds: Floats) -> Floats:
        """Return the thresholds, with infinity at the moments that do not pass the test."""
        losses = _losses(data)
        n_moments = len(thresholds)
        passed = np.full(n_moments, np.inf)
        for first in reversed(np.flatnonzero(np.isfinite(thresholds))):
            candidate = np.where(np.arange(n_moments) >= first, thresholds, np.inf)
            stops = (data.largest >= candidate) | (np.arange(n_moments) >= data.last[:, None])
            moments = stops.argmax(1)
            lost = np.bincount(moments, losses[np.arange(len(moments)), moments], n_moments)
            answers = np.bincount(moments, minlength=n_moments)
            # Before the first finite threshold, only series that end are answered.
            if not self._passes(np.cumsum(lost), np.cumsum(answers))[first:].all():
                break
            passed = candidate
        return passed

    def _step(self, state: Floats, moment: int, probabilities: Floats) -> NDArray[np.bool_]:
        return top_two(probabilities)[0] >= self.thresholds_[moment]

    def _watch(self, path: Floats) -> Watched:
        least = self.thresholds_[: len(path)].tolist()
        answers_in = [[(t, np.inf)] if np.isfinite(t) else [] for t in least]
        return Watched("largest probability", top_two(path)[0], answers_in)


def _losses(data: TrainingPaths) -> Integers:
    """Return 1 where the answer is wrong but the one at the end is right, ``(n, n_moments)``."""
    right_at_end = data.right[np.arange(len(data.y)), data.last]
    return (right_at_end[:, None] & ~data.right).astype(np.int64)

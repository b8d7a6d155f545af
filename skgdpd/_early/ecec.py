"""ECEC: a stopping rule on the joint reliability of the predictions so far."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .costs import Floats, best_labels
from .crossing import best_threshold
from .paths import TrainingPaths
from .rule import Rule, Watched


class ECEC(Rule):
    """Stopping rule that answers when the predictions so far confirm one another.

    P(y = c | p_k) is the reliability of the prediction p_k at moment k. It is the share of class
    c among the series that were predicted as p_k at this moment. One further series, spread
    evenly over all classes, smooths the share. With the current label p_t, the confidence is
    C_t = 1 - prod_k (1 - P(y = p_t | p_k)) over all moments k so far. A series is answered when
    C_t reaches a threshold. The fit compares all thresholds that give different answers, by one
    sort.

    Attributes
    ----------
    threshold_ : float
        Threshold of -log(1 - C_t).
    doubts_ : ndarray of shape (n_moments, n_classes, n_classes)
        Logarithm of 1 - P(y = c | p), ``[moment, p, c]``.
    misclassification_ : ndarray of shape (n_classes, n_classes)
        Costs of errors, ``[true, predicted]``, which affect the choice of the label.

    References
    ----------
    J. Lv, X. Hu, L. Li, P. Li, "An effective confidence-based early classification of time
    series", IEEE Access 7, 2019.
    """

    def _fit(self, data: TrainingPaths) -> None:
        self.misclassification_ = data.cost.misclassification
        self.doubts_ = np.stack([self._doubts(data, m) for m in range(len(data.shares))])
        state = self._start(len(data.y))
        columns = [self._evidence(state, m, data.path[:, m]) for m in range(len(data.shares))]
        self.threshold_, _ = best_threshold(np.column_stack(columns), data)

    def _doubts(self, data: TrainingPaths, m: int) -> Floats:
        n_classes = self.n_classes_
        rows = data.last >= m
        pairs = data.labels[rows, m] * n_classes + data.y[rows]
        counts = np.bincount(pairs, data.weight[rows], n_classes**2).reshape(n_classes, n_classes)
        reliability = (counts + 1 / n_classes) / (counts.sum(1, keepdims=True) + 1)
        return np.log(np.maximum(1 - reliability, 1e-12))

    def _start(self, n: int) -> Floats:
        return np.zeros((n, self.n_classes_))

    def _evidence(self, state: Floats, moment: int, probabilities: Floats) -> Floats:
        """Update the state in place, and return -log(1 - C_t)."""
        label = best_labels(probabilities, self.misclassification_)
        state += self.doubts_[moment, label]
        return -state[np.arange(len(state)), label]

    def _step(self, state: Floats, moment: int, probabilities: Floats) -> NDArray[np.bool_]:
        return self._evidence(state, moment, probabilities) >= self.threshold_

    def _watch(self, path: Floats) -> Watched:
        state = self._start(1)
        values = [self._evidence(state, m, p[None])[0] for m, p in enumerate(path)]
        what = "confirmation by the predictions so far"
        return Watched(what, np.array(values), [[(self.threshold_, np.inf)] for _ in path])

"""ECEC: how far the predictions so far can be relied on together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .costs import Floats, best_labels
from .crossing import best_threshold
from .paths import TrainingPaths
from .rule import Rule, Watched


class ECEC(Rule):
    """Rule that answers when the predictions so far confirm one another.

    Each moment's predictions have a reliability: the share of series of class c among those that
    were predicted as p there, with one more series spread over all classes. With the label p_t of
    now, the confidence is C_t = 1 - prod_k (1 - P(y = p_t | p_k)) over the moments k so far. A
    series is answered once C_t reaches a threshold. All thresholds that tell the series apart are
    compared, by one sort.

    Attributes
    ----------
    threshold_ : float
        Least value of -log(1 - C_t) of an answer.
    doubts_ : ndarray of shape (n_moments, n_classes, n_classes)
        Logarithm of 1 - P(y = c | p), ``[moment, p, c]``.
    misclassification_ : ndarray of shape (n_classes, n_classes)
        Cost of errors, which decides on the label.

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
        """Bring the state up to date, and return -log(1 - C_t)."""
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

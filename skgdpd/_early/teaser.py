"""TEASER: a stopping rule on accepted predictions of the same class in a row."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.svm import OneClassSVM
from sklearn.utils._param_validation import Interval, StrOptions

from ..metrics import harmonic_mean
from .costs import Floats, Integers, best_labels
from .crossing import Objective
from .folds import fold_numbers
from .kernels import KernelSum
from .paths import TrainingPaths, top_two
from .rule import Rule, Watched

MAX_ROWS = 500
"""Largest number of training series of one support vector machine."""
GAMMAS = (100.0, 10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.5, 1.0)
"""Values of the kernel's gamma that are compared, as in the source."""
NU = 0.05
"""Share of training series that a machine may reject, as in the source."""
MAX_STREAK = 5
"""Longest streak that is compared, as in the source."""


class Teaser(Rule):
    """Stopping rule that answers after several accepted predictions of one class in a row.

    Each moment has a one-class support vector machine, trained on the probabilities of correctly
    classified series. It accepts or rejects a prediction. A streak counts accepted predictions of
    the same class in a row. It starts again at 1 if another class is accepted, and at 0 after a
    rejection. A series is answered when the streak reaches a length, which is between 1 and 5.

    The kernel of each machine is chosen by the share of held-out series that the machine accepts.
    For the choice of the length, the training series of a machine are judged by machines of the
    cross-validation, which were trained without them.

    Parameters
    ----------
    objective : {"cost", "harmonic_mean"}, default="cost"
        Criterion for the length of the streak. "cost" minimises the mean cost. "harmonic_mean"
        maximises the harmonic mean of accuracy and 1 - earliness, as in the source. The cost of
        waiting then has no effect.
    n_folds : int, default=5
        Number of folds of the cross-validation that chooses the kernels.
    random_state : int, default=0
        Seed of the folds. If a machine has more than 500 training series, it is also the seed of
        the draw of 500, because the training time grows with the square of their number.

    Attributes
    ----------
    streak_ : int
        Number of accepted predictions in a row before an answer.
    centres_ : ndarray of shape (n_support, n_classes + 1)
        Support vectors of all machines: class probabilities, and the margin of the largest.
    coefficients_ : ndarray of shape (n_support,)
        Weights of the support vectors.
    starts_ : ndarray of shape (n_moments + 1,)
        Index of the first support vector of each moment, and the number of all support vectors.
    gammas_, intercepts_ : ndarray of shape (n_moments,)
        Values of the kernel's gamma, and intercepts of the machines.
    misclassification_ : ndarray of shape (n_classes, n_classes)
        Costs of errors, ``[true, predicted]``, which affect the choice of the label.

    References
    ----------
    P. Schäfer, U. Leser, "TEASER: early and accurate time series classification", Data Mining and
    Knowledge Discovery 34, 2020.
    """

    _parameter_constraints: dict[str, Any] = {
        "objective": [StrOptions({"cost", "harmonic_mean"})],
        "n_folds": [Interval(Integral, 2, None, closed="left")],
        "random_state": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self, objective: Objective = "cost", n_folds: int = 5, random_state: int = 0
    ) -> None:
        self.objective = objective
        self.n_folds = n_folds
        self.random_state = random_state

    def _fit(self, data: TrainingPaths) -> None:
        rng = np.random.default_rng(self.random_state)
        self.misclassification_ = data.cost.misclassification
        machines = []
        accepted = np.zeros(data.costs.shape, dtype=bool)
        for m in range(len(data.shares)):
            machine, accepted[:, m] = self._machine(data, m, rng)
            machines.append(machine)
        self.starts_ = np.cumsum([0, *(len(machine.centres) for machine in machines)])
        self.centres_ = np.concatenate([machine.centres for machine in machines])
        self.coefficients_ = np.concatenate([machine.coefficients for machine in machines])
        self.gammas_ = np.array([machine.gamma for machine in machines])
        self.intercepts_ = np.array([machine.intercept for machine in machines])
        losses = [
            self._loss(data, _first_streaks(accepted, data.labels, data.last, length))
            for length in range(1, MAX_STREAK + 1)
        ]
        self.streak_ = 1 + int(np.argmin(losses))

    def _machine(
        self, data: TrainingPaths, m: int, rng: np.random.Generator
    ) -> tuple[KernelSum, NDArray[np.bool_]]:
        """Return the machine of a moment, and which rows it accepts.

        Training rows of the machine are judged by a machine that was trained without them.
        """
        reached = data.last >= m
        rows = np.flatnonzero(reached & data.right[:, m])
        rows = np.sort(rng.permutation(rows)[:MAX_ROWS])
        x = _features(np.where(reached[:, None], data.path[:, m], 1 / self.n_classes_))
        folds = fold_numbers(data.y[rows], data.group[rows], self.n_folds, rng)
        if not len(rows) or folds.max() == 0:
            none = KernelSum(np.zeros((0, x.shape[1])), np.zeros(0), 1.0, -1.0)
            return none, np.zeros(len(x), dtype=bool)
        weight = data.weight[rows] / data.weight[rows].mean()
        best = -1.0
        for gamma in GAMMAS:
            inside = np.zeros(len(rows), dtype=bool)
            for fold in range(folds.max() + 1):
                out = folds == fold
                inside[out] = _trained(x[rows[~out]], weight[~out], gamma)(x[rows[out]]) > 0
            share = float(weight @ inside)
            if share > best:
                best, chosen, held_out = share, gamma, inside
        machine = _trained(x[rows], weight, chosen)
        accepted = machine(x) > 0
        accepted[rows] = held_out
        return machine, accepted & reached

    def _loss(self, data: TrainingPaths, moments: Integers) -> float:
        if self.objective == "cost":
            return float(data.weight @ data.answered(moments))
        right = data.right[np.arange(len(moments)), moments]
        accuracy = np.average(right, weights=data.weight)
        earliness = np.average(data.shares[moments], weights=data.weight)
        return -harmonic_mean(float(accuracy), float(earliness))

    def _start(self, n: int) -> Floats:
        return np.zeros((n, 2))

    def _step(self, state: Floats, moment: int, probabilities: Floats) -> NDArray[np.bool_]:
        own = slice(self.starts_[moment], self.starts_[moment + 1])
        machine = KernelSum(
            self.centres_[own],
            self.coefficients_[own],
            float(self.gammas_[moment]),
            float(self.intercepts_[moment]),
        )
        accepted = machine(_features(probabilities)) > 0
        label = best_labels(probabilities, self.misclassification_)
        _count(state, accepted, label)
        return state[:, 1] >= self.streak_

    def _watch(self, path: Floats) -> Watched:
        state, values = self._start(1), np.zeros(len(path))
        for m, probabilities in enumerate(path):
            self._step(state, m, probabilities[None])
            values[m] = state[0, 1]
        what = "accepted predictions in a row"
        return Watched(what, values, [[(self.streak_, np.inf)] for _ in path])


def _count(state: Floats, accepted: NDArray[np.bool_], label: Integers) -> None:
    """Update the last label and the streak of each row in place."""
    same = (state[:, 0] == label) & (state[:, 1] > 0)
    state[:, 1] = np.where(accepted, np.where(same, state[:, 1] + 1, 1), 0)
    state[:, 0] = label


def _first_streaks(
    accepted: NDArray[np.bool_], labels: Integers, last: Integers, length: int
) -> Integers:
    """Return the moment at which the streak of each series reaches a length, or its last one."""
    state = np.zeros((len(last), 2))
    moments = last.copy()
    waiting = np.ones(len(last), dtype=bool)
    for m in range(labels.shape[1]):
        _count(state, accepted[:, m], labels[:, m])
        stops = waiting & (state[:, 1] >= length) & (m <= last)
        moments[stops] = m
        waiting &= ~stops
    return moments


def _features(probabilities: Floats) -> Floats:
    return np.column_stack([probabilities, top_two(probabilities)[1]])


def _trained(x: Floats, weight: Floats, gamma: float) -> KernelSum:
    svm = OneClassSVM(kernel="rbf", nu=NU, gamma=gamma)
    # random_state is no constructor parameter. If it is unset, the fit draws an unused seed from
    # numpy's global generator.
    svm.random_state = 0
    svm.fit(x, sample_weight=weight)
    return KernelSum(svm.support_vectors_, svm.dual_coef_[0], gamma, float(svm.intercept_[0]))

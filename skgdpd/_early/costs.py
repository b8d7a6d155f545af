"""Costs of answers: the cost of waiting and the costs of errors.

A series of class y that is answered with class p at time t costs C_m[y, p] + C_d(t). A decision
depends only on differences of costs. It stays the same if both costs are multiplied by the same
positive number.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._runtime.arguments import about

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DelayCost = float | Callable[[float], float] | ArrayLike
MisclassificationCost = ArrayLike | Mapping[Hashable, float | Mapping[Hashable, float]] | None

EXPECTED_COST = "expected cost of an error"
"""Name of :func:`risks` in pictures."""


@dataclass(frozen=True, eq=False)
class DecisionCost:
    """Costs of waiting until each moment, and of each error.

    Attributes
    ----------
    delay : ndarray of shape (n_moments,)
        Cost of waiting until each moment.
    misclassification : ndarray of shape (n_classes, n_classes)
        Cost of each pair of classes, ``[true, predicted]``, in the order of the classes.
    """

    delay: Floats
    misclassification: Floats

    def labels(self, probabilities: Floats) -> Integers:
        """Return the classes with the least expected cost.

        Parameters
        ----------
        probabilities : ndarray of shape (..., n_classes)
            Class probabilities.

        Returns
        -------
        ndarray of shape (...)
            Class numbers. If several classes have the same cost, the first one is returned. If
            each error costs 1, these are the most probable classes.
        """
        return best_labels(probabilities, self.misclassification)

    def expected(self, probabilities: Floats) -> Floats:
        """Return the expected error cost of the best answers, without the cost of waiting.

        Parameters
        ----------
        probabilities : ndarray of shape (..., n_classes)
            Class probabilities.

        Returns
        -------
        ndarray of shape (...)
            Expected costs of errors, of the class that makes them least.
        """
        return risks(probabilities, self.misclassification)

    def of_answers(self, path: Floats, y: Integers) -> Floats:
        """Return the cost of an answer to each series at each moment.

        Parameters
        ----------
        path : ndarray of shape (n, n_moments, n_classes)
            Class probabilities; NaN after a series' own end.
        y : ndarray of shape (n,)
            Numbers of the true classes.

        Returns
        -------
        ndarray of shape (n, n_moments)
            Cost of waiting plus cost of the error; NaN after a series' own end.
        """
        path, y = np.asarray(path, dtype=np.float64), np.asarray(y)
        n_classes = len(self.misclassification)
        # Index -1, the number of series without a label, would mean the last class.
        if y.dtype.kind not in "iu" or (y < 0).any() or (y >= n_classes).any():
            raise ValueError(
                f"y must have class numbers from 0 to {n_classes - 1}, got {np.unique(y)[:10]}"
            )
        costs = self.misclassification[y[:, None], self.labels(path)] + self.delay
        return np.where(np.isnan(path[:, :, 0]), np.nan, costs)

    def floor(self, path: Floats, y: Integers, sample_weight: Floats | None = None) -> float:
        """Return the mean cost if each series were answered at its own cheapest moment.

        This is a lower bound of the mean cost of any rule on these paths. A rule can't reach it in
        general, because the cheapest moment depends on the true label.

        Parameters
        ----------
        path : ndarray of shape (n, n_moments, n_classes)
            Class probabilities; NaN after a series' own end.
        y : ndarray of shape (n,)
            Numbers of the true classes.
        sample_weight : ndarray of shape (n,), optional
            Weight of each series. By default all weights are equal.

        Returns
        -------
        float
            Mean cost of the best moments in hindsight.
        """
        least = np.nanmin(self.of_answers(path, y), axis=1)
        return float(np.average(least, weights=sample_weight))

    def average(
        self,
        path: Floats,
        y: Integers,
        moments: Integers,
        sample_weight: Floats | None = None,
    ) -> float:
        """Return the mean cost of answers at given moments, AvgCost in the literature.

        Parameters
        ----------
        path : ndarray of shape (n, n_moments, n_classes)
            Class probabilities; NaN after a series' own end.
        y : ndarray of shape (n,)
            Numbers of the true classes.
        moments : ndarray of shape (n,)
            Index of the moment of each answer.
        sample_weight : ndarray of shape (n,), optional
            Weight of each series. By default all weights are equal.

        Returns
        -------
        float
            Mean of the costs of waiting and of errors.

        Raises
        ------
        ValueError
            If a moment is out of range or after the end of its series.
        """
        moments, last = np.asarray(moments), len(self.delay) - 1
        if moments.dtype.kind not in "iu" or (moments < 0).any() or (moments > last).any():
            raise ValueError(
                f"moments must be whole numbers from 0 to {last}, got {np.unique(moments)[:10]}"
            )
        costs = self.of_answers(path, y)[np.arange(len(y)), moments]
        if np.isnan(costs).any():
            rows = np.flatnonzero(np.isnan(costs))[:5].tolist()
            raise ValueError(f"moments are after the end of the series in rows {rows}, ...")
        return float(np.average(costs, weights=sample_weight))


def decision_cost(
    delay_cost: DelayCost,
    misclassification_cost: MisclassificationCost,
    time_points: Sequence[int],
    n_timepoints: int,
    classes: ArrayLike,
) -> DecisionCost:
    """Return the costs of waiting and of errors as arrays.

    Parameters
    ----------
    delay_cost : float, callable or array-like of shape (n_moments,)
        Cost of waiting. A number c means that an answer at time t of T costs c * t / T. A
        callable maps the share t / T to the cost. An array has a cost for each moment. Costs must
        not decrease over time, because a decreasing cost would reward waiting for its own sake.
    misclassification_cost : array-like of shape (n_classes, n_classes), dict or None
        Cost of errors. With None, each error costs 1. A matrix is ``[true, predicted]``, in the
        order of the classes. The keys of a dict are true classes. A value is the cost of any
        error on the class, or a dict of costs by predicted class. ``{"failure": 20}`` means that a
        missed failure costs as much as 20 false alarms. ``{"failure": {"wear": 2, "fine": 20}}``
        distinguishes two kinds of missed failures. An error that the dict does not name costs 1.
    time_points : sequence of int
        Number of time points at each moment, in ascending order.
    n_timepoints : int
        Number T of time points of a whole series.
    classes : array-like of shape (n_classes,)
        Labels of the classes.

    Returns
    -------
    DecisionCost
        Costs of waiting at each moment, and of errors.

    Raises
    ------
    ValueError
        If a cost is negative, infinite or missing. If an error costs less than the right answer,
        or if no error costs more.
        If the cost of waiting decreases. If a shape or a label does not fit.

    Examples
    --------
    >>> from skgdpd.stopping import decision_cost
    >>> cost = decision_cost(0.5, {"failure": 20}, [30, 60, 100], 100, ["failure", "fine"])
    >>> cost.delay
    array([0.15, 0.3 , 0.5 ])
    >>> cost.misclassification
    array([[ 0., 20.],
           [ 1.,  0.]])
    """
    shares = shares_of(time_points, n_timepoints)
    labels = np.asarray(classes)
    if labels.ndim != 1 or not 0 < len(labels) == len(set(labels.tolist())):
        raise ValueError(f"classes={classes!r} must be a list of distinct labels")
    errors = _errors(misclassification_cost, labels.tolist())
    return DecisionCost(_delays(delay_cost, shares), errors)


def best_labels(probabilities: Floats, misclassification: Floats) -> Integers:
    """Return the classes with the least expected cost; see :meth:`DecisionCost.labels`."""
    # Subtracting a constant for each true class changes no decision. With 0/1 costs, the sums are
    # then exact, so that probabilities that differ in the last digit do not become equal.
    gains = misclassification - misclassification.max(1, keepdims=True)
    return _product(probabilities, gains).argmin(-1)


def risks(probabilities: Floats, misclassification: Floats) -> Floats:
    """Return the expected error costs of the best answers; see :meth:`DecisionCost.expected`."""
    return _product(probabilities, misclassification).min(-1)


def shares_of(time_points: Sequence[int] | Integers, n_timepoints: int) -> Floats:
    """Return the share of a whole series that has been seen at each moment.

    Parameters
    ----------
    time_points : sequence of int
        Number of time points at each moment, in ascending order.
    n_timepoints : int
        Number of time points of a whole series.

    Returns
    -------
    ndarray of shape (n_moments,)
        Shares, in (0, 1].
    """
    points = whole_points(time_points)
    if not is_whole(n_timepoints):
        raise ValueError(f"n_timepoints={n_timepoints!r} must be a whole number")
    if points[0] < 1 or points[-1] > n_timepoints or (np.diff(points) <= 0).any():
        raise ValueError(
            f"time_points must ascend from 1 at least to n_timepoints={n_timepoints} at most, got "
            f"{points.tolist()}"
        )
    return points / float(n_timepoints)


def is_whole(value: Any) -> bool:
    """Return whether a value is a whole number."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def whole_points(time_points: Any) -> Integers:
    """Return numbers of time points as an array; raise an error for anything else."""
    try:
        points = np.asarray(time_points)
    except ValueError:  # lists of unequal lengths
        points = np.empty(0)
    if points.ndim != 1 or not len(points) or points.dtype.kind not in "iu":
        raise ValueError(f"time_points must be a list of whole numbers, got {time_points!r}")
    return points


def _product(probabilities: Floats, costs: Floats) -> Floats:
    """Return ``probabilities @ costs``, summed in the same order for any number of rows.

    A matrix product of a library may round differently for one row and for many rows. Sessions
    and arrays could then get different answers.
    """
    total = probabilities[..., :1] * costs[0]
    for k in range(1, len(costs)):
        total += probabilities[..., k, None] * costs[k]
    return total


def _delays(delay_cost: DelayCost, shares: Floats) -> Floats:
    if _is_number(delay_cost):
        delays = float(delay_cost) * shares  # type: ignore[arg-type]
    elif callable(delay_cost):
        with about("delay_cost"):
            delays = np.array([_as_number(delay_cost(float(s)), s) for s in shares])
    else:
        delays = _floats(delay_cost, "delay_cost")
        if delays.shape != shares.shape:
            raise ValueError(
                f"delay_cost has shape {delays.shape}; it must be a number, a callable of the "
                f"share of a series, or an array with a cost for each of the {len(shares)} "
                f"moments, of shape {shares.shape}"
            )
    if not np.isfinite(delays).all() or (delays < 0).any():
        raise ValueError(
            f"delay_cost must be finite and not negative, but is {delays.tolist()} at the moments"
        )
    if (np.diff(delays) < 0).any():
        raise ValueError(
            f"delay_cost must not fall from one moment to the next, but is {delays.tolist()}"
        )
    return delays


def _as_number(value: Any, share: float) -> float:
    if not _is_number(value):
        raise ValueError(
            f"delay_cost({share:.4g}) is {value!r}; a callable must give a number for each share"
        )
    return float(value)


def _errors(cost: MisclassificationCost, labels: list[Any]) -> Floats:
    n = len(labels)
    if cost is None:
        return 1.0 - np.eye(n)
    if isinstance(cost, Mapping):
        return _checked_errors(_errors_by_label(cost, labels), labels)
    if hasattr(cost, "columns"):
        raise ValueError(
            "misclassification_cost is a frame, whose labels are not read; give a dict of dicts "
            "by labels, or an array in the order of the classes"
        )
    if _is_number(cost):
        raise ValueError(
            f"misclassification_cost={cost!r} is one number; give a dict, such as "
            f"{{{labels[0]!r}: {cost!r}}} for the cost of any error on {labels[0]!r}, or a matrix"
        )
    if isinstance(cost, str | bool):
        raise ValueError(
            f"misclassification_cost={cost!r} must be a dict of costs by class, such as "
            f"{{{labels[0]!r}: 20}}, a matrix of shape {(n, n)}, or None"
        )
    matrix = _floats(cost, "misclassification_cost")
    if matrix.shape != (n, n):
        raise ValueError(
            f"misclassification_cost has shape {matrix.shape}; with {n} classes ({labels}) it "
            f"must be {(n, n)}: a row for each true class, a column for each predicted one"
        )
    return _checked_errors(matrix, labels)


def _checked_errors(matrix: Floats, labels: list[Any]) -> Floats:
    bad = np.argwhere(~(np.isfinite(matrix) & (matrix >= 0)))
    if len(bad):
        i, j = bad[0]
        raise ValueError(
            f"misclassification_cost must be finite and not negative, but is {matrix[i, j]} for "
            f"true {labels[i]!r} and predicted {labels[j]!r}"
        )
    dear = np.diag(matrix) > matrix.min(1)
    if dear.any():
        i = int(dear.argmax())
        j = int(matrix[i].argmin())
        raise ValueError(
            f"misclassification_cost is {matrix[i, i]} for the right answer {labels[i]!r}, and "
            f"less, {matrix[i, j]}, for the error {labels[j]!r}; no error may be cheaper than the "
            f"right answer. Are these gains, or are rows and columns exchanged?"
        )
    if len(labels) > 1 and (matrix == matrix[:, :1]).all():
        raise ValueError(
            f"misclassification_cost gives no error a cost above that of the right answer: all "
            f"cost {dict(zip(labels, matrix[:, 0].tolist(), strict=True))}. Any answer would do, "
            f"then; give one error a higher cost at least"
        )
    return matrix


def _errors_by_label(
    cost: Mapping[Hashable, float | Mapping[Hashable, float]], labels: list[Any]
) -> Floats:
    place = {label: i for i, label in enumerate(labels)}
    matrix = 1.0 - np.eye(len(labels))
    for true, entry in cost.items():
        i = _place(true, place)
        if isinstance(entry, Mapping):
            for predicted, value in entry.items():
                matrix[i, _place(predicted, place)] = _entry(value, (true, predicted))
        else:
            matrix[i] = _entry(entry, (true,))
            matrix[i, i] = 0.0
    return matrix


def _place(label: Hashable, place: dict[Any, int]) -> int:
    if label not in place:
        raise ValueError(
            f"misclassification_cost names the class {label!r}; the classes are {list(place)}. "
            f"Give {{true: cost}} or {{true: {{predicted: cost}}}}"
        )
    return place[label]


def _entry(value: Any, labels: tuple[Any, ...]) -> float:
    if not _is_number(value):
        names = "".join(f"[{label!r}]" for label in labels)
        raise ValueError(f"misclassification_cost{names} is {value!r}; it must be a number")
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


def _floats(value: Any, name: str) -> Floats:
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be made of numbers, got {value!r}") from error

"""Paths: class probabilities of series at all moments, their checks, and derived values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._runtime.arguments import about
from .._runtime.distributions import check_distributions
from .._series.unlabeled import is_missing
from .._series.weights import checked_weights, of_usual_size
from .costs import DecisionCost, Floats, Integers, shares_of


def check_path(
    path: ArrayLike, shape: tuple[int, int] | None = None, name: str = "path"
) -> Floats:
    """Return a path in double precision, after checks of its shape and values.

    Parameters
    ----------
    path : array-like of shape (n, n_moments, n_classes)
        Class probabilities at each moment; NaN at the moments after a series' own end.
    shape : tuple of int, optional
        Required numbers of moments and of classes. By default any numbers are allowed.
    name : str, default="path"
        Name of the path in error messages.

    Returns
    -------
    ndarray of shape (n, n_moments, n_classes)
        The path.

    Raises
    ------
    ValueError
        If the path has another shape. If there is a NaN before a series' last moment or at the
        first moment. If probabilities are negative or do not sum to 1.
    """
    path = numbers_of(path, name)
    wanted = "(n, n_moments, n_classes)" if shape is None else f"(n, {shape[0]}, {shape[1]})"
    if path.ndim != 3 or 0 in path.shape[1:] or (shape is not None and path.shape[1:] != shape):
        raise ValueError(f"{name} has shape {path.shape}; it must be {wanted}")
    missing = np.isnan(path)
    ended = missing[:, :, 0]
    if (missing != ended[:, :, None]).any() or (ended[:, :-1] > ended[:, 1:]).any():
        raise ValueError(
            f"{name} has NaN before a series' last moment; NaN may only follow its end"
        )
    if ended[:, 0].any():
        first = np.flatnonzero(ended[:, 0])[:5].tolist()
        raise ValueError(f"{name} has no probabilities at the first moment in rows {first}, ...")
    rows = path[~ended] if ended.any() else path.reshape(-1, path.shape[2])
    check_distributions(rows, name)
    return path


def numbers_of(values: Any, name: str) -> Floats:
    """Return values as an array in double precision; ``name`` stands for them in errors."""
    try:
        if np.iscomplexobj(values):
            raise ValueError("its values are complex")
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of numbers: {error}") from error


def path_of_one(path: ArrayLike, shape: tuple[int, int] | None = None) -> Floats:
    """Return the path of one series in double precision, ``(n_moments, n_classes)``.

    Parameters
    ----------
    path : array-like of shape (n_moments, n_classes)
        Class probabilities at each moment; NaN at the moments after the series' own end.
    shape : tuple of int, optional
        Numbers of moments and of classes that it must have.

    Returns
    -------
    ndarray of shape (n_moments, n_classes)

    Raises
    ------
    ValueError
        As by :func:`check_path`.
    """
    values = numbers_of(path, "path")
    if values.ndim != 2:
        raise ValueError(
            f"path has shape {values.shape}; for one series it must be (n_moments, n_classes)"
        )
    return check_path(values[None], shape)[0]


def last_moments(path: Floats) -> Integers:
    """Return the index of the last moment that each series reaches, ``(n,)``."""
    return (~np.isnan(path[:, :, 0])).sum(1) - 1


def top_two(probabilities: Floats) -> tuple[Floats, Floats]:
    """Return the largest probability, and its margin over the second largest.

    Parameters
    ----------
    probabilities : ndarray of shape (..., n_classes)
        Class probabilities. If there is only one class, the second largest counts as 0.

    Returns
    -------
    largest, margin : ndarray of shape (...)
        Largest probability, and its difference from the second largest.
    """
    n_classes = probabilities.shape[-1]
    if n_classes == 1:
        return probabilities[..., 0], probabilities[..., 0]
    parts = np.partition(probabilities, n_classes - 2, axis=-1)
    return parts[..., -1], parts[..., -1] - parts[..., -2]


@dataclass(frozen=True, eq=False)
class TrainingPaths:
    """Training data of a stopping rule: left-out paths, true classes and costs.

    Attributes
    ----------
    path : ndarray of shape (n, n_moments, n_classes)
        Left-out class probabilities; NaN after a series' own end.
    y : ndarray of shape (n,)
        Numbers of the true classes.
    cost : DecisionCost
        Costs of waiting and of errors.
    shares : ndarray of shape (n_moments,)
        Share of a whole series that has been seen at each moment.
    weight : ndarray of shape (n,)
        Positive weight of each series. The weights of a fit are 1 on average.
    group : ndarray of shape (n,)
        Number of the group of each series, from 0. Series of a group are held out together.
    """

    path: Floats
    y: Integers
    cost: DecisionCost
    shares: Floats
    weight: Floats
    group: Integers

    @cached_property
    def last(self) -> Integers:
        """Index of the last moment that each series reaches, ``(n,)``."""
        return last_moments(self.path)

    @cached_property
    def labels(self) -> Integers:
        """Class with the least expected cost at each moment, ``(n, n_moments)``."""
        return self.cost.labels(self.path)

    @cached_property
    def costs(self) -> Floats:
        """Cost of an answer at each moment, ``(n, n_moments)``; NaN after a series' own end."""
        return self.cost.of_answers(self.path, self.y)

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """Whether the label at each moment is the true one, ``(n, n_moments)``."""
        return self.labels == self.y[:, None]

    @cached_property
    def largest(self) -> Floats:
        """Largest probability at each moment, ``(n, n_moments)``."""
        return top_two(self.path)[0]

    @cached_property
    def risks(self) -> Floats:
        """Expected error cost of the best answer at each moment, ``(n, n_moments)``."""
        return self.cost.expected(self.path)

    def rows(self, index: NDArray[Any]) -> TrainingPaths:
        """Return the data of some of the series.

        Parameters
        ----------
        index : ndarray
            Row numbers of these series, or a boolean mask.

        Returns
        -------
        TrainingPaths
            Data of these series, with unchanged weights and group numbers.
        """
        parts = (self.path, self.y, self.weight, self.group)
        path, y, weight, group = (part[index] for part in parts)
        return TrainingPaths(path, y, self.cost, self.shares, weight, group)

    def answered(self, moments: Integers) -> Floats:
        """Return the cost of each series if it is answered at the given moment.

        Parameters
        ----------
        moments : ndarray of shape (n,)
            Index of the moment of each answer.

        Returns
        -------
        ndarray of shape (n,)
            Cost of waiting plus cost of the error.
        """
        return self.costs[np.arange(len(self.y)), moments]

    def drawn(self, n_rows: int, rng: np.random.Generator) -> TrainingPaths:
        """Return ``n_rows`` series drawn without replacement, or all series if there are fewer."""
        if len(self.y) <= n_rows:
            return self
        return self.rows(np.sort(rng.choice(len(self.y), n_rows, replace=False)))


def check_training(
    path: ArrayLike,
    y: ArrayLike,
    cost: DecisionCost,
    time_points: Sequence[int],
    n_timepoints: int,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
) -> TrainingPaths:
    """Return the training data of a stopping rule, after checks of all arguments.

    Parameters
    ----------
    path : array-like of shape (n, n_moments, n_classes)
        Left-out class probabilities; NaN after a series' own end.
    y : array-like of shape (n,)
        Numbers of the true classes, from 0.
    cost : DecisionCost
        Costs of waiting and of errors.
    time_points : sequence of int
        Number of time points at each moment.
    n_timepoints : int
        Number of time points of a whole series.
    sample_weight : array-like of shape (n,), optional
        Weight of each series. By default all weights are equal.
    groups : array-like of shape (n,), optional
        Group of each series. By default each series is its own group.

    Returns
    -------
    TrainingPaths
        Data of the series with a positive weight.
    """
    path = check_path(path)
    n, n_moments, n_classes = path.shape
    if not n:
        raise ValueError("path has no series; a rule is fitted to one at least")
    if not isinstance(cost, DecisionCost):
        raise TypeError(f"cost must be a DecisionCost, as decision_cost makes it, got {cost!r}")
    shapes = cost.delay.shape, cost.misclassification.shape
    if shapes != ((n_moments,), (n_classes, n_classes)):
        raise ValueError(
            f"cost has {shapes[0]} delays and {shapes[1]} errors; path has {n_moments} moments "
            f"and {n_classes} classes"
        )
    shares = shares_of(time_points, n_timepoints)
    if len(shares) != n_moments:
        raise ValueError(f"time_points has {len(shares)} entries; path has {n_moments} moments")
    with about("y"):
        y = np.asarray(y)
    if y.shape != (n,) or y.dtype.kind not in "iu" or (y < 0).any() or (y >= n_classes).any():
        raise ValueError(
            f"y must have {n} class numbers from 0 to {n_classes - 1}, one for each row of path, "
            f"got shape {y.shape} and values {np.unique(y)[:10].tolist()}"
        )
    weight = _weights(sample_weight, n)
    group = np.arange(n) if groups is None else group_numbers(checked_groups(groups, n))
    kept = weight > 0
    weight = weight[kept] / weight[kept].mean()
    return TrainingPaths(path[kept], y[kept].astype(np.int64), cost, shares, weight, group[kept])


def _weights(sample_weight: ArrayLike | None, n: int) -> Floats:
    if sample_weight is None:
        return np.ones(n)
    return of_usual_size(checked_weights(sample_weight, n))


def group_numbers(groups: NDArray[Any]) -> Integers:
    """Return the group number of each series, from 0, in the ascending order of the groups."""
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


def checked_groups(groups: Any, n: int) -> NDArray[Any]:
    """Return groups as an array, after checks of their number and values.

    Parameters
    ----------
    groups : array-like of shape (n,)
        Group of each series.
    n : int
        Number of series.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        If the number of groups is not the number of series. If a group is missing. If the groups
        have several types.
    """
    with about("groups"):
        column = np.asarray(groups)
    if column.shape != (n,):
        raise ValueError(
            f"groups has shape {column.shape}; it must be {(n,)}, one for each series"
        )
    values = column.tolist()
    missing = sum(is_missing(value) for value in values)
    if missing:
        raise ValueError(f"groups is missing for {missing} series; give each series a group")
    kinds = sorted({type(value).__name__ for value in values})
    if len(kinds) > 1:
        raise ValueError(f"groups has values of several types, {kinds}; they must be of one")
    return column

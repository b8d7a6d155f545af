"""What every rule of when to answer has in common: a fit, and one way to decide.

A rule reads one moment after the other. ``step`` is what it does at one moment; ``decide`` is the
loop over the moments of an array, so that arrays and streams are answered alike, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .._runtime.distributions import check_distributions
from .._runtime.parameters import PlainNumbers
from .costs import DecisionCost, Floats, Integers, is_whole
from .paths import (
    TrainingPaths,
    check_path,
    check_training,
    last_moments,
    numbers_of,
)


class Decisions(NamedTuple):
    """Moments at which series are answered.

    Attributes
    ----------
    moment : ndarray of shape (n,)
        Index of the moment of each answer.
    forced : ndarray of shape (n,)
        Whether the series ended before the rule had seen enough, so that it was answered at its
        last moment.
    """

    moment: Integers
    forced: NDArray[np.bool_]


class Rule(PlainNumbers, BaseEstimator):
    """Base of the rules of when to answer.

    A rule of one's own writes ``_fit(data)``, which reads a ``TrainingPaths`` and sets attributes
    that are plain numbers and arrays, and ``_step(state, moment, probabilities)``, which returns
    True for each series that is answered now. A rule that remembers earlier moments also writes
    ``_start(n)``, the state of n series. The state of a rule is an array with a row for each
    series, so that rows can be taken, kept and put together.
    """

    _parameter_constraints: dict[str, Any] = {}

    needs_held_out = False
    """True if the path must be of the deployed model, on series that it was not trained on."""

    def fit(
        self,
        path: ArrayLike,
        y: ArrayLike,
        cost: DecisionCost,
        *,
        time_points: Sequence[int],
        n_timepoints: int,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Any:
        """Fit the rule to series whose labels are known.

        Parameters
        ----------
        path : array-like of shape (n, n_moments, n_classes)
            Class probabilities at each moment, from models that were not trained on the series
            they judge. NaN at the moments after a series' own end.
        y : array-like of shape (n,)
            Numbers of the true classes, from 0.
        cost : DecisionCost
            What waiting and errors cost; see :func:`skgdpd.stopping.decision_cost`.
        time_points : sequence of int
            Number of points seen at each moment.
        n_timepoints : int
            Number of points of a whole series.
        sample_weight : array-like of shape (n,), optional
            Weight of each series; only ratios matter. By default all are equal. Rows of weight
            zero are left out.
        groups : array-like of shape (n,), optional
            Group of each series, such as a patient. Where a rule holds rows out, those of a group
            stay together. By default each series is a group.

        Returns
        -------
        Rule
            The rule itself.
        """
        self._validate_params()
        data = check_training(path, y, cost, time_points, n_timepoints, sample_weight, groups)
        self._fit_paths(data)
        return self

    def _fit_paths(self, data: TrainingPaths) -> None:
        self._forget()
        self.n_moments_, self.n_classes_ = data.path.shape[1:]
        try:
            self._fit(data)
        except BaseException:
            self._forget()
            raise

    def _forget(self) -> None:
        """Forget an earlier fit, no part of which may answer if the next one fails."""
        for name in [n for n in vars(self) if n.endswith("_") and not n.startswith("_")]:
            delattr(self, name)

    def decide(self, path: ArrayLike) -> Decisions:
        """Return when each series is answered.

        Parameters
        ----------
        path : array-like of shape (n, n_moments, n_classes)
            Class probabilities at each moment. NaN at the moments after a series' own end.

        Returns
        -------
        Decisions
            Index of the moment, and whether the answer was forced by the end of the series.
        """
        check_is_fitted(self)
        return self._decide(check_path(path, (self.n_moments_, self.n_classes_)))

    def _decide(self, path: Floats) -> Decisions:
        last = last_moments(path)
        moment = last.copy()
        forced = np.ones(len(path), dtype=bool)
        waiting = np.arange(len(path))
        state = self._start(len(path))
        for m in range(path.shape[1]):
            if not len(waiting):
                break
            stops = self._stops(state, m, path[waiting, m])
            moment[waiting[stops]] = m
            forced[waiting[stops]] = False
            kept = ~stops & (last[waiting] > m)
            waiting, state = waiting[kept], state[kept]
        return Decisions(moment, forced)

    def start(self, n: int) -> Floats:
        """Return the state of series of which nothing has been read.

        Parameters
        ----------
        n : int
            Number of series.

        Returns
        -------
        ndarray of shape (n, n_values)
            A row for each series, without columns where the rule needs no memory. Rows may be
            taken and put together as those of any array.
        """
        check_is_fitted(self)
        if not is_whole(n) or n < 0:
            raise ValueError(f"n={n!r} must be the number of series, from 0 on")
        return self._start(n)

    def step(self, state: Floats, moment: int, probabilities: ArrayLike) -> NDArray[np.bool_]:
        """Return whether series are to be answered now.

        Parameters
        ----------
        state : ndarray of shape (n, n_values)
            State of the series, which is brought up to date in place.
        moment : int
            Index of the moment. Moments follow one another from 0, none left out.
        probabilities : array-like of shape (n, n_classes)
            Class probabilities at this moment.

        Returns
        -------
        ndarray of shape (n,)
            True where the rule has seen enough. A series that ends is answered even if it has
            not; that is the caller's part.

        Raises
        ------
        ValueError
            If shapes don't fit, or if probabilities are missing, negative or don't sum to 1.
        """
        check_is_fitted(self)
        if not isinstance(state, np.ndarray):
            raise TypeError(f"state={state!r} must be an array, as start makes it")
        if state.shape[1:] != self._start(0).shape[1:]:
            raise ValueError(
                f"state has shape {state.shape}; {type(self).__name__} has states of shape "
                f"(n, {self._start(0).shape[1]}), as start makes them"
            )
        probabilities = numbers_of(probabilities, "probabilities")
        if probabilities.shape != (len(state), self.n_classes_):
            raise ValueError(
                f"probabilities has shape {probabilities.shape}; with {len(state)} series in "
                f"state it must be {(len(state), self.n_classes_)}"
            )
        if not is_whole(moment) or not 0 <= moment < self.n_moments_:
            raise ValueError(f"moment must be from 0 to {self.n_moments_ - 1}, got {moment!r}")
        check_distributions(probabilities, "probabilities")
        return self._stops(state, int(moment), probabilities)

    def _stops(self, state: Floats, moment: int, probabilities: Floats) -> NDArray[np.bool_]:
        """Return which series are to be answered, after a check of a step's answer."""
        stops = self._step(state, moment, probabilities)
        found = np.asarray(stops)
        if found.dtype != bool or found.shape != (len(state),):
            raise TypeError(
                f"{type(self).__name__}._step returned {found.dtype} of shape {found.shape} for "
                f"{len(state)} series; it must return an array of True and False, of shape "
                f"({len(state)},)"
            )
        return found

    # What a rule writes

    def _fit(self, data: TrainingPaths) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define _fit(data)")

    def _start(self, n: int) -> Floats:
        return np.zeros((n, 0))

    def _step(self, state: Floats, moment: int, probabilities: Floats) -> NDArray[np.bool_]:
        raise NotImplementedError(
            f"{type(self).__name__} must define _step(state, moment, probabilities)"
        )

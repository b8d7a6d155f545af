"""Base class of stopping rules.

A rule reads the moments in order. ``step`` decides at one moment. ``decide`` is a loop of ``step``
over all moments of an array, so arrays and streams get bit-for-bit identical answers.
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
    path_of_one,
)


class Decisions(NamedTuple):
    """Moments at which series are answered.

    Attributes
    ----------
    moment : ndarray of shape (n,)
        Index of the moment of each answer.
    forced : ndarray of shape (n,)
        True if the series ended before the rule had seen enough. It is then answered at its last
        moment.
    """

    moment: Integers
    forced: NDArray[np.bool_]


Span = tuple[float, float]
"""Lower and upper end of an interval, both of which belong to it."""


class Watched(NamedTuple):
    """Quantity by which a rule decides on one series.

    Attributes
    ----------
    what : str
        Name of the quantity.
    values : ndarray of shape (n_reached,)
        Its value at each moment that the series reaches.
    answers_in : list of list of (float, float)
        Intervals of the quantity in which the rule answers, at each of these moments; none where
        it does not answer.
    """

    what: str
    values: Floats
    answers_in: list[list[Span]]


class Rule(PlainNumbers, BaseEstimator):
    """Base class of stopping rules.

    A subclass defines two methods. ``_fit(data)`` reads a ``TrainingPaths`` and sets attributes
    that are plain numbers and arrays. ``_step(state, moment, probabilities)`` returns an array of
    bool, which is True for each series that is answered now. A rule with a memory also defines
    ``_start(n)``, which returns the state of n new series. The state is an array with a row for
    each series, so that rows can be selected and joined. A rule that needs a number of moments or
    groups also defines ``_check_sizes``, which raises an error before a classifier is fitted.
    ``_watch(path)`` returns a ``Watched`` for plots and is optional.
    """

    _parameter_constraints: dict[str, Any] = {}

    needs_held_out = False
    """True if the path must come from the deployed model, on series not used in its training."""

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
        """Fit the rule to the left-out probabilities of labelled series.

        Parameters
        ----------
        path : array-like of shape (n, n_moments, n_classes)
            Class probabilities at each moment. The probabilities of a series must come from a
            model that was not trained on this series. NaN at the moments after a series' own end.
        y : array-like of shape (n,)
            Numbers of the true classes, from 0.
        cost : DecisionCost
            Costs of waiting and of errors; see :func:`skgdpd.stopping.decision_cost`.
        time_points : sequence of int
            Number of time points at each moment.
        n_timepoints : int
            Number of time points of a whole series.
        sample_weight : array-like of shape (n,), optional
            Weight of each series. Only the ratios of weights matter. By default all weights are
            equal. Series of weight zero are left out.
        groups : array-like of shape (n,), optional
            Group of each series, such as a patient. If a rule holds series out, it holds out whole
            groups. By default each series is its own group.

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
        self._check_sizes(data.path.shape[1], len(np.unique(data.group)))
        self.n_moments_, self.n_classes_ = data.path.shape[1:]
        try:
            self._fit(data)
        except BaseException:
            self._forget()
            raise

    def _forget(self) -> None:
        """Delete the fitted attributes, so that none of them remains if the next fit fails."""
        for name in [n for n in vars(self) if n.endswith("_") and not n.startswith("_")]:
            delattr(self, name)

    def decide(self, path: ArrayLike) -> Decisions:
        """Return the moment at which each series is answered.

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
        """Return the state of new series, before their first moment.

        Parameters
        ----------
        n : int
            Number of series.

        Returns
        -------
        ndarray of shape (n, n_values)
            State with a row for each series. It has no columns if the rule needs no memory. Rows
            may be selected and joined like the rows of any array.
        """
        check_is_fitted(self)
        if not is_whole(n) or n < 0:
            raise ValueError(f"n={n!r} must be the number of series, from 0 on")
        return self._start(n)

    def step(self, state: Floats, moment: int, probabilities: ArrayLike) -> NDArray[np.bool_]:
        """Return which series are answered at this moment.

        Parameters
        ----------
        state : ndarray of shape (n, n_values)
            State of the series, which is updated in place.
        moment : int
            Index of the moment. The moments must be passed in order from 0, without omission.
        probabilities : array-like of shape (n, n_classes)
            Class probabilities at this moment.

        Returns
        -------
        ndarray of shape (n,)
            True if the rule has seen enough. At the end of a series, the caller must give the
            forced answer.

        Raises
        ------
        TypeError
            If ``state`` is not an array.
        ValueError
            If shapes do not fit, or if probabilities are missing, negative or do not sum to 1.
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

    def watch(self, path: ArrayLike) -> Watched:
        """Return the quantity by which the rule decides on one series, and where it answers.

        Parameters
        ----------
        path : array-like of shape (n_moments, n_classes)
            Class probabilities of the series at each moment; NaN after its own end.

        Returns
        -------
        Watched
            Name of the quantity, its values at the moments that the series reaches, and the
            intervals in which the rule answers. The first value within its intervals is that of
            the answer.

        Raises
        ------
        TypeError
            If the rule has no ``_watch``.
        ValueError
            If the shape does not fit, or if values are not probabilities.
        """
        check_is_fitted(self)
        own = path_of_one(path, (self.n_moments_, self.n_classes_))
        return self._watch(own[: int(last_moments(own[None])[0]) + 1])

    # Methods that a rule defines

    def _check_sizes(self, n_moments: int, n_groups: int) -> None:
        """Raise an error if the rule can't be fitted to so many moments, or groups of series."""

    def _fit(self, data: TrainingPaths) -> None:
        raise NotImplementedError(f"{type(self).__name__} must define _fit(data)")

    def _start(self, n: int) -> Floats:
        return np.zeros((n, 0))

    def _step(self, state: Floats, moment: int, probabilities: Floats) -> NDArray[np.bool_]:
        raise NotImplementedError(
            f"{type(self).__name__} must define _step(state, moment, probabilities)"
        )

    def _watch(self, path: Floats) -> Watched:
        """Return the watched quantity; the path ends at the series' last moment."""
        raise TypeError(
            f"{type(self).__name__} does not say what it watches; define its method _watch(path), "
            f"which returns a Watched"
        )

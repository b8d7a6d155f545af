"""The interface of sktime's and aeon's early classifiers, implemented by a session.

Both packages pass prefixes of series to an early classifier, and then longer prefixes of the
series without a decision. A session reads each point only once, so that nothing is computed twice.
Its decisions equal those of ``EarlyClassifier.decide`` on the whole series.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.utils import get_tags

from .. import metrics
from .._early.classifier import EarlyClassifier
from .._early.session import EarlySession
from .._estimators.base import BasePrefixClassifier
from .._estimators.options import SeriesOptions
from .._estimators.prefix import PrefixClassifier
from .._series.frames import aligned
from .._series.panel import check_channels, check_values, own_lengths, read_panel
from .._series.unlabeled import marker_of, refuse_marked

UNDECIDED = -1
"""Label and probabilities of series without a decision, as in both packages."""

Answers = tuple[NDArray[Any], NDArray[np.bool_]]


class Progress:
    """Series whose prefixes have been read, with their decisions so far.

    Parameters
    ----------
    early : EarlyClassifier
        Fitted estimator.
    X : panel
        Prefixes of the series, in any format that :class:`~skgdpd.EarlyClassifier` allows.
    """

    def __init__(self, early: EarlyClassifier, X: Any) -> None:
        values, ends = _values_of(early, X)
        self.early = early
        self.session: EarlySession = early.start(len(values))
        self._read(values, ends)

    def go_on(self, X: Any) -> None:
        """Read longer prefixes of the series without a decision.

        Parameters
        ----------
        X : panel
            All points so far of each series without a decision, in the same order.

        Raises
        ------
        ValueError
            If the number of series is wrong, or if a series is shorter than before or has changed
            points.
        """
        session = self.session
        values, ends = _values_of(self.early, X)
        waiting = np.flatnonzero(~session.decided)
        if len(values) != len(waiting):
            raise ValueError(
                f"X has {len(values)} series, but {len(waiting)} have no decision yet; give "
                f"these, in their order, or call reset_state_info() before other series"
            )
        for row, place in enumerate(waiting):
            n_read = int(session.n_seen[place])
            if ends[row] < n_read:
                raise ValueError(
                    f"X has a series of {ends[row]} time points, series {row}, of which {n_read} "
                    f"have been read; give all points so far"
                )
            before = self._values[place, :, :n_read]
            if not np.array_equal(values[row, :, :n_read], before, equal_nan=True):
                raise ValueError(
                    f"X has another beginning than before, series {row}: its first {n_read} time "
                    f"points have changed. Give the series without a decision in their order, "
                    f"not scaled anew"
                )
        for id_, done in zip(session.ids, session.decided, strict=True):
            if done:
                session.drop(id_)
        self._read(values, ends)

    def _read(self, values: NDArray[np.float64], ends: NDArray[np.int64]) -> None:
        session = self.session
        self._values = values
        new = zip(session.ids, values, session.n_seen, ends, strict=True)
        session.push({id_: x[:, first:end] for id_, x, first, end in new})

    def labels(self) -> Answers:
        """Return the labels and decisions.

        Returns
        -------
        labels : ndarray of shape (n,)
            Labels. Series without a decision have -1, or ``"-1"`` if labels are strings.
        decided : ndarray of bool of shape (n,)
            Whether there is a decision for each series.
        """
        decided = self.session.decided
        answers = self.early.classes_[np.maximum(self._numbers(), 0)]
        return np.where(decided, answers, np.array(UNDECIDED)), decided

    def probabilities(self) -> Answers:
        """Return the probabilities and decisions.

        Returns
        -------
        probabilities : ndarray of shape (n, n_classes)
            Class probabilities at the decisions; -1 for series without a decision.
        decided : ndarray of bool of shape (n,)
            Whether there is a decision for each series.
        """
        decided = self.session.decided
        return np.where(decided[:, None], self.session.probabilities, float(UNDECIDED)), decided

    def state_info(self) -> NDArray[np.int64]:
        """Return the state, with the same columns as in sktime and aeon.

        Returns
        -------
        ndarray of int of shape (n, 4)
            The columns are the index of the latest moment, or of the moment of the decision;
            whether there is a decision; the index of the class; and the number of time points at
            this moment. Before the first moment, they are -1, 0, -1 and 0.
        """
        session = self.session
        times = self.early.time_points_
        moments = np.searchsorted(times, session.n_seen, side="right") - 1
        points = np.where(moments < 0, 0, times[np.maximum(moments, 0)])
        return np.stack([moments, session.decided, self._numbers(), points], 1).astype(np.int64)

    def _numbers(self) -> NDArray[np.int64]:
        """Return the class index of each series at its latest moment; -1 before the first one."""
        proba = self.session.probabilities
        reached = ~np.isnan(proba[:, 0])
        numbers = np.full(len(proba), -1)
        numbers[reached] = self.early.cost_.labels(proba[reached])
        return numbers


def fitted_clone(estimator: Any, X: Any, y: ArrayLike) -> EarlyClassifier:
    """Return a fitted clone of an early classifier.

    Parameters
    ----------
    estimator : EarlyClassifier
        Estimator. It is not changed.
    X : panel
        Whole series.
    y : array-like of shape (n_samples,)
        Labels.

    Returns
    -------
    EarlyClassifier

    Raises
    ------
    TypeError
        If ``estimator`` is not an :class:`~skgdpd.EarlyClassifier`.
    """
    if not isinstance(estimator, EarlyClassifier):
        name, moments = type(estimator).__name__, "earliness=[0.25, 0.5, 1.0]"
        ours = isinstance(estimator, BasePrefixClassifier)
        made = f"{name}({moments})" if ours else f"{name}(...), {moments}"
        raise TypeError(
            f"estimator={estimator!r} must be an EarlyClassifier; EarlyClassifier({made}) makes "
            f"one of a classifier"
        )
    return clone(estimator).fit(read_panel(X).values, y)


def scores(early: EarlyClassifier, X: Any, y: ArrayLike) -> tuple[float, float, float]:
    """Return the scores that sktime and aeon define for early classifiers.

    Parameters
    ----------
    early : EarlyClassifier
        Fitted estimator.
    X : panel
        Whole series. A series without a decision gets one at its end.
    y : array-like of shape (n_samples,)
        True labels. A pandas Series is matched with a long frame by its index.

    Returns
    -------
    harmonic_mean : float
        Harmonic mean of accuracy and 1 - earliness.
    accuracy : float
        Fraction of series that are classified correctly.
    earliness : float
        Mean fraction of a series that was observed before its decision.
    """
    labels = refuse_marked(aligned(X, y, "y"), marker_of(early))
    answers = early.decide(read_panel(X).values)
    accuracy = float(accuracy_score(labels, answers.labels))
    seen = metrics.earliness(answers.n_seen, early.n_timepoints_in_)
    return metrics.harmonic_mean(accuracy, seen), accuracy, seen


def cheap_settings() -> list[dict[str, Any]]:
    """Return fast settings of an adapter with fixed seeds, for the checks of sktime and aeon.

    Returns
    -------
    list of dict
        Settings for a trained network, for a student in closed form, and for clones of another
        classifier. For the first two, the last moment is before the end of the shortest series in
        the checks.
    """
    network = PrefixClassifier(
        "lstm1-8",
        earliness=[4, 8],
        max_epochs=2,
        series=SeriesOptions(missing_values="mask"),
        random_state=0,
    )
    closed = PrefixClassifier("rocket", earliness=[5, 9], random_state=0)
    rows = LogisticRegression()
    made: dict[str, Any] = {"cv": 2, "rule": "threshold", "random_state": 0}
    return [
        {"estimator": EarlyClassifier(network, **made)},
        {"estimator": EarlyClassifier(closed, **made)},
        {"estimator": EarlyClassifier(rows, earliness=[0.2, 1.0], **made)},
    ]


def _values_of(early: EarlyClassifier, X: Any) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return a copy of the points of series, ``(n, n_channels, t)``, and their lengths.

    Points are checked here, because the errors of a session would name ids, which X doesn't have.
    """
    panel = read_panel(X)
    check_channels(panel, early.n_channels_in_, early)
    values = np.array(panel.values, dtype=np.float64)
    check_values(values, gaps=bool(get_tags(early).input_tags.allow_nan), min_length=0)
    return values, own_lengths(np.isnan(values))


class ReadsByParts:
    """Mixin of the adapters for sktime and aeon: fit, prediction of prefixes, and score.

    Both packages call these methods in the same way.
    """

    estimator: Any
    state_info: Any

    def _fit(self, X: Any, y: NDArray[Any]) -> Any:
        self.estimator_ = fitted_clone(self.estimator, X, getattr(self, "_marked__y", y))
        # Both packages have counted a value that marks unlabelled series as a class.
        self.classes_ = self.estimator_.classes_
        self.n_classes_ = len(self.classes_)
        self._class_dictionary = {label: i for i, label in enumerate(self.classes_)}
        return self

    def _predict(self, X: Any) -> Answers:
        return self._begin(X).labels()

    def _predict_proba(self, X: Any) -> Answers:
        return self._begin(X).probabilities()

    def _update_predict(self, X: Any) -> Answers:
        return self._go_on(X).labels()

    def _update_predict_proba(self, X: Any) -> Answers:
        return self._go_on(X).probabilities()

    def _begin(self, X: Any) -> Progress:
        self._progress = Progress(self.estimator_, X)
        self.state_info = self._progress.state_info()
        return self._progress

    def _go_on(self, X: Any) -> Progress:
        self._progress.go_on(X)
        self.state_info = self._progress.state_info()
        return self._progress

    def _score(self, X: Any, y: Any) -> tuple[float, float, float]:
        return scores(self.estimator_, X, y)

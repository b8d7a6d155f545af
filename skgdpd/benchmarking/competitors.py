"""Classifiers of other packages, fitted to the same prefixes."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from .._runtime.distributions import checked_answers
from .._runtime.extras import require
from .._series.truncation import prefix_length
from .._series.views import Normalizer, interpolate, resample

Array = NDArray[Any]

MIN_LENGTH = 9
"""Length of MiniRocket's kernels. Shorter prefixes are stretched to this length."""

MIN_LENGTH_ELSEWHERE = 10
"""Minimum prefix length for dotted names: some classifiers apply these kernels to differences."""


class CompetitorModel:
    """Classifier of arrays that gets prefixes of equal length without gaps.

    Parameters
    ----------
    clf : classifier
        A classifier with ``predict_proba`` or ``decision_function``.
    earliness : float
        The fraction of the longest series that is observed, in (0, 1].
    normalize : {"train", "prefix", "none"}
        ``"prefix"`` scales each channel of each prefix to mean 0 and standard deviation 1.
        Otherwise, values are unchanged, and any scaling by training statistics is done by the
        classifier.
    min_length : int, default=9
        The length to which shorter prefixes are stretched.
    semi_supervised : bool, default=False
        Whether the classifier supports unlabelled series, which have the label -1.
    """

    valid_loss: float | None = None
    n_parameters: int | None = None
    classes: Array

    def __init__(
        self,
        clf: Any,
        earliness: float,
        normalize: str,
        min_length: int = MIN_LENGTH,
        semi_supervised: bool = False,
    ) -> None:
        self.clf = clf
        self.earliness = earliness
        self.normalize = normalize
        self.min_length = min_length
        self.semi_supervised = semi_supervised
        self.seconds: dict[str, float] = {}
        self.chosen: dict[str, Any] = {}

    def fit(self, X: Array, y: Array, X_unlabeled: Array | None) -> None:
        self.classes, numbers = np.unique(y, return_inverse=True)
        self.length = prefix_length(self.earliness, X.shape[2])
        if self.semi_supervised and X_unlabeled is not None:
            X = np.concatenate([X, X_unlabeled])
            numbers = np.concatenate([numbers, np.full(len(X_unlabeled), -1)])
        self.clf.fit(self._prefixes(X), numbers)

    def predict_proba(self, X: Array) -> Array:
        answers = self._answers(self._prefixes(X))
        if self.semi_supervised:
            # Label spreading divides by zero where no label reaches a series.
            answers = np.where(np.isfinite(answers), answers, 1 / len(self.classes))
        numbers = np.arange(len(self.classes))
        order = np.asarray(getattr(self.clf, "classes_", numbers))
        if not np.array_equal(np.sort(order), numbers):
            raise ValueError(
                f"classes_ of {type(self.clf).__name__} are {order.tolist()}; after a fit to the "
                f"labels {numbers.tolist()}, they must be these"
            )
        proba = checked_answers(answers, len(X), order, type(self.clf).__name__)
        return proba[:, np.argsort(order)]

    def _answers(self, views: Array) -> Array:
        if hasattr(self.clf, "predict_proba"):
            return np.asarray(self.clf.predict_proba(views), dtype=np.float64)
        scores = np.asarray(self.clf.decision_function(views), dtype=np.float64)
        scores = np.stack([-scores, scores], 1) if scores.ndim == 1 else scores
        odds = np.exp(scores - scores.max(1, keepdims=True))
        return odds / odds.sum(1, keepdims=True)

    def teacher_proba(self, X: Array) -> Array | None:
        return None

    def _prefixes(self, X: Array) -> Array:
        views = interpolate(X[:, :, : self.length].astype(np.float32), None)
        views = np.nan_to_num(views)  # a channel with no value at all
        if self.normalize == "prefix":
            views = Normalizer("prefix")(views)
        return resample(views, self.min_length) if self.length < self.min_length else views


class _Rocket(TransformerMixin, BaseEstimator):
    """Transformer of arrays to features of sktime's MiniRocket, for one or more channels."""

    def __init__(self, random_state: int = 0) -> None:
        self.random_state = random_state

    def fit(self, X: Array, y: Array | None = None) -> _Rocket:
        rocket = require("sktime.transformations.rocket", "sktime", "for MiniRocket")
        name = "MiniRocket" if X.shape[1] == 1 else "MiniRocketMultivariate"
        self.rocket_ = getattr(rocket, name)(random_state=self.random_state).fit(X)
        return self

    def transform(self, X: Array) -> Array:
        return np.asarray(self.rocket_.transform(X), dtype=np.float32)


def _flat() -> FunctionTransformer:
    return FunctionTransformer(_flatten)


def _flatten(X: Array) -> Array:
    return X.reshape(len(X), -1)


def minirocket(seed: int) -> Any:
    """Make a ridge classifier of features, whose penalty is chosen by leave-one-out errors."""
    return make_pipeline(
        _Rocket(seed), StandardScaler(with_mean=False), RidgeClassifierCV(np.logspace(-3, 3, 10))
    )


def logistic(seed: int) -> Any:
    """Make a logistic regression, which has no use for the seed."""
    return make_pipeline(_flat(), StandardScaler(), LogisticRegression(max_iter=2000))


def extra_trees(seed: int) -> Any:
    """Make a forest of extremely randomised trees."""
    return make_pipeline(_flat(), ExtraTreesClassifier(500, random_state=seed))


def self_training(seed: int) -> Any:
    """Make a logistic regression that labels series itself, and has no use for the seed."""
    clf = SelfTrainingClassifier(LogisticRegression(max_iter=2000))
    return make_pipeline(_flat(), StandardScaler(), clf)


def label_spreading(seed: int) -> Any:
    """Make label spreading between neighbours, which has no use for the seed."""
    return make_pipeline(_flat(), StandardScaler(), LabelSpreading("knn", max_iter=1000))


def make_own(name: str, cls: Any, seed: int) -> Any:
    """Make a classifier of a class with a dotted name.

    Parameters
    ----------
    name : str
        The dotted name.
    cls : callable
        The class of scikit-learn, sktime, aeon or the caller. It gets the seed as
        ``random_state`` if it has this parameter, and has its default parameters otherwise.
    seed : int
        The seed.

    Returns
    -------
    classifier

    Raises
    ------
    ValueError
        If the class can't be made, or is no class of classifiers.
    """
    try:
        seeded = "random_state" in inspect.signature(cls).parameters
        clf = cls(random_state=seed) if seeded else cls()
    except Exception as error:  # of whatever is made
        raise ValueError(f"method={name!r} can't be made: {error}") from error
    if not (hasattr(clf, "predict_proba") or hasattr(clf, "decision_function")):
        raise ValueError(
            f"method={name!r} makes {type(clf).__name__}, which is not a classifier or distiller"
        )
    return clf if not name.startswith("sklearn.") else make_pipeline(_flat(), clf)

"""Fits of the comparison: probabilities at all moments, or decisions of other packages."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._early.classifier import EarlyClassifier
from ..._early.fixed import FixedTime
from ..._early.models import EVERY_TWENTIETH
from ..._estimators.distilled import DistilledPrefixClassifier
from ..._estimators.options import SeriesOptions
from ..._estimators.prefix import PrefixClassifier
from ..._runtime.extras import require
from ..._series.panel import own_lengths
from ..._series.split import stratified_split
from ..._series.truncation import moments_of
from ...datasets import TrainTest
from .cells import EarlyCell
from .clones import MiniRocketRidge

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LABELED_SHARE = 1 / 3
"""Fraction of the training series that keep their labels, for models with "third" in the name."""
SHORTEST_OF_AEON = 3
"""Number of points below which the early classifiers of aeon skip moments."""


@dataclass
class Fit:
    """Probabilities or decisions of a model for a data set.

    Attributes
    ----------
    time_points : ndarray of shape (n_moments,)
        Numbers of points at the moments.
    n_timepoints : int
        Number of points of a whole series.
    y : ndarray of shape (n,)
        Class indices of the labelled training series.
    y_test : ndarray of shape (n_test,)
        Class indices of the test series.
    last : ndarray of shape (n_test,)
        Index of the last moment that each test series reaches.
    left_out : ndarray of shape (n, n_moments, n_classes) or None
        Left-out probabilities of training series, from models fitted without the series; None
        for a model with its own rule.
    path : ndarray of shape (n_test, n_moments, n_classes) or None
        Probabilities of test series.
    moments, answers : ndarray of shape (n_test,) or None
        Indices of moments and classes of the decisions of a model with its own rule.
    seconds : dict of str to float
        CPU seconds of the fit and of the prediction of the test part.
    """

    time_points: Integers
    n_timepoints: int
    y: Integers
    y_test: Integers
    last: Integers
    left_out: Floats | None = None
    path: Floats | None = None
    moments: Integers | None = None
    answers: Integers | None = None
    seconds: dict[str, float] = field(default_factory=dict)


def bounded(parts: TrainTest, n_train: int | None, seed: int) -> TrainTest:
    """Draw a subset of the training series, stratified by class, if there are too many.

    Parameters
    ----------
    parts : TrainTest
        The data set.
    n_train : int or None
        Maximum number of training series; None means all.
    seed : int
        Seed of the draw.

    Returns
    -------
    TrainTest
        The data set with the drawn training part and the whole test part.
    """
    if n_train is None or len(parts.y) <= n_train:
        return parts
    numbers = np.unique(parts.y, return_inverse=True)[1]
    rows, _ = stratified_split(numbers, 1 - n_train / len(numbers), seed)
    return parts._replace(X=parts.X[rows], y=parts.y[rows])


def fit_model(cell: EarlyCell, parts: TrainTest) -> Fit:
    """Fit a model and apply it to the test part.

    Parameters
    ----------
    cell : EarlyCell
        The cell. Its model is one of these: ``ours`` (:class:`~skgdpd.EarlyClassifier` with its
        default classifier); ``clones`` (MiniRocket with ridge regression, fitted for each
        moment); ``aeon-teaser`` or ``aeon-threshold`` (early classifiers of aeon with the same
        MiniRocket); ``labels-third`` (as ``ours``, but fitted to a third of the training series,
        with their labels); ``unlabeled-third`` (with a teacher, this third with labels, and the
        other series without labels).
    parts : TrainTest
        The data set.

    Returns
    -------
    Fit
        The results. Test series without values before the first moment are left out.

    Raises
    ------
    ValueError
        If a test series has a label that does not occur in the training part.
    """
    classes, y = np.unique(parts.y, return_inverse=True)
    if len(unknown := np.setdiff1d(parts.y_test, classes)):
        raise ValueError(f"no training series of {cell.data} has the label {unknown[0]!s}")
    length = int(_lengths(parts.X).max())
    time_points = np.array(moments_of(list(EVERY_TWENTIETH), length))
    parts = _begun(parts, int(time_points[0]))
    ends = np.maximum(_lengths(parts.X_test), time_points[0])
    fit = Fit(
        time_points=time_points,
        n_timepoints=length,
        y=y,
        y_test=np.searchsorted(classes, parts.y_test),
        last=np.searchsorted(time_points, ends, side="right") - 1,
    )
    FITS[cell.model](cell, parts, fit)
    return fit


def _begun(parts: TrainTest, first: int) -> TrainTest:
    """Leave out test series without values before the first moment, which can't be classified."""
    begun = _lengths(parts.X_test[:, :, :first]) > 1
    return parts._replace(X_test=parts.X_test[begun], y_test=parts.y_test[begun])


def _ours(cell: EarlyCell, parts: TrainTest, fit: Fit) -> None:
    classifier = PrefixClassifier(**_settings(cell))
    _from_early_classifier(classifier, parts.X, parts.y, parts.X_test, fit)


def _labels_third(cell: EarlyCell, parts: TrainTest, fit: Fit) -> None:
    labeled, _ = _thirds(fit.y, cell.seed)
    fit.y = fit.y[labeled]
    classifier = PrefixClassifier(**_settings(cell))
    _from_early_classifier(classifier, parts.X[labeled], parts.y[labeled], parts.X_test, fit)


def _unlabeled_third(cell: EarlyCell, parts: TrainTest, fit: Fit) -> None:
    labeled, others = _thirds(fit.y, cell.seed)
    fit.y = fit.y[labeled]
    classifier = DistilledPrefixClassifier(**_settings(cell))
    X, y = parts.X[labeled], parts.y[labeled]
    _from_early_classifier(classifier, X, y, parts.X_test, fit, X_unlabeled=parts.X[others])


def _thirds(y: Integers, seed: int) -> tuple[Integers, Integers]:
    return stratified_split(y, 1 - LABELED_SHARE, seed)


def _settings(cell: EarlyCell) -> dict[str, Any]:
    return {
        "earliness": list(EVERY_TWENTIETH),
        "normalize": cell.normalize,
        "series": SeriesOptions(missing_values="interpolate"),
        "random_state": cell.seed,
    }


def _from_early_classifier(
    classifier: Any,
    X: NDArray[Any],
    y: NDArray[Any],
    X_test: NDArray[Any],
    fit: Fit,
    **fit_params: Any,
) -> None:
    seed = classifier.random_state
    early = EarlyClassifier(classifier, rule=FixedTime(), random_state=seed)
    fit.seconds["fit"] = _seconds(lambda: early.fit(X, y, **fit_params))
    start = time.process_time()
    fit.path = early.predict_proba_path(X_test)
    fit.seconds["predict"] = time.process_time() - start
    fit.left_out = early.left_out_path_[: len(y)]


def _clones(cell: EarlyCell, parts: TrainTest, fit: Fit) -> None:
    shape = len(fit.time_points), int(fit.y.max()) + 1
    fit.left_out = np.empty((len(parts.X), *shape))
    fit.path = np.empty((len(parts.X_test), *shape))
    fit.seconds = {"fit": 0.0, "predict": 0.0}
    for m, t in enumerate(fit.time_points):
        clone = MiniRocketRidge(cell.normalize, cell.seed)  # type: ignore[arg-type]
        start = time.process_time()
        clone.fit(parts.X[:, :, :t], parts.y)
        middle = time.process_time()
        fit.path[:, m] = clone.predict_proba(parts.X_test[:, :, :t])
        fit.seconds["fit"] += middle - start
        fit.seconds["predict"] += time.process_time() - middle
        fit.left_out[:, m] = clone.left_out_proba_
    # A series that has ended is answered by then, whatever the model.
    fit.left_out[_lengths(parts.X)[:, None] < fit.time_points] = np.nan
    fit.path[np.arange(len(fit.time_points)) > fit.last[:, None]] = np.nan


def _aeon(name: str) -> Callable[[EarlyCell, TrainTest, Fit], None]:
    def fit_with_aeon(cell: EarlyCell, parts: TrainTest, fit: Fit) -> None:
        early = getattr(_early_classifiers_of_aeon(cell.model), name)(
            estimator=MiniRocketRidge(cell.normalize, cell.seed),  # type: ignore[arg-type]
            classification_points=[
                int(t) for t in fit.time_points if t >= SHORTEST_OF_AEON
            ],
            random_state=cell.seed,
        )  # fmt: skip
        X, X_test = (carried_forward(x)[:, :, : fit.n_timepoints] for x in (parts.X, parts.X_test))
        fit.seconds["fit"] = _seconds(lambda: early.fit(X, fit.y))
        start = time.process_time()
        answers, _ = early.predict(X_test)
        fit.seconds["predict"] = time.process_time() - start
        fit.answers = np.asarray(answers).astype(np.int64)
        moments = np.searchsorted(fit.time_points, early.state_info[:, 3])
        fit.moments = np.minimum(moments, fit.last)

    return fit_with_aeon


def _early_classifiers_of_aeon(model: str) -> ModuleType:
    return require("aeon.classification.early_classification", "aeon", f"for model={model!r}")


def check_model(model: str) -> None:
    """Raise an error for a model whose package is not installed.

    Parameters
    ----------
    model : str
        Name of the model; see :func:`fit_model`.

    Raises
    ------
    ImportError
        If the model is from aeon, and aeon can't be imported.
    """
    if model.startswith("aeon-"):
        _early_classifiers_of_aeon(model)


FITS: dict[str, Callable[[EarlyCell, TrainTest, Fit], None]] = {
    "ours": _ours,
    "clones": _clones,
    "aeon-teaser": _aeon("TEASER"),
    "aeon-threshold": _aeon("ProbabilityThresholdEarlyClassifier"),
    "labels-third": _labels_third,
    "unlabeled-third": _unlabeled_third,
}
"""Functions that fill a :class:`Fit`, by the name of the model."""


def carried_forward(X: NDArray[Any]) -> NDArray[np.float64]:
    """Fill gaps with the last value before the gap, for classifiers that don't support gaps.

    Parameters
    ----------
    X : ndarray of shape (n, n_channels, n_timepoints)
        Series. Missing values, and values after the end of a series, are NaN.

    Returns
    -------
    ndarray of shape (n, n_channels, n_timepoints)
        Series without gaps, with 0 before the first value. No value depends on later ones.
    """
    seen = np.where(np.isnan(X), 0, np.arange(X.shape[2]))
    latest = np.maximum.accumulate(seen, axis=2)
    return np.nan_to_num(np.take_along_axis(np.asarray(X, np.float64), latest, axis=2))


def _lengths(X: NDArray[Any]) -> Integers:
    return own_lengths(np.isnan(np.asarray(X, dtype=np.float64)))


def _seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start

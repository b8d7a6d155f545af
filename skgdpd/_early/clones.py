"""Classifiers of other packages at several moments, with a clone for each moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import Parameter, signature
from typing import Any

import numpy as np
from joblib import delayed
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from .._runtime.distributions import checked_answers
from .._series.panel import (
    Panel,
    as_frames,
    as_list,
    check_values,
    own_lengths,
    read_panel,
)
from .._series.truncation import moments_of
from ..training.progress import SILENT, Progress
from .steps import in_order

SERIES_PACKAGES = ("aeon.", "sktime.", "skgdpd.")
"""Packages whose classifiers take series. Other classifiers take a row of numbers."""


class MomentClones(ClassifierMixin, BaseEstimator):
    """Classifier with a clone of another classifier for each of several moments.

    Each clone is fitted to the series cut at its moment. Classifiers of aeon, sktime and skgdpd
    take series. Other classifiers take a row of numbers for each series: its values up to the
    moment, one channel after the other.

    Parameters
    ----------
    estimator : classifier
        Classifier with ``predict_proba``. It is cloned, and stays unfitted.
    earliness : sequence of float or int
        Ascending moments, as shares of the length or as numbers of time points.
    n_jobs : int, default=None
        Number of processes in which clones are fitted. None means one.

    Attributes
    ----------
    estimators_ : list of classifiers
        Fitted clone of each moment.
    time_points_ : ndarray of shape (n_moments,)
        Number of time points at each moment.
    classes_ : ndarray of shape (n_classes,)
        Class labels in ascending order.
    n_channels_in_, n_timepoints_in_ : int
        Numbers of channels and of time points of the whole series.
    """

    def __init__(
        self, estimator: Any, earliness: Sequence[float], n_jobs: int | None = None
    ) -> None:
        self.estimator = estimator
        self.earliness = earliness
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, **fit_params: Any) -> MomentClones:
        """Fit a clone for each moment.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Whole series.
        y : array-like of shape (n_samples,)
            Labels.
        **fit_params
            Further arguments of the ``fit`` of each clone.

        Returns
        -------
        MomentClones
            The estimator itself.
        """
        return self.fit_shown(SILENT, X, y, **fit_params)

    def fit_shown(self, progress: Progress, X: Any, y: Any, **fit_params: Any) -> MomentClones:
        """Fit a clone for each moment, and show the progress by clones; see :meth:`fit`."""
        panel = read_panel(X)
        self.n_channels_in_, self.n_timepoints_in_ = panel.n_channels, panel.n_timepoints
        times = moments_of(self.earliness, panel.n_timepoints)
        self.time_points_ = np.array(times)
        calls = (
            delayed(_fitted)(clone(self.estimator), panel.first(t), y, fit_params) for t in times
        )
        self.estimators_ = in_order(calls, self.n_jobs, progress, "classifier")
        self.classes_ = np.asarray(self.estimators_[0].classes_)
        return self

    def predict_proba_path(self, X: Any) -> NDArray[np.float64]:
        """Return the class probabilities of series at all moments.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Series of any length.

        Returns
        -------
        ndarray of shape (n_samples, n_moments, n_classes)
            Class probabilities; NaN at the moments that a series has not reached.
        """
        panel = read_panel(X)
        ends = own_lengths(np.isnan(np.asarray(panel.values)))
        path = np.full((len(panel), len(self.time_points_), len(self.classes_)), np.nan)
        for m, t in enumerate(self.time_points_):
            rows = np.flatnonzero(ends >= t)
            if len(rows):
                path[rows, m] = self.proba_at(panel.take(rows).first(t), m)
        return path

    def proba_at(self, panel: Panel, moment: int) -> NDArray[np.float64]:
        """Return the class probabilities ``(n, n_classes)`` of series cut at a moment."""
        estimator = self.estimators_[moment]
        with _named_moment(estimator, panel, "predict"):
            proba = estimator.predict_proba(_form_for(estimator, panel))
            whose = f"the classifier, a {type(estimator).__name__},"
            return checked_answers(proba, len(panel), np.asarray(estimator.classes_), whose)


def check_clones(estimator: Any, panel: Panel, fit_params: Mapping[str, Any]) -> None:
    """Refuse values and arguments that the classifier can't take, before any clone is fitted.

    Parameters
    ----------
    estimator : classifier
        Classifier of a clone.
    panel : Panel
        Series, cut at the last moment.
    fit_params : mapping of str to object
        Further arguments of its ``fit``.

    Raises
    ------
    TypeError
        If its ``fit`` has no parameter of the name of an argument.
    ValueError
        If a value is infinite or too large for single precision. If a value is missing and the
        classifier does not allow it. A classifier of series allows NaN after the end of a series.
    """
    taken = signature(estimator.fit).parameters
    if not any(each.kind is Parameter.VAR_KEYWORD for each in taken.values()):
        for name in fit_params:
            if name not in taken:
                raise TypeError(
                    f"{name} is given, but the fit of the classifier {type(estimator).__name__} "
                    f"does not take it; leave it out, or give another classifier"
                )
    check_values(
        np.asarray(panel.values),
        ragged=_package(estimator) is not None,
        gaps=allows_missing(estimator),
    )


def allows_missing(classifier: Any) -> bool:
    """Return whether a classifier of any package takes missing values."""
    # Classifiers of sktime have only sktime's own tags.
    if hasattr(classifier, "get_tag"):
        return bool(classifier.get_tag("capability:missing_values"))
    return bool(get_tags(classifier).input_tags.allow_nan)


def _fitted(estimator: Any, panel: Panel, y: Any, fit_params: dict[str, Any]) -> Any:
    with _named_moment(estimator, panel, "be fitted to"):
        return estimator.fit(_form_for(estimator, panel), y, **fit_params)


@contextmanager
def _named_moment(estimator: Any, panel: Panel, what: str) -> Iterator[None]:
    """Add the classifier and the moment to the errors of a clone."""
    try:
        yield
    except Exception as error:
        kinds = (ValueError, TypeError, RuntimeError)
        raise next((kind for kind in kinds if isinstance(error, kind)), RuntimeError)(
            f"classifier {type(estimator).__name__} could not {what} series of "
            f"{panel.n_timepoints} time points: {error}"
        ) from error


def _form_for(estimator: Any, panel: Panel) -> Any:
    """Return series in the form that a classifier takes."""
    values = np.asarray(panel.values, dtype=np.float64)
    package = _package(estimator)
    if package is None:
        return values.reshape(len(values), -1)
    if package != "skgdpd." and (own_lengths(np.isnan(values)) < values.shape[2]).any():
        return as_frames(values) if package == "sktime." else as_list(values)
    return values


def _package(estimator: Any) -> str | None:
    """Return the name of the classifier's package if it is one of SERIES_PACKAGES, or else None.

    The package of a pipeline is the package of its first step.
    """
    first = estimator.steps[0][1] if isinstance(estimator, Pipeline) else estimator
    modules = [f"{cls.__module__}." for cls in type(first).__mro__]
    return next((p for p in SERIES_PACKAGES if any(m.startswith(p) for m in modules)), None)

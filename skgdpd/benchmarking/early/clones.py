"""MiniRocket with ridge regression, fitted separately to the prefixes of each moment."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from ..._series.views import Normalization, Normalizer, interpolate
from ...nets.closed_form import ridge, span
from ...nets.minirocket import MiniRocket

AT_ONCE = 1000
"""Number of series whose features are held in memory at once."""


class MiniRocketRidge(ClassifierMixin, BaseEstimator):
    """MiniRocket with ridge regression, calibrated by leave-one-out scores.

    Parameters
    ----------
    normalize : {"train", "prefix"}, default="train"
        Whether series are normalised by statistics of the training part or of each series.
    random_state : int, default=0
        Seed of MiniRocket.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels in ascending order.
    left_out_proba_ : ndarray of shape (n_samples, n_classes)
        Leave-one-out probabilities: those of each training series from the ridge regression
        fitted without the series.
    """

    def __init__(self, normalize: Normalization = "train", random_state: int = 0) -> None:
        self.normalize = normalize
        self.random_state = random_state

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> MiniRocketRidge:
        """Fit the classifier.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_channels, n_timepoints)
            Series. Gaps are filled by linear interpolation.
        y : ndarray of shape (n_samples,)
            Labels.

        Returns
        -------
        MiniRocketRidge
            The estimator itself.
        """
        self.classes_, number = np.unique(y, return_inverse=True)
        filled = _filled(X)
        self.normalizer_ = Normalizer(self.normalize).fit(filled)
        series = torch.from_numpy(self.normalizer_(filled))
        # aeon gives its clones a RandomState.
        seed = self.random_state
        if isinstance(seed, np.random.RandomState):
            seed = int(seed.randint(np.iinfo(np.int32).max))
        self.rocket_ = MiniRocket(*series.shape[1:]).fit(series, None, seed)
        self.span_ = span(self.rocket_(series))
        target = torch.nn.functional.one_hot(torch.from_numpy(number)).double()
        self.head_ = ridge(self.span_.coordinates, target)
        self.left_out_proba_ = _softmax(self.head_.scale * self.head_.left_out)
        return self

    def predict_proba(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Return class probabilities.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_channels, n_timepoints)
            Series as long as those of the fit.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        series = torch.from_numpy(self.normalizer_(_filled(X)))
        parts = []
        for part in series.split(AT_ONCE):
            coordinates = (self.rocket_(part).double() - self.span_.mean) @ self.span_.basis
            scores = coordinates @ self.head_.weight + self.head_.bias
            parts.append(_softmax(self.head_.scale * scores))
        return np.concatenate(parts)

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return the labels of series.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_channels, n_timepoints)
            Series as long as those of the fit.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return np.asarray(self.classes_[self.predict_proba(X).argmax(1)])


def _filled(X: NDArray[Any]) -> NDArray[np.float32]:
    # A channel may have no value at all.
    return np.nan_to_num(interpolate(np.asarray(X, dtype=np.float32), None))


def _softmax(scores: torch.Tensor) -> NDArray[np.float64]:
    return np.asarray(torch.softmax(scores, -1).numpy(), dtype=np.float64)

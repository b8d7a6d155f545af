"""LuPTS as a method of a benchmark: a closed form without student and teacher."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._estimators.lupts import LuPTSClassifier
from .._series.truncation import prefix_length
from .._series.views import Normalizer, interpolate

Array = NDArray[Any]


class LuPTSModel:
    """LuPTS for series with gaps, of unequal length, and of any scale.

    Gaps of the prefix are interpolated from the prefix only. Later gaps are interpolated from the
    whole series. After the end of a series, its last value is repeated.

    Parameters
    ----------
    clf : LuPTSClassifier
        The unfitted classifier.
    normalize : {"train", "prefix", "none"}
        ``"train"`` scales each channel by mean and standard deviation of the labelled series.
        ``"prefix"`` scales each channel of a series by those of its prefix. ``"none"`` does not
        change values.
    """

    valid_loss: float | None = None
    n_parameters: int | None = None
    classes: Array

    def __init__(self, clf: LuPTSClassifier, normalize: str) -> None:
        self.clf = clf
        self.how: Any = None if normalize == "none" else normalize
        self.seconds: dict[str, float] = {}
        self.chosen: dict[str, Any] = {}

    def fit(self, X: Array, y: Array, X_unlabeled: Array | None) -> None:
        """Fit to whole series."""
        self.length = prefix_length(self.clf.earliness, X.shape[2])
        labelled = self._filled(X)
        self.normalizer = Normalizer(self.how).fit(labelled)
        unlabelled = None if X_unlabeled is None else self._scaled(self._filled(X_unlabeled))
        self.clf.fit(self._scaled(labelled), y, X_unlabeled=unlabelled)
        self.classes = self.clf.classes_

    def predict_proba(self, X: Array) -> Array:
        """Return the class probabilities of series, computed from their prefixes."""
        seen = self._scaled(self._filled(X[:, :, : self.length]))
        return np.asarray(self.clf.predict_proba(seen), dtype=np.float64)

    def teacher_proba(self, X: Array) -> Array | None:
        """Return None, since there is no teacher."""
        return None

    def _filled(self, X: Array) -> Array:
        values = X.astype(np.float32)
        seen = interpolate(values[:, :, : self.length], None)
        values[:, :, : self.length] = np.nan_to_num(seen)  # 0 for a channel without values
        return interpolate(values, None)

    def _scaled(self, values: Array) -> Array:
        return self.normalizer(values, values[:, :, : self.length])

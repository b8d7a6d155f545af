"""Logarithms of class probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class LogProbabilities:
    """Mixin for classifiers with ``predict_proba``."""

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Return logarithms of class probabilities of series.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            As in ``predict_proba``.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Natural logarithms of ``predict_proba``, in the order of ``classes_``. A probability
            of 0 gives minus infinity.
        """
        with np.errstate(divide="ignore"):
            logarithms: NDArray[np.float64] = np.log(
                self.predict_proba(X)  # type: ignore[attr-defined]
            )
        return logarithms

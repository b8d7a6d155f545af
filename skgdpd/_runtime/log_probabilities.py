"""Logarithms of class probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def log_probabilities(proba: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the natural logarithms of probabilities; log(0) is minus infinity."""
    with np.errstate(divide="ignore"):
        logarithms: NDArray[np.float64] = np.log(proba)
    return logarithms

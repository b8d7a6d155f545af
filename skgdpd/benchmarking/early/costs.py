"""Costs of the comparison: two regimes, with four weights of errors in each.

Both regimes weight the cost of errors by alpha and the cost of delay by 1 - alpha. In the first
regime, an error costs alpha, and a prediction after the fraction s of a series costs
(1 - alpha) * s. In the second regime, an error on the smallest class costs 100 * alpha, and any
other error costs alpha. Delay costs (1 - alpha) * 100**s, which rises from 1 - alpha to
100 * (1 - alpha).

Source: A. Renault et al., "Early classification of time series: a survey and benchmark", TMLR,
arXiv 2406.18332.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..._early.costs import DecisionCost, decision_cost

ALPHAS = (0.2, 0.5, 0.8, 0.9)
"""Weights of errors."""
REGIMES = ("linear", "rare")
"""Names of the regimes."""
DEAR = 100.0
"""Factor of the cost of errors on the smallest class, and of the cost of delay over a series."""


def survey_cost(
    regime: str,
    alpha: float,
    time_points: NDArray[np.int64],
    n_timepoints: int,
    class_sizes: NDArray[np.int64],
) -> DecisionCost:
    """Return the costs of a regime.

    Parameters
    ----------
    regime : {"linear", "rare"}
        The regime.
    alpha : float
        Weight of errors, in (0, 1).
    time_points : ndarray of shape (n_moments,)
        Numbers of points at the moments.
    n_timepoints : int
        Number of points of a whole series.
    class_sizes : ndarray of shape (n_classes,)
        Number of training series of each class. If several classes are smallest, the first one is
        used.

    Returns
    -------
    DecisionCost

    Raises
    ------
    ValueError
        If the regime is unknown.
    """
    if regime not in REGIMES:
        raise ValueError(f"regime={regime!r}; allowed are {', '.join(REGIMES)}")
    n_classes = len(class_sizes)
    errors = alpha * (1.0 - np.eye(n_classes))
    shares = np.asarray(time_points) / n_timepoints
    delay = (1 - alpha) * shares
    if regime == "rare":
        errors[int(np.argmin(class_sizes))] *= DEAR
        delay = (1 - alpha) * DEAR**shares
    return decision_cost(delay, errors, time_points.tolist(), n_timepoints, range(n_classes))

"""Intervals of shares, which say how much a number of series tells."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

LEVEL = 0.95
UNDEFINED = "-"
"""Shown in place of a score that has no value, as the recall of a class without series."""


def wilson(part: int, whole: int) -> tuple[float, float]:
    """Return Wilson's interval of a share, at the confidence :data:`LEVEL`.

    Unlike the customary interval it lies within 0 and 1, and has a width where all or none of the
    series were answered rightly. Source: E. B. Wilson, Probable inference, the law of succession,
    and statistical inference, Journal of the American Statistical Association 22 (1927).

    Parameters
    ----------
    part, whole : int
        Numbers of the series that count, and of all; there is one at least.

    Returns
    -------
    low, high : float
        The interval.
    """
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    middle = part + z * z / 2
    half = z * sqrt(part * (whole - part) / whole + z * z / 4)
    return max((middle - half) / (whole + z * z), 0), min((middle + half) / (whole + z * z), 1)


def interval_of(part: int, whole: int) -> str:
    """Return Wilson's interval to print."""
    if not whole:
        return UNDEFINED
    low, high = wilson(part, whole)
    return f"{low:.2f}-{high:.2f}"


def share_of(part: int, whole: int) -> str:
    """Return a share to print."""
    return f"{part / whole:.4f}" if whole else UNDEFINED


def per_100(part: int, whole: int) -> str:
    """Return how many of 100 a share is, to print."""
    return f"{100 * part / whole:.1f}" if whole else UNDEFINED

"""Intervals of shares, which say how much a number of series tells."""

from __future__ import annotations

from ..plotting.reliability import wilson

UNDEFINED = "-"
"""Shown in place of a score that has no value, as the recall of a class without series."""


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

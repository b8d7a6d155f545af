"""Numbers of things in words, in the singular or the plural, and the first of many."""

from __future__ import annotations

from collections.abc import Sequence

NAMED = 6
"""Largest number of columns of time points that are named."""


def forced_note(n: int, n_answers: int) -> str:
    """Return the sentence that says how many answers were forced, at least one."""
    if n == 1:
        return (
            f"1 of {n_answers} answers was forced: this series ended before the stopping rule was "
            f"satisfied"
        )
    return (
        f"{n} of {n_answers} answers were forced: these series ended before the stopping rule was "
        f"satisfied"
    )


def counted(n: int, one: str, several: str) -> str:
    """Return a number with the words that follow it."""
    return f"{n} {one if n == 1 else several}"


def shortened(names: Sequence[str], most: int) -> str:
    """Return the first names, at most so many, and the number of the others."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def wide_words(points: Sequence[str]) -> str:
    """Return the layout of a file with a row for each series, and its columns of time points."""
    return f"a row for each series, time points from {shortened(points, NAMED)}"

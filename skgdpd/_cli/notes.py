"""Sentences about numbers of series, in the singular or the plural."""

from __future__ import annotations


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

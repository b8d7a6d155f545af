"""Times of programs that take turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def alternate(
    programs: Sequence[Callable[[], Any]],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
    n_warm: int = 3,
) -> list[list[float]]:
    """Seconds of each program, run in turn so that a busy machine is busy for all.

    Parameters
    ----------
    programs : sequence of callable
        What is timed.
    repeats : int
        Rounds in which each runs once.
    clock : callable, optional
        In seconds.
    n_warm : int, default=3
        Rounds before these, which do not count.
    """
    times: list[list[float]] = [[] for _ in programs]
    for i in range(-n_warm, repeats):
        for program, seconds in zip(programs, times, strict=True):
            start = clock()
            program()
            if i >= 0:
                seconds.append(clock() - start)
    return times


def take_turns(
    programs: Mapping[str, Callable[[], object]],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Time programs in turn.

    Parameters
    ----------
    programs : mapping of str to callable
        The first is the baseline.
    repeats : int
        Rounds in which each runs once, after one round that does not count.
    clock : callable, optional
        In seconds.

    Returns
    -------
    dict of str to float
        Milliseconds of the baseline; for the others how many times faster than it they are: the
        median over the rounds, so that a slow moment of the machine counts for none.
    """
    (first, *others) = programs
    baseline, *rest = alternate(list(programs.values()), repeats, clock, n_warm=1)
    return {
        first: 1e3 * statistics.median(baseline),
        **{
            name: statistics.median(b / own for b, own in zip(baseline, times, strict=True))
            for name, times in zip(others, rest, strict=True)
        },
    }

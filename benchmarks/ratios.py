"""Time programs that alternate, and compare their times."""

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
    """Time each program, run in turn so that a busy machine is busy for all.

    Parameters
    ----------
    programs : sequence of callable
        The programs that are timed.
    repeats : int
        Number of rounds. Each program runs once a round.
    clock : callable, default=time.perf_counter
        A function that returns the time in seconds.
    n_warm : int, default=3
        Number of rounds before these, which do not count.

    Returns
    -------
    list of list of float
        The seconds of each program, by round.
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
    """Compare programs with the first of them.

    Parameters
    ----------
    programs : mapping of str to callable
        The programs by name. The first is the baseline.
    repeats : int
        Number of rounds, after one round that does not count.
    clock : callable, default=time.perf_counter
        A function that returns the time in seconds.

    Returns
    -------
    dict of str to float
        The milliseconds of the baseline, and for each of the others how many times faster it is:
        the median of the ratios of all rounds, so that a slow moment of the machine counts for
        none.
    """
    (first, *others) = programs
    baseline, *rest = alternate(list(programs.values()), repeats, clock, n_warm=1)
    return {first: 1e3 * statistics.median(baseline)} | {
        name: median_ratio(baseline, times) for name, times in zip(others, rest, strict=True)
    }


def median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Return the median of the ratios of two programs' times in the same rounds.

    Parameters
    ----------
    above, below : sequence of float
        The times of each program, by round.

    Returns
    -------
    float
    """
    return statistics.median(a / b for a, b in zip(above, below, strict=True))

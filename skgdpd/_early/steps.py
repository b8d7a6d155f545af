"""Steps of a fit that are shown while they run: clones, folds and the rule."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from joblib import Parallel, effective_n_jobs

from ..training.progress import Progress


def in_order(
    calls: Iterable[Any], n_jobs: int | None, progress: Progress, stage: str
) -> list[Any]:
    """Return the results of calls, in processes or one after the other.

    Parameters
    ----------
    calls : iterable of joblib's delayed calls
        The calls.
    n_jobs : int or None
        Number of processes, as in joblib.
    progress : Progress
        Progress that counts a unit for each call. Those of several processes are counted at their
        end, since not every backend of joblib tells more.
    stage : str
        Name of the calls.

    Returns
    -------
    list
        Results in the order of the calls.
    """
    progress.stage(stage)
    if effective_n_jobs(n_jobs) != 1:
        results = Parallel(n_jobs=n_jobs)(calls)
        progress.advance(len(results))
        return list(results)
    found = []
    for function, args, kwargs in calls:
        found.append(function(*args, **kwargs))
        progress.advance(1)
    return found

"""Steps of a fit, such as clones and folds, which run in processes or in sequence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from joblib import Parallel, effective_n_jobs

from ..training.progress import Progress


def in_order(
    calls: Iterable[Any], n_jobs: int | None, progress: Progress, stage: str
) -> list[Any]:
    """Return the results of calls, which run in several processes or in sequence.

    Parameters
    ----------
    calls : iterable of joblib's delayed calls
        Calls to run.
    n_jobs : int or None
        Number of processes, as in joblib.
    progress : Progress
        Progress bar, which advances by one for each call. With several processes, it advances
        only after the last call, because not every backend of joblib reports single calls.
    stage : str
        Name of the stage on the progress bar.

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

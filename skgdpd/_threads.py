"""How many threads torch uses, one in each worker of a parallel search.

Workers that each run a thread a core stand in one another's way, and the number of threads
changes the order of sums, so the last bits of what is learnt. With one thread in every worker a
search gives the same however many workers there are, whichever backend runs them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from joblib.parallel import get_active_backend


def in_worker() -> bool:
    """Whether this is a worker of joblib (loky, threads, ray) or of dask."""
    if get_active_backend()[0].nesting_level:
        return True
    # dask's workers count no nesting, and a client's side shows the same backend.
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return False
    try:
        distributed.get_worker()
    except ValueError:
        return False
    return True


@contextmanager
def same_threads() -> Iterator[None]:
    """Let torch use as many threads after the block as before it, whatever happens within.

    Numba sets OpenMP's number of threads, which is torch's too, when it starts its own.
    """
    found = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(found)


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Let torch use so many threads within the block, and as many as before after it.

    Parameters
    ----------
    count : int or None
        None changes nothing.
    """
    if count is None or count == torch.get_num_threads():
        yield
        return
    with same_threads():
        torch.set_num_threads(count)
        yield


@contextmanager
def one_thread_in_workers() -> Iterator[None]:
    """Let torch use one thread within the block if this is a worker, and as before after it.

    Also a decorator. Outside workers it changes nothing.
    """
    with torch_threads(1 if in_worker() else None):
        yield

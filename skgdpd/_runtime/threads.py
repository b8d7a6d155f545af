"""The number of threads that torch uses.

Workers of a parallel search that each run as many threads as there are cores stand in one
another's way, and the number of threads changes the order of sums and so the last bits of what is
learnt. With one thread in every worker a search gives the same result however many workers there
are, whichever backend runs them.

A network that is run in many short pieces, one after the other, is slower on two threads than on
one, because the threads wait for each other after every piece. ``python -m skgdpd.benchmarking
threads`` measures where that is so. The choice depends on shapes alone and not on a trial run, so
that the same seed gives the same bits.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import torch
from joblib.parallel import get_active_backend
from torch import nn

from .config import setting

SHARED_AT_ONCE = 5_000_000
"""Multiplications of one forward pass from which on several threads share them."""

SHARED_A_STEP = 500_000
"""Multiplications of one time step of a recurrent network, whose steps can't be run at once, from
which on several threads share them."""

SHARED_VECTORS = 30_000_000
"""Multiplications of one forward pass over vectors from which on several threads share them: a
perceptron on features is many small pieces for its size."""

_sizes: WeakKeyDictionary[nn.Module, tuple[int, bool]] = WeakKeyDictionary()


def in_worker() -> bool:
    """Return whether this thread is a worker of joblib (loky, threads, ray) or of dask."""
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
        The number of threads; None changes nothing.
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

    Outside workers nothing is changed.
    """
    with torch_threads(1 if in_worker() else None):
        yield


@contextmanager
def chosen_threads(
    module: nn.Module, shape: Sequence[int], device: torch.device
) -> Iterator[None]:
    """Run a network on one thread within a ``with`` block, if more would not make it faster.

    Afterwards torch has as many threads as before. The setting ``choose_threads`` of
    :func:`skgdpd.set_config` turns the choice off.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    shape : sequence of int
        Shape of a batch: ``(n, n_channels, n_timepoints)`` or ``(n, n_features)``.
    device : torch.device
        The network's device; on others than the CPU nothing is chosen.
    """
    choice = device.type == "cpu" and setting("choose_threads") and torch.get_num_threads() > 1
    with torch_threads(1 if choice and not shared(module, shape) else None):
        yield


def shared(module: nn.Module, shape: Sequence[int]) -> bool:
    """Return whether a batch of this shape is enough work for several threads.

    The count of multiplications assumes that each weight is used once at each time point, which
    is about right for convolutions and for recurrent layers.

    Parameters
    ----------
    module : torch.nn.Module
        Network.
    shape : sequence of int
        Shape of the batch: ``(n, n_channels, n_timepoints)`` or ``(n, n_features)``.

    Returns
    -------
    bool
        True if several threads are faster than one.
    """
    if module not in _sizes:
        recurrent = any(isinstance(part, nn.RNNBase) for part in module.modules())
        _sizes[module] = sum(p.numel() for p in module.parameters()), recurrent
    n_parameters, recurrent = _sizes[module]
    if recurrent:
        return shape[0] * n_parameters >= SHARED_A_STEP
    if len(shape) == 2:
        return shape[0] * n_parameters >= SHARED_VECTORS
    return shape[0] * n_parameters * shape[2] >= SHARED_AT_ONCE

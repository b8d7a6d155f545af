"""The number of threads that torch uses.

If each worker of a parallel search runs as many threads as there are cores, the workers slow each
other down. The number of threads also changes the order of sums, and therefore the last bits of
the result. With one thread in every worker, a search gives the same result for any number of
workers and any backend.

A network that consists of many short operations is slower on two threads than on one, because the
threads wait for each other after every operation. ``python benchmarks/timings.py threads``
measures for which networks this holds. The number of threads depends on shapes only, not on a
trial run, so that the same seed gives the same bits.
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
"""Number of multiplications of a forward pass above which several threads are used."""

SHARED_A_STEP = 500_000
"""Number of multiplications of one time step of a recurrent network above which several threads
are used. Time steps can't be run in parallel."""

SHARED_VECTORS = 30_000_000
"""Number of multiplications of a forward pass over vectors above which several threads are used.
It is higher, because a perceptron on features consists of many small operations for its size."""

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
    """Restore torch's number of threads after a block.

    When numba starts its threads, it sets OpenMP's number of threads, which torch also uses.
    """
    found = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(found)


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Set torch's number of threads within a block, and restore it afterwards.

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
    """Let torch use one thread within a block if this thread is a worker.

    The number of threads is restored afterwards. Outside workers, nothing is changed.
    """
    with torch_threads(1 if in_worker() else None):
        yield


@contextmanager
def chosen_threads(
    module: nn.Module, shape: Sequence[int], device: torch.device
) -> Iterator[None]:
    """Run a network on one thread within a ``with`` block, if several would not be faster.

    The number of threads is restored afterwards. The setting ``choose_threads`` of
    :func:`skgdpd.set_config` disables this choice.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    shape : sequence of int
        Shape of a batch: ``(n, n_channels, n_timepoints)`` or ``(n, n_features)``.
    device : torch.device
        Device of the network. On devices other than the CPU, nothing is changed.
    """
    choice = device.type == "cpu" and setting("choose_threads") and torch.get_num_threads() > 1
    with torch_threads(1 if choice and not shared(module, shape) else None):
        yield


def shared(module: nn.Module, shape: Sequence[int]) -> bool:
    """Return whether a batch of this shape is enough work for several threads.

    The number of multiplications is estimated under the assumption that each weight is used once
    at each time point, which approximately holds for convolutions and recurrent layers.

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

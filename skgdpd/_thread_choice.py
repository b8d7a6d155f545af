"""Fewer threads for work too small to share.

A network that is run in many short pieces, one after the other, runs slower on two threads than
on one: they wait for each other after every piece. ``python -m skgdpd.benchmarking threads``
measures where that is so. The choice depends on shapes alone and not on a trial run, so that the
same seed gives the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from weakref import WeakKeyDictionary

import torch
from torch import nn

from ._threads import torch_threads

SHARED_AT_ONCE = 5_000_000
"""Multiplications of one forward pass from which on threads share them."""

SHARED_A_STEP = 500_000
"""The same of one time step of a recurrent network, whose steps can't be run at once."""

SHARED_VECTORS = 30_000_000
"""The same where rows are vectors: a perceptron on features is many small pieces for its size."""

_chosen: ContextVar[bool] = ContextVar("threads_chosen", default=True)
_sizes: WeakKeyDictionary[nn.Module, tuple[int, bool]] = WeakKeyDictionary()


@contextmanager
def keep_threads() -> Iterator[None]:
    """Let fits and predictions within a ``with`` block use as many threads as torch is set to.

    Examples
    --------
    >>> from skgdpd.training import keep_threads
    >>> with keep_threads():
    ...     pass
    """
    token = _chosen.set(False)
    try:
        yield
    finally:
        _chosen.reset(token)


@contextmanager
def chosen_threads(
    module: nn.Module, shape: Sequence[int], device: torch.device
) -> Iterator[None]:
    """Run a network on one thread within a ``with`` block, if more would not make it faster.

    Afterwards torch has as many threads as before.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    shape : sequence of int
        Of a batch: ``(n, n_channels, n_timepoints)`` or ``(n, n_features)``.
    device : torch.device
        Where it runs; elsewhere than on the CPU nothing is chosen.
    """
    alone = device.type == "cpu" and _chosen.get() and torch.get_num_threads() > 1
    with torch_threads(1 if alone and not shared(module, shape) else None):
        yield


def shared(module: nn.Module, shape: Sequence[int]) -> bool:
    """Whether a batch of this shape is work enough for several threads.

    Each weight is taken to be used once at each time point, which counts multiplications well
    for convolutions and for recurrent layers.
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

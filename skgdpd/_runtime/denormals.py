"""Denormal numbers, which are smaller than the smallest normal number, treated as zero.

Weights or states that decay, for instance under a strong penalty or in a long recurrence, become
denormal. Processors compute much more slowly with denormal numbers than with zero; see
``docs/performance.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

BELOW_NORMAL = 1e-40


def flushes_denormals() -> bool:
    """Return whether torch treats denormal numbers as zero in this thread."""
    return not bool(torch.tensor(BELOW_NORMAL) * 1)


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Treat denormal numbers as zero within a block, and restore the old mode afterwards.

    The mode applies to the thread of the block and to the threads of torch's operations in it. If
    the processor doesn't support this mode, nothing changes.
    """
    found = flushes_denormals()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(found)

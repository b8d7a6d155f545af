"""Numbers below the smallest normal one, taken as zero.

Where weights or states fade away, as under a strong penalty or in a long recurrence, they become
smaller than the smallest normal number. Processors are many times slower with such numbers than
with zero; see ``docs/performance.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

BELOW_NORMAL = 1e-40


def flushes_denormals() -> bool:
    """Return whether torch takes numbers below the normal ones as zero in this thread."""
    return not bool(torch.tensor(BELOW_NORMAL) * 1)


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Take numbers below the normal ones as zero within the block, and as found after it.

    This holds in the thread of the block and in those that share torch's operations with it. A
    processor that can't take them as zero goes on as before.
    """
    found = flushes_denormals()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(found)

"""Adam with all weights updated by one kernel, or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_fused: ContextVar[bool] = ContextVar("fused_adam", default=True)


@contextmanager
def fused_adam(enabled: bool) -> Iterator[None]:
    """Choose whether trainings within a ``with`` block use torch's fused Adam.

    Parameters
    ----------
    enabled : bool
        True, what happens outside of any block, updates all weights in one kernel. False leaves
        the choice to torch: some kernels for all weights on CUDA, a loop over them on a CPU. The
        results differ by rounding.

    Notes
    -----
    The choice holds for the thread that makes it, not for workers that it starts.

    Examples
    --------
    >>> from skgdpd.training import fused_adam
    >>> with fused_adam(False):
    ...     pass
    """
    token = _fused.set(bool(enabled))
    try:
        yield
    finally:
        _fused.reset(token)


def fused_setting() -> bool | None:
    """What torch's optimizers get as ``fused``."""
    return True if _fused.get() else None

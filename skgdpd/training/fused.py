"""Adam with all weights updated by one kernel, or not."""

from __future__ import annotations

from .._runtime.config import setting


def fused_setting() -> bool | None:
    """Return the argument ``fused`` of torch's optimizers; see :func:`skgdpd.set_config`."""
    return True if setting("fused_adam") else None

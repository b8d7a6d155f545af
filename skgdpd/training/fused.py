"""The setting for a fused Adam, which updates all weights in one kernel."""

from __future__ import annotations

from .._runtime.config import setting


def fused_setting() -> bool | None:
    """Return the argument ``fused`` for torch's optimizers; see :func:`skgdpd.set_config`."""
    return True if setting("fused_adam") else None

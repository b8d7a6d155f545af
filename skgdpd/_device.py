"""Which device to train on."""

from __future__ import annotations

import torch


def resolve_device(device: str | torch.device) -> torch.device:
    """Turn ``"auto"`` and names into a device that is there.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` is CUDA where there is one, else the CPU.

    Raises
    ------
    ValueError
        If the device is not one, or is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(0, device=resolved)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device={device!r} can't be used ({reason}); allowed are 'auto', 'cpu' and, where "
            f"torch finds one, 'cuda' or 'cuda:N'"
        ) from error
    return resolved

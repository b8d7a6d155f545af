"""Choice of the device for training."""

from __future__ import annotations

import torch


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device that a name refers to.

    Parameters
    ----------
    device : str or torch.device
        A device name of torch, or ``"auto"`` for CUDA if it is available, else the CPU.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If this machine has no such device, or if the device is ``"meta"``, which stores no
        values.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        # On "meta", which holds no values, this is refused as well.
        torch.zeros(1, device=resolved).item()
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device={device!r} can't be used ({reason}); allowed are 'auto', 'cpu' and, where "
            f"torch finds one, 'cuda' or 'cuda:N'"
        ) from error
    return resolved

"""Choice of the device to train on."""

from __future__ import annotations

import torch


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device that a name stands for.

    Parameters
    ----------
    device : str or torch.device
        A name of torch's, or ``"auto"`` for CUDA where there is such a device, else the CPU.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If this machine has no such device, or if it is ``"meta"``, which holds no values.
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

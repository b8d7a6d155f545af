"""The state of a training between two epochs, as a value."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class TrainingState:
    """State of a training after an epoch, on which its rest depends besides its start.

    Attributes
    ----------
    tensors : dict of str to Tensor
        Weights, moments, averages and states of generators, on the CPU.
    facts : dict
        Epochs done, history, learning rates and the like, as numbers, strings and containers of
        these.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return copies of the tensors named ``prefix`` and a dot, without these in the names."""
        start = f"{prefix}."
        return {
            name.removeprefix(start): tensor.clone()
            for name, tensor in self.tensors.items()
            if name.startswith(start)
        }

    def to_bytes(self) -> bytes:
        """Return the content of a file that torch opens with ``weights_only=True``."""
        buffer = io.BytesIO()
        torch.save({"tensors": self.tensors, "facts": self.facts}, buffer)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> TrainingState:
        """Make a state of what :meth:`to_bytes` returned, without running code from it."""
        loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return cls(loaded["tensors"], loaded["facts"])


def copies(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return copies on the CPU, with names that begin with ``prefix`` and a dot."""
    # Copies keep their strides: convolutions and their moments are stored in their own order.
    return {
        f"{prefix}.{name}": tensor.detach().to("cpu", copy=True)
        for name, tensor in tensors.items()
        if isinstance(tensor, Tensor)
    }


def plain(value: Any) -> Any:
    """Turn numpy's numbers into Python's, so that files open without numpy's pickles."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(plain(item) for item in value)
    return value

"""The state of a training between two epochs, as an object that can be stored."""

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
    """State of a training after an epoch: everything that affects the rest and may have changed.

    Attributes
    ----------
    tensors : dict of str to Tensor
        Weights, moments of the optimizer, averages and states of generators, on the CPU.
    facts : dict
        Number of finished epochs, history, learning rates and similar facts, as numbers, strings
        and containers of numbers and strings.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return copies of the tensors whose names begin with ``prefix.``, without this prefix."""
        start = f"{prefix}."
        return {
            name.removeprefix(start): tensor.clone()
            for name, tensor in self.tensors.items()
            if name.startswith(start)
        }

    def to_bytes(self) -> bytes:
        """Return the content of a file that torch loads with ``weights_only=True``."""
        buffer = io.BytesIO()
        torch.save({"tensors": self.tensors, "facts": self.facts}, buffer)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> TrainingState:
        """Return the state stored by :meth:`to_bytes`; no stored code is run."""
        loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return cls(loaded["tensors"], loaded["facts"])


def copies(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return copies of tensors on the CPU, with ``prefix.`` before their names."""
    # Copies keep their strides: convolutions and their moments are stored in their own order.
    return {
        f"{prefix}.{name}": tensor.detach().to("cpu", copy=True)
        for name, tensor in tensors.items()
        if isinstance(tensor, Tensor)
    }


def plain(value: Any) -> Any:
    """Convert numpy numbers to Python numbers, so that files don't contain numpy pickles."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(plain(item) for item in value)
    return value

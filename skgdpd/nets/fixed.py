"""Buffers that no training changes, and copies of a network that share them."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import Tensor, nn

from .protocols import own_fixed_buffers

M = TypeVar("M", bound=nn.Module)


def fixed_buffers(module: nn.Module) -> list[Tensor]:
    """Return the buffers that all parts of a network declare fixed."""
    return [buffer for part in module.modules() for buffer in own_fixed_buffers(part)]


def statistics(module: nn.Module) -> dict[str, Tensor]:
    """Return the floating-point buffers that a training may change, by name."""
    fixed = {id(buffer) for buffer in fixed_buffers(module)}
    return {
        name: value
        for name, value in module.named_buffers()
        if value.is_floating_point() and id(value) not in fixed
    }


def copy_trained(module: M) -> M:
    """Return a copy with parameters of its own that shares the fixed buffers with the module."""
    return copy.deepcopy(module, {id(buffer): buffer for buffer in fixed_buffers(module)})

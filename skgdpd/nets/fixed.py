"""Buffers that training never changes, and copies of a network that share them."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import Tensor, nn

from .protocols import own_fixed_buffers

M = TypeVar("M", bound=nn.Module)


def fixed_buffers(module: nn.Module) -> list[Tensor]:
    """Return the fixed buffers of all submodules of a network."""
    return [buffer for part in module.modules() for buffer in own_fixed_buffers(part)]


def statistics(module: nn.Module) -> dict[str, Tensor]:
    """Return the floating-point buffers that training may change, by name."""
    fixed = {id(buffer) for buffer in fixed_buffers(module)}
    return {
        name: value
        for name, value in module.named_buffers()
        if value.is_floating_point() and id(value) not in fixed
    }


def copy_trained(module: M) -> M:
    """Return a copy of the module that shares its fixed buffers but not its parameters."""
    return copy.deepcopy(module, {id(buffer): buffer for buffer in fixed_buffers(module)})

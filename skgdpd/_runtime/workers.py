"""Data-parallel training: several processes train one network, each on its part of every batch.

With the setting ``data_parallel`` of :func:`skgdpd.set_config`, each process computes the loss of
a part of the batch. Gradients, the statistics of batch normalisation, and the losses of an epoch
are summed over processes. Every process takes the step that a single process would take on the
whole batch. The weights of all processes therefore stay equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from .config import setting


def _group() -> Any:
    """Return the group of processes that currently train together, or None."""
    group = setting("data_parallel")
    if group is False:
        return None
    return dist.group.WORLD if group is True else group


def is_shared() -> bool:
    """Return whether training is currently divided among processes."""
    return setting("data_parallel") is not False


def rank() -> int:
    """Return the rank of this process; 0 if it trains alone."""
    group = _group()
    return 0 if group is None else dist.get_rank(group)


def own_part(index: Tensor) -> Tensor:
    """Return the row numbers of a batch that this process has to compute."""
    group = _group()
    if group is None:
        return index
    n_workers = dist.get_world_size(group)
    if len(index) < n_workers:
        raise ValueError(
            f"a batch of {len(index)} series can't be shared by {n_workers} processes; set "
            f"batch_size to {n_workers} at least, or start fewer"
        )
    return index.tensor_split(n_workers)[dist.get_rank(group)]


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.group = _group()
        x = x.contiguous().clone()
        dist.all_reduce(x, group=ctx.group)
        return x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous().clone()
        dist.all_reduce(gradient, group=ctx.group)
        return gradient


def total(x: Tensor) -> Tensor:
    """Return the differentiable sum of a tensor over all processes."""
    if _group() is None:
        return x
    result: Tensor = _Total.apply(x)
    return result


def share(n_rows: int, device: torch.device) -> Tensor:
    """Return the rows of this process as a fraction of the rows of all processes, in (0, 1]."""
    return n_rows / total(torch.tensor(float(n_rows), device=device))


def sum_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace each gradient by its sum over all processes, in one communication step."""
    # A parameter without a gradient here has none elsewhere: all compute the same terms.
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    dist.all_reduce(flat, group=_group())
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))

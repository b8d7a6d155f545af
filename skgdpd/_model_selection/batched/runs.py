"""Many trainings at once, with a leading axis of M members for everything that differs.

The weights of M networks of one shape are the rows of one tensor. A step of Adam, an average of
weights, or a copy of the best weights therefore needs only a few operations for all members. Each
member has its own learning rate and weight decay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..._fitting.preparation import Preparation
from ...training.batches import RowBatches, Rows, sent
from ...training.fitting import TrainingConfig, _scheduler
from ...training.history import History
from ...training.objective import Objective


@dataclass(eq=False)
class Run:
    """One training of several that run at once.

    Attributes
    ----------
    module, objective, rows, config, valid_rows, shuffle_seed, noise_seed, \
first_selected_epoch : object
        Arguments of :func:`~skgdpd.training.fitting.train`.
    trainable : set of str
        Names of the module's parameters that are trained.
    history : History
        Loss terms by epoch, filled in by the training.
    error : FloatingPointError or None
        Reason for an early end of training; None if training did not diverge.
    """

    module: nn.Module
    objective: Objective
    rows: Rows
    config: TrainingConfig
    valid_rows: Rows | None = None
    shuffle_seed: int = 0
    noise_seed: int = 0
    first_selected_epoch: int = 0
    trainable: set[str] = field(default_factory=set)
    history: History = field(default_factory=History)
    error: FloatingPointError | None = None


def run_of(preparation: Preparation) -> Run:
    """Return the training of a prepared network."""
    module = preparation.module
    return Run(
        module,
        preparation.objective,
        preparation.rows,
        preparation.config.for_network(module),
        preparation.valid_rows,
        preparation.seeds("shuffle"),
        preparation.seeds("noise"),
        preparation.first_selected_epoch,
        {name for name, parameter in module.named_parameters() if parameter.requires_grad},
    )


class StackedState:
    """Parameters and running statistics of M modules of one shape, as rows of one tensor.

    Parameters
    ----------
    modules : sequence of torch.nn.Module
        M modules of the same shapes.
    trained, statistics : sequence of str
        Names of the parameters that are trained, and of the floating-point buffers that change.

    Attributes
    ----------
    values : Tensor of shape (M, n_parameters + n_statistics)
        Values of the trained parameters, then of the floating-point buffers.
    n_parameters : int
        Number of trained values of one module.
    """

    def __init__(
        self, modules: Sequence[nn.Module], trained: Sequence[str], statistics: Sequence[str]
    ) -> None:
        first = modules[0]
        parameters, buffers = dict(first.named_parameters()), dict(first.named_buffers())
        self.parameter_names = list(trained)
        self.names = [*trained, *statistics]
        tensors = [parameters[name] for name in trained] + [buffers[name] for name in statistics]
        self.shapes = [tensor.shape for tensor in tensors]
        self.sizes = [tensor.numel() for tensor in tensors]
        self.n_parameters = sum(self.sizes[: len(self.parameter_names)])
        rows = []
        for module in modules:
            own: dict[str, Tensor] = dict(module.named_parameters())
            own.update(module.named_buffers())
            rows.append(torch.cat([own[name].detach().reshape(-1) for name in self.names]))
        self.values = torch.stack(rows)

    @property
    def parameters(self) -> Tensor:
        """Values of the trained parameters, ``(M, n_parameters)``."""
        return self.values[:, : self.n_parameters]

    def split(self, values: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """Return consecutive tensors ``(M, *shape)`` by name from their columns in ``values``."""
        first = self.names.index(names[0])
        sizes = self.sizes[first : first + len(names)]
        parts = values.split(sizes, 1)
        shapes = self.shapes[first : first + len(names)]
        return {
            name: part.view(len(values), *shape)
            for name, part, shape in zip(names, parts, shapes, strict=True)
        }

    def columns(self, names: Sequence[str]) -> slice:
        """Return the columns of consecutive tensors."""
        first = self.names.index(names[0])
        at = sum(self.sizes[:first])
        return slice(at, at + sum(self.sizes[first : first + len(names)]))

    def keep(self, members: Tensor) -> None:
        """Keep these members only."""
        self.values = self.values.index_select(0, members)


def bind(module: nn.Module, state: StackedState, row: Tensor, gradient: Tensor | None) -> None:
    """Make the tensors of a module, and their gradients, views of rows.

    Parameters
    ----------
    module : torch.nn.Module
        Module of the state's shapes.
    state : StackedState
        Layout of the rows.
    row : Tensor of shape (n_parameters + n_statistics,)
        Values of the module from now on.
    gradient : Tensor of shape (n_parameters,), optional
        Tensor to which gradients are added.
    """
    at = 0
    for i, (name, size, shape) in enumerate(
        zip(state.names, state.sizes, state.shapes, strict=True)
    ):
        owner_name, _, leaf = name.rpartition(".")
        owner = module.get_submodule(owner_name)
        view = row[at : at + size].view(shape)
        if i < len(state.parameter_names):
            parameter = getattr(owner, leaf)
            parameter.data = view
            if gradient is not None:
                parameter.grad = gradient[at : at + size].view(shape)
        else:
            owner._buffers[leaf] = view
        at += size


class BatchedAdam:
    """Adam or AdamW on the rows of a matrix, with separate rates and step counts for each row.

    Parameters
    ----------
    like : Tensor of shape (M, n_parameters)
        Parameters; only their shape, type and device matter.
    weight_decay : Tensor of shape (M, 1)
        Weight decay of each member.
    decoupled : bool
        Whether the weight decay is decoupled (AdamW); otherwise it is an L2 penalty.
    """

    beta2, eps = 0.999, 1e-8

    def __init__(self, like: Tensor, weight_decay: Tensor, decoupled: bool) -> None:
        self.mean = torch.zeros_like(like, memory_format=torch.contiguous_format)
        self.square = torch.zeros_like(self.mean)
        self.weight_decay = weight_decay
        self.decoupled = decoupled
        self.n_steps = torch.zeros(len(like), 1, dtype=torch.float64)

    def step(self, parameters: Tensor, gradient: Tensor, lr: Tensor, beta1: float) -> None:
        """Update ``parameters (a, n)``, of the first ``a`` members, in place; ``lr`` is (a, 1)."""
        a = len(parameters)
        mean, square, decay = self.mean[:a], self.square[:a], self.weight_decay[:a]
        self.n_steps[:a] += 1
        corrected1 = 1 - beta1 ** self.n_steps[:a]
        corrected2 = (1 - self.beta2 ** self.n_steps[:a]).sqrt()
        # Computed in double precision on the host, and sent to the device as one tensor.
        numbers = torch.stack([-lr / corrected1, corrected2, 1 - lr * decay, decay])
        scale, root, kept, decay = sent(numbers.to(parameters.dtype), parameters.device)
        if self.decoupled:
            parameters.mul_(kept)
        else:
            gradient = torch.addcmul(gradient, decay, parameters)
        mean.lerp_(gradient, 1 - beta1)
        square.mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        denominator = square.sqrt().div_(root).add_(self.eps)
        parameters.add_((mean / denominator).mul_(scale))

    def keep(self, members: Tensor) -> None:
        """Keep these members only."""
        self.mean, self.square = self.mean[members], self.square[members]
        on_host = members.cpu()
        self.weight_decay, self.n_steps = self.weight_decay[on_host], self.n_steps[on_host]


def learning_rates(config: TrainingConfig, n_batches: int) -> list[tuple[float, float]]:
    """Return the learning rate of each step, as a fraction of the peak, and Adam's first beta."""
    dummy = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.Adam([dummy], lr=config.rate)
    make, per = _scheduler(config, n_batches)
    scheduler: Any = make(optimizer) if make is not None else None
    optimizer.step()  # has no gradients; a scheduler warns without a step before it
    group, rates = optimizer.param_groups[0], []
    for step in range(config.max_epochs * n_batches):
        rates.append((float(group["lr"]) / config.rate, float(group["betas"][0])))
        if scheduler is not None and (per == "batch" or (step + 1) % n_batches == 0):
            scheduler.step()
    return rates


def stacked_numbers(batches: Sequence[RowBatches], device: torch.device) -> Sequence[Tensor]:
    """Return the row numbers of the batches of all members in an epoch.

    Parameters
    ----------
    batches : sequence of RowBatches
        Batches of each member. Their number and sizes must be equal.
    device : torch.device
        Device of the numbers.

    Returns
    -------
    sequence of Tensor of shape (M, n)
        Row numbers, with one tensor for each batch.
    """
    parts = [list(own.numbers()) for own in batches]
    orders = torch.stack([torch.cat(own) for own in parts])
    return sent(orders, device).split([len(part) for part in parts[0]], 1)


class BestRows:
    """Best epoch of each member, and its state after that epoch.

    Parameters
    ----------
    first_epochs : sequence of int
        First epoch of each member that may be selected.
    """

    def __init__(self, first_epochs: Sequence[int]) -> None:
        self.first_epochs = np.asarray(first_epochs)
        self.losses = np.full(len(first_epochs), np.inf)
        self.epochs = np.full(len(first_epochs), -1)
        self.values: Tensor | None = None

    def update(self, epoch: int, losses: np.ndarray, values: Tensor) -> None:
        """Store the state of the members whose loss has decreased."""
        better = (losses < self.losses) & (epoch >= self.first_epochs)
        if not better.any():
            return
        self.losses = np.where(better, losses, self.losses)
        self.epochs = np.where(better, epoch, self.epochs)
        if self.values is None:
            self.values = values.clone()
        else:
            members = torch.from_numpy(np.flatnonzero(better)).to(values.device)
            self.values.index_copy_(0, members, values.index_select(0, members))

    def patience_over(self, epoch: int, n_epochs: int) -> np.ndarray:
        """Return a mask of the members whose best epoch is ``n_epochs`` ago or more."""
        return (self.epochs >= 0) & (epoch - self.epochs >= n_epochs)

    def keep(self, members: Tensor) -> None:
        """Keep these members only."""
        on_host = members.cpu().numpy()
        self.first_epochs, self.losses = self.first_epochs[on_host], self.losses[on_host]
        self.epochs = self.epochs[on_host]
        if self.values is not None:
            self.values = self.values.index_select(0, members)


class RowAverages:
    """Exponential moving average of each row, as in :class:`~.averaging.WeightAverage`.

    Parameters
    ----------
    values : Tensor of shape (M, n)
        Initial values.
    n_steps : float
        Time constant of the average, in steps.
    """

    def __init__(self, values: Tensor, n_steps: float) -> None:
        self.values = values.clone()
        self.n_steps = max(n_steps, 1.0)
        self.n_updates = 0

    def update(self, values: Tensor) -> None:
        """Update the average with the current values."""
        self.n_updates += 1
        self.values.lerp_(values, max(1 / self.n_steps, 1 / self.n_updates))

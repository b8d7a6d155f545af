"""Averages of weights over the last steps of a training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..nets.fixed import copy_trained, statistics


class WeightAverage:
    """Exponential moving average of a module's weights and running statistics.

    Parameters
    ----------
    module : torch.nn.Module
        The module that is trained.
    n_steps : float
        Time constant of the average: after this number of further steps, the influence of a step
        has fallen to 1/e. At the start, the average is over the steps made so far, so that the
        initial weights have no influence.

    Attributes
    ----------
    module : torch.nn.Module
        A copy with averaged weights, in evaluation mode. It shares all tensors that training
        leaves unchanged.

    References
    ----------
    B. Polyak, A. Juditsky, "Acceleration of stochastic approximation by averaging", SIAM J.
    Control and Optimization, 1992.
    """

    def __init__(self, module: nn.Module, n_steps: float) -> None:
        self.module = copy_trained(module).requires_grad_(False).eval()
        self.n_steps = max(n_steps, 1.0)
        self.n_updates = 0
        self._means, self._live = _changing(self.module), _changing(module)

    def update(self) -> None:
        """Include the current weights of the module in the average."""
        self.n_updates += 1
        share = max(1 / self.n_steps, 1 / self.n_updates)
        with torch.no_grad():
            torch._foreach_lerp_(self._means, self._live, share)


def _changing(module: nn.Module) -> list[Tensor]:
    return [*(p.detach() for p in module.parameters()), *statistics(module).values()]

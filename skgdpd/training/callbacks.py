"""What happens between epochs: keeping the best weights, stopping early, showing progress."""

from __future__ import annotations

import copy
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback

from .progress import Progress


class BestWeights(Callback):
    """Keeps the weights of the epoch with the lowest validation loss, and restores them.

    Parameters
    ----------
    first_epoch : int
        Epochs before this one (a warm-up) don't compete.
    monitor : str, default="valid_loss"
        Name of the loss in the history; where it is missing, the last epoch's weights stay.

    Attributes
    ----------
    best_epoch_ : int or None
        The epoch kept, counted from 0.
    """

    def __init__(self, first_epoch: int = 0, monitor: str = "valid_loss") -> None:
        self.first_epoch = first_epoch
        self.monitor = monitor

    def on_train_begin(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.best_epoch_: int | None = None
        self.best_loss_ = float("inf")
        self.best_weights_: dict[str, torch.Tensor] | None = None

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        epoch = len(net.history) - 1
        loss = net.history[-1].get(self.monitor)
        if loss is None or epoch < self.first_epoch or not loss < self.best_loss_:
            return
        self.best_epoch_, self.best_loss_ = epoch, loss
        weights = net.evaluated_module.state_dict()
        if self.best_weights_ is None:
            self.best_weights_ = copy.deepcopy(weights)
        else:
            kept = [self.best_weights_[name] for name in weights]
            torch._foreach_copy_(kept, list(weights.values()))

    def on_train_end(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        weights = self.best_weights_ or net.evaluated_module.state_dict()
        if net.evaluated_module is not net.module_ or self.best_weights_ is not None:
            net.module_.load_state_dict(weights)
        self.best_weights_ = None


class StopTraining(Exception):
    """Raised by a callback to end a training in good order."""


class Patience(Callback):
    """Stops a training whose best epoch is too long ago.

    Parameters
    ----------
    best : BestWeights
        Knows the best epoch.
    n_epochs : int
        Epochs without a better one after which to stop.
    """

    def __init__(self, best: BestWeights, n_epochs: int) -> None:
        self.best = best
        self.n_epochs = n_epochs

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        if self.is_over(net):
            raise StopTraining

    def is_over(self, net: NeuralNet) -> bool:
        """Whether a net with this history should stop."""
        best = self.best.best_epoch_
        return best is not None and len(net.history) - 1 - best >= self.n_epochs


class ShowProgress(Callback):
    """Advances a progress bar once an epoch, and ends the training where that says so.

    Parameters
    ----------
    progress : Progress
        The bar.
    units : float, default=1.0
        Units of an epoch.

    Attributes
    ----------
    may_stop : bool
        Whether the training may be ended here; not while others will go on from its state.
    """

    def __init__(self, progress: Progress, units: float = 1.0) -> None:
        self.progress = progress
        self.units = units
        self.may_stop = True

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.progress.begin_epoch(net)

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        row = net.history[-1]
        shown = {name: row[name] for name in net.term_names_ if name in row}
        values = {"epoch": len(net.history), **shown}
        if self.progress.end_epoch(net, self.units, values) and self.may_stop:
            raise StopTraining

    def skip(self, n_epochs: int) -> None:
        """Count epochs that were done before."""
        self.progress.advance(self.units * n_epochs)

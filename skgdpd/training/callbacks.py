"""Callbacks that run between epochs: best weights, early stopping and progress."""

from __future__ import annotations

import copy
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback

from .progress import Progress


class BestWeights(Callback):
    """Callback that keeps the weights of the epoch with the lowest validation loss.

    At the end of training, the module gets these weights.

    Parameters
    ----------
    first_epoch : int
        The first epoch whose weights may be kept, counted from 0. Earlier epochs are a warm-up.
    monitor : str, default="valid_loss"
        Name of the loss in the history. If the history has no such loss, the weights of the last
        epoch are kept.

    Attributes
    ----------
    best_epoch_ : int or None
        The epoch whose weights are kept, counted from 0.
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
    """Exception that a callback raises to end training regularly."""


class Patience(Callback):
    """Callback that stops training after a number of epochs without improvement.

    Parameters
    ----------
    best : BestWeights
        The callback that finds the best epoch.
    n_epochs : int
        Number of epochs without improvement after which training stops.
    """

    def __init__(self, best: BestWeights, n_epochs: int) -> None:
        self.best = best
        self.n_epochs = n_epochs

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        if self.is_over(net):
            raise StopTraining

    def is_over(self, net: NeuralNet) -> bool:
        """Return whether training should stop, given the history of the net."""
        best = self.best.best_epoch_
        return best is not None and len(net.history) - 1 - best >= self.n_epochs


class ShowProgress(Callback):
    """Callback that advances a progress bar once an epoch.

    It ends training if the method ``end_epoch`` of the bar returns True.

    Parameters
    ----------
    progress : Progress
        The progress bar.
    units : float, default=1.0
        Units of the bar for each epoch.

    Attributes
    ----------
    may_stop : bool
        Whether the bar may end training. It is False while other trainings depend on the state
        that this one reaches.
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
        """Count epochs that were run in an earlier fit."""
        self.progress.advance(self.units * n_epochs)

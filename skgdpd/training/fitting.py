"""Training of a module for an objective, and the settings of training."""

from __future__ import annotations

import math
import os
import pickle
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from joblib import Memory
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR, OneCycleLR

from .._runtime.denormals import flushed_denormals
from .._runtime.fingerprint import fingerprint
from .._runtime.threads import chosen_threads
from ..nets.protocols import suitable_lr
from ..nets.student import SeriesNet
from .batches import Batch, RowBatches, Rows, StreamedRows
from .callbacks import BestWeights, Patience, ShowProgress
from .checkpoint import Checkpoints
from .fused import fused_setting
from .history import History
from .net import TermNet
from .objective import Objective
from .progress import SILENT, Progress
from .run import TrainingRun
from .sharing import share_warmup

LearningRateSchedule = Literal["one-cycle", "cosine", "constant", "halving", "halving-per-batch"]

MILESTONES = (25, 30, 35)
"""Epochs at which the GDPD paper halves the learning rate."""

LR = 1e-3
"""Learning rate of networks that start from random weights."""


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of the training of a network. They are part of the key of a cached fit.

    Attributes
    ----------
    max_epochs : int
        Maximum number of passes over the training part.
    batch_size : int or "auto"
        Number of series in a step; see :func:`resolve_batch_size`.
    lr : float or "auto"
        Learning rate, or the peak of the schedule. See :func:`resolve_lr`.
    weight_decay : float
        Weight decay: decoupled with ``"adamw"``, an L2 penalty with ``"adam"``.
    optimizer : {"adamw", "adam"}
        Optimizer of torch.
    lr_schedule : {"one-cycle", "cosine", "constant", "halving", "halving-per-batch"}
        Schedule of the learning rate. ``"halving"`` follows the GDPD paper, which halves the rate
        at epochs 25, 30 and 35. ``"halving-per-batch"`` follows the reference program of the
        paper, which halves the rate at batches 25, 30 and 35.
    averaging_epochs : float
        Number of epochs over which weights are averaged; 0 means no averaging.
    patience : int or None
        Number of epochs without a better validation loss after which training stops; None means
        no early stopping.
    precision : {"float32", "bf16"}
        Number format of the network's computations. It is applied when the network is made.
    """

    max_epochs: int
    batch_size: int | str = "auto"
    lr: float | str = LR
    weight_decay: float = 1e-2
    optimizer: Literal["adamw", "adam"] = "adamw"
    lr_schedule: LearningRateSchedule = "one-cycle"
    averaging_epochs: float = 0.0
    patience: int | None = None
    precision: Literal["float32", "bf16"] = "float32"

    @property
    def optimizer_class(self) -> type[torch.optim.AdamW] | type[torch.optim.Adam]:
        """Class of the optimizer in torch."""
        return torch.optim.AdamW if self.optimizer == "adamw" else torch.optim.Adam

    @property
    def rate(self) -> float:
        """Learning rate as a number."""
        return LR if isinstance(self.lr, str) else self.lr

    def for_network(self, module: nn.Module) -> TrainingConfig:
        """Return the settings for one network, with ``lr="auto"`` replaced by a number."""
        trained = module.backbone if isinstance(module, SeriesNet) else module
        return replace(self, lr=resolve_lr(self.lr, trained))


def resolve_batch_size(batch_size: int | str, n_rows: int) -> int:
    """Return the batch size; ``"auto"`` means a tenth of the series, but from 16 to 64.

    For small data sets, many steps matter more than smooth gradients.

    Parameters
    ----------
    batch_size : int or "auto"
        The parameter of an estimator.
    n_rows : int
        Number of series.

    Returns
    -------
    int
    """
    return int(np.clip(n_rows // 10, 16, 64)) if isinstance(batch_size, str) else batch_size


def resolve_lr(lr: float | str, backbone: nn.Module) -> float:
    """Return the learning rate; ``"auto"`` means ``suitable_lr`` of the backbone, else 1e-3.

    Parameters
    ----------
    lr : float or "auto"
        The parameter of an estimator.
    backbone : torch.nn.Module
        The network that is trained.

    Returns
    -------
    float
    """
    return suitable_lr(backbone, LR) if isinstance(lr, str) else lr


def resolve_epochs(
    max_epochs: int | str, n_rows: int, batch_size: int, *, n_steps: int, at_least: int
) -> int:
    """Return the number of epochs; ``"auto"`` means as many as ``n_steps`` steps need.

    Parameters
    ----------
    max_epochs : int or "auto"
        The parameter of an estimator.
    n_rows : int
        Number of rows.
    batch_size : int
        Number of rows in a step.
    n_steps : int
        Number of steps for ``"auto"``.
    at_least : int
        Minimum number of epochs for ``"auto"``, however many steps they need.

    Returns
    -------
    int
    """
    if not isinstance(max_epochs, str):
        return max_epochs
    return max(math.ceil(n_steps / math.ceil(n_rows / batch_size)), at_least)


def train(
    module: nn.Module,
    objective: Objective,
    rows: Rows,
    config: TrainingConfig,
    *,
    valid_rows: Rows | None = None,
    shuffle_seed: int = 0,
    noise_seed: int = 0,
    first_selected_epoch: int = 0,
    progress: Progress = SILENT,
    progress_units: float = 1.0,
    role: str = "network",
    memory: Memory | None = None,
    checkpoints: Checkpoints | None = None,
    visit: Callable[[nn.Module], None] | None = None,
    visited_epochs: Sequence[int] = (),
) -> History:
    """Train a module in place.

    Parameters
    ----------
    module : torch.nn.Module
        The module, on the device of the rows.
    objective : Objective
        The loss, on the same device. Its parameters are trained, too.
    rows : Rows
        Training rows.
    config : TrainingConfig
        Settings of the training.
    valid_rows : Rows, optional
        Validation rows. If given, the module ends with the weights of its best epoch.
    shuffle_seed, noise_seed : int, default=0
        Seeds of the order of rows and of the noise of the objective. Dropout draws from the
        global generators of torch, which estimators seed before training and restore afterwards.
    first_selected_epoch : int, default=0
        First epoch whose weights may be kept as the best.
    progress : Progress
        Progress bar, advanced once an epoch.
    progress_units : float, default=1.0
        Units of the bar for each epoch.
    role : str, default="network"
        Name of the trained network for errors, such as "student".
    memory : joblib.Memory, optional
        Cache of the warm-up, if the objective has a warm-up that other trainings may share.
    checkpoints : Checkpoints, optional
        Files to which the state of training is written, and from which a killed training
        continues.
    visit : callable, optional
        Function that is called after each of ``visited_epochs`` with the module that training
        would return if it ended there. The function must not change the module. It can't be
        combined with ``checkpoints``, because a continued training does not repeat earlier
        epochs.
    visited_epochs : sequence of int, default=()
        Numbers of epochs in ascending order.

    Returns
    -------
    History
        The loss terms of each epoch.

    Raises
    ------
    FloatingPointError
        If a loss term of an epoch is not finite, which means that training has diverged.
    """
    run = make_run(
        module,
        objective,
        rows,
        config,
        valid_rows=valid_rows,
        shuffle_seed=shuffle_seed,
        noise_seed=noise_seed,
        first_selected_epoch=first_selected_epoch,
        progress=progress,
        progress_units=progress_units,
        role=role,
    )
    config = config.for_network(module)
    # Both before anything is restored: they describe the start.
    start = (module, shuffle_seed, noise_seed, torch.get_rng_state())
    # What is made for each batch can't be recognised again.
    streamed = isinstance(rows, StreamedRows) or isinstance(valid_rows, StreamedRows)
    warmup = None if memory is None or streamed else objective.warmup()
    if warmup is not None:
        warmup_key = _key(
            *(start, warmup.settings, warmup.leaves, replace(config, patience=None)),
            *(_tensors(part, warmup.rows) for part in (rows, valid_rows)),
        )
    if checkpoints is not None:
        parts = (_tensors(rows), _tensors(valid_rows))
        settings = (objective, config, first_selected_epoch)
        checkpoints.follow(run, None if streamed else _key(start, *settings, *parts))
    batch_size = resolve_batch_size(config.batch_size, len(rows))
    shape = (min(batch_size, len(rows)), *rows.shape)
    with chosen_threads(module, shape, rows.device), flushed_denormals():
        if memory is not None and warmup is not None and warmup_key is not None:
            share_warmup(
                run,
                min(warmup.n_epochs, first_selected_epoch),
                warmup_key,
                memory,
                leaves=warmup.leaves,
                max_epochs=config.max_epochs,
            )
        if visit is not None:
            for epoch in visited_epochs:
                run.advance(epoch)
                visit(run.net.evaluated_module)
        run.advance(config.max_epochs)
        run.finish()
    module.eval()
    objective.finish(module, valid_rows)
    return History(
        terms={
            name: np.array([row.get(name, 0.0) for row in run.net.history])
            for name in run.net.term_names_
        },
        best_epoch=run.best.best_epoch_,
        n_validation=0 if valid_rows is None else len(valid_rows),
    )


def make_run(
    module: nn.Module,
    objective: Objective,
    rows: Rows,
    config: TrainingConfig,
    *,
    valid_rows: Rows | None = None,
    shuffle_seed: int = 0,
    noise_seed: int = 0,
    first_selected_epoch: int = 0,
    progress: Progress = SILENT,
    progress_units: float = 1.0,
    role: str = "network",
) -> TrainingRun:
    """Return a training before its first epoch, to be advanced epoch by epoch.

    Parameters
    ----------
    module : torch.nn.Module
        The module, on the device of the rows.
    objective : Objective
        The loss, on the same device. Its parameters are trained, too.
    rows : Rows
        Training rows.
    config : TrainingConfig
        Settings of the training.
    valid_rows : Rows, optional
        Validation rows. If given, the module ends with the weights of its best epoch.
    shuffle_seed, noise_seed : int, default=0
        Seeds of the order of rows and of the noise of the objective.
    first_selected_epoch : int, default=0
        First epoch whose weights may be kept as the best.
    progress : Progress
        Progress bar, advanced once an epoch.
    progress_units : float, default=1.0
        Units of the bar for each epoch.
    role : str, default="network"
        Name of the trained network for errors, such as "student".

    Returns
    -------
    TrainingRun
        Training before its first epoch.
    """
    shuffle = torch.Generator().manual_seed(shuffle_seed)
    config = config.for_network(module)
    batch_size = resolve_batch_size(config.batch_size, len(rows))
    batches = RowBatches(rows, batch_size, shuffle)
    best = BestWeights(first_selected_epoch)
    show = ShowProgress(progress, progress_units)
    patience = None if config.patience is None else Patience(best, config.patience)
    callbacks: list[Any] = [("best", best), ("progress", show)]
    if patience is not None:
        # It comes last, as it raises, and callbacks behind it would miss the epoch.
        callbacks.append(("patience", patience))
    scheduler, per = _scheduler(config, len(batches))
    net = TermNet(
        module,
        objective,
        train_batches=batches,
        valid_rows=valid_rows,
        scheduler=scheduler,
        scheduler_steps=per,
        noise_seed=noise_seed,
        averaging_steps=config.averaging_epochs * len(batches),
        role=role,
        max_epochs=config.max_epochs,
        optimizer=config.optimizer_class,
        optimizer__weight_decay=config.weight_decay,
        optimizer__fused=fused_setting(),
        lr=config.rate,
        callbacks=callbacks,
        device=None,
        verbose=0,
    )
    return TrainingRun(net, rows, shuffle, best, show, patience)


def _key(*parts: Any) -> str | None:
    """Return a fingerprint; None if a part, such as a module's lambda, can't be pickled."""
    try:
        return fingerprint(*parts)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None


def _tensors(rows: Rows | None, names: Collection[str] | None = None) -> Batch:
    tensors = {} if rows is None else rows.tensors
    return {k: v for k, v in tensors.items() if names is None or k in names}


def _scheduler(
    config: TrainingConfig, n_batches: int
) -> tuple[Callable[[torch.optim.Optimizer], Any] | None, str]:
    n_steps = config.max_epochs * n_batches
    match config.lr_schedule:
        case "one-cycle":
            return partial(OneCycleLR, max_lr=config.rate, total_steps=max(n_steps, 2)), "batch"
        case "cosine":
            return partial(CosineAnnealingLR, T_max=n_steps), "batch"
        case "halving":
            return partial(MultiStepLR, milestones=MILESTONES, gamma=0.5), "epoch"
        case "halving-per-batch":
            return partial(MultiStepLR, milestones=MILESTONES, gamma=0.5), "batch"
        case _:
            return None, "epoch"


_generators = threading.RLock()


def _renew_lock() -> None:
    global _generators
    _generators = threading.RLock()


if hasattr(os, "register_at_fork"):
    # A child that is forked while another thread trains would wait forever: it has no such thread.
    os.register_at_fork(after_in_child=_renew_lock)


@contextmanager
def isolated_random_state(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators within a ``with`` block, and restore them afterwards.

    Only one thread at a time can be in such a block, because a process has one set of generators.

    Parameters
    ----------
    seed : int
        Seed of the generator of the CPU and, for a CUDA device, of the generator of the device.
    device : torch.device
        Device that the block uses.
    """
    cuda = [device] if device.type == "cuda" else []
    with _generators, torch.random.fork_rng(devices=cuda):
        torch.random.default_generator.manual_seed(seed)
        if cuda:
            torch.cuda.manual_seed(seed)
        yield

"""Training a module for an objective, with everything that a run needs put together."""

from __future__ import annotations

import math
import os
import pickle
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from joblib import Memory
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR, OneCycleLR

from .._denormals import flushed_denormals
from .._fingerprint import fingerprint
from .._thread_choice import chosen_threads
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
"""Where the paper halves its learning rate."""


LR = 1e-3
"""Learning rate of networks that start from nothing."""


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained; part of what a cached fit is recognised by.

    Attributes
    ----------
    max_epochs : int
        Passes over the training part.
    batch_size : int or "auto"
        Series a step; see :func:`resolve_batch_size`.
    lr : float or "auto"
        Learning rate; the peak of a schedule that has one. See :func:`resolve_lr`.
    weight_decay : float
        Decoupled with ``"adamw"``, an L2 penalty with ``"adam"``.
    optimizer : {"adamw", "adam"}
        Which.
    lr_schedule : {"one-cycle", "cosine", "constant", "halving", "halving-per-batch"}
        ``"halving"`` is the paper's: half the rate at epochs 25, 30 and 35;
        ``"halving-per-batch"`` what its reference program does: the same, counted in batches.
    averaging_epochs : float
        Epochs over which weights are averaged; 0 is no average.
    patience : int or None
        Stop after so many epochs without a better validation loss.
    precision : {"float32", "bf16"}
        In which the network computes; applied where it is made.
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
        """Torch's."""
        return torch.optim.AdamW if self.optimizer == "adamw" else torch.optim.Adam

    @property
    def rate(self) -> float:
        """The learning rate in numbers."""
        return LR if isinstance(self.lr, str) else self.lr

    def for_network(self, module: nn.Module) -> TrainingConfig:
        """The same with the rate that suits a network, if it was to be found."""
        return replace(self, lr=resolve_lr(self.lr, getattr(module, "backbone", module)))


def resolve_batch_size(batch_size: int | str, n_rows: int) -> int:
    """A number for ``"auto"``: a tenth of the series, but from 16 to 64.

    Small sets need steps more than they need smooth gradients: on GunPoint's 40 training series,
    batches of 16 reach in 60 epochs what one batch of all does not reach in 150.

    Parameters
    ----------
    batch_size : int or "auto"
        As users give it.
    n_rows : int
        Number of series.

    Returns
    -------
    int
    """
    return int(np.clip(n_rows // 10, 16, 64)) if isinstance(batch_size, str) else batch_size


def resolve_lr(lr: float | str, backbone: nn.Module) -> float:
    """A number for ``"auto"``: the backbone's ``suitable_lr`` if it has one, else 1e-3.

    Parameters
    ----------
    lr : float or "auto"
        As users give it.
    backbone : torch.nn.Module
        What is trained.

    Returns
    -------
    float
    """
    return getattr(backbone, "suitable_lr", LR) if isinstance(lr, str) else lr


def resolve_epochs(
    max_epochs: int | str, n_rows: int, batch_size: int, *, n_steps: int, at_least: int
) -> int:
    """A number for ``"auto"``: as many as take so many steps.

    Parameters
    ----------
    max_epochs : int or "auto"
        As users give it.
    n_rows : int
        Number of rows.
    batch_size : int
        Rows a step.
    n_steps : int
        Steps wanted.
    at_least : int
        Epochs, however many steps they take.

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
    memory: Memory | None = None,
    checkpoints: Checkpoints | None = None,
) -> History:
    """Train a module in place.

    Parameters
    ----------
    module : torch.nn.Module
        What is trained; on the rows' device.
    objective : Objective
        What for; on the rows' device.
    rows : Rows
        Training rows.
    config : TrainingConfig
        How.
    valid_rows : Rows, optional
        Validation rows. With them, the module ends with the weights of its best epoch.
    shuffle_seed, noise_seed : int, default=0
        Seeds of the order of rows and of the objective's noise. Apart from them, dropout draws
        from torch's global generator: call within :func:`isolated_random_state`.
    first_selected_epoch : int, default=0
        Earlier epochs don't compete for the best.
    progress : Progress
        Advanced once an epoch.
    progress_units : float, default=1.0
        By how much.
    memory : joblib.Memory, optional
        Remembers the warm-up, if the objective has one that other trainings may start with.
    checkpoints : Checkpoints, optional
        Where the training is written to, and from where it goes on if it was killed.

    Returns
    -------
    History
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
        # Last, for it raises, and those after it would miss the epoch.
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
        max_epochs=config.max_epochs,
        optimizer=config.optimizer_class,
        optimizer__weight_decay=config.weight_decay,
        optimizer__fused=fused_setting(),
        lr=config.rate,
        callbacks=callbacks,
        device=None,
        verbose=0,
    )
    run = TrainingRun(net, rows, shuffle, best, show, patience)
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
        run.advance(config.max_epochs)
        run.finish()
    module.eval()
    objective.finish(module, valid_rows)
    return History(
        terms={
            name: np.array([row.get(name, 0.0) for row in net.history]) for name in net.term_names_
        },
        best_epoch=best.best_epoch_,
        n_validation=0 if valid_rows is None else len(valid_rows),
    )


def _key(*parts: Any) -> str | None:
    """Fingerprint, or None of what can't be recognised again, such as a lambda in a module."""
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
    # A child forked while another thread trains would wait for that thread, which it hasn't got.
    os.register_at_fork(after_in_child=_renew_lock)


@contextmanager
def isolated_random_state(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators within the block, and leave them as they were found.

    Threads take turns: there is one set of generators in a process.

    Parameters
    ----------
    seed : int
        Of the CPU's generator and, if it is a CUDA device, of the device's.
    device : torch.device
        Where the block's work is done.
    """
    cuda = [device] if device.type == "cuda" else []
    with _generators, torch.random.fork_rng(devices=cuda):
        torch.random.default_generator.manual_seed(seed)
        if cuda:
            torch.cuda.manual_seed(seed)
        yield

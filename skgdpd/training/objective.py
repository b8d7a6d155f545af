"""Objectives of trainings: losses made of named, weighted terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .batches import Batch, Rows

Terms = dict[str, Tensor]


@dataclass
class Step:
    """Position of a training: its epoch, and its source of noise.

    Attributes
    ----------
    epoch : int
        Number of the epoch, counted from 0.
    generator : torch.Generator
        Source of the objective's noise, on the training device.
    """

    epoch: int
    generator: torch.Generator


@dataclass(frozen=True)
class Warmup:
    """Description of a training's first epochs, if other trainings may have the same.

    Attributes
    ----------
    n_epochs : int
        Number of these epochs.
    settings : object
        Everything that the terms depend on in these epochs, besides the module and the rows.
    rows : tuple of str
        Names of the rows' tensors that the terms depend on.
    leaves : tuple of str
        Names of the objective's tensors that these epochs change.
    """

    n_epochs: int
    settings: Any = None
    rows: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()


class Objective(nn.Module):
    """Base of the objectives, whose own parameters are trained along with the module's."""

    def start_epoch(self, module: nn.Module, rows: Rows, step: Step) -> None:
        """Prepare for an epoch over ``rows``. It is called before the epoch's first batch."""

    def terms(self, module: nn.Module, batch: Batch, step: Step) -> Terms:
        """Return the weighted loss terms of a batch by name. The training loss is their sum."""
        raise NotImplementedError

    def validation_terms(self, module: nn.Module, batch: Batch) -> Terms:
        """Return the terms of validation rows, among them ``loss``, by which weights are kept."""
        raise NotImplementedError

    def warmup(self) -> Warmup | None:
        """Describe the first epochs if other trainings may have the same, else return None."""
        return None

    def finish(self, module: nn.Module, valid_rows: Rows | None) -> None:
        """Choose settings that depend on the trained network, at the end of the training."""

    def resume(self, step: Step) -> None:
        """Restore all state that is in no tensor, when a training goes on after ``step.epoch``."""


def weighted_cross_entropy(logits: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy of the labelled rows.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Unnormalised log-probabilities.
    y : Tensor of shape (n,)
        Class numbers; -1 for a row without a label.
    weight : Tensor of shape (n,), optional
        Weight of each row: 0 for a row without a label, and 1 on average over the labelled rows
        of the training set. None is for rows that all have a label and the same weight.

    Returns
    -------
    Tensor of shape ()
    """
    if weight is None:
        return F.cross_entropy(logits, y)
    losses = F.cross_entropy(logits, y, reduction="none", ignore_index=-1)
    # Divided by the number of labelled rows, so that a batch of small weights has a small loss.
    return (losses * weight).sum() / (y >= 0).sum().clamp(min=1)


def soft_cross_entropy(logits: Tensor, targets: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy against probabilities.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Unnormalised log-probabilities.
    targets : Tensor of shape (n, n_classes)
        Target probabilities.
    weight : Tensor of shape (n,), optional
        Weight of each row.

    Returns
    -------
    Tensor of shape ()
    """
    losses = -(targets * torch.log_softmax(logits, -1)).sum(-1)
    return losses.mean() if weight is None else (losses * weight).mean()

"""Objectives of training: losses that consist of named, weighted terms."""

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
    """Position in a training: the epoch and the source of noise.

    Attributes
    ----------
    epoch : int
        Number of the epoch, counted from 0.
    generator : torch.Generator
        Source of noise for the objective, on the training device.
    """

    epoch: int
    generator: torch.Generator


@dataclass(frozen=True)
class Warmup:
    """Description of a warm-up: first epochs that several trainings may share.

    Attributes
    ----------
    n_epochs : int
        Number of epochs of the warm-up.
    settings : object
        Everything that affects the terms during the warm-up, apart from the module and the rows.
    rows : tuple of str
        Names of the tensors of the rows that affect the terms.
    leaves : tuple of str
        Names of the tensors of the objective that the warm-up changes.
    """

    n_epochs: int
    settings: Any = None
    rows: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()


class Objective(nn.Module):
    """Base class of objectives. Their parameters are trained together with those of the module."""

    def start_epoch(self, module: nn.Module, rows: Rows, step: Step) -> None:
        """Prepare for an epoch over ``rows``; called before the first batch of each epoch."""

    def terms(self, module: nn.Module, batch: Batch, step: Step) -> Terms:
        """Return the weighted loss terms of a batch by name; the training loss is their sum."""
        raise NotImplementedError

    def validation_terms(self, module: nn.Module, batch: Batch) -> Terms:
        """Return the terms of validation rows; the term ``loss`` selects the best weights."""
        raise NotImplementedError

    def warmup(self) -> Warmup | None:
        """Return a description of the warm-up, or None if no other training can share it."""
        return None

    def finish(self, module: nn.Module, valid_rows: Rows | None) -> None:
        """Choose settings that depend on the trained network; called at the end of training."""

    def resume(self, step: Step) -> None:
        """Restore the state outside tensors, when a training continues after ``step.epoch``."""


def weighted_cross_entropy(logits: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy of the labelled rows.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Unnormalised log-probabilities.
    y : Tensor of shape (n,)
        Class numbers; -1 for a row without a label.
    weight : Tensor of shape (n,), optional
        Weight of each row. It is 0 for unlabelled rows, and 1 on average over the labelled rows
        of the training set. None means that all rows have a label and the same weight.

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
    """Return the mean cross-entropy with soft targets.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Unnormalised log-probabilities.
    targets : Tensor of shape (n, n_classes)
        Target probabilities.
    weight : Tensor of shape (n,), optional
        Weight of each row; None means equal weights.

    Returns
    -------
    Tensor of shape ()
    """
    losses = -(targets * torch.log_softmax(logits, -1)).sum(-1)
    return losses.mean() if weight is None else (losses * weight).mean()

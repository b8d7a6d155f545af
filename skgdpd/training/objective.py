"""What a training minimises: named, weighted terms of a loss."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .batches import Batch, Rows

Terms = dict[str, Tensor]


@dataclass
class Step:
    """Where a training stands.

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
    """The first epochs of a training, as far as they are the same in other trainings.

    Attributes
    ----------
    n_epochs : int
        How many.
    settings : object
        What the terms depend on in them, besides the module and the rows.
    rows : tuple of str
        Names of the rows' tensors that they look at.
    leaves : tuple of str
        Names of the objective's tensors that they change.
    """

    n_epochs: int
    settings: Any = None
    rows: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()


class Objective(nn.Module):
    """Base of the objectives. Its parameters are trained along with the module's."""

    def start_epoch(self, module: nn.Module, rows: Rows, step: Step) -> None:
        """Prepare for an epoch over ``rows``; called before its first batch."""

    def phase(self, step: Step) -> Hashable | None:
        """All that decides, besides tensors, which computation :meth:`terms` is in this epoch.

        Steps of one phase may be recorded once and replayed, without Python, so tensors that they
        look at must stay where they are, and numbers that change must be tensors. None, what is
        said here, is an objective that can't promise that.
        """
        return None

    def terms(self, module: nn.Module, batch: Batch, step: Step) -> Terms:
        """Weighted loss terms of a batch by name; the training loss is their sum."""
        raise NotImplementedError

    def validation_terms(self, module: nn.Module, batch: Batch) -> Terms:
        """Terms on validation rows; ``loss`` among them decides which weights are kept."""
        raise NotImplementedError

    def warmup(self) -> Warmup | None:
        """The first epochs if other trainings may have the same, else None."""
        return None

    def finish(self, module: nn.Module, valid_rows: Rows | None) -> None:
        """Choose what is chosen when the training is over, with the network that predicts."""

    def resume(self, step: Step) -> None:
        """Make anew what no tensor holds, when a training is continued after ``step.epoch``."""


def weighted_cross_entropy(logits: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean cross-entropy of the labelled rows.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Unnormalised log-probabilities.
    y : Tensor of shape (n,)
        Class numbers; -1 where there is no label.
    weight : Tensor of shape (n,), optional
        Weight of each row, 0 where there is no label; mean 1 over the labelled rows of the
        training set. None where all rows are labelled and count the same.

    Returns
    -------
    Tensor of shape ()
    """
    if weight is None:
        return F.cross_entropy(logits, y)
    losses = F.cross_entropy(logits, y, reduction="none", ignore_index=-1)
    # Divided by the labelled rows, not by their weights: a batch of light rows counts little.
    return (losses * weight).sum() / (y >= 0).sum().clamp(min=1)


def soft_cross_entropy(logits: Tensor, targets: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean cross-entropy against probabilities.

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Unnormalised log-probabilities.
    targets : Tensor of shape (n, n_classes)
        Probabilities.
    weight : Tensor of shape (n,), optional
        Weight of each row.

    Returns
    -------
    Tensor of shape ()
    """
    losses = -(targets * torch.log_softmax(logits, -1)).sum(-1)
    return losses.mean() if weight is None else (losses * weight).mean()

"""Classifiers on top of a backbone, each a map of features to one logit a class.

Beside the linear one there are two that some distillers need. What a head computes before the
logits is for training; prediction knows the logits alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


class LinearHead(nn.Linear):
    """One linear map."""

    @property
    def settings(self) -> dict[str, Any]:
        """With which :func:`head_maker` makes another."""
        return {}

    @torch.no_grad()
    def start_from(self, weight: Tensor, bias: Tensor) -> None:
        """Take a linear classifier's weights, ``(n_classes, n_features)`` and ``(n_classes,)``."""
        self.weight.copy_(weight)
        self.bias.copy_(bias)


class SubclassHead(nn.Module):
    """Several scores a class, whose probabilities are added.

    Parameters
    ----------
    in_features, out_features : int
        Widths of features and logits; the latter is the number of classes.
    n_subclasses : int, default=2
        Scores of each class.
    """

    def __init__(self, in_features: int, out_features: int, n_subclasses: int = 2) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.n_subclasses = n_subclasses
        self.linear = LinearHead(in_features, out_features * n_subclasses)

    @property
    def settings(self) -> dict[str, Any]:
        """See :attr:`LinearHead.settings`."""
        return {"n_subclasses": self.n_subclasses}

    def scores(self, features: Tensor) -> Tensor:
        """Of all subclasses, ``(n, n_classes, n_subclasses)``."""
        return self.linear(features).unflatten(-1, (self.out_features, self.n_subclasses))

    def forward(self, features: Tensor) -> Tensor:
        """Logits: softmax of these is the sum of the subclasses' probabilities."""
        return torch.logsumexp(self.scores(features), -1)

    def start_from(self, weight: Tensor, bias: Tensor) -> None:
        """Give each of a class's subclasses an equal part of it."""
        n, shared = self.n_subclasses, bias - math.log(self.n_subclasses)
        self.linear.start_from(weight.repeat_interleave(n, 0), shared.repeat_interleave(n))


class DualHead(nn.Module):
    """Two linear maps, one for labels and one for a teacher, whose probabilities are mixed.

    Parameters
    ----------
    in_features, out_features : int
        Widths of features and logits.

    Attributes
    ----------
    share : Tensor of shape ()
        Of the teacher's map in the mixture.
    temperature : Tensor of shape ()
        By which the logits of the teacher's map are divided before.
    """

    share: Tensor
    temperature: Tensor

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.for_labels = LinearHead(in_features, out_features)
        self.for_teacher = LinearHead(in_features, out_features)
        self.register_buffer("share", torch.tensor(0.5))
        self.register_buffer("temperature", torch.tensor(1.0))

    @property
    def settings(self) -> dict[str, Any]:
        """See :attr:`LinearHead.settings`."""
        return {}

    def forward(self, features: Tensor) -> Tensor:
        """Logarithms of the mixture's probabilities."""
        return mixed(
            self.for_labels(features), self.for_teacher(features), self.share, self.temperature
        )

    def start_from(self, weight: Tensor, bias: Tensor) -> None:
        """Let both be that classifier."""
        self.for_labels.start_from(weight, bias)
        self.for_teacher.start_from(weight, bias)


def mixed(labels: Tensor, teacher: Tensor, share: Tensor, temperature: Tensor) -> Tensor:
    """Log-probabilities ``(1 - share) softmax(labels) + share softmax(teacher / temperature)``."""
    first = torch.log_softmax(labels, -1) + torch.log1p(-share)
    second = torch.log_softmax(teacher / temperature, -1) + torch.log(share)
    return torch.logsumexp(torch.stack([first, second]), 0)


Head = LinearHead | SubclassHead | DualHead
HeadMaker = Callable[[int, int], Head]
HEADS: dict[str, type[Head]] = {
    "linear": LinearHead,
    "subclasses": SubclassHead,
    "dual": DualHead,
}
NAMES = {kind: name for name, kind in HEADS.items()}


def head_maker(name: str, **settings: Any) -> HeadMaker:
    """What makes heads by their name in :data:`HEADS`."""
    return partial(HEADS[name], **settings)

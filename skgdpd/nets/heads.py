"""Classifiers on top of a backbone: maps from features to one logit for each class.

Beside the linear head there are two that some distillers need. What they compute before the logits
is used in training; prediction uses the logits alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


class LinearHead(nn.Linear):
    """Head of one linear map."""

    @property
    def settings(self) -> dict[str, Any]:
        """Settings with which :func:`head_maker` makes another head of this kind."""
        return {}

    @torch.no_grad()
    def start_from(self, weight: Tensor, bias: Tensor) -> None:
        """Copy a classifier's weights ``(n_classes, n_features)`` and biases ``(n_classes,)``."""
        self.weight.copy_(weight)
        self.bias.copy_(bias)


class SubclassHead(nn.Module):
    """Head with several scores for each class, whose probabilities are added.

    Parameters
    ----------
    in_features, out_features : int
        Numbers of features and of classes.
    n_subclasses : int, default=2
        Number of scores of each class.
    """

    def __init__(self, in_features: int, out_features: int, n_subclasses: int = 2) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.n_subclasses = n_subclasses
        self.linear = LinearHead(in_features, out_features * n_subclasses)

    @property
    def settings(self) -> dict[str, Any]:
        """Settings with which :func:`head_maker` makes another head of this kind."""
        return {"n_subclasses": self.n_subclasses}

    def scores(self, features: Tensor) -> Tensor:
        """Return the scores of all subclasses, ``(n, n_classes, n_subclasses)``."""
        return self.linear(features).unflatten(-1, (self.out_features, self.n_subclasses))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits whose softmax is the sum of the subclasses' probabilities."""
        return torch.logsumexp(self.scores(features), -1)

    def start_from(self, weight: Tensor, bias: Tensor) -> None:
        """Start from a linear classifier, with equal subclasses of each class."""
        n, shared = self.n_subclasses, bias - math.log(self.n_subclasses)
        self.linear.start_from(weight.repeat_interleave(n, 0), shared.repeat_interleave(n))


class DualHead(nn.Module):
    """Head with two linear maps, for labels and for a teacher, whose probabilities are mixed.

    Parameters
    ----------
    in_features, out_features : int
        Numbers of features and of classes.

    Attributes
    ----------
    share : Tensor of shape ()
        Share of the teacher's map in the mixture.
    temperature : Tensor of shape ()
        Temperature by which the logits of the teacher's map are divided before mixing.
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
        """Settings with which :func:`head_maker` makes another head of this kind."""
        return {}

    def forward(self, features: Tensor) -> Tensor:
        """Return the logarithms of the mixture's probabilities."""
        return mixed(
            self.for_labels(features), self.for_teacher(features), self.share, self.temperature
        )

    def start_from(self, weight: Tensor, bias: Tensor) -> None:
        """Start both maps from a linear classifier."""
        self.for_labels.start_from(weight, bias)
        self.for_teacher.start_from(weight, bias)


def mixed(labels: Tensor, teacher: Tensor, share: Tensor, temperature: Tensor) -> Tensor:
    """Return log((1 - share) softmax(labels) + share softmax(teacher / temperature))."""
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
    """Return a callable that makes heads of the kind ``name``, a key of :data:`HEADS`."""
    return partial(HEADS[name], **settings)

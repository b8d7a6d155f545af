"""Heads: classifiers on top of a backbone that map features to one logit for each class.

Besides the linear head there are two heads for particular distillers. Training also uses their
intermediate results; prediction uses only the logits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


class LinearHead(nn.Linear):
    """Head that consists of one linear map."""

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
    """Head with several subclasses for each class.

    The probability of a class is the sum of the probabilities of its subclasses.

    Parameters
    ----------
    in_features, out_features : int
        Numbers of features and of classes.
    n_subclasses : int, default=2
        Number of subclasses of each class.
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
        """Copy a linear classifier to every subclass, so that the subclasses of a class agree."""
        n, shared = self.n_subclasses, bias - math.log(self.n_subclasses)
        self.linear.start_from(weight.repeat_interleave(n, 0), shared.repeat_interleave(n))


class DualHead(nn.Module):
    """Head that mixes the probabilities of two linear maps, one for labels and one for a teacher.

    Parameters
    ----------
    in_features, out_features : int
        Numbers of features and of classes.

    Attributes
    ----------
    share : Tensor of shape ()
        Weight of the teacher's map in the mixture, in [0, 1].
    temperature : Tensor of shape ()
        Divisor of the logits of the teacher's map before mixing.
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
        """Return the log-probabilities of the mixture."""
        return mixed(
            self.for_labels(features), self.for_teacher(features), self.share, self.temperature
        )

    def start_from(self, weight: Tensor, bias: Tensor) -> None:
        """Copy a linear classifier to both maps."""
        self.for_labels.start_from(weight, bias)
        self.for_teacher.start_from(weight, bias)


def mixed(labels: Tensor, teacher: Tensor, share: Tensor, temperature: Tensor) -> Tensor:
    """Return log((1 - share) * softmax(labels) + share * softmax(teacher / temperature))."""
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
    """Return a callable that makes heads of the class registered as ``name`` in :data:`HEADS`."""
    return partial(HEADS[name], **settings)

"""A backbone with a linear classifier on top: what is trained and what predicts."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn


class StudentOutput(NamedTuple):
    """What a student says of a batch.

    Attributes
    ----------
    features : Tensor of shape (n, n_features)
        The backbone's output, z_short.
    logits : Tensor of shape (n, n_classes)
        The head's output.
    """

    features: Tensor
    logits: Tensor


class StudentNet(nn.Module):
    """Backbone and linear head.

    Parameters
    ----------
    backbone : torch.nn.Module
        Maps ``(n, c, t)`` to ``(n, n_features)``; has the attribute ``n_features``.
    n_classes : int
        Number of classes.
    """

    def __init__(self, backbone: nn.Module, n_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(backbone.n_features, n_classes)  # type: ignore[arg-type]

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> StudentOutput:
        """Features and logits of series ``(n, c, t)``, zero beyond their ``lengths`` if given."""
        features = self.backbone(x) if lengths is None else self.backbone(x, lengths)
        return StudentOutput(features, self.head(features))

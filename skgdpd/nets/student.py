"""A backbone with a classifier on top: what is trained and what predicts."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from .heads import HeadMaker, LinearHead

Precision = Literal["float32", "bf16"]


class StudentOutput(NamedTuple):
    """What a student says of a batch.

    Attributes
    ----------
    features : Tensor of shape (n, n_features)
        The backbone's output, z_short.
    logits : Tensor of shape (n, n_classes)
        The head's output.
    maps : Tensor of shape (n, n_maps, n_steps) or None
        The backbone's activations over time, if they were asked for.
    """

    features: Tensor
    logits: Tensor
    maps: Tensor | None = None


class StudentNet(nn.Module):
    """Backbone and head.

    Parameters
    ----------
    backbone : torch.nn.Module
        Maps ``(n, c, t)`` to ``(n, n_features)``; has the attribute ``n_features``.
    n_classes : int
        Number of classes.
    precision : {"float32", "bf16"}, default="float32"
        ``"bf16"`` computes in bfloat16 in training, with weights, features and logits in single
        precision. Evaluation is in single precision always.
    make_head : callable, default=LinearHead
        Makes the classifier on top from the numbers of features and of classes.
    """

    def __init__(
        self,
        backbone: nn.Module,
        n_classes: int,
        precision: Precision = "float32",
        make_head: HeadMaker = LinearHead,
    ) -> None:
        super().__init__()
        self.precision = precision
        self.backbone = backbone
        self.head = make_head(backbone.n_features, n_classes)  # type: ignore[arg-type]

    @property
    def has_fixed_part(self) -> bool:
        """Whether the backbone has a part that is fitted once; see :mod:`skgdpd.nets.rocket`."""
        return hasattr(self.backbone, "fit_fixed")

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
        fixed: Tensor | None = None,
        with_maps: bool = False,
    ) -> StudentOutput:
        """Features and logits of series ``(n, c, t)``, zero beyond their ``lengths`` if given.

        ``fixed`` is what the backbone's ``featurize`` made of them, where it is known already.
        ``with_maps`` keeps the backbone's activations over time; it must have such.
        """
        if self.precision == "float32" or not self.training:
            return self._output(x, lengths, fixed, with_maps)
        with torch.autocast(x.device.type, torch.bfloat16):
            output = self._output(x, lengths, fixed, with_maps)
        return StudentOutput(*(None if part is None else part.float() for part in output))  # type: ignore[arg-type]

    def _output(
        self, x: Tensor, lengths: Tensor | None, fixed: Tensor | None, with_maps: bool
    ) -> StudentOutput:
        if not with_maps:
            features = self.features(x, lengths, fixed)
            return StudentOutput(features, self.head(features))
        own = () if lengths is None else (lengths,)
        maps = self.backbone.maps(x, *own)  # type: ignore[operator]
        features = self.backbone.features_from_maps(maps, *own)  # type: ignore[operator]
        return StudentOutput(features, self.head(features), maps)

    def features(
        self, x: Tensor, lengths: Tensor | None = None, fixed: Tensor | None = None
    ) -> Tensor:
        """The backbone's output."""
        if fixed is not None:
            return self.backbone(x, lengths, fixed)
        return self.backbone(x) if lengths is None else self.backbone(x, lengths)

    def read(self, batch: dict[str, Tensor], with_maps: bool = False) -> StudentOutput:
        """Features and logits of a batch's series, and their activations over time if asked."""
        # Series of which all is known that the backbone looks at are not there.
        x = batch["x"] if "x" in batch else batch["fixed"]
        return self(x, batch.get("lengths"), batch.get("fixed"), with_maps)

    def fit_fixed(
        self, x: Tensor, lengths: Tensor | None, target: Tensor, weight: Tensor | None, seed: int
    ) -> Tensor:
        """Fit the backbone's fixed part, and start from the classifier that it proposes.

        Returns what is fixed of each row.
        """
        head = self.backbone.fit_fixed(x, lengths, target, weight, seed)  # type: ignore[operator]
        self.head.start_from(head.weight, head.bias)
        return head.fixed

    def fold(self) -> None:
        """End the training of a backbone with a fixed part."""
        if self.has_fixed_part:
            self.backbone.fold()  # type: ignore[operator]

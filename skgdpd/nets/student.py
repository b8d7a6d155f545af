"""The network that is trained and that predicts: a backbone with a head on top."""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn

from .heads import HeadMaker, LinearHead
from .prefixes import Prefixes
from .protocols import (
    ClosedFormStart,
    FixedFeatures,
    MomentMaps,
    MomentStart,
    TimeMaps,
    has_fixed_features,
    has_moment_maps,
)

Precision = Literal["float32", "bf16"]


class SeriesOutput(NamedTuple):
    """Output of a network for a batch.

    Attributes
    ----------
    features : Tensor of shape (n, n_features)
        Output of the backbone. For a student, this is z_short in the GDPD paper.
    logits : Tensor of shape (n, n_classes)
        Output of the head.
    maps : Tensor of shape (n, n_maps, n_steps) or None
        Activations of the backbone over time; None unless ``with_maps`` was set.
    """

    features: Tensor
    logits: Tensor
    maps: Tensor | None = None


class SeriesNet(nn.Module):
    """Network of a backbone and a head, which is the classifier on top.

    Parameters
    ----------
    backbone : torch.nn.Module
        Backbone made by :func:`~skgdpd.nets.make_backbone`.
    n_classes : int
        Number of classes.
    precision : {"float32", "bf16"}, default="float32"
        Precision of training. ``"bf16"`` computes in bfloat16, but keeps weights, features and
        logits in single precision. Evaluation always uses single precision.
    make_head : callable, default=LinearHead
        Callable ``(n_features, n_classes) -> head``.
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
        """Whether the backbone has fixed features."""
        return has_fixed_features(self.backbone)

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
        fixed: Tensor | None = None,
        with_maps: bool = False,
        moment: int = -1,
    ) -> SeriesOutput:
        """Compute features and logits.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, n_timepoints)
            Series, padded with zeros at the end.
        lengths : Tensor of shape (n,), optional
            Length of each series without padding; None if all are equal.
        fixed : Tensor of shape (n, n_fixed), optional
            Fixed features of the series, if they have been computed already.
        with_maps : bool, default=False
            Whether to return activations over time. The backbone must have them.
        moment : int, default=-1
            Index of the moment, for backbones with a map for each moment.

        Returns
        -------
        SeriesOutput
            Features and logits, in single precision.
        """
        if self.precision == "float32" or not self.training:
            return self._output(x, lengths, fixed, with_maps, moment)
        with torch.autocast(x.device.type, torch.bfloat16):
            output = self._output(x, lengths, fixed, with_maps, moment)
        return SeriesOutput(*(None if part is None else part.float() for part in output))  # type: ignore[arg-type]

    def _output(
        self,
        x: Tensor,
        lengths: Tensor | None,
        fixed: Tensor | None,
        with_maps: bool,
        moment: int,
    ) -> SeriesOutput:
        if not with_maps:
            features = self.features(x, lengths, fixed, moment)
            return SeriesOutput(features, self.head(features))
        own = () if lengths is None else (lengths,)
        backbone = cast(TimeMaps, self.backbone)
        maps = backbone.maps(x, *own)
        features = backbone.features_from_maps(maps, *own)
        return SeriesOutput(features, self.head(features), maps)

    def features(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
        fixed: Tensor | None = None,
        moment: int = -1,
    ) -> Tensor:
        """Return the features of the backbone; parameters are those of :meth:`forward`."""
        if has_moment_maps(self.backbone):
            return self.backbone(x, lengths, fixed, moment)
        if fixed is not None:
            return self.backbone(x, lengths, fixed)
        return self.backbone(x) if lengths is None else self.backbone(x, lengths)

    def read(self, batch: dict[str, Tensor], with_maps: bool = False) -> SeriesOutput:
        """Compute the outputs for a batch; with activations over time if ``with_maps`` is set."""
        # Batches have no series where the backbone uses their fixed features only.
        x = batch["x"] if "x" in batch else batch["fixed"]
        moment = int(batch["moment"]) if "moment" in batch else -1
        return self(x, batch.get("lengths"), batch.get("fixed"), with_maps, moment)

    def fit_fixed(
        self, x: Tensor, lengths: Tensor | None, target: Tensor, weight: Tensor | None, seed: int
    ) -> ClosedFormStart:
        """Fit the fixed features of the backbone, and set the head to the fitted classifier.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, n_timepoints)
            Training series.
        lengths : Tensor of shape (n,) or None
            Lengths of the series without padding; None if all are equal.
        target : Tensor of shape (n, n_classes)
            Class probabilities; one-hot for rows with a label.
        weight : Tensor of shape (n,) or None
            Weight of each series; None if all are equal.
        seed : int
            Seed of all random draws.

        Returns
        -------
        ClosedFormStart
            The classifier, and the fixed features and leave-one-out logits of the series.
        """
        backbone = cast(FixedFeatures, self.backbone)
        start = backbone.fit_fixed(x, lengths, target, weight, seed)
        self.head.start_from(start.weight, start.bias)
        return start

    def fit_moments(
        self, prefixes: Prefixes, target: Tensor, weight: Tensor | None, seed: int, trains: bool
    ) -> MomentStart:
        """Fit the maps of all moments in the backbone, and set the head to their common weights.

        Parameters
        ----------
        prefixes : Prefixes
            Training series at the moments.
        target : Tensor of shape (n, n_classes)
            Class probabilities; one-hot for rows with a label.
        weight : Tensor of shape (n,) or None
            Weight of each series; None if all are equal.
        seed : int
            Seed of all random draws.
        trains : bool
            Whether the maps are to be trained further.

        Returns
        -------
        MomentStart
            The classifiers, and the fixed features and leave-one-out logits of the series.
        """
        backbone = cast(MomentMaps, self.backbone)
        start = backbone.fit_moments(prefixes, target, weight, seed, trains)
        self.head.start_from(start.weight, start.bias)
        return start

    def fold(self) -> None:
        """Finish after training, if the backbone has fixed features; otherwise do nothing."""
        if self.has_fixed_part or has_moment_maps(self.backbone):
            cast(FixedFeatures, self.backbone).fold()

"""Causal features of several families as a graph of standard operations, for export."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .causal import LARGEST
from .joined_features import JoinedFeatures
from .minirocket_graph import AT_ONCE, sum_of_kernels, with_empty_channel
from .prefix_hydra import PrefixHydra
from .prefix_rocket import GROUPS, HEAVY, N_GROUPS, N_TAPS, PrefixRocket
from .prefix_shapelets import PrefixShapelets


class JoinedGraph(nn.Module):
    """Features of fitted transforms at the end of a series, by operations for any batch size.

    Outputs of ``rocket`` and ``hydra`` are summed in the same order as in the transforms. Ties,
    such as those of a constant series, are therefore broken in the same way. Distances of
    shapelets are means, and may differ in the last bits. A distance that is nearly equal to its
    threshold may then be counted otherwise.

    Parameters
    ----------
    transform : JoinedFeatures
        Fitted transforms.
    n_points : int
        Number of points of the series.
    """

    def __init__(self, transform: JoinedFeatures, n_points: int) -> None:
        super().__init__()
        kinds: dict[str, Any] = {
            "rocket": RocketGraph,
            "hydra": HydraGraph,
            "shapelets": ShapeletGraph,
        }
        self.parts = nn.ModuleList(
            kinds[name](part, n_points)
            for name, part in zip(transform.families, transform.parts, strict=True)
        )

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map series ``(n, n_channels, t)`` of equal length to features ``(n, n_features)``."""
        return torch.cat([part(x) for part in self.parts], 1)


class RocketGraph(nn.Module):
    """Features of :class:`~skgdpd.nets.prefix_rocket.PrefixRocket` at the end of a series."""

    def __init__(self, transform: PrefixRocket, n_points: int) -> None:
        super().__init__()
        self.dilations = [int(d) for d in transform.dilations]
        self.slots = [torch.from_numpy(transform.slots(i).T) for i in range(len(self.dilations))]
        starts = torch.from_numpy(transform.starts[:, GROUPS].copy())[:, :, None]
        self.is_output = torch.arange(n_points) >= starts
        n_outputs = self.is_output.sum(2, keepdim=True)
        self.scales = torch.where(n_outputs > 0, 1 / n_outputs.clamp(min=1), torch.zeros(()))
        self.heavy = torch.from_numpy(HEAVY.copy())
        self.biases = [part.cpu().T for part in transform.biases_by_dilation()]

    def forward(self, x: Tensor) -> Tensor:
        """Map series to features."""
        x = with_empty_channel(x)
        return torch.cat([self._shares(x, i) for i in range(len(self.dilations))], 1)

    def _shares(self, x: Tensor, i: int) -> Tensor:
        # Minus infinity is above no bias.
        outputs = torch.where(self.is_output[i], self._outputs(x, i), -torch.inf)
        counts = []
        for biases in self.biases[i].split(AT_ONCE, 1):
            above = (outputs[:, :, None] > biases[:, :, None]).to(x.dtype)
            counts.append(above.sum(3))
        shares = torch.cat(counts, 2) * self.scales[i]
        return shares.transpose(1, 2).flatten(1)

    def _outputs(self, x: Tensor, i: int) -> Tensor:
        d, t = self.dilations[i], x.shape[2]
        padded = F.pad(x, (8 * d, 0))
        taps = [padded[:, :, j * d : j * d + t] for j in range(N_TAPS)]
        base = -taps[8]
        for tap in taps[:8]:
            base = base - tap
        heavy = self.heavy[i % N_GROUPS].T
        return sum_of_kernels(base, 3 * torch.stack(taps, 2), self.slots[i], heavy)


class HydraGraph(nn.Module):
    """Features of :class:`~skgdpd.nets.prefix_hydra.PrefixHydra` at the end of a series."""

    def __init__(self, transform: PrefixHydra, n_points: int) -> None:
        super().__init__()
        self.n_channels = transform.n_channels
        self.weights = transform.weights.cpu()
        self.units = transform.units.cpu()
        # The zero channel comes after those of the series and of its first difference.
        slots = transform.channels.cpu()
        moved = slots + self.n_channels * torch.from_numpy(transform.of_difference)[:, None, None]
        empty = slots == self.n_channels
        self.slots = torch.where(empty, 2 * self.n_channels, moved)
        dilations = transform.dilations
        self.groups = [(int(d), np.flatnonzero(dilations == d)) for d in np.unique(dilations)]

    def forward(self, x: Tensor) -> Tensor:
        """Map series to features."""
        differences = torch.diff(x, dim=2, prepend=x[:, :, :1])
        both = with_empty_channel(torch.cat([x, differences], 1))
        return torch.cat([self._roots(both, d, blocks) for d, blocks in self.groups], 1)

    def _roots(self, x: Tensor, d: int, blocks: np.ndarray[Any, Any]) -> Tensor:
        rows = slice(int(blocks[0]), int(blocks[-1]) + 1)
        slots, weights, units = self.slots[rows], self.weights[rows], self.units[rows]
        total = x.index_select(1, slots[..., 0].flatten())
        for slot in slots.unbind(2)[1:]:
            total = total + x.index_select(1, slot.flatten())
        t = x.shape[2]
        series = F.pad(total, (8 * d, 0)).unflatten(1, (len(blocks), 1, -1))
        outputs = weights[:, 0, :, :, None] * series[..., :t]
        for j in range(1, N_TAPS):
            product = weights[:, j, :, :, None] * series[..., j * d : j * d + t]
            outputs = outputs + product
        return self._features(outputs, 1 / units, units / t).flatten(1)

    def _features(self, outputs: Tensor, per_unit: Tensor, scales: Tensor) -> Tensor:
        """Return the features ``(n, n_blocks, 2, n_kernels, 16)`` of outputs ``(..., 16, t)``."""
        n_kernels, t = outputs.shape[2], outputs.shape[4]
        kernels = torch.arange(n_kernels)[:, None, None]
        scaled = (outputs.amax(2) * per_unit[:, None, None]).clamp(-LARGEST, LARGEST)
        whole = scaled.to(torch.int32).to(outputs.dtype)[:, :, None]
        wins = (outputs.argmax(2)[:, :, None] == kernels).to(outputs.dtype)
        losses = (outputs.argmin(2)[:, :, None] == kernels).to(outputs.dtype)
        sums = (wins * whole).double().sum(4).clamp(min=0).to(outputs.dtype)
        means = torch.stack([sums * scales[:, None, None], losses.sum(4) / t], 2)
        return means.sqrt()


class ShapeletGraph(nn.Module):
    """Features of :class:`~skgdpd.nets.prefix_shapelets.PrefixShapelets` at a series' end."""

    def __init__(self, transform: PrefixShapelets, n_points: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            ShapeletBlock(transform, b, n_points) for b in range(len(transform.starts))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map series to features."""
        return torch.cat([block(x) for block in self.blocks], 1)


class ShapeletBlock(nn.Module):
    """Features of the shapelets of one block."""

    def __init__(self, transform: PrefixShapelets, b: int, n_points: int) -> None:
        super().__init__()
        length, size = int(transform.lengths[b]), int(transform.n_compared[b])
        self.n_outputs = n_points - int(transform.starts[b])
        first = torch.arange(length) * int(transform.dilations[b])
        self.at = first[:, None] + torch.arange(max(self.n_outputs, 0))
        self.used = transform.channels[b, :size].cpu()
        self.is_normalized = bool(transform.normalized[b])
        self.floors = transform.floors.cpu()[self.used, None, None]
        self.values = transform.values[b, : size * length, :, None].cpu()
        self.thresholds = transform.thresholds[b, :, None].cpu()

    def forward(self, x: Tensor) -> Tensor:
        """Map series to features."""
        if self.n_outputs < 1:
            return torch.zeros_like(x[:, 0, :1]).expand(-1, 2 * self.values.shape[1])
        points = x.index_select(1, self.used).index_select(2, self.at.flatten())
        points = points.unflatten(2, self.at.shape)
        if self.is_normalized:
            points = points - points.mean(2, keepdim=True)
            points = points / (points.square().mean(2, keepdim=True).sqrt() + self.floors)
        distances = (points.flatten(1, 2)[:, :, None] - self.values).abs().mean(1)
        below = (distances < self.thresholds).to(x.dtype)
        return torch.cat([distances.amin(2), below.sum(2) / self.n_outputs], 1)

"""Inception backbones: InceptionTime, and the variant of the GDPD paper."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import ConvolutionalBackbone, SameConv1d, TimeBatchNorm, as_image, keep


class InceptionModule(nn.Module):
    """Module of InceptionTime: branches of three kernel widths and of a max-pool, side by side."""

    def __init__(
        self, in_channels: int, n_filters: int, kernel_sizes: tuple[int, ...], bottleneck: int
    ) -> None:
        super().__init__()
        # A single channel needs no bottleneck; the authors' program has none there either.
        narrow = bottleneck if in_channels > 1 else in_channels
        self.bottleneck = SameConv1d(in_channels, narrow, 1) if in_channels > 1 else nn.Identity()
        self.branches = nn.ModuleList(SameConv1d(narrow, n_filters, k) for k in kernel_sizes)
        self.after_pool = SameConv1d(in_channels, n_filters, 1)
        self.norm = TimeBatchNorm(n_filters * (len(kernel_sizes) + 1))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        narrow = self.bottleneck(x)
        outputs = [branch(narrow) for branch in self.branches]
        # Padding is zero, and would be the maximum of negative values.
        seen = x if mask is None else x.masked_fill(mask == 0, -torch.inf)
        pooled = F.max_pool2d(seen, (1, 3), 1, (0, 1))
        if mask is not None:
            pooled = pooled.masked_fill(mask == 0, 0.0)
        outputs.append(self.after_pool(pooled))
        joined = torch.cat(outputs, 1).contiguous(memory_format=torch.channels_last)
        return keep(torch.relu(self.norm(joined, mask)), mask)


class InceptionTime(ConvolutionalBackbone):
    """InceptionTime network without the classifier: one member of the published ensemble.

    Parameters
    ----------
    n_channels : int
        Number of channels of the series.
    n_filters : int, default=32
        Number of filters of each branch. The number of features is four times as large.
    depth : int, default=6
        Number of modules. A residual connection ends after every third module.
    kernel_sizes : tuple of int, default=(39, 19, 9)
        Kernel widths of the three branches. The authors use 40, 20 and 10. The default widths are
        one smaller, because an odd kernel is centred and needs no padded copy.
    bottleneck : int, default=32
        Number of channels of the 1 x 1 convolution before the branches.

    References
    ----------
    H. Ismail Fawaz et al., "InceptionTime: finding AlexNet for time series classification",
    Data Mining and Knowledge Discovery 34, 2020.
    """

    def __init__(
        self,
        n_channels: int,
        n_filters: int = 32,
        depth: int = 6,
        kernel_sizes: tuple[int, ...] = (39, 19, 9),
        bottleneck: int = 32,
    ) -> None:
        super().__init__()
        self.n_features = n_filters * (len(kernel_sizes) + 1)
        widths = [n_channels] + [self.n_features] * depth
        self.modules_ = nn.ModuleList(
            InceptionModule(width, n_filters, kernel_sizes, bottleneck) for width in widths[:-1]
        )
        starts = range(0, depth - 2, 3)
        self.shortcuts = nn.ModuleList(
            SameConv1d(widths[start], self.n_features, 1) for start in starts
        )
        self.shortcut_norms = nn.ModuleList(TimeBatchNorm(self.n_features) for _ in starts)

    def feature_maps(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = start = as_image(x)
        for i, module in enumerate(self.modules_):
            x = module(x, mask)
            if i % 3 == 2:
                shortcut = self.shortcut_norms[i // 3](self.shortcuts[i // 3](start), mask)
                x = start = keep(torch.relu(x + shortcut), mask)
        return x


class SerialInceptionBlock(nn.Module):
    """Block of a bottleneck, three convolutions in series and a normalised 1 x 1 shortcut."""

    def __init__(self, in_channels: int, n_filters: int, kernel_size: int) -> None:
        super().__init__()
        self.bottleneck = SameConv1d(in_channels, n_filters, 1)
        self.convolutions = nn.ModuleList(
            SameConv1d(n_filters, n_filters, kernel_size // 2**i) for i in range(3)
        )
        # Never applied, as in the reference; it makes the number of parameters the paper's.
        self.unused_norm = TimeBatchNorm(n_filters)
        self.shortcut = SameConv1d(in_channels, n_filters, 1)
        self.shortcut_norm = TimeBatchNorm(n_filters)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        shortcut = torch.relu(self.shortcut_norm(self.shortcut(x), mask))
        x = self.bottleneck(x)
        for convolution in self.convolutions:
            x = keep(convolution(x), mask)
        return keep(x + shortcut, mask)


class SerialInception(ConvolutionalBackbone):
    """Network ``inception55-32`` of the GDPD paper: six blocks of convolutions in series.

    Parameters
    ----------
    n_channels : int
        Number of channels of the series.
    n_filters : int, default=32
        Number of filters of every convolution, and of features.
    kernel_sizes : tuple of int, default=(9, 19, 39, 9, 19, 39)
        Width of the first kernel of each block. The next two kernels have a half and a quarter of
        this width.

    References
    ----------
    GDPD, arXiv 2605.11414, appendix on architectures.
    """

    def __init__(
        self,
        n_channels: int,
        n_filters: int = 32,
        kernel_sizes: tuple[int, ...] = (9, 19, 39, 9, 19, 39),
    ) -> None:
        super().__init__()
        self.n_features = n_filters
        self.blocks = nn.ModuleList(
            SerialInceptionBlock(n_channels if i == 0 else n_filters, n_filters, size)
            for i, size in enumerate(kernel_sizes)
        )

    def feature_maps(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = as_image(x)
        for block in self.blocks:
            x = block(x, mask)
        return x

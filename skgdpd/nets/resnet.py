"""Residual and plain convolutional backbones: ResNet, the GDPD paper's ResNet, and FCN."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .layers import ConvolutionalBackbone, SameConv1d, TimeBatchNorm, as_image, keep


class ConvolutionStack(nn.Module):
    """Stack of convolutions with batch normalisation and rectifiers; the last one is optional."""

    def __init__(
        self,
        in_channels: int,
        widths: tuple[int, ...],
        kernel_sizes: tuple[int, ...],
        bias: bool = False,
        rectify_last: bool = True,
    ) -> None:
        super().__init__()
        inputs = (in_channels, *widths[:-1])
        self.convolutions = nn.ModuleList(
            SameConv1d(c_in, c_out, size, bias=bias)
            for c_in, c_out, size in zip(inputs, widths, kernel_sizes, strict=True)
        )
        self.norms = nn.ModuleList(TimeBatchNorm(width) for width in widths)
        self.rectify_last = rectify_last

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        last = len(self.norms) - 1
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = norm(convolution(x).contiguous(memory_format=torch.channels_last), mask)
            if i < last or self.rectify_last:
                x = torch.relu(x)
            x = keep(x, mask)
        return x


class ResNet(ConvolutionalBackbone):
    """Residual network for time series.

    Parameters
    ----------
    n_channels : int
        Number of channels of the series.
    widths : tuple of int, default=(64, 128, 128)
        Numbers of channels of the three blocks. The last one is the number of features.

    References
    ----------
    Z. Wang, W. Yan, T. Oates, "Time series classification from scratch with deep neural
    networks: a strong baseline", IJCNN 2017.
    """

    def __init__(self, n_channels: int, widths: tuple[int, ...] = (64, 128, 128)) -> None:
        super().__init__()
        self.n_features = widths[-1]
        inputs = (n_channels, *widths[:-1])
        self.blocks = nn.ModuleList(
            ConvolutionStack(c_in, (width,) * 3, (8, 5, 3), rectify_last=False)
            for c_in, width in zip(inputs, widths, strict=True)
        )
        self.shortcuts = nn.ModuleList(
            SameConv1d(c_in, width, 1) if c_in != width else nn.Identity()
            for c_in, width in zip(inputs, widths, strict=True)
        )
        self.shortcut_norms = nn.ModuleList(TimeBatchNorm(width) for width in widths)

    def feature_maps(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = as_image(x)
        for block, shortcut, norm in zip(
            self.blocks, self.shortcuts, self.shortcut_norms, strict=True
        ):
            x = keep(torch.relu(block(x, mask) + norm(shortcut(x), mask)), mask)
        return x


class PaperResNet(ConvolutionalBackbone):
    """Network ``resnet32-64`` of the GDPD paper.

    It differs from :class:`ResNet` in three ways. Convolutions have a bias. The shortcut is added
    after the last rectifier of a block, and the sum is not rectified. The third block has no
    shortcut.

    Parameters
    ----------
    n_channels : int
        Number of channels of the series.
    widths : tuple of int, default=(64, 128, 128)
        Numbers of channels of the three blocks. The last one is the number of features.

    References
    ----------
    GDPD, arXiv 2605.11414, appendix on architectures.
    """

    def __init__(self, n_channels: int, widths: tuple[int, ...] = (64, 128, 128)) -> None:
        super().__init__()
        self.n_features = widths[-1]
        inputs = (n_channels, *widths[:-1])
        self.blocks = nn.ModuleList(
            ConvolutionStack(c_in, (width,) * 3, (8, 5, 3), bias=True)
            for c_in, width in zip(inputs, widths, strict=True)
        )
        changes = [
            (c_in, width) for c_in, width in zip(inputs, widths, strict=True) if c_in != width
        ]
        self.shortcuts = nn.ModuleList(SameConv1d(*change, 1, bias=True) for change in changes)
        self.shortcut_norms = nn.ModuleList(TimeBatchNorm(width) for _, width in changes)

    def feature_maps(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = as_image(x)
        for i, block in enumerate(self.blocks):
            out = block(x, mask)
            if i < len(self.shortcuts):
                out = keep(out + self.shortcut_norms[i](self.shortcuts[i](x), mask), mask)
            x = out
        return x


NARROW = 64
"""Maximum number of filters in a layer for which the higher learning rate is suitable."""


class FCN(ConvolutionalBackbone):
    """Fully convolutional network: three convolutions, then the average over time.

    Parameters
    ----------
    n_channels : int
        Number of channels of the series.
    widths : tuple of int, default=(128, 256, 128)
        Number of filters of each layer. The last one is the number of features.
    kernel_sizes : tuple of int, default=(8, 5, 3)
        Kernel width of each layer.

    Attributes
    ----------
    suitable_lr : float
        Learning rate: 3e-3 if all layers have at most 64 filters, else 1e-3. See docs/choosing.md.

    References
    ----------
    Z. Wang, W. Yan, T. Oates, "Time series classification from scratch with deep neural
    networks: a strong baseline", IJCNN 2017.
    """

    def __init__(
        self,
        n_channels: int,
        widths: tuple[int, ...] = (128, 256, 128),
        kernel_sizes: tuple[int, ...] = (8, 5, 3),
    ) -> None:
        super().__init__()
        self.n_features = widths[-1]
        self.suitable_lr = 3e-3 if max(widths) <= NARROW else 1e-3
        self.stack = ConvolutionStack(n_channels, widths, kernel_sizes)

    def feature_maps(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.stack(as_image(x), mask)

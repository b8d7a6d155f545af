"""Temporal convolutional network: causal convolutions whose outputs are pooled over the past."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, islice, pairwise
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import ConvolutionalBackbone, TimeBatchNorm, as_image, time_mask

Past = tuple[Tensor, ...]
"""Inputs of one convolution at previous points, oldest first, each ``(n, n_in)``."""


class TCNState(NamedTuple):
    """State of a :class:`TCN` after some points of each series.

    All tensors have one row for each series. They are never modified.

    Attributes
    ----------
    n_points : Tensor of shape (n,), int64
        Number of points that have been read.
    total : Tensor of shape (n, width)
        Sum of the outputs of the last block over the points read so far. It is in double
        precision if the device supports it, because a stream may be long.
    maximum : Tensor of shape (n, width)
        Maximum of the outputs of the last block over the points read so far.
    past : tuple of tuple of Tensor
        For each convolution, the inputs that later outputs still need.
    """

    n_points: Tensor
    total: Tensor
    maximum: Tensor
    past: tuple[Past, ...]


class CausalConv1d(nn.Conv1d):
    """Causal convolution over time of ``(n, c, 1, t)`` images.

    No output depends on a later point.

    Parameters
    ----------
    in_channels, out_channels, kernel_size : int
        As in :class:`torch.nn.Conv1d`; the weight has the same shape ``(out, in, k)``.
    dilation : int, default=1
        Distance in time between neighbouring taps of a kernel.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, dilation: int = 1
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, dilation=dilation, bias=False)
        # In this memory order the (out, in, 1, k) view is channels-last, and steps copy nothing.
        weight = self.weight.detach().transpose(1, 2).contiguous().transpose(1, 2)
        self.weight = nn.Parameter(weight)

    @property
    def n_past(self) -> int:
        """Number of previous points within the receptive field of an output, gaps included."""
        return (self.kernel_size[0] - 1) * self.dilation[0]

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``(n, in_channels, 1, t)`` to ``(n, out_channels, 1, t)``."""
        return self._convolve(F.pad(x, (self.n_past, 0)) if self.n_past else x)

    def _convolve(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight.unsqueeze(2), dilation=(1, self.dilation[0]))

    def start(self, zero: Tensor) -> Past:
        """Return the inputs before the first point: copies of ``zero``, ``(n, in_channels)``."""
        return (zero,) * self.n_past

    def step(self, x: Tensor, past: Past) -> tuple[Tensor, Past]:
        """Convolve the next points.

        Parameters
        ----------
        x : Tensor of shape (n, in_channels) or (n, in_channels, 1, k)
            One point, or an image of ``k`` points.
        past : tuple of Tensor
            Inputs at previous points, as :meth:`start` or this method returned them.

        Returns
        -------
        out : Tensor
            Outputs at these points, with as many dimensions as ``x``.
        past : tuple of Tensor
            Inputs that precede the next points.
        """
        if x.ndim == 2:
            # A convolution at one point is a product, in the memory order of the weight.
            weight = self.weight.transpose(1, 2).flatten(1)
            taps = torch.cat([*past[:: self.dilation[0]], x], 1) if past else x
            return F.linear(taps, weight), (*past, x)[1:] if past else past
        if not past:
            return self._convolve(x), past
        joined = torch.cat([torch.stack(past, -1).unsqueeze(2), x], -1)
        last = joined[:, :, 0, -self.n_past :].permute(2, 0, 1).contiguous()
        return self._convolve(joined), last.unbind()


class CausalBlock(nn.Module):
    """Residual block of causal convolutions with batch normalisation.

    A rectifier follows every convolution but the last.

    Parameters
    ----------
    in_channels, width : int
        Numbers of input and output channels. If they differ, the shortcut is a convolution with
        one tap.
    kernel_size, dilation, n_convolutions : int
        Number of taps, distance between taps, and number of consecutive convolutions.
    """

    def __init__(
        self, in_channels: int, width: int, kernel_size: int, dilation: int, n_convolutions: int
    ) -> None:
        super().__init__()
        inputs = (in_channels, *[width] * (n_convolutions - 1))
        self.convolutions = nn.ModuleList(
            CausalConv1d(n_in, width, kernel_size, dilation) for n_in in inputs
        )
        self.norms = nn.ModuleList(TimeBatchNorm(width) for _ in inputs)
        changes = [in_channels] if in_channels != width else []
        self.shortcuts = nn.ModuleList(CausalConv1d(n_in, width, 1) for n_in in changes)
        self.shortcut_norms = nn.ModuleList(TimeBatchNorm(width) for _ in changes)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        shortcut = x
        for convolution, norm in zip(self.shortcuts, self.shortcut_norms, strict=True):
            shortcut = norm(convolution(shortcut), mask)
        last = len(self.norms) - 1
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = norm(convolution(x), mask)
            if i < last:
                x = torch.relu(x)
        return torch.relu(x + shortcut)

    def step(self, x: Tensor, past: Sequence[Past]) -> tuple[Tensor, list[Past]]:
        """Compute the outputs at the next points; normalisation uses running statistics.

        Parameters
        ----------
        x : Tensor of shape (n, in_channels) or (n, in_channels, 1, k)
            One point, or an image of ``k`` points.
        past : sequence of tuple of Tensor
            Inputs of each convolution at previous points.

        Returns
        -------
        out : Tensor
            Outputs at these points, with as many dimensions as ``x``.
        past : list of tuple of Tensor
            Inputs of each convolution that precede the next points.
        """
        shortcut, kept = x, []
        for convolution, norm in zip(self.shortcuts, self.shortcut_norms, strict=True):
            shortcut = _normalise(cast(CausalConv1d, convolution).step(shortcut, ())[0], norm)
        last = len(self.norms) - 1
        parts = zip(self.convolutions, self.norms, past, strict=True)
        for i, (convolution, norm, before) in enumerate(parts):
            x, after = cast(CausalConv1d, convolution).step(x, before)
            kept.append(after)
            x = _normalise(x, norm)
            if i < last:
                x = torch.relu(x)
        return torch.relu(x + shortcut), kept


class TCN(ConvolutionalBackbone):
    """Temporal convolutional network with running mean and maximum pooling.

    The network consists of residual blocks of causal convolutions. Each block has twice the
    dilation of the previous one. The features at a moment are the mean and the maximum of the
    outputs up to the moment. No feature depends on a later point. One pass therefore computes the
    features at every moment, and a state computes them point by point. In training, batch
    normalisation takes its statistics from all points of a batch. In evaluation mode, it is a
    fixed linear map of each point.

    Parameters
    ----------
    n_channels : int
        Number of channels of the series.
    n_timepoints : int
        Length of the series. The network has as many blocks as the last output needs to depend
        on the first point, but at most ``max_blocks``.
    width : int, default=64
        Number of filters of each convolution. The number of features is twice as large.
    kernel_size : int, default=3
        Number of taps of each kernel.
    n_convolutions : int, default=2
        Number of convolutions of each block.
    max_blocks : int, default=6
        Maximum number of blocks. With six blocks and the default kernels, the last output depends
        on 253 points. Pooled features depend on all points.

    Attributes
    ----------
    n_features : int
        Number of features, ``2 * width``.
    suitable_lr : float
        Learning rate. See docs/choosing.md for measurements.

    References
    ----------
    S. Bai, J. Z. Kolter, V. Koltun, "An empirical evaluation of generic convolutional and
    recurrent networks for sequence modeling", arXiv 1803.01271. That network uses weight
    normalisation instead of batch normalisation, and the last output instead of pooling.
    """

    suitable_lr = 3e-3

    def __init__(
        self,
        n_channels: int,
        n_timepoints: int,
        width: int = 64,
        kernel_size: int = 3,
        n_convolutions: int = 2,
        max_blocks: int = 6,
    ) -> None:
        super().__init__()
        self.n_features = 2 * width
        reach = n_convolutions * (kernel_size - 1)
        # 1 + reach * (2 ** n_blocks - 1) points are what the last output depends on.
        enough = -(-max(n_timepoints - 1, 1) // reach)
        n_blocks = min(enough.bit_length(), max_blocks)
        inputs = (n_channels, *[width] * (n_blocks - 1))
        self.blocks = nn.ModuleList(
            CausalBlock(n_in, width, kernel_size, 2**i, n_convolutions)
            for i, n_in in enumerate(inputs)
        )

    def feature_maps(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        # The padding at the end needs no removal in between: no earlier output depends on it.
        x = as_image(x)
        for block in self.blocks:
            x = block(x, mask)
        return x

    def features_from_maps(self, maps: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the mean and maximum over time of ``(n, width, t)`` activations.

        Parameters
        ----------
        maps : Tensor of shape (n_samples, width, n_timepoints)
            Result of :meth:`maps`.
        lengths : Tensor of shape (n_samples,), optional
            Length of each series without padding; None if all have ``n_timepoints`` points.

        Returns
        -------
        Tensor of shape (n_samples, 2 * width)
        """
        return pool_up_to(maps, [maps.shape[-1]], lengths)[:, 0]

    def features_at(
        self, x: Tensor, time_points: Sequence[int], lengths: Tensor | None = None
    ) -> Tensor:
        """Compute the features at several moments; see :class:`~skgdpd.nets.PathFeatures`."""
        return pool_up_to(self.maps(x[..., : time_points[-1]], lengths), time_points, lengths)

    def start(self, n: int, device: torch.device | str | None = None) -> TCNState:
        """Return the state before the first point; see :class:`~skgdpd.nets.PointState`."""
        convolutions = [
            cast(CausalConv1d, convolution)
            for block in self.blocks
            for convolution in cast(CausalBlock, block).convolutions
        ]
        zero = convolutions[0].weight.detach().new_zeros(n, 1, device=device)
        width = self.n_features // 2
        return TCNState(
            zero.new_zeros(n, dtype=torch.int64),
            zero.new_zeros(n, width, dtype=_precise(zero)),
            zero.new_full((n, width), -torch.inf),
            tuple(
                convolution.start(zero.expand(n, convolution.in_channels))
                for convolution in convolutions
            ),
        )

    def step(self, state: TCNState, points: Tensor) -> tuple[TCNState, Tensor]:
        """Read the next points of each series; see :class:`~skgdpd.nets.PointState`."""
        # A copy, because the state keeps some of them and the caller may reuse the memory.
        x = points[..., 0].clone() if points.shape[-1] == 1 else as_image(points)
        past, kept = iter(state.past), []
        for module in self.blocks:
            block = cast(CausalBlock, module)
            x, after = block.step(x, list(islice(past, len(block.norms))))
            kept += after
        precise = state.total.dtype
        if x.ndim == 2:
            total, maximum = state.total + x, torch.maximum(state.maximum, x)
        else:
            total = state.total + x.sum((2, 3), dtype=precise)
            maximum = torch.maximum(state.maximum, x.amax((2, 3)))
        n_points = state.n_points + points.shape[-1]
        mean = (total / n_points[:, None]).to(x.dtype)
        return TCNState(n_points, total, maximum, tuple(kept)), torch.cat([mean, maximum], 1)


def pool_up_to(maps: Tensor, time_points: Sequence[int], lengths: Tensor | None) -> Tensor:
    """Pool activations over time, up to each of several moments.

    Parameters
    ----------
    maps : Tensor of shape (n, n_maps, n_timepoints)
        Activations.
    time_points : sequence of int
        The moments, as prefix lengths in ascending order; the last is ``n_timepoints``.
    lengths : Tensor of shape (n,) or None
        Length of each series without padding. Later activations are not pooled. None if all
        series reach the last moment.

    Returns
    -------
    Tensor of shape (n, n_moments, 2 * n_maps)
        Means, then maxima.
    """
    summed = largest = maps
    mask = time_mask(lengths, maps.shape[-1])
    if mask is not None:
        missing = mask.squeeze(2) == 0
        summed, largest = maps.masked_fill(missing, 0.0), maps.masked_fill(missing, -torch.inf)
    # ONNX has no running maximum.
    if len(time_points) == maps.shape[-1] and not torch.compiler.is_compiling():
        counts = torch.arange(1, len(time_points) + 1, device=maps.device)
        if lengths is not None:
            counts = torch.minimum(counts, lengths[:, None])[:, None]
        means, maxima = summed.cumsum(-1) / counts, largest.cummax(-1).values
        return torch.cat([means, maxima], 1).transpose(1, 2)
    # Sums over the pieces in between: fewer numbers than running sums over all points.
    sizes = [end - start for start, end in pairwise([0, *time_points])]
    totals = accumulate(piece.sum(-1) for piece in summed.split(sizes, -1))
    largest_so_far = accumulate(
        (piece.amax(-1) for piece in largest.split(sizes, -1)), torch.maximum
    )
    pooled = [
        torch.cat([total / (end if lengths is None else lengths.clamp(max=end)[:, None]), most], 1)
        for end, total, most in zip(time_points, totals, largest_so_far, strict=True)
    ]
    return torch.stack(pooled, 1)


def _normalise(x: Tensor, norm: nn.Module) -> Tensor:
    assert isinstance(norm, TimeBatchNorm)
    return F.batch_norm(
        x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
    )


def _precise(like: Tensor) -> torch.dtype:
    return like.dtype if like.device.type == "mps" else torch.float64

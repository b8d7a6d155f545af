"""Layers shared by the convolutional backbones.

Inside a network, a batch of series is an image of height one, ``(n_samples, n_channels, 1,
n_timepoints)``, in ``channels_last`` memory. Convolutions are faster in this layout (see
docs/convolutions.md). :func:`as_image` converts series to this layout; pooling over time ends it.

Series of unequal length are padded with zeros at the end. They come with a ``mask`` of shape
``(n_samples, 1, 1, n_timepoints)``, which is 1 at existing time points and 0 at padding. Every
layer whose result would depend on the padding takes the mask. Batch normalisation leaves padding
out of its statistics, and pooling leaves it out of its mean. :func:`keep` sets padding back to
zero before each convolution, so that the output at the end of a short series is the same as
without padding.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._runtime.workers import is_shared, total
from .convolution import same_convolution


def as_image(x: Tensor) -> Tensor:
    """Turn ``(n, c, t)`` series into ``(n, c, 1, t)`` images in channels-last memory."""
    return x.unsqueeze(2).contiguous(memory_format=torch.channels_last)


def time_mask(lengths: Tensor | None, n_timepoints: int) -> Tensor | None:
    """Return the mask of existing time points, ``(n, 1, 1, t)``; None if all exist."""
    if lengths is None:
        return None
    steps = torch.arange(n_timepoints, device=lengths.device)
    return (steps < lengths[:, None]).to(torch.float32)[:, None, None, :]


def keep(x: Tensor, mask: Tensor | None) -> Tensor:
    """Set padding to zero; without a mask, return ``x`` itself."""
    return x if mask is None else x * mask


def average_over_time(x: Tensor, mask: Tensor | None) -> Tensor:
    """Average ``(n, c, 1, t)`` images over existing time points, to ``(n, c)``."""
    if mask is None:
        return x.mean((-2, -1))
    return (x * mask).sum((-2, -1)) / mask.sum((-2, -1))


class SameConv1d(nn.Conv1d):
    """Convolution over time that keeps the length, on ``(n, c, 1, t)`` images.

    Series are padded with ``(k - 1) // 2`` zeros before and ``k // 2`` zeros after, like the
    padding "same" of TensorFlow. The algorithm depends on the shape; see ``convolution_method``
    in :func:`skgdpd.set_config`.

    Parameters
    ----------
    in_channels, out_channels, kernel_size : int
        As in :class:`torch.nn.Conv1d`; the weight has the same shape ``(out, in, k)``.
    bias : bool, default=False
        Whether to add a bias. The default is False because batch normalisation, which follows
        most convolutions, would cancel it.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, bias: bool = False
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, bias=bias)
        # In this memory order the (out, in, 1, k) view is channels-last, and steps copy nothing.
        weight = self.weight.detach().transpose(1, 2).contiguous().transpose(1, 2)
        self.weight = nn.Parameter(weight)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``(n, in_channels, 1, t)`` to ``(n, out_channels, 1, t)``."""
        return same_convolution(x, self.weight, self.bias)


class TimeBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of ``(n, c, 1, t)`` images that ignores padding in its statistics."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() != 4:
            raise ValueError(f"expected an (n, c, 1, t) image, got {input.dim()} dimensions")

    def forward(self, input: Tensor, mask: Tensor | None = None) -> Tensor:
        """Normalise images; with a mask, statistics use existing time points only."""
        if not self.training or (mask is None and not is_shared()):
            return super().forward(input)
        if mask is None:
            mask = input.new_ones(len(input), 1, 1, input.shape[-1])
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        count = total(mask.sum())
        mean = total((input * mask).sum((0, 2, 3))) / count
        centred = input - mean[:, None, None]
        variance = total((centred.square() * mask).sum((0, 2, 3))) / count
        with torch.no_grad():
            unbiased = variance * (count / (count - 1).clamp(min=1))
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
        scaled = centred * torch.rsqrt(variance + self.eps)[:, None, None]
        return scaled * self.weight[:, None, None] + self.bias[:, None, None]


class ConvolutionalBackbone(nn.Module):
    """Base class of convolutional backbones, whose features are feature maps averaged over time.

    Attributes
    ----------
    n_features : int
        Width of the feature vector.
    """

    n_features: int

    def feature_maps(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map ``(n, c, t)`` series to ``(n, n_features, 1, t)`` activations."""
        raise NotImplementedError

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map ``(n, c, t)`` series to ``(n, n_features)`` features.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels, n_timepoints)
            Series, padded with zeros at the end.
        lengths : Tensor of shape (n_samples,), optional
            Length of each series without padding; None if all have ``n_timepoints`` points.

        Returns
        -------
        Tensor of shape (n_samples, n_features)
        """
        return self.features_from_maps(self.maps(x, lengths), lengths)

    def maps(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map ``(n, c, t)`` series to ``(n, n_features, t)`` activations over time.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels, n_timepoints)
            Series, padded with zeros at the end.
        lengths : Tensor of shape (n_samples,), optional
            Length of each series without padding; None if all have ``n_timepoints`` points.

        Returns
        -------
        Tensor of shape (n_samples, n_features, n_timepoints)
            Activations over time.
        """
        return self.feature_maps(x, time_mask(lengths, x.shape[-1])).squeeze(2)

    def features_from_maps(self, maps: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Average ``(n, n_features, t)`` activations over the time points of each series.

        Parameters
        ----------
        maps : Tensor of shape (n_samples, n_features, n_timepoints)
            Result of :meth:`maps`.
        lengths : Tensor of shape (n_samples,), optional
            Length of each series without padding; None if all have ``n_timepoints`` points.

        Returns
        -------
        Tensor of shape (n_samples, n_features)
            Features.
        """
        return average_over_time(maps.unsqueeze(2), time_mask(lengths, maps.shape[-1]))


class FeatureBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of ``(n, d)`` features that also works for a batch of one.

    A single row has no variance. It is normalised by the running statistics, even in training.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise ``(n, d)`` features."""
        if self.training and is_shared():
            return self._over_processes(input)
        if self.training and len(input) == 1:
            return F.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)

    def _over_processes(self, input: Tensor) -> Tensor:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        count = total(input.new_tensor(float(len(input))))
        mean = total(input.sum(0)) / count
        centred = input - mean
        variance = total(centred.square().sum(0)) / count
        with torch.no_grad():
            unbiased = variance * (count / (count - 1).clamp(min=1))
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
        return centred * torch.rsqrt(variance + self.eps) * self.weight + self.bias

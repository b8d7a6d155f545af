"""MiniRocket as a graph of standard operations, for export."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .minirocket import N_KERNELS, N_TAPS, MiniRocket, _long_enough, _paddings, _taps

AT_ONCE = 8
"""Number of biases compared in one operation. A larger number needs more memory, and a smaller
number needs a larger graph."""


class MiniRocketGraph(nn.Module):
    """MiniRocket features, computed by operations whose shapes don't depend on the batch.

    Sums have the same order as in the transform. An output that equals a bias, which is common on
    training series, is therefore compared in the same way.

    Parameters
    ----------
    transform : MiniRocket
        A fitted transform.
    """

    def __init__(self, transform: MiniRocket) -> None:
        super().__init__()
        self.dilations = transform.dilations
        self.n_channels = transform.n_channels
        self.channels = transform.channels.cpu().transpose(1, 2)
        self.heavy = transform.heavy.cpu()
        biases = transform.biases.split([N_KERNELS * count for count in transform.n_biases])
        self.biases = [part.view(N_KERNELS, -1) for part in biases]
        self.whole = torch.zeros(len(self.dilations), N_KERNELS, 1, dtype=torch.bool)
        for i, own in enumerate(self.whole):
            for kernels, whole in _paddings(i):
                own[kernels] = whole

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map series ``(n, n_channels, n_timepoints)`` to features ``(n, n_features)``."""
        x = _long_enough(x)
        parts = [
            self._shares(self._convolve(x, i, dilation), i, 4 * dilation)
            for i, dilation in enumerate(self.dilations)
        ]
        return torch.cat(parts, 1)

    def _convolve(self, x: Tensor, i: int, dilation: int) -> Tensor:
        base, tripled = _taps(with_empty_channel(x), dilation)
        return sum_of_kernels(base, tripled, self.channels[i], self.heavy)

    def _shares(self, output: Tensor, i: int, margin: int) -> Tensor:
        n_timepoints = output.shape[2]
        inner = slice(margin, -margin) if n_timepoints > 2 * margin else slice(None)
        everywhere, inside = [], []
        for biases in self.biases[i].split(AT_ONCE, 1):
            above = (output[:, :, None] > biases[:, :, None]).to(output.dtype)
            everywhere.append(above.sum(3))
            inside.append(above[:, :, :, inner].sum(3))
        n_inside = len(range(n_timepoints)[inner])
        shares = torch.where(
            self.whole[i], torch.cat(everywhere, 2) / n_timepoints, torch.cat(inside, 2) / n_inside
        )
        return shares.flatten(1)


def with_empty_channel(x: Tensor) -> Tensor:
    """Append a channel of zeros, which stands for empty slots."""
    return torch.cat([x, torch.zeros_like(x[:, :1])], 1)


def sum_of_kernels(base: Tensor, tripled: Tensor, slots: Tensor, heavy: Tensor) -> Tensor:
    """Return the outputs of kernels, summed slot by slot and tap by tap.

    Parameters
    ----------
    base : Tensor of shape (n, n_channels, t)
        Negative sum of the nine taps.
    tripled : Tensor of shape (n, n_channels, 9, t)
        Three times each tap.
    slots : Tensor of shape (n_slots, n_kernels)
        Indices of the channels that each kernel sums.
    heavy : Tensor of shape (3, n_kernels)
        Indices of the taps of each kernel with weight 2 instead of -1.

    Returns
    -------
    Tensor of shape (n, n_kernels, t)
    """
    tripled = tripled.flatten(1, 2)
    total: Tensor | None = None
    for slot in slots:
        output = base.index_select(1, slot)
        for tap in heavy:
            output = output + tripled.index_select(1, slot * N_TAPS + tap)
        total = output if total is None else total + output
    assert total is not None
    return total

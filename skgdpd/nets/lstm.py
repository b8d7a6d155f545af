"""Recurrent backbones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

RATES = {16: 0.03, 32: 0.01}
"""Learning rates by the largest width for which each is suitable; see docs/choosing.md."""
USUAL_RATE = 1e-3
"""Learning rate of networks wider than all keys of ``RATES``."""


class LSTMState(NamedTuple):
    """State of an :class:`LSTM` after some points of each series.

    Attributes
    ----------
    outputs : tuple of Tensor
        Output of each layer at the last point, ``(n, hidden_size)``.
    cells : tuple of Tensor
        Cell state of each layer, ``(n, hidden_size)``.
    """

    outputs: tuple[Tensor, ...]
    cells: tuple[Tensor, ...]


class LSTM(nn.Module):
    """Stacked LSTM whose features are the last output of its last layer.

    Parameters
    ----------
    n_channels : int
        Number of channels of the series.
    hidden_size : int, default=64
        Number of units of each layer, and of features.
    n_layers : int, default=2
        Number of stacked layers.
    remember : bool, default=True
        Whether to initialise the forget-gate bias with one and the recurrent matrices as
        orthogonal. Without this initialisation, long series are hard to learn. False keeps the
        initial weights of torch, as in the networks of the GDPD paper.

    Attributes
    ----------
    n_features : int
        Number of features, ``hidden_size``.
    suitable_lr : float
        Learning rate: 0.03 for up to 16 units, 0.01 for up to 32, else 1e-3. See
        docs/choosing.md for measurements.
    """

    def __init__(
        self, n_channels: int, hidden_size: int = 64, n_layers: int = 2, remember: bool = True
    ) -> None:
        super().__init__()
        self.n_features = hidden_size
        self.suitable_lr = next(
            (rate for most, rate in RATES.items() if hidden_size <= most), USUAL_RATE
        )
        self.lstm = nn.LSTM(n_channels, hidden_size, n_layers, batch_first=True)
        if remember:
            self._start_remembering(hidden_size)

    def _start_remembering(self, hidden_size: int) -> None:
        with torch.no_grad():
            for name, parameter in self.lstm.named_parameters():
                if name.startswith("weight_hh"):
                    for gate in parameter.chunk(4):
                        nn.init.orthogonal_(gate)
                elif name.startswith("bias_ih"):
                    parameter[hidden_size : 2 * hidden_size] = 1.0

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map ``(n, c, t)`` series to the outputs ``(n, n_features)`` at their last points.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels, n_timepoints)
            Series. Values after the end of a series are never used.
        lengths : Tensor of shape (n_samples,), optional
            Length of each series without padding; None if all have ``n_timepoints`` points.

        Returns
        -------
        Tensor of shape (n_samples, n_features)
            Features.
        """
        return self.features_from_maps(self.maps(x), lengths)

    def maps(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map ``(n, c, t)`` series to the outputs ``(n, n_features, t)`` at each point.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels, n_timepoints)
            Series; no output depends on later points.
        lengths : Tensor of shape (n_samples,), optional
            Ignored.

        Returns
        -------
        Tensor of shape (n_samples, n_features, n_timepoints)
            Outputs over time.
        """
        if x.device.type != "cpu":
            return self.lstm(x.transpose(1, 2))[0].transpose(1, 2)
        # Torch has no recurrent layer in bfloat16 for processors without units for it.
        with torch.autocast("cpu", enabled=False):
            return self.lstm(x.transpose(1, 2))[0].transpose(1, 2)

    def features_from_maps(self, maps: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the output at each series' last point, ``(n, n_features)``.

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
        outputs = maps.transpose(1, 2)
        if lengths is None:
            return outputs[:, -1]
        return outputs[torch.arange(len(maps), device=maps.device), lengths - 1]

    def features_at(
        self, x: Tensor, time_points: Sequence[int], lengths: Tensor | None = None
    ) -> Tensor:
        """Return the outputs at several points; see :class:`~skgdpd.nets.PathFeatures`."""
        outputs = self.maps(x[..., : time_points[-1]]).transpose(1, 2)
        if lengths is None:
            sizes = [end - start for start, end in pairwise([0, *time_points])]
            return torch.stack([piece[:, -1] for piece in outputs.split(sizes, 1)], 1)
        last = torch.stack([lengths.clamp(max=end) - 1 for end in time_points], 1)
        return outputs[torch.arange(len(x), device=x.device)[:, None], last]

    def start(self, n: int, device: torch.device | str | None = None) -> LSTMState:
        """Return the state before the first point; see :class:`~skgdpd.nets.PointState`."""
        weight = cast(Tensor, self.lstm.weight_hh_l0).detach()
        zeros = (weight.new_zeros(n, self.lstm.hidden_size, device=device),) * self.lstm.num_layers
        return LSTMState(zeros, zeros)

    def step(self, state: LSTMState, points: Tensor) -> tuple[LSTMState, Tensor]:
        """Read the next points of each series; see :class:`~skgdpd.nets.PointState`."""
        if points.shape[-1] > 1:
            before = (torch.stack(state.outputs), torch.stack(state.cells))
            _, (outputs, cells) = self.lstm(points.transpose(1, 2), before)
            return LSTMState(outputs.unbind(), cells.unbind()), outputs[-1]
        # Several times as fast for one point as a pass over a series of one.
        x, all_weights = points[..., 0], cast(list[list[Tensor]], self.lstm.all_weights)
        outputs_after, cells_after = [], []
        for output, cell, weights in zip(*state, all_weights, strict=True):
            x, cell = torch.lstm_cell(x, (output, cell), *weights)
            outputs_after.append(x)
            cells_after.append(cell)
        return LSTMState(tuple(outputs_after), tuple(cells_after)), x

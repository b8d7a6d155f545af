"""Recurrent backbones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

RATES = {16: 0.03, 32: 0.01}
"""Learning rates by the most units that want them; more units, trained so fast, gain on first
parts and lose on long series."""
USUAL_RATE = 1e-3


class LSTM(nn.Module):
    """Stacked LSTM; its feature is the last output.

    Parameters
    ----------
    n_channels : int
        Channels of the series.
    hidden_size : int, default=64
        Width of each layer, and of the feature.
    n_layers : int, default=2
        Layers on top of each other.
    remember : bool, default=True
        Start with a forget-gate bias of one and orthogonal recurrent weights, so that long
        series can be learned at all; False keeps torch's start, as the GDPD paper's networks do.

    Attributes
    ----------
    n_features : int
        Width of the feature vector, ``hidden_size``.
    suitable_lr : float
        Learning rate, the higher the fewer units: 0.03 up to 16, 0.01 up to 32, else 1e-3. See
        docs/choosing.md for what was measured.
    """

    def __init__(
        self, n_channels: int, hidden_size: int = 64, n_layers: int = 2, remember: bool = True
    ) -> None:
        super().__init__()
        self.n_features = hidden_size
        self.suitable_lr = next(
            (rate for most, rate in RATES.items() if hidden_size <= most), 1e-3
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
        """Map ``(n, c, t)`` series to ``(n, n_features)``: the output at each series' last point.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels, n_timepoints)
            Series; what stands beyond a series' own length is never used.
        lengths : Tensor of shape (n_samples,), optional
            Own length of each series; None where all are ``n_timepoints`` long.
        """
        return self.features_from_maps(self.maps(x), lengths)

    def maps(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map ``(n, c, t)`` series to ``(n, n_features, t)``: the output at each point.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels, n_timepoints)
            Series; what stands beyond a series' own length has no influence on what is before.
        lengths : Tensor of shape (n_samples,), optional
            Ignored.
        """
        return self.lstm(x.transpose(1, 2))[0].transpose(1, 2)

    def features_from_maps(self, maps: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The output at each series' last point, ``(n, n_features)``.

        Parameters
        ----------
        maps : Tensor of shape (n_samples, n_features, n_timepoints)
            What :meth:`maps` made.
        lengths : Tensor of shape (n_samples,), optional
            As for :meth:`forward`.
        """
        outputs = maps.transpose(1, 2)
        if lengths is None:
            return outputs[:, -1]
        return outputs[torch.arange(len(maps), device=maps.device), lengths - 1]

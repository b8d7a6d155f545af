"""Flow of features, a prior that needs few steps."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from .flow import FlowNetwork, couple, flow_matching_loss
from .flow_map import flow_map_loss
from .mean_flow import mean_flow_loss
from .shortcut import shortcut_loss

FlowName = Literal["flow", "flow-map", "mean-flow", "shortcut"]
LOSSES = {
    "flow": flow_matching_loss,
    "flow-map": flow_map_loss,
    "mean-flow": mean_flow_loss,
    "shortcut": shortcut_loss,
}
DENSITY_STEPS = 50
"""Number of steps in the integral of a log-density, which keeps its error small."""


class LatentFlow(nn.Module):
    """Flow of features from noise at time 0 to data at time 1, with the features' moments.

    Parameters
    ----------
    dynamics : {"flow", "flow-map", "mean-flow", "shortcut"}
        Loss with which the network is trained. With ``"flow"`` it learns velocities only, and each
        step is a straight line. With the others it learns where the flow leads, so that one step
        may be enough.
    n_features : int
        Width d of the features.
    coupled : bool, default=False
        Whether the loss pairs noise and features by optimal transport within each batch. The
        lines are then straighter, but the noise is no longer independent of the features. A point
        on the way is then no noisy measurement of a feature, so
        :class:`FlowLinearGaussianPosterior` and :class:`FlowMatchedNoise` can't be used.

    Attributes
    ----------
    network : FlowNetwork
        Network of the average velocities.
    mean : Tensor of shape (d,)
        Mean of the features.
    covariance : Tensor of shape (d, d)
        Shrunk estimate of the covariance of the features.

    Raises
    ------
    ValueError
        If ``dynamics`` is unknown.
    """

    mean: Tensor
    covariance: Tensor

    def __init__(self, dynamics: FlowName, n_features: int, coupled: bool = False) -> None:
        super().__init__()
        if dynamics not in LOSSES:
            raise ValueError(f"unknown flow {dynamics!r}; the names are {', '.join(LOSSES)}")
        self.dynamics = dynamics
        self.n_features = n_features
        self.coupled = coupled
        self.network: nn.Module = FlowNetwork(n_features)
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("covariance", torch.eye(n_features))

    def set_moments(self, mean: Tensor, covariance: Tensor) -> None:
        """Store the mean ``(d,)`` and the covariance ``(d, d)`` of the features."""
        self.mean.copy_(mean)
        self.covariance.copy_(covariance)

    def loss(self, u: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the training loss that belongs to ``dynamics``.

        Parameters
        ----------
        u : Tensor of shape (n, d)
            Features.
        generator : torch.Generator, optional
            Source of times and noise.

        Returns
        -------
        Tensor of shape ()
        """
        noise = torch.randn(u.shape, dtype=u.dtype, device=u.device, generator=generator)
        if self.coupled:
            noise = couple(noise, u)
        return LOSSES[self.dynamics](self.network, noise, u, generator)

    def velocity(self, x: Tensor, s: Tensor) -> Tensor:
        """Return the velocities ``(n, d)`` of features ``x (n, d)`` at times ``s (n, 1)``."""
        return self.network(x, s, s)

    def move(self, x: Tensor, s: Tensor, t: Tensor) -> Tensor:
        """Move features ``x (n, d)`` from times ``s (n, 1)`` to times ``t (n, 1)`` in a step."""
        # A plain flow is trained at equal times only.
        return x + (t - s) * self.network(x, s, s if self.dynamics == "flow" else t)

    def transport(self, x: Tensor, start: Tensor, n_steps: int) -> Tensor:
        """Move features to the data in equal steps; gradients flow through all steps.

        Parameters
        ----------
        x : Tensor of shape (n, d)
            Features at the time ``start``.
        start : Tensor of shape (n, 1) or (1, 1)
            First time, of each row or of all rows; gradients flow into it, too.
        n_steps : int
            Number of steps, with one evaluation of the network each.

        Returns
        -------
        Tensor of shape (n, d)
        """
        s = start
        for i in range(n_steps):
            t = start + (1 - start) * ((i + 1) / n_steps)
            x = self.move(x, s, t)
            s = t
        return x

    def log_density(self, u: Tensor) -> Tensor:
        """Return each row's log-density under the flow of the learned velocities, in nats.

        Features are followed back to their noise. The log-density of a feature is the log-density
        of its noise minus the integral of the velocity's divergence along the way.

        Parameters
        ----------
        u : Tensor of shape (n, d)
            Features.

        Returns
        -------
        Tensor of shape (n,)

        References
        ----------
        R. Chen et al., "Neural ordinary differential equations", NeurIPS 2018 (the change of
        variables).
        """
        x, spread, h = u, torch.zeros_like(u[:, 0]), 1 / DENSITY_STEPS
        for i in range(DENSITY_STEPS):
            s = torch.full_like(u[:1, :1], 1 - i * h)
            # The midpoint rule, whose error is of second order in the length of a step.
            middle = x - 0.5 * h * self.velocity(x, s)
            x = x - h * self.velocity(middle, s - 0.5 * h)
            spread = spread + h * self._divergence(middle, s - 0.5 * h)
        normal = -0.5 * (x.square().sum(-1) + self.n_features * math.log(2 * math.pi))
        return normal - spread

    def _divergence(self, x: Tensor, s: Tensor) -> Tensor:
        """Return the divergence ``(n,)`` of the velocity, by central differences."""
        total = torch.zeros_like(x[:, 0])
        # Where errors of rounding and of curvature are equal.
        h = torch.finfo(x.dtype).eps ** (1 / 3)
        # Groups of axes, which bounds the memory.
        for group in torch.eye(self.n_features, dtype=x.dtype, device=x.device).split(32):
            axes = group[:, None]
            after, before = (
                self.velocity((x + side * axes).flatten(0, 1), s).view(len(group), *x.shape)
                for side in (h, -h)
            )
            total += ((after - before) * axes).sum((0, 2)) / (2 * h)
        return total

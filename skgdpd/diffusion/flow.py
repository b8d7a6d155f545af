r"""Flows: motions of features from noise to data, learned by flow matching.

Time s runs from 0, where features are standard normal noise, to 1, where they are data. All flows
of the package have this direction. On the straight line :math:`I_s = (1 - s) x_0 + s x_1` from a
noise :math:`x_0` to a feature :math:`x_1`, the velocity is :math:`x_1 - x_0`. Its expectation
given the place, :math:`v_s(x) = E[x_1 - x_0 | I_s = x]`, carries noise to the distribution of the
data.

A network of a flow predicts average velocities :math:`v_{s,t}(x)`, so that :math:`X_{s,t}(x) = x +
(t - s) v_{s,t}(x)` is where the motion leads from time s to time t. At s = t it is the velocity
itself.
"""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from .denoiser import FiLMBlock, SinusoidalEmbedding

COUPLED_ROWS = 64
"""Number of rows that are coupled at once, as the time grows with the cube of it."""
TIME_STEP = 5e-3
"""Half of the time of a central difference, where its errors of rounding and curvature are equal.

Forward-mode differentiation would be exact, but takes several times as long on a CPU."""


class FlowNetwork(nn.Module):
    """Residual perceptron that predicts the average velocity between two times.

    It has the blocks of :class:`FiLMDenoiser`, modulated by the first time and by the time
    between. The network learns a correction of the average velocity that is exact for standard
    normal features whose noise is independent of them. The correction starts at 0.

    Parameters
    ----------
    n_features : int
        Width d of the features.
    hidden : int, default=128
        Width of the residual stream and of its blocks, as in the denoiser.
    depth : int, default=2
        Number of blocks, as in the denoiser.
    """

    def __init__(self, n_features: int, hidden: int = 128, depth: int = 2) -> None:
        super().__init__()
        self.embed_time = SinusoidalEmbedding(64)
        self.embed = nn.Sequential(nn.Linear(128, 64), nn.SiLU())
        self.enter = nn.Linear(n_features, hidden)
        self.blocks = nn.ModuleList(FiLMBlock(hidden, hidden, 64) for _ in range(depth))
        self.leave = nn.Linear(hidden, n_features)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, x: Tensor, s: Tensor, t: Tensor) -> Tensor:
        """Predict average velocities ``(n, d)``.

        Parameters
        ----------
        x : Tensor of shape (n, d)
            Features at time s.
        s, t : Tensor of shape (n, 1) or (1, 1)
            First and last time. One entry holds for all rows.

        Returns
        -------
        Tensor of shape (n, d)
        """
        times = [self.embed_time(s[:, 0]), self.embed_time((t - s)[:, 0])]
        condition = self.embed(torch.cat(times, -1))
        h = self.enter(x)
        for block in self.blocks:
            h = block(h, condition)
        return torch.addcmul(self.leave(h), normal_velocity(s, t), x)


def normal_velocity(s: Tensor, t: Tensor) -> Tensor:
    """Return the factor ``v_{s,t}(x) / x`` of standard normal features and independent noise.

    Such features have the deviation ``g(s) = sqrt((1 - s)^2 + s^2)`` at time s, so the flow
    multiplies them by ``g(t) / g(s)``.

    Parameters
    ----------
    s, t : Tensor
        First and last time.

    Returns
    -------
    Tensor
        The factor ``(g(t) / g(s) - 1) / (t - s)``, in a form that is defined for s = t, too.
    """
    first, last = ((1 - s).square() + s.square()).sqrt(), ((1 - t).square() + t.square()).sqrt()
    return 2 * (s + t - 1) / (first * (first + last))


def couple(noise: Tensor, data: Tensor) -> Tensor:
    """Order noise so that the sum of squared distances to the rows of data is the least.

    Parameters
    ----------
    noise : Tensor of shape (n, d)
        Noise, in any order.
    data : Tensor of shape (n, d)
        Features.

    Returns
    -------
    Tensor of shape (n, d)
        The rows of ``noise``. Each 64 of them are in the order of optimal transport to the rows
        of data in the same places.

    References
    ----------
    A. Tong et al., "Improving and generalizing flow-based generative models with minibatch optimal
    transport", TMLR 2024.
    """
    ordered = []
    for own, targets in zip(noise.split(COUPLED_ROWS), data.split(COUPLED_ROWS), strict=True):
        # The squared lengths are the same in every order, so the products decide.
        _, order = linear_sum_assignment((targets @ own.T).cpu().numpy(), maximize=True)
        ordered.append(own[torch.as_tensor(order, device=own.device)])
    return torch.cat(ordered)


def flow_matching_loss(
    network: nn.Module, noise: Tensor, data: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """Return the mean squared error of the velocity at random times.

    Parameters
    ----------
    network : torch.nn.Module
        Network that maps features and two times to average velocities.
    noise, data : Tensor of shape (n, d)
        First and last points of the lines.
    generator : torch.Generator, optional
        Source of the times, which are uniform.

    Returns
    -------
    Tensor of shape ()

    References
    ----------
    Y. Lipman et al., "Flow matching for generative modeling", ICLR 2023.
    """
    s = torch.rand(len(data), 1, dtype=data.dtype, device=data.device, generator=generator)
    velocity = data - noise
    return (network(noise + s * velocity, s, s) - velocity).square().mean()

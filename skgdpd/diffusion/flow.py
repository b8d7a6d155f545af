r"""Flows: motions of features from noise to data, learned by flow matching.

Time s runs from 0, where features are standard normal noise, to 1, where they are data. All flows
of the package have this direction. On the straight line :math:`I_s = (1 - s) x_0 + s x_1` from a
noise :math:`x_0` to a feature :math:`x_1`, the velocity is :math:`x_1 - x_0`. The velocity of the
flow at a point, :math:`v_s(x) = E[x_1 - x_0 | I_s = x]`, is the expectation over all lines through
this point. It carries noise to the distribution of the data.

The network of a flow predicts average velocities :math:`v_{s,t}(x)`. From time s to time t, the
flow moves x to :math:`X_{s,t}(x) = x + (t - s) v_{s,t}(x)`. At s = t, the average velocity is the
velocity itself.
"""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from .denoiser import FiLMBlock, SinusoidalEmbedding

COUPLED_ROWS = 64
"""Number of rows that are coupled at once; the computing time grows with its cube."""
TIME_STEP = 5e-3
"""Half the time span of a central difference, with equal rounding and curvature errors.

Forward-mode differentiation would be exact, but takes several times as long on a CPU."""


class FlowNetwork(nn.Module):
    """Residual perceptron that predicts the average velocity between two times.

    It has the blocks of :class:`FiLMDenoiser`, modulated by the first time and by the time
    difference. The network learns a correction to the average velocity of standard normal features
    with independent noise. The correction starts at 0.

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
            First and last time. A single entry is used for all rows.

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
    """Return the factor ``v_{s,t}(x) / x`` for standard normal features and independent noise.

    At time s, these features have the standard deviation ``g(s) = sqrt((1 - s)^2 + s^2)``, so the
    flow multiplies them by ``g(t) / g(s)``.

    Parameters
    ----------
    s, t : Tensor
        First and last time.

    Returns
    -------
    Tensor
        Factor ``(g(t) / g(s) - 1) / (t - s)``, in a form that is also defined for s = t.
    """
    first, last = ((1 - s).square() + s.square()).sqrt(), ((1 - t).square() + t.square()).sqrt()
    return 2 * (s + t - 1) / (first * (first + last))


def couple(noise: Tensor, data: Tensor) -> Tensor:
    """Reorder noise to minimise the sum of squared distances to the rows of data.

    Parameters
    ----------
    noise : Tensor of shape (n, d)
        Noise, in any order.
    data : Tensor of shape (n, d)
        Features.

    Returns
    -------
    Tensor of shape (n, d)
        Rows of ``noise``. Within each block of 64 rows, their order is the optimal transport to
        the rows of data at the same positions.

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
        Start points and end points of the lines.
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

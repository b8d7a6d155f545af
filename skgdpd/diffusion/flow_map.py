"""Flow maps, which learn the result of a flow in one step, by Lagrangian self-distillation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .flow import TIME_STEP, flow_matching_loss


def flow_map_loss(
    network: nn.Module, noise: Tensor, data: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """Return the flow-matching loss plus the loss of the map between two times.

    The map ``X_{s,t}`` follows the flow if ``d/dt X_{s,t}(x)`` is the velocity at the point that
    the map reaches. The network's output at equal times is this velocity, and no gradient flows
    into it. The second loss uses a quarter of the rows, because it costs three times as much per
    row.

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
    N. Boffi, M. Albergo, E. Vanden-Eijnden, "How to build a consistency model: learning flow maps
    via self-distillation", arXiv 2505.18825.
    """
    matching = flow_matching_loss(network, noise, data, generator)
    n = max(len(data) // 4, 1)
    pair = torch.rand(n, 2, dtype=data.dtype, device=data.device, generator=generator)
    s, t = pair.amin(1, keepdim=True), pair.amax(1, keepdim=True)
    x = noise[:n] + s * (data[:n] - noise[:n])

    x, s = x.repeat(2, 1), s.repeat(2, 1)
    around = torch.cat([t - TIME_STEP, t + TIME_STEP])
    before, after = (x + (around - s) * network(x, s, around)).chunk(2)
    with torch.no_grad():
        flow = network((before + after) / 2, t, t)
    return matching + ((after - before) / (2 * TIME_STEP) - flow).square().mean()

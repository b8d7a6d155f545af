"""MeanFlow, which learns average velocities from their own rate of change."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .flow import TIME_STEP

SHARE_OF_INTERVALS = 0.5
"""Share of the rows whose two times differ; the paper's experiments use 25 to 75 %."""


def mean_flow_loss(
    network: nn.Module, noise: Tensor, data: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """Return the squared error of average velocities against the MeanFlow identity.

    Along the flow, ``(t - s) v_{s,t}`` decreases at the rate of the velocity v as s grows.
    Therefore ``v_{s,t} = v + (t - s) d/ds v_{s,t}``, with the derivative along the flow. The
    velocity v may be that of a single line. No gradient flows through the derivative.

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

    Notes
    -----
    The paper's time runs from data to noise. Here it runs from noise to data, as everywhere in the
    package. The paper weights rows by the size of their error. These weights are left out, because
    with them the loss is not smallest at the conditional mean.

    References
    ----------
    Z. Geng et al., "Mean flows for one-step generative modeling", arXiv 2505.13447.
    """
    pair = torch.rand(len(data), 2, dtype=data.dtype, device=data.device, generator=generator)
    s, t = pair.amin(1, keepdim=True), pair.amax(1, keepdim=True)
    n = max(round(SHARE_OF_INTERVALS * len(data)), 1)
    t = torch.cat([t[:n], s[n:]])
    velocity = data - noise
    x = noise + s * velocity
    with torch.no_grad():
        aside = TIME_STEP * velocity[:n]
        around = torch.cat([x[:n] - aside, x[:n] + aside])
        times = torch.cat([s[:n] - TIME_STEP, s[:n] + TIME_STEP])
        before, after = network(around, times, t[:n].repeat(2, 1)).chunk(2)
        target = velocity.clone()
        target[:n] += (t - s)[:n] * (after - before) / (2 * TIME_STEP)
    return (network(x, s, t) - target).square().mean()

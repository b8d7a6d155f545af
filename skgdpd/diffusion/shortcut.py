"""Shortcut models, which learn that one long step leads where two short ones do."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

N_LENGTHS = 7
"""Number of lengths of steps: 1, 1/2, ..., 1/64, as in the source."""


def shortcut_loss(
    network: nn.Module, noise: Tensor, data: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """Return the squared error of velocities and of the mean velocities of long steps.

    A step of length 2d has the mean velocity ``v_{s,s+2d}``. It leads where two steps of length d
    do if ``v_{s,s+2d}(x) = (v_{s,s+d}(x) + v_{s+d,s+2d}(x + d v_{s,s+d}(x))) / 2``. The right side
    is the network's own, and no gradient flows into it. So what is learned of short steps passes
    to long ones. The shortest steps follow the velocity of time s, which flow matching teaches at
    all rows. The second condition is taken at a quarter of the rows, since it costs three times
    as much for each.

    Parameters
    ----------
    network : torch.nn.Module
        Network that maps features and two times to average velocities.
    noise, data : Tensor of shape (n, d)
        First and last points of the lines.
    generator : torch.Generator, optional
        Source of times and of lengths of steps.

    Returns
    -------
    Tensor of shape ()

    Notes
    -----
    The source's steps begin at multiples of their length. Here they begin anywhere, because a
    restoration begins at any time. The source's targets come from an average of the network's
    weights over training, and here from the weights as they are.

    References
    ----------
    K. Frans et al., "One step diffusion via shortcut models", ICLR 2025, arXiv 2410.12557.
    """
    n = max(len(data) // 4, 1)
    like: dict[str, Any] = {"dtype": data.dtype, "device": data.device, "generator": generator}
    halvings = torch.randint(N_LENGTHS, (n, 1), device=data.device, generator=generator)
    length = 0.5 ** halvings.to(data.dtype)
    half = length / 2
    s = (1 - length) * torch.rand(n, 1, **like)
    velocity = data - noise
    x = noise[:n] + s * velocity[:n]
    with torch.no_grad():
        known = torch.where(halvings < N_LENGTHS - 1, half, 0.0)
        first = network(x, s, s + known)
        middle = s + half
        second = network(x + half * first, middle, middle + known)
    time = torch.rand(len(data), 1, **like)
    places = torch.cat([noise + time * velocity, x])
    found = network(places, torch.cat([time, s]), torch.cat([time, s + length]))
    return (found - torch.cat([velocity, (first + second) / 2])).square().mean()

"""Activations over time of teachers and students, and which of their steps belong together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..training import Batch


@dataclass(frozen=True)
class MapShapes:
    """Activations over time of the longest series.

    Attributes
    ----------
    n_student_maps : int
        Channels of the student's.
    n_student_steps : int
        Steps of the student's, over what it sees.
    n_teacher_steps : int
        Steps of the teacher's, over whole series.
    share : float
        Of a whole series' time, what the student sees.
    """

    n_student_maps: int
    n_student_steps: int
    n_teacher_steps: int
    share: float


@dataclass(frozen=True)
class TeacherMaps:
    """A teacher's activations over time of some whole series of one length.

    Attributes
    ----------
    values : Tensor of shape (n, n_maps, n_steps)
        Activations.
    reach : Tensor of shape (n,)
        Where the last time point is that the student sees; the first of the series is at 0 and
        its last at 1.
    n_student_steps : Tensor of shape (n,)
        Steps of the student's activations over what it sees of each.
    shapes : MapShapes
        Of the longest series.
    """

    values: Tensor
    reach: Tensor
    n_student_steps: Tensor
    shapes: MapShapes


def own_steps(batch: Batch, n_steps: int) -> Tensor | None:
    """How many of a student's steps each series of a batch has; None if all have all."""
    lengths = batch.get("lengths")
    if lengths is None:
        return None
    n_timepoints = batch["x"].shape[-1]
    return (lengths * n_steps + n_timepoints - 1) // n_timepoints


def step_mask(n_own: Tensor, n_steps: int) -> Tensor:
    """Which of ``n_steps`` steps series of ``n_own (n,)`` steps have, ``(n, n_steps)``."""
    return torch.arange(n_steps, device=n_own.device) < n_own[:, None]


def resampled_beginning(values: Tensor, reach: Tensor, n_own: Tensor, n_steps: int) -> Tensor:
    """The first part of series, linearly interpolated to other steps; first and last aligned.

    Parameters
    ----------
    values : Tensor of shape (n, t)
        Series.
    reach : Tensor of shape (n,)
        Where each part ends, from 0, its first step, to 1, its last.
    n_own : Tensor of shape (n,)
        Steps of each part, from 1 to ``n_steps``.
    n_steps : int
        Width of the result.

    Returns
    -------
    Tensor of shape (n, n_steps)
        Zero beyond ``n_own``.
    """
    last = values.shape[1] - 1
    steps = torch.arange(n_steps, device=values.device, dtype=torch.float64)
    place = steps / (n_own - 1).clamp(min=1)[:, None] * (reach.double() * last)[:, None]
    left = place.floor().clamp(max=max(last - 1, 0)).long()
    weight = (place - left).clamp(0, 1).to(values.dtype)
    right = (left + 1).clamp(max=last)
    found = values.gather(1, left) * (1 - weight) + values.gather(1, right) * weight
    return torch.where(step_mask(n_own, n_steps), found, 0.0)


def window_means(maps: Tensor, width: int, n_own: Tensor | None = None) -> Tensor:
    """Means of ``width`` neighbouring steps, or at the end of those that are left.

    Parameters
    ----------
    maps : Tensor of shape (n, n_maps, n_steps)
        Activations over time.
    width : int
        Steps in a window.
    n_own : Tensor of shape (n,), optional
        Steps of each series; others are left out. All by default.

    Returns
    -------
    Tensor of shape (n, n_windows, n_maps)
        Zero in windows of which nothing is left.
    """
    if n_own is None:
        return F.avg_pool1d(maps, width, ceil_mode=True).transpose(1, 2)
    mask = step_mask(n_own, maps.shape[2])[:, None].to(maps.dtype)
    shares = F.avg_pool1d(mask, width, ceil_mode=True)
    sums = F.avg_pool1d(torch.where(mask > 0, maps, 0.0), width, ceil_mode=True)
    return (sums / torch.where(shares > 0, shares, 1.0)).transpose(1, 2)

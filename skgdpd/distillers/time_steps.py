"""Maps of teachers and students (activations over time), and the alignment of their steps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..training import Batch


@dataclass(frozen=True)
class MapShapes:
    """Shapes of the maps of the longest series.

    Attributes
    ----------
    n_student_maps : int
        Number of channels of the student's maps.
    n_student_steps : int
        Number of steps of the student's maps, over the prefix.
    n_teacher_steps : int
        Number of steps of the teacher's maps, over the whole series.
    share : float
        Length of the prefix as a fraction of the whole series.
    """

    n_student_maps: int
    n_student_steps: int
    n_teacher_steps: int
    share: float


@dataclass(frozen=True)
class TeacherMaps:
    """Maps of a teacher for whole series of equal length.

    Attributes
    ----------
    values : Tensor of shape (n, n_maps, n_steps)
        Activations over time.
    reach : Tensor of shape (n,)
        Position of the prefix's last time point. The first time point of the series has position
        0, and its last time point has position 1.
    n_student_steps : Tensor of shape (n,)
        Number of steps of the student's maps for each series' prefix.
    shapes : MapShapes
        Shapes of the maps of the longest series.
    """

    values: Tensor
    reach: Tensor
    n_student_steps: Tensor
    shapes: MapShapes


def own_steps(batch: Batch, n_steps: int) -> Tensor | None:
    """Return the number of valid student steps per series ``(n,)``, or None if all are valid."""
    lengths = batch.get("lengths")
    if lengths is None:
        return None
    n_timepoints = batch["x"].shape[-1]
    return (lengths * n_steps + n_timepoints - 1) // n_timepoints


def step_mask(n_own: Tensor, n_steps: int) -> Tensor:
    """Return a mask ``(n, n_steps)`` of the first ``n_own (n,)`` steps of each series."""
    return torch.arange(n_steps, device=n_own.device) < n_own[:, None]


def resampled_beginning(values: Tensor, reach: Tensor, n_own: Tensor, n_steps: int) -> Tensor:
    """Resample the beginnings of series by linear interpolation.

    The first and the last step of a beginning are the first and the last step of the result.

    Parameters
    ----------
    values : Tensor of shape (n, t)
        Series.
    reach : Tensor of shape (n,)
        End of each beginning. The first step of the series is at 0, and its last step is at 1.
    n_own : Tensor of shape (n,)
        Number of steps of each resampled beginning, from 1 to ``n_steps``.
    n_steps : int
        Width of the returned tensor.

    Returns
    -------
    Tensor of shape (n, n_steps)
        Resampled beginnings, zero beyond ``n_own``.
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
    """Return means over windows of ``width`` steps; the last window may be shorter.

    Parameters
    ----------
    maps : Tensor of shape (n, n_maps, n_steps)
        Activations over time.
    width : int
        Number of steps in a window.
    n_own : Tensor of shape (n,), optional
        Number of valid steps of each series; later steps are left out. By default all are valid.

    Returns
    -------
    Tensor of shape (n, n_windows, n_maps)
        Means, zero in windows without valid steps.
    """
    if n_own is None:
        return F.avg_pool1d(maps, width, ceil_mode=True).transpose(1, 2)
    mask = step_mask(n_own, maps.shape[2])[:, None].to(maps.dtype)
    shares = F.avg_pool1d(mask, width, ceil_mode=True)
    sums = F.avg_pool1d(torch.where(mask > 0, maps, 0.0), width, ceil_mode=True)
    return (sums / torch.where(shares > 0, shares, 1.0)).transpose(1, 2)

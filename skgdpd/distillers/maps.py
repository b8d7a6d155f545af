"""Distillers that compare maps, the activations of networks over time."""

from __future__ import annotations

from collections.abc import Hashable
from numbers import Integral, Real

import torch
import torch.nn.functional as F
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn

from ..nets.student import SeriesNet, SeriesOutput
from ..training import Batch, Step, Terms
from .base import Distillation, DistillationContext, Distiller
from .rows import TINY, RowDistiller, mean_over_rows, unit
from .soft_dtw import open_end_divergence
from .time_steps import (
    MapShapes,
    TeacherMaps,
    own_steps,
    resampled_beginning,
    step_mask,
    window_means,
)


def attention(maps: Tensor, n_own: Tensor | None = None) -> Tensor:
    """Return the attention of maps, which is their mean square over channels.

    Parameters
    ----------
    maps : Tensor of shape (n, n_maps, n_steps)
        Activations over time.
    n_own : Tensor of shape (n,), optional
        Number of valid steps of each series; by default all are valid.

    Returns
    -------
    Tensor of shape (n, n_steps)
        Attention, zero beyond the valid steps.
    """
    found = maps.square().mean(1)
    return found if n_own is None else torch.where(step_mask(n_own, found.shape[1]), found, 0.0)


class AT(RowDistiller):
    """Attention transfer between the maps of teacher and student, over the prefix.

    The attention of a network at a time step is the mean square of its last maps over the
    channels. The teacher's attention over the whole series is truncated to the prefix and linearly
    interpolated to the student's steps. Both attention vectors are scaled to length 1. The loss is
    their squared distance, which is at most 2, averaged over series. Student and teacher must be
    backbones with maps; see :func:`skgdpd.nets.has_maps`.

    Parameters
    ----------
    lambda_kd : float, default=0.03
        Weight of the term. The authors' program uses the weight 1000 for a mean over positions.
        With its 8 x 8 maps, this corresponds to a weight of 16 here, which is too large for short
        series. See ``docs/distillers.md`` for the choice of the default.

    References
    ----------
    S. Zagoruyko, N. Komodakis, "Paying more attention to attention", arXiv 1612.03928.
    """

    _parameter_constraints = {"lambda_kd": [Interval(Real, 0, None, closed="left")]}

    compares_maps = True

    def __init__(self, lambda_kd: float = 0.03) -> None:
        self.lambda_kd = lambda_kd

    def constants_of_maps(self, maps: TeacherMaps) -> dict[str, Tensor]:
        beginning = resampled_beginning(
            attention(maps.values),
            maps.reach,
            maps.n_student_steps,
            maps.shapes.n_student_steps,
        )
        return {"teacher_attention": beginning}

    def loss(self, output: SeriesOutput, batch: Batch) -> Tensor:
        assert output.maps is not None
        n_steps = output.maps.shape[2]
        own = own_steps(batch, n_steps)
        # Both are zero beyond a series' steps, so a batch may be narrower than the longest series.
        known = batch["teacher_attention"].detach()
        teacher = F.pad(known, (0, n_steps - known.shape[1]))
        if own is not None:
            teacher = torch.where(step_mask(own, n_steps), teacher, 0.0)
        gap = unit(attention(output.maps, own)) - unit(teacher)
        return mean_over_rows(gap.square().sum(1), batch.get("target_weight"))


class SoftDTWDistillation(Distillation):
    """Distillation of :class:`SoftDTW`."""

    compares_maps = True
    mean: Tensor
    scale: Tensor

    def __init__(
        self, distiller: SoftDTW, shapes: MapShapes, steps: Tensor, n_own: Tensor
    ) -> None:
        super().__init__()
        self.distiller = distiller
        self.width = _student_width(shapes, distiller.n_steps)
        weight = step_mask(n_own, steps.shape[1])[:, :, None].to(steps.dtype)
        weight = weight / weight.sum()
        mean = (weight * steps).sum((0, 1))
        variance = (weight * (steps - mean).square()).sum((0, 1)).mean()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", variance.clamp(min=TINY).sqrt())
        self.regressor = nn.Linear(shapes.n_student_maps, steps.shape[2])

    def constants_of_maps(self, maps: TeacherMaps) -> dict[str, Tensor]:
        return self.distiller.constants_of_maps(maps)

    def phase(self, step: Step) -> Hashable:
        return ()

    def terms(self, student: SeriesNet, output: SeriesOutput, batch: Batch, step: Step) -> Terms:
        if not self.distiller.lambda_kd:
            return {}
        loss = mean_over_rows(self.divergences(output, batch), batch.get("target_weight"))
        return {"softdtw": self.distiller.lambda_kd * loss}

    def divergences(self, output: SeriesOutput, batch: Batch) -> Tensor:
        """Return each row's soft-DTW divergence, divided by its number of student steps."""
        assert output.maps is not None
        n_steps = output.maps.shape[2]
        own = own_steps(batch, n_steps)
        seen = self.regressor(window_means(output.maps, self.width, own))
        if own is None:
            own = torch.full((len(seen),), n_steps, device=seen.device)
        n_seen = (own + self.width - 1) // self.width
        whole = (batch["teacher_steps"].detach() - self.mean) / self.scale
        gamma, n_whole = self.distiller.gamma, batch["teacher_n_steps"]
        return open_end_divergence(seen, whole, gamma, n_seen, n_whole) / n_seen


class SoftDTW(Distiller):
    """Alignment of the student's maps with the teacher's maps by soft dynamic time warping.

    A learned linear function of the student's activations at each step is aligned with the
    teacher's activations over the whole series. The alignment uses all of the student's steps. It
    may end at any of the teacher's steps, because the student's input is a prefix.

    The divergence between the student's sequence x and a beginning y of the teacher's sequence is
    ``D(x, y) - (D(x, x) + D(y, y)) / 2``. The loss is the smallest divergence over all beginnings,
    divided by the student's number of steps and averaged over series. It is 0 if x equals a
    beginning of the teacher's sequence. Student and teacher must be backbones with maps; see
    :func:`skgdpd.nets.has_maps`.

    Parameters
    ----------
    lambda_kd : float, default=0.1
        Weight of the term; see ``docs/distillers.md`` for the choice of the default.
    gamma : float, default=1.2
        Softness of the minimum over alignments, in units of the cost. The cost of a pair of steps
        is the mean squared difference over channels. The teacher's activations are scaled to
        variance 1, so the value does not depend on the teacher.
    n_steps : int, default=32
        Largest number of steps for the longest whole series. Neighbouring steps of the teacher are
        averaged to reach it. The student's steps are averaged over the same time span. The
        computing time of the loss grows with it.

    References
    ----------
    M. Cuturi, M. Blondel, "Soft-DTW: a differentiable loss function for time-series",
    arXiv 1703.01541. M. Blondel, A. Mensch, J.-P. Vert, "Differentiable divergences between time
    series", arXiv 2010.08354.
    """

    _parameter_constraints = {
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "gamma": [Interval(Real, 0, None, closed="neither")],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
    }

    compares_maps = True

    def __init__(self, lambda_kd: float = 0.1, gamma: float = 1.2, n_steps: int = 32) -> None:
        self.lambda_kd = lambda_kd
        self.gamma = gamma
        self.n_steps = n_steps

    def constants_of_maps(self, maps: TeacherMaps) -> dict[str, Tensor]:
        steps = window_means(maps.values, _teacher_width(maps.shapes, self.n_steps))
        n_own = torch.full((len(steps),), steps.shape[1], device=steps.device)
        return {"teacher_steps": steps, "teacher_n_steps": n_own}

    def prepare(self, context: DistillationContext) -> SoftDTWDistillation:
        assert context.map_shapes is not None
        known = context.rows.tensors
        return SoftDTWDistillation(
            self, context.map_shapes, known["teacher_steps"], known["teacher_n_steps"]
        ).to(context.rows.device)


def _teacher_width(shapes: MapShapes, n_steps: int) -> int:
    """Return the number of teacher steps that are averaged into one step."""
    return -(-shapes.n_teacher_steps // n_steps)


def _student_width(shapes: MapShapes, n_steps: int) -> int:
    """Return the number of student steps that span the time of one averaged teacher step."""
    rate = shapes.n_student_steps / (shapes.share * shapes.n_teacher_steps)
    return max(1, round(rate * _teacher_width(shapes, n_steps)))

"""Distillers that compare activations over time, step by step."""

from __future__ import annotations

from collections.abc import Hashable
from numbers import Integral, Real

import torch
import torch.nn.functional as F
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn

from ..nets.student import StudentNet, StudentOutput
from ..training import Batch, Step, Terms
from .base import Distillation, Distiller, Lesson
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
    """Mean square over channels, ``(n, n_maps, n_steps)`` to ``(n, n_steps)``.

    Zero beyond each series' ``n_own (n,)`` steps.
    """
    found = maps.square().mean(1)
    return found if n_own is None else torch.where(step_mask(n_own, found.shape[1]), found, 0.0)


class AT(RowDistiller):
    """Attention transfer: when the teacher is active, over the time that the student sees.

    The attention of a network at a step is the mean square of its activations over the channels
    of its last maps. The teacher's, of whole series, is cut to what the student sees, linearly
    interpolated to the student's steps, and both are brought to length 1; the loss is their
    squared distance, at most 2, mean over series. Student and teacher must be backbones with
    activations over time, see :func:`skgdpd.nets.has_maps`.

    Parameters
    ----------
    lambda_kd : float, default=0.03
        Weight of the term. The authors' program weighs the mean over positions by 1000, which for
        the 8 x 8 last maps of its networks is 16 times the sum, as it is here. That is too much
        for short series and networks with one vector of features: on thirds of six sets' training
        parts, mean AUC-PRC with 0.03, 0.1, 0.3, 1 was 0.900, 0.888, 0.892, 0.873 of ``"fcn24"``,
        and 0.801, 0.789, 0.756, 0.744 of ``"lstm2-32"``.

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

    def loss(self, output: StudentOutput, batch: Batch) -> Tensor:
        assert output.maps is not None
        n_steps = output.maps.shape[2]
        own = own_steps(batch, n_steps)
        # Both are zero beyond a series' steps, so that a batch may be narrower than the longest.
        known = batch["teacher_attention"].detach()
        teacher = F.pad(known, (0, n_steps - known.shape[1]))
        if own is not None:
            teacher = torch.where(step_mask(own, n_steps), teacher, 0.0)
        gap = unit(attention(output.maps, own)) - unit(teacher)
        return mean_over_rows(gap.square().sum(1), batch.get("target_weight"))


class SoftDTWDistillation(Distillation):
    """See :class:`SoftDTW`."""

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

    def terms(self, student: StudentNet, output: StudentOutput, batch: Batch, step: Step) -> Terms:
        if not self.distiller.lambda_kd:
            return {}
        loss = mean_over_rows(self.divergences(output, batch), batch.get("target_weight"))
        return {"softdtw": self.distiller.lambda_kd * loss}

    def divergences(self, output: StudentOutput, batch: Batch) -> Tensor:
        """Of each row, per step of the student's."""
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
    """What the teacher does one step after the other, at whatever speed, from a prefix.

    A linear map of the student's activations at each step, learned along, is aligned with the
    teacher's activations over the whole series by soft dynamic time warping. All of the student's
    steps are used; the path may end at any of the teacher's, for the student sees a beginning.
    The loss is the divergence ``D(x, y) - (D(x, x) + D(y, y)) / 2`` of the student's sequence x
    from that beginning y of the teacher's to which it comes nearest, over the student's number of
    steps, mean over series. It is 0 where x is a beginning of the teacher's. Student and teacher
    must be backbones with activations over time, see :func:`skgdpd.nets.has_maps`.

    Parameters
    ----------
    lambda_kd : float, default=0.1
        Weight of the term. On thirds of six sets' training parts 0.03 and 0.1 were as good, 1 too
        much for small LSTMs.
    gamma : float, default=1.2
        Softness of the minimum over paths. A pair of steps costs its mean squared difference over
        channels; the teacher's are brought to variance 1, whatever its width and scale.
    n_steps : int, default=32
        Steps that the longest whole series has at most: so many neighbouring steps of the
        teacher's become one, their mean, and as much time of the student's. The loss takes time
        in proportion.

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

    def prepare(self, lesson: Lesson) -> SoftDTWDistillation:
        assert lesson.map_shapes is not None
        known = lesson.rows.tensors
        return SoftDTWDistillation(
            self, lesson.map_shapes, known["teacher_steps"], known["teacher_n_steps"]
        ).to(lesson.rows.device)


def _teacher_width(shapes: MapShapes, n_steps: int) -> int:
    """Steps of the teacher's that become one."""
    return -(-shapes.n_teacher_steps // n_steps)


def _student_width(shapes: MapShapes, n_steps: int) -> int:
    """Steps of the student's that take as much time as one of the teacher's then does."""
    rate = shapes.n_student_steps / (shapes.share * shapes.n_teacher_steps)
    return max(1, round(rate * _teacher_width(shapes, n_steps)))

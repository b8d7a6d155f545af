"""Distillers around another one, whose targets move up in stages of the student's training."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import torch
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval
from torch import Tensor

from ..nets.student import SeriesNet, SeriesOutput
from ..training import Batch, Rows, Step, Terms
from .around import AroundDistillation, AroundDistiller
from .base import Distillation, DistillationContext, Distiller


def stage_ends(n_stages: int, max_epochs: int) -> tuple[int, ...]:
    """Return the epochs after which equal stages of a training end.

    Parameters
    ----------
    n_stages : int
        Number of stages.
    max_epochs : int
        Number of epochs.

    Returns
    -------
    tuple of int
        Ascending numbers, the last of which is ``max_epochs``. They are fewer than ``n_stages``
        if there are fewer epochs.
    """
    ends = {round(k * max_epochs / n_stages) for k in range(1, n_stages + 1)}
    return tuple(sorted(ends - {0}))


class CheckpointCurriculumDistillation(AroundDistillation):
    """Distillation of :class:`CheckpointCurriculum`.

    Parameters
    ----------
    inner : Distillation
        Wrapped distillation.
    lambda_kd : float
        Weight of the wrapped distillation's terms.
    rows : Rows
        Training rows, with the outputs of the fitted teacher.
    earlier : dict of int to tuple
        Features and logits of the teacher after earlier epochs.
    """

    features: Tensor
    logits: Tensor

    def __init__(
        self,
        inner: Distillation,
        lambda_kd: float,
        rows: Rows,
        earlier: dict[int, tuple[NDArray[Any], NDArray[Any]]],
    ) -> None:
        super().__init__(inner, lambda_kd)
        self.register_buffer("features", rows.tensors["teacher_features"].clone())
        self.register_buffer("logits", rows.tensors["teacher_logits"].clone())
        self._earlier = earlier

    def start_epoch(self, student: SeriesNet, rows: Rows, step: Step) -> None:
        if self.calibrating:
            later = [end for end in self._earlier if end > step.epoch]
            if later:
                features, logits = map(torch.as_tensor, self._earlier[min(later)])
            else:
                features = rows.tensors["teacher_features"]
                logits = rows.tensors["teacher_logits"]
            # In place, so that captured steps read them.
            self.features.copy_(features)
            self.logits.copy_(logits)
        super().start_epoch(student, rows, step)

    def terms(self, student: SeriesNet, output: SeriesOutput, batch: Batch, step: Step) -> Terms:
        if not self.lambda_kd:
            return {}
        if self.calibrating:  # Series of a later stream are taught by the fitted teacher.
            index = batch["index"]
            known = {"teacher_features": self.features, "teacher_logits": self.logits}
            batch = {**batch, **{name: values[index] for name, values in known.items()}}
        loss = self.inner_sum(student, output, batch, step)
        return {} if loss is None else {"checkpointcurriculum": self.lambda_kd * loss}

    def finish(self, student: SeriesNet, valid_rows: Rows | None) -> None:
        self._earlier = {}
        super().finish(student, valid_rows)


class CheckpointCurriculum(AroundDistiller):
    """Curriculum of the teacher's own states for any distiller, from its early epochs to its last.

    The student's training is divided into equal stages. In each, the wrapped distiller learns
    from the teacher as it was when its own training was as far as the student's at the end of the
    stage; in the last stage from the fitted teacher. The outputs of all states are computed once,
    before the student's training. Of a teacher in the cache of ``memory`` they are in the cache.

    It is the plain control of methods whose targets progress from easy to hard.

    Parameters
    ----------
    distiller : Distiller, default=None
        Wrapped distiller; None is :class:`~skgdpd.distillers.Hinton`. What it computes before the
        training, such as a prior, is computed from the fitted teacher. It must not compare
        activations over time, nor be a ``CheckpointCurriculum`` itself.
    lambda_kd : float, default=1.0
        Weight of the wrapped distiller's terms. It multiplies the distiller's own weight.
    n_states : int, default=4
        Number of states of the teacher, the last included; at most the number of epochs. With 1
        the wrapped distiller is unchanged. The default has states that differ and stages that
        are long enough to learn from each.

    Notes
    -----
    The teacher must be a network of this package, as no other has states. Its training writes no
    checkpoints to ``checkpoint_dir``. Soft targets of unlabelled series, which the labels'
    cross-entropy has, are those of the fitted teacher.

    References
    ----------
    "Distribution backtracking builds a faster convergence trajectory for diffusion distillation",
    arXiv 2408.15991, ICLR 2025, which goes back over the states of a generator's training.
    """

    _parameter_constraints = {
        "distiller": [Distiller, None],
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "n_states": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self, distiller: Distiller | None = None, lambda_kd: float = 1.0, n_states: int = 4
    ) -> None:
        self.distiller = distiller
        self.lambda_kd = lambda_kd
        self.n_states = n_states

    @property
    def replaces_outputs(self) -> bool:
        return True

    def _validate_params(self) -> None:
        super()._validate_params()
        self.refuse_replaced_outputs()
        if self.inner.compares_maps:
            raise ValueError(
                f"CheckpointCurriculum keeps no activations over time of the teacher's states; "
                f"distiller={self.inner!r} compares them, so give it without the curriculum"
            )

    def teacher_epochs(self, max_epochs: int) -> tuple[int, ...]:
        return stage_ends(self.n_states, max_epochs)[:-1]

    def prepare(self, context: DistillationContext) -> CheckpointCurriculumDistillation:
        inner = self.prepare_inner(context)
        return CheckpointCurriculumDistillation(
            inner, self.lambda_kd, context.rows, context.earlier_outputs
        )

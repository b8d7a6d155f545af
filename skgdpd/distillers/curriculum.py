"""Distillers that wrap another one and change it in stages of the student's training."""

from __future__ import annotations

import math
from collections.abc import Hashable
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
from .own_outputs import own_outputs
from .rows import of_part


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
        Numbers of epochs in ascending order, the last of which is ``max_epochs``. There are fewer
        than ``n_stages`` if the training has fewer epochs.
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
    """Curriculum of the teacher's states for any distiller, from its early epochs to its last.

    The student's training is divided into equal stages. In a stage that ends after k epochs of the
    student, the wrapped distiller learns from the teacher after k of the teacher's epochs. In the
    last stage it learns from the fitted teacher. The outputs of all states are computed once,
    before the student's training. If ``memory`` caches the teacher, it caches these outputs, too.

    The method is a simple control for methods whose targets progress from easy to hard.

    Parameters
    ----------
    distiller : Distiller, default=None
        Wrapped distiller; None is :class:`~skgdpd.distillers.Hinton`. Anything that it computes
        before the training, such as a prior, is computed from the fitted teacher. It must not
        compare activations over time, and must not be a ``CheckpointCurriculum`` itself.
    lambda_kd : float, default=1.0
        Weight of the wrapped distiller's terms. It multiplies the distiller's own weight.
    n_states : int, default=4
        Number of states of the teacher, including the last; at most the number of epochs. 1
        leaves the wrapped distiller unchanged. The default gives states that differ, and stages
        that are long enough to learn from each state.

    Notes
    -----
    The teacher must be a network of this package, because other teachers have no intermediate
    states. Its training writes no checkpoints to ``checkpoint_dir``. The soft targets of
    unlabelled series (``target`` in a batch) come from the fitted teacher.

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


def anchored(teacher_logits: Tensor, own_logits: Tensor, log_shares: Tensor) -> Tensor:
    """Return the logarithm of a mixture of two models' probabilities.

    Parameters
    ----------
    teacher_logits, own_logits : Tensor of shape (n, n_classes)
        Logits of both models.
    log_shares : Tensor of shape (2,)
        Logarithms of the shares of the two models; the shares sum to 1.

    Returns
    -------
    Tensor of shape (n, n_classes)
        Log-probabilities.
    """
    both = torch.stack([torch.log_softmax(each, -1) for each in (teacher_logits, own_logits)])
    return torch.logsumexp(both + log_shares[:, None, None], 0)


class RecursiveAnchoringDistillation(AroundDistillation):
    """Distillation of :class:`RecursiveAnchoring`.

    Parameters
    ----------
    inner : Distillation
        Wrapped distillation.
    distiller : RecursiveAnchoring
        Distiller, which holds the parameters.
    rows : Rows
        Training rows.
    max_epochs : int
        Number of epochs.
    """

    own_logits: Tensor
    log_shares: Tensor

    def __init__(
        self, inner: Distillation, distiller: RecursiveAnchoring, rows: Rows, max_epochs: int
    ) -> None:
        super().__init__(inner, distiller.lambda_kd)
        self.ends = stage_ends(distiller.n_generations, max_epochs)[:-1]
        known = rows.tensors["teacher_logits"]
        self.register_buffer("own_logits", torch.zeros_like(known))
        # The first generation has no predecessor.
        self.register_buffer("log_shares", known.new_tensor([0.0, -math.inf]))
        anchor = distiller.anchor
        self._later_shares = torch.tensor([anchor, 1 - anchor], dtype=torch.float64).log()
        # No buffer: chunks of a stream have any size, and no chunk occurs twice.
        self._logits_of_chunk = self.own_logits[:0]

    def start_epoch(self, student: SeriesNet, rows: Rows, step: Step) -> None:
        if not self.calibrating:
            self._logits_of_chunk = torch.zeros_like(rows.tensors["teacher_logits"])
            self._logits_of_chunk.copy_(own_outputs(student, rows).logits)
        elif step.epoch in self.ends:
            self.own_logits.copy_(own_outputs(student, rows).logits)
            self.log_shares.copy_(self._later_shares)
        super().start_epoch(student, rows, step)

    def terms(self, student: SeriesNet, output: SeriesOutput, batch: Batch, step: Step) -> Terms:
        if not self.lambda_kd:
            return {}
        own = self.own_logits if self.calibrating else self._logits_of_chunk
        targets = anchored(batch["teacher_logits"].detach(), own[batch["index"]], self.log_shares)
        loss = self.inner_sum(student, output, {**batch, "teacher_logits": targets}, step)
        return {} if loss is None else {"recursiveanchoring": self.lambda_kd * loss}


class RecursiveAnchoring(AroundDistiller):
    r"""Generations of students for any distiller, taught by their predecessor and the teacher.

    The training is divided into equal stages, the generations. The first generation learns from
    the teacher. Each later generation learns from a mixture of the teacher's predictions and the
    student's predictions at the end of the previous generation:

    .. math:: t_{k+1} = (1 - b) p_S^{(k)} + b t_0.

    The targets can't drift away from the teacher: :math:`KL(t_0 \| t_{k+1}) \le (1 - b)
    KL(t_0 \| p_S^{(k)})`.

    Parameters
    ----------
    distiller : Distiller, default=None
        Wrapped distiller; None is :class:`~skgdpd.distillers.Hinton`. It receives the logarithms
        of the mixture in place of the teacher's logits. The teacher's features are unchanged.
    lambda_kd : float, default=1.0
        Weight of the wrapped distiller's terms. It multiplies the distiller's own weight.
    n_generations : int, default=3
        Number of generations, at most the number of epochs. With 1 the targets are the teacher's
        probabilities alone. With the default, the last generation learns from a student that was
        itself taught by a mixture.
    anchor : float, default=0.5
        Weight b of the teacher's probabilities in the targets, in [0, 1]. 0 is self-distillation,
        and 1 is the wrapped distiller. The default gives teacher and student equal weight.

    Notes
    -----
    A generation continues from the weights of the previous one instead of a fresh start. All
    generations share one schedule of the learning rate. In a stream (``partial_fit``), each chunk
    is a generation, and its predecessor is the student before the chunk.

    References
    ----------
    Recursive meta-distillation, arXiv 2601.13100.
    """

    _parameter_constraints = {
        "distiller": [Distiller, None],
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "n_generations": [Interval(Integral, 1, None, closed="left")],
        "anchor": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        distiller: Distiller | None = None,
        lambda_kd: float = 1.0,
        n_generations: int = 3,
        anchor: float = 0.5,
    ) -> None:
        self.distiller = distiller
        self.lambda_kd = lambda_kd
        self.n_generations = n_generations
        self.anchor = anchor

    def _validate_params(self) -> None:
        super()._validate_params()
        self.refuse_replaced_outputs()

    def prepare(self, context: DistillationContext) -> RecursiveAnchoringDistillation:
        inner = self.prepare_inner(context)
        return RecursiveAnchoringDistillation(inner, self, context.rows, context.max_epochs)


class EarlinessCurriculumDistillation(AroundDistillation):
    """Distillation of :class:`EarlinessCurriculum`.

    Parameters
    ----------
    inner : Distillation
        Wrapped distillation.
    lambda_kd : float
        Weight of the wrapped distillation's terms.
    n_stages : int
        Number of stages.
    max_epochs : int
        Number of epochs.
    """

    def __init__(
        self, inner: Distillation, lambda_kd: float, n_stages: int, max_epochs: int
    ) -> None:
        super().__init__(inner, lambda_kd)
        self.n_stages = n_stages
        self.max_epochs = max_epochs

    def stage(self, step: Step) -> int:
        """Return the stage of an epoch; a training with few epochs has the last stages only."""
        if self.max_epochs < self.n_stages:
            stage = self.n_stages - self.max_epochs + step.epoch
        else:
            stage = step.epoch * self.n_stages // self.max_epochs
        # In a later stream, the student sees the part from which it predicts.
        return min(stage, self.n_stages - 1) if self.calibrating else self.n_stages - 1

    def phase(self, step: Step) -> Hashable | None:
        inner = super().phase(step)
        return None if inner is None else (self.stage(step), inner)

    def student_batch(self, batch: Batch, step: Step) -> Batch:
        name = stage_name(self.stage(step))
        if f"x_{name}" in batch:
            batch = of_part(batch, name)
        return super().student_batch(batch, step)

    def terms(self, student: SeriesNet, output: SeriesOutput, batch: Batch, step: Step) -> Terms:
        loss = self.inner_sum(student, output, batch, step) if self.lambda_kd else None
        return {} if loss is None else {"earlinesscurriculum": self.lambda_kd * loss}


def stage_name(stage: int) -> str:
    """Return the name of the part of a series that the student sees in a stage."""
    return f"stage{stage}"


class EarlinessCurriculum(AroundDistiller):
    """Curriculum of parts of series for any distiller, from the whole series to the prefix.

    The training is divided into equal stages. In the first stage the student is given whole
    series. In the last stage it is given the part from which it predicts (``earliness``). The
    lengths of the parts in between are evenly spaced. Labels and teacher are the same in all
    stages.

    Parameters
    ----------
    distiller : Distiller, default=None
        Wrapped distiller; None is :class:`~skgdpd.distillers.Hinton`. It must not compare
        activations over time, because their number changes with the part. Anything that it
        computes from the student before an epoch, as ``GDPD`` does, uses the last stage's part.
    lambda_kd : float, default=1.0
        Weight of the wrapped distiller's terms. It multiplies the distiller's own weight. With 0,
        only the labels are learned in the curriculum.
    n_stages : int, default=3
        Number of stages. A training with fewer epochs has the last stages only. 1 leaves the
        wrapped distiller unchanged. The default has the whole series, a part half-way, and the
        prefix.

    Notes
    -----
    Students with fixed features, such as ``"mixed"`` and ``"rocket"``, are refused, because they
    take series of one length only. The validation loss uses the last stage's part in all epochs.
    """

    _parameter_constraints = {
        "distiller": [Distiller, None],
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "n_stages": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self, distiller: Distiller | None = None, lambda_kd: float = 1.0, n_stages: int = 3
    ) -> None:
        self.distiller = distiller
        self.lambda_kd = lambda_kd
        self.n_stages = n_stages

    def _validate_params(self) -> None:
        super()._validate_params()
        inner = self.inner
        if inner.compares_maps or stage_name(0) in inner.longer_parts(2, 4):
            what = (
                "compares activations over time" if inner.compares_maps else "has one of its own"
            )
            raise ValueError(
                f"EarlinessCurriculum changes the part that the student sees; distiller="
                f"{inner!r} {what}"
            )

    def longer_parts(self, n_seen: int, n_whole: int) -> dict[str, int]:
        n = self.n_stages
        lengths = [n_whole - round((n_whole - n_seen) * k / max(n - 1, 1)) for k in range(n - 1)]
        own = {stage_name(k): length for k, length in enumerate(lengths) if length > n_seen}
        return {**super().longer_parts(n_seen, n_whole), **own}

    def prepare(self, context: DistillationContext) -> EarlinessCurriculumDistillation:
        inner = self.prepare_inner(context)
        return EarlinessCurriculumDistillation(
            inner, self.lambda_kd, self.n_stages, context.max_epochs
        )

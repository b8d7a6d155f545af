"""Distillers whose targets take the place of the labels, in whole or in part."""

from __future__ import annotations

from collections.abc import Hashable
from numbers import Real
from typing import Literal

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from ..nets.student import StudentNet, StudentOutput
from ..training import Batch, Rows, Step, Terms
from .base import Distillation, Distiller, Lesson
from .rows import RowDistiller, kl_divergence, known_classes, known_targets, mean_over_rows

RIDGE_PENALTY = 0.01
"""Of the fits that choose a share of the labels, in units of the features' mean square."""


def ranking_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    y: Tensor,
    temperature: float,
    weight: Tensor | None = None,
) -> Tensor:
    """Weighted Plackett-Luce likelihood of the teacher's ranking, mean over rows.

    The ranking is the right class, and then the others by falling teacher logit. Each choice
    costs its cross-entropy among the classes that are left, times the teacher's softened
    probability of the class chosen.

    Parameters
    ----------
    student_logits, teacher_logits : Tensor of shape (n, n_classes)
        The teacher's are constants.
    y : Tensor of shape (n,)
        The right class.
    temperature : float
        Divides the teacher's logits.
    weight : Tensor of shape (n,), optional
        Weight of each row.

    References
    ----------
    "PLD: a choice-theoretic list-wise knowledge distillation", arXiv 2506.12542.
    """
    teacher = teacher_logits.detach()
    importance = torch.softmax(teacher / temperature, -1)
    order = teacher.scatter(1, y[:, None], torch.inf).argsort(-1, descending=True)
    ranked = student_logits.gather(1, order)
    left = ranked.flip(-1).logcumsumexp(-1).flip(-1)
    return mean_over_rows((importance.gather(1, order) * (left - ranked)).sum(-1), weight)


class PLD(RowDistiller):
    """List-wise distillation: the right class first, then the teacher's order of the others.

    It replaces the labels' cross-entropy; where there is no label, the teacher's order counts
    alone. Of two classes it is the cross-entropy, weighted by how sure the teacher is.

    Parameters
    ----------
    temperature : float, default=1.0
        Divides the teacher's logits, whose probabilities weigh the choices.

    References
    ----------
    "PLD: a choice-theoretic list-wise knowledge distillation", arXiv 2506.12542.
    """

    _parameter_constraints = {"temperature": [Interval(Real, 0, None, closed="neither")]}

    label_share = 0.0
    term_weight = 1.0

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = temperature

    def loss(self, output: StudentOutput, batch: Batch) -> Tensor:
        return ranking_loss(
            output.logits,
            batch["teacher_logits"],
            known_classes(batch),
            self.temperature,
            batch.get("target_weight"),
        )


class GeneralisedDistillation(RowDistiller):
    """Labels and the softened predictions of a teacher with privileged information, mixed.

    Unlike Hinton's, the student's own probabilities are not softened, and what the teacher gains
    in weight the labels lose.

    Parameters
    ----------
    imitation : float, default=0.5
        Weight of the teacher, from 0 to 1; the labels have the rest.
    temperature : float, default=4.0
        Divides the teacher's logits; as for Hinton.

    References
    ----------
    D. Lopez-Paz et al., "Unifying distillation and privileged information", arXiv 1511.03643.
    """

    _parameter_constraints = {
        "imitation": [Interval(Real, 0, 1, closed="both")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, imitation: float = 0.5, temperature: float = 4.0) -> None:
        self.imitation = imitation
        self.temperature = temperature

    @property
    def label_share(self) -> float:
        return 1.0 - self.imitation

    @property
    def term_weight(self) -> float:
        return self.imitation

    def loss(self, output: StudentOutput, batch: Batch) -> Tensor:
        teacher = torch.log_softmax(batch["teacher_logits"].detach() / self.temperature, -1)
        losses = kl_divergence(teacher, torch.log_softmax(output.logits, -1))
        return mean_over_rows(losses, batch.get("target_weight"))


def left_out_predictions(features: Tensor, targets: Tensor) -> Tensor:
    """Ridge predictions of each row's targets from all other rows.

    Parameters
    ----------
    features : Tensor of shape (n, d)
        Inputs; an intercept is added.
    targets : Tensor of shape (n, k)
        What is predicted.
    """
    n = len(features)
    centred = features - features.mean(0)
    penalty = RIDGE_PENALTY * centred.square().mean().clamp(min=1e-12) * n
    gram = centred.T @ centred
    gram = gram + penalty * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    hat = centred @ torch.linalg.solve(gram, centred.T) + 1 / n
    leverage = hat.diagonal()[:, None].clamp(max=1 - 1e-9)
    return targets - (targets - hat @ targets) / (1 - leverage)


def best_label_share(features: Tensor, labels: Tensor, guesses: Tensor) -> float:
    """The share a of the labels whose mixture with the teacher's guesses predicts labels best.

    With g1 and g0 the left-out predictions of models fitted to the labels and to the guesses,
    those of a model fitted to the mixture are ``a g1 + (1 - a) g0``, for the fit is linear; the
    squared error against the labels is least at ``<y - g0, g1 - g0> / |g1 - g0|²``.

    Parameters
    ----------
    features : Tensor of shape (n, d)
        The student's.
    labels : Tensor of shape (n, n_classes)
        One-hot.
    guesses : Tensor of shape (n, n_classes)
        The teacher's probabilities.

    Returns
    -------
    float
        From 0 to 1; 1 where both fits are the same.

    References
    ----------
    K. Borup, L. Andersen, "Even your teacher needs guidance", arXiv 2102.13088.
    """
    features, labels, guesses = (x.double() for x in (features, labels, guesses))
    g1, g0 = (left_out_predictions(features, x) for x in (labels, guesses))
    square = (g1 - g0).square().sum()
    if square < 1e-12 * labels.square().sum():
        return 1.0
    return float((((labels - g0) * (g1 - g0)).sum() / square).clamp(0, 1))


class MixingDistillation(Distillation):
    """See :class:`GroundTruthMixing`."""

    seen: Tensor
    share: Tensor

    def __init__(self, fixed_share: float | None, n_rows: int, n_student: int) -> None:
        super().__init__()
        self.adapts = fixed_share is None
        initial = 0.5 if fixed_share is None else fixed_share
        self.register_buffer("share", torch.tensor(initial))
        self.register_buffer("seen", torch.zeros(n_rows if self.adapts else 0, n_student))

    def phase(self, step: Step) -> Hashable:
        return ()

    def label_weight(self, step: Step) -> float:
        return 0.0

    def start_epoch(self, student: StudentNet, rows: Rows, step: Step) -> None:
        if not self.adapts or step.epoch == 0:
            return
        known = rows.tensors["y"] >= 0
        guesses = torch.softmax(rows.tensors["teacher_logits"][known], -1)
        labels = torch.nn.functional.one_hot(rows.tensors["y"][known], guesses.shape[1])
        self.share.fill_(best_label_share(self.seen[known], labels, guesses))

    def terms(self, student: StudentNet, output: StudentOutput, batch: Batch, step: Step) -> Terms:
        if self.adapts:
            self.seen.index_copy_(0, batch["index"], output.features.detach())
        guesses = torch.softmax(batch["teacher_logits"].detach(), -1)
        # An unlabelled row's known target is the teacher's guess, which mixing leaves as it is.
        mixture = self.share * known_targets(batch) + (1 - self.share) * guesses
        losses = kl_divergence(mixture.log(), torch.log_softmax(output.logits, -1))
        return {"groundtruthmixing": mean_over_rows(losses, batch.get("target_weight"))}


class GroundTruthMixing(Distiller):
    """One target a series: a mixture of its label and the teacher's probabilities.

    Parameters
    ----------
    share : {"optimal"} or float, default="optimal"
        Weight of the label in the mixture, from 0 to 1. ``"optimal"`` is computed from the
        student's features before each epoch but the first, which has 0.5: the share whose ridge
        fit predicts left-out labels best, in closed form.

    References
    ----------
    K. Borup, L. Andersen, "Even your teacher needs guidance: ground-truth targets dampen
    regularization imposed by self-distillation", arXiv 2102.13088.
    """

    _parameter_constraints = {
        "share": [Interval(Real, 0, 1, closed="both"), StrOptions({"optimal"})],
    }

    def __init__(self, share: float | Literal["optimal"] = "optimal") -> None:
        self.share = share

    def prepare(self, lesson: Lesson) -> MixingDistillation:
        share = None if isinstance(self.share, str) else self.share
        return MixingDistillation(share, len(lesson.rows), lesson.n_student_features).to(
            lesson.rows.device
        )

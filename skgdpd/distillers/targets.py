"""Distillers whose targets replace the labels, in whole or in part."""

from __future__ import annotations

from collections.abc import Hashable
from numbers import Real
from typing import Literal

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from ..nets.student import SeriesNet, SeriesOutput
from ..training import Batch, Rows, Step, Terms
from .base import Distillation, DistillationContext, Distiller
from .rows import (
    TEMPERATURE_RANGE,
    RowDistiller,
    kl_divergence,
    known_classes,
    known_targets,
    mean_over_rows,
)

RIDGE_PENALTY = 0.01
"""Penalty of the ridge regressions that choose the labels' weight, in units of mean square."""


def ranking_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    y: Tensor,
    temperature: float,
    weight: Tensor | None = None,
) -> Tensor:
    """Return the weighted Plackett-Luce loss of the teacher's ranking, averaged over rows.

    The correct class is ranked first. The other classes follow by decreasing teacher logit. The
    loss of a position is the cross-entropy of its class among the classes that are not ranked yet,
    weighted by the teacher's softened probability of its class.

    Parameters
    ----------
    student_logits, teacher_logits : Tensor of shape (n, n_classes)
        Logits; no gradient flows into the teacher's.
    y : Tensor of shape (n,)
        Number of the correct class.
    temperature : float
        Temperature by which the teacher's logits are divided.
    weight : Tensor of shape (n,), optional
        Weight of each row; by default 1.

    Returns
    -------
    Tensor of shape ()

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
    """List-wise distillation of the teacher's ranking of the classes (PLD).

    The correct class is ranked first. The other classes follow in the teacher's order. The loss
    replaces the cross-entropy of the labels. For an unlabelled series, the ranking is the
    teacher's alone. With two classes, the loss is the cross-entropy, weighted by the teacher's
    probability.

    Parameters
    ----------
    temperature : float, default=1.0
        Temperature by which the teacher's logits are divided. The softened probabilities are the
        weights of the positions in the ranking.

    References
    ----------
    "PLD: a choice-theoretic list-wise knowledge distillation", arXiv 2506.12542.
    """

    _parameter_constraints = {"temperature": TEMPERATURE_RANGE}

    label_share = 0.0
    term_weight = 1.0

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = temperature

    def loss(self, output: SeriesOutput, batch: Batch) -> Tensor:
        return ranking_loss(
            output.logits,
            batch["teacher_logits"],
            known_classes(batch),
            self.temperature,
            batch.get("target_weight"),
        )


class GeneralisedDistillation(RowDistiller):
    """Generalised distillation from a teacher with privileged information.

    The loss is a weighted mean of the cross-entropy of the labels and the divergence from the
    teacher's softened probabilities. Unlike Hinton's loss, it does not soften the student's
    probabilities.

    Parameters
    ----------
    imitation : float, default=0.5
        Weight of the teacher, in [0, 1]; the labels have the weight ``1 - imitation``.
    temperature : float, default=4.0
        Temperature by which the teacher's logits are divided, as in
        :class:`~skgdpd.distillers.Hinton`.

    References
    ----------
    D. Lopez-Paz et al., "Unifying distillation and privileged information", arXiv 1511.03643.
    """

    _parameter_constraints = {
        "imitation": [Interval(Real, 0, 1, closed="both")],
        "temperature": TEMPERATURE_RANGE,
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

    def loss(self, output: SeriesOutput, batch: Batch) -> Tensor:
        teacher = torch.log_softmax(batch["teacher_logits"].detach() / self.temperature, -1)
        losses = kl_divergence(teacher, torch.log_softmax(output.logits, -1))
        return mean_over_rows(losses, batch.get("target_weight"))


def left_out_predictions(features: Tensor, targets: Tensor) -> Tensor:
    """Return leave-one-out predictions of a ridge regression.

    Parameters
    ----------
    features : Tensor of shape (n, d)
        Inputs; an intercept is added.
    targets : Tensor of shape (n, k)
        Targets of the regression.

    Returns
    -------
    Tensor of shape (n, k)
        Prediction of each row by a regression on all other rows.
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
    """Return the weight a of the labels in the mixed target that predicts the labels best.

    Let g1 and g0 be the leave-one-out predictions of models fitted to the labels and to the
    teacher's probabilities. The fit is linear in its targets, so the predictions of a model fitted
    to the mixture are ``a g1 + (1 - a) g0``. Their squared error against the labels is smallest
    at ``a = <y - g0, g1 - g0> / |g1 - g0|²``.

    Parameters
    ----------
    features : Tensor of shape (n, d)
        Student features.
    labels : Tensor of shape (n, n_classes)
        One-hot labels.
    guesses : Tensor of shape (n, n_classes)
        Teacher probabilities.

    Returns
    -------
    float
        Weight of the labels in [0, 1]; it is 1 if both models are equal.

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
    """Distillation of :class:`GroundTruthMixing`."""

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

    def start_epoch(self, student: SeriesNet, rows: Rows, step: Step) -> None:
        if not self.adapts or not self.calibrating or step.epoch == 0:
            return
        known = rows.tensors["y"] >= 0
        guesses = torch.softmax(rows.tensors["teacher_logits"][known], -1)
        labels = torch.nn.functional.one_hot(rows.tensors["y"][known], guesses.shape[1])
        self.share.fill_(best_label_share(self.seen[known], labels, guesses))

    def terms(self, student: SeriesNet, output: SeriesOutput, batch: Batch, step: Step) -> Terms:
        if self.adapts and self.calibrating:
            self.seen.index_copy_(0, batch["index"], output.features.detach())
        guesses = torch.softmax(batch["teacher_logits"].detach(), -1)
        # The known target of an unlabelled row is the teacher's, so the mixture equals it.
        mixture = self.share * known_targets(batch) + (1 - self.share) * guesses
        losses = kl_divergence(mixture.log(), torch.log_softmax(output.logits, -1))
        return {"groundtruthmixing": mean_over_rows(losses, batch.get("target_weight"))}


class GroundTruthMixing(Distiller):
    """Distillation with mixtures of labels and teacher probabilities as targets.

    Parameters
    ----------
    share : {"optimal"} or float, default="optimal"
        Weight of the label in the mixture, in [0, 1]. ``"optimal"`` is 0.5 in the first epoch.
        Before each later epoch, it is the weight with which a ridge regression on the student's
        features predicts left-out labels best, in closed form.

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

    def prepare(self, context: DistillationContext) -> MixingDistillation:
        share = None if isinstance(self.share, str) else self.share
        return MixingDistillation(share, len(context.rows), context.n_student_features).to(
            context.rows.device
        )

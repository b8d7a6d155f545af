"""Dual-head distillation: separate classifiers for labels and teacher on the same features."""

from __future__ import annotations

from collections.abc import Hashable
from numbers import Real

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from ..nets.heads import DualHead, mixed
from ..nets.student import SeriesNet, SeriesOutput
from ..training import Batch, Rows, Step, Terms, weighted_cross_entropy
from .base import Distillation, DistillationContext, Distiller
from .logits import hinton_loss
from .rows import TEMPERATURE_RANGE

SHARES = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.1, 0.9, 0.0, 1.0)
TEMPERATURES = (1.0, 0.5, 2.0, 4.0)
"""Candidate shares and temperatures of the mixture; the first of equally good ones is used."""


class DHODistillation(Distillation):
    """Distillation of :class:`DHO`."""

    def __init__(self, distiller: DHO) -> None:
        super().__init__()
        self.distiller = distiller

    def phase(self, step: Step) -> Hashable:
        return ()

    def label_logits(self, student: SeriesNet, output: SeriesOutput) -> Tensor:
        return _head(student).for_labels(output.features)

    def terms(self, student: SeriesNet, output: SeriesOutput, batch: Batch, step: Step) -> Terms:
        distiller = self.distiller
        if not distiller.lambda_kd:
            return {}
        loss = hinton_loss(
            _head(student).for_teacher(output.features),
            batch["teacher_logits"],
            distiller.temperature,
            batch.get("target_weight"),
        )
        return {"dho": distiller.lambda_kd * loss}

    def finish(self, student: SeriesNet, valid_rows: Rows | None) -> None:
        if self.distiller.share == "validation" and valid_rows is not None:
            choose_mixture(student, valid_rows)


def _head(student: SeriesNet) -> DualHead:
    assert isinstance(student.head, DualHead)
    return student.head


@torch.no_grad()
def choose_mixture(student: SeriesNet, rows: Rows) -> None:
    """Choose the head's share and temperature with the lowest cross-entropy on rows.

    Parameters
    ----------
    student : SeriesNet
        Trained student with a dual head.
    rows : Rows
        Labelled rows that the student was not trained on.
    """
    head, batch = _head(student), rows.tensors
    features = student.eval().read(batch).features
    labels, teacher = head.for_labels(features), head.for_teacher(features)
    best = float("inf")
    for share in SHARES:
        for temperature in TEMPERATURES:
            pair = labels.new_tensor(share), labels.new_tensor(temperature)
            logits = mixed(labels, teacher, *pair)
            loss = float(weighted_cross_entropy(logits, batch["y"], batch.get("weight")))
            if loss < best:
                best = loss
                head.share.copy_(pair[0])
                head.temperature.copy_(pair[1])


class DHO(Distiller):
    """Dual-head optimisation: one linear classifier for the labels, another for the teacher.

    Both classifiers use the same features. Where labels and teacher disagree, their gradients
    would partly cancel in a common classifier. Predictions mix the probabilities of both.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the teacher's term. 1 gives it the same weight as the labels' term.
    temperature : float, default=4.0
        Temperature by which the logits are divided, as in :class:`~skgdpd.distillers.Hinton`.
    share : float or "validation", default="validation"
        Weight of the teacher's classifier in the mixture, in [0, 1]. ``"validation"`` chooses it
        after the training, together with a temperature of that classifier, by the log loss on the
        validation series. Without validation series (``validation_fraction=0``) it is 0.5.

    References
    ----------
    S. Kang, D. B. Lee, H. Jang, S. J. Hwang, "Simple semi-supervised knowledge distillation from
    vision-language models via dual-head optimization", arXiv 2505.07675.
    """

    _parameter_constraints = {
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "temperature": TEMPERATURE_RANGE,
        "share": [Interval(Real, 0, 1, closed="both"), StrOptions({"validation"})],
    }

    def __init__(
        self,
        lambda_kd: float = 1.0,
        temperature: float = 4.0,
        share: float | str = "validation",
    ) -> None:
        self.lambda_kd = lambda_kd
        self.temperature = temperature
        self.share = share

    def make_head(self, n_features: int, n_classes: int) -> DualHead:
        head = DualHead(n_features, n_classes)
        if not isinstance(self.share, str):
            head.share.fill_(self.share)
        return head

    def prepare(self, context: DistillationContext) -> DHODistillation:
        return DHODistillation(self)

"""Distillers around another one that weigh its series by what student and teacher know of them."""

from __future__ import annotations

from numbers import Real

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor

from ..nets.student import SeriesOutput
from ..training import Batch
from .around import AroundDistiller, WeighingDistillation
from .base import Distillation, DistillationContext, Distiller


class RoutingDistillation(WeighingDistillation):
    """Distillation of :class:`SampleRouting`."""

    def __init__(self, inner: Distillation, lambda_kd: float, tau: float) -> None:
        super().__init__(inner, lambda_kd, "samplerouting")
        self.tau = tau

    def row_weights(self, output: SeriesOutput, batch: Batch) -> Tensor:
        # No class is -1, so the student is wrong about every series without a label.
        wrong = output.logits.detach().argmax(-1) != batch["y"]
        p = torch.softmax(batch["teacher_logits"].detach(), -1)
        return wrong * torch.exp(-torch.special.entr(p).sum(-1) / self.tau)


class SampleRouting(AroundDistiller):
    """Routing of series: the teacher teaches those that the student gets wrong (SRPO).

    A labelled series that the student classifies correctly is left to the cross-entropy of its
    label. The others have the weight ``exp(-H / tau)`` in the wrapped distiller, where H is the
    entropy of the teacher's probabilities in nats. A series without a label always goes to the
    teacher: nothing shows that the student is right about it, and nothing else teaches it.

    Around a distiller that replaces the cross-entropy, such as
    :class:`~skgdpd.distillers.PLD`, a series that the student gets right teaches nothing.

    Parameters
    ----------
    distiller : Distiller, default=None
        Wrapped distiller; None is :class:`~skgdpd.distillers.Hinton`.
    lambda_kd : float, default=1.0
        Weight of the wrapped distiller's terms. It multiplies the distiller's own weight.
    tau : float, default=1.0
        Entropy in nats at which a series' weight is 1/e of that of a series of which the teacher
        is certain. With the default, a teacher that knows nothing has the weight 1 / n_classes.

    References
    ----------
    "Unifying group-relative and self-distillation policy optimization via sample routing" (SRPO),
    arXiv 2604.02288.
    """

    _parameter_constraints = {
        "distiller": [Distiller, None],
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "tau": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self, distiller: Distiller | None = None, lambda_kd: float = 1.0, tau: float = 1.0
    ) -> None:
        self.distiller = distiller
        self.lambda_kd = lambda_kd
        self.tau = tau

    def prepare(self, context: DistillationContext) -> RoutingDistillation:
        return RoutingDistillation(self.prepare_inner(context), self.lambda_kd, self.tau)

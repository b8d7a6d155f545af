"""Distillers around another one that weigh its series by what student and teacher know of them."""

from __future__ import annotations

from numbers import Real
from typing import Literal, get_args

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from ..nets.student import SeriesOutput
from ..training import Batch
from .around import AroundDistiller, WeighingDistillation
from .base import Distillation, DistillationContext, Distiller
from .logits import entropy_share
from .rows import kl_divergence

RegionName = Literal["unsure", "overconfident", "either"]


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


class TIPDistillation(WeighingDistillation):
    """Distillation of :class:`TIP`."""

    def __init__(self, inner: Distillation, lambda_kd: float, region: RegionName) -> None:
        super().__init__(inner, lambda_kd, "tip")
        self.region = region

    def row_weights(self, output: SeriesOutput, batch: Batch) -> Tensor:
        student, teacher = output.logits.detach(), batch["teacher_logits"].detach()
        unsure = entropy_share(student)
        if self.region == "unsure":
            return unsure
        gap = kl_divergence(torch.log_softmax(teacher, -1), torch.log_softmax(student, -1))
        overconfident = (1 - unsure) * -torch.expm1(-gap)
        return overconfident if self.region == "overconfident" else unsure + overconfident


class TIP(AroundDistiller):
    """Weighting of any distiller's series by the student's entropy and its gap to the teacher.

    Two kinds of series teach most: those of which the student is unsure, and those of which it is
    sure although the teacher contradicts it. With ``h = H(p_S) / log(n_classes)``, the student's
    entropy as a share of its maximum, and ``d = 1 - exp(-KL(p_T || p_S))``, the weights of both
    kinds are h and ``(1 - h) d``. All weights are in [0, 1], at temperature 1. A series of which
    the student is sure gets none if the teacher agrees.

    Parameters
    ----------
    distiller : Distiller, default=None
        Wrapped distiller; None is :class:`~skgdpd.distillers.Hinton`.
    lambda_kd : float, default=1.0
        Weight of the wrapped distiller's terms. It multiplies the distiller's own weight.
    region : {"either", "unsure", "overconfident"}, default="either"
        Kind of series that are taught. ``"unsure"`` gives the weight h, ``"overconfident"`` the
        weight ``(1 - h) d``, and ``"either"`` their sum ``h + d - h d``. The default is both,
        since the student's entropy alone doesn't show where it is sure and wrong.

    References
    ----------
    Y. Xu et al., "TIP: token importance in on-policy distillation", arXiv 2604.14084, where tokens
    are chosen, not weighted.
    """

    _parameter_constraints = {
        "distiller": [Distiller, None],
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "region": [StrOptions(set(get_args(RegionName)))],
    }

    def __init__(
        self,
        distiller: Distiller | None = None,
        lambda_kd: float = 1.0,
        region: RegionName = "either",
    ) -> None:
        self.distiller = distiller
        self.lambda_kd = lambda_kd
        self.region = region

    def prepare(self, context: DistillationContext) -> TIPDistillation:
        return TIPDistillation(self.prepare_inner(context), self.lambda_kd, self.region)

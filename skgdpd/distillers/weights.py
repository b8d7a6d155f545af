"""Distillers that wrap another one and weight series by outputs of student and teacher."""

from __future__ import annotations

from numbers import Real
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from .._runtime.workers import total
from ..nets.student import SeriesNet, SeriesOutput
from ..training import Batch, Rows, Step
from .around import AroundDistiller, WeighingDistillation
from .base import Distillation, DistillationContext, Distiller
from .logits import entropy_share
from .rows import TINY, kl_divergence, known_classes

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
    """Routing of series: the teacher teaches only those that the student misclassifies (SRPO).

    From a labelled series that it classifies correctly, the student learns the label alone. A
    misclassified series has the weight ``exp(-H / tau)`` in the wrapped distiller, where H is the
    entropy of the teacher's probabilities in nats. An unlabelled series always counts as
    misclassified, because nothing shows that the student is right, and it has no label to learn.

    If the wrapped distiller replaces the cross-entropy, as :class:`~skgdpd.distillers.PLD` does,
    the student learns nothing from series that it classifies correctly.

    Parameters
    ----------
    distiller : Distiller, default=None
        Wrapped distiller; None is :class:`~skgdpd.distillers.Hinton`.
    lambda_kd : float, default=1.0
        Weight of the wrapped distiller's terms. It multiplies the distiller's own weight.
    tau : float, default=1.0
        Entropy in nats at which the weight of a series is 1/e. The weight is 1 if the teacher is
        certain. With the default, uniform teacher probabilities give the weight 1 / n_classes.

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

    Two kinds of series teach most: those on which the student is uncertain, and those on which it
    is confident although the teacher contradicts it. Let ``h = H(p_S) / log(n_classes)`` be the
    student's entropy as a share of its maximum, and let ``d = 1 - exp(-KL(p_T || p_S))``. The
    weights of the two kinds are h and ``(1 - h) d``. All weights are in [0, 1], at temperature 1.
    The weight is 0 if the student is certain and the teacher agrees.

    Parameters
    ----------
    distiller : Distiller, default=None
        Wrapped distiller; None is :class:`~skgdpd.distillers.Hinton`.
    lambda_kd : float, default=1.0
        Weight of the wrapped distiller's terms. It multiplies the distiller's own weight.
    region : {"either", "unsure", "overconfident"}, default="either"
        Kind of series that is taught. ``"unsure"`` gives the weight h, ``"overconfident"`` the
        weight ``(1 - h) d``, and ``"either"`` their sum ``h + d - h d``. The default is both,
        because the student's entropy alone does not show where it is confident and wrong.

    References
    ----------
    Y. Xu et al., "TIP: token importance in on-policy distillation", arXiv 2604.14084, which
    selects tokens instead of weighting them.
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


def sums_by_class(values: Tensor, classes: Tensor, n_classes: int) -> Tensor:
    """Return the sum of ``values (n,)`` over the rows of each class, ``(n_classes,)``."""
    # A product, since on CUDA adding up by index depends on the order of the threads.
    return values @ (classes[:, None] == torch.arange(n_classes, device=classes.device)).to(values)


def weights_of_gaps(gaps: Tensor, shares: Tensor) -> Tensor:
    """Return class weights that are proportional to gaps and 1 on average over the series.

    Parameters
    ----------
    gaps : Tensor of shape (n_classes,)
        Loss of the student minus loss of the teacher; negative gaps count as 0.
    shares : Tensor of shape (n_classes,)
        Share of each class among the series.

    Returns
    -------
    Tensor of shape (n_classes,)
        Weights; all are 1 if no gap is positive.
    """
    positive = gaps.clamp(min=0)
    mean = (shares * positive).sum()
    return torch.where(mean > TINY, positive / mean.clamp(min=TINY), 1.0)


class GroupDistillation(WeighingDistillation):
    """Distillation of :class:`GroupReweighting`."""

    shares: Tensor
    gaps: Tensor
    known: Tensor
    gap_sums: Tensor
    row_sums: Tensor
    class_weights: Tensor

    def __init__(self, inner: Distillation, lambda_kd: float, momentum: float, rows: Rows) -> None:
        super().__init__(inner, lambda_kd, "groupreweighting")
        self.momentum = momentum
        like = rows.tensors["teacher_logits"]
        zeros = like.new_zeros(like.shape[1])
        rows_by_class = sums_by_class(self._row_sizes(rows.tensors), *self._classes(rows.tensors))
        self.register_buffer("shares", rows_by_class / rows_by_class.sum().clamp(min=TINY))
        self.register_buffer("gaps", zeros.clone())
        self.register_buffer("known", torch.zeros_like(zeros, dtype=torch.bool))
        self.register_buffer("gap_sums", zeros.clone())
        self.register_buffer("row_sums", zeros.clone())
        self.register_buffer("class_weights", torch.ones_like(zeros))

    @staticmethod
    def _classes(batch: Batch) -> tuple[Tensor, int]:
        return known_classes(batch), batch["teacher_logits"].shape[1]

    @staticmethod
    def _row_sizes(batch: Batch) -> Tensor:
        """Return the weight of each row in sums over a class, ``(n,)``."""
        if "target_weight" in batch:
            return batch["target_weight"]
        logits = batch["teacher_logits"]
        return logits.new_ones(len(logits))

    def start_epoch(self, student: SeriesNet, rows: Rows, step: Step) -> None:
        super().start_epoch(student, rows, step)
        gap_sums, row_sums = total(self.gap_sums), total(self.row_sums)
        seen = row_sums > 0
        new = gap_sums / torch.where(seen, row_sums, 1.0)
        smoothed = torch.where(self.known, torch.lerp(new, self.gaps, self.momentum), new)
        self.gaps.copy_(torch.where(seen, smoothed, self.gaps))
        self.known.logical_or_(seen)
        weights = weights_of_gaps(self.gaps, self.shares)
        self.class_weights.copy_(torch.where(self.known, weights, 1.0))
        self.gap_sums.zero_()
        self.row_sums.zero_()

    def row_weights(self, output: SeriesOutput, batch: Batch) -> Tensor:
        classes, n_classes = self._classes(batch)
        student = F.cross_entropy(output.logits.detach(), classes, reduction="none")
        teacher = F.cross_entropy(batch["teacher_logits"].detach(), classes, reduction="none")
        sizes = self._row_sizes(batch)
        self.gap_sums.add_(sums_by_class(sizes * (student - teacher), classes, n_classes))
        self.row_sums.add_(sums_by_class(sizes, classes, n_classes))
        return self.class_weights[classes]


class GroupReweighting(AroundDistiller):
    """Weighting of any distiller's classes by how far the student is behind its teacher (DDK).

    The gap of a class is the student's mean cross-entropy over its series in an epoch minus the
    teacher's. The weights of the next epoch are proportional to a running mean of the gaps, of
    which negative values count as 0. They are 1 on average over the training series. All weights
    are 1 in the first epoch, and if no class has a positive gap. An unlabelled series counts in
    the class that the teacher predicts. In a stream, each chunk is an epoch.

    Parameters
    ----------
    distiller : Distiller, default=None
        Wrapped distiller; None is :class:`~skgdpd.distillers.Hinton`.
    lambda_kd : float, default=1.0
        Weight of the wrapped distiller's terms. It multiplies the distiller's own weight.
    momentum : float, default=0.5
        Weight of the previous value in the running mean of the gaps, in [0, 1). 0 uses the gap of
        the last epoch alone. The default is that of :class:`~skgdpd.distillers.PACED`.

    References
    ----------
    J. Liu et al., "DDK: distilling domain knowledge for efficient large language models",
    arXiv 2407.16154, whose groups are domains of text that are sampled more or less often.
    """

    _parameter_constraints = {
        "distiller": [Distiller, None],
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "momentum": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self, distiller: Distiller | None = None, lambda_kd: float = 1.0, momentum: float = 0.5
    ) -> None:
        self.distiller = distiller
        self.lambda_kd = lambda_kd
        self.momentum = momentum

    def prepare(self, context: DistillationContext) -> GroupDistillation:
        inner = self.prepare_inner(context)
        return GroupDistillation(inner, self.lambda_kd, self.momentum, context.rows)

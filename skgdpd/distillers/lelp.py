"""Distillation of pseudo-subclasses of teacher features, for data with few classes."""

from __future__ import annotations

from collections.abc import Hashable
from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn

from ..nets.heads import SubclassHead
from ..nets.student import SeriesNet, SeriesOutput
from ..training import Batch, Step, Terms
from .base import Distillation, DistillationContext, Distiller
from .logits import hinton_loss
from .rows import TEMPERATURE_RANGE, known_classes

FLAT = 1e-4
"""Smallest standard deviation of a direction, relative to the features' root mean square."""


def subclass_directions(
    embeddings: Tensor, classes: Tensor, head: nn.Linear, n_subclasses: int
) -> tuple[Tensor, Tensor]:
    """Return directions within each class that do not affect the teacher's prediction.

    They are the principal directions of a class's features about their mean, in the subspace that
    does not affect differences of logits. They are scaled to a variance of 1 within the class.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Teacher features.
    classes : Tensor of shape (n,)
        Class numbers.
    head : torch.nn.Linear
        Linear classifier of the teacher.
    n_subclasses : int
        Number of directions for each class.

    Returns
    -------
    weight : Tensor of shape (n_classes, n_subclasses, d)
        Directions; zeros if a class has fewer directions.
    mean : Tensor of shape (n_classes, d)
        Mean feature of each class; zeros for a class with fewer than two rows.
    """
    z = embeddings.double()
    w = head.weight.to(z)
    differences = w - w.mean(0)
    hidden = torch.eye(z.shape[1]).to(z) - torch.linalg.pinv(differences) @ differences
    weight = z.new_zeros(len(w), n_subclasses, z.shape[1])
    mean = z.new_zeros(len(w), z.shape[1])
    spread = (z - z.mean(0)).square().mean().sqrt()
    for number in range(len(w)):
        own = z[classes == number]
        if len(own) < 2:
            continue
        mean[number] = own.mean(0)
        _, lengths, directions = torch.linalg.svd(
            (own - mean[number]) @ hidden, full_matrices=False
        )
        deviations = lengths[:n_subclasses] / len(own) ** 0.5
        there = int((deviations > FLAT * spread).sum())
        # A direction's sign is arbitrary; this rule makes it the same on every machine.
        first = directions[:there]
        sign = first.gather(1, first.abs().argmax(1, keepdim=True)).sign()
        weight[number, :there] = sign * first / deviations[:there, None]
    return weight @ hidden, mean


class LELPDistillation(Distillation):
    """Distillation of :class:`LELP`."""

    weight: Tensor
    offset: Tensor

    def __init__(self, distiller: LELP, weight: Tensor, mean: Tensor) -> None:
        super().__init__()
        self.distiller = distiller
        self.register_buffer("weight", weight.flatten(0, 1).float())
        self.register_buffer("offset", torch.einsum("csd,cd->cs", weight, mean).flatten().float())

    def phase(self, step: Step) -> Hashable:
        return ()

    def subclass_logits(self, batch: Batch) -> Tensor:
        """Return the teacher's logits of all subclasses, ``(n, n_classes * n_subclasses)``."""
        logits = batch["teacher_logits"].detach()
        seen = batch["teacher_features"].detach() @ self.weight.T - self.offset
        within = self.distiller.contrast * seen.unflatten(1, (logits.shape[1], -1))
        return (logits[:, :, None] + torch.log_softmax(within, -1)).flatten(1)

    def terms(self, student: SeriesNet, output: SeriesOutput, batch: Batch, step: Step) -> Terms:
        distiller = self.distiller
        if not distiller.lambda_kd:
            return {}
        assert isinstance(student.head, SubclassHead)
        loss = hinton_loss(
            student.head.scores(output.features).flatten(1),
            self.subclass_logits(batch),
            distiller.temperature,
            batch.get("target_weight"),
        )
        return {"lelp": distiller.lambda_kd * loss}


class LELP(Distiller):
    """Distillation of pseudo-subclasses by learning embedding linear projections (LELP).

    With few classes, the teacher's probabilities carry little information. Each class is therefore
    divided into pseudo-subclasses. A subclass belongs to a principal direction of the class's
    teacher features, among the directions that the teacher's classifier does not use. The position
    of a series along these directions gives its subclass probabilities. The student has one output
    per subclass and learns all subclass probabilities. For a prediction, the probabilities of the
    subclasses of each class are added.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the term.
    n_subclasses : int, default=2
        Number of subclasses per class.
    temperature : float, default=4.0
        Temperature by which the logits of all subclasses are divided, as in
        :class:`~skgdpd.distillers.Hinton`.
    contrast : float, default=4.0
        Change of a subclass's logit per standard deviation along its direction. If it equals the
        temperature, as by default, the change is 1 in the softened logits.

    References
    ----------
    N. Loo, F. Iliopoulos, W. Hu, E. Vee, "Linear projections of teacher embeddings for few-class
    distillation", arXiv 2409.20449.
    """

    _parameter_constraints = {
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "n_subclasses": [Interval(Integral, 1, None, closed="left")],
        "temperature": TEMPERATURE_RANGE,
        "contrast": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        lambda_kd: float = 1.0,
        n_subclasses: int = 2,
        temperature: float = 4.0,
        contrast: float = 4.0,
    ) -> None:
        self.lambda_kd = lambda_kd
        self.n_subclasses = n_subclasses
        self.temperature = temperature
        self.contrast = contrast

    def make_head(self, n_features: int, n_classes: int) -> SubclassHead:
        return SubclassHead(n_features, n_classes, self.n_subclasses)

    def prepare(self, context: DistillationContext) -> LELPDistillation:
        rows = context.rows.tensors
        assert context.teacher_head is not None
        found = subclass_directions(
            rows["teacher_features"],
            known_classes(rows),
            context.teacher_head(),
            self.n_subclasses,
        )
        return LELPDistillation(self, *found).to(rows["teacher_features"].device)

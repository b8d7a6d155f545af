"""Pseudo-subclasses of the teacher's embeddings, for problems of few classes."""

from __future__ import annotations

from collections.abc import Hashable
from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn

from ..nets.heads import SubclassHead
from ..nets.student import StudentNet, StudentOutput
from ..training import Batch, Step, Terms
from .base import Distillation, Distiller, Lesson
from .logits import hinton_loss
from .rows import known_classes

FLAT = 1e-4
"""Share of the embeddings' spread below which a direction is none."""


def subclass_directions(
    embeddings: Tensor, classes: Tensor, head: nn.Linear, n_subclasses: int
) -> tuple[Tensor, Tensor]:
    """Where the embeddings of each class differ without the classifier's noticing.

    These are the principal directions of a class's embeddings about their mean, in the space on
    which differences of logits do not depend, scaled to a variance of 1 in the class.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        The teacher's.
    classes : Tensor of shape (n,)
        Class numbers.
    head : torch.nn.Linear
        By which the teacher classifies them.
    n_subclasses : int
        Directions wanted.

    Returns
    -------
    weight : Tensor of shape (n_classes, n_subclasses, d)
        Directions; zero where a class has none left.
    mean : Tensor of shape (n_classes, d)
        Of each class.
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
        # A direction's sign is arbitrary: by this rule it is the same on every machine.
        first = directions[:there]
        sign = first.gather(1, first.abs().argmax(1, keepdim=True)).sign()
        weight[number, :there] = sign * first / deviations[:there, None]
    return weight @ hidden, mean


class LELPDistillation(Distillation):
    """See :class:`LELP`."""

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
        """The teacher's logits of all subclasses, ``(n, n_classes * n_subclasses)``."""
        logits = batch["teacher_logits"].detach()
        seen = batch["teacher_features"].detach() @ self.weight.T - self.offset
        within = self.distiller.contrast * seen.unflatten(1, (logits.shape[1], -1))
        return (logits[:, :, None] + torch.log_softmax(within, -1)).flatten(1)

    def terms(self, student: StudentNet, output: StudentOutput, batch: Batch, step: Step) -> Terms:
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
    """Learning embedding linear projections: the teacher's classes, divided into subclasses.

    Where classes are few, probabilities say little. Within each class the teacher's embeddings
    are told apart by their principal directions, of those that its classifier does not use; how
    far a series lies along each makes it more or less a member of as many pseudo-subclasses. The
    student has one output for each subclass and learns all their probabilities; those of a class
    are added.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the term.
    n_subclasses : int, default=2
        Of each class.
    temperature : float, default=4.0
        Divides the logits of all subclasses, as in :class:`~skgdpd.distillers.Hinton`.
    contrast : float, default=4.0
        What a standard deviation along a direction adds to a subclass's logit; as large as the
        temperature, it is 1 in what the student learns.

    References
    ----------
    N. Loo, F. Iliopoulos, W. Hu, E. Vee, "Linear projections of teacher embeddings for few-class
    distillation", arXiv 2409.20449.
    """

    _parameter_constraints = {
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "n_subclasses": [Interval(Integral, 1, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
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

    def prepare(self, lesson: Lesson) -> LELPDistillation:
        rows = lesson.rows.tensors
        assert lesson.teacher_head is not None
        found = subclass_directions(
            rows["teacher_features"], known_classes(rows), lesson.teacher_head(), self.n_subclasses
        )
        return LELPDistillation(self, *found).to(rows["teacher_features"].device)

r"""GenDD: the student's feature is the condition under which the teacher's is generated.

A diffusion model of :math:`p(z_{long} | z_{short})` is trained with the student, whose gradient
comes through the condition. Labels take part through what is generated: the teacher's feature,
contracted towards the centre of its class,

.. math:: (1 - s)\, z_{long} + s\, c_y.
"""

from __future__ import annotations

from collections.abc import Hashable
from numbers import Integral, Real
from typing import Literal

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn

from ..diffusion import AffineCode, ConditionalDiffusion, principal_code, standardising_code
from ..diffusion.conditional import PredictionName, token_width_of
from ..diffusion.schedule import ScheduleName
from ..nets.student import StudentNet, StudentOutput
from ..training import Batch, Step, Terms
from .base import Distillation, Distiller, Lesson
from .gdpd import MAX_PRIOR_ROWS, evenly
from .rows import mean_over_rows

CentroidName = Literal["class_mean", "classifier_weight"]
EncoderName = Literal["auto", "identity", "pca"]

MAX_WIDTH = 1024
"""Features generated as they are by ``encoder="auto"``; wider ones would take minutes a fit."""


class GenDDDistillation(Distillation):
    """See :class:`GenDD`.

    Parameters
    ----------
    distiller : GenDD
        Its parameters.
    diffusion : ConditionalDiffusion
        Generates codes of teacher features from student features.
    code : AffineCode
        Between features and codes.
    centroids : Tensor of shape (n_classes, dT)
        Centres of the classes.
    head : torch.nn.Linear or None
        The teacher's classifier of its features, frozen.
    """

    centroids: Tensor

    def __init__(
        self,
        distiller: GenDD,
        diffusion: ConditionalDiffusion,
        code: AffineCode,
        centroids: Tensor,
        head: nn.Linear | None,
    ) -> None:
        super().__init__()
        self.distiller = distiller
        self.diffusion = diffusion
        self.code = code
        self.register_buffer("centroids", centroids)
        self.head = head

    def phase(self, step: Step) -> Hashable | None:
        # A random order is drawn by way of the processor, which a captured step can't wait for.
        return None if self.distiller.mixup else ()

    def terms(self, student: StudentNet, output: StudentOutput, batch: Batch, step: Step) -> Terms:
        weight = self.distiller.lambda_kd
        if not weight:
            return {}
        return {"gendd": weight * self.loss(output.features, batch, step.generator)}

    def loss(self, z_short: Tensor, batch: Batch, generator: torch.Generator) -> Tensor:
        """Mean loss of student features ``(n, dS)`` and the rest of their batch."""
        distiller = self.distiller
        target = contract(
            batch["teacher_features"], batch["y"], self.centroids, distiller.contraction
        )
        codes, weight = self.code.encode(target), batch.get("target_weight")
        if distiller.mixup:
            # Beta(1, 1) is uniform.
            share = torch.rand(
                (len(codes), 1), dtype=codes.dtype, device=codes.device, generator=generator
            )
            other = torch.randperm(len(codes), device=codes.device, generator=generator)
            codes = share * codes + (1 - share) * codes[other]
            z_short = share * z_short + (1 - share) * z_short[other]
            if weight is not None:
                weight = share[:, 0] * weight + (1 - share[:, 0]) * weight[other]
        losses = self.diffusion.loss(
            codes, z_short, distiller.n_noise_levels, distiller.condition_dropout, generator
        )
        return mean_over_rows(losses, weight)


class GenDD(Distiller):
    """A diffusion model of the teacher's feature, given the student's.

    As a distiller alone it predicts as every student does, by its own head; the classifier that
    can also predict from generated features is :class:`~skgdpd.GenDDClassifier`.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the term, which starts at 1 times this.
    contraction : float, default=0.9
        s: how far a teacher's feature is moved towards the centre of its class; 1 leaves the
        centre, 0 asks for no labels. Where there is no label, nothing is moved.
    centroid : {"class_mean", "classifier_weight"}, default="class_mean"
        The centre: the mean feature of the class, or the row of the teacher's linear classifier,
        brought to the mean length of the class's features (the reference takes it as it is).
    encoder : {"auto", "identity", "pca"}, default="auto"
        What is generated: each feature, standardised, or whitened principal components that keep
        99 % of the variance; "auto" takes components of more than 1024 features.
    token_width : int, default=None
        Numbers in a token, a divisor of how many are generated; None is the largest one not
        above 64.
    joint : bool, default=False
        One token of all.
    hidden : int, default=128
        Width of the network; the reference has 1024 for features of images.
    depth : int, default=3
        Its blocks.
    n_noise_levels : int, default=4
        Fresh noise levels for each pair and step.
    condition_dropout : float, default=0.2
        Probability that a condition is withheld in training, for guidance.
    mixup : bool, default=False
        Train on mixtures of two series' features, with uniform shares.
    schedule : {"cosine", "linear"}, default="cosine"
        Noise levels.
    n_diffusion_steps : int, default=1000
        Their number, T.
    prediction : {"v", "eps"}, default="v"
        What the network is asked for: a mixture of noise and feature that turns with the level,
        or the noise, as in the paper, from which features are drawn far worse; see the guide.

    References
    ----------
    GenDD, arXiv 2507.14503.
    """

    _parameter_constraints = {
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "contraction": [Interval(Real, 0, 1, closed="both")],
        "centroid": [StrOptions({"class_mean", "classifier_weight"})],
        "encoder": [StrOptions({"auto", "identity", "pca"})],
        "token_width": [Interval(Integral, 1, None, closed="left"), None],
        "joint": ["boolean"],
        "hidden": [Interval(Integral, 1, None, closed="left")],
        "depth": [Interval(Integral, 0, None, closed="left")],
        "n_noise_levels": [Interval(Integral, 1, None, closed="left")],
        "condition_dropout": [Interval(Real, 0, 1, closed="left")],
        "mixup": ["boolean"],
        "schedule": [StrOptions({"cosine", "linear"})],
        "n_diffusion_steps": [Interval(Integral, 2, None, closed="left")],
        "prediction": [StrOptions({"v", "eps"})],
    }

    def __init__(
        self,
        lambda_kd: float = 1.0,
        contraction: float = 0.9,
        centroid: CentroidName = "class_mean",
        encoder: EncoderName = "auto",
        token_width: int | None = None,
        joint: bool = False,
        hidden: int = 128,
        depth: int = 3,
        n_noise_levels: int = 4,
        condition_dropout: float = 0.2,
        mixup: bool = False,
        schedule: ScheduleName = "cosine",
        n_diffusion_steps: int = 1000,
        prediction: PredictionName = "v",
    ) -> None:
        self.lambda_kd = lambda_kd
        self.contraction = contraction
        self.centroid = centroid
        self.encoder = encoder
        self.token_width = token_width
        self.joint = joint
        self.hidden = hidden
        self.depth = depth
        self.n_noise_levels = n_noise_levels
        self.condition_dropout = condition_dropout
        self.mixup = mixup
        self.schedule = schedule
        self.n_diffusion_steps = n_diffusion_steps
        self.prediction = prediction

    def prepare(self, lesson: Lesson) -> GenDDDistillation:
        """Find the classes' centres and the code, and make the network."""
        known = lesson.rows.tensors
        features = known["teacher_features"]
        some = evenly(len(features), MAX_PRIOR_ROWS).to(features.device)
        z_long, y = features[some], known["y"][some]
        centroids = class_means(z_long, y, lesson.n_classes)
        head = None if lesson.teacher_head is None else lesson.teacher_head()
        if self.centroid == "classifier_weight":
            if head is None:
                raise ValueError(
                    "centroid='classifier_weight' needs a teacher's classifier, and this lesson "
                    "has none; allowed is 'class_mean'"
                )
            centroids = with_lengths_of(head.weight.detach().to(features), z_long, y)
        targets = contract(z_long, y, centroids, self.contraction)
        wide = self.encoder == "auto" and features.shape[1] > MAX_WIDTH
        if wide or self.encoder == "pca":
            code = principal_code(targets, None)
        else:
            code = standardising_code(targets)
        codes = code.encode(targets)
        width = codes.shape[1]
        diffusion = ConditionalDiffusion(
            width,
            lesson.n_student_features,
            token_width_of(width, self.token_width, self.joint),
            self.hidden,
            self.depth,
            self.schedule,
            self.n_diffusion_steps,
            self.prediction,
        ).to(features)
        diffusion.set_bounds(codes)
        return GenDDDistillation(self, diffusion, code, centroids, head)


def contract(z_long: Tensor, y: Tensor, centroids: Tensor, share: float) -> Tensor:
    """Move features towards the centres of their classes.

    Parameters
    ----------
    z_long : Tensor of shape (n, dT)
        Features.
    y : Tensor of shape (n,)
        Class numbers; features with -1 stay where they are.
    centroids : Tensor of shape (n_classes, dT)
        Centres.
    share : float
        How far: 0 is not at all, 1 all the way.
    """
    if not share:
        return z_long
    moved = torch.lerp(z_long, centroids[y.clamp(min=0)], share)
    return torch.where((y >= 0)[:, None], moved, z_long)


def class_means(z_long: Tensor, y: Tensor, n_classes: int) -> Tensor:
    """Mean features ``(n_classes, dT)``; of a class without rows, the mean of all rows."""
    means = z_long.mean(0).repeat(n_classes, 1)
    for k in y.unique().tolist():
        if k >= 0:
            means[k] = z_long[y == k].mean(0)
    return means


def with_lengths_of(weights: Tensor, z_long: Tensor, y: Tensor) -> Tensor:
    """Rows ``(n_classes, dT)`` brought to the mean length of the features of their classes."""
    lengths = class_means(z_long.norm(dim=1, keepdim=True), y, len(weights))
    return weights * (lengths / weights.norm(dim=1, keepdim=True).clamp(min=1e-12))

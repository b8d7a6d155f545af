r"""GenDD: generation of teacher features, given a student's prediction for a series.

A diffusion model generates the teacher's feature, contracted towards the centre of a class,

.. math:: (1 - s)\, z_{long} + s\, c_y.

Its condition is the student's prediction. For training series, it is the prediction of students
that were fitted without them. In the paper the condition is the student's feature, and the model
is trained together with the student.
"""

from __future__ import annotations

from collections.abc import Hashable
from numbers import Integral, Real
from typing import Any, Literal

import torch
import torch.nn.functional as F
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn

from .._runtime.doc_links import LinksToDocs
from .._runtime.groups import with_defaults, with_own_groups
from .._runtime.parameters import PlainNumbers
from ..diffusion import (
    AffineEncoder,
    ConditionalDiffusion,
    principal_encoder,
    standardising_encoder,
)
from ..diffusion.conditional import PredictionName, token_width_of
from ..diffusion.schedule import ScheduleName
from ..nets.student import SeriesNet, SeriesOutput
from ..training import Batch, Step, Terms, soft_cross_entropy
from .base import Distillation, DistillationContext, Distiller, PredictorContext
from .gdpd import MAX_PRIOR_ROWS, evenly
from .generator import ConditionName, FeatureGenerator, finish_generator
from .rows import mean_over_rows

CentroidName = Literal["class_mean", "classifier_weight"]
EncoderName = Literal["auto", "identity", "pca"]
Deployment = Literal["sampled", "student_head"]
Labels = Literal["all", "teacher"]

MAX_WIDTH = 1024
"""Largest number of features that ``encoder="auto"`` keeps; more would take minutes."""


class GenDDDistillation(Distillation):
    """Distillation of :class:`GenDD` in one training.

    Parameters
    ----------
    distiller : GenDD
        Parameters of the method.
    diffusion : ConditionalDiffusion
        Generator of codes of teacher features, given a condition.
    encoder : AffineEncoder
        Map between teacher features and codes.
    centroids : Tensor of shape (n_classes, dT)
        Centres of the classes.
    head : torch.nn.Linear or None
        Frozen linear layer from teacher features to logits. None is allowed with
        ``deploy="student_head"`` only.
    """

    centroids: Tensor

    def __init__(
        self,
        distiller: GenDD,
        diffusion: ConditionalDiffusion,
        encoder: AffineEncoder,
        centroids: Tensor,
        head: nn.Linear | None,
    ) -> None:
        super().__init__()
        self.distiller = distiller
        self.diffusion = diffusion
        self.encoder = encoder
        self.register_buffer("centroids", centroids)
        self.head = head

    def phase(self, step: Step) -> Hashable | None:
        # A random order is drawn on the host, for which a captured step can't wait.
        return None if self.distiller.options.mixup else ()

    def label_weight(self, step: Step) -> float:
        return 0.0 if self.distiller.hides_labels else 1.0

    def terms(self, student: SeriesNet, output: SeriesOutput, batch: Batch, step: Step) -> Terms:
        weight = self.distiller.lambda_kd
        if not weight:
            return {}
        if self.distiller.options.condition == "predictions":
            return {"gendd": weight * self.taught_loss(output, batch)} if "target" in batch else {}
        terms = {"gendd": weight * self.loss(output.features, batch, step.generator)}
        if self.distiller.hides_labels:
            # Nothing else teaches the student's own classifier.
            terms["soft"] = self.taught_loss(output, batch)
        return terms

    def taught_loss(self, output: SeriesOutput, batch: Batch) -> Tensor:
        """Return the cross-entropy against the teacher's probabilities of unlabelled rows."""
        taught = (batch["y"] < 0).to(output.logits)
        if "target_weight" in batch:
            taught = taught * batch["target_weight"]
        return soft_cross_entropy(output.logits, batch["target"], taught)

    def loss(self, condition: Tensor, batch: Batch, generator: torch.Generator) -> Tensor:
        """Return the mean loss for conditions ``(n, n_condition)`` and the rest of their batch."""
        options, y = self.distiller.options, batch["y"]
        if "left_out" in batch:
            y = drawn_classes(batch, options.label_share, generator)
        target = contract(batch["teacher_features"], y, self.centroids, options.contraction)
        codes, weight = self.encoder.encode(target), batch.get("target_weight")
        if options.mixup:
            # Beta(1, 1) is uniform.
            share = torch.rand(
                (len(codes), 1), dtype=codes.dtype, device=codes.device, generator=generator
            )
            other = torch.randperm(len(codes), device=codes.device, generator=generator)
            codes = share * codes + (1 - share) * codes[other]
            condition = share * condition + (1 - share) * condition[other]
            if weight is not None:
                weight = share[:, 0] * weight + (1 - share[:, 0]) * weight[other]
        losses = self.diffusion.loss(
            codes, condition, options.n_noise_levels, options.condition_dropout, generator
        )
        return mean_over_rows(losses, weight)

    def predictor(self, student: SeriesNet, context: PredictorContext) -> FeatureGenerator | None:
        """Train the generator on outputs of the trained student, and return the predictor."""
        distiller = self.distiller
        if distiller.deploy == "student_head":
            return None
        if self.head is None:
            raise ValueError(
                "deploy='sampled' needs a teacher's classifier, and this context has none; "
                "allowed is 'student_head'"
            )
        history = finish_generator(self, student, distiller.options.max_epochs, context)
        return FeatureGenerator(
            self.diffusion,
            self.encoder,
            self.head,
            context.seeds("draws"),
            distiller.n_posterior_samples,
            distiller.n_sampling_steps,
            distiller.guidance,
            distiller.options.condition,
            distiller.student_share,
            history,
        )


class GeneratorOptions(LinksToDocs, PlainNumbers, BaseEstimator):
    """Options of the diffusion model that generates teacher features.

    :class:`GenDD` and :class:`~skgdpd.GenDDClassifier` take them as their parameter
    ``generator``. ``set_params`` and searches reach one option under a name such as
    ``generator__contraction``.

    Parameters
    ----------
    condition : {"predictions", "features"}, default="predictions"
        Student output on which a draw depends. ``"features"`` are the student's features, as in
        the paper; the generator is then trained together with the student. ``"predictions"`` are
        the student's class probabilities. The generator is then trained after the student, on
        predictions by students that were fitted without the series. A student is overconfident on
        its own training series, and the generator would learn to trust it on other series, too.
    labels : {"all", "teacher"}, default="all"
        Networks that learn from the labels. With ``"teacher"``, only the teacher does: the student
        and the generator learn from the teacher's outputs for all series, as if none had a label.
        With ``contraction=0`` as well, this is the paper's unsupervised method.
    label_share : float, default=0.5
        Weight of a series' label, or of the teacher's probabilities for an unlabelled series, in
        the draw of the class towards which its feature is moved. The left-out prediction has the
        remaining weight. With 1 the class is the label, which teaches too little if there are few
        series. With 0 the draws repeat the student's predictions. It is used with
        ``condition="predictions"`` only.
    contraction : float, default=0.9
        Share s of the way to the centre of its class by which a teacher's feature is moved before
        it is learned, in [0, 1]; the paper uses 0.7 to 0.9. With 1 only the centre is learned.
        With 0 features stay as they are. With ``condition="features"``, features of unlabelled
        series are not moved.
    centroid : {"class_mean", "classifier_weight"}, default="class_mean"
        Centre of a class. ``"class_mean"`` is the mean feature of the class.
        ``"classifier_weight"`` is the class's row in the teacher's linear classifier, scaled to
        the mean length of the class's features. The authors' program does not scale it.
    encoder : {"auto", "identity", "pca"}, default="auto"
        Representation of the generated features: the standardised features (``"identity"``), or
        whitened principal components that keep 99 % of the variance (``"pca"``). "auto" is
        ``"pca"`` for more than 1024 features, with which a fit would otherwise take minutes.
    token_width : int, default=None
        Number of coordinates in a token. Tokens are generated independently of each other. It must
        divide the number of coordinates. None is the largest divisor up to 64.
    joint : bool, default=False
        Whether all coordinates form one token.
    hidden : int, default=128
        Width of the network. The paper uses 1024, for image features.
    depth : int, default=3
        Number of blocks of the network; the paper uses 3.
    n_noise_levels : int, default=4
        Number of random noise levels per pair and step. More levels make the gradient less noisy.
    condition_dropout : float, default=0.2
        Probability with which training leaves out the condition, as guidance requires.
    mixup : bool, default=False
        Whether the network is trained on mixtures of two series' features, with uniform weights.
    schedule : {"cosine", "linear"}, default="cosine"
        Noise schedule; the paper's is ``"cosine"``.
    n_diffusion_steps : int, default=1000
        Number T of noise levels; the paper uses 1000.
    prediction : {"v", "eps"}, default="v"
        Quantity that the network predicts: a combination of noise and feature whose weights depend
        on the noise level (``"v"``), or the noise (``"eps"``), as in the paper. Draws are far
        worse with ``"eps"``; see docs/gendd.md.
    max_epochs : int or "auto", default="auto"
        Number of epochs of the generator's training after the student's training. "auto" makes
        about 500 optimisation steps, but at least 20 epochs.

    Examples
    --------
    >>> from skgdpd import GenDDClassifier, GeneratorOptions
    >>> clf = GenDDClassifier(generator=GeneratorOptions(mixup=True))
    >>> clf.set_params(generator__hidden=256).generator
    GeneratorOptions(hidden=256, mixup=True)
    """

    _parameter_constraints = {
        "condition": [StrOptions({"predictions", "features"})],
        "labels": [StrOptions({"all", "teacher"})],
        "label_share": [Interval(Real, 0, 1, closed="both")],
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
        "max_epochs": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    }

    def __init__(
        self,
        *,
        condition: ConditionName = "predictions",
        labels: Labels = "all",
        label_share: float = 0.5,
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
        max_epochs: int | str = "auto",
    ) -> None:
        self.condition = condition
        self.labels = labels
        self.label_share = label_share
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
        self.max_epochs = max_epochs


class GenDD(Distiller):
    """Distillation by a diffusion model that generates teacher features (GenDD).

    :class:`~skgdpd.GenDDClassifier` is the classifier with this distiller.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the cross-entropy between the student and the teacher's probabilities for
        unlabelled series. With ``condition="features"`` it is the weight of the generator's loss,
        which is about 1 before the training.
    generator : GeneratorOptions, default=None
        Options of the generator; None means ``GeneratorOptions()``.
    deploy : {"sampled", "student_head"}, default="sampled"
        Source of the predictions. ``"sampled"`` uses generated features. ``"student_head"`` uses
        the student's own head. It takes no more time than any other student, and needs no training
        of the generator after the student's training.
    n_posterior_samples : int, default=32
        Number J of features drawn per series.
    n_sampling_steps : int, default=16
        Number of noise levels that a draw passes through. The prediction time is proportional to
        it.
    guidance : float, default=1.0
        Weight of the condition in a draw (classifier-free guidance). 1 draws from the learned
        model. The authors' program uses 2, which draws from another distribution and takes twice
        the time.
    student_share : float, default=0.5
        Weight of the student's own prediction in the answer, in [0, 1]; the mean over the draws
        has the remaining weight. The default is the plain mean of both. A few draws often give
        several series the same answer, and the student's prediction then ranks these series. 0 is
        the paper's method.

    References
    ----------
    GenDD, arXiv 2507.14503.
    """

    _parameter_constraints = {
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "generator": [GeneratorOptions, None],
        "deploy": [StrOptions({"sampled", "student_head"})],
        "n_posterior_samples": [Interval(Integral, 1, None, closed="left")],
        "n_sampling_steps": [Interval(Integral, 1, None, closed="left")],
        "guidance": [Interval(Real, 0, None, closed="left")],
        "student_share": [Interval(Real, 0, 1, closed="both")],
    }
    _groups = {"generator": GeneratorOptions}

    def __init__(
        self,
        lambda_kd: float = 1.0,
        generator: GeneratorOptions | None = None,
        deploy: Deployment = "sampled",
        n_posterior_samples: int = 32,
        n_sampling_steps: int = 16,
        guidance: float = 1.0,
        student_share: float = 0.5,
    ) -> None:
        self.lambda_kd = lambda_kd
        self.generator = generator
        self.deploy = deploy
        self.n_posterior_samples = n_posterior_samples
        self.n_sampling_steps = n_sampling_steps
        self.guidance = guidance
        self.student_share = student_share

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the options of the generator, such as ``generator__contraction``.

        Returns
        -------
        dict
        """
        params = super().get_params(deep)
        return with_defaults(params, self._groups) if deep else params

    def set_params(self, **params: Any) -> GenDD:
        """Set parameters by name.

        Parameters
        ----------
        **params
            Values by parameter name. The options of the generator are set on a copy of the group.

        Returns
        -------
        GenDD
            The distiller itself.
        """
        super().set_params(**with_own_groups(self, params, self._groups))
        return self

    @property
    def options(self) -> GeneratorOptions:
        """Options of the generator; the defaults if ``generator`` is None."""
        return GeneratorOptions() if self.generator is None else self.generator

    @property
    def hides_labels(self) -> bool:  # type: ignore[override]
        """True if labels are for the teacher alone."""
        return self.options.labels == "teacher"

    def _validate_params(self) -> None:
        super()._validate_params()
        if self.hides_labels and not self.lambda_kd:
            raise ValueError(
                f"lambda_kd={self.lambda_kd!r} with generator__labels='teacher' leaves nothing to "
                f"learn to the student; allowed are numbers above 0, or generator__labels='all'"
            )

    @property
    def predictor_stage(self) -> str | None:  # type: ignore[override]
        """Name of the stage that trains the generator; None with ``deploy="student_head"``."""
        return "generator" if self.deploy == "sampled" else None

    def prepare(self, context: DistillationContext) -> GenDDDistillation:
        """Compute the centres of the classes and the encoder, and create the network."""
        options, known = self.options, context.rows.tensors
        features = known["teacher_features"]
        some = evenly(len(features), MAX_PRIOR_ROWS).to(features.device)
        by_features = options.condition == "features"
        z_long, y = features[some], known["y"][some]
        classes = known["teacher_logits"][some].argmax(-1) if self.hides_labels else y
        centroids = class_means(z_long, classes, context.n_classes)
        head = None if context.teacher_head is None else context.teacher_head()
        if options.centroid == "classifier_weight":
            if head is None:
                raise ValueError(
                    "centroid='classifier_weight' needs a teacher's classifier, and this context "
                    "has none; allowed is 'class_mean'"
                )
            centroids = with_lengths_of(head.weight.detach().to(features), z_long, classes)
        targets = contract(z_long, y if by_features else classes, centroids, options.contraction)
        wide = options.encoder == "auto" and features.shape[1] > MAX_WIDTH
        if wide or options.encoder == "pca":
            encoder = principal_encoder(targets, None)
        else:
            encoder = standardising_encoder(targets)
        codes = encoder.encode(targets)
        width = codes.shape[1]
        diffusion = ConditionalDiffusion(
            width,
            context.n_student_features if by_features else context.n_classes,
            token_width_of(width, options.token_width, options.joint),
            options.hidden,
            options.depth,
            options.schedule,
            options.n_diffusion_steps,
            options.prediction,
            normalize_condition=by_features,
        ).to(features)
        diffusion.set_bounds(codes)
        return GenDDDistillation(self, diffusion, encoder, centroids, head)


def drawn_classes(batch: Batch, label_share: float, generator: torch.Generator) -> Tensor:
    """Draw a class for each row of a batch, from its label and its left-out prediction.

    Parameters
    ----------
    batch : Batch
        Rows with ``left_out (n, n_classes)``, and with ``target``, or ``y`` if all are labelled.
    label_share : float
        Weight of the target in the probabilities of the draw.
    generator : torch.Generator
        Source of the draws.

    Returns
    -------
    Tensor of shape (n,)
        Class numbers.
    """
    left_out = batch["left_out"]
    target = batch.get("target")
    if target is None:
        target = F.one_hot(batch["y"], left_out.shape[1]).to(left_out)
    p = torch.lerp(left_out, target.to(left_out), label_share)
    # The first class whose cumulative probability exceeds a uniform number; a captured step
    # can't call multinomial.
    u = torch.rand((len(p), 1), dtype=p.dtype, device=p.device, generator=generator)
    return (p.cumsum(-1) < u * p.sum(-1, keepdim=True)).sum(-1).clamp(max=p.shape[1] - 1)


def contract(z_long: Tensor, y: Tensor, centroids: Tensor, share: float) -> Tensor:
    """Move features towards the centres of their classes.

    Parameters
    ----------
    z_long : Tensor of shape (n, dT)
        Features.
    y : Tensor of shape (n,)
        Class numbers; features with -1 are not moved.
    centroids : Tensor of shape (n_classes, dT)
        Centres of the classes.
    share : float
        Share of the way to the centre: 0 leaves features unchanged, 1 replaces them.

    Returns
    -------
    Tensor of shape (n, dT)
        Features after the move.
    """
    if not share:
        return z_long
    moved = torch.lerp(z_long, centroids[y.clamp(min=0)], share)
    return torch.where((y >= 0)[:, None], moved, z_long)


def class_means(z_long: Tensor, y: Tensor, n_classes: int) -> Tensor:
    """Return the mean features of classes, or the mean of all rows for a class without rows."""
    means = z_long.mean(0).repeat(n_classes, 1)
    for k in y.unique().tolist():
        if k >= 0:
            means[k] = z_long[y == k].mean(0)
    return means


def with_lengths_of(weights: Tensor, z_long: Tensor, y: Tensor) -> Tensor:
    """Return weights ``(n_classes, dT)``, scaled to the mean length of their class's features."""
    lengths = class_means(z_long.norm(dim=1, keepdim=True), y, len(weights))
    return weights * (lengths / weights.norm(dim=1, keepdim=True).clamp(min=1e-12))

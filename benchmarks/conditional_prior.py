r"""A conditional prior in GDPD's loss: the teacher's feature is drawn given the student's feature.

The network of GenDD learns :math:`p(z_{long} \mid z_{short})` from the pairs of the training
series, at the same time as the student. As with GDPD, the student minimises

.. math:: CE(S(z_{short}), y) + \lambda_{KD}\, E[CE(S(\hat z), y)],
          \qquad \hat z \sim p(z_{long} \mid z_{short}).

Gradients of this loss reach the student through the draws. They do not change the weights of the
network. Gradients of the network's own loss do not reach the student.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn

from skgdpd.diffusion import (
    AffineEncoder,
    ConditionalDiffusion,
    principal_encoder,
    standardising_encoder,
)
from skgdpd.diffusion.conditional import token_width_of
from skgdpd.diffusion.sampler import DDIM, NoiseSource
from skgdpd.distillers import Distillation, DistillationContext, Distiller
from skgdpd.distillers.gdpd import expected_cross_entropy
from skgdpd.distillers.gendd import MAX_WIDTH
from skgdpd.distillers.generator import FeatureGenerator, as_condition
from skgdpd.distillers.logits import hinton_loss
from skgdpd.distillers.rows import mean_over_rows
from skgdpd.nets.layers import FeatureBatchNorm
from skgdpd.nets.student import SeriesNet, SeriesOutput
from skgdpd.training import Batch, Step, Terms

N_NOISE_LEVELS = 4
"""Number of noise levels of each pair in a step, that of GDPD's prior and of GenDD."""


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Let gradients flow through a module, but not to its parameters."""
    trained = [p for p in module.parameters() if p.requires_grad]
    module.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_()


def ddim_draws(
    diffusion: ConditionalDiffusion, condition: Tensor, noise: NoiseSource, n_steps: int
) -> Tensor:
    """Draw features by deterministic steps from noise.

    Parameters
    ----------
    diffusion : ConditionalDiffusion
        Model of the features.
    condition : Tensor of shape (n, n_condition)
        Conditions, into which gradients flow.
    noise : NoiseSource
        Source of the noise from which the steps start, with the number of draws of each row.
    n_steps : int
        Number of noise levels visited.

    Returns
    -------
    Tensor of shape (n_draws, n, d)
        Draws whose mean is that of the model. Few steps make them too narrow.
    """
    chains = (noise.n_draws, len(condition))
    embedded = diffusion.denoiser.condition(condition)

    def predict(u_t: Tensor, t: Tensor) -> Tensor:
        guess = diffusion.predict_noise(u_t.unflatten(0, chains), t, embedded, guidance=1.0)
        return guess.flatten(0, 1)

    def within(u: Tensor, level: int) -> Tensor:
        return u.clamp(diffusion.low, diffusion.high)

    start = noise.normal(condition.new_empty(chains[0] * chains[1], diffusion.n_features))
    drawn = DDIM(diffusion.schedule, n_steps).run(predict, start, noise, within)
    return drawn.unflatten(0, chains)


class ConditionalDistillation(Distillation):
    """Distillation of :class:`ConditionalPrior`.

    Parameters
    ----------
    distiller : ConditionalPrior
        Parameters of the method.
    diffusion : ConditionalDiffusion
        Model of the codes of teacher features.
    encoder : AffineEncoder
        Map from teacher features to codes.
    warmup_epochs : int
        Number of epochs before the student learns from draws.
    n_student_features : int
        Width dS of the student's features.
    """

    def __init__(
        self,
        distiller: ConditionalPrior,
        diffusion: ConditionalDiffusion,
        encoder: AffineEncoder,
        warmup_epochs: int,
        n_student_features: int,
    ) -> None:
        super().__init__()
        self.distiller = distiller
        self.diffusion = diffusion
        self.encoder = encoder
        self.warmup_epochs = warmup_epochs
        self.standardised = FeatureBatchNorm(n_student_features, affine=False)
        self.projection = nn.Sequential(
            nn.Linear(diffusion.n_features, n_student_features),
            FeatureBatchNorm(n_student_features),
        )

    def condition(self, output: SeriesOutput) -> Tensor:
        """Return conditions ``(n, n_condition)``, into which the student's gradients flow."""
        if self.distiller.generator is not None:
            return as_condition(torch.softmax(output.logits, -1))
        return self.standardised(output.features)

    def classify(self, student: SeriesNet, condition: Tensor, noise: NoiseSource) -> Tensor:
        """Return the student's logits ``(n_draws, n, n_classes)`` of draws under conditions."""
        with frozen(self.diffusion):
            draws = ddim_draws(self.diffusion, condition, noise, self.distiller.n_sampling_steps)
        restored = self.projection(draws.flatten(0, 1))
        return student.head(restored).unflatten(0, draws.shape[:2])

    def terms(self, student: SeriesNet, output: SeriesOutput, batch: Batch, step: Step) -> Terms:
        """Return the losses of the network, of the draws, and of Hinton's term."""
        terms: Terms = {}
        distiller, condition = self.distiller, self.condition(output)
        weight = batch.get("target_weight")
        if distiller.generator is None:
            codes = self.encoder.encode(batch["teacher_features"])
            losses = self.diffusion.loss(
                codes, condition.detach(), N_NOISE_LEVELS, generator=step.generator
            )
            terms["denoiser"] = mean_over_rows(losses, weight)
        if step.epoch >= self.warmup_epochs and distiller.lambda_kd:
            logits = self.classify(student, condition, NoiseSource(step.generator))
            terms["conditional"] = distiller.lambda_kd * expected_cross_entropy(logits, batch)
        if distiller.hinton_weight:
            loss = hinton_loss(
                output.logits, batch["teacher_logits"], distiller.hinton_temperature, weight
            )
            terms["hinton"] = distiller.hinton_weight * loss
        return terms


class ConditionalPrior(Distiller):
    """Distiller by draws of the teacher's feature, given what the student knows of a series.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the cross-entropy of the draws, that of GDPD.
    warmup_epochs : int or float, default=0.5
        Number of epochs before the student learns from draws; a float in (0, 1) is a share of the
        training. The network is trained from the first epoch on. The default is that of GDPD.
    n_sampling_steps : int, default=4
        Number of noise levels on the way to a draw. Each is one evaluation of the network, through
        which gradients flow; GDPD has 5.
    hinton_weight : float, default=0.0
        Weight of an additional Hinton term, from the first epoch on, as that of GDPD.
    hinton_temperature : float, default=2.0
        Temperature of the Hinton term, that of GDPD.
    generator : FeatureGenerator or None, default=None
        Generator of teacher features given predictions, the ``predictor_`` of a GenDDClassifier
        that was fitted to the same series with the same seed. It has learned from left-out
        predictions, and draws under the student's predictions; it is not trained further. None
        trains a network on the student's features.
    """

    _parameter_constraints = {
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "warmup_epochs": [
            Interval(Integral, 0, None, closed="left"),
            Interval(Real, 0, 1, closed="neither"),
        ],
        "n_sampling_steps": [Interval(Integral, 1, None, closed="left")],
        "hinton_weight": [Interval(Real, 0, None, closed="left")],
        "hinton_temperature": [Interval(Real, 0, None, closed="neither")],
        "generator": [FeatureGenerator, None],
    }

    def __init__(
        self,
        lambda_kd: float = 1.0,
        warmup_epochs: float = 0.5,
        n_sampling_steps: int = 4,
        hinton_weight: float = 0.0,
        hinton_temperature: float = 2.0,
        generator: FeatureGenerator | None = None,
    ) -> None:
        self.lambda_kd = lambda_kd
        self.warmup_epochs = warmup_epochs
        self.n_sampling_steps = n_sampling_steps
        self.hinton_weight = hinton_weight
        self.hinton_temperature = hinton_temperature
        self.generator = generator

    def prepare(self, context: DistillationContext) -> ConditionalDistillation:
        """Make the network, or take that of the generator as it is."""
        features = context.rows.tensors["teacher_features"]
        if self.generator is None:
            diffusion, encoder = new_diffusion(features, context.n_student_features)
        else:
            diffusion = copy.deepcopy(self.generator.diffusion).requires_grad_(False)
            encoder = copy.deepcopy(self.generator.encoder)
        epochs: float = self.warmup_epochs
        if not isinstance(epochs, Integral):
            epochs = min(round(epochs * context.max_epochs), context.max_epochs - 1)
        distillation = ConditionalDistillation(
            self, diffusion, encoder, int(epochs), context.n_student_features
        )
        return distillation.to(features)


def new_diffusion(
    features: Tensor, n_condition: int
) -> tuple[ConditionalDiffusion, AffineEncoder]:
    """Return GenDD's network for teacher features ``(n, dT)``, and the map to its codes."""
    wide = features.shape[1] > MAX_WIDTH
    encoder = principal_encoder(features, None) if wide else standardising_encoder(features)
    codes = encoder.encode(features)
    width = codes.shape[1]
    diffusion = ConditionalDiffusion(
        width, n_condition, token_width_of(width), normalize_condition=False
    ).to(features)
    diffusion.set_bounds(codes)
    return diffusion, encoder

"""Generators of teacher features from student outputs, and predictions from their draws."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..diffusion import AffineEncoder, ConditionalDiffusion
from ..diffusion.sampler import NoiseSource
from ..nets.student import SeriesNet
from ..training import Batch, History, Objective, Rows, Step, Terms, TrainingConfig, train
from ..training.fitting import isolated_random_state, resolve_batch_size, resolve_epochs
from .base import PredictorContext
from .own_outputs import own_outputs

Doubles = NDArray[np.float64]

AUTO_STEPS = 500
AUTO_MIN_EPOCHS = 20
MAX_BATCH = 64

LEFT_OUT_LR = 1e-3
"""Learning rate of a generator that is trained from scratch on left-out predictions."""

LEAST_PROBABILITY = 1e-4
"""Smallest probability in a condition; smaller probabilities are raised to it."""

LOG_ODDS_UNIT = 2.0
"""Unit of log-odds in a condition, about their standard deviation."""

ConditionName = Literal["predictions", "features"]

MAX_NUMBERS = 2**22
"""Largest number of values in an activation during a draw, which bounds the memory."""


class SharedNoise(NoiseSource):
    """Source of noise that is the same for every series, device and batch.

    Parameters
    ----------
    seed : int
        Seed of the noise.
    n_draws : int
        Number of chains per series.
    """

    def __init__(self, seed: int, n_draws: int) -> None:
        super().__init__(torch.Generator().manual_seed(seed), n_draws, shared=True)

    def normal(self, x: Tensor, width: int | None = None) -> Tensor:
        shape = self._shape(len(x), x.shape[1] if width is None else width)
        noise = torch.randn(shape, dtype=torch.float64, generator=self.generator)
        return self._spread(noise.to(x), len(x))


def as_condition(proba: Tensor) -> Tensor:
    """Convert probabilities to conditions: centred log-odds of about unit scale.

    The smallest probabilities are raised, so that no condition is far from all others.

    Parameters
    ----------
    proba : Tensor of shape (n, n_classes)
        Class probabilities.

    Returns
    -------
    Tensor of shape (n, n_classes)
    """
    logs = proba.clamp(min=LEAST_PROBABILITY).log()
    return (logs - logs.mean(-1, keepdim=True)) / LOG_ODDS_UNIT


@dataclass(frozen=True)
class FeatureGenerator:
    """Predictor that draws teacher features and classifies them.

    Attributes
    ----------
    diffusion : ConditionalDiffusion
        Generator of codes of teacher features, given a condition.
    encoder : AffineEncoder
        Map between teacher features and codes.
    head : torch.nn.Linear
        Linear layer from teacher features to logits.
    seed : int
        Seed of the draws, so that a series has the same draws in each call.
    n_draws : int
        Number of features drawn per series.
    n_steps : int
        Number of noise levels that a draw passes through.
    guidance : float
        Weight of the condition in a draw (classifier-free guidance).
    condition : {"predictions", "features"}
        Student output on which the draws depend.
    student_share : float
        Weight of the student's own prediction in the probabilities.
    history : History
        Loss terms of the generator's training after the student's, by epoch.
    """

    diffusion: ConditionalDiffusion
    encoder: AffineEncoder
    head: nn.Linear
    seed: int
    n_draws: int
    n_steps: int
    guidance: float
    condition: ConditionName
    student_share: float
    history: History

    def draw(self, z_short: NDArray[Any], logits: NDArray[Any], device: torch.device) -> Doubles:
        """Draw teacher features for a student's outputs.

        Draws are made in double precision, because rounding errors depend on the other series of a
        batch and grow on the way from noise to features.

        Parameters
        ----------
        z_short : ndarray of shape (n, dS)
            Student features.
        logits : ndarray of shape (n, n_classes)
            Student logits.
        device : torch.device
            Device of the computation.

        Returns
        -------
        ndarray of shape (n, n_draws, dT)
            Teacher features.
        """
        model = copy.deepcopy(self.diffusion).to(device, torch.float64)
        encoder = copy.deepcopy(self.encoder).to(device, torch.float64)
        settings = self.diffusion.settings
        n_tokens = settings["n_features"] // settings["token_width"]
        size = self.n_draws * max(n_tokens * settings["hidden"], len(self.encoder.m))
        step = max(MAX_NUMBERS // size, 1)
        parts = []
        known = z_short if self.condition == "features" else logits
        with torch.inference_mode():
            for start in range(0, len(known), step):
                z = torch.from_numpy(known[start : start + step]).to(device, torch.float64)
                if self.condition == "predictions":
                    z = as_condition(torch.softmax(z, -1))
                # A new source for each part, so that a series has the same noise in any place.
                noise = SharedNoise(self.seed, self.n_draws)
                codes = model.draw(z, noise, self.n_steps, self.guidance)
                parts.append(encoder.decode(codes).transpose(0, 1).cpu().numpy())
        return np.concatenate(parts)

    def probabilities(
        self, z_short: NDArray[Any], logits: NDArray[Any], device: torch.device
    ) -> Doubles:
        """Return the mean class probabilities of the draws, mixed with the student's own.

        Parameters
        ----------
        z_short : ndarray of shape (n, dS)
            Student features.
        logits : ndarray of shape (n, n_classes)
            Student logits.
        device : torch.device
            Device of the draws.

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        own = torch.softmax(torch.from_numpy(logits).double(), -1)
        if self.student_share == 1:
            return own.numpy()
        features = self.draw(z_short, logits, device)
        with torch.inference_mode():
            drawn = torch.softmax(self.head(torch.from_numpy(features)), -1).mean(1)
            mean = torch.lerp(drawn, own, self.student_share)
            return (mean / mean.sum(1, keepdim=True)).numpy()


class Generating(Protocol):
    """Distillation whose generator :func:`train_generator` can train."""

    distiller: Any
    diffusion: ConditionalDiffusion

    def loss(self, condition: Tensor, batch: Batch, generator: torch.Generator) -> Tensor: ...
    def train(self, mode: bool = True) -> Any: ...


class GeneratorObjective(Objective):
    """Objective of a generator's loss on student outputs that no longer change."""

    def __init__(self, distillation: Any) -> None:
        super().__init__()
        self.settings = distillation.distiller.get_params()
        self._distillation = [
            distillation
        ]  # in a list, so that its parameters are not registered twice

    def phase(self, step: Step) -> Hashable | None:
        return self._distillation[0].phase(step)

    def terms(self, module: nn.Module, batch: Batch, step: Step) -> Terms:
        (distillation,) = self._distillation
        return {"gendd": distillation.loss(batch["condition"], batch, step.generator)}


def finish_generator(
    distillation: Generating, student: SeriesNet, max_epochs: int | str, context: PredictorContext
) -> History:
    """Train a generator after the training of its student.

    With ``condition="features"``, the generator's training continues on the features of the
    trained student. With ``"predictions"`` it starts, on left-out predictions. The student is
    overconfident on its own training series, and a generator would learn to trust it.

    Parameters
    ----------
    distillation : GenDDDistillation
        Distillation of the student. Its generator is trained in place.
    student : SeriesNet
        Student with its final weights.
    max_epochs : int or "auto"
        Number of epochs. "auto" makes about 500 steps, but at least 20 epochs.
    context : PredictorContext
        Rows, configuration, seeds and progress bar.

    Returns
    -------
    History
        Loss terms by epoch.
    """
    rows = context.rows
    names = ("teacher_features", "y", "target", "target_weight")
    kept = {name: rows.tensors[name] for name in names if name in rows.tensors}
    if distillation.distiller.options.condition == "features":
        rate = context.config.rate
        kept["condition"] = own_outputs(student, rows).features
    else:
        rate = LEFT_OUT_LR
        left_out = torch.from_numpy(context.left_out()).to(kept["teacher_features"])
        kept |= {"left_out": left_out, "condition": as_condition(left_out)}
    return train_generator(distillation, Rows(**kept), max_epochs, rate, context)


def train_generator(
    distillation: Generating,
    rows: Rows,
    max_epochs: int | str,
    rate: float,
    context: PredictorContext,
    visit: Callable[[nn.Module], None] | None = None,
    visited_shares: Sequence[float] = (),
) -> History:
    """Train a generator on pairs of condition and teacher feature.

    Parameters
    ----------
    distillation : GenDDDistillation
        Distillation whose generator is trained in place.
    rows : Rows
        Rows with ``condition (n, n_condition)`` and what the loss of the distillation reads.
    max_epochs : int or "auto"
        As in :func:`finish_generator`.
    rate : float
        Learning rate.
    context : PredictorContext
        Configuration, seeds and progress bar; its rows are not used.
    visit : callable, optional
        Function that receives the generator after some epochs; see
        :func:`~skgdpd.training.train`.
    visited_shares : sequence of float, default=()
        Shares of the training, in ascending order, after which it is called.

    Returns
    -------
    History
        Loss terms by epoch.
    """
    n = len(rows)
    batch_size = max(resolve_batch_size("auto", n), min(n // 2, MAX_BATCH), 1)
    max_epochs = resolve_epochs(
        max_epochs, n, batch_size, n_steps=AUTO_STEPS, at_least=AUTO_MIN_EPOCHS
    )
    # The state of the modules is part of a checkpoint's fingerprint.
    distillation.train()
    config = TrainingConfig(
        max_epochs=max_epochs,
        batch_size=batch_size,
        lr=rate,
        weight_decay=context.config.weight_decay,
        lr_schedule="cosine",
        averaging_epochs=0.1 * max_epochs,
    )
    with isolated_random_state(context.seeds("generator training"), rows.device):
        return train(
            distillation.diffusion,
            GeneratorObjective(distillation),
            rows,
            config,
            shuffle_seed=context.seeds("generator shuffle"),
            noise_seed=context.seeds("generator noise"),
            progress=context.progress,
            progress_units=context.units / max_epochs,
            role="generator",
            checkpoints=context.checkpoints,
            visit=visit,
            visited_epochs=[max(round(share * max_epochs), 1) for share in visited_shares],
        )

"""Generators of teacher features from student features, and predictions from them."""

from __future__ import annotations

import copy
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Protocol

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

Doubles = NDArray[np.float64]

AUTO_STEPS = 500
AUTO_MIN_EPOCHS = 20
MAX_BATCH = 64

CHUNK = 1024
"""Number of series whose features are computed at once. It bounds the memory."""

MAX_NUMBERS = 2**22
"""Largest size of an activation of the network in a draw. It bounds the memory."""


class SharedNoise(NoiseSource):
    """Source of noise that is equal for every series, device and batch.

    Parameters
    ----------
    seed : int
        Seed of the noise.
    n_draws : int
        Number of chains for each series.
    """

    def __init__(self, seed: int, n_draws: int) -> None:
        super().__init__(torch.Generator().manual_seed(seed), n_draws, shared=True)

    def normal(self, x: Tensor, width: int | None = None) -> Tensor:
        shape = self._shape(len(x), x.shape[1] if width is None else width)
        noise = torch.randn(shape, dtype=torch.float64, generator=self.generator)
        return self._spread(noise.to(x), len(x))


@dataclass(frozen=True)
class FeatureGenerator:
    """Predictor that draws teacher features and classifies them.

    Attributes
    ----------
    diffusion : ConditionalDiffusion
        Generator of codes of teacher features, given student features.
    encoder : AffineEncoder
        Map between teacher features and codes.
    head : torch.nn.Linear
        Linear layer from teacher features to logits.
    seed : int
        Seed of the draws, so that a series has the same draws in each call.
    n_draws : int
        Number of features drawn for each series.
    n_steps : int
        Number of noise levels on the way to a draw.
    guidance : float
        Factor of the condition's contribution to a draw.
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
    history: History

    def draw(self, z_short: Doubles, device: torch.device) -> Doubles:
        """Draw teacher features for student features.

        Draws are made in double precision, since rounding errors grow on the way from noise to
        features, and they depend on the other series of a batch.

        Parameters
        ----------
        z_short : ndarray of shape (n, dS)
            Student features.
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
        with torch.inference_mode():
            for start in range(0, len(z_short), step):
                z = torch.from_numpy(z_short[start : start + step]).to(device)
                # A new source for each part, so that a series has the same noise in any place.
                noise = SharedNoise(self.seed, self.n_draws)
                codes = model.draw(z, noise, self.n_steps, self.guidance)
                parts.append(encoder.decode(codes).transpose(0, 1).cpu().numpy())
        return np.concatenate(parts)

    def probabilities(self, z_short: Doubles, device: torch.device) -> Doubles:
        """Return the mean class probabilities ``(n, n_classes)`` of the draws."""
        features = self.draw(z_short.astype(np.float64), device)
        with torch.inference_mode():
            logits = self.head(torch.from_numpy(features))
            mean = torch.softmax(logits, -1).mean(1)
            return (mean / mean.sum(1, keepdim=True)).numpy()


class Generating(Protocol):
    """Distillation whose generator :func:`finish_generator` can train."""

    distiller: Any
    diffusion: ConditionalDiffusion

    def loss(self, z_short: Tensor, batch: Batch, generator: torch.Generator) -> Tensor: ...
    def train(self, mode: bool = True) -> Any: ...


class GeneratorObjective(Objective):
    """Objective of a generator's loss on student features that no longer change."""

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
        return {"gendd": distillation.loss(batch["z_short"], batch, step.generator)}


def finish_generator(
    distillation: Generating, student: SeriesNet, max_epochs: int | str, context: PredictorContext
) -> History:
    """Continue the training of a generator after its student's training is over.

    Parameters
    ----------
    distillation : GenDDDistillation
        Distillation that was trained with the student. Its generator is trained in place.
    student : SeriesNet
        Student with its final weights.
    max_epochs : int or "auto"
        Number of epochs. "auto" is as many as make 500 steps, but 20 at least.
    context : PredictorContext
        Rows, configuration, seeds and progress bar.

    Returns
    -------
    History
        Loss terms by epoch.
    """
    rows = context.rows
    n = len(rows)
    batch_size = max(resolve_batch_size("auto", n), min(n // 2, MAX_BATCH), 1)
    max_epochs = resolve_epochs(
        max_epochs, n, batch_size, n_steps=AUTO_STEPS, at_least=AUTO_MIN_EPOCHS
    )
    kept = {
        k: rows.tensors[k] for k in ("teacher_features", "y", "target_weight") if k in rows.tensors
    }
    # The state of the modules is part of a checkpoint's fingerprint.
    distillation.train()
    student.eval()
    with torch.no_grad():
        parts = [
            student.read(rows.select(index)).features
            for index in torch.arange(n, device=rows.device).split(CHUNK)
        ]
    config = TrainingConfig(
        max_epochs=max_epochs,
        batch_size=batch_size,
        lr=context.config.rate,
        weight_decay=context.config.weight_decay,
        lr_schedule="cosine",
        averaging_epochs=0.1 * max_epochs,
    )
    with isolated_random_state(context.seeds("generator training"), rows.device):
        return train(
            distillation.diffusion,
            GeneratorObjective(distillation),
            Rows(z_short=torch.cat(parts), **kept),
            config,
            shuffle_seed=context.seeds("generator shuffle"),
            noise_seed=context.seeds("generator noise"),
            progress=context.progress,
            progress_units=context.units / max_epochs,
            role="generator",
            checkpoints=context.checkpoints,
        )

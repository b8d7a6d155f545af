"""Teacher features generated from student features, and what the teacher makes of them."""

from __future__ import annotations

import copy
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .diffusion import AffineCode, ConditionalDiffusion
from .diffusion.sampler import NoiseSource
from .distillers.gendd import GenDDDistillation
from .nets.student import StudentNet
from .training import (
    Batch,
    Checkpoints,
    History,
    Objective,
    Progress,
    Rows,
    Step,
    Terms,
    TrainingConfig,
    resolve_batch_size,
    resolve_epochs,
    train,
)

Doubles = NDArray[np.float64]

AUTO_STEPS = 500
AUTO_MIN_EPOCHS = 20
MAX_BATCH = 64

CHUNK = 1024
"""Series whose features are computed at once; bounds the memory."""

MAX_NUMBERS = 2**22
"""Numbers in one of the network's activations, while drawing."""


class SharedNoise(NoiseSource):
    """The same noise for every series, and on every device, whatever else is in the batch.

    Parameters
    ----------
    seed : int
        Where it begins.
    n_draws : int
        Chains for each series.
    """

    def __init__(self, seed: int, n_draws: int) -> None:
        super().__init__(torch.Generator().manual_seed(seed), n_draws, shared=True)

    def normal(self, x: Tensor, width: int | None = None) -> Tensor:
        shape = self._shape(len(x), x.shape[1] if width is None else width)
        noise = torch.randn(shape, dtype=torch.float64, generator=self.generator)
        return self._spread(noise.to(x), len(x))


@dataclass
class FeatureGenerator:
    """What predictions from generated features need besides the student.

    Attributes
    ----------
    diffusion : ConditionalDiffusion
        From student features to codes of teacher features.
    code : AffineCode
        From codes to teacher features.
    head : torch.nn.Linear
        From teacher features to logits.
    seed : int
        Of the draws.
    """

    diffusion: ConditionalDiffusion
    code: AffineCode
    head: nn.Linear
    seed: int

    def draw(
        self,
        z_short: Doubles,
        n_draws: int,
        n_steps: int,
        guidance: float,
        device: torch.device,
    ) -> Doubles:
        """Teacher features ``(n, n_draws, dT)`` of student features ``(n, dS)``.

        In double precision: rounding errors, which depend on the other series of a batch, grow
        on the way from noise to features.
        """
        model = copy.deepcopy(self.diffusion).to(device, torch.float64)
        code = copy.deepcopy(self.code).to(device, torch.float64)
        settings = self.diffusion.settings
        n_tokens = settings["n_features"] // settings["token_width"]
        size = n_draws * max(n_tokens * settings["hidden"], len(self.code.m))
        step = max(MAX_NUMBERS // size, 1)
        parts = []
        with torch.inference_mode():
            for start in range(0, len(z_short), step):
                z = torch.from_numpy(z_short[start : start + step]).to(device)
                # From the start again: a series gets the same noise wherever it stands.
                codes = model.draw(z, SharedNoise(self.seed, n_draws), n_steps, guidance)
                parts.append(code.decode(codes).transpose(0, 1).cpu().numpy())
        return np.concatenate(parts)

    def probabilities(
        self,
        z_short: Doubles,
        n_draws: int,
        n_steps: int,
        guidance: float,
        device: torch.device,
    ) -> Doubles:
        """Mean class probabilities ``(n, n_classes)`` of the draws."""
        features = self.draw(z_short, n_draws, n_steps, guidance, device)
        with torch.inference_mode():
            logits = self.head(torch.from_numpy(features))
            mean = torch.softmax(logits, -1).mean(1)
            return (mean / mean.sum(1, keepdim=True)).numpy()


class GeneratorObjective(Objective):
    """The distillation's loss on student features that no longer change."""

    def __init__(self, distillation: GenDDDistillation) -> None:
        super().__init__()
        self.settings = distillation.distiller.get_params()
        self._distillation = [distillation]  # in a list: its parameters are the module's

    def phase(self, step: Step) -> Hashable | None:
        return self._distillation[0].phase(step)

    def terms(self, module: nn.Module, batch: Batch, step: Step) -> Terms:
        (distillation,) = self._distillation
        return {"gendd": distillation.loss(batch["z_short"], batch, step.generator)}


def finish_generator(
    distillation: GenDDDistillation,
    student: StudentNet,
    rows: Rows,
    max_epochs: int | str,
    lr: float,
    weight_decay: float,
    seeds: tuple[int, int],
    progress: Progress,
    progress_units: float,
    checkpoints: Checkpoints | None,
) -> History:
    """Go on training a generator after its student's training is over.

    Parameters
    ----------
    distillation : GenDDDistillation
        Trained with the student, in place.
    student : StudentNet
        With the weights that predict.
    rows : Rows
        The student's training rows.
    max_epochs : int or "auto"
        How long; "auto" is 500 steps, but 20 epochs at least.
    lr, weight_decay : float
        Of AdamW; the rate falls along a cosine.
    seeds : tuple of int
        Of the order of rows, and of noise.
    progress : Progress
        Advanced by ``progress_units`` in all.
    progress_units : float
        By how much.
    checkpoints : Checkpoints or None
        Of the fit.
    """
    n = len(rows)
    batch_size = max(resolve_batch_size("auto", n), min(n // 2, MAX_BATCH), 1)
    max_epochs = resolve_epochs(
        max_epochs, n, batch_size, n_steps=AUTO_STEPS, at_least=AUTO_MIN_EPOCHS
    )
    kept = {
        k: rows.tensors[k] for k in ("teacher_features", "y", "target_weight") if k in rows.tensors
    }
    # Known states: a checkpoint is recognised by them, too.
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
        lr=lr,
        weight_decay=weight_decay,
        lr_schedule="cosine",
        averaging_epochs=0.1 * max_epochs,
    )
    return train(
        distillation.diffusion,
        GeneratorObjective(distillation),
        Rows(z_short=torch.cat(parts), **kept),
        config,
        shuffle_seed=seeds[0],
        noise_seed=seeds[1],
        progress=progress,
        progress_units=progress_units / max_epochs,
        checkpoints=checkpoints,
    )

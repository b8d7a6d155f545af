"""Distillers that guess the teacher's features from the student's."""

from __future__ import annotations

import math
from collections.abc import Hashable
from numbers import Integral, Real

import torch
import torch.nn.functional as F
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn

from ..nets.student import StudentNet, StudentOutput
from ..training import Batch, Step, Terms
from .base import Distillation, Distiller, Lesson
from .rows import mean_over_rows


class FitNetsDistillation(Distillation):
    """See :class:`FitNets`."""

    def __init__(
        self, lambda_kd: float, first_stage_epochs: int, n_student: int, n_teacher: int
    ) -> None:
        super().__init__()
        self.lambda_kd = lambda_kd
        self.warmup_epochs = first_stage_epochs
        self.regressor = nn.Linear(n_student, n_teacher, bias=False)

    def phase(self, step: Step) -> Hashable:
        return step.epoch < self.warmup_epochs

    def label_weight(self, step: Step) -> float:
        return 0.0 if step.epoch < self.warmup_epochs else 1.0

    def terms(self, student: StudentNet, output: StudentOutput, batch: Batch, step: Step) -> Terms:
        if step.epoch >= self.warmup_epochs:
            return {}
        error = self.regressor(output.features) - batch["teacher_features"].detach()
        loss = mean_over_rows(error.square().mean(-1), batch.get("target_weight"))
        return {"fitnets": self.lambda_kd * loss}


class FitNets(Distiller):
    """Hints: first learn to predict the teacher's features, then the labels.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the squared error in the first stage.
    first_stage : float, default=0.5
        Share of the epochs that the first stage takes; the labels are off in it.

    References
    ----------
    A. Romero et al., "FitNets: hints for thin deep nets", arXiv 1412.6550.
    """

    _parameter_constraints = {
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "first_stage": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(self, lambda_kd: float = 1.0, first_stage: float = 0.5) -> None:
        self.lambda_kd = lambda_kd
        self.first_stage = first_stage

    def prepare(self, lesson: Lesson) -> FitNetsDistillation:
        return FitNetsDistillation(
            self.lambda_kd,
            min(round(self.first_stage * lesson.max_epochs), lesson.max_epochs - 1),
            lesson.n_student_features,
            lesson.rows.tensors["teacher_features"].shape[1],
        )


def gaussian_loss(
    guess: Tensor, target: Tensor, variance: Tensor, weight: Tensor | None = None
) -> Tensor:
    """Negative Gaussian log-likelihood, less its constant, mean over rows and channels.

    Parameters
    ----------
    guess, target : Tensor of shape (n, d)
        Means, and what was seen; the latter is constant.
    variance : Tensor of shape (d,)
        Of each channel.
    weight : Tensor of shape (n,), optional
        Weight of each row.
    """
    errors = (guess - target.detach()).square() / variance + variance.log()
    return mean_over_rows(errors.mean(-1) / 2, weight)


class VIDDistillation(Distillation):
    """See :class:`VID`."""

    def __init__(
        self, lambda_kd: float, initial_variance: float, n_student: int, n_hidden: int, n_out: int
    ) -> None:
        super().__init__()
        self.lambda_kd = lambda_kd
        self.regressor = nn.Sequential(
            nn.Linear(n_student, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_out)
        )
        inverse_softplus = initial_variance + math.log(-math.expm1(-initial_variance))
        self.raw_variance = nn.Parameter(torch.full((n_out,), inverse_softplus))

    def phase(self, step: Step) -> Hashable:
        return ()

    def terms(self, student: StudentNet, output: StudentOutput, batch: Batch, step: Step) -> Terms:
        if not self.lambda_kd:
            return {}
        loss = gaussian_loss(
            self.regressor(output.features),
            batch["teacher_features"],
            # A channel that can be guessed exactly would have no smallest loss.
            F.softplus(self.raw_variance) + 1e-5,
            batch.get("target_weight"),
        )
        return {"vid": self.lambda_kd * loss}


class VID(Distiller):
    """Variational information distillation: guess the teacher's features, and how well each goes.

    The likelihood of the teacher's features, given the student's, bounds the information that
    they share. Channels that a prefix does not determine get a large variance and stop to matter.
    The loss may be negative.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the term.
    initial_variance : float, default=5.0
        Of each channel before training; the value of the paper's program.
    n_hidden : int, default=128
        Width of the perceptron that guesses.

    References
    ----------
    S. Ahn et al., "Variational information distillation for knowledge transfer",
    arXiv 1904.05835.
    """

    _parameter_constraints = {
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "initial_variance": [Interval(Real, 0, None, closed="neither")],
        "n_hidden": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self, lambda_kd: float = 1.0, initial_variance: float = 5.0, n_hidden: int = 128
    ) -> None:
        self.lambda_kd = lambda_kd
        self.initial_variance = initial_variance
        self.n_hidden = n_hidden

    def prepare(self, lesson: Lesson) -> VIDDistillation:
        return VIDDistillation(
            self.lambda_kd,
            self.initial_variance,
            lesson.n_student_features,
            self.n_hidden,
            lesson.rows.tensors["teacher_features"].shape[1],
        )

"""Distillers that predict the teacher's features from the student's features."""

from __future__ import annotations

import math
from collections.abc import Hashable
from numbers import Integral, Real

import torch
import torch.nn.functional as F
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn

from ..nets.student import SeriesNet, SeriesOutput
from ..training import Batch, Step, Terms
from .base import Distillation, DistillationContext, Distiller
from .rows import mean_over_rows


class FitNetsDistillation(Distillation):
    """Distillation of :class:`FitNets`."""

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

    def terms(self, student: SeriesNet, output: SeriesOutput, batch: Batch, step: Step) -> Terms:
        if step.epoch >= self.warmup_epochs:
            return {}
        error = self.regressor(output.features) - batch["teacher_features"].detach()
        loss = mean_over_rows(error.square().mean(-1), batch.get("target_weight"))
        return {"fitnets": self.lambda_kd * loss}


class FitNets(Distiller):
    """Distillation in two stages: first the teacher's features, then the labels (FitNets).

    In the first stage, a linear map of the student's features predicts the teacher's features.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the squared error in the first stage.
    first_stage : float, default=0.5
        Share of the epochs in the first stage, in [0, 1). This stage does not use labels.

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

    def prepare(self, context: DistillationContext) -> FitNetsDistillation:
        return FitNetsDistillation(
            self.lambda_kd,
            min(round(self.first_stage * context.max_epochs), context.max_epochs - 1),
            context.n_student_features,
            context.rows.tensors["teacher_features"].shape[1],
        )


def gaussian_loss(
    guess: Tensor, target: Tensor, variance: Tensor, weight: Tensor | None = None
) -> Tensor:
    """Return the negative Gaussian log-likelihood, averaged over rows and channels.

    The constant ``log(2 pi) / 2`` is left out.

    Parameters
    ----------
    guess : Tensor of shape (n, d)
        Predicted means.
    target : Tensor of shape (n, d)
        Observed values; no gradient flows into them.
    variance : Tensor of shape (d,)
        Variance of each channel.
    weight : Tensor of shape (n,), optional
        Weight of each row; by default 1.

    Returns
    -------
    Tensor of shape ()
    """
    errors = (guess - target.detach()).square() / variance + variance.log()
    return mean_over_rows(errors.mean(-1) / 2, weight)


class VIDDistillation(Distillation):
    """Distillation of :class:`VID`."""

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

    def terms(self, student: SeriesNet, output: SeriesOutput, batch: Batch, step: Step) -> Terms:
        if not self.lambda_kd:
            return {}
        loss = gaussian_loss(
            self.regressor(output.features),
            batch["teacher_features"],
            # A lower bound of the variance bounds the loss of channels that are predicted exactly.
            F.softplus(self.raw_variance) + 1e-5,
            batch.get("target_weight"),
        )
        return {"vid": self.lambda_kd * loss}


class VID(Distiller):
    """Variational information distillation (VID), a Gaussian model of the teacher's features.

    A perceptron predicts the teacher's features from the student's features, with a learned
    variance for each channel. Up to a constant, the log-likelihood is a lower bound on the mutual
    information between the two. Channels that a prefix does not determine get a large variance,
    and thereby little weight. The loss may be negative.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the term.
    initial_variance : float, default=5.0
        Initial variance of each channel; the default is the value of the authors' program.
    n_hidden : int, default=128
        Width of the perceptron's hidden layer.

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

    def prepare(self, context: DistillationContext) -> VIDDistillation:
        return VIDDistillation(
            self.lambda_kd,
            self.initial_variance,
            context.n_student_features,
            self.n_hidden,
            context.rows.tensors["teacher_features"].shape[1],
        )

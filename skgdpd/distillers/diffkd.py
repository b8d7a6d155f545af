"""DiffKD: distillation by the squared error of denoised student features."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import torch
from sklearn.utils._param_validation import HasMethods, Interval
from torch import Tensor

from ..nets.student import SeriesNet
from ..training import Batch
from .base import DistillationContext
from .gdpd import GDPD, GDPDDistillation
from .rows import mean_over_rows


class DiffKDDistillation(GDPDDistillation):
    """Distillation of :class:`DiffKD`."""

    name = "diffkd"

    codes: Tensor

    def _prepare_comparison(self, codes: Tensor, n_student_features: int) -> None:
        """Do nothing: :meth:`DiffKD.prepare` adds the codes of all rows."""

    def compare(self, student: SeriesNet, draws: Tensor, batch: Batch) -> Tensor:
        errors = (draws - self._codes_of(batch)).square().mean((0, 2))
        return mean_over_rows(errors, batch.get("target_weight"))

    def _codes_of(self, batch: Batch) -> Tensor:
        """Return the codes ``(n, d)`` of the teacher's features of a batch."""
        if self.calibrating:
            return self.codes[batch["index"]]
        return torch.as_tensor(self.prior.encode(batch["teacher_features"].cpu())).to(self.codes)


class DiffKD(GDPD):
    """Distillation by the squared error between restored student features and teacher features.

    The diffusion prior restores student features as in :class:`~skgdpd.distillers.GDPD`. The
    restored features are then compared with the teacher's encoded features of the same series,
    instead of being classified. If several teacher features agree with a prefix, the squared
    error is smallest at their mean.

    Parameters
    ----------
    prior : DiffusionFeaturePrior
        Unfitted prior. A clone of it is fitted on the teacher's features.
    lambda_kd : float, default=1.0
        Weight of the term. Encoded features have about unit variance, so the squared error starts
        between about 1 and 2.
    warmup_epochs : int or float, default=0
        Number of epochs on labels alone. A float in (0, 1) is a share of all epochs. The default
        is no warm-up, as in the paper.
    n_posterior_samples : int, default=1
        Number of posterior draws per series and step.
    recalibrate_every : int, default=5
        Number of epochs between two estimates of the measurement model, for degradations that
        have one.

    References
    ----------
    T. Huang et al., "Knowledge diffusion for distillation", arXiv 2305.15712.
    """

    distillation_class = DiffKDDistillation

    _parameter_constraints = {
        "prior": [HasMethods(["fit", "encode"])],
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "warmup_epochs": [
            Interval(Integral, 0, None, closed="left"),
            Interval(Real, 0, 1, closed="neither"),
        ],
        "n_posterior_samples": [Interval(Integral, 1, None, closed="left")],
        "recalibrate_every": [Interval(Integral, 1, None, closed="left")],
    }

    # The prior defines the coordinates of the error, so it stays as fitted.
    prior_trainable = False
    hinton_weight = 0.0
    hinton_temperature = 2.0

    def __init__(
        self,
        prior: Any,
        lambda_kd: float = 1.0,
        warmup_epochs: float = 0,
        n_posterior_samples: int = 1,
        recalibrate_every: int = 5,
    ) -> None:
        self.prior = prior
        self.lambda_kd = lambda_kd
        self.warmup_epochs = warmup_epochs
        self.n_posterior_samples = n_posterior_samples
        self.recalibrate_every = recalibrate_every

    def prepare(self, context: DistillationContext) -> GDPDDistillation:
        """Fit the prior as GDPD does, and encode the teacher's features of all rows."""
        distillation = super().prepare(context)
        features = context.rows.tensors["teacher_features"]
        codes = torch.as_tensor(distillation.prior.encode(features.cpu())).to(features)
        distillation.register_buffer("codes", codes)
        return distillation

"""Common parts of losses over the rows of a batch: weights, targets, divergences, base class."""

from __future__ import annotations

import math
from collections.abc import Hashable
from numbers import Real
from typing import Literal

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor

from ..nets.student import SeriesNet, SeriesOutput
from ..training import Batch, Step, Terms
from ..training.graphs import is_trusted
from .base import Distillation, DistillationContext, Distiller
from .time_steps import TeacherMaps

DivergenceName = Literal["forward", "reverse", "js", "skewed", "skewed-reverse"]

HIGHEST_TEMPERATURE = 1e3
"""Highest temperature. Softened probabilities differ by less than the rounding errors of single
precision at higher ones."""

TEMPERATURE_RANGE = [Interval(Real, 1e-3, HIGHEST_TEMPERATURE, closed="both")]
"""Constraint of temperatures."""

TINY = 1e-12
"""Lower bound of divisors; smaller values are rounding errors."""


def mean_over_rows(losses: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the mean of ``losses (n,)`` times weights; the divisor is n."""
    return losses.mean() if weight is None else (losses * weight).mean()


def mean_weight(weight: Tensor | None) -> Tensor | float:
    """Return the mean weight of a batch's rows, for losses that are not means over rows."""
    return 1.0 if weight is None else weight.mean()


def row_shares(n: int, weight: Tensor | None, like: Tensor) -> Tensor:
    """Return the weights of ``n`` rows, scaled to sum to 1; all-zero weights stay 0."""
    if weight is None:
        return torch.full((n,), 1 / n, dtype=like.dtype, device=like.device)
    return weight / weight.sum().clamp(min=TINY)


def known_classes(batch: Batch) -> Tensor:
    """Return class numbers ``(n,)``: labels, or the teacher's predictions for unlabelled rows."""
    y = batch["y"]
    return torch.where(y >= 0, y, batch["teacher_logits"].argmax(-1))


def known_targets(batch: Batch) -> Tensor:
    """Return targets ``(n, n_classes)``: one-hot labels, or the teacher's probabilities."""
    if "target" in batch:
        return batch["target"]
    logits = batch["teacher_logits"]
    y = batch["y"][:, None]
    one_hot = (y == torch.arange(logits.shape[1], device=y.device)).to(logits)
    return torch.where(y >= 0, one_hot, torch.softmax(logits.detach(), -1))


def of_part(batch: Batch, name: str) -> Batch:
    """Return a batch whose series are replaced by one of their ``longer_parts``."""
    changed = {**batch, "x": batch[f"x_{name}"]}
    if f"lengths_{name}" in batch:
        changed["lengths"] = batch[f"lengths_{name}"]
    return changed


def kl_divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return ``KL(p || q)`` of log-probabilities along the last dimension, with 0 log 0 = 0."""
    p = log_p.exp()
    return torch.where(p > 0, p * (log_p - log_q), 0.0).sum(-1)


def mixture(log_p: Tensor, log_q: Tensor, share: float) -> Tensor:
    """Return the log-probabilities of ``(1 - share) p + share q``, for a share in (0, 1)."""
    parts = torch.stack([log_p + math.log1p(-share), log_q + math.log(share)])
    return torch.logsumexp(parts, 0)


def skewed_divergence(log_p: Tensor, log_q: Tensor, skew: float) -> Tensor:
    """Return ``KL(p || (1 - skew) p + skew q)``; a skew of 1 is the plain ``KL(p || q)``."""
    return kl_divergence(log_p, log_q if skew == 1 else mixture(log_p, log_q, skew))


def divergence(
    log_p: Tensor, log_q: Tensor, name: DivergenceName = "forward", skew: float = 1.0
) -> Tensor:
    """Return the divergence between the teacher's probabilities p and the student's q.

    Parameters
    ----------
    log_p, log_q : Tensor of shape (..., n_classes)
        Log-probabilities.
    name : {"forward", "reverse", "js", "skewed", "skewed-reverse"}, default="forward"
        Type of the divergence. ``"forward"`` is ``KL(p || q)``, which is large where q is small
        and p is not. ``"reverse"`` is ``KL(q || p)``, which is large where p is small and q is
        not. ``"js"`` is the Jensen-Shannon divergence: the mean divergence of the two
        distributions from their mixture, which is at most log 2. With the skew a, ``"skewed"`` is
        ``KL(p || (1 - a) p + a q)``, and ``"skewed-reverse"`` is ``KL(q || (1 - a) q + a p)``.
        Both are at most ``-log(1 - a)``.
    skew : float, default=1.0
        Weight a of the other distribution in the mixture, in (0, 1]; 1 gives the unskewed
        divergence. Only the skewed divergences depend on it.

    Returns
    -------
    Tensor of shape (...)
    """
    if name == "forward":
        return kl_divergence(log_p, log_q)
    if name == "reverse":
        return kl_divergence(log_q, log_p)
    if name == "skewed":
        return skewed_divergence(log_p, log_q, skew)
    if name == "skewed-reverse":
        return skewed_divergence(log_q, log_p, skew)
    middle = torch.logsumexp(torch.stack([log_p, log_q]), 0) - math.log(2.0)
    return (kl_divergence(log_p, middle) + kl_divergence(log_q, middle)) / 2


def unit(x: Tensor, dim: int = -1, scale: Tensor | float = 1.0) -> Tensor:
    """Scale vectors to length 1; zero vectors stay zero and get no gradient.

    Parameters
    ----------
    x : Tensor
        Vectors along ``dim``.
    dim : int, default=-1
        Dimension of the vectors.
    scale : Tensor or float, default=1.0
        Squared size of the numbers whose difference is ``x``. A vector that is smaller than their
        rounding errors is treated as zero.

    Returns
    -------
    Tensor
        Scaled vectors, of the shape of ``x``.
    """
    squares = x.square().sum(dim, keepdim=True)
    precision = torch.finfo(x.dtype).eps ** 2
    there = squares > 100 * precision * scale + TINY**2
    return torch.where(there, x / torch.where(there, squares, 1.0).sqrt(), 0.0)


class RowLoss(Distillation):
    """Distillation of a :class:`RowDistiller`: a single loss term without parameters.

    Parameters
    ----------
    distiller : RowDistiller
        Distiller that defines the loss.
    """

    def __init__(self, distiller: RowDistiller) -> None:
        super().__init__()
        self.distiller = distiller
        self.compares_maps = distiller.compares_maps

    def constants_of_maps(self, maps: TeacherMaps) -> dict[str, Tensor]:
        return self.distiller.constants_of_maps(maps)

    def phase(self, step: Step) -> Hashable | None:
        # A distiller holds parameters only, so its loss depends on the batch alone.
        return () if is_trusted(self.distiller) else None

    def label_weight(self, step: Step) -> float:
        return self.distiller.label_share

    def terms(self, student: SeriesNet, output: SeriesOutput, batch: Batch, step: Step) -> Terms:
        weight = self.distiller.term_weight
        if not weight:
            return {}
        return {type(self.distiller).__name__.lower(): weight * self._loss(output, batch)}

    def _loss(self, output: SeriesOutput, batch: Batch) -> Tensor:
        """Return the distiller's loss; errors name the ``loss`` of a user's own distiller."""
        name = f"{type(self.distiller).__name__}.loss"
        try:
            loss = self.distiller.loss(output, batch)
        except KeyError as error:
            if error.args and error.args[0] in batch:
                raise
            raise KeyError(f"{name} asks for {error}; the batch has {sorted(batch)}") from error
        if not isinstance(loss, Tensor) or loss.ndim:
            found = tuple(loss.shape) if isinstance(loss, Tensor) else loss
            raise ValueError(
                f"{name} returned {found!r}; it must return a tensor of shape (), such as "
                f"mean_over_rows(losses, batch.get('target_weight'))"
            )
        return loss


class RowDistiller(Distiller):
    """Base class of distillers with a single loss term; a subclass defines only ``loss``."""

    lambda_kd: float

    @property
    def label_share(self) -> float:
        """Weight of the cross-entropy against the labels."""
        return 1.0

    @property
    def term_weight(self) -> float:
        """Weight of the loss."""
        return self.lambda_kd

    def loss(self, output: SeriesOutput, batch: Batch) -> Tensor:
        """Return the loss of a batch, without the factor ``lambda_kd``.

        Parameters
        ----------
        output : SeriesOutput
            Output of the student for the batch.
        batch : Batch
            Batch with the teacher outputs; no gradient may flow into them.

        Returns
        -------
        Tensor of shape ()
        """
        raise NotImplementedError

    def prepare(self, context: DistillationContext) -> Distillation:
        return RowLoss(self)

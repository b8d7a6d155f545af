"""Distiller that wraps another one and weights series by their influence on other labels.

The influence function of a fitted model gives, to first order, the change of a loss on other data
when one series gets more weight in the fit. Here the model is the student's last layer, on fixed
features.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor

from ..nets.heads import LinearHead
from ..nets.student import SeriesNet, SeriesOutput
from ..training import Batch, Rows, Step
from .around import AroundDistiller, WeighingDistillation
from .base import Distillation, DistillationContext, Distiller
from .own_outputs import own_outputs
from .rows import TINY

TOLERANCE = 1e-8
"""Size of the residual at which a linear system is solved, relative to its right side."""
MAX_ITERATIONS = 1000
"""Largest number of conjugate-gradient steps."""


def conjugate_gradients(product: Callable[[Tensor], Tensor], right: Tensor) -> Tensor:
    """Return the solution x of ``product(x) = right``.

    Parameters
    ----------
    product : callable
        Product with a symmetric positive definite matrix.
    right : Tensor
        Right side, of any shape.

    Returns
    -------
    Tensor
        Solution, of the shape of ``right``.
    """
    x = torch.zeros_like(right)
    residual, direction = right.clone(), right.clone()
    square = residual.square().sum()
    enough = TOLERANCE**2 * square
    for _ in range(MAX_ITERATIONS):
        if square <= enough:
            break
        image = product(direction)
        length = square / (direction * image).sum()
        x = x + length * direction
        residual = residual - length * image
        before, square = square, residual.square().sum()
        direction = residual + square / before * direction
    return x


def mean_curvature(inputs: Tensor, p: Tensor, vector: Tensor) -> Tensor:
    """Return the product of a vector with the Hessian of the mean cross-entropy.

    Parameters
    ----------
    inputs : Tensor of shape (n, d)
        Inputs of the linear layer.
    p : Tensor of shape (n, n_classes)
        Probabilities of the layer's softmax.
    vector : Tensor of shape (d, n_classes)
        Vector, in the layout of the layer's weights.

    Returns
    -------
    Tensor of shape (d, n_classes)
        ``mean_i x_i ((diag p_i - p_i p_iᵀ) vectorᵀ x_i)ᵀ``.
    """
    moved = inputs @ vector
    moved = p * (moved - (p * moved).sum(1, keepdim=True))
    return inputs.T @ moved / len(inputs)


def influences(
    inputs: Tensor, p: Tensor, targets: Tensor, judgement: Tensor, penalty: float
) -> Tensor:
    """Return the influence of each row's targets on a loss, ``-gᵀ H⁻¹ g_i``.

    The model is a linear layer with a softmax, fitted by the mean cross-entropy and a ridge
    penalty ``penalty / 2 |W|²``. The influence of a row is the derivative of the other loss with
    respect to the row's weight, times the number of rows.

    Parameters
    ----------
    inputs : Tensor of shape (n, d)
        Inputs of the layer, with a column of ones for its intercept.
    p : Tensor of shape (n, n_classes)
        Fitted probabilities.
    targets : Tensor of shape (n, n_classes)
        Target probabilities of the rows.
    judgement : Tensor of shape (d, n_classes)
        Gradient g of the other loss with respect to the layer's weights.
    penalty : float
        Factor of the ridge penalty, above 0. It is added to the diagonal of the Hessian H.

    Returns
    -------
    Tensor of shape (n,)
        Influences. If one is negative, more weight on its row lowers the other loss.

    References
    ----------
    P. W. Koh, P. Liang, "Understanding black-box predictions via influence functions",
    arXiv 1703.04730.
    """
    solution = conjugate_gradients(lambda x: mean_curvature(inputs, p, x) + penalty * x, judgement)
    return -((p - targets) * (inputs @ solution)).sum(1)


def weights_of_influences(influence: Tensor, strength: float) -> Tensor:
    """Return weights ``max(0, 1 - strength * I / std(I))``, divided by their mean.

    Parameters
    ----------
    influence : Tensor of shape (n,)
        Influences I.
    strength : float
        Factor of the influence.

    Returns
    -------
    Tensor of shape (n,)
        Weights. All are 1 if the influences are equal, and all are 0 if no numerator is above 0.
    """
    spread = influence.std(correction=0)
    if spread <= TINY * influence.abs().max():
        return torch.ones_like(influence)
    weights = (1 - strength * influence / spread).clamp(min=0)
    return weights / weights.mean().clamp(min=TINY)


def split_in_halves(y: Tensor, seed: int) -> Tensor:
    """Return the half of each row, 0 or 1, ``(n,)``; each class is split evenly."""
    numbers = y.cpu().numpy()
    draws = np.random.default_rng(seed).permutation(len(numbers))
    half = np.empty(len(numbers), dtype=np.int64)
    half[np.lexsort((draws, numbers))] = np.arange(len(numbers)) % 2
    return torch.as_tensor(half, device=y.device)


class InfluenceDistillation(WeighingDistillation):
    """Distillation of :class:`InfluenceWeights`."""

    halves: Tensor
    weights: Tensor

    def __init__(
        self, inner: Distillation, distiller: InfluenceWeights, context: DistillationContext
    ) -> None:
        super().__init__(inner, distiller.lambda_kd, "influenceweights")
        self.distiller = distiller
        tensors = context.rows.tensors
        self.register_buffer("halves", split_in_halves(tensors["y"], context.seed))
        self.register_buffer("weights", tensors["teacher_logits"].new_ones(len(context.rows)))

    def start_epoch(self, student: SeriesNet, rows: Rows, step: Step) -> None:
        super().start_epoch(student, rows, step)
        since = step.epoch - self.warmup_epochs
        if self.calibrating and since > 0 and since % self.distiller.refresh_every == 0:
            influence = self.influence(own_outputs(student, rows), rows)
            weights = weights_of_influences(influence, self.distiller.strength)
            self.weights.copy_(weights)

    def influence(self, output: SeriesOutput, rows: Rows) -> Tensor:
        """Return each row's influence on the labels of the other half, ``(n,)``."""

        def read(x: Tensor) -> Tensor:
            return x.double().cpu()

        features, p = read(output.features), torch.softmax(read(output.logits), 1)
        targets = torch.softmax(read(rows.tensors["teacher_logits"]), 1)
        y, half = rows.tensors["y"].cpu(), self.halves.cpu()
        size = read(rows.tensors["weight"]) if "weight" in rows.tensors else (y >= 0).double()
        inputs = torch.cat([features, features.new_ones(len(features), 1)], 1)
        # The mean of the diagonal of the Hessian, so that the scale of features doesn't matter.
        spread = (p * (1 - p)).sum(1)
        diagonal = (inputs.square().sum(1) * spread).mean() / (inputs.shape[1] * p.shape[1])
        penalty = self.distiller.damping * max(float(diagonal), TINY)
        errors = p - (y[:, None] == torch.arange(p.shape[1])).double()
        found = torch.zeros_like(p[:, 0])
        for judged in (0, 1):
            judges = size * (half != judged)
            gradient = inputs.T @ (judges[:, None] * errors) / judges.sum().clamp(min=TINY)
            of_all = influences(inputs, p, targets, gradient, penalty)
            found = torch.where(half == judged, of_all, found)
        return found

    def row_weights(self, output: SeriesOutput, batch: Batch) -> Tensor:
        if not self.calibrating:  # A series in a later stream occurs only once.
            return torch.ones_like(output.logits[:, 0]).detach()
        return self.weights[batch["index"]]


class InfluenceWeights(AroundDistiller):
    """Weighting of any distiller's series by their influence on other series' labels (KD-AIF).

    The training series are split into two halves. The influence of a series is a change of the
    cross-entropy of the other half's labels, to first order. The change occurs when the student's
    last layer learns more from the teacher's probabilities for this series. With
    ``I = -gᵀ H⁻¹ g_i``, the weights in the wrapped distiller are proportional to
    ``max(0, 1 - strength I / std(I))``, and 1 on average. A series whose targets harm the other
    half gets little weight. The gradients are those of the last layer at temperature 1, whatever
    the wrapped distiller compares.

    The method uses training series only, and no validation series. If the student has memorised
    all labels, the influences carry little information. Weights are 1 until they are first
    computed, and for the series of a later stream. With several moments, the influences are those
    at the last moment.

    Parameters
    ----------
    distiller : Distiller, default=None
        Wrapped distiller; None is :class:`~skgdpd.distillers.Hinton`. It must keep the student's
        linear head. All distillers do, except :class:`~skgdpd.distillers.DHO` and
        :class:`~skgdpd.distillers.LELP`.
    lambda_kd : float, default=1.0
        Weight of the wrapped distiller's terms. It multiplies the distiller's own weight.
    strength : float, default=1.0
        Factor of the influence in units of its standard deviation. 0 gives all series the weight
        1. With the default, a series one standard deviation on the harmful side gets weight 0.
    refresh_every : int, default=5
        Number of epochs between two updates of the weights. Each update needs a prediction of all
        training series.
    damping : float, default=0.01
        Ridge penalty in the Hessian H, as a share of its mean diagonal. A larger value reduces
        the effect of directions in which few series vary.

    References
    ----------
    S. Wu et al., "Knowledge distillation with adapted weight" (KD-AIF), arXiv 2501.02705, which
    uses the labels of validation series.
    """

    _parameter_constraints = {
        "distiller": [Distiller, None],
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "strength": [Interval(Real, 0, None, closed="left")],
        "refresh_every": [Interval(Integral, 1, None, closed="left")],
        "damping": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        distiller: Distiller | None = None,
        lambda_kd: float = 1.0,
        strength: float = 1.0,
        refresh_every: int = 5,
        damping: float = 0.01,
    ) -> None:
        self.distiller = distiller
        self.lambda_kd = lambda_kd
        self.strength = strength
        self.refresh_every = refresh_every
        self.damping = damping

    def _validate_params(self) -> None:
        super()._validate_params()
        with torch.device("meta"):  # No numbers are drawn.
            head = self.make_head(1, 2)
        if not isinstance(head, LinearHead):
            raise ValueError(
                f"distiller={self.distiller!r} gives the student a {type(head).__name__}; "
                f"InfluenceWeights needs a distiller that leaves it one linear layer"
            )

    def prepare(self, context: DistillationContext) -> InfluenceDistillation:
        return InfluenceDistillation(self.prepare_inner(context), self, context)

"""Distillers that compare softened probabilities of student and teacher."""

from __future__ import annotations

import math
from numbers import Real
from typing import get_args

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from ..nets.student import SeriesOutput
from ..training import Batch
from .rows import (
    HIGHEST_TEMPERATURE,
    TEMPERATURE_RANGE,
    DivergenceName,
    RowDistiller,
    divergence,
    mean_over_rows,
)


def hinton_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    temperature: float | Tensor,
    weight: Tensor | None = None,
    divergence_name: DivergenceName = "forward",
    skew: float = 1.0,
) -> Tensor:
    """Return ``T² D(p_T, p_S)`` of softened probabilities, averaged over rows.

    Parameters
    ----------
    student_logits, teacher_logits : Tensor of shape (n, n_classes)
        Logits; no gradient flows into the teacher's.
    temperature : float or Tensor of shape (n,)
        Temperature T, by which all logits are divided; a tensor has one temperature per row.
    weight : Tensor of shape (n,), optional
        Weight of each row; by default 1.
    divergence_name : {"forward", "reverse", "js", "skewed", "skewed-reverse"}, default="forward"
        Divergence D; see :func:`~skgdpd.distillers.rows.divergence`.
    skew : float, default=1.0
        Skew of the skewed divergences, in (0, 1].

    Returns
    -------
    Tensor of shape ()

    References
    ----------
    G. Hinton, O. Vinyals, J. Dean, "Distilling the knowledge in a neural network",
    arXiv 1503.02531.
    """
    by_row = temperature[:, None] if isinstance(temperature, Tensor) else temperature
    teacher = torch.log_softmax(teacher_logits.detach() / by_row, -1)
    student = torch.log_softmax(student_logits / by_row, -1)
    losses = divergence(teacher, student, divergence_name, skew)
    return mean_over_rows(temperature**2 * losses, weight)


def entropy_share(logits: Tensor) -> Tensor:
    """Return the entropy of softmax(logits) as a share of its maximum, ``(n,)`` in [0, 1].

    Parameters
    ----------
    logits : Tensor of shape (n, n_classes)
        Logits.

    Returns
    -------
    Tensor of shape (n,)
        1 for uniform probabilities and 0 for certainty; 0 also if there is a single class.
    """
    entropy = torch.special.entr(torch.softmax(logits, -1)).sum(-1)
    return (entropy / math.log(max(logits.shape[-1], 2))).clamp(max=1.0)


def transformed_teacher_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    gamma: float,
    weight: Tensor | None = None,
    by_power_sum: bool = False,
) -> Tensor:
    """Return ``KL(q || p_S)`` with ``q`` proportional to ``p_T^gamma``, averaged over rows.

    Parameters
    ----------
    student_logits, teacher_logits : Tensor of shape (n, n_classes)
        Logits; no gradient flows into the teacher's.
    gamma : float
        Exponent, an inverse temperature of the teacher alone.
    weight : Tensor of shape (n,), optional
        Weight of each row; by default 1.
    by_power_sum : bool, default=False
        Whether each row is also weighted by the sum of its ``p_T^gamma``. The sum is 1 for a
        certain teacher and ``n_classes ** (1 - gamma)`` for uniform probabilities.

    Returns
    -------
    Tensor of shape ()

    References
    ----------
    K. Zheng, E.-H. Yang, "Knowledge distillation based on transformed teacher matching",
    arXiv 2402.11148.
    """
    teacher = gamma * torch.log_softmax(teacher_logits.detach(), -1)
    log_sum = torch.logsumexp(teacher, -1)
    losses = divergence(teacher - log_sum[:, None], torch.log_softmax(student_logits, -1))
    return mean_over_rows(losses * log_sum.exp() if by_power_sum else losses, weight)


class Hinton(RowDistiller):
    """Knowledge distillation with the teacher's softened probabilities as soft targets.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the term.
    temperature : float, default=4.0
        Temperature by which all logits are divided, from 0.001 to 1000. A higher temperature
        raises the probabilities of the wrong classes. 4 is the usual choice for teachers that are
        nearly always correct on their training series.
    divergence : {"forward", "reverse", "js", "skewed", "skewed-reverse"}, default="forward"
        Divergence between teacher and student. ``"forward"`` is ``KL(p_T || p_S)``, as in the
        paper, ``"reverse"`` is ``KL(p_S || p_T)``, and ``"js"`` is the Jensen-Shannon divergence.
        With the skew a, ``"skewed"`` is ``KL(p_T || (1 - a) p_T + a p_S)``, and
        ``"skewed-reverse"`` is ``KL(p_S || (1 - a) p_S + a p_T)``.
    skew : float, default=0.9
        Skew a of the two skewed divergences, in (0, 1]; the other divergences ignore it. 1 gives
        the unskewed divergence. A smaller skew lowers the bound of a series' loss, which is
        ``-T² log(1 - a)``. It also lowers the loss itself, near equality by the factor ``a²``. The
        default is the value of DistiLLM.

    References
    ----------
    G. Hinton, O. Vinyals, J. Dean, "Distilling the knowledge in a neural network",
    arXiv 1503.02531. Skewed divergences: J. Ko et al., "DistiLLM: towards streamlined
    distillation for large language models", arXiv 2402.03898.
    """

    _parameter_constraints = {
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "temperature": TEMPERATURE_RANGE,
        "divergence": [StrOptions(set(get_args(DivergenceName)))],
        "skew": [Interval(Real, 0, 1, closed="right")],
    }

    def __init__(
        self,
        lambda_kd: float = 1.0,
        temperature: float = 4.0,
        divergence: DivergenceName = "forward",
        skew: float = 0.9,
    ) -> None:
        self.lambda_kd = lambda_kd
        self.temperature = temperature
        self.divergence = divergence
        self.skew = skew

    def loss(self, output: SeriesOutput, batch: Batch) -> Tensor:
        return hinton_loss(
            output.logits,
            batch["teacher_logits"],
            self.temperature,
            batch.get("target_weight"),
            self.divergence,
            self.skew,
        )


class EntropyTemperature(RowDistiller):
    """Hinton's distillation with a temperature per series that follows the teacher's entropy.

    The temperature of a series is ``T (1 + a H / log C)``, where H is the entropy of the teacher's
    probabilities at temperature 1, and C is the number of classes. It is T if the teacher is
    certain, and ``(1 + a) T`` if the teacher's probabilities are uniform. A higher temperature
    gives improbable classes more weight.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the term.
    temperature : float, default=4.0
        Temperature T of a series for which the teacher is certain, as in
        :class:`~skgdpd.distillers.Hinton`.
    slope : float, default=1.0
        Factor a. 0 is Hinton's loss. With the default, the highest temperature is twice the
        lowest. The highest may be at most 1000.

    References
    ----------
    H. Wang et al., "Learning while staying curious: entropy-preserving supervised fine-tuning via
    adaptive self-distillation for large reasoning models" (CurioSFT), arXiv 2602.02244, where the
    teacher is the model itself.
    """

    _parameter_constraints = {
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "temperature": TEMPERATURE_RANGE,
        "slope": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self, lambda_kd: float = 1.0, temperature: float = 4.0, slope: float = 1.0
    ) -> None:
        self.lambda_kd = lambda_kd
        self.temperature = temperature
        self.slope = slope

    def _validate_params(self) -> None:
        super()._validate_params()
        highest = self.temperature * (1 + self.slope)
        if highest > HIGHEST_TEMPERATURE:
            raise ValueError(
                f"temperature={self.temperature!r} with slope={self.slope!r} gives temperatures "
                f"up to {highest:g}; at most {HIGHEST_TEMPERATURE:g} is allowed"
            )

    def loss(self, output: SeriesOutput, batch: Batch) -> Tensor:
        teacher = batch["teacher_logits"].detach()
        temperature = self.temperature * (1 + self.slope * entropy_share(teacher))
        return hinton_loss(output.logits, teacher, temperature, batch.get("target_weight"))


class TTM(RowDistiller):
    """Transformed teacher matching (TTM), which softens the teacher's probabilities only.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the term.
    gamma : float, default=0.1
        Exponent of the teacher's probabilities; 0.1 corresponds to a temperature of 10.

    References
    ----------
    K. Zheng, E.-H. Yang, "Knowledge distillation based on transformed teacher matching",
    arXiv 2402.11148.
    """

    _parameter_constraints = {
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "gamma": [Interval(Real, 0, None, closed="neither")],
    }

    by_power_sum = False

    def __init__(self, lambda_kd: float = 1.0, gamma: float = 0.1) -> None:
        self.lambda_kd = lambda_kd
        self.gamma = gamma

    def loss(self, output: SeriesOutput, batch: Batch) -> Tensor:
        return transformed_teacher_loss(
            output.logits,
            batch["teacher_logits"],
            self.gamma,
            batch.get("target_weight"),
            self.by_power_sum,
        )


class WTTM(TTM):  # numpydoc ignore=PR02
    """Weighted transformed teacher matching (WTTM): TTM with sample weights.

    Series for which the teacher is less certain get more weight.

    Parameters
    ----------
    lambda_kd : float, default=1.0
        Weight of the term.
    gamma : float, default=0.1
        Exponent of the teacher's probabilities. The sum of the powers is the weight of a series.

    References
    ----------
    K. Zheng, E.-H. Yang, "Knowledge distillation based on transformed teacher matching",
    arXiv 2402.11148.
    """

    by_power_sum = True

"""Noisy teacher outputs with a bound on what each of them reveals, for any distiller."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import log_ndtr
from sklearn.utils._param_validation import Interval

from ..nets.student import SeriesNet, SeriesOutput
from ..training import Batch, Step, Terms
from .around import AroundDistillation, AroundDistiller
from .base import DistillationContext, Distiller


def gaussian_delta(epsilon: float, ratio: float) -> float:
    """Return the least delta with which a Gaussian mechanism is (epsilon, delta)-private.

    Parameters
    ----------
    epsilon : float
        Bound on the logarithm of a ratio of probabilities.
    ratio : float
        Sensitivity of the released value, divided by the standard deviation of the noise.

    Returns
    -------
    float
        Delta in [0, 1].

    References
    ----------
    B. Balle, Y.-X. Wang, "Improving the Gaussian mechanism for differential privacy: analytical
    calibration and optimal denoising", ICML 2018, arXiv 1805.06530, theorem 8.
    """
    if not ratio:
        return 0.0
    first = log_ndtr(ratio / 2 - epsilon / ratio)
    second = epsilon + log_ndtr(-ratio / 2 - epsilon / ratio)
    return max(math.exp(first) - math.exp(second), 0.0)


def gaussian_epsilon(delta: float, ratio: float) -> float:
    """Return the least epsilon with which a Gaussian mechanism is (epsilon, delta)-private.

    Parameters
    ----------
    delta : float
        Number in (0, 1).
    ratio : float
        Sensitivity of the released value, divided by the standard deviation of the noise.

    Returns
    -------
    float
        Epsilon, at least 0.
    """
    if gaussian_delta(0.0, ratio) <= delta:
        return 0.0
    highest = 1.0
    while gaussian_delta(highest, ratio) > delta:
        highest *= 2
    return float(brentq(lambda epsilon: gaussian_delta(epsilon, ratio) - delta, 0.0, highest))


def clipped(logits: NDArray[Any], clip: float) -> NDArray[np.float64]:
    """Return centred logits ``(n, n_classes)``, shortened to a length of at most ``clip``."""
    centred = logits.astype(np.float64)
    centred = centred - centred.mean(1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return centred * np.minimum(1.0, clip / np.maximum(length, np.finfo(float).tiny))


class PrivateTargetsDistillation(AroundDistillation):
    """Distillation of :class:`PrivateTargets`."""

    def terms(self, student: SeriesNet, output: SeriesOutput, batch: Batch, step: Step) -> Terms:
        loss = self.inner_sum(student, output, batch, step) if self.lambda_kd else None
        return {} if loss is None else {"privatetargets": self.lambda_kd * loss}


class PrivateTargets(AroundDistiller):
    r"""Noisy teacher answers for any distiller, with differential privacy of each answer.

    The logits of a series are centred over the classes and shortened to a length of at most
    ``clip``. Normal noise of standard deviation ``noise`` is added to each logit. The result is
    the teacher's answer. It is drawn once per series, from the seed and before the student's
    training, because each further draw would reveal more. The student learns nothing else from
    the teacher: the answer also replaces the teacher's features.

    Parameters
    ----------
    distiller : Distiller, default=None
        Wrapped distiller; None is :class:`~skgdpd.distillers.Hinton`. It must not compare
        activations over time, and must not be or wrap ``PrivateTargets`` itself.
    lambda_kd : float, default=1.0
        Weight of the wrapped distiller's terms. It multiplies the distiller's own weight.
    clip : float, default=2.0
        Largest Euclidean length of a series' logits. With the default, the larger of two class
        probabilities is at most 0.94.
    noise : float, default=1.0
        Standard deviation of the noise of each logit. The default keeps the sign of nearly every
        confident answer; it gives weak privacy.

    Notes
    -----
    *Guaranteed*: whatever the teacher was trained on, two possible answers differ by at most
    ``2 clip``. By the Gaussian mechanism, one answer is therefore
    :math:`(\epsilon, \delta)`-private, with the :math:`\epsilon` of :meth:`epsilon`. For k answers
    that may depend on the same secret, the sensitivity is :math:`\sqrt k` times as large. A fit
    draws one answer per training series, and ``partial_fit`` one more for each series of a chunk.
    With a :class:`~skgdpd.distillers.CheckpointCurriculum`, there is one answer for each series
    and state.

    *Not guaranteed*: the privacy of series and labels that the student itself learns from. The
    cross-entropy of the labels is not private. If the teacher is trained in ``fit``, it learns
    from the student's own labels, and its answers hide nothing that these labels do not reveal.
    The guarantee is useful for a teacher in a ``FrozenEstimator`` whose training series are not
    given to ``fit``. The fitted classifier and its pickles contain the teacher, so publish the
    student alone (``save``, ``export_onnx``). Whoever knows the seed can remove the noise. Files
    contain the seed as ``random_state``. A seed has 31 bits, so trying all seeds is possible, too.
    The last digits of floating-point noise can also leak information.

    References
    ----------
    B. Balle, Y.-X. Wang, "Improving the Gaussian mechanism for differential privacy: analytical
    calibration and optimal denoising", ICML 2018, arXiv 1805.06530.
    """

    _parameter_constraints = {
        "distiller": [Distiller, None],
        "lambda_kd": [Interval(Real, 0, None, closed="left")],
        "clip": [Interval(Real, 0, None, closed="neither")],
        "noise": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        distiller: Distiller | None = None,
        lambda_kd: float = 1.0,
        clip: float = 2.0,
        noise: float = 1.0,
    ) -> None:
        self.distiller = distiller
        self.lambda_kd = lambda_kd
        self.clip = clip
        self.noise = noise

    def _validate_params(self) -> None:
        super()._validate_params()
        inner: Distiller = self.inner
        if inner.compares_maps:
            raise ValueError(
                f"PrivateTargets tells nothing but noisy logits; distiller={inner!r} compares "
                f"activations over time"
            )
        while isinstance(inner, AroundDistiller):
            if isinstance(inner, PrivateTargets):
                raise ValueError(
                    f"distiller={self.inner!r} has PrivateTargets in PrivateTargets; give one"
                )
            inner = inner.inner

    def epsilon(self, delta: float, n_answers: int = 1) -> float:
        """Return the epsilon that is guaranteed together with a delta.

        Parameters
        ----------
        delta : float
            Probability that the bound by epsilon does not hold, in (0, 1).
        n_answers : int, default=1
            Number of answers that may depend on the same secret.

        Returns
        -------
        float
            Bound on the logarithm of the ratio between the probabilities of an outcome under two
            different secrets.

        Raises
        ------
        ValueError
            If ``delta`` is not strictly between 0 and 1, or if ``n_answers`` is below 1.
        """
        if not 0 < delta < 1:
            raise ValueError(f"delta={delta!r} must be between 0 and 1, both excluded")
        if n_answers < 1:
            raise ValueError(f"n_answers={n_answers!r} must be 1 or more")
        return gaussian_epsilon(delta, 2 * self.clip * math.sqrt(n_answers) / self.noise)

    def teacher_answers(
        self, logits: NDArray[Any], seed: Callable[[], int]
    ) -> NDArray[np.float32] | None:
        known = clipped(np.asarray(logits), self.clip)
        noise = np.random.default_rng(seed()).normal(scale=self.noise, size=known.shape)
        return (known + noise).astype(np.float32)

    def prepare(self, context: DistillationContext) -> PrivateTargetsDistillation:
        return PrivateTargetsDistillation(self.prepare_inner(context), self.lambda_kd)

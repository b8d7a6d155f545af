"""Estimates of class shares of unlabelled series from a teacher's answers, and tests of these.

A teacher learns how frequent each class is among labelled series. Suppose that the unlabelled
series have class shares w instead of π, and that nothing else differs. The calibrated
probabilities then become p(k | x) w_k / π_k, divided by their sum over k. ``class_shares.py``
compares the estimates of w. The tests show whether the answers can be trusted.

Sources: M. Saerens, P. Latinne, C. Decaestecker, "Adjusting the outputs of a classifier to new a
priori probabilities: a simple procedure", Neural Computation 14, 2002; Z. Lipton, Y.-X. Wang,
A. Smola, "Detecting and correcting for label shift with black box predictors", arXiv 1802.03916;
A. Alexandari, A. Kundaje, A. Shrikumar, "Maximum likelihood with bias-corrected calibration is
hard-to-beat at label shift adaptation", arXiv 1901.06852.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from scipy.stats import chi2, chi2_contingency, ks_2samp, ttest_ind

Array = NDArray[Any]

MAX_SCALE = 10.0
"""Largest factor, and inverse of the smallest, that may calibrate logits."""
SMOOTHING = 10.0
"""Weight, in series, of the pooled confusions in the confusions of a class."""
N_BOOTSTRAPS = 60
"""Number of bootstrap samples of an interval."""


class Calibration(NamedTuple):
    """A factor and biases that turn logits into better calibrated ones.

    Attributes
    ----------
    scale : float
        Factor, an inverse temperature.
    bias : ndarray of shape (n_classes,)
        Biases of the classes.
    """

    scale: float
    bias: Array


def calibrate(logits: Array, y: Array, biased: bool = True) -> Calibration:
    """Find the factor and the biases that make logits likeliest.

    Targets are smoothed as one more row of each class would do it, and biases have a standard
    normal prior, because there may be a few rows only.

    Parameters
    ----------
    logits : ndarray of shape (n, n_classes)
        Logits of series on which the model was not fitted.
    y : ndarray of shape (n,)
        Class numbers of these series.
    biased : bool, default=True
        Whether there are biases; else they are 0.

    Returns
    -------
    Calibration
        Factor and biases.
    """
    n, n_classes = logits.shape
    logits = logits - logits.mean(1, keepdims=True)
    target = (n * np.eye(n_classes)[y] + 1) / (n + n_classes)

    def loss(parameters: Array) -> tuple[float, Array]:
        scale, bias = np.exp(parameters[0]), parameters[1:]
        logs = log_softmax(scale * logits + bias, 1)
        error = np.exp(logs) - target
        slope = np.concatenate([[scale * (error * logits).sum()], error.sum(0) + bias])
        return float(bias @ bias / 2 - (target * logs).sum()), slope

    limit = np.log(MAX_SCALE)
    bounds = [(-limit, limit)] + [(None, None) if biased else (0, 0)] * n_classes
    found = minimize(loss, np.zeros(n_classes + 1), jac=True, method="L-BFGS-B", bounds=bounds).x
    return Calibration(float(np.exp(found[0])), found[1:])


def calibrated(logits: Array, calibration: Calibration) -> Array:
    """Return the calibrated probabilities of logits, both ``(n, n_classes)``."""
    centred = logits - logits.mean(1, keepdims=True)
    return softmax(calibration.scale * centred + calibration.bias, 1)


def likeliest_shares(
    proba: Array, shares: Array, prior_weight: float = 0.0, tol: float = 1e-5, max_iter: int = 500
) -> Array:
    """Estimate the class shares of series by expectation maximisation.

    Parameters
    ----------
    proba : ndarray of shape (m, n_classes)
        Calibrated probabilities of the series.
    shares : ndarray of shape (n_classes,)
        Class shares for which the probabilities are calibrated; all positive.
    prior_weight : float, default=0.0
        Weight of ``shares`` as an estimate, where the series together have weight 1.
    tol : float, default=1e-5
        Change of every share below which the iteration ends.
    max_iter : int, default=500
        Largest number of iterations.

    Returns
    -------
    ndarray of shape (n_classes,)
        Estimated shares of the series.
    """
    ratio, found = proba / shares, shares
    for _ in range(max_iter):
        share = found * ratio
        mean = (share / share.sum(1, keepdims=True)).mean(0)
        before, found = found, (mean + prior_weight * shares) / (1 + prior_weight)
        if np.abs(found - before).max() < tol:
            break
    return found


def confusion_counts(predicted: Array, y: Array, n_classes: int) -> Array:
    """Return smoothed counts of predicted classes by true class.

    A class of a few series borrows from the pooled accuracy, with the weight of ``SMOOTHING``
    series.

    Parameters
    ----------
    predicted, y : ndarray of shape (n,)
        Predicted and true class numbers of left-out series.
    n_classes : int
        Number of classes.

    Returns
    -------
    ndarray of shape (n_classes, n_classes)
        Counts, a row for each true class.
    """
    counts = np.zeros((n_classes, n_classes))
    np.add.at(counts, (y, predicted), 1)
    accuracy = (np.trace(counts) + 1) / (counts.sum() + n_classes)
    pooled = np.full((n_classes, n_classes), (1 - accuracy) / (n_classes - 1))
    np.fill_diagonal(pooled, accuracy)
    return counts + SMOOTHING * pooled


def confusion_shares(
    confusions: Array, predicted: Array, shares: Array, prior_weight: float = 0.0
) -> Array:
    """Estimate class shares from the counts of predicted classes alone.

    Parameters
    ----------
    confusions : ndarray of shape (n_classes, n_classes)
        Counts of predicted classes by true class, on left-out series.
    predicted : ndarray of shape (n_classes,)
        Counts of predicted classes.
    shares : ndarray of shape (n_classes,)
        Class shares from which to start.
    prior_weight : float, default=0.0
        Weight of ``shares`` as an estimate.

    Returns
    -------
    ndarray of shape (n_classes,)
        Likeliest shares.
    """
    rates = confusions / confusions.sum(1, keepdims=True)
    occurs = predicted > 0
    total, found = predicted.sum(), shares
    for _ in range(500):
        share = found[:, None] * rates[:, occurs]
        mean = (share / share.sum(0) * predicted[occurs]).sum(1) / total
        before, found = found, (mean + prior_weight * shares) / (1 + prior_weight)
        if np.abs(found - before).max() < 1e-5:
            break
    return found


def interval_end(
    confusions: Array, predicted: Array, shares: Array, level: float = 0.1, seed: int = 0
) -> Array:
    """Return the shares of a bootstrap interval that are nearest to the given ones.

    Parameters
    ----------
    confusions, predicted, shares : ndarray
        As in :func:`confusion_shares`.
    level : float, default=0.1
        Quantile of the bootstrap samples along the way from ``shares`` to the estimate.
    seed : int, default=0
        Seed of the samples.

    Returns
    -------
    ndarray of shape (n_classes,)
        The shares.
    """
    rng = np.random.default_rng(seed)
    way = confusion_shares(confusions, predicted, shares, 0.1) - shares
    if not way @ way > 1e-12:
        return shares
    total = int(predicted.sum())
    ends = [
        confusion_shares(
            rng.gamma(confusions) + 1e-9,
            rng.multinomial(total, predicted / total),
            shares,
            0.1,
        )
        for _ in range(N_BOOTSTRAPS)
    ]
    steps = (np.array(ends) - shares) @ way / (way @ way)
    return shares + np.clip(np.quantile(steps, level), 0, 1) * way


def as_far_as_agreed(estimates: Array, shares: Array) -> Array:
    """Return the mean of several estimates, drawn towards ``shares`` by their disagreement.

    The way from ``shares`` is shortened by the ratio of the estimates' variance to its square.

    Parameters
    ----------
    estimates : ndarray of shape (n_estimates, n_classes)
        Estimated shares; of a single one nothing is known, so it counts as none.
    shares : ndarray of shape (n_classes,)
        Shares of the labelled series.

    Returns
    -------
    ndarray of shape (n_classes,)
        The shares.
    """
    way = estimates.mean(0) - shares
    variance = estimates.var(0, ddof=1).sum() if len(estimates) > 1 else np.inf
    return shares + max(0.0, 1 - variance / max(way @ way, 1e-12)) * way


def share_bias(shares: Array, new_shares: Array, scale: float = 1.0) -> Array:
    """Return biases that correct logits for new class shares, ``(n_classes,)``.

    Parameters
    ----------
    shares, new_shares : ndarray of shape (n_classes,)
        Class shares for which the logits are, and those for which they are wanted.
    scale : float, default=1.0
        Factor that calibrates the logits. The calibrated logits change by the logarithm of the
        ratio, and the logits themselves by a ``scale``-th of it.

    Returns
    -------
    ndarray of shape (n_classes,)
        Biases to add to the logits.
    """
    return np.log(np.maximum(new_shares, 1e-9) / shares) / scale


def p_shares(counts: Array, others: Array) -> float:
    """Return the p-value of equal shares (chi-squared test); 1 if only one class occurs."""
    table = np.stack([counts, others])
    table = table[:, table.sum(0) > 0]
    if table.shape[1] < 2 or not table.sum(1).all():
        return 1.0
    return float(chi2_contingency(table, correction=False).pvalue)


def p_likelihood_ratio(proba: Array, shares: Array, new_shares: Array) -> float:
    """Return the p-value of ``shares`` against the likeliest ones (likelihood-ratio test)."""
    statistic = 2 * np.log(proba @ (new_shares / shares)).sum()
    return float(chi2.sf(max(statistic, 0.0), len(shares) - 1))


def p_certainty(values: Array, others: Array) -> float:
    """Return the p-value of equal means (Welch); 0 or 1 if the values are few or all equal."""
    if min(len(values), len(others)) < 2 or np.ptp(values) == np.ptp(others) == 0:
        return float(np.isclose(values.mean(), others.mean()))
    return float(ttest_ind(values, others, equal_var=False).pvalue)


def p_distribution(values: Array, others: Array) -> float:
    """Return the p-value of equal distributions (Kolmogorov and Smirnov)."""
    return float(ks_2samp(values, others).pvalue)

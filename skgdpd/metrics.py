"""Measures of a prefix classifier: how right, how sure, how close to its teacher."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import auc, average_precision_score, precision_recall_curve
from sklearn.utils import check_scalar

Floats = NDArray[np.float64]


def macro_auc_prc(y_true: ArrayLike, proba: ArrayLike, classes: ArrayLike | None = None) -> float:
    """Area under the precision-recall curve by the trapezoid rule, mean over classes.

    The measure of the GDPD paper. Linear interpolation between points of the curve is optimistic
    where scores are tied: a share p of a class, and one score for all, give (1 + p) / 2.
    :func:`macro_average_precision` gives p. So compare both where a classifier answers with
    certainties or in few steps.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Labels.
    proba : array-like of shape (n, n_classes)
        Class probabilities.
    classes : array-like of shape (n_classes,), optional
        Label of each column; by default the sorted labels of ``y_true``.

    Returns
    -------
    float
        In [0, 1]; classes that don't occur in ``y_true`` are left out.

    Examples
    --------
    >>> macro_auc_prc(["a", "b", "b"], [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
    1.0
    """
    areas = []
    for is_class, score in _one_against_rest(y_true, proba, classes):
        precision, recall, _ = precision_recall_curve(is_class, score)
        areas.append(auc(recall, precision))
    return float(np.mean(areas))


def macro_average_precision(
    y_true: ArrayLike, proba: ArrayLike, classes: ArrayLike | None = None
) -> float:
    """Average precision, mean over classes.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Labels.
    proba : array-like of shape (n, n_classes)
        Class probabilities.
    classes : array-like of shape (n_classes,), optional
        Label of each column; by default the sorted labels of ``y_true``.

    Returns
    -------
    float
        In [0, 1]; classes that don't occur in ``y_true`` are left out.
    """
    pairs = _one_against_rest(y_true, proba, classes)
    return float(np.mean([average_precision_score(truth, score) for truth, score in pairs]))


def top1_agreement(proba: ArrayLike, other: ArrayLike) -> float:
    """Share of series for which two models name the same class.

    Parameters
    ----------
    proba, other : array-like of shape (n, n_classes)
        Class probabilities, or logits.

    Returns
    -------
    float
        In [0, 1].

    References
    ----------
    S. Stanton et al., "Does knowledge distillation really work?", NeurIPS 2021.
    """
    proba, other = _same_shape(proba=proba, other=other)
    return float((proba.argmax(1) == other.argmax(1)).mean())


def predictive_kl(teacher: ArrayLike, student: ArrayLike, eps: float = 1e-12) -> float:
    """Mean Kullback-Leibler divergence KL(teacher || student) of predictions, in nats.

    Parameters
    ----------
    teacher, student : array-like of shape (n, n_classes)
        Class probabilities.
    eps : float, default=1e-12
        The student's probabilities are at least this; else one zero would be an infinite mean.

    Returns
    -------
    float
        Not negative; 0 if both always agree.

    References
    ----------
    S. Stanton et al., "Does knowledge distillation really work?", NeurIPS 2021.
    """
    p, q = _same_shape(teacher=teacher, student=student)
    ratio = np.log(np.clip(p, eps, None)) - np.log(np.clip(q, eps, None))
    return float(max((p * ratio).sum(1).mean(), 0.0))


def expected_calibration_error(
    y_true: ArrayLike,
    proba: ArrayLike,
    classes: ArrayLike | None = None,
    n_bins: int = 15,
) -> float:
    """Gap between how sure a model is and how often it is right, mean over series.

    Series are put into bins of equal width by the probability of the class they are given.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Labels.
    proba : array-like of shape (n, n_classes)
        Class probabilities.
    classes : array-like of shape (n_classes,), optional
        Label of each column; by default the sorted labels of ``y_true``.
    n_bins : int, default=15
        Number of bins, as is usual.

    Returns
    -------
    float
        In [0, 1].

    References
    ----------
    C. Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    sure, right, bins = reliability_bins(y_true, proba, classes, n_bins)
    gaps = np.bincount(bins, weights=right - sure, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(sure))


def reliability_bins(
    y_true: ArrayLike, proba: ArrayLike, classes: ArrayLike | None, n_bins: int
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
    """How sure each prediction is, whether it is right, and the number of its bin.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Labels.
    proba : array-like of shape (n, n_classes)
        Class probabilities.
    classes : array-like of shape (n_classes,) or None
        Label of each column; None is the sorted labels of ``y_true``.
    n_bins : int
        Number of bins of equal width between 0 and 1.

    Returns
    -------
    sure : ndarray of shape (n,)
        Probability of the predicted class.
    right : ndarray of shape (n,)
        Whether that is the label.
    bins : ndarray of shape (n,)
        Bins of ``sure``, from 0; an edge belongs to the bin above it, and 1 to the last.
    """
    check_scalar(n_bins, "n_bins", Integral, min_val=1)
    y_true, proba, classes = _check(y_true, proba, classes)
    sure = proba.max(1)
    bins = np.minimum((sure * n_bins).astype(int), n_bins - 1)
    return sure, classes[proba.argmax(1)] == y_true, bins


def _check(
    y_true: ArrayLike, proba: ArrayLike, classes: ArrayLike | None
) -> tuple[NDArray[Any], Floats, NDArray[Any]]:
    y_true, proba = np.asarray(y_true), np.asarray(proba, dtype=np.float64)
    classes = np.unique(y_true) if classes is None else np.asarray(classes)
    if proba.shape != (len(y_true), len(classes)):
        raise ValueError(
            f"proba has shape {proba.shape}; with {len(y_true)} labels and {len(classes)} classes "
            f"({classes.tolist()}) it must be {(len(y_true), len(classes))}. Give classes= if "
            f"y_true lacks some"
        )
    unknown = sorted(set(np.unique(y_true).tolist()) - set(classes.tolist()))
    if unknown:
        raise ValueError(
            f"y_true has labels that aren't in classes: {unknown}; these are {classes.tolist()}. "
            f"Give classes= the label of each column of proba"
        )
    return y_true, proba, classes


def _one_against_rest(
    y_true: ArrayLike, proba: ArrayLike, classes: ArrayLike | None
) -> list[tuple[NDArray[np.bool_], Floats]]:
    y_true, proba, classes = _check(y_true, proba, classes)
    return [
        (y_true == label, proba[:, k])
        for k, label in enumerate(classes)
        if (y_true == label).any()
    ]


def _same_shape(**probas: ArrayLike) -> tuple[Floats, Floats]:
    a, b = (np.asarray(proba, dtype=np.float64) for proba in probas.values())
    if a.shape != b.shape or a.ndim != 2:
        first, second = probas
        raise ValueError(
            f"{first} has shape {a.shape} and {second} {b.shape}; both must have the same, "
            f"(n, n_classes)"
        )
    return a, b

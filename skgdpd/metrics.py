"""Metrics of early classifiers: ranking, calibration, agreement, earliness and cost.

Functions whose name ends in ``_scorer`` are for ``scoring`` in scikit-learn's searches and
cross-validation. They take a fitted :class:`~skgdpd.EarlyClassifier`, a pipeline that ends in one,
or a search over either.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from sklearn.metrics import (
    accuracy_score,
    auc,
    average_precision_score,
    precision_recall_curve,
)
from sklearn.pipeline import Pipeline
from sklearn.utils import check_scalar

from ._series.unlabeled import refuse_marked

Floats = NDArray[np.float64]
SCORED = "only labelled rows can be scored: leave the others out"
"""Reason for the refusal of missing labels."""


def macro_auc_prc(y_true: ArrayLike, proba: ArrayLike, classes: ArrayLike | None = None) -> float:
    """Return the area under the precision-recall curve (AUC-PRC), averaged over classes.

    The area is computed by the trapezoid rule, as in the GDPD paper. Linear interpolation between
    the points of the curve is optimistic if scores are tied: for a class with share p of the
    series and one score for all, it gives (1 + p) / 2, whereas :func:`macro_average_precision`
    gives p. Therefore compare both for classifiers with few distinct probabilities.

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
        Mean area, in [0, 1]; 1 is best. Classes that don't occur in ``y_true`` are left out.

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
    """Return the average precision, averaged over classes.

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
        Mean average precision, in [0, 1]; 1 is best. Classes that don't occur in ``y_true`` are
        left out.
    """
    pairs = _one_against_rest(y_true, proba, classes)
    return float(np.mean([average_precision_score(truth, score) for truth, score in pairs]))


def top1_agreement(proba: ArrayLike, other: ArrayLike) -> float:
    """Return the share of series for which two models predict the same class.

    Parameters
    ----------
    proba, other : array-like of shape (n, n_classes)
        Class probabilities, or logits, of the two models.

    Returns
    -------
    float
        Share in [0, 1].

    References
    ----------
    S. Stanton et al., "Does knowledge distillation really work?", NeurIPS 2021.
    """
    proba, other = _same_shape(proba=proba, other=other)
    return float((proba.argmax(1) == other.argmax(1)).mean())


def predictive_kl(teacher: ArrayLike, student: ArrayLike, eps: float = 1e-12) -> float:
    """Return the mean Kullback-Leibler divergence KL(teacher || student) of predictions.

    Parameters
    ----------
    teacher, student : array-like of shape (n, n_classes)
        Class probabilities.
    eps : float, default=1e-12
        Lower bound to which probabilities are clipped, because a single zero would make the mean
        infinite.

    Returns
    -------
    float
        Mean divergence in nats; 0 if the probabilities are equal, else positive.

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
    """Return the expected calibration error of predicted probabilities.

    Series are put into bins of equal width by the probability of their predicted class. The error
    is the difference between mean probability and accuracy in a bin, averaged over series.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Labels.
    proba : array-like of shape (n, n_classes)
        Class probabilities.
    classes : array-like of shape (n_classes,), optional
        Label of each column; by default the sorted labels of ``y_true``.
    n_bins : int, default=15
        Number of bins; 15 is the usual choice.

    Returns
    -------
    float
        Error in [0, 1]; 0 is best.

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
    """Return each prediction's probability, whether it is correct, and its bin.

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
        Whether the predicted class is the label.
    bins : ndarray of shape (n,)
        Index of the bin of ``sure``, from 0. An edge belongs to the bin above it, and 1 to the
        last bin.
    """
    check_scalar(n_bins, "n_bins", Integral, min_val=1)
    y_true, proba, classes = _check(y_true, proba, classes)
    sure = proba.max(1)
    bins = np.minimum((sure * n_bins).astype(int), n_bins - 1)
    return sure, classes[proba.argmax(1)] == y_true, bins


def class_reliability_bins(
    y_true: ArrayLike, proba: ArrayLike, classes: ArrayLike | None, n_bins: int, label: Any
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
    """Return the probability of one class, whether it is true, and bins of about equal size.

    Parameters
    ----------
    y_true, proba, classes : array-like
        As in :func:`reliability_bins`.
    n_bins : int
        Number of bins at most. Equal probabilities share a bin, so there may be fewer.
    label : object
        The class.

    Returns
    -------
    sure : ndarray of shape (n,)
        Probability of the class.
    right : ndarray of shape (n,)
        Whether it is the label.
    bins : ndarray of shape (n,)
        Index of the bin of each series, from 0 for the lowest probabilities.

    Raises
    ------
    ValueError
        If ``label`` is none of the classes.
    """
    check_scalar(n_bins, "n_bins", Integral, min_val=1)
    y_true, proba, classes = _check(y_true, proba, classes)
    known = classes.tolist()
    if label not in known:
        raise ValueError(f"pos_label={label!r} must be one of the classes, {known}")
    sure = proba[:, known.index(label)]
    ranks = rankdata(sure, method="min") - 1
    bins = np.unique((ranks * n_bins / len(sure)).astype(int), return_inverse=True)[1]
    return sure, y_true == label, bins.astype(np.int64)


def earliness(
    n_seen: ArrayLike, n_timepoints: ArrayLike, sample_weight: ArrayLike | None = None
) -> float:
    """Return the mean share of a series that had been seen when it was answered.

    Parameters
    ----------
    n_seen : array-like of shape (n,)
        Number of points seen of each series.
    n_timepoints : int or array-like of shape (n,)
        Number of points of a whole series, or of each.
    sample_weight : array-like of shape (n,), optional
        Weight of each series; by default all are equal.

    Returns
    -------
    float
        Share in (0, 1]; small is early.

    Raises
    ------
    ValueError
        If a number of points seen is not from 1 to that of the whole series.

    Examples
    --------
    >>> earliness([25, 75], 100)
    0.5
    """
    return _mean(_shares_seen(n_seen, n_timepoints), sample_weight)


def harmonic_mean(accuracy: float, earliness: float) -> float:
    """Return the harmonic mean of accuracy and 1 - earliness (HM).

    Parameters
    ----------
    accuracy : float
        Share of series that are classified rightly.
    earliness : float
        Mean share of a series that had been seen; see :func:`earliness`.

    Returns
    -------
    float
        Mean in [0, 1]; 1 is best. It is 0 where both are 0.

    References
    ----------
    P. Schäfer, U. Leser, "TEASER: early and accurate time series classification", Data Mining and
    Knowledge Discovery 34, 2020.

    Examples
    --------
    >>> round(harmonic_mean(0.9, 0.4), 3)
    0.72
    """
    for name, value in (("accuracy", accuracy), ("earliness", earliness)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must be from 0 to 1, got {value!r}")
    total = accuracy + 1 - earliness
    return float(2 * accuracy * (1 - earliness) / total) if total else 0.0


def average_cost(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    n_seen: ArrayLike,
    n_timepoints: ArrayLike,
    *,
    delay_cost: float | Callable[[Floats], ArrayLike],
    misclassification_cost: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Return the mean cost of errors and of waiting (AvgCost).

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Labels.
    y_pred : array-like of shape (n,)
        Predicted labels.
    n_seen : array-like of shape (n,)
        Number of points seen of each series.
    n_timepoints : int or array-like of shape (n,)
        Number of points of a whole series, or of each.
    delay_cost : float or callable
        Cost of waiting: a number c costs c * t / T; a callable maps the array of shares t / T to
        costs.
    misclassification_cost : array-like of shape (n_classes, n_classes), optional
        Cost of each answer, ``[true, predicted]``; by default 1 for an error.
    classes : array-like of shape (n_classes,), optional
        Label of each row and column of the matrix; by default the sorted labels of ``y_true``.
    sample_weight : array-like of shape (n,), optional
        Weight of each series; by default all are equal.

    Returns
    -------
    float
        Mean cost; small is good.

    Raises
    ------
    ValueError
        If shapes don't fit, if a label has no row in the matrix, or if a cost is not finite.

    References
    ----------
    A. Renault, A. Bondu, A. Cornuéjols, V. Lemaire, "Early classification of time series:
    taxonomy and benchmark", TMLR 2024, arXiv 2406.18332. Its weights are ``alpha`` for errors and
    ``1 - alpha`` for delay: here ``delay_cost=(1 - alpha) / alpha``, and the result times alpha.

    Examples
    --------
    >>> average_cost(["a", "b"], ["a", "a"], [50, 100], 100, delay_cost=0.2)
    0.65
    """
    y_true, y_pred = refuse_marked(y_true, reason=SCORED, name="y_true"), np.asarray(y_pred)
    shares = _shares_seen(n_seen, n_timepoints)
    if not y_true.shape == y_pred.shape == shares.shape:
        raise ValueError(
            f"y_true, y_pred and n_seen have shapes {y_true.shape}, {y_pred.shape} and "
            f"{shares.shape}; all must be (n,)"
        )
    if misclassification_cost is None:
        errors = (y_true != y_pred).astype(np.float64)
    else:
        errors = _errors_by_matrix(y_true, y_pred, misclassification_cost, classes)
    delays = np.asarray(delay_cost(shares) if callable(delay_cost) else delay_cost * shares)
    costs = errors + delays.astype(np.float64)
    if delays.shape != shares.shape or not np.isfinite(costs).all():
        raise ValueError(
            f"delay_cost gives costs of shape {delays.shape}, from {delays.min()} to "
            f"{delays.max()}, and errors cost {errors.min()} to {errors.max()}; all must be "
            f"finite, with a delay for each of {len(shares)} series"
        )
    return _mean(costs, sample_weight)


def early_scorer(estimator: Any, X: Any, y: ArrayLike) -> dict[str, float]:
    """Return all scores of an early classifier, for which it answers once.

    Parameters
    ----------
    estimator : EarlyClassifier, pipeline or search
        Fitted estimator.
    X : array-like of shape (n_samples, n_channels, n_timepoints)
        Series.
    y : array-like of shape (n_samples,)
        True labels.

    Returns
    -------
    dict of str to float
        ``"accuracy"``, ``"neg_earliness"``, ``"harmonic_mean"`` and ``"neg_mean_cost"``, as by
        the functions below. Higher is better for each.

    Raises
    ------
    TypeError
        If the estimator has no ``decide``.

    Examples
    --------
    >>> from sklearn.model_selection import cross_validate
    >>> from skgdpd import EarlyClassifier
    >>> from skgdpd.datasets import make_bumps
    >>> from skgdpd.metrics import early_scorer
    >>> X, y = make_bumps(n_samples=60, random_state=0)
    >>> early = EarlyClassifier(earliness=[0.2, 0.5, 1.0], rule="threshold", random_state=0)
    >>> found = cross_validate(early, X, y, cv=2, scoring=early_scorer)
    >>> sorted(name for name in found if name.startswith("test_"))
    ['test_accuracy', 'test_harmonic_mean', 'test_neg_earliness', 'test_neg_mean_cost']
    """
    answers = _decisions(estimator, X, y)
    accuracy = float(accuracy_score(y, answers.labels))
    seen = float(np.mean(answers.share_seen))
    return {
        "accuracy": accuracy,
        "neg_earliness": -seen,
        "harmonic_mean": harmonic_mean(accuracy, seen),
        "neg_mean_cost": -float(np.mean(answers.cost)),
    }


def neg_earliness_scorer(estimator: Any, X: Any, y: ArrayLike | None = None) -> float:
    """Return the mean share of series that was seen, with a minus sign.

    By itself it is best for whoever answers at once, whatever the answer.

    Parameters
    ----------
    estimator : EarlyClassifier, pipeline or search
        Fitted estimator.
    X : array-like of shape (n_samples, n_channels, n_timepoints)
        Series.
    y : array-like of shape (n_samples,)
        Ignored.

    Returns
    -------
    float
        Score in [-1, 0); higher is better.

    Raises
    ------
    TypeError
        If the estimator has no ``decide``.
    """
    return -float(np.mean(_decisions(estimator, X).share_seen))


def harmonic_mean_scorer(estimator: Any, X: Any, y: ArrayLike) -> float:
    """Return the harmonic mean of accuracy and 1 - earliness; see :func:`harmonic_mean`.

    Parameters
    ----------
    estimator : EarlyClassifier, pipeline or search
        Fitted estimator.
    X : array-like of shape (n_samples, n_channels, n_timepoints)
        Series.
    y : array-like of shape (n_samples,)
        True labels.

    Returns
    -------
    float
        Score in [0, 1]; higher is better.

    Raises
    ------
    TypeError
        If the estimator has no ``decide``.
    """
    answers = _decisions(estimator, X)
    return harmonic_mean(
        float(accuracy_score(y, answers.labels)), float(np.mean(answers.share_seen))
    )


def neg_mean_cost_scorer(estimator: Any, X: Any, y: ArrayLike) -> float:
    """Return the mean cost of errors and of waiting, with a minus sign.

    The costs are those of the estimator itself, as in its ``score``. So it can't compare
    candidates of a search that differ in ``delay_cost`` or ``misclassification_cost``.

    Parameters
    ----------
    estimator : EarlyClassifier, pipeline or search
        Fitted estimator.
    X : array-like of shape (n_samples, n_channels, n_timepoints)
        Series.
    y : array-like of shape (n_samples,)
        True labels, all of which were in its training.

    Returns
    -------
    float
        Score; higher is better.

    Raises
    ------
    TypeError
        If the estimator has no ``decide``.
    """
    return -float(np.mean(_decisions(estimator, X, y).cost))


def _decisions(estimator: Any, X: Any, *y: Any) -> Any:
    """Return the answers of an early classifier, found behind transforms and searches."""
    if hasattr(estimator, "decide"):
        return estimator.decide(X, *y)
    if hasattr(estimator, "best_estimator_"):
        return _decisions(estimator.best_estimator_, X, *y)
    if isinstance(estimator, Pipeline):
        if len(estimator) > 1:
            X = estimator[:-1].transform(X)
        return _decisions(estimator[-1], X, *y)
    raise TypeError(
        f"estimator={estimator!r} has no decide, so it doesn't say when it answers; give an "
        f"EarlyClassifier, a pipeline that ends in one, or a search over either"
    )


def _mean(values: Floats, sample_weight: ArrayLike | None) -> float:
    if sample_weight is None:
        return float(values.mean())
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != values.shape or (weight < 0).any() or not 0 < weight.sum() < np.inf:
        raise ValueError(
            f"sample_weight must have {len(values)} finite numbers that are not negative and not "
            f"all zero, got {sample_weight!r}"
        )
    return float(np.average(values, weights=weight))


def _shares_seen(n_seen: ArrayLike, n_timepoints: ArrayLike) -> Floats:
    seen, whole = np.asarray(n_seen), np.asarray(n_timepoints)
    if seen.ndim != 1 or not len(seen) or whole.shape not in ((), seen.shape):
        raise ValueError(
            f"n_seen has shape {seen.shape} and n_timepoints {whole.shape}; they must be (n,), "
            f"and a number or (n,)"
        )
    wrong = ~((seen >= 1) & (seen <= whole))
    if wrong.any():
        row = int(wrong.argmax())
        of = np.broadcast_to(whole, seen.shape)[row]
        raise ValueError(
            f"n_seen must be from 1 to n_timepoints, but is {seen[row]} of {of} in row {row}"
        )
    return np.asarray(seen / whole, dtype=np.float64)


def _errors_by_matrix(
    y_true: NDArray[Any], y_pred: NDArray[Any], cost: ArrayLike, classes: ArrayLike | None
) -> Floats:
    labels = np.unique(y_true) if classes is None else np.asarray(classes)
    matrix = np.asarray(cost, dtype=np.float64)
    if matrix.shape != (len(labels), len(labels)):
        raise ValueError(
            f"misclassification_cost has shape {matrix.shape}; with classes {labels.tolist()} it "
            f"must be {(len(labels), len(labels))}"
        )
    dear = np.diag(matrix) > matrix.min(1)
    if dear.any():
        label = labels[dear.argmax()]
        raise ValueError(
            f"misclassification_cost of {label!r} is larger for the right answer than for an error"
        )
    order = np.argsort(labels)
    places = []
    for name, y in (("y_true", y_true), ("y_pred", y_pred)):
        unknown = sorted(set(np.unique(y).tolist()) - set(labels.tolist()))
        if unknown:
            raise ValueError(
                f"{name} has labels that aren't in classes: {unknown}; classes is "
                f"{labels.tolist()}"
            )
        places.append(order[np.searchsorted(labels, y, sorter=order)])
    return matrix[places[0], places[1]]


def _check(
    y_true: ArrayLike, proba: ArrayLike, classes: ArrayLike | None
) -> tuple[NDArray[Any], Floats, NDArray[Any]]:
    y_true = refuse_marked(y_true, reason=SCORED, name="y_true")
    proba = np.asarray(proba, dtype=np.float64)
    if not np.isfinite(proba).all():
        raise ValueError(
            f"proba has {int((~np.isfinite(proba)).sum())} values that are not finite"
        )
    classes = np.unique(y_true) if classes is None else np.asarray(classes)
    if proba.shape != (len(y_true), len(classes)):
        raise ValueError(
            f"proba has shape {proba.shape}; with {len(y_true)} labels and {len(classes)} classes "
            f"({classes.tolist()}) it must be {(len(y_true), len(classes))}. Give classes= if "
            f"some classes don't occur in y_true"
        )
    unknown = sorted(set(np.unique(y_true).tolist()) - set(classes.tolist()))
    if unknown:
        raise ValueError(
            f"y_true has labels that aren't in classes: {unknown}; classes is "
            f"{classes.tolist()}. It must hold the label of each column of proba"
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
            f"{first} has shape {a.shape} and {second} {b.shape}; both must have the same shape, "
            f"(n, n_classes)"
        )
    return a, b

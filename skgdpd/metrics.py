"""Metrics of early classifiers: ranking, calibration, agreement, earliness and cost.

Functions whose names end in ``_scorer`` are values for the parameter ``scoring`` of scikit-learn's
searches and cross-validation. They score a fitted :class:`~skgdpd.EarlyClassifier`, a pipeline
that ends in one, or a search over either.
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
"""Reason in the error about missing labels."""


def macro_auc_prc(y_true: ArrayLike, proba: ArrayLike, classes: ArrayLike | None = None) -> float:
    """Return the area under the precision-recall curve (AUC-PRC), averaged over classes.

    The area is computed by the trapezoid rule, as in the GDPD paper. This rule interpolates
    linearly between the points of the curve, which is optimistic if scores are tied. For example,
    suppose that all series have the same score, and that a fraction p of them belongs to the
    class. The trapezoid rule then gives (1 + p) / 2, whereas :func:`macro_average_precision`
    gives p. Report both metrics for classifiers with few distinct probabilities.

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

    Raises
    ------
    ValueError
        If ``y_true`` has missing or unknown labels, if ``proba`` has the wrong shape, or if a
        probability is not finite.

    References
    ----------
    The GDPD paper, arXiv 2605.11414.

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

    Raises
    ------
    ValueError
        If ``y_true`` has missing or unknown labels, if ``proba`` has the wrong shape, or if a
        probability is not finite.

    See Also
    --------
    sklearn.metrics.average_precision_score : Average precision of one class.
    """
    pairs = _one_against_rest(y_true, proba, classes)
    return float(np.mean([average_precision_score(truth, score) for truth, score in pairs]))


def top1_agreement(proba: ArrayLike, other: ArrayLike) -> float:
    """Return the fraction of series for which two models predict the same class.

    Parameters
    ----------
    proba, other : array-like of shape (n, n_classes)
        Class probabilities, or logits, of the two models.

    Returns
    -------
    float
        Fraction in [0, 1].

    Raises
    ------
    ValueError
        If the two arrays are not two-dimensional or differ in shape.

    References
    ----------
    S. Stanton et al., "Does knowledge distillation really work?", NeurIPS 2021.
    """
    proba, other = _same_shape(proba=proba, other=other)
    return float((proba.argmax(1) == other.argmax(1)).mean())


def predictive_kl(teacher: ArrayLike, student: ArrayLike, eps: float = 1e-12) -> float:
    """Return the mean Kullback-Leibler divergence of a student's predictions from a teacher's.

    The divergence KL(teacher || student) is computed for each series, and averaged over series.

    Parameters
    ----------
    teacher, student : array-like of shape (n, n_classes)
        Class probabilities.
    eps : float, default=1e-12
        Lower bound to which probabilities are clipped. Without it, a single zero would make the
        mean infinite.

    Returns
    -------
    float
        Mean divergence in nats; 0 if the probabilities are equal, else positive.

    Raises
    ------
    ValueError
        If the two arrays are not two-dimensional or differ in shape.

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
    """Return the expected calibration error (ECE) of predicted probabilities.

    Series are sorted into bins of equal width by the probability of their predicted class. In
    each bin, the gap is the absolute difference between mean probability and accuracy. The error
    is the mean of the gaps, weighted by the number of series in each bin.

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

    Raises
    ------
    ValueError
        If ``y_true`` has missing or unknown labels, if ``proba`` has the wrong shape, or if a
        probability is not finite.

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
        Label of each column; None means the sorted labels of ``y_true``.
    n_bins : int
        Number of bins of equal width between 0 and 1.

    Returns
    -------
    sure : ndarray of shape (n,)
        Probability of the predicted class.
    right : ndarray of shape (n,)
        Whether the predicted class is the label.
    bins : ndarray of shape (n,)
        Index of the bin that holds ``sure``, from 0. A probability on an edge belongs to the bin
        above the edge; probability 1 belongs to the last bin.
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
    """Return the mean fraction of a series that was observed before its prediction.

    Parameters
    ----------
    n_seen : array-like of shape (n,)
        Number of time points of each series that were observed before its prediction.
    n_timepoints : int or array-like of shape (n,)
        Length of the whole series: one number for all, or one for each.
    sample_weight : array-like of shape (n,), optional
        Weight of each series; by default all are equal.

    Returns
    -------
    float
        Earliness in (0, 1]. Lower means earlier predictions.

    Raises
    ------
    ValueError
        If an element of ``n_seen`` is not between 1 and the length of its series, if shapes don't
        fit together, or if weights are negative, all zero or not finite.

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
        Fraction of series that are classified correctly, in [0, 1].
    earliness : float
        Mean fraction of a series that was observed, in [0, 1]; see :func:`earliness`.

    Returns
    -------
    float
        Harmonic mean in [0, 1]; 1 is best. It is 0 if both terms are 0.

    Raises
    ------
    ValueError
        If ``accuracy`` or ``earliness`` is not in [0, 1].

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
    """Return the mean cost of misclassification and delay (AvgCost).

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Labels.
    y_pred : array-like of shape (n,)
        Predicted labels.
    n_seen : array-like of shape (n,)
        Number of time points of each series that were observed before its prediction.
    n_timepoints : int or array-like of shape (n,)
        Length of the whole series: one number for all, or one for each.
    delay_cost : float or callable
        Cost of delay. With a number c, a prediction after t of T time points costs c * t / T. A
        callable maps the array of fractions t / T to costs.
    misclassification_cost : array-like of shape (n_classes, n_classes), optional
        Cost of predicting each class, indexed ``[true, predicted]``. By default, an error costs 1
        and a correct prediction 0.
    classes : array-like of shape (n_classes,), optional
        Label of each row and column of the matrix; by default the sorted labels of ``y_true``.
    sample_weight : array-like of shape (n,), optional
        Weight of each series; by default all are equal.

    Returns
    -------
    float
        Mean cost; lower is better.

    Raises
    ------
    ValueError
        If shapes don't fit together, if an element of ``n_seen`` is not between 1 and the length
        of its series, if a label has no row in the matrix, if a correct prediction costs more
        than an error, if a cost is not finite, or if weights are negative, all zero or not
        finite.

    References
    ----------
    A. Renault, A. Bondu, A. Cornuéjols, V. Lemaire, "Early classification of time series: a
    survey and benchmark", TMLR 2024, arXiv 2406.18332. That paper weights errors by ``alpha``
    and delay by ``1 - alpha``. To obtain its cost, pass ``delay_cost=(1 - alpha) / alpha`` and
    multiply the result by ``alpha``.

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
    """Return all scores of an early classifier, computed from a single prediction.

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
        Scores with the keys ``"accuracy"``, ``"neg_earliness"``, ``"harmonic_mean"`` and
        ``"neg_mean_cost"``. Higher is better for each. All but the accuracy equal the results of
        the scorers of one score, such as :func:`harmonic_mean_scorer`.

    Raises
    ------
    TypeError
        If the estimator has no method ``decide``.

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
    """Return the negative mean fraction of a series that was observed before its prediction.

    This score ignores errors: it is highest for a classifier that always predicts at the first
    moment. Use it together with a score of the predictions.

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
        If the estimator has no method ``decide``.
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
        If the estimator has no method ``decide``.
    """
    answers = _decisions(estimator, X)
    return harmonic_mean(
        float(accuracy_score(y, answers.labels)), float(np.mean(answers.share_seen))
    )


def neg_mean_cost_scorer(estimator: Any, X: Any, y: ArrayLike) -> float:
    """Return the negative mean cost of misclassification and delay.

    Costs are computed with the ``delay_cost`` and ``misclassification_cost`` of the estimator, as
    in its ``score``. Candidates that differ in these parameters can't be compared by this score.

    Parameters
    ----------
    estimator : EarlyClassifier, pipeline or search
        Fitted estimator.
    X : array-like of shape (n_samples, n_channels, n_timepoints)
        Series.
    y : array-like of shape (n_samples,)
        True labels, each of which occurred in the training labels.

    Returns
    -------
    float
        Score; higher is better.

    Raises
    ------
    TypeError
        If the estimator has no method ``decide``.
    """
    return -float(np.mean(_decisions(estimator, X, y).cost))


def _decisions(estimator: Any, X: Any, *y: Any) -> Any:
    """Return the decisions of an early classifier, also inside a pipeline or a search."""
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

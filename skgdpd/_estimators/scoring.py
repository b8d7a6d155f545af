"""Accuracy of predicted labels, with checked inputs."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from sklearn.metrics import accuracy_score
from sklearn.utils import assert_all_finite

from .._runtime.arguments import about
from .._series.unlabeled import check_equally_many
from .._series.weights import checked_weights, of_usual_size


def accuracy(labels: NDArray[Any], answers: NDArray[Any], sample_weight: Any) -> float:
    """Return the share of correctly classified rows, by weight.

    Parameters
    ----------
    labels, answers : ndarray of shape (n,)
        True labels and predicted ones.
    sample_weight : array-like of shape (n,) or None
        Weights of the rows.

    Returns
    -------
    float
    """
    check_equally_many(labels, len(answers))
    if sample_weight is not None:
        sample_weight = of_usual_size(checked_weights(sample_weight, len(labels)))
    with about("y"):
        assert_all_finite(labels, input_name="y")
        return float(accuracy_score(labels, answers, sample_weight=sample_weight))

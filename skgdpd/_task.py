"""What a fit is about: series, labels and weights, checked and split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import assert_all_finite, column_or_1d, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight

from ._panel import Panel, join
from ._random import Seeds
from .training import Checkpoints


@dataclass(frozen=True)
class Task:
    """A fit's data, checked and split, and its seeds.

    Attributes
    ----------
    panel : Panel
        Labelled series as the student's view is cut from: whole, or views already.
    whole : Panel
        The same series whole, for the teacher.
    y : ndarray of shape (n,)
        Class numbers.
    weight : ndarray of shape (n,) or None
        Weights of the cross-entropy, mean 1 over the training part.
    class_weight : ndarray of shape (n_classes,) or None
        What each class counts, on the same scale.
    train, valid : ndarray of int
        Row numbers.
    pool, whole_pool : Panel or None
        Series without a label, like ``panel`` and ``whole``.
    cut : bool
        Whether ``panel`` holds views already.
    seeds : Seeds
        By name.
    device : torch.device
        Where networks are trained.
    checkpoints : Checkpoints or None
        Of this fit.
    """

    panel: Panel
    whole: Panel
    y: NDArray[np.int64]
    weight: NDArray[np.float32] | None
    class_weight: NDArray[np.float32] | None
    train: NDArray[np.int64]
    valid: NDArray[np.int64]
    pool: Panel | None
    whole_pool: Panel | None
    cut: bool
    seeds: Seeds
    device: torch.device
    checkpoints: Checkpoints | None = None

    @property
    def ragged(self) -> bool:
        """Whether whole series differ in length."""
        return self.whole.ragged

    @property
    def train_weight(self) -> NDArray[np.float32] | None:
        """Weights of the training part."""
        return None if self.weight is None else self.weight[self.train]


def encode(y: ArrayLike) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Sorted classes, and the number of each label's.

    Raises
    ------
    ValueError
        If labels are missing, of a continuous kind, or of one class only.
    """
    column: NDArray[Any] = column_or_1d(y, warn=True)
    assert_all_finite(column, input_name="y")
    check_classification_targets(column)
    classes, labels = np.unique(column, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y has {len(classes)} class ({classes.tolist()}); a classifier needs two at least"
        )
    return classes, labels.astype(np.int64)


def loss_weights(
    labels: NDArray[np.int64],
    classes: NDArray[Any],
    train: NDArray[np.int64],
    class_weight: Any,
    sample_weight: Any,
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
    """Weights of series, mean 1 over the training part, and of classes on the same scale.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Class numbers.
    classes : ndarray of shape (n_classes,)
        Labels.
    train : ndarray of int
        Rows of the training part.
    class_weight : dict, "balanced" or None
        As in scikit-learn.
    sample_weight : array-like of shape (n,) or None
        As given to ``fit``.

    Returns
    -------
    weight : ndarray of shape (n,) or None
    class_weight : ndarray of shape (n_classes,) or None
        Both None if all count the same.
    """
    if class_weight is None and sample_weight is None:
        return None, None
    weight, each_class = np.ones(len(labels)), np.ones(len(classes))
    if sample_weight is not None:
        weight = _check_sample_weight(
            sample_weight, labels, dtype=np.float64, ensure_non_negative=True
        )
    if class_weight is not None:
        _check_class_weight(class_weight, classes)
        by_class = compute_sample_weight(class_weight, classes[labels])
        each_class = by_class[[int(np.flatnonzero(labels == k)[0]) for k in range(len(classes))]]
        weight = weight * by_class
    mean = weight[train].mean()
    if not mean > 0:
        raise ValueError(
            "sample_weight and class_weight leave every series of the training part without "
            "weight; give some a positive one"
        )
    return (weight / mean).astype(np.float32), (each_class / mean).astype(np.float32)


def _check_class_weight(class_weight: Any, classes: NDArray[Any]) -> None:
    if not isinstance(class_weight, dict):
        return
    known = classes.tolist()
    unknown = [label for label in class_weight if label not in known]
    if unknown:
        raise ValueError(
            f"class_weight={class_weight!r} names {unknown}, which y doesn't hold; the classes "
            f"are {known}"
        )
    for weight in class_weight.values():
        if not (np.isfinite(weight) and weight >= 0):
            raise ValueError(
                f"class_weight={class_weight!r} has the weight {weight!r}; weights must be finite "
                f"and must not be negative"
            )


def set_aside(
    panel: Panel, unlabeled: NDArray[np.bool_], pool: Panel | None
) -> tuple[Panel, Panel]:
    """Labelled series, and the others with those of the pool."""
    others = panel.take(np.flatnonzero(unlabeled))
    labelled = panel.take(np.flatnonzero(~unlabeled))
    return labelled, others if pool is None else join(others, pool)


def check_pairs(part: Panel | None, whole: Panel | None, part_name: str, name: str) -> None:
    """Refuse parts and wholes that are not equally many, under the names that users know."""
    n_part, n_whole = (None if p is None else len(p) for p in (part, whole))
    if n_part != n_whole:
        raise ValueError(
            f"{part_name} has {n_part or 'no'} series and {name} {n_whole or 'none'}; they are "
            f"pairs, the same series in part and whole"
        )

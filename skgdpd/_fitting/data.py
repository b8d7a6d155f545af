"""The data of a fit: series, labels and weights, checked and split."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import assert_all_finite, column_or_1d, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets

from .._runtime.arguments import about
from .._runtime.random import Seeds
from .._runtime.warn import warn_user
from .._series.panel import Panel, check_alike, check_panel, join, read_panel
from .._series.split import stratified_split
from .._series.truncation import MIN_LENGTH
from .._series.unlabeled import (
    check_equally_many,
    is_missing,
    refuse_bytes,
    refuse_marked,
    split_marked,
)
from .._series.weights import checked_weights, of_usual_size
from .preparation import NetworkData

Index = NDArray[np.int64]

LABELLED_ONLY = (
    "PrefixClassifier learns from labelled series only: leave the others out, or choose a "
    "classifier with a teacher, such as GDPDClassifier"
)


@dataclass(frozen=True)
class FitData:
    """Checked and split data of a fit.

    Attributes
    ----------
    panel : Panel
        All series from which the student's view is cut: those of X in their order, then those of
        ``X_unlabeled``.
    whole : Panel
        The same series in the teacher's form; the same object as ``panel`` unless ``X_teacher``
        was given.
    y : ndarray of shape (n,)
        Class numbers of all series; -1 for unlabelled series.
    classes : ndarray of shape (n_classes,)
        Labels by class number.
    weight : ndarray of shape (n,) or None
        Weights of the cross-entropy, with mean 1 over the training part, and 0 for unlabelled
        series. None if all are 1.
    class_weight : ndarray of shape (n_classes,) or None
        Weights of the classes, on the same scale. None if all are 1.
    train, valid, unlabelled : ndarray of int
        Row numbers of the labelled training part, of the labelled validation part, and of the
        unlabelled series.
    seeds : Seeds
        Seeds by name.
    """

    panel: Panel
    whole: Panel
    y: NDArray[np.int64]
    classes: NDArray[Any]
    weight: NDArray[np.float32] | None
    class_weight: NDArray[np.float32] | None
    train: Index
    valid: Index
    unlabelled: Index
    seeds: Seeds

    @property
    def is_paired(self) -> bool:
        """True if the teacher's series differ in form from the student's."""
        return self.whole is not self.panel

    @property
    def taught(self) -> Index:
        """Row numbers of the series that a student with a teacher learns from, labelled first."""
        return np.concatenate([self.train, self.unlabelled])

    @property
    def without_labels(self) -> FitData:
        """The same data, where no series of the training part has a label."""
        return replace(self, train=self.train[:0], unlabelled=self.taught)

    @property
    def train_weight(self) -> NDArray[np.float32] | None:
        """Weights of the training part; None if all are 1."""
        return None if self.weight is None else self.weight[self.train]

    @property
    def labelled(self) -> NetworkData:
        """Labelled series, from which a network without a teacher learns."""
        n = len(self.classes)
        return NetworkData(self.panel, self.y, self.weight, self.train, self.valid, n)


def checked_series(panel: Panel, name: str, missing_values: str) -> Panel:
    """Return checked series in single precision, without time points that no series has.

    Parameters
    ----------
    panel : Panel
        Series as read from the argument.
    name : str
        Name of the argument in errors.
    missing_values : {"error", "interpolate", "mask"}
        Treatment of gaps; ``"error"`` refuses them.

    Returns
    -------
    Panel
        Checked series.
    """
    n = panel.n_timepoints
    if n < MIN_LENGTH:
        # scikit-learn's checks of estimators expect the words "n_features=1".
        raise ValueError(
            f"{name} has series of {n} time point(s) (n_features={n}) and {panel.n_channels} "
            f"channels; at least {MIN_LENGTH} time points are needed, in the order (n_samples, "
            f"n_channels, n_timepoints)"
        )
    return check_panel(panel, name, gaps=missing_values != "error", min_length=MIN_LENGTH)


def read_unlabelled(panel: Panel, X: Any, missing_values: str) -> Panel:
    """Return the checked series of ``X_unlabeled``.

    Parameters
    ----------
    panel : Panel
        Series of X. The others must have the same channels and the same length.
    X : array-like
        Argument ``X_unlabeled``.
    missing_values : {"error", "interpolate", "mask"}
        Treatment of gaps; ``"error"`` refuses them.

    Returns
    -------
    Panel
        Checked series.

    Raises
    ------
    ValueError
        If the channels or the time points differ.
    """
    shapes = [getattr(part, "ndim", 0) for part in X] if isinstance(X, tuple) else []
    if shapes in ([2, 1], [3, 1]):
        raise ValueError("X_unlabeled is a tuple of series and labels; give the series alone")
    other = checked_series(read_panel(X, "X_unlabeled"), "X_unlabeled", missing_values)
    check_alike(other, panel, "X_unlabeled", "X")
    return other


def check_pairs(panel: Panel, whole: Panel) -> None:
    """Refuse panels of student and teacher with different numbers of series."""
    if len(panel) != len(whole):
        raise ValueError(
            f"X has {len(panel)} series and X_teacher {len(whole)}; they are pairs, the same "
            f"series as the student and as the teacher have them"
        )


def read_labels(y: Any, n: int, marker: Any, may_lack: bool) -> tuple[Any, NDArray[np.bool_]]:
    """Return the labels that are present, and a mask of the missing ones.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels.
    n : int
        Number of series.
    marker : object
        Value that marks an unlabelled series, in addition to missing values.
    may_lack : bool
        Whether labels may be missing.

    Returns
    -------
    labels : ndarray of shape (n_labelled,)
        Labels that are present.
    mask : ndarray of bool of shape (n,)
        True where the label is missing.

    Raises
    ------
    ValueError
        If there are not ``n`` labels, or if some are missing although ``may_lack`` is False.
    """
    if may_lack:
        labels, mask = split_marked(y, marker)
    else:
        labels = refuse_marked(y, reason=LABELLED_ONLY)
        mask = np.zeros(len(labels), dtype=bool)
    check_equally_many(mask, n)
    return labels, mask


def warn_of_marks(classes: NDArray[Any], may_lack: bool) -> None:
    """Warn of a class that often marks series without a label: an empty string, or -1.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Distinct labels.
    may_lack : bool
        Whether the classifier takes unlabelled series, so that a mark can be named. Only then is
        -1 a reason to warn.
    """
    # With one other class, -1 is a class indeed, as in data sets of the classes -1 and 1.
    minus_one = (-1, "-1") if may_lack and len(classes) > 2 else ()
    marks = [label for label in classes.tolist() if label == "" or label in minus_one]
    if marks:
        advice = f"set unlabeled={marks[0]!r}" if may_lack else "leave these series out"
        warn_user(
            f"{marks[0]!r} in y is taken as a class; if it marks unlabelled series, {advice}"
        )


MANY_CHANNELS = 4
"""Number of channels per time point from which the two axes are probably exchanged."""


def warn_of_axes(panel: Panel) -> None:
    """Warn of series that have many more channels than time points.

    Parameters
    ----------
    panel : Panel
        Series of a fit.
    """
    if panel.n_channels >= MANY_CHANNELS * panel.n_timepoints:
        warn_user(
            f"X has series of {panel.n_channels} channels and {panel.n_timepoints} time points; "
            f"the order is (n_samples, n_channels, n_timepoints). If time is the second axis of "
            f"your array, give X.transpose(0, 2, 1)"
        )


def make_fit_data(
    panel: Panel,
    y: Any,
    *,
    X_unlabeled: Panel | None,
    X_teacher: Panel | None,
    sample_weight: Any,
    class_weight: Any,
    marker: Any,
    may_lack: bool,
    validation_fraction: float,
    seeds: Seeds,
) -> FitData:
    """Check labels and weights, and split the labelled series.

    Parameters
    ----------
    panel : Panel
        Checked series of X.
    y : array-like of shape (n,)
        Labels of the series of X.
    X_unlabeled : Panel or None
        Checked further series, which are unlabelled.
    X_teacher : Panel or None
        Checked series of X in the teacher's form.
    sample_weight : array-like of shape (n,) or None
        Weights of the series.
    class_weight : dict, "balanced" or None
        Weights of the classes.
    marker : object
        Value of y that marks an unlabelled series.
    may_lack : bool
        Whether labels may be missing.
    validation_fraction : float
        Share of each class for validation.
    seeds : Seeds
        Seeds by name.

    Returns
    -------
    FitData
        Series, class numbers, weights and parts.
    """
    labels, unlabelled = read_labels(y, len(panel), marker, may_lack)
    classes, numbers = encode(labels)
    if is_missing(marker) and X_unlabeled is None:
        warn_of_marks(classes, may_lack)
    known = np.flatnonzero(~unlabelled)
    if sample_weight is not None:
        sample_weight = checked_weights(sample_weight, len(panel))[known]
    train, valid = stratified_split(numbers, validation_fraction, seeds("split"))
    weight, own_class_weight = loss_weights(numbers, classes, train, class_weight, sample_weight)
    n_more = 0 if X_unlabeled is None else len(X_unlabeled)
    n = len(panel) + n_more
    all_numbers = np.full(n, -1)
    all_numbers[known] = numbers
    all_weights = None
    if weight is not None:
        all_weights = np.zeros(n, dtype=np.float32)
        all_weights[known] = weight
    series = panel if X_unlabeled is None else join(panel, X_unlabeled)
    return FitData(
        panel=series,
        whole=series if X_teacher is None else X_teacher,
        y=all_numbers,
        classes=classes,
        weight=all_weights,
        class_weight=own_class_weight,
        train=known[train],
        valid=known[valid],
        unlabelled=np.flatnonzero(all_numbers < 0),
        seeds=seeds,
    )


def encode(y: ArrayLike) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the sorted classes, and the class number of each label.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels, none of which is missing.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        Distinct labels in ascending order.
    numbers : ndarray of shape (n,)
        Class numbers.

    Raises
    ------
    TypeError
        If labels are bytes.
    ValueError
        If labels are missing or continuous, or if there is only one class.
    """
    with about("y"):
        column: NDArray[Any] = column_or_1d(y, warn=True)
        assert_all_finite(column, input_name="y")
        refuse_bytes(column)
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
    """Return weights of series, with mean 1 over the training part, and weights of classes.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Class numbers.
    classes : ndarray of shape (n_classes,)
        Labels.
    train : ndarray of int
        Rows of the training part.
    class_weight : dict, "balanced" or None
        Weights of the classes, as in scikit-learn.
    sample_weight : array-like of shape (n,) or None
        Weights of the series, as given to ``fit``.

    Returns
    -------
    weight : ndarray of shape (n,) or None
        Weights of the series; None if no weights were given.
    class_weight : ndarray of shape (n_classes,) or None
        Weights of the classes, divided by the same mean; None if no weights were given.
    """
    if class_weight is None and sample_weight is None:
        return None, None
    weight, each_class = np.ones(len(labels)), np.ones(len(classes))
    if sample_weight is not None:
        weight = of_usual_size(checked_weights(sample_weight, len(labels)))
        # Unlabelled series have the weights of classes, so these keep their scale.
        weight = weight / (weight[train].mean() or 1.0)
    if class_weight is not None:
        _check_class_weight(class_weight, classes)
        by_class = of_usual_size(_weight_by_class(class_weight, labels, classes))
        each_class = by_class[[int(np.flatnonzero(labels == k)[0]) for k in range(len(classes))]]
        weight = weight * by_class
    mean = weight[train].mean()
    if not mean > 0:
        given = {"sample_weight": sample_weight, "class_weight": class_weight}
        names = [name for name, value in given.items() if value is not None]
        raise ValueError(
            f"{' and '.join(names)} {'leave' if len(names) > 1 else 'leaves'} every series of "
            "the training part without weight; give some a positive one"
        )
    return (weight / mean).astype(np.float32), (each_class / mean).astype(np.float32)


def _weight_by_class(
    class_weight: Any, labels: NDArray[np.int64], classes: NDArray[Any]
) -> NDArray[np.float64]:
    """Return the weight of each label's class, which is 1 if a dict does not name the class."""
    if isinstance(class_weight, dict):
        # scikit-learn looks for the label 1 if it is "1", as in the archives, or 1.5.
        weights = [class_weight.get(label, 1.0) for label in classes.tolist()]
        return np.array(weights, dtype=np.float64)[labels]
    return np.asarray(compute_sample_weight(class_weight, labels), dtype=np.float64)


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
        if not (isinstance(weight, Real) and 0 <= float(weight) < np.inf):
            raise ValueError(
                f"class_weight={class_weight!r} has the weight {weight!r}; weights must be finite "
                f"numbers and must not be negative"
            )

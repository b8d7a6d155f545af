"""Reading of chunks and training on chunks, for ``partial_fit`` of the classifiers."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.multiclass import _check_partial_fit_first_call

from .._fitting.data import FitData, checked_series
from .._fitting.incremental import train_on_chunk
from .._fitting.network import SeriesNetwork
from .._fitting.preparation import new_network
from .._runtime.random import Seeds
from .._series.frames import aligned
from .._series.panel import Panel, read_panel
from .._series.unlabeled import check_equally_many, refuse_marked
from .._series.views import PrefixView
from .._series.weights import checked_weights
from ..distillers import Distillation
from ..nets import starts_fitted
from ..training import History, Rows
from ..training.fitting import isolated_random_state
from .options import training_config


@dataclass(frozen=True)
class Chunk:
    """Checked series and labels of one chunk of a stream.

    Attributes
    ----------
    panel : Panel
        Whole series.
    y : ndarray of shape (n,)
        Class numbers.
    weight : ndarray of shape (n,) or None
        Weights of the series in the cross-entropy; None if all are 1.
    """

    panel: Panel
    y: NDArray[np.int64]
    weight: NDArray[np.float32] | None


LABELLED_ONLY = "partial_fit learns from labelled series only: leave the others out"


def can_stream(clf: Any) -> bool:
    """Return True if the student can learn from chunks; raise an AttributeError otherwise."""
    if starts_fitted(clf.student):
        raise AttributeError(
            f"student={clf.student!r} is fitted on all series at once and can't learn from a "
            f"stream; choose another for partial_fit, such as 'fcn' or 'lstm1-8'"
        )
    return True


def refuse_balanced(clf: Any) -> None:
    """Refuse class weights that depend on all labels of a stream."""
    if isinstance(clf.class_weight, str):
        raise ValueError(
            f"class_weight={clf.class_weight!r} can't be known from a part of a stream; give "
            f"partial_fit a dict, or sample_weight"
        )


def refuse_hidden_labels(clf: Any) -> None:
    """Refuse a method that keeps labels from the student, of which streams consist."""
    clf._validate_params()
    if clf._make_distiller(False).hides_labels:
        raise ValueError(
            "generator__labels='teacher' keeps labels from the student, which partial_fit "
            "trains on labels; give all series to fit, or set generator__labels='all'"
        )


def known_labels(clf: Any, y: ArrayLike, classes: ArrayLike) -> NDArray[Any]:
    """Return the labels of a chunk, and refuse labels that are not among the classes."""
    column = refuse_marked(y, getattr(clf, "unlabeled", None), LABELLED_ONLY)
    unknown = np.setdiff1d(column, classes)
    if len(unknown):
        raise ValueError(
            f"y has the labels {unknown.tolist()}, which are not among the classes "
            f"{np.asarray(classes).tolist()} of the first call; name all labels that will ever "
            f"come in its classes"
        )
    return column


def read_chunk(
    clf: Any, X: Any, y: ArrayLike, classes: ArrayLike | None, sample_weight: Any
) -> Chunk:
    """Check the series, labels and weights of a chunk.

    Parameters
    ----------
    clf : BasePrefixClassifier
        Classifier. The first chunk sets its attributes for the classes and the shape of series.
    X, y, classes, sample_weight : object
        Arguments of ``partial_fit``.

    Returns
    -------
    Chunk
        Series, class numbers and weights.
    """
    clf._validate_params()
    refuse_balanced(clf)
    first = "network_" not in vars(clf)
    if first:
        vars(clf).pop("classes_", None)  # left by a call that failed
    _check_partial_fit_first_call(clf, classes)
    panel = read_panel(X)
    if first:
        panel = clf._measure(panel, X)
    else:
        clf._read(X)
        panel = checked_series(panel, "X", clf._series.missing_values)
    y, sample_weight = aligned(X, y, "y"), aligned(X, sample_weight, "sample_weight")
    column = known_labels(clf, y, clf.classes_)
    check_equally_many(column, len(panel))
    labels = np.searchsorted(clf.classes_, column)
    if sample_weight is None and clf.class_weight is None:
        return Chunk(panel, labels, None)
    given = 1.0 if sample_weight is None else sample_weight
    own = checked_weights(given, len(labels))
    if own.max() > np.finfo(np.float32).max:
        raise ValueError(
            f"sample_weight has {own.max():.4g}, which is too large for single precision"
        )
    weight = own.astype(np.float32)
    if clf.class_weight is not None:
        by_class = [clf.class_weight.get(label, 1.0) for label in clf.classes_.tolist()]
        weight = weight * np.array(by_class, dtype=np.float32)[labels]
    return Chunk(panel, labels, weight)


@contextmanager
def kept_statistics(view: PrefixView) -> Iterator[None]:
    """Restore the statistics of a view if the block raises an error."""
    before = copy.copy(view.normalizer)
    try:
        yield
    except BaseException:
        view.normalizer = before
        raise


def first_network(clf: Any, chunk: Chunk) -> tuple[SeriesNetwork, History]:
    """Return the initial network of a stream and its empty history.

    Parameters
    ----------
    clf : PrefixClassifier
        Classifier.
    chunk : Chunk
        First chunk of the stream, which sets the lengths.

    Returns
    -------
    network : SeriesNetwork
        Network with initial weights.
    history : History
        History without any epoch.
    """
    rows = np.arange(len(chunk.panel))
    data = FitData(
        panel=chunk.panel,
        whole=chunk.panel,
        y=chunk.y,
        classes=clf.classes_,
        weight=None,
        class_weight=None,
        train=rows,
        valid=rows[:0],
        unlabelled=rows[:0],
        seeds=Seeds(clf.random_state),
    )
    plan = clf._student_plan(data)
    with isolated_random_state(data.seeds("student"), torch.device(plan.device)):
        view, module = new_network(plan, data.labelled)
    if module.has_fixed_part:
        raise ValueError(
            f"student={clf.student!r} is fitted on all series at once and can't learn from a "
            f"stream; choose another for partial_fit"
        )
    device = next(module.parameters()).device
    return SeriesNetwork(view, module, device, plan.predict_batch_size), History()


def train_further(
    clf: Any,
    network: SeriesNetwork,
    history: History,
    rows: Rows,
    distillation: Distillation | None = None,
) -> None:
    """Train a classifier's network on a chunk, and store the state of its training.

    Parameters
    ----------
    clf : BasePrefixClassifier
        Classifier, on which the state of the training is stored.
    network : SeriesNetwork
        Network of the classifier. Its weights are replaced.
    history : History
        History of the classifier. One number is added to each term.
    rows : Rows
        Training rows of the chunk.
    distillation : Distillation, optional
        Distillation whose parameters are trained together with the network.
    """
    state = getattr(clf, "_training_state", None)
    clf._training_state = train_on_chunk(
        network,
        rows.to(network.device),
        training_config(clf),
        history,
        state,
        # Later chunks continue with the generators of the chunk before.
        Seeds(clf.random_state if state is None else 0),
        distillation,
    )
    history.n_labeled += len(rows)

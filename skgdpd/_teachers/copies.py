"""Logits of labelled series, by copies of the teacher that were fitted without these series.

A teacher has memorised its own training series, so its logits for them say little more than the
labels. Its logits for other series show how certain it can be. Features are not replaced, because
those of separately trained networks have coordinates of their own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from joblib import Memory
from numpy.typing import NDArray

from .._fitting.cross_fitting import fold_numbers
from .._fitting.preparation import NetworkPlan
from .._runtime.random import Seeds
from .._series.panel import Panel
from ..training import Progress
from ..training.checkpoint import Checkpoints
from .ensemble import FrozenMember, is_ensemble, is_frozen, members_of
from .teacher import TeacherOutputs, fit_teacher


def check_can_cross_fit(n_folds: int | None, spec: Any, epochs: tuple[int, ...]) -> None:
    """Check, before any training, that copies of a teacher can be fitted.

    Parameters
    ----------
    n_folds : int or None
        Number of folds; None fits no copies.
    spec : object
        Parameter ``teacher`` of a classifier.
    epochs : tuple of int
        Epochs of the teacher's training whose outputs the method needs.

    Raises
    ------
    ValueError
        If the teacher, or a member of it, is used without a fit, or if the method needs the
        teacher's states.
    """
    if n_folds is None:
        return
    members = members_of(spec)[0] if is_ensemble(spec) else [spec]
    if any(is_frozen(member) or isinstance(member, FrozenMember) for member in members):
        raise ValueError(
            f"training__teacher_folds={n_folds} fits copies of the teacher, and teacher={spec!r} "
            f"is used as it is; give it without FrozenEstimator, or teacher_folds=None"
        )
    if epochs:
        raise ValueError(
            f"training__teacher_folds={n_folds} can't be used with a method that learns from the "
            f"teacher's states in its training; allowed is teacher_folds=None"
        )


def check_folds(n_folds: int, y: NDArray[np.int64], classes: NDArray[Any]) -> None:
    """Refuse folds that leave a copy of the teacher no series, or no series of some class."""
    if n_folds > len(y):
        raise ValueError(
            f"training__teacher_folds={n_folds} is more than the {len(y)} labelled series of the "
            f"training part; allowed are 2 to {len(y)}, or None"
        )
    counts = np.bincount(y, minlength=len(classes))
    if counts.min() < 2:
        alone = classes[counts < 2].tolist()
        raise ValueError(
            f"training__teacher_folds={n_folds} needs two labelled series of each class in the "
            f"training part, and the classes {alone} have fewer; give more, or teacher_folds=None"
        )


def fit_teachers(
    n_folds: int | None,
    plan: NetworkPlan,
    values: Any,
    y: NDArray[np.int64],
    weight: NDArray[np.float32] | None,
    classes: NDArray[Any],
    seed: int,
    memory: Memory,
    progress: Progress,
    checkpoints: Checkpoints | None,
    folder: str,
) -> TeacherOutputs:
    """Fit a teacher on all labelled series, and one copy per fold without the fold's series.

    Parameters
    ----------
    n_folds : int or None
        Number of copies; None fits the teacher alone.
    plan : NetworkPlan
        Teacher, with the settings for its networks.
    values : ndarray of shape (n + m, c, t)
        Whole series: first the training part, then the unlabelled series.
    y : ndarray of shape (n,)
        Class numbers of the first ``n`` series.
    weight : ndarray of shape (n,) or None
        Weights of these series in the cross-entropy.
    classes : ndarray of shape (n_classes,)
        Labels by class number.
    seed : int
        Seed of the fits.
    memory : joblib.Memory
        Cache of fitted teachers.
    progress : Progress
        Progress bar, advanced by one unit for each epoch of each network.
    checkpoints : Checkpoints or None
        Store of unfinished trainings.
    folder : str
        Folder for features that are too large for memory.

    Returns
    -------
    TeacherOutputs
        Outputs of the teacher. With folds, the logits of labelled series come from copies that
        were fitted without them, and ``own_logits`` are the logits of the teacher itself.
    """
    if n_folds is not None:
        check_folds(n_folds, y, classes)

    def fit(rows: NDArray[np.int64] | None, n: int, seed: int, folder: str) -> TeacherOutputs:
        """Fit on the first n of some rows, and return the outputs for all these rows."""
        own = values if rows is None else Panel(values).take(rows).values
        known = slice(None) if rows is None else rows[:n]
        own_weight = None if weight is None else weight[known]
        return fit_teacher(
            plan,
            own,
            y[known],
            own_weight,
            classes,
            seed,
            memory,
            progress,
            checkpoints,
            folder,
        )

    outputs = fit(None, len(y), seed, folder)
    if n_folds is None:
        return outputs
    logits = np.array(outputs.logits)
    logits[: len(y)] = left_out_logits(fit, n_folds, y, len(classes), seed, folder)
    return replace(outputs, logits=logits, own_logits=outputs.logits)


def left_out_logits(
    fit: Callable[[NDArray[np.int64], int, int, str], TeacherOutputs],
    n_folds: int,
    y: NDArray[np.int64],
    n_classes: int,
    seed: int,
    folder: str,
) -> NDArray[np.float32]:
    """Return logits ``(n, n_classes)`` of labelled series, by teachers fitted without them.

    Parameters
    ----------
    fit : callable
        Function of row numbers, the number of leading rows to fit on, a seed and a folder.
    n_folds : int
        Number of folds.
    y : ndarray of shape (n,)
        Class numbers.
    n_classes : int
        Number of classes.
    seed : int
        Seed of the folds and of the fits.
    folder : str
        Folder for features that are too large for memory.

    Returns
    -------
    ndarray of shape (n, n_classes)
    """
    seeds = Seeds(seed)
    folds = fold_numbers(y, n_folds, seeds("folds"))
    logits = np.empty((len(y), n_classes), dtype=np.float32)
    for k in range(n_folds):
        inside, outside = np.flatnonzero(folds != k), np.flatnonzero(folds == k)
        # A folder of its own, since features in files have the same names.
        own = os.path.join(folder, f"fold-{k}")
        os.makedirs(own, exist_ok=True)
        rows = np.concatenate([inside, outside])
        logits[outside] = fit(rows, len(inside), seeds(f"fold {k}"), own).logits[len(inside) :]
    return logits

"""Predictions of training series by networks that were trained without them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..distillers.own_outputs import own_outputs
from ..nets.student import SeriesNet
from ..training import (
    Batch,
    Objective,
    Rows,
    Step,
    Terms,
    TrainingConfig,
    soft_cross_entropy,
    train,
    weighted_cross_entropy,
)
from ..training.batches import StreamedRows
from ..training.fitting import isolated_random_state
from .preparation import NetworkData, NetworkPlan, Preparation, new_network

N_FOLDS = 5
"""Number of networks that are trained, each without a part of the series."""


class TargetObjective(Objective):
    """Cross-entropy against labels, or against targets if some labels are missing."""

    def terms(self, module: nn.Module, batch: Batch, step: Step) -> Terms:
        logits = module.read(batch).logits  # type: ignore[operator]
        if "target" in batch:
            weight = batch.get("target_weight")
            return {"ce": soft_cross_entropy(logits, batch["target"], weight)}
        return {"ce": weighted_cross_entropy(logits, batch["y"], batch.get("weight"))}


def left_out(student: Preparation, plan: NetworkPlan, data: NetworkData) -> NDArray[np.float64]:
    """Return probabilities of a student's training rows, by students fitted without them.

    If the student's training starts from a closed form, the probabilities are known in closed
    form. Otherwise, students are trained again, each without one fold of the rows.

    Parameters
    ----------
    student : Preparation
        Student with a teacher.
    plan : NetworkPlan
        Settings of its network.
    data : NetworkData
        Labelled series of its fit.

    Returns
    -------
    ndarray of shape (n, n_classes)
    """
    if student.left_out is not None:
        return student.left_out
    known = student.rows.tensors
    classes = torch.where(known["y"] >= 0, known["y"], known["teacher_logits"].argmax(-1))
    return cross_fitted(
        lambda: new_network(plan, data)[1],
        student.rows,
        fold_numbers(classes.cpu().numpy(), N_FOLDS, student.seeds("folds")),
        replace(student.config, patience=None),
        student.seeds,
    )


def fold_numbers(classes: NDArray[np.int64], n_folds: int, seed: int) -> NDArray[np.int64]:
    """Divide rows into folds that have about the same number of rows of each class.

    Parameters
    ----------
    classes : ndarray of shape (n,)
        Class of each row.
    n_folds : int
        Number of folds.
    seed : int
        Seed of the division.

    Returns
    -------
    ndarray of shape (n,)
        Fold number of each row, from 0 to ``n_folds - 1``.
    """
    shuffled = np.random.default_rng(seed).permutation(len(classes))
    by_class = shuffled[np.argsort(classes[shuffled], kind="stable")]
    folds = np.empty(len(classes), dtype=np.int64)
    folds[by_class] = np.arange(len(classes)) % n_folds
    return folds


def cross_fitted(
    make: Callable[[], SeriesNet],
    rows: Rows,
    folds: NDArray[np.int64],
    config: TrainingConfig,
    seeds: Callable[[str], int],
) -> NDArray[np.float64]:
    """Return class probabilities of each row by a network that was trained without its fold.

    Parameters
    ----------
    make : callable
        Function that makes a network with initial weights on the rows' device.
    rows : Rows
        Training rows of a network without a fixed part, with ``y``, and with ``target`` if some
        rows are unlabelled.
    folds : ndarray of shape (n,)
        Fold number of each row.
    config : TrainingConfig
        Configuration of the trainings, without early stopping.
    seeds : callable
        Function from a name to a seed.

    Returns
    -------
    ndarray of shape (n, n_classes)
    """
    found: list[tuple[NDArray[np.int64], Tensor]] = []
    for k in np.unique(folds):
        outside = np.flatnonzero(folds == k)
        with isolated_random_state(seeds(f"fold {k}"), rows.device):
            module = make()
            train(
                module,
                TargetObjective(),
                some_of(rows, np.flatnonzero(folds != k)),
                config,
                shuffle_seed=seeds(f"shuffle of fold {k}"),
            )
        logits = own_outputs(module, some_of(rows, outside)).logits.double()
        found.append((outside, torch.softmax(logits, -1)))
    proba = torch.cat([own for _, own in found]).double().cpu().numpy()
    return proba[np.argsort(np.concatenate([index for index, _ in found]))]


def some_of(rows: Rows, index: NDArray[np.int64]) -> Rows:
    """Return the rows with the numbers ``index``, in this order."""
    on_device = torch.from_numpy(index).to(rows.device)
    kept = {k: v[on_device] for k, v in rows.tensors.items() if k != "index"}
    if isinstance(rows, StreamedRows):
        fetch = rows.fetch
        return StreamedRows(lambda numbers: fetch(index[numbers]), **kept)
    return Rows(**kept)

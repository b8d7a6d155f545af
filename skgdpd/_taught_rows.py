"""Training rows of a student that has a teacher."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._network import make_rows, softmax
from ._panel import Panel, join
from ._task import Task
from ._teacher import Knowledge
from ._views import View
from .training import Rows


def taught_series(task: Task) -> tuple[Panel, Panel]:
    """What the student sees series of, and the same series whole: labelled ones, then others."""
    seen, whole = task.panel.take(task.train), task.whole.take(task.train)
    if task.pool is None or task.whole_pool is None:
        return seen, whole
    return join(seen, task.pool), join(whole, task.whole_pool)


def taught_rows(
    task: Task,
    view: View,
    knowledge: Knowledge,
    n_classes: int,
    constants: dict[str, NDArray[Any]],
) -> Rows:
    """Training rows: the labelled ones, then those that only the teacher knows.

    Parameters
    ----------
    task : Task
        The fit's data.
    view : View
        The student's, fitted.
    knowledge : Knowledge
        What the teacher says of these series, in this order.
    n_classes : int
        Number of classes.
    constants : dict of str to ndarray of shape (n, ...)
        What else is known of them, by name.
    """
    y = task.y[task.train]
    weight = target_weight = task.train_weight
    target = None
    if task.pool is not None:
        guesses = softmax(knowledge.logits[len(y) :]).astype(np.float32)
        target = np.concatenate([np.eye(n_classes, dtype="f4")[y], guesses])
        if weight is not None and task.class_weight is not None:
            target_weight = np.concatenate([weight, guesses @ task.class_weight])
        labelled = np.ones(len(y), dtype=np.float32) if weight is None else weight
        weight = np.concatenate([labelled, np.zeros(len(guesses), dtype=np.float32)])
        y = np.concatenate([y, np.full(len(guesses), -1)])
    return make_rows(
        view,
        taught_series(task)[0],
        y=y,
        weight=weight,
        target=target,
        target_weight=target_weight,
        teacher_features=knowledge.features,
        teacher_logits=knowledge.logits,
        **constants,
    )

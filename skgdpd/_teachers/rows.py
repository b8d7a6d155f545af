"""Training rows of a student that has a teacher."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._fitting.data import FitData
from .._fitting.network import softmax
from .._fitting.rows import make_rows
from .._series.panel import Panel
from .._series.views import PrefixView
from ..training import Rows
from .teacher import TeacherOutputs


def taught_series(data: FitData) -> tuple[Panel, Panel]:
    """Return the training series in the student's and in the teacher's form, labelled first."""
    seen = data.panel.take(data.taught)
    return seen, data.whole.take(data.taught) if data.is_paired else seen


def taught_rows(
    data: FitData,
    view: PrefixView,
    outputs: TeacherOutputs,
    constants: dict[str, NDArray[Any]],
) -> Rows:
    """Return the training rows of a student: labelled series, then unlabelled ones.

    Parameters
    ----------
    data : FitData
        Series and labels.
    view : PrefixView
        Fitted view of the student.
    outputs : TeacherOutputs
        Outputs of the teacher for the same series, in the same order.
    constants : dict of str to ndarray of shape (n, ...)
        Further arrays by name, with a row for each series.

    Returns
    -------
    Rows
        Training rows on the CPU.
    """
    y = data.y[data.train]
    weight = target_weight = data.train_weight
    target = None
    if len(data.unlabelled):
        guesses = softmax(outputs.logits[len(y) :]).astype(np.float32)
        target = np.concatenate([np.eye(len(data.classes), dtype="f4")[y], guesses])
        if weight is not None and data.class_weight is not None:
            target_weight = np.concatenate([weight, guesses @ data.class_weight])
        labelled = np.ones(len(y), dtype=np.float32) if weight is None else weight
        weight = np.concatenate([labelled, np.zeros(len(guesses), dtype=np.float32)])
        y = np.concatenate([y, np.full(len(guesses), -1)])
    return make_rows(
        view,
        taught_series(data)[0],
        y=y,
        weight=weight,
        target=target,
        target_weight=target_weight,
        teacher_features=outputs.features,
        teacher_logits=outputs.logits,
        **constants,
    )

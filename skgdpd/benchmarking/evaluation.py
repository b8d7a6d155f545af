"""Run of one cell: fit and scores of its method."""

from __future__ import annotations

import platform
import time
import traceback
from typing import Any

import numpy as np
import sklearn
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from .._runtime.threads import same_threads
from .._version import __version__
from ..metrics import (
    expected_calibration_error,
    macro_auc_prc,
    macro_average_precision,
    predictive_kl,
    top1_agreement,
)
from .cells import Cell
from .methods import make_method
from .scenario import Scenario, load_data, make_scenario
from .store import Record

VERSIONS = {
    "skgdpd": __version__,
    "python": platform.python_version(),
    "torch": torch.__version__,
    "scikit-learn": sklearn.__version__,
    "machine": platform.machine(),
}


@same_threads()
def run_cell(cell: Cell, folder: str | None, memory: str | None, device: str) -> Record:
    """Fit and score the candidates of a method.

    Parameters
    ----------
    cell : Cell
        The cell to run.
    folder : str or None
        The folder of the data sets.
    memory : str or None
        The folder of a cache of teachers and priors, which the methods with the same seed share.
    device : str
        The device of the networks.

    Returns
    -------
    Record
        The scores, or the traceback of an exception. KeyboardInterrupt is not caught.
    """
    record = Record(cell, versions=VERSIONS)
    try:
        scenario = make_scenario(load_data(cell.data, folder), cell)
        for params, model in make_method(cell, memory, device):
            start = time.perf_counter()
            model.fit(scenario.X, scenario.y, scenario.X_unlabeled)
            seconds = {"fit": time.perf_counter() - start, **model.seconds}
            record.candidates.append(
                {
                    "params": params | model.chosen,
                    "valid_loss": model.valid_loss,
                    "n_parameters": model.n_parameters,
                    **_scored(model, scenario, seconds),
                }
            )
    except Exception:
        record.error = traceback.format_exc()
        record.candidates = []
    return record


def _scored(model: Any, scenario: Scenario, seconds: dict[str, float]) -> dict[str, Any]:
    start = time.perf_counter()
    proba = model.predict_proba(scenario.X_test)
    seconds["predict"] = time.perf_counter() - start
    metrics = score(scenario.y_test, proba, model.classes)
    teacher = model.teacher_proba(scenario.X_test)
    if teacher is not None:
        metrics["agreement"] = top1_agreement(teacher, proba)
        metrics["kl"] = predictive_kl(teacher, proba)
        metrics["teacher_accuracy"] = _accuracy(scenario.y_test, teacher, model.classes)
    rounded = {name: round(value, 3) for name, value in seconds.items()}
    return {"metrics": {k: round(v, 6) for k, v in metrics.items()}, "seconds": rounded}


def score(y: NDArray[Any], proba: NDArray[Any], classes: NDArray[Any]) -> dict[str, float]:
    """Score class probabilities.

    Parameters
    ----------
    y : ndarray of shape (n,)
        The labels.
    proba : ndarray of shape (n, n_classes)
        The probabilities.
    classes : ndarray of shape (n_classes,)
        The sorted classes. Some may not occur in ``y``.

    Returns
    -------
    dict of str to float
        ``accuracy``, ``auc_prc``, ``average_precision``, ``roc_auc``, ``log_loss`` and
        ``calibration_error``.

    Raises
    ------
    ValueError
        If a label is none of the classes.
    """
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(
            f"the test part has labels that the training part lacks: {unknown.tolist()}; the "
            f"training part has {classes.tolist()}"
        )
    seen = np.isin(classes, y)
    truth = np.searchsorted(classes, y)
    one_hot = np.eye(len(classes))[truth]
    return {
        "accuracy": _accuracy(y, proba, classes),
        "auc_prc": macro_auc_prc(y, proba, classes),
        "average_precision": macro_average_precision(y, proba, classes),
        "roc_auc": float(roc_auc_score(one_hot[:, seen], proba[:, seen], average="macro")),
        "log_loss": float(-np.log(np.clip(proba[np.arange(len(y)), truth], 1e-7, 1)).mean()),
        "calibration_error": expected_calibration_error(y, proba, classes),
    }


def _accuracy(y: NDArray[Any], proba: NDArray[Any], classes: NDArray[Any]) -> float:
    return float((classes[proba.argmax(1)] == y).mean())

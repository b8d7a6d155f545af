"""Time a grid whose fits share teacher, prior and warm-up, against separate fits."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.model_selection import ParameterGrid

from skgdpd import GDPDClassifier
from skgdpd.datasets import load_gunpoint

GRID = {"lambda_kd": [0.1, 1.0, 10.0], "warmup_epochs": [0.4, 0.6]}


def sharing_table(backbones: Sequence[str], max_epochs: int, device: str) -> str:
    """Time a 3 x 2 grid on GunPoint's training part, with and without a cache.

    Parameters
    ----------
    backbones : sequence of str
        Names of the backbones. Student and teacher have the same one.
    max_epochs : int
        Number of epochs of each network.
    device : str
        The device of the networks.

    Returns
    -------
    str
        A Markdown table: the seconds of six separate fits and of six fits that share, the ratio
        of the two, and whether all probabilities are equal to the bit.
    """
    lines = [
        "| backbone | six separate fits (s) | sharing (s) | ratio | same bits |",
        "|---|---|---|---|---|",
    ]
    for name in backbones:
        clf = GDPDClassifier(student=name, max_epochs=max_epochs, random_state=0, device=device)
        apart, shared, same = compare_grid(clf)
        lines.append(
            f"| `{name}` | {apart:.1f} | {shared:.1f} | {shared / apart:.2f} | "
            f"{'yes' if same else 'no'} |"
        )
    return "\n".join(lines)


def compare_grid(clf: GDPDClassifier) -> tuple[float, float, bool]:
    """Fit a grid with and without a cache.

    On a CPU, processor time is measured, which other programs on the machine hardly change.

    Parameters
    ----------
    clf : GDPDClassifier
        The classifier whose parameters are varied.

    Returns
    -------
    apart, shared : float
        Seconds of the six separate fits, and of the six that share.
    same : bool
        Whether both give the same probabilities to the bit.
    """
    now = time.process_time if str(clf.device) == "cpu" else time.perf_counter
    X, y, X_test, _ = load_gunpoint()
    seconds = [0.0, 0.0]
    same = True
    with tempfile.TemporaryDirectory() as folder:
        # The first fit also imports modules, which the times below leave out.
        _fit(clf, X, y, max_epochs=2, memory=folder)
        for params in ParameterGrid(GRID):
            probabilities = []
            for way, memory in enumerate((None, folder)):
                start = now()
                fitted = _fit(clf, X, y, memory=memory, **params)
                seconds[way] += now() - start
                probabilities.append(fitted.predict_proba(X_test))
            same = same and np.array_equal(probabilities[0], probabilities[1])
    return seconds[0], seconds[1], same


def _fit(clf: GDPDClassifier, X: Any, y: Any, **params: Any) -> GDPDClassifier:
    return GDPDClassifier(**{**clf.get_params(deep=False), **params}).fit(X, y)

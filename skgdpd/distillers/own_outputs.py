"""Outputs of the student for all rows, in its current state."""

from __future__ import annotations

import torch

from ..nets.student import SeriesNet, SeriesOutput
from ..training import Rows
from ..training.batches import MomentRows

CHUNK = 1024
"""Number of series in a batch of predictions, which bounds the memory."""


@torch.no_grad()
def own_outputs(student: SeriesNet, rows: Rows, moment: int = -1) -> SeriesOutput:
    """Return the student's current features and logits for all rows.

    Parameters
    ----------
    student : SeriesNet
        Student. Its mode (training or evaluation) is restored.
    rows : Rows
        Rows with the student's view of the series.
    moment : int, default=-1
        Index of the moment at which the rows are read, if they have several.

    Returns
    -------
    SeriesOutput
        Features ``(n, n_features)`` and logits ``(n, n_classes)``, in the rows' order.
    """
    training = student.training
    student.eval()
    outputs = []
    for index in torch.arange(len(rows), device=rows.numbers_on).split(CHUNK):
        if isinstance(rows, MomentRows):
            batch = rows.select(index, moment)
        else:
            batch = rows.select(index)
        outputs.append(student.read(batch))
    student.train(training)
    features, logits = (torch.cat(parts) for parts in zip(*(o[:2] for o in outputs), strict=True))
    return SeriesOutput(features, logits)

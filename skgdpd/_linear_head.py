"""The linear layer by which a teacher classifies its features."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from torch import nn

from ._teacher import Knowledge, NetworkTeacher

PENALTIES = np.logspace(-6, 3, 10)
MAX_ROWS = 2048
"""Rows that a layer is fitted to; more cost time and change little."""


def linear_head(knowledge: Knowledge) -> nn.Linear:
    """A network's own last layer, or for other teachers the one that comes nearest to them.

    That is ridge regression of the logits, less their mean over classes, on the features, with
    the penalty of the least leave-one-out error. Exact, but for rounding, where features are
    log-probabilities, or come before a linear classifier.

    Parameters
    ----------
    knowledge : Knowledge
        The fitted teacher, its features and its logits.

    Returns
    -------
    torch.nn.Linear
        In double precision on the CPU, without gradients.
    """
    teacher = knowledge.teacher
    if isinstance(teacher, NetworkTeacher):
        own = teacher.network_.module.head.state_dict()
        return _layer(own["weight"].cpu(), own["bias"].cpu())
    rows = np.linspace(0, len(knowledge.logits) - 1, min(len(knowledge.logits), MAX_ROWS))
    index = rows.astype(int)
    features, logits = (
        np.asarray(part[index], dtype=np.float64)
        for part in (knowledge.features, knowledge.logits)
    )
    return _nearest(features, logits - logits.mean(1, keepdims=True))


def _nearest(features: NDArray[Any], logits: NDArray[Any]) -> nn.Linear:
    mean, scale = features.mean(0), features.std(0)
    scale = np.where(scale > 1e-6 * max(scale.max(), 1e-12), scale, 1.0)
    fit = RidgeCV(PENALTIES).fit((features - mean) / scale, logits)
    weight = fit.coef_ / scale
    return _layer(torch.from_numpy(weight), torch.from_numpy(fit.intercept_ - weight @ mean))


def _layer(weight: torch.Tensor, bias: torch.Tensor) -> nn.Linear:
    n_classes, n_features = weight.shape
    layer = nn.utils.skip_init(nn.Linear, n_features, n_classes, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    return layer.requires_grad_(False)

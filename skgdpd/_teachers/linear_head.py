"""Linear layer that classifies the features of a teacher."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from torch import nn

from .teacher import NetworkTeacher, TeacherOutputs

PENALTIES = np.logspace(-6, 3, 10)
MAX_ROWS = 2048
"""Largest number of rows to which a layer is fitted; more rows change little."""


def linear_head(outputs: TeacherOutputs) -> nn.Linear:
    """Return a linear layer from a teacher's features to its logits.

    For a network, it is the network's last layer. For other teachers, it is a ridge regression of
    the logits on the features. The logits are centred over classes, and the penalty is the one
    with the least leave-one-out error. The regression is exact, up to rounding, if the features
    are log-probabilities or are followed by a linear classifier.

    Parameters
    ----------
    outputs : TeacherOutputs
        Fitted teacher with its features and logits.

    Returns
    -------
    torch.nn.Linear
        Layer in double precision on the CPU, without gradients.
    """
    teacher = outputs.teacher
    if isinstance(teacher, NetworkTeacher):
        own = teacher.network_.module.head.state_dict()
        return _layer(own["weight"].cpu(), own["bias"].cpu())
    known = outputs.logits if outputs.own_logits is None else outputs.own_logits
    index = np.linspace(0, len(known) - 1, min(len(known), MAX_ROWS)).astype(int)
    features, logits = (
        np.asarray(part[index], dtype=np.float64) for part in (outputs.features, known)
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

"""Closed-form starts that several candidates of a search share."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ..._fitting.preparation import FixedFit
from ..._fitting.rows import with_fixed
from ...nets.fixed import copy_trained
from ...nets.protocols import OneProjection, trains_one_projection
from ...nets.student import SeriesNet
from ...training import Rows

FITTED_ON = {"x", "lengths", "y", "weight", "target", "target_weight"}
"""Names of the tensors of training rows that affect the fixed part of a network."""


def fit_once(
    memory: Any, fit_fixed: FixedFit, module: SeriesNet, rows: Rows, seed: int
) -> tuple[Rows, NDArray[np.float64] | None]:
    """Fit the fixed part of a network, or copy it from a candidate with the same start.

    Parameters
    ----------
    memory : joblib.Memory
        Cache of starts.
    fit_fixed : callable
        Function that fits the fixed part.
    module : SeriesNet
        Network whose backbone and head are replaced.
    rows : Rows
        Training rows.
    seed : int
        Seed of the fit.

    Returns
    -------
    rows : Rows
        Training rows with their fixed features.
    left_out : ndarray of shape (n, n_classes) or None
        Leave-one-out probabilities: those of each row from classifiers fitted without the row.
    """
    if not trains_one_projection(module.backbone):
        return fit_fixed(module, rows, seed)
    known = {n: t.cpu().numpy() for n, t in rows.tensors.items() if n in FITTED_ON}
    backbone = cast(OneProjection, module.backbone)
    kind = f"{type(backbone).__module__}.{type(backbone).__qualname__}"
    settings = (kind, *backbone.settings, module.head.out_features)
    start = memory.cache(_fit_start, ignore=["module", "rows", "fit_fixed"])
    fitted, fixed, left_out = start(settings, known, seed, module, rows, fit_fixed)
    # Candidates train their own copies from the common start.
    own = copy_trained(fitted)
    module.backbone, module.head = own.backbone, own.head
    return with_fixed(module, rows, fixed), left_out


def _fit_start(
    settings: Any, known: Any, seed: int, module: SeriesNet, rows: Rows, fit_fixed: FixedFit
) -> tuple[SeriesNet, torch.Tensor, NDArray[np.float64] | None]:
    fitted, left_out = fit_fixed(module, rows, seed)
    return copy_trained(module), fitted.tensors["fixed"], left_out

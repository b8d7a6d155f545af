"""What a taught classifier's prior makes of series, for pictures."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from ..diffusion import Degradation, LearnedAlpha, LinearGaussian

Floats = NDArray[np.float64]

MIN_INFORMATION = 0.1
"""Least ratio of signal to noise in variance at which a measured direction is shown as measured;
one that is all noise would be thrown far off the picture."""


@dataclass(frozen=True)
class Restoration:
    """Features of the same series in the coordinates of a prior, its codes.

    Attributes
    ----------
    teacher : ndarray of shape (n, d)
        Of the whole series.
    student : ndarray of shape (n or 1, d)
        Where the student's features of the first parts lie before anything is restored.
    draws : ndarray of shape (n or 1, n_draws, d)
        What the prior draws for these.
    """

    teacher: Floats
    student: Floats
    draws: Floats


def restore(
    estimator: Any,
    X: Any,
    X_full: Any = None,
    *,
    n_draws: int = 5,
    random_state: int = 0,
    index: int | None = None,
) -> Restoration:
    """Ask a fitted classifier, its teacher and its prior about series.

    Parameters
    ----------
    estimator : GDPDClassifier or DistilledPrefixClassifier
        Fitted, with a diffusion prior. Of a search, its best estimator is asked.
    X : array-like of shape (n, n_channels, n_timepoints)
        Whole series.
    X_full : array-like of shape (n, n_channels_full, n_timepoints_full), optional
        The series whole, if ``X`` was a part of them in ``fit``, too.
    n_draws : int, default=5
        Draws for each series.
    random_state : int, default=0
        Seeds the draws.
    index : int, optional
        Draw for this series only; the student's features are then its alone, too.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If it isn't fitted.
    ValueError
        If it has no diffusion prior, or was saved without its teacher.
    """
    check_scalar(n_draws, "n_draws", Integral, min_val=1)
    check_is_fitted(estimator)
    estimator = getattr(estimator, "best_estimator_", estimator)
    distillation: Any = getattr(estimator, "distillation_", None)
    while hasattr(distillation, "inner"):
        distillation = distillation.inner
    degradation = getattr(distillation, "degradation", None)
    name = type(estimator).__name__
    if not isinstance(degradation, Degradation):
        raise ValueError(
            f"estimator={name} has no diffusion prior to draw from; give a fitted GDPDClassifier "
            f"or DistilledPrefixClassifier(GDPD(...)) (model files leave that out; joblib.dump "
            f"keeps it)"
        )
    prior = distillation.prior
    # A copy, for the latent may still be on the device that the student was trained on.
    degradation = copy.deepcopy(degradation).cpu()
    degradation.latent.cpu()
    whole = X if X_full is None else X_full
    teacher = prior.encode(estimator.teacher_.embed(whole))
    features = estimator.embed(X)
    if index is not None:
        features = features[[index]]
    observed = torch.as_tensor(features).to(degradation.latent.mean)
    generator = torch.Generator().manual_seed(random_state)
    with torch.no_grad():
        draws = degradation.draw(observed, n_draws, generator).transpose(0, 1)
        placed = _place(degradation, observed)
    return Restoration(teacher, placed, draws.double().numpy())


def _place(degradation: Degradation, observed: torch.Tensor) -> Floats:
    """Where observed features lie among codes as far as the degradation knows."""
    if isinstance(degradation, LearnedAlpha):
        return degradation.map(observed).double().numpy()
    latent = degradation.latent
    mean = latent.mean.double().cpu().numpy()
    known = getattr(degradation, "measurement", None)
    if known is None:  # says nothing of them
        return np.repeat(mean[None], len(observed), 0)
    return least_squares(
        observed.double().numpy(), known, mean, latent.covariance.double().numpy()
    )


def least_squares(
    observed: Floats, known: LinearGaussian, mean: Floats, covariance: Floats
) -> Floats:
    """Codes that fit a measurement best, at the mean in directions of which it says nothing.

    Parameters
    ----------
    observed : ndarray of shape (n, dS)
        Measured features.
    known : LinearGaussian
        How they depend on codes.
    mean : ndarray of shape (d,)
        Of the codes.
    covariance : ndarray of shape (d, d)
        Of the codes.

    Returns
    -------
    ndarray of shape (n, d)
    """
    spectrum, axes = np.linalg.eigh(covariance)
    root = axes * np.sqrt(np.maximum(spectrum, 0))
    scaled = known.A @ root
    weighted = np.linalg.solve(known.R, scaled)
    information, directions = np.linalg.eigh(scaled.T @ weighted)
    clear = information > MIN_INFORMATION
    directions = directions[:, clear]
    surprise = observed - known.b - known.A @ mean
    estimate = surprise @ weighted @ directions / information[clear]
    return mean + estimate @ (root @ directions).T

"""Features and posterior draws of a fitted classifier, for plotting."""

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

from ..diffusion import LearnedAlpha, LinearGaussian, PosteriorSampler

Floats = NDArray[np.float64]

MIN_INFORMATION = 0.1
"""Smallest signal-to-noise ratio, as a ratio of variances, at which a direction is estimated.

The estimate of a direction with more noise would lie far outside the plot.
"""


@dataclass(frozen=True)
class Restoration:
    """Features and posterior draws of series, in the coordinates of a prior (its codes).

    Attributes
    ----------
    teacher : ndarray of shape (n, d)
        Teacher features of the whole series.
    student : ndarray of shape (n or 1, d)
        Student features of the prefixes, mapped to codes without the prior.
    draws : ndarray of shape (n or 1, n_draws, d)
        Posterior draws given the student features.
    """

    teacher: Floats
    student: Floats
    draws: Floats


def restore(
    estimator: Any,
    X: Any,
    X_teacher: Any = None,
    *,
    n_draws: int = 5,
    random_state: int = 0,
    index: int | None = None,
) -> Restoration:
    """Compute teacher features, student features and posterior draws of series.

    Parameters
    ----------
    estimator : GDPDClassifier or DistilledPrefixClassifier
        Fitted classifier with a diffusion prior. If a search is given, its best estimator is used.
    X : array-like of shape (n, n_channels, n_timepoints)
        Series in the same form as for ``fit``.
    X_teacher : array-like of shape (n, n_channels_teacher, n_timepoints_teacher), optional
        Whole series, if the classifier was fitted with ``X_teacher``.
    n_draws : int, default=5
        Number of draws for each series.
    random_state : int, default=0
        Seed of the draws.
    index : int, optional
        Index of a single series for which student features and draws are computed. By default
        they are computed for all series.

    Returns
    -------
    Restoration

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the classifier is not fitted.
    ValueError
        If the classifier has no diffusion prior, or was saved without its teacher.
    """
    check_scalar(n_draws, "n_draws", Integral, min_val=1)
    check_is_fitted(estimator)
    estimator = getattr(estimator, "best_estimator_", estimator)
    distillation: Any = getattr(estimator, "distillation_", None)
    while hasattr(distillation, "inner"):
        distillation = distillation.inner
    degradation = getattr(distillation, "degradation", None)
    name = type(estimator).__name__
    if not isinstance(degradation, PosteriorSampler):
        raise ValueError(
            f"estimator={name} has no diffusion prior to draw from; give a fitted GDPDClassifier "
            f"or DistilledPrefixClassifier(GDPD(...)) (model files don't hold the prior; "
            f"joblib.dump keeps it)"
        )
    prior = distillation.prior
    # A copy, because the latent may still be on the device that the student was trained on.
    degradation = copy.deepcopy(degradation).cpu()
    degradation.latent.cpu()
    whole = X if X_teacher is None else X_teacher
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


def _place(degradation: PosteriorSampler, observed: torch.Tensor) -> Floats:
    """Map student features to codes by the degradation's model, without the prior."""
    if isinstance(degradation, LearnedAlpha):
        return degradation.map(observed).double().numpy()
    latent = degradation.latent
    mean = latent.mean.double().cpu().numpy()
    known = getattr(degradation, "measurement", None)
    if known is None:  # the control method has no model of student features
        return np.repeat(mean[None], len(observed), 0)
    return least_squares(
        observed.double().numpy(), known, mean, latent.covariance.double().numpy()
    )


def least_squares(
    observed: Floats, known: LinearGaussian, mean: Floats, covariance: Floats
) -> Floats:
    """Return the codes with the best fit to student features, by generalised least squares.

    In directions without enough information in the student features, a code is set to the mean.

    Parameters
    ----------
    observed : ndarray of shape (n, dS)
        Student features.
    known : LinearGaussian
        Measurement model of student features given codes.
    mean : ndarray of shape (d,)
        Mean of the codes.
    covariance : ndarray of shape (d, d)
        Covariance of the codes.

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

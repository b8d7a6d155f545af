"""Paths of probabilities whose truth is known."""

import numpy as np

from skgdpd.stopping import decision_cost


def gaussian_paths(n, n_moments=6, n_classes=3, shift=0.7, seed=0):
    """Posterior probabilities of series whose points are noise about their class, and classes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n)
    x = rng.normal(size=(n, n_moments, n_classes))
    x += shift * (np.arange(n_classes) == y[:, None])[:, None]
    logits = shift * np.cumsum(x, axis=1)
    path = np.exp(logits - logits.max(2, keepdims=True))
    return path / path.sum(2, keepdims=True), y


def ragged(path, seed=0):
    """The same paths, each ended at a drawn moment."""
    n, n_moments = path.shape[:2]
    last = np.random.default_rng(seed).integers(n_moments, size=n)
    return np.where(np.arange(n_moments)[:, None] > last[:, None, None], np.nan, path)


def setting(n_moments=6, n_classes=3, delay=0.4, errors=None):
    """Costs, and the moments that they are of."""
    points = list(range(2, 2 * n_moments + 1, 2))
    cost = decision_cost(delay, errors, points, points[-1], range(n_classes))
    return cost, {"time_points": points, "n_timepoints": points[-1]}


def random_errors(rng, high, n_classes=3):
    """Costs of errors, none of which is cheaper than the right answer."""
    errors = rng.uniform(0, high, size=(n_classes, n_classes))
    np.fill_diagonal(errors, errors.min(1) * rng.uniform(size=n_classes))
    return errors

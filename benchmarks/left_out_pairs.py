"""Pairs of student and teacher features of series on which neither network was trained.

Student and teacher are trained again, each time without one fold of the series. Networks that were
trained apart have coordinates of their own. The features of each are therefore turned, by an
orthogonal matrix, to those of the final networks, on the series on which both were trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes
from sklearn.base import clone

from skgdpd._fitting.cross_fitting import N_FOLDS, fold_numbers
from skgdpd.diffusion import LinearGaussian, LinearMeasurement
from skgdpd.distillers import GDPD, DistillationContext
from skgdpd.distillers.gdpd import GDPDDistillation

Array = NDArray[Any]


def turned(by_fold: Array, numbers: Array, own: Array) -> Array:
    """Return left-out features in the coordinates of the final network.

    Parameters
    ----------
    by_fold : ndarray of shape (n_folds, n, d)
        Features of all rows by the network that was trained without each fold.
    numbers : ndarray of shape (n,)
        Fold number of each row.
    own : ndarray of shape (n, d)
        Features of all rows by the final network.

    Returns
    -------
    ndarray of shape (n, d)
        Features of each row by the network that was trained without it, turned and moved to the
        final network's features of the other folds' rows. Directions in which these rows do not
        vary are turned arbitrarily.
    """
    own = own.astype(np.float64)
    found = np.empty_like(own)
    for k, features in enumerate(by_fold):
        out = numbers == k
        if not out.any():
            continue
        z = features.astype(np.float64)
        mean, target = z[~out].mean(0), own[~out].mean(0)
        turn, _ = orthogonal_procrustes(z[~out] - mean, own[~out] - target)
        found[out] = (z[out] - mean) @ turn + target
    return found


@dataclass(frozen=True)
class FoldFeatures:
    """Features of a fit's rows by networks that were trained without one fold each.

    Attributes
    ----------
    numbers : ndarray of shape (n,)
        Fold number of each row: first the labelled series, then the unlabelled ones.
    student : ndarray of shape (n_folds, n, dS)
        Features of all rows by the student without each fold.
    teacher : ndarray of shape (n_folds, n, dT)
        Features of all rows by the teacher without each fold.
    """

    numbers: Array
    student: Array
    teacher: Array


def fold_features(clf: Any, X: Array, y: Array, pool: Array | None, seed: int) -> FoldFeatures:
    """Fit a student and its teacher without each fold, and return the features of all series.

    Parameters
    ----------
    clf : DistilledPrefixClassifier
        Unfitted classifier, of which clones are fitted.
    X : ndarray of shape (n, n_channels, n_timepoints)
        Labelled series.
    y : ndarray of shape (n,)
        Labels.
    pool : ndarray of shape (m, n_channels, n_timepoints) or None
        Unlabelled series, which are divided into the folds, too.
    seed : int
        Seed of the folds.

    Returns
    -------
    FoldFeatures
    """
    n, codes = len(y), np.unique(y, return_inverse=True)[1]
    every = X if pool is None else np.concatenate([X, pool])
    # Unlabelled series count as one more class.
    classes = np.append(codes, np.full(len(every) - n, codes.max() + 1))
    numbers = fold_numbers(classes, N_FOLDS, seed)
    student, teacher = [], []
    for k in range(N_FOLDS):
        kept = numbers != k
        rest = None if pool is None else pool[kept[n:]]
        own = clone(clf).fit(X[kept[:n]], y[kept[:n]], rest)
        student.append(own.embed(every))
        teacher.append(own.teacher_.embed(every))
    return FoldFeatures(numbers, np.stack(student), np.stack(teacher))


class LeftOutDistillation(GDPDDistillation):
    """Distillation of :class:`LeftOutPairs`."""

    folds: FoldFeatures
    teacher_features: Array

    def use(self, folds: FoldFeatures, teacher_features: Array) -> None:
        """Set the features of the rows.

        Parameters
        ----------
        folds : FoldFeatures
            Features by networks that were trained without one fold each.
        teacher_features : ndarray of shape (n, dT)
            Features by the final teacher.
        """
        self.folds, self.teacher_features = folds, teacher_features

    def measure(self, features: Array) -> LinearGaussian:
        """Return the measurement model of the left-out features.

        Parameters
        ----------
        features : ndarray of shape (n, dS)
            Features of the rows by the student in training, to which those of the folds' students
            are turned.

        Returns
        -------
        LinearGaussian
        """
        codes, left_out = self._pairs(self.folds, features)
        return LinearMeasurement(codes).fit(left_out)

    def noise(self) -> dict[str, float]:
        """Return how well the teacher's features explain those of the student, by kinds of pairs.

        Returns
        -------
        dict of str to float
            At the last calibration, "noise" is the variance of the noise R as a share of the
            variance of the student's features, and "variance" that variance as a share of the
            training student's. They are followed by the pairs: "own" of the final networks, which
            were trained on all rows; "left_out" of the networks that were not trained on a row;
            "turned" of networks of other folds, which were, and so show what the turn changes.
        """
        own = self.calibrated.double().cpu().numpy()
        codes = self.prior.encode(self.teacher_features)
        arrays = (self.folds.student, self.folds.teacher)
        others = FoldFeatures(self.folds.numbers, *(np.roll(f, 1, axis=0) for f in arrays))
        kinds = {
            "own": (codes, own),
            "turned": self._pairs(others, own),
            "left_out": self._pairs(self.folds, own),
        }
        found = {}
        for name, (z, y) in kinds.items():
            variance = y.var(0).sum()
            found[f"noise_{name}"] = float(np.trace(LinearMeasurement(z).fit(y).R) / variance)
            found[f"variance_{name}"] = float(variance / own.var(0).sum())
        return found

    def _pairs(self, folds: FoldFeatures, own: Array) -> tuple[Array, Array]:
        """Return codes of the teacher's features, and the student's features."""
        z = turned(folds.teacher, folds.numbers, self.teacher_features)
        codes = self.prior.encode(z.astype(self.teacher_features.dtype))
        return codes, turned(folds.student, folds.numbers, own)


class LeftOutPairs(GDPD):
    """GDPD whose measurement model is calibrated on pairs of left-out features.

    Parameters
    ----------
    prior : DiffusionFeaturePrior
        Unfitted prior, of which the degradation has a measurement model.
    hinton_weight : float, default=0.0
        Weight of an additional Hinton term, as that of GDPD.
    folds : FoldFeatures, optional
        Features of the series of the fit, which must all be training rows.
    """

    distillation_class = LeftOutDistillation

    def __init__(
        self, prior: Any, hinton_weight: float = 0.0, folds: FoldFeatures | None = None
    ) -> None:
        super().__init__(prior, hinton_weight=hinton_weight)
        self.folds = folds

    def prepare(self, context: DistillationContext) -> GDPDDistillation:
        """Fit the prior as GDPD does, and take the pairs.

        Parameters
        ----------
        context : DistillationContext
            Training rows and services.

        Returns
        -------
        LeftOutDistillation

        Raises
        ------
        ValueError
            If the features are not those of the training rows.
        """
        features = context.rows.tensors["teacher_features"]
        if self.folds is None or len(self.folds.numbers) != len(features):
            given = "None" if self.folds is None else f"features of {len(self.folds.numbers)} rows"
            raise ValueError(
                f"folds={given}, and the training has {len(features)} rows; give the "
                f"FoldFeatures of these"
            )
        distillation = super().prepare(context)
        assert isinstance(distillation, LeftOutDistillation)
        distillation.use(self.folds, features.cpu().numpy())
        return distillation

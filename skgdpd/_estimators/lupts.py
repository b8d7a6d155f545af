"""Linear classifier that learns from the time points between prefix and label (LuPTS)."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import Tags, assert_all_finite
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from .._fitting.chain import RANK, Floats, LinearMap, chain_map, ridge_map
from .._fitting.data import checked_series, read_unlabelled
from .._fitting.network import softmax
from .._persistence import Saveable
from .._runtime.arguments import about
from .._runtime.doc_links import LinksToDocs
from .._runtime.log_probabilities import log_probabilities
from .._runtime.parameters import PlainNumbers
from .._runtime.random import RandomState, Seeds
from .._series.frames import check_fitted_names, set_names
from .._series.panel import Panel, check_channels, read_panel
from .._series.truncation import moments_of
from .._series.unlabeled import check_equally_many, refuse_marked
from ..nets.closed_form import PENALTIES, likeliest_scale
from ..nets.minirocket import MiniRocket
from .base import check_seen

N_FOLDS = 5
"""Largest number of folds for held-out scores."""
SHARES = np.linspace(0, 1, 11)
"""Candidate weights of the chain."""


ROUNDING = 1e-7
"""Deviation, as a fraction of the mean, that counts as rounding in single precision."""


class Projection(NamedTuple):
    """Standardised features as coordinates of the space that the training rows span.

    Attributes
    ----------
    mean, scale : ndarray of shape (n_features,)
        Values that are subtracted from the features, and divisors of the differences.
    basis : ndarray of shape (n_features, n_coordinates) or None
        Directions of the coordinates; None if the features themselves are the coordinates.
    """

    mean: Floats
    scale: Floats
    basis: Floats | None

    def __call__(self, features: NDArray[Any]) -> Floats:
        """Return the coordinates of features ``(n, n_features)``."""
        standard = (features - self.mean) / self.scale
        return standard if self.basis is None else standard @ self.basis


def fit_projection(features: NDArray[Any]) -> Projection:
    """Return the projection of training rows ``(n, n_features)``."""
    mean, scale = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
    varies = scale > ROUNDING * np.abs(mean)
    plain = Projection(mean, np.where(varies, scale, 1.0) * features.shape[1] ** 0.5, None)
    if features.shape[1] <= len(features):
        return plain
    # The rotation leaves a ridge regression unchanged.
    _, sizes, right = np.linalg.svd(plain(features), full_matrices=False)
    return plain._replace(basis=right[sizes > RANK * max(sizes.max(), RANK)].T)


def check_complete(panel: Panel, name: str) -> Panel:
    """Return checked series, of which none may have a missing value before its end."""
    # Gaps are refused here, since the usual error names a parameter that the classifier lacks.
    checked = checked_series(panel, name, "mask")
    missing = np.isnan(np.asarray(checked.values)).any((1, 2))
    if missing.any() and not checked.ragged:
        raise ValueError(
            f"{name} contains NaN, first in series {int(missing.argmax())}; LuPTSClassifier takes "
            f"no missing values, so fill them, or leave such series out"
        )
    return checked


class PrefixScores:
    """Fitted map from prefixes to logits.

    Parameters
    ----------
    shape : tuple of int
        Numbers of channels and of time points of a prefix.
    rocket : MiniRocket or None
        Transform that computes the features; None if the values are the features.
    projection : Projection
        Map from features to coordinates.
    linear : LinearMap
        Map from coordinates to logits.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        rocket: MiniRocket | None,
        projection: Projection,
        linear: LinearMap,
    ) -> None:
        self.shape = shape
        self.rocket = rocket
        self.projection = projection
        self.linear = linear

    def __call__(self, values: NDArray[np.float32]) -> Floats:
        """Return the logits of prefixes ``(n, n_channels, n_timepoints)``."""
        features = values.reshape(len(values), -1)
        if self.rocket is not None:
            features = self.rocket(torch.from_numpy(values)).numpy()
        logits = self.linear(self.projection(features))
        if not np.isfinite(logits).all():
            bad = int(np.flatnonzero(~np.isfinite(logits).all(1))[0])
            raise ValueError(
                f"X has a series, series {bad}, whose scores are not finite; its values or the "
                f"classifier's are too extreme"
            )
        return logits


class LuPTSClassifier(LinksToDocs, PlainNumbers, Saveable, ClassifierMixin, BaseEstimator):
    r"""Linear classifier of prefixes that learns from the time points after them (LuPTS).

    A series has features :math:`\phi_1, ..., \phi_M` at M moments, from the end of the prefix to
    the end of the series. Ridge regressions :math:`A_m` predict the features at each moment from
    those at the moment before. A last regression :math:`\beta` predicts the label from
    :math:`\phi_M`. This chain gives a prefix the scores :math:`\phi_1 A_1 \cdots A_{M-1} \beta`.
    The maps between moments need no labels, so they also learn from unlabelled series. The final
    scores blend the chain with a direct ridge regression of the labels on :math:`\phi_1`.

    Parameters
    ----------
    earliness : float, default=0.3
        Fraction of the length of the training series that is seen at prediction, in (0, 1].
    n_moments : int, default=4
        Number M of moments, evenly spaced between the prefix and the whole series. 1 gives the
        direct ridge regression alone. The default keeps the steps of the chain short and few.
    features : {"values", "rocket"}, default="values"
        Features at a moment. ``"values"`` are the values since the moment before, as in the
        paper. ``"rocket"`` are MiniRocket features of all values so far, which need more series
        than ``"values"`` on linear systems.
    penalty : float or "left-out", default="left-out"
        Penalty of the ridge regressions. Features are standardised, and rows scaled to a mean
        squared length of 1. ``"left-out"`` chooses, for each regression, the penalty with the
        least leave-one-out error. 0 is least squares, to which the theory applies.
    share : float or "left-out", default="left-out"
        Weight of the chain in the scores, in [0, 1]; the direct regression has the remaining
        weight. ``"left-out"`` chooses the weight with the least log loss on held-out labelled
        series. This guards against chains that lose information about the label.
    random_state : int, RandomState instance or None, default=None
        Source of the seeds of the folds and of MiniRocket.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels in ascending order.
    time_points_ : ndarray of shape (n_moments,)
        Number of time points at each moment. Short series have fewer than ``n_moments`` moments.
    prefix_length_ : int
        Number of time points that are seen at prediction.
    share_ : float
        Weight of the chain in the scores.
    n_channels_in_, n_timepoints_in_ : int
        Number of channels and number of time points of the training series.
    n_features_in_ : int
        Number of channels after a fit on 3-D series; number of time points after a fit on 2-D
        series.
    feature_names_in_ : ndarray of shape (n_names,)
        Names of the columns of X, which later frames must have too. It exists only after a fit on
        a data frame whose column names are all strings.

    Notes
    -----
    In linear Gaussian systems, the expected risk of the least-squares chain (``penalty=0``,
    ``share=1``) is not larger than the risk of the direct regression. This is not proved for
    ridge regressions. All series must have the same length and no missing values.

    References
    ----------
    R. Karlsson et al., "Using time-series privileged information for provably efficient learning
    of prediction models", AISTATS 2022, arXiv 2110.14993. B. Jung, F. Johansson, "Efficient
    learning of nonlinear prediction models with time-series privileged information", NeurIPS
    2022, arXiv 2209.07067.

    Examples
    --------
    >>> from skgdpd import LuPTSClassifier
    >>> from skgdpd.datasets import make_bumps
    >>> X, y = make_bumps(60, 40, random_state=0)
    >>> clf = LuPTSClassifier(earliness=0.5, random_state=0).fit(X[:40], y[:40])
    >>> clf.time_points_.tolist()
    [20, 26, 33, 40]
    >>> clf.predict_proba(X[40:, :, :20]).shape
    (20, 2)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "earliness": [Interval(Real, 0, 1, closed="right")],
        "n_moments": [Interval(Integral, 1, None, closed="left")],
        "features": [StrOptions({"values", "rocket"})],
        "penalty": [Interval(Real, 0, None, closed="left"), StrOptions({"left-out"})],
        "share": [Interval(Real, 0, 1, closed="both"), StrOptions({"left-out"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        earliness: float = 0.3,
        n_moments: int = 4,
        features: str = "values",
        penalty: float | str = "left-out",
        share: float | str = "left-out",
        random_state: RandomState = None,
    ) -> None:
        self.earliness = earliness
        self.n_moments = n_moments
        self.features = features
        self.penalty = penalty
        self.share = share
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def fit(self, X: Any, y: ArrayLike, X_unlabeled: Any = None) -> LuPTSClassifier:
        """Fit the maps between moments and the map to the labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Whole labelled series of equal length.
        y : array-like of shape (n_samples,)
            Labels. Each class needs at least two series.
        X_unlabeled : array-like of shape (n_unlabeled, n_channels, n_timepoints), optional
            Whole series without a label, from which the maps between moments learn.

        Returns
        -------
        LuPTSClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            If series differ in length or have missing values, if a label is missing, if there are
            fewer than two classes, or if a class has only one series.
        """
        self._validate_params()
        panel = check_complete(read_panel(X), "X")
        validate_data(self, X if panel.flat else panel.values, skip_check_array=True)
        set_names(self, X, panel.flat)
        if y is None:
            raise ValueError("LuPTSClassifier requires y to be passed, but the target y is None")
        labels = refuse_marked(
            y, None, "LuPTSClassifier takes series without a label as X_unlabeled"
        )
        with about("y"):
            assert_all_finite(labels, input_name="y")
            check_classification_targets(labels)
        check_equally_many(labels, len(panel))
        classes, numbers = np.unique(labels, return_inverse=True)
        counts = np.bincount(numbers)
        if len(classes) < 2 or counts.min() < 2:
            rare = classes[counts < 2].tolist()
            raise ValueError(
                f"y has {len(classes)} class(es), of which {rare} have one series; there must be "
                f"two classes at least, each of two series at least"
            )
        panels = [panel]
        if X_unlabeled is not None:
            others = read_unlabelled(panel, X_unlabeled, "mask")
            panels.append(check_complete(others, "X_unlabeled"))
        for name, own in zip(("X", "X_unlabeled"), panels, strict=False):
            if own.ragged:
                raise ValueError(f"{name} has series of unequal length; all must be equally long")
        values = np.concatenate([np.asarray(own.values, dtype=np.float32) for own in panels])
        self.n_channels_in_, self.n_timepoints_in_ = values.shape[1:]
        first = self.earliness
        parts = np.linspace(first, 1.0, self.n_moments).tolist() if self.n_moments > 1 else [first]
        self.time_points_ = np.unique(moments_of(sorted(set(parts)), values.shape[2]))
        self.prefix_length_ = int(self.time_points_[0])
        self.classes_ = classes
        seeds = Seeds(self.random_state)
        raw, rocket = self._make_features(values, seeds("features"))
        projections = [fit_projection(features) for features in raw]
        states = [own(features) for own, features in zip(projections, raw, strict=True)]
        linear = self._fit_maps(states, numbers, seeds("folds"))
        shape = self.n_channels_in_, self.prefix_length_
        self._scores = PrefixScores(shape, rocket, projections[0], linear)
        return self

    def _fit_maps(self, states: Sequence[Floats], y: NDArray[np.int64], seed: int) -> LinearMap:
        penalties = PENALTIES.tolist() if isinstance(self.penalty, str) else [float(self.penalty)]
        target = np.eye(len(self.classes_))[y]
        signs, known = 2 * target - 1, np.arange(len(y))

        def both(rows: NDArray[np.int64], kept: NDArray[np.int64]) -> list[LinearMap]:
            # Rows of all series that stay, and among them the places of the labelled ones.
            own = [state[kept] for state in states]
            direct = ridge_map(states[0][rows], signs[rows], penalties)
            return [direct, chain_map(own, signs[rows], np.arange(len(rows)), penalties)]

        others = np.arange(len(y), len(states[0]))
        left_out = np.empty((2, *signs.shape))
        folds = StratifiedKFold(
            min(N_FOLDS, int(np.bincount(y).min())), shuffle=True, random_state=seed
        )
        for rows, test in folds.split(y, y):
            maps = both(rows, np.concatenate([rows, others]))
            left_out[:, test] = [own(states[0][test]) for own in maps]
        shares = SHARES if isinstance(self.share, str) else np.array([float(self.share)])
        blends = [torch.from_numpy((1 - a) * left_out[0] + a * left_out[1]) for a in shares]
        found = [likeliest_scale(blend, torch.from_numpy(target)) for blend in blends]
        best = int(np.argmin([loss for _, loss in found]))
        self.share_, scale = float(shares[best]), found[best][0]
        direct, chain = both(known, np.arange(len(states[0])))
        a = self.share_
        return LinearMap(
            scale * ((1 - a) * direct.weight + a * chain.weight),
            scale * ((1 - a) * direct.bias + a * chain.bias),
        )

    def _make_features(
        self, values: NDArray[np.float32], seed: int
    ) -> tuple[list[NDArray[Any]], MiniRocket | None]:
        """Return the features at each moment, and the first transform (None for values)."""
        n, starts = len(values), [0, *self.time_points_[:-1]]
        if self.features == "values":
            moments = zip(starts, self.time_points_, strict=True)
            return [values[:, :, start:end].reshape(n, -1) for start, end in moments], None
        rockets, found = [], []
        for end in self.time_points_:
            x = torch.from_numpy(np.ascontiguousarray(values[:, :, :end]))
            rockets.append(MiniRocket(x.shape[1], int(end)).fit(x, None, seed))
            found.append(rockets[-1](x).numpy())
        return found, rockets[0]

    def decision_function(self, X: Any) -> Floats:
        """Return the scores of series, computed from their first part.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Series with at least ``prefix_length_`` time points. Later time points have no effect.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            Logits, whose softmax is ``predict_proba``. With two classes, the array holds the
            logit of the second class minus the logit of the first. Its sigmoid is the probability
            of the second class.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the classifier is not fitted.
        ValueError
            If a series is too short or has missing values in its first part, if the channels
            differ from those in ``fit``, or if a score is not finite.
        """
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def _logits(self, X: Any) -> Floats:
        check_is_fitted(self)
        panel = read_panel(X)
        check_seen(self, X, panel)
        check_channels(panel, self.n_channels_in_, self)
        check_fitted_names(self, X, panel.flat)
        if panel.n_timepoints < self.prefix_length_:
            raise ValueError(
                f"X has series of {panel.n_timepoints} time points; the first "
                f"{self.prefix_length_} are needed"
            )
        seen = check_complete(
            Panel(np.asarray(panel.values)[:, :, : self.prefix_length_], panel.flat), "X"
        )
        # Points that no series has are cut off.
        if seen.ragged or seen.n_timepoints < self.prefix_length_:
            raise ValueError(
                f"X has a series of fewer than {self.prefix_length_} time points, which are needed"
            )
        return self._scores(np.ascontiguousarray(seen.values, dtype=np.float32))

    def predict_proba(self, X: Any) -> Floats:
        """Return the class probabilities of series, predicted from their first part.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Series, as for :meth:`decision_function`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, with columns in the order of ``classes_``.
        """
        return softmax(self._logits(X))

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the logarithms of the class probabilities of series.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            As in :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Natural logarithms of ``predict_proba``, in the order of ``classes_``. A probability
            of 0 gives minus infinity.
        """
        return log_probabilities(self.predict_proba(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the predicted labels of series.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Series, as for :meth:`decision_function`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Label of the most probable class of each series.
        """
        logits = self._logits(X)
        return self.classes_[logits.argmax(1)]

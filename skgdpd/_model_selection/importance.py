"""Permutation importance of time windows and channels."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import check_scoring
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted

from .._runtime.random import RandomState
from .._series.frames import aligned, names_of
from .._series.panel import own_lengths, read_panel
from .._series.unlabeled import refuse_marked

Floats = NDArray[np.float64]

USUAL_WINDOWS = 10
"""Number of windows of "auto", where there are as many time points."""


@dataclass(frozen=True)
class WindowImportance:
    """Loss of a classifier's score when a window of a channel is permuted.

    Attributes
    ----------
    importances : ndarray of shape (n_channels, n_windows, n_repeats)
        Score of the original series minus the score with a permuted window of a channel.
    edges : ndarray of int of shape (n_windows + 1,)
        Time points at which windows begin, and the end of the last window.
    score : float
        Score of the original series.
    channels : tuple of str
        Names of the channels from a data frame, or their indices.
    """

    importances: Floats
    edges: NDArray[np.int64]
    score: float
    channels: tuple[str, ...]

    @property
    def mean(self) -> Floats:
        """Mean importance over repeats, ``(n_channels, n_windows)``."""
        return np.asarray(self.importances.mean(axis=2))

    @property
    def std(self) -> Floats:
        """Standard deviation of the importance over repeats, ``(n_channels, n_windows)``."""
        return np.asarray(self.importances.std(axis=2))


def window_importance(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    n_windows: int | str = "auto",
    n_repeats: int = 5,
    scoring: Any = None,
    random_state: RandomState = None,
) -> WindowImportance:
    """Return the permutation importance of time windows and channels for a classifier's score.

    The values in a window of one channel are permuted among the series, and everything else is
    kept. The values in the window then carry no information about the class. The importance of
    the window is the resulting loss of score.

    Parameters
    ----------
    estimator : classifier
        Fitted classifier of series. If it has an attribute ``prefix_length_``, the windows divide
        the prefix, otherwise the whole series.
    X : array-like of shape (n_samples, n_channels, n_timepoints)
        Series that were not used in the fit, because the classifier may have memorised its
        training series.
    y : array-like of shape (n_samples,)
        Labels of the series.
    n_windows : int or "auto", default="auto"
        Number of windows. Their lengths differ by at most one time point. "auto" is 10, or the
        number of time points seen if that is smaller.
    n_repeats : int, default=5
        Number of permutations of each window. Their spread shows whether an importance may be due
        to chance.
    scoring : str, callable or None, default=None
        Score, as in scikit-learn. None means the method ``score`` of the estimator.
    random_state : int, RandomState instance or None, default=None
        Seed of the permutations.

    Returns
    -------
    WindowImportance

    Raises
    ------
    TypeError
        If ``estimator`` is none, for instance because the arguments are in another order.
    ValueError
        If there are more windows than time points, if a label is missing, if there are fewer than
        two series, or if a series ends within the windows, because a permutation would move its
        end, too.

    See Also
    --------
    skgdpd.plotting.ImportanceDisplay : Plot of the importances.

    Notes
    -----
    If several windows or channels carry the same information, each of them may look unimportant,
    because the others replace it. Fewer and longer windows show their joint importance. A permuted
    series may be unlike any real series, and the prediction for it is then arbitrary.

    References
    ----------
    L. Breiman, "Random forests", Machine Learning 45, 2001.

    Examples
    --------
    >>> from skgdpd import PrefixClassifier, window_importance
    >>> from skgdpd.datasets import make_bumps
    >>> X, y = make_bumps(80, 20, random_state=0)
    >>> clf = PrefixClassifier("rocket", earliness=1.0, max_epochs=0, random_state=0)
    >>> clf = clf.fit(X[:40], y[:40])
    >>> found = window_importance(clf, X[40:], y[40:], n_windows=2, random_state=0)
    >>> found.edges
    array([ 0, 10, 20])
    >>> bool(found.mean[0, 1] > found.mean[0, 0])  # the large bump is late
    True
    """
    if not hasattr(estimator, "predict"):
        raise TypeError(
            f"estimator is a {type(estimator).__name__}; it must be a fitted classifier, as in "
            f"window_importance(clf, X, y)"
        )
    check_is_fitted(estimator)
    if isinstance(n_windows, str) and n_windows != "auto":
        raise ValueError(f"n_windows={n_windows!r} must be 'auto' or a whole number of 1 or more")
    if not isinstance(n_windows, str):
        check_scalar(n_windows, "n_windows", Integral, min_val=1)
    check_scalar(n_repeats, "n_repeats", Integral, min_val=1)
    panel = read_panel(X)
    labels = refuse_marked(aligned(X, y, "y"))
    if len(labels) != len(panel) or len(panel) < 2:
        raise ValueError(
            f"X has {len(panel)} series and y {len(labels)} labels; they must be equally "
            f"many, and two at least"
        )
    values = np.array(panel.values[: len(panel)])
    seen = getattr(estimator, "prefix_length_", None) or values.shape[2]
    end = min(int(seen), values.shape[2])
    number = min(USUAL_WINDOWS, end) if isinstance(n_windows, str) else n_windows
    if number > end:
        raise ValueError(f"n_windows={number} must be at most {end}, the time points seen")
    if values.dtype.kind == "f":
        lengths = own_lengths(np.isnan(values[:, :, :end]))
        if (lengths < end).any():
            series = int((lengths < end).argmax())
            raise ValueError(
                f"series {series} of X ends after {lengths[series]} of the {end} time points of "
                f"the windows; leave such series out"
            )
    scorer = check_scoring(estimator, scoring)
    score = float(scorer(estimator, X, labels))
    edges = np.rint(np.linspace(0, end, number + 1)).astype(np.int64)
    rng = check_random_state(random_state)
    losses = np.empty((values.shape[1], number, n_repeats))
    for channel, window, repeat in np.ndindex(losses.shape):
        own = values[:, channel, edges[window] : edges[window + 1]]
        before = own.copy()
        own[:] = before[rng.permutation(len(own))]
        permuted = values[:, 0] if panel.flat else values
        losses[channel, window, repeat] = score - scorer(estimator, permuted, labels)
        own[:] = before
    names = None if panel.flat else names_of(X)
    if names is None or len(names) != values.shape[1]:
        names = tuple(str(i) for i in range(values.shape[1]))
    return WindowImportance(losses, edges, score, names)

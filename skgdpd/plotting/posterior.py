"""PosteriorDisplay: a plot of posterior draws for one series, for growing prefixes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA
from sklearn.utils.validation import check_is_fitted

from .restoration import restore
from .style import COLORS, new_axes

Floats = NDArray[np.float64]


class PosteriorDisplay:
    """Plot of posterior draws for one series, with one column for each earliness.

    The vertical axis is the first principal component of the teacher's features, in standard
    deviations from their mean. A diamond marks the teacher's feature of the whole series. A box
    contains the middle half of the draws, and its line is their median.

    The spread of the draws stands below each column. It is the root mean square distance of the
    draws from their mean, divided by the same distance of the teacher's features. A spread of 1
    is as large as that of the teacher's features, and a spread of 0 means certainty.

    Parameters
    ----------
    parts : sequence of float of length n_parts
        Seen shares of the series, in (0, 1].
    draws : sequence of array-like of shape (n_draws, d)
        Posterior draws for the series, with one array for each share.
    features : sequence of array-like of shape (n, d)
        Teacher features of many series in the coordinates of the draws, with one array for each
        share.
    own : sequence of array-like of shape (d,)
        Teacher feature of the series, with one array for each share.

    Attributes
    ----------
    heights_ : list of ndarray of shape (n_draws,)
        Vertical coordinates of the draws, from the smallest share to the largest.
    own_ : ndarray of shape (n_parts,)
        Vertical coordinates of the series' teacher feature.
    spreads_ : ndarray of shape (n_parts,)
        Spreads of the draws.
    ax_ : matplotlib.axes.Axes
        Axes of the plot.
    figure_ : matplotlib.figure.Figure
        Figure of the axes.

    Notes
    -----
    The spread measures uncertainty only if the draws come from a posterior distribution. This is
    the case with the degradation ``"linear-gaussian"``. With the paper's degradation
    ``"learned-alpha"``, the amount of noise is learned with the student's loss. The spread then
    need not decrease as more of the series is seen.

    Examples
    --------
    >>> import numpy as np
    >>> from skgdpd.plotting import PosteriorDisplay
    >>> rng = np.random.default_rng(0)
    >>> features = rng.normal(size=(200, 3))
    >>> draws = [features[0] + s * rng.normal(size=(50, 3)) for s in (1.0, 0.1)]
    >>> display = PosteriorDisplay.from_draws([0.2, 0.8], draws, features, features[0])
    >>> bool(display.spreads_[0] > display.spreads_[1])
    True
    """

    def __init__(
        self,
        parts: Sequence[float],
        draws: Sequence[ArrayLike],
        features: Sequence[ArrayLike],
        own: Sequence[ArrayLike],
    ) -> None:
        counts = {"draws": len(draws), "features": len(features), "own": len(own)}
        for name, count in counts.items():
            if count != len(parts) or not count:
                raise ValueError(
                    f"parts has {len(parts)} values and {name} has {count}; there must be at "
                    f"least one, and as many in both"
                )
        order = np.argsort(np.asarray(parts, dtype=np.float64), kind="stable")
        self.parts = [float(parts[i]) for i in order]
        self.draws = [np.asarray(draws[i], dtype=np.float64) for i in order]
        self.features = [np.asarray(features[i], dtype=np.float64) for i in order]
        self.own = [np.asarray(own[i], dtype=np.float64) for i in order]
        for draw, known, point in zip(self.draws, self.features, self.own, strict=True):
            width = known.shape[-1:]
            if draw.ndim != 2 or known.ndim != 2 or not draw.shape[-1:] == point.shape == width:
                raise ValueError(
                    f"draws has shape {draw.shape}, features {known.shape} and own "
                    f"{point.shape}; the shapes must be (n_draws, d), (n, d) and (d,)"
                )

    @classmethod
    def from_estimators(
        cls,
        estimators: Sequence[Any],
        X: Any,
        index: int = 0,
        *,
        X_teacher: Any = None,
        n_draws: int = 200,
        random_state: int = 0,
        ax: Any = None,
    ) -> PosteriorDisplay:
        """Plot the posterior draws of several classifiers for one series.

        Parameters
        ----------
        estimators : sequence of GDPDClassifier or DistilledPrefixClassifier
            Fitted classifiers with different ``earliness``, each with a diffusion prior. Columns
            are easiest to compare if all classifiers have the same teacher. To get the same
            teacher, use the same integer as ``random_state``, or the same ``FrozenEstimator`` as
            ``teacher``.
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Whole series. Their teacher features define the mean and the standard deviation of
            the vertical axis.
        index : int, default=0
            Index of the series to plot.
        X_teacher : array-like of shape (n_samples, n_channels_teacher, n_timepoints_teacher), \
optional
            Whole series, if the classifiers were fitted with ``X_teacher``.
        n_draws : int, default=200
            Number of draws for each classifier.
        random_state : int, default=0
            Seed of the draws.
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        PosteriorDisplay
            The plotted display.

        Raises
        ------
        ValueError
            If a classifier has no diffusion prior.
        IndexError
            If ``index`` is out of range.
        """
        if not isinstance(estimators, (list, tuple)):
            estimators = [estimators]
        if not -len(X) <= index < len(X):
            raise IndexError(f"index={index}; X has the series 0 to {len(X) - 1}")
        index = range(len(X))[index]
        parts, draws, features, own = [], [], [], []
        for estimator in estimators:
            check_is_fitted(estimator)
            seen = restore(
                estimator, X, X_teacher, n_draws=n_draws, random_state=random_state, index=index
            )
            best = getattr(estimator, "best_estimator_", estimator)
            parts.append(best.prefix_length_ / best.n_timepoints_in_)
            draws.append(seen.draws[0])
            features.append(seen.teacher)
            own.append(seen.teacher[index])
        return cls(parts, draws, features, own).plot(ax=ax)

    @classmethod
    def from_draws(
        cls,
        parts: Sequence[float],
        draws: Sequence[ArrayLike],
        features: ArrayLike,
        own: ArrayLike,
        *,
        ax: Any = None,
    ) -> PosteriorDisplay:
        """Plot given draws, for instance from a :class:`~skgdpd.DiffusionFeaturePrior`.

        Parameters
        ----------
        parts : sequence of float of length n_parts
            Seen shares of the series, in (0, 1].
        draws : sequence of array-like of shape (n_draws, d)
            Posterior draws for the series, with one array for each share.
        features : array-like of shape (n, d)
            Teacher features of many series, the same for all shares.
        own : array-like of shape (d,)
            Teacher feature of the series.
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        PosteriorDisplay
            The plotted display.
        """
        n = len(parts)
        return cls(parts, draws, [features] * n, [own] * n).plot(ax=ax)

    def plot(self, ax: Any = None) -> PosteriorDisplay:
        """Plot the draws.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        PosteriorDisplay
            The display itself.
        """
        ax = new_axes(ax)
        columns = [
            along_component(*column)
            for column in zip(self.draws, self.features, self.own, strict=True)
        ]
        self.heights_ = [heights for heights, _, _ in columns]
        self.own_ = np.array([own for _, own, _ in columns])
        self.spreads_ = np.array([spread for _, _, spread in columns])
        places = np.arange(len(columns))
        jitter = np.random.default_rng(0)
        for place, heights in zip(places, self.heights_, strict=True):
            across = place + jitter.uniform(-0.3, 0.3, len(heights))
            ax.plot(
                across, heights, ".", color=COLORS[4], markersize=3, zorder=1,
                label="draws" if place == 0 else None,
            )  # fmt: skip
        black = {"color": "black", "linewidth": 1.2}
        ax.boxplot(
            self.heights_, positions=places, widths=0.35, showfliers=False, manage_ticks=False,
            boxprops=black, medianprops={**black, "linewidth": 2}, whiskerprops=black,
            capprops=black, zorder=2,
        )  # fmt: skip
        ax.plot(
            places, self.own_, "D", color=COLORS[1], markeredgecolor="black", markersize=8,
            zorder=3, label="teacher, whole series",
        )  # fmt: skip
        ax.axhline(0, color="0.5", linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
        names = [
            f"{100 * part:.0f} %\nspread {spread:.2f}"
            for part, spread in zip(self.parts, self.spreads_, strict=True)
        ]
        ax.set_xticks(places, names)
        ax.set(
            xlabel="part of the series seen",
            ylabel="first component of the features\n(standard deviations)",
            xlim=(-0.6, len(columns) - 0.4),
        )
        ax.legend(fontsize="small", framealpha=1)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def along_component(draws: Floats, features: Floats, own: Floats) -> tuple[Floats, float, float]:
    """Project draws on the first principal component of features, and measure their spread.

    Parameters
    ----------
    draws : ndarray of shape (n_draws, d)
        Posterior draws for one series.
    features : ndarray of shape (n, d)
        Teacher features of many series.
    own : ndarray of shape (d,)
        Teacher feature of the one series.

    Returns
    -------
    heights : ndarray of shape (n_draws,)
        Coordinates of the draws, in standard deviations of the features from their mean. The sign
        of a principal component is arbitrary. It is chosen so that ``own_height`` is not negative.
    own_height : float
        Coordinate of the feature of the one series.
    spread : float
        Root mean square distance of the draws from their mean, divided by the same distance of
        the features.
    """
    pca = PCA(1, svd_solver="full").fit(features)
    scale = np.sqrt(max(pca.transform(features).var(), 1e-24))
    own_height = float(pca.transform(own[None])[0, 0] / scale)
    heights = pca.transform(draws)[:, 0] / scale
    spread = np.sqrt(draws.var(0).sum() / max(features.var(0).sum(), 1e-24))
    if own_height < 0:
        own_height, heights = -own_height, -heights
    return heights, own_height, float(spread)

"""FeatureSpaceDisplay: a plot of teacher features, student features and posterior draws."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from .restoration import restore
from .style import COLORS, MARKERS, new_axes

Floats = NDArray[np.float64]

PROJECTIONS = ("pca", "tsne")


class FeatureSpaceDisplay:
    """Plot of teacher features, student features and posterior draws in one plane.

    Each class has a colour and a marker. Filled markers are the teacher's features of whole
    series. Hollow markers are the student's features of their prefixes. Small markers are
    posterior draws. An arrow points from a student feature to the mean of its draws.

    Parameters
    ----------
    teacher : array-like of shape (n, d)
        Teacher features of whole series.
    student : array-like of shape (n, d)
        Student features of the prefixes of the same series, in the same coordinates.
    draws : array-like of shape (n, n_draws, d)
        Posterior draws of the teacher features given the student features.
    y : array-like of shape (n,), optional
        Labels. Without labels, all series have the same colour and marker.
    projection : {"pca", "tsne"}, default="pca"
        Projection on the plane. ``"pca"`` projects all features on the first two principal
        components of the teacher features. ``"tsne"`` embeds all features together by t-SNE,
        which shows neighbourhoods but not distances.
    random_state : int, default=0
        Seed of t-SNE.

    Attributes
    ----------
    teacher_, student_ : ndarray of shape (n, 2)
        Coordinates of the teacher's and the student's features in the plane.
    draws_ : ndarray of shape (n, n_draws, 2)
        Coordinates of the draws in the plane.
    ax_ : matplotlib.axes.Axes
        Axes of the plot.
    figure_ : matplotlib.figure.Figure
        Figure of the axes.

    Examples
    --------
    >>> from skgdpd import GDPDClassifier
    >>> from skgdpd.datasets import make_bumps
    >>> from skgdpd.plotting import FeatureSpaceDisplay
    >>> X, y = make_bumps(40, random_state=0)
    >>> clf = GDPDClassifier(student="fcn", max_epochs=4, random_state=0).fit(X, y)
    >>> display = FeatureSpaceDisplay.from_estimator(clf, X, y, n_draws=3)
    >>> display.draws_.shape
    (40, 3, 2)
    """

    def __init__(
        self,
        teacher: ArrayLike,
        student: ArrayLike,
        draws: ArrayLike,
        y: ArrayLike | None = None,
        projection: str = "pca",
        random_state: int = 0,
    ) -> None:
        self.teacher = _finite(teacher, "teacher", 2)
        self.student = _finite(student, "student", 2)
        self.draws = _finite(draws, "draws", 3)
        n, d = self.teacher.shape
        shape = self.draws.shape
        if self.student.shape != (n, d) or (shape[0], shape[2]) != (n, d):
            raise ValueError(
                f"teacher has shape {(n, d)}, student {self.student.shape} and draws {shape}; "
                f"they must be (n, d), (n, d) and (n, n_draws, d), of the same series and in the "
                f"same coordinates"
            )
        if n < 2 or d < 2:
            raise ValueError(
                f"teacher has shape {(n, d)}; it must have at least two series and two features"
            )
        self.y = None if y is None else np.asarray(y)
        if self.y is not None and self.y.shape != (n,):
            raise ValueError(f"y has shape {self.y.shape}; with {n} series it must be ({n},)")
        if projection not in PROJECTIONS:
            raise ValueError(f"projection={projection!r}; allowed are 'pca' and 'tsne'")
        self.projection = projection
        self.random_state = random_state

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike | None = None,
        *,
        X_teacher: Any = None,
        n_draws: int = 5,
        projection: str = "pca",
        random_state: int = 0,
        ax: Any = None,
    ) -> FeatureSpaceDisplay:
        """Plot the features of series from a fitted classifier, its teacher and its prior.

        Parameters
        ----------
        estimator : GDPDClassifier or DistilledPrefixClassifier
            Fitted classifier with a diffusion prior. Features are shown in the coordinates of
            the prior, its codes.
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Series, preferably not used to fit the classifier. The plot is clear for some tens of
            series.
        y : array-like of shape (n_samples,), optional
            Labels of the series.
        X_teacher : array-like of shape (n_samples, n_channels_teacher, n_timepoints_teacher), \
optional
            Whole series, if the classifier was fitted with ``X_teacher``.
        n_draws : int, default=5
            Number of posterior draws for each series.
        projection : {"pca", "tsne"}, default="pca"
            Projection on the plane; see the class.
        random_state : int, default=0
            Seed of the draws and of t-SNE.
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        FeatureSpaceDisplay
            The plotted display.

        Raises
        ------
        ValueError
            If the classifier has no diffusion prior.
        """
        seen = restore(estimator, X, X_teacher, n_draws=n_draws, random_state=random_state)
        made = cls(seen.teacher, seen.student, seen.draws, y, projection, random_state)
        return made.plot(ax=ax)

    @classmethod
    def from_features(
        cls,
        teacher: ArrayLike,
        student: ArrayLike,
        draws: ArrayLike,
        y: ArrayLike | None = None,
        *,
        projection: str = "pca",
        random_state: int = 0,
        ax: Any = None,
    ) -> FeatureSpaceDisplay:
        """Plot given features.

        Parameters
        ----------
        teacher : array-like of shape (n, d)
            Teacher features of whole series.
        student : array-like of shape (n, d)
            Student features of the prefixes of the same series, in the same coordinates.
        draws : array-like of shape (n, n_draws, d)
            Posterior draws of the teacher features given the student features.
        y : array-like of shape (n,), optional
            Labels of the series.
        projection : {"pca", "tsne"}, default="pca"
            Projection on the plane; see the class.
        random_state : int, default=0
            Seed of t-SNE.
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        FeatureSpaceDisplay
            The plotted display.
        """
        return cls(teacher, student, draws, y, projection, random_state).plot(ax=ax)

    def plot(self, ax: Any = None) -> FeatureSpaceDisplay:
        """Plot the features.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        FeatureSpaceDisplay
            The display itself.
        """
        ax = new_axes(ax, (6.4, 5.0))
        names = self._project()
        labels = np.zeros(len(self.teacher), dtype=int) if self.y is None else self.y
        way = self.draws_.mean(1) - self.student_
        ax.quiver(
            *self.student_.T, *way.T, angles="xy", scale_units="xy", scale=1, width=0.0025,
            headwidth=5, color="0.45", zorder=1,
        )  # fmt: skip
        for i, label in enumerate(np.unique(labels)):
            rows = labels == label
            color, marker = COLORS[i % len(COLORS)], MARKERS[i % len(MARKERS)]
            own = "" if self.y is None else f"{label}: "
            look = {"marker": marker, "linestyle": "none", "color": color}
            draws = self.draws_[rows].reshape(-1, 2)
            ax.plot(*draws.T, **look, markersize=2.5, alpha=0.6, label=f"{own}draws", zorder=2)
            ax.plot(
                *self.student_[rows].T, **look, markersize=6.5, markerfacecolor="white",
                markeredgewidth=1.2, label=f"{own}student", zorder=3,
            )  # fmt: skip
            ax.plot(
                *self.teacher_[rows].T, **look, markersize=7, markeredgecolor="black",
                markeredgewidth=0.7, label=f"{own}teacher", zorder=4,
            )  # fmt: skip
        ax.set(xlabel=names[0], ylabel=names[1])
        ax.legend(fontsize="small", framealpha=1)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _project(self) -> tuple[str, str]:
        """Project all features on the plane, and return the labels of its axes."""
        n, d = self.teacher.shape
        if self.projection == "pca":
            pca = PCA(2).fit(self.teacher)
            self.teacher_ = pca.transform(self.teacher)
            self.student_ = pca.transform(self.student)
            self.draws_ = pca.transform(self.draws.reshape(-1, d)).reshape(n, -1, 2)
            share = 100 * pca.explained_variance_ratio_
            return (
                f"first component of the teacher's features ({share[0]:.0f} %)",
                f"second component ({share[1]:.0f} %)",
            )
        everything = np.concatenate([self.teacher, self.student, self.draws.reshape(-1, d)])
        perplexity = min(30.0, (len(everything) - 1) / 3)
        tsne = TSNE(perplexity=perplexity, init="pca", random_state=self.random_state)
        places = tsne.fit_transform(everything).astype(np.float64)
        self.teacher_, self.student_ = places[:n], places[n : 2 * n]
        self.draws_ = places[2 * n :].reshape(n, -1, 2)
        return "t-SNE, first coordinate", "t-SNE, second coordinate"


def _finite(values: ArrayLike, name: str, ndim: int) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim or not np.isfinite(array).all():
        shape = "(n, d)" if ndim == 2 else "(n, n_draws, d)"
        what = f"has shape {array.shape}" if array.ndim != ndim else "holds NaN or infinity"
        raise ValueError(f"{name} {what}; it must have shape {shape} and finite values")
    return array

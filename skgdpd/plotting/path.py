"""PathDisplay: a plot of the mean probability of the true class over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from .._early.paths import check_path
from .checks import by_name, check_flag, class_numbers, read_times
from .style import draw_band, marked_style, new_axes

Floats = NDArray[np.float64]
ONE = "all series"
"""Name of a single classifier that is given without a name."""


@dataclass(frozen=True, eq=False)
class RightProbability:
    """Mean and quantiles over series of the probability of the true class at each moment.

    Attributes
    ----------
    share : ndarray of shape (n_moments,)
        Share of a whole series that has been seen.
    mean : ndarray of shape (n_moments,)
        Mean probability over the series that have reached the moment; NaN if there are none.
    low, high : ndarray of shape (n_moments,) or None
        Lower and upper quantile; None without a band.
    """

    share: Floats
    mean: Floats
    low: Floats | None
    high: Floats | None


class PathDisplay:
    """Plot of the mean probability of the true class against the share of the series seen.

    There is a line for each classifier, or for each classifier and true class. A band contains
    the probabilities between two quantiles over series.

    Parameters
    ----------
    paths : dict of str to array-like of shape (n, n_moments, n_classes)
        Class probabilities at each moment, by name of the classifier. NaN after a series' own
        end.
    y : array-like of shape (n,)
        Labels of the series.
    time_points : sequence of int, or dict of str to sequence of int
        Number of time points at each moment, the same for all classifiers or by name.
    n_timepoints : int, optional
        Number of time points of a whole series. By default the number at the latest moment.
    classes : array-like of shape (n_classes,), optional
        Label of each column of the probabilities. By default the sorted labels of ``y``.
    by_class : bool, default=False
        Whether to draw a line for each true class.
    quantiles : tuple of two floats or None, default=(0.25, 0.75)
        Lower and upper quantile over series that limit the band. The default band contains the
        middle half of the series, as in a box plot. None draws no band.

    Attributes
    ----------
    results_ : dict of str to RightProbability
        Values of each line: ``share``, ``mean``, ``low`` and ``high``, of shape (n_moments,).
    ax_ : matplotlib.axes.Axes
        Axes of the plot.
    figure_ : matplotlib.figure.Figure
        Figure of the axes.

    Raises
    ------
    ValueError
        If shapes do not fit. If labels are unknown. If quantiles are not two ascending numbers
        from 0 to 1.

    Examples
    --------
    >>> from skgdpd.plotting import PathDisplay
    >>> path = [[[0.5, 0.5], [0.1, 0.9]], [[0.6, 0.4], [0.7, 0.3]]]
    >>> display = PathDisplay.from_predictions(path, ["b", "a"], time_points=[10, 20])
    >>> display.results_["all series"].mean
    array([0.55, 0.8 ])
    """

    def __init__(
        self,
        paths: Mapping[str, ArrayLike],
        y: ArrayLike,
        *,
        time_points: Sequence[int] | Mapping[str, Sequence[int]],
        n_timepoints: int | None = None,
        classes: ArrayLike | None = None,
        by_class: bool = False,
        quantiles: tuple[float, float] | None = (0.25, 0.75),
    ) -> None:
        check_flag(by_class, "by_class")
        quantiles = _checked_quantiles(quantiles)
        given = by_name(paths, "paths")
        alone = list(given) == [ONE]
        checked = {
            name: check_path(path, name="path" if alone else f"paths[{name!r}]")
            for name, path in given.items()
        }
        times = read_times(time_points, n_timepoints, checked)
        self.quantiles = quantiles
        self.by_class = by_class
        self.results_: dict[str, RightProbability] = {}
        for name, path in checked.items():
            n, _, n_classes = path.shape
            share = times[name].shares
            numbers, labels = class_numbers(y, classes, n, n_classes)
            right = path[np.arange(n), :, numbers]
            if not by_class:
                self.results_[name] = summary(right, share, quantiles)
                continue
            for k in np.unique(numbers):
                line = str(labels[k]) if name == ONE else f"{name}, {labels[k]}"
                self.results_[line] = summary(right[numbers == k], share, quantiles)

    @classmethod
    def from_estimator(
        cls,
        clf: Any,
        X: Any,
        y: ArrayLike,
        *,
        by_class: bool = False,
        quantiles: tuple[float, float] | None = (0.25, 0.75),
        ax: Any = None,
    ) -> PathDisplay:
        """Plot the probabilities of a fitted classifier.

        Parameters
        ----------
        clf : classifier
            Fitted classifier with ``predict_proba_path``, such as ``EarlyClassifier``, or
            ``PrefixClassifier`` with several moments.
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Whole series that were not used for the fit.
        y : array-like of shape (n_samples,)
            Labels of the series.
        by_class : bool, default=False
            Whether to draw a line for each true class.
        quantiles : tuple of two floats or None, default=(0.25, 0.75)
            Lower and upper quantile over series that limit the band. None draws no band.
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        PathDisplay
            The plotted display.

        Raises
        ------
        TypeError
            If the classifier has no ``predict_proba_path``.
        """
        return cls.from_estimators({ONE: clf}, X, y, by_class=by_class, quantiles=quantiles, ax=ax)

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Any],
        X: Any,
        y: ArrayLike,
        *,
        by_class: bool = False,
        quantiles: tuple[float, float] | None = (0.25, 0.75),
        ax: Any = None,
    ) -> PathDisplay:
        """Plot the probabilities of several fitted classifiers.

        Parameters
        ----------
        estimators : dict of str to classifier
            Fitted classifiers with ``predict_proba_path``, by name. All must have the same
            classes, and must have been fitted to series of the same length.
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Whole series that were not used for the fit.
        y : array-like of shape (n_samples,)
            Labels of the series.
        by_class : bool, default=False
            Whether to draw a line for each true class.
        quantiles : tuple of two floats or None, default=(0.25, 0.75)
            Lower and upper quantile over series that limit the band. None draws no band.
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        PathDisplay
            The plotted display.

        Raises
        ------
        TypeError
            If a classifier has no ``predict_proba_path``.
        ValueError
            If the classifiers have different classes, or were fitted to different lengths.
        """
        first: Any = None
        for name, clf in by_name(estimators, "estimators").items():
            if not hasattr(clf, "predict_proba_path"):
                raise TypeError(
                    f"{type(clf).__name__} ({name!r}) has no predict_proba_path; give a "
                    f"classifier of several moments, such as earliness=[0.1, 0.2, 0.5]"
                )
            check_is_fitted(clf)
            first = clf if first is None else first
            own, shared = ((c.classes_.tolist(), int(c.n_timepoints_in_)) for c in (clf, first))
            if own != shared:
                raise ValueError(
                    f"estimators[{name!r}] has the classes {own[0]} and {own[1]} time points, "
                    f"the first one {shared[0]} and {shared[1]}; they must be the same"
                )
        paths = {name: clf.predict_proba_path(X) for name, clf in estimators.items()}
        display = cls(
            paths,
            y,
            time_points={name: clf.time_points_ for name, clf in estimators.items()},
            n_timepoints=getattr(first, "n_timepoints_in_", None),
            classes=getattr(first, "classes_", None),
            by_class=by_class,
            quantiles=quantiles,
        )
        return display.plot(ax=ax)

    @classmethod
    def from_predictions(
        cls,
        path: ArrayLike | Mapping[str, ArrayLike],
        y: ArrayLike,
        *,
        time_points: Sequence[int] | Mapping[str, Sequence[int]],
        n_timepoints: int | None = None,
        classes: ArrayLike | None = None,
        by_class: bool = False,
        quantiles: tuple[float, float] | None = (0.25, 0.75),
        ax: Any = None,
    ) -> PathDisplay:
        """Plot given probabilities.

        Parameters
        ----------
        path : array-like of shape (n, n_moments, n_classes), or dict of str to such
            Class probabilities at each moment, of one classifier, or of several by name. NaN
            after a series' own end.
        y : array-like of shape (n,)
            Labels of the series.
        time_points : sequence of int, or dict of str to sequence of int
            Number of time points at each moment, the same for all classifiers or by name.
        n_timepoints : int, optional
            Number of time points of a whole series. By default the number at the latest moment.
        classes : array-like of shape (n_classes,), optional
            Label of each column of the probabilities. By default the sorted labels of ``y``.
        by_class : bool, default=False
            Whether to draw a line for each true class.
        quantiles : tuple of two floats or None, default=(0.25, 0.75)
            Lower and upper quantile over series that limit the band. None draws no band.
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        PathDisplay
            The plotted display.
        """
        display = cls(
            path if isinstance(path, Mapping) else {ONE: path},
            y,
            time_points=time_points,
            n_timepoints=n_timepoints,
            classes=classes,
            by_class=by_class,
            quantiles=quantiles,
        )
        return display.plot(ax=ax)

    def plot(self, ax: Any = None) -> PathDisplay:
        """Plot the means and the bands.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        PathDisplay
            The display itself.
        """
        ax = new_axes(ax)
        for i, (name, line) in enumerate(self.results_.items()):
            style = marked_style(i)
            ax.plot(100 * line.share, line.mean, label=name, **style)
            if line.low is not None:
                draw_band(ax, 100 * line.share, line.low, line.high, style)
        ax.set(
            xlabel="part of the series seen (%)",
            ylabel="probability of the right class",
            ylim=(-0.02, 1.02),
        )
        ax.grid(alpha=0.3)
        what = "mean"
        if self.quantiles is not None:
            low, high = self.quantiles
            what = f"mean; band: {100 * low:g} to {100 * high:g} % of series"
        ax.legend(
            title=what, alignment="left", fontsize="small", title_fontsize="small", framealpha=1
        )
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _checked_quantiles(quantiles: Any) -> tuple[float, float] | None:
    if quantiles is None:
        return None
    pair = list(quantiles) if isinstance(quantiles, Sequence | np.ndarray) else []
    numbers = len(pair) == 2 and all(isinstance(q, Real) for q in pair)
    if not numbers or not 0 <= pair[0] < pair[1] <= 1:
        raise ValueError(
            f"quantiles={quantiles!r} must be two ascending numbers from 0 to 1, or None"
        )
    return pair[0], pair[1]


def summary(
    right: Floats, share: Floats, quantiles: tuple[float, float] | None
) -> RightProbability:
    """Return mean and quantiles over series at each moment.

    Parameters
    ----------
    right : ndarray of shape (n, n_moments)
        Probability of the true class of each series; NaN after its own end.
    share : ndarray of shape (n_moments,)
        Share of a whole series that has been seen at each moment.
    quantiles : tuple of two floats or None
        Lower and upper quantile of the band. None means no band.

    Returns
    -------
    RightProbability
    """
    columns = [column[~np.isnan(column)] for column in right.T]
    mean = np.array([own.mean() if len(own) else np.nan for own in columns])
    if quantiles is None:
        return RightProbability(share, mean, None, None)
    nothing = np.full(2, np.nan)
    band = np.array([np.quantile(own, quantiles) if len(own) else nothing for own in columns])
    return RightProbability(share, mean, band[:, 0], band[:, 1])

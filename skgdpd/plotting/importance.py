"""ImportanceDisplay: a plot of the parts of a series on which a classifier depends."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from .._model_selection.importance import WindowImportance, window_importance
from .._runtime.random import RandomState
from .style import draw_band, marked_style, new_axes


class ImportanceDisplay:
    """Plot of the importance of time windows, with one line for each channel.

    The band is the mean plus and minus one standard deviation over the permutations. An importance
    near zero, compared with this band, can't be distinguished from chance.

    Parameters
    ----------
    importance : WindowImportance
        Importances, from :func:`skgdpd.window_importance`.

    Attributes
    ----------
    importance : WindowImportance
        Plotted values.
    ax_ : matplotlib.axes.Axes
        Axes of the plot.
    figure_ : matplotlib.figure.Figure
        Figure of the axes.

    See Also
    --------
    skgdpd.window_importance : Definition and limits of the importances.

    Examples
    --------
    >>> import numpy as np
    >>> from skgdpd import WindowImportance
    >>> from skgdpd.plotting import ImportanceDisplay
    >>> importances = np.array([[[0.0, 0.1], [0.3, 0.4]]])
    >>> importance = WindowImportance(importances, np.array([0, 5, 10]), 0.9, ("pulse",))
    >>> ImportanceDisplay(importance).plot().ax_.get_xlabel()
    'time point'
    """

    def __init__(self, importance: WindowImportance) -> None:
        self.importance = importance

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        n_windows: int | str = "auto",
        n_repeats: int = 5,
        scoring: Any = None,
        random_state: RandomState = None,
        ax: Any = None,
    ) -> ImportanceDisplay:
        """Measure and plot the importances of a fitted classifier.

        Parameters
        ----------
        estimator : classifier
            Fitted classifier of series.
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Series that were not used to fit the classifier.
        y : array-like of shape (n_samples,)
            Labels of the series.
        n_windows : int or "auto", default="auto"
            Number of windows, as for :func:`skgdpd.window_importance`.
        n_repeats : int, default=5
            Number of permutations of each window. The band shows their standard deviation.
        scoring : str, callable or None, default=None
            Name of a score in scikit-learn, or a scorer. None means the estimator's own score.
        random_state : int, RandomState instance or None, default=None
            Seed of the permutations.
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        ImportanceDisplay
            The plotted display.

        Raises
        ------
        ValueError
            In the cases in which :func:`skgdpd.window_importance` raises it.
        """
        found = window_importance(
            estimator,
            X,
            y,
            n_windows=n_windows,
            n_repeats=n_repeats,
            scoring=scoring,
            random_state=random_state,
        )
        return cls(found).plot(ax=ax)

    def plot(self, ax: Any = None) -> ImportanceDisplay:
        """Plot the importances.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        ImportanceDisplay
            The display itself.
        """
        ax = new_axes(ax)
        found = self.importance
        centres = (found.edges[:-1] + found.edges[1:]) / 2
        for i, name in enumerate(found.channels):
            mean, std, style = found.mean[i], found.std[i], marked_style(i)
            ax.plot(centres, mean, label=f"channel {name}", **style)
            draw_band(ax, centres, mean - std, mean + std, style)
        ax.axhline(0, color="0.6", linewidth=0.8)
        for edge in found.edges:
            ax.axvline(edge, color="0.9", linewidth=0.8, zorder=0)
        ax.set(xlabel="time point", ylabel=f"loss of the score ({found.score:.3g})")
        ax.set_xlim(found.edges[0], found.edges[-1])
        ax.legend(fontsize="small", framealpha=1)
        self.ax_, self.figure_ = ax, ax.figure
        return self

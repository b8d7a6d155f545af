"""DecisionDisplay: a plot of one series' class probabilities and of its answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._early.costs import is_whole
from .._early.paths import last_moments
from .checks import check_early, check_flag, checked_classes, one_path, one_series
from .style import marked_style, new_axes


class DecisionDisplay:
    """Plot of one series' class probabilities over time, with the moment of its answer.

    Each class has a step line, because a probability holds until the next moment. A star marks
    the answer. Probabilities after the answer have no effect and are drawn pale.

    Parameters
    ----------
    path : array-like of shape (n_moments, n_classes)
        Class probabilities of the series at each moment; NaN after its own end.
    moment : int
        Index of the moment of the answer.
    time_points : sequence of int
        Number of time points at each moment.
    n_timepoints : int, optional
        Number of time points of a whole series. By default the number at the last moment.
    classes : array-like of shape (n_classes,), optional
        Label of each column of the probabilities. By default the numbers from 0.
    label : object, optional
        Label of the answer. By default the label of the most probable class, which may differ
        from the answer if errors have unequal costs.
    forced : bool, default=False
        True if the series ended before the stopping rule had seen enough.
    y : object, optional
        True label of the series, which is marked in the legend.

    Attributes
    ----------
    label_ : object
        Label of the answer.
    share_seen_ : float
        Share of the whole series that was seen at the answer.
    ax_ : matplotlib.axes.Axes
        Axes of the plot.
    figure_ : matplotlib.figure.Figure
        Figure of the axes.

    Raises
    ------
    ValueError
        If shapes do not fit. If values are not probabilities. If the series ends before the
        moment. If a label is not among the classes.

    Examples
    --------
    >>> from skgdpd.plotting import DecisionDisplay
    >>> path = [[0.5, 0.5], [0.2, 0.8], [0.1, 0.9]]
    >>> display = DecisionDisplay.from_predictions(
    ...     path, 1, time_points=[10, 20, 40], classes=["fine", "failing"]
    ... )
    >>> display.label_, display.share_seen_
    ('failing', 0.5)
    """

    def __init__(
        self,
        path: ArrayLike,
        moment: int,
        *,
        time_points: Sequence[int],
        n_timepoints: int | None = None,
        classes: ArrayLike | None = None,
        label: Any = None,
        forced: bool = False,
        y: Any = None,
    ) -> None:
        check_flag(forced, "forced")
        self.path, times = one_path(path, time_points, n_timepoints)
        n_classes = self.path.shape[1]
        if not is_whole(moment) or moment < 0:
            raise ValueError(f"moment={moment!r} must be the index of a moment, from 0 on")
        last = int(last_moments(self.path[None])[0])
        if moment > last:
            raise ValueError(
                f"moment={moment} must be from 0 to {last}, the last one that the series reaches"
            )
        self.time_points, self.n_timepoints = np.array(times.points), times.n_timepoints
        self.moment = int(moment)
        self.classes = checked_classes(
            np.arange(n_classes) if classes is None else classes, n_classes
        )
        answer = self.path[moment].argmax() if label is None else self._number(label, "label")
        self._answer = int(answer)
        self._true = None if y is None else self._number(y, "y")
        self.forced = bool(forced)
        self.label_ = self.classes.tolist()[self._answer]
        self.share_seen_ = float(times.shares[moment])

    def _number(self, label: Any, name: str) -> int:
        known = self.classes.tolist()
        one = np.asarray(label, dtype=object).reshape(-1).tolist()
        if len(one) != 1 or one[0] not in known:
            raise ValueError(f"{name}={label!r} must be one of the classes, {known}")
        return known.index(one[0])

    @classmethod
    def from_estimator(
        cls, early: Any, x: ArrayLike, y: Any = None, *, ax: Any = None
    ) -> DecisionDisplay:
        """Plot the answer of a fitted classifier to one series.

        Parameters
        ----------
        early : EarlyClassifier
            Fitted classifier.
        x : array-like of shape (n_channels, n_timepoints)
            One series. ``(n_timepoints,)`` is also allowed for one channel, and ``(1, n_channels,
            n_timepoints)`` for a panel of one series.
        y : object, optional
            True label of the series.
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        DecisionDisplay
            The plotted display.

        Raises
        ------
        ValueError
            If ``x`` is not one series, or if ``y`` is not a label of the classifier.
        """
        check_early(early)
        path = early.predict_proba_path(one_series(x))
        moments, forced = early.rule_.decide(path)
        moment = int(moments[0])
        label = early.classes_[early.cost_.labels(path[0, moment])]
        display = cls(
            path[0],
            moment,
            time_points=early.time_points_,
            n_timepoints=early.n_timepoints_in_,
            classes=early.classes_,
            label=label,
            forced=forced[0],
            y=y,
        )
        return display.plot(ax=ax)

    @classmethod
    def from_predictions(
        cls,
        path: ArrayLike,
        moment: int,
        *,
        time_points: Sequence[int],
        n_timepoints: int | None = None,
        classes: ArrayLike | None = None,
        label: Any = None,
        forced: bool = False,
        y: Any = None,
        ax: Any = None,
    ) -> DecisionDisplay:
        """Plot given probabilities and the moment of the answer.

        Parameters
        ----------
        path : array-like of shape (n_moments, n_classes)
            Class probabilities of the series at each moment; NaN after its own end.
        moment : int
            Index of the moment of the answer.
        time_points : sequence of int
            Number of time points at each moment.
        n_timepoints : int, optional
            Number of time points of a whole series. By default the number at the last moment.
        classes : array-like of shape (n_classes,), optional
            Label of each column of the probabilities. By default the numbers from 0.
        label : object, optional
            Label of the answer. By default the label of the most probable class.
        forced : bool, default=False
            True if the series ended before the stopping rule had seen enough.
        y : object, optional
            True label of the series.
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        DecisionDisplay
            The plotted display.
        """
        display = cls(
            path,
            moment,
            time_points=time_points,
            n_timepoints=n_timepoints,
            classes=classes,
            label=label,
            forced=forced,
            y=y,
        )
        return display.plot(ax=ax)

    def plot(self, ax: Any = None) -> DecisionDisplay:
        """Plot the probabilities and the answer.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        DecisionDisplay
            The display itself.
        """
        ax = new_axes(ax)
        times, m = self.time_points, self.moment
        n_reached = int(last_moments(self.path[None])[0]) + 1
        seen, after = slice(0, m + 1), slice(m, n_reached)
        for k, name in enumerate(self.classes.tolist()):
            style = {**marked_style(k), "drawstyle": "steps-post"}
            own = self.path[:, k]
            label = f"{name} (true)" if k == self._true else str(name)
            ax.plot(times[seen], own[seen], label=label, zorder=3, **style)
            ax.plot(
                times[after], own[after], alpha=0.3, zorder=2, markevery=slice(1, None), **style
            )
        answered = times[m], self.path[m, self._answer]
        ax.axvline(answered[0], color="0.4", linewidth=1, zorder=1)
        ax.plot(
            *answered, "*", color="white", markeredgecolor="black", markersize=15, zorder=4,
            linestyle="none", label=f"answer: {self.label_}",
        )  # fmt: skip
        if answered[0] < self.n_timepoints:
            ax.axvspan(answered[0], self.n_timepoints, color="0.95", zorder=0, lw=0)
        forced = ", forced by the end" if self.forced else ""
        ax.set(
            title=f"{self.label_} after {answered[0]} of {self.n_timepoints} points "
            f"({100 * self.share_seen_:.0f} %){forced}",
            xlabel="time points seen",
            ylabel="probability",
            xlim=(0, 1.02 * self.n_timepoints),
            ylim=(-0.03, 1.03),
        )
        ax.grid(alpha=0.3)
        ax.legend(fontsize="small", framealpha=1)
        self.ax_, self.figure_ = ax, ax.figure
        return self

"""RuleDisplay: a plot of the quantity by which a stopping rule decides on one series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._early.costs import Floats
from .._early.rule import Rule, Span
from .checks import check_early, one_path, one_series
from .style import COLORS, marked_style, new_axes


class RuleDisplay:
    """Plot of the quantity by which a stopping rule decides on one series, and of its answer.

    The quantity depends on the rule. For ``ProbabilityThreshold`` and ``Economy``, it is the
    expected cost of an error of an answer now. For ``Calimera``, it is the predicted change of the
    cost by waiting. The rule answers in the shaded region. A star marks the answer. Values after
    the answer have no effect and are drawn pale.

    Parameters
    ----------
    rule : rule
        Fitted rule of :mod:`skgdpd.stopping`.
    path : array-like of shape (n_moments, n_classes)
        Class probabilities of the series at each moment; NaN after its own end.
    time_points : sequence of int
        Number of time points at each moment.
    n_timepoints : int, optional
        Number of time points of a whole series. By default the number at the last moment.
    label : object, optional
        Label of the answer, for the legend. By default no label is shown.

    Attributes
    ----------
    what_ : str
        Name of the quantity.
    values_ : ndarray of shape (n_reached,)
        Value of the quantity at each moment that the series reaches.
    answers_in_ : list of list of (float, float)
        Intervals of the quantity in which the rule answers, for each of these moments.
    moment_ : int
        Index of the moment of the answer.
    forced_ : bool
        True if the series ended before the stopping rule had seen enough.
    ax_ : matplotlib.axes.Axes
        Axes of the plot.
    figure_ : matplotlib.figure.Figure
        Figure of the axes.

    Raises
    ------
    TypeError
        If ``rule`` is not a stopping rule, or has no ``_watch``.
    ValueError
        If shapes do not fit, or if values are not probabilities.

    Examples
    --------
    >>> from skgdpd.plotting import RuleDisplay
    >>> from skgdpd.stopping import ProbabilityThreshold, decision_cost
    >>> path = [[[0.6, 0.4], [0.9, 0.1]], [[0.3, 0.7], [0.1, 0.9]]]
    >>> cost = decision_cost(0.1, None, [10, 20], 20, ["fine", "failing"])
    >>> times = {"time_points": [10, 20], "n_timepoints": 20}
    >>> rule = ProbabilityThreshold().fit(path, [0, 1], cost, **times)
    >>> display = RuleDisplay.from_predictions(rule, path[0], **times)
    >>> display.what_, display.values_.round(1).tolist()
    ('expected cost of an error', [0.4, 0.1])
    """

    def __init__(
        self,
        rule: Rule,
        path: ArrayLike,
        *,
        time_points: Sequence[int],
        n_timepoints: int | None = None,
        label: Any = None,
    ) -> None:
        if not isinstance(rule, Rule):
            raise TypeError(f"rule={rule!r} must be a fitted rule of skgdpd.stopping")
        self.what_, self.values_, self.answers_in_ = rule.watch(path)
        self.path, times = one_path(path, time_points, n_timepoints)
        self.time_points, self.n_timepoints = np.array(times.points), times.n_timepoints
        self.rule, self.label = rule, label
        moments, forced = rule.decide(self.path[None])
        self.moment_, self.forced_ = int(moments[0]), bool(forced[0])

    @classmethod
    def from_estimator(cls, early: Any, x: ArrayLike, *, ax: Any = None) -> RuleDisplay:
        """Plot the quantity of a fitted classifier's rule, and its answer to one series.

        Parameters
        ----------
        early : EarlyClassifier
            Fitted classifier.
        x : array-like of shape (n_channels, n_timepoints)
            One series. ``(n_timepoints,)`` is also allowed for one channel, and ``(1, n_channels,
            n_timepoints)`` for a panel of one series.
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        RuleDisplay
            The plotted display.

        Raises
        ------
        ValueError
            If ``x`` is not one series.
        """
        check_early(early)
        path = early.predict_proba_path(one_series(x))[0]
        how = {"time_points": early.time_points_, "n_timepoints": early.n_timepoints_in_}
        display = cls(early.rule_, path, **how)
        proba = path[display.moment_]
        display.label = early.classes_.tolist()[int(early.cost_.labels(proba))]
        return display.plot(ax=ax)

    @classmethod
    def from_predictions(
        cls,
        rule: Rule,
        path: ArrayLike,
        *,
        time_points: Sequence[int],
        n_timepoints: int | None = None,
        label: Any = None,
        ax: Any = None,
    ) -> RuleDisplay:
        """Plot the quantity of a rule, and its answer to a series of given probabilities.

        Parameters
        ----------
        rule : rule
            Fitted rule of :mod:`skgdpd.stopping`.
        path : array-like of shape (n_moments, n_classes)
            Class probabilities of the series at each moment; NaN after its own end.
        time_points : sequence of int
            Number of time points at each moment.
        n_timepoints : int, optional
            Number of time points of a whole series. By default the number at the last moment.
        label : object, optional
            Label of the answer, for the legend. By default no label is shown.
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        RuleDisplay
            The plotted display.
        """
        display = cls(rule, path, time_points=time_points, n_timepoints=n_timepoints, label=label)
        return display.plot(ax=ax)

    def plot(self, ax: Any = None) -> RuleDisplay:
        """Plot the quantity, the region in which the rule answers, and the answer.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        RuleDisplay
            The display itself.
        """
        ax = new_axes(ax)
        n, m = len(self.values_), self.moment_
        times, style = self.time_points[:n], {**marked_style(0), "drawstyle": "steps-post"}
        low, high = _limits(self.values_, self.answers_in_)
        ends = np.append(times[1:], max(self.n_timepoints, times[-1] + 1))
        for start, end, own in zip(times, ends, self.answers_in_, strict=True):
            for bottom, top in own:
                ax.fill_between(
                    [start, end],
                    max(bottom, low),
                    min(top, high),
                    color=COLORS[2],
                    alpha=0.2,
                    lw=0,
                )
        ax.fill_between([], [], [], color=COLORS[2], alpha=0.2, lw=0, label="region of answers")
        ax.plot(times[: m + 1], self.values_[: m + 1], zorder=3, **style)
        ax.plot(
            times[m:], self.values_[m:], alpha=0.3, zorder=2, markevery=slice(1, None), **style
        )
        ax.axvline(times[m], color="0.4", linewidth=1, zorder=1)
        answer = "answer" if self.label is None else f"answer: {self.label}"
        ax.plot(
            times[m], self.values_[m], "*", color="white", markeredgecolor="black", markersize=15,
            zorder=4, linestyle="none", label=answer,
        )  # fmt: skip
        forced = ", forced by the end" if self.forced_ else ""
        ax.set(
            title=f"{type(self.rule).__name__}: answer after {times[m]} of {self.n_timepoints} "
            f"points{forced}",
            xlabel="time points seen",
            ylabel=self.what_,
            xlim=(0, 1.02 * self.n_timepoints),
            ylim=(low, high),
        )
        ax.grid(alpha=0.3)
        ax.legend(fontsize="small", framealpha=1)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _limits(values: Floats, answers_in: list[list[Span]]) -> tuple[float, float]:
    """Return limits of the axis that show all values and all finite ends of intervals."""
    ends = np.array([end for own in answers_in for interval in own for end in interval])
    shown = np.concatenate([values, ends[np.isfinite(ends)]])
    margin = 0.08 * (np.ptp(shown) or 1.0)
    return float(shown.min() - margin), float(shown.max() + margin)

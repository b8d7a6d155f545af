"""CostDisplay: a plot of the costs of early answers against the cost of waiting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from .._early.paths import check_path
from .._series.panel import read_panel
from .checks import by_name, check_early, class_numbers, read_times
from .cost_curves import (
    CostCurve,
    Floats,
    checked_delay_costs,
    checked_moments,
    costs_by_delay,
    curve,
    moments_by_cost,
    training_of,
)
from .style import draw_band, marked_style, new_axes

Kind = Literal["cost", "accuracy"]
KINDS = ("cost", "accuracy")
FLOOR = "optimum in hindsight"


class CostDisplay:
    """Plot of early classification methods for several costs of waiting.

    There are two views of the same answers. ``kind="cost"`` shows the mean cost of a series
    against the cost of waiting. The band is the mean plus and minus one standard error.
    ``kind="accuracy"`` shows the accuracy against the mean share of the series that is seen, with
    a marker for each cost of waiting.

    The grey lines are optima in hindsight: each series is answered at its own cheapest moment.
    This moment depends on the label, so no rule costs less on the same probabilities. Methods
    with different probabilities have different optima.

    Parameters
    ----------
    curves : dict of str to CostCurve
        Costs, accuracies and shares seen of each method, by name.
    floors : dict of str to CostCurve
        Costs, accuracies and shares seen of the optima in hindsight, by their text in the legend.
    delay_costs : array-like of shape (n_delay_costs,)
        Costs of waiting to the end of a series, in ascending order.

    Attributes
    ----------
    curves, floors : dict of str to CostCurve
        Plotted values: ``cost``, ``error``, ``accuracy`` and ``share_seen``, each of shape
        (n_delay_costs,).
    delay_costs : ndarray of shape (n_delay_costs,)
        Costs of waiting to the end of a series.
    ax_ : matplotlib.axes.Axes
        Axes of the plot.
    figure_ : matplotlib.figure.Figure
        Figure of the axes.

    See Also
    --------
    skgdpd.stopping.decision_cost : Meaning of the costs.

    Examples
    --------
    >>> from skgdpd.plotting import CostDisplay
    >>> path = [[[0.6, 0.4], [0.1, 0.9]], [[0.8, 0.2], [0.7, 0.3]]]
    >>> display = CostDisplay.from_predictions(
    ...     {"first moment": path},
    ...     {"first moment": [[0, 0], [0, 0]]},
    ...     ["b", "a"],
    ...     delay_costs=[0.2, 0.4],
    ...     time_points=[10, 20],
    ... )
    >>> display.curves["first moment"].cost
    array([0.6, 0.7])
    """

    def __init__(
        self,
        curves: Mapping[str, CostCurve],
        floors: Mapping[str, CostCurve],
        delay_costs: ArrayLike,
    ) -> None:
        self.curves = dict(curves)
        self.floors = dict(floors)
        self.delay_costs = checked_delay_costs(delay_costs)

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Any],
        X: Any,
        y: ArrayLike,
        *,
        delay_costs: ArrayLike,
        kind: Kind = "cost",
        ax: Any = None,
    ) -> CostDisplay:
        """Fit the rules of fitted classifiers to each cost of waiting, and plot the costs.

        The classifiers do not change and are not fitted again. A clone of each stopping rule is
        fitted to the classifier's ``left_out_path_``, with the labels, weights and groups of its
        fit. With ``rule="auto"``, the rule is chosen again for each cost of waiting.

        Parameters
        ----------
        estimators : dict of str to EarlyClassifier
            Fitted classifiers, by name. All must have the same classes and costs of errors.
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Whole series that were not used to fit the classifiers.
        y : array-like of shape (n_samples,)
            Labels of the series.
        delay_costs : array-like of shape (n_delay_costs,)
            Costs of waiting to the end of a series, in ascending order. A cost c means that an
            answer at time t of T costs c * t / T. There is no default, because useful values
            depend on the costs of errors.
        kind : {"cost", "accuracy"}, default="cost"
            View to plot: mean cost against the cost of waiting, or accuracy against the share
            seen.
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        CostDisplay
            The plotted display.

        Raises
        ------
        ValueError
            If delay costs are not in ascending order. If classifiers differ in their classes or
            costs of errors. If a classifier is from a file without the labels of its fit.
        """
        _check_kind(kind)
        delays = checked_delay_costs(delay_costs)
        estimators = by_name(estimators, "estimators")
        training = {}
        first = check_early(next(iter(estimators.values())))
        for name, early in estimators.items():
            check_early(early)
            errors = early.cost_.misclassification
            same = np.array_equal(early.classes_, first.classes_)
            if not (same and np.array_equal(errors, first.cost_.misclassification)):
                raise ValueError(
                    f"estimators[{name!r}] has the classes {early.classes_.tolist()} with the "
                    f"costs of errors {errors.tolist()}, the first one "
                    f"{first.classes_.tolist()} with {first.cost_.misclassification.tolist()}; "
                    f"they must be the same"
                )
            training[name] = training_of(early, name)
        numbers, classes = class_numbers(
            y, first.classes_, len(read_panel(X)), len(first.classes_)
        )
        curves, floors = {}, {}
        for name, early in estimators.items():
            path = early.predict_proba_path(X)
            own = {name: early.time_points_.tolist()}
            times = read_times(own, early.n_timepoints_in_, {name: path})[name]
            costs = costs_by_delay(delays, early.cost_.misclassification, times, classes)
            moments = moments_by_cost(early, path, costs, training[name])
            curves[name] = curve(costs, times.shares, path, numbers, moments)
            floors[name] = curve(costs, times.shares, path, numbers)
        return cls(curves, _distinct(floors), delays).plot(ax=ax, kind=kind)

    @classmethod
    def from_predictions(
        cls,
        paths: Mapping[str, ArrayLike],
        moments: Mapping[str, ArrayLike],
        y: ArrayLike,
        *,
        delay_costs: ArrayLike,
        time_points: Sequence[int] | Mapping[str, Sequence[int]],
        n_timepoints: int | None = None,
        misclassification_cost: Any = None,
        classes: ArrayLike | None = None,
        kind: Kind = "cost",
        ax: Any = None,
    ) -> CostDisplay:
        """Plot the costs of answers at given moments.

        Parameters
        ----------
        paths : dict of str to array-like of shape (n, n_moments, n_classes)
            Class probabilities at each moment, by name of the method. NaN after a series' own
            end.
        moments : dict of str to array-like of shape (n_delay_costs, n)
            Index of the moment of each answer, by name of the method. There is a row for each
            cost of waiting.
        y : array-like of shape (n,)
            Labels of the series.
        delay_costs : array-like of shape (n_delay_costs,)
            Costs of waiting to the end of a series, in ascending order. A cost c means that an
            answer at time t of T costs c * t / T.
        time_points : sequence of int, or dict of str to sequence of int
            Number of time points at each moment, the same for all methods or by method name.
        n_timepoints : int, optional
            Number of time points of a whole series. By default the number at the latest moment.
        misclassification_cost : array-like of shape (n_classes, n_classes), dict or None, \
default=None
            Costs of errors; see :func:`~skgdpd.stopping.decision_cost`. With None, each costs 1.
        classes : array-like of shape (n_classes,), optional
            Label of each column of the probabilities. By default the sorted labels of ``y``.
        kind : {"cost", "accuracy"}, default="cost"
            View to plot: mean cost against the cost of waiting, or accuracy against the share
            seen.
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        CostDisplay
            The plotted display.

        Raises
        ------
        ValueError
            If names, shapes or labels do not fit. If a series ends before the moment of its
            answer.
        """
        _check_kind(kind)
        delays = checked_delay_costs(delay_costs)
        paths, moments = by_name(paths, "paths"), by_name(moments, "moments")
        if set(paths) != set(moments):
            raise ValueError(
                f"paths names {list(paths)} and moments {list(moments)}; the names must be the "
                f"same"
            )
        checked = {name: check_path(path, name=f"paths[{name!r}]") for name, path in paths.items()}
        curves, floors = {}, {}
        times = read_times(time_points, n_timepoints, checked)
        for name, path in checked.items():
            numbers, labels = class_numbers(y, classes, len(path), path.shape[2])
            answered = checked_moments(moments[name], name, len(delays), path)
            costs = costs_by_delay(delays, misclassification_cost, times[name], labels)
            curves[name] = curve(costs, times[name].shares, path, numbers, answered)
            floors[name] = curve(costs, times[name].shares, path, numbers)
        return cls(curves, _distinct(floors), delays).plot(ax=ax, kind=kind)

    def plot(self, ax: Any = None, *, kind: Kind = "cost") -> CostDisplay:
        """Plot one of the views.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.
        kind : {"cost", "accuracy"}, default="cost"
            View to plot: mean cost against the cost of waiting, or accuracy against the share
            seen.

        Returns
        -------
        CostDisplay
            The display itself.
        """
        _check_kind(kind)
        ax = new_axes(ax)
        draw = self._draw_costs if kind == "cost" else self._draw_accuracies
        for i, (name, line) in enumerate(self.curves.items()):
            draw(ax, line, name, marked_style(i))
        for i, (name, line) in enumerate(self.floors.items()):
            marker = marked_style(i)["marker"]
            grey = {"color": "0.45", "linestyle": (0, (1, 1)), "marker": marker, "markersize": 4}
            draw(ax, line, name, {**grey, "fillstyle": "none"})
        title = None
        if kind == "cost":
            self._label_costs(ax)
        else:
            ax.set(xlabel="mean part of the series seen (%)", ylabel="accuracy")
            low, high = self.delay_costs[0], self.delay_costs[-1]
            title = f"cost of waiting from {low:g}\nto {high:g} (large marker)"
        ax.grid(alpha=0.3)
        ax.legend(
            title=title, alignment="left", fontsize="small", title_fontsize="small", framealpha=1
        )
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_costs(self, ax: Any, line: CostCurve, name: str, style: dict[str, Any]) -> None:
        ax.plot(self.delay_costs, line.cost, label=name, **style)
        low, high = line.cost - line.error, line.cost + line.error
        draw_band(ax, self.delay_costs, low, high, style)

    def _draw_accuracies(self, ax: Any, line: CostCurve, name: str, style: dict[str, Any]) -> None:
        ax.plot(100 * line.share_seen, line.accuracy, label=name, **style)
        large = {**style, "markersize": 1.8 * style["markersize"], "linestyle": "none"}
        ax.plot(100 * line.share_seen[-1:], line.accuracy[-1:], **large)

    def _label_costs(self, ax: Any) -> None:
        if self.delay_costs[0] > 0:
            ax.set_xscale("log")
            ticks = _apart(self.delay_costs)
            ax.set_xticks(ticks, [f"{c:g}" for c in ticks])
            ax.set_xticks([], minor=True)
        ax.set_ylim(bottom=0)
        ax.set(xlabel="cost of waiting to the end of a series", ylabel="mean cost of a series")


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} must be 'cost' or 'accuracy'")


def _apart(costs: Floats) -> list[float]:
    """Return the costs whose labels do not overlap on a logarithmic axis."""
    least = (costs[-1] / costs[0]) ** 0.08
    kept = [float(costs[0])]
    for cost in costs[1:]:
        if cost >= least * kept[-1]:
            kept.append(float(cost))
    return kept


def _distinct(floors: Mapping[str, CostCurve]) -> dict[str, CostCurve]:
    """Return the distinct optima by their text in the legend; methods may share an optimum."""
    groups: list[tuple[list[str], CostCurve]] = []
    for name, floor in floors.items():
        alike = next((names for names, other in groups if _equal(floor, other)), None)
        if alike is None:
            groups.append(([name], floor))
        else:
            alike.append(name)
    if len(groups) == 1:
        return {FLOOR: groups[0][1]}
    return {f"{FLOOR} ({', '.join(names)})": floor for names, floor in groups}


def _equal(one: CostCurve, other: CostCurve) -> bool:
    return all(np.array_equal(getattr(one, field), getattr(other, field)) for field in vars(one))

"""ReliabilityDisplay: a diagram of the calibration of predicted probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from ..metrics import class_reliability_bins, reliability_bins
from .style import HATCHES, marked_style, new_axes

Floats = NDArray[np.float64]

N_BINS = 15
"""Number of bins, the same as in :func:`skgdpd.metrics.expected_calibration_error`."""
Z = NormalDist().inv_cdf(0.975)
"""Half width of the central 95 % interval of a standard normal distribution."""


@dataclass(frozen=True)
class Reliability:
    """Calibration of one method's predictions, in bins.

    Attributes
    ----------
    sure : ndarray of shape (n_bins,)
        Mean probability of the predicted class, or of ``pos_label``; NaN in an empty bin.
    right : ndarray of shape (n_bins,)
        Share of the series whose label is this class; NaN in an empty bin.
    low, high : ndarray of shape (n_bins,)
        Ends of Wilson's 95 % interval of this share; NaN in an empty bin.
    counts : ndarray of shape (n_bins,)
        Number of predictions in each bin.
    error : float
        Expected calibration error (ECE).
    """

    sure: Floats
    right: Floats
    low: Floats
    high: Floats
    counts: NDArray[np.int64]
    error: float


class ReliabilityDisplay:
    """Reliability diagram: share of correct predictions against predicted probability.

    Each method has one line. The line of a calibrated method is the diagonal: four in five of its
    predictions with probability 0.8 are correct. A method below the diagonal is overconfident.
    Vertical lines are 95 % intervals of the shares. Bars show the number of predictions in bins
    of equal width. The number after a name is the method's expected calibration error (ECE).

    With ``pos_label``, the diagram shows the probability of this class alone, in bins of about
    equal size. Use it if a class is rare or if its errors are costly. Nearly all predictions are
    then confident, and would be in the same bin of equal width.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Labels of the series.
    probas : mapping of str to array-like of shape (n, n_classes)
        Class probabilities, by name of the method.
    classes : array-like of shape (n_classes,), optional
        Label of each column of the probabilities. By default the sorted labels of ``y_true``.
    n_bins : int, default=15
        Number of bins. The bins have equal width between 0 and 1, or about equal size with
        ``pos_label``.
    pos_label : object, optional
        Class whose probabilities are plotted. By default those of the predicted classes.

    Attributes
    ----------
    results_ : dict of str to Reliability
        Plotted values of each method: ``sure``, ``right``, ``low``, ``high`` and ``counts`` of
        shape (n_bins,), and ``error``.
    ax_ : matplotlib.axes.Axes
        Axes of the lines.
    counts_ax_ : matplotlib.axes.Axes
        Axes of the counts, above ``ax_``.
    figure_ : matplotlib.figure.Figure
        Figure of both axes.

    References
    ----------
    C. Guo et al., "On calibration of modern neural networks", ICML 2017.

    Examples
    --------
    >>> from skgdpd.plotting import ReliabilityDisplay
    >>> probas = {"sure": [[0.9, 0.1], [0.1, 0.9]], "unsure": [[0.6, 0.4], [0.6, 0.4]]}
    >>> display = ReliabilityDisplay.from_predictions(["a", "b"], probas)
    >>> round(display.results_["sure"].error, 2)
    0.1
    """

    def __init__(
        self,
        y_true: ArrayLike,
        probas: Mapping[str, ArrayLike],
        classes: ArrayLike | None = None,
        n_bins: int = N_BINS,
        pos_label: Any = None,
    ) -> None:
        check_scalar(n_bins, "n_bins", Integral, min_val=1)
        if not probas:
            raise ValueError("probas is empty; give the probabilities of at least one method")
        self.y_true = y_true
        self.probas = probas
        self.classes = classes
        self.n_bins = n_bins
        self.pos_label = pos_label

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Any],
        X: Any,
        y: ArrayLike,
        *,
        n_bins: int = N_BINS,
        pos_label: Any = None,
        ax: Any = None,
    ) -> ReliabilityDisplay:
        """Plot the reliability diagram of fitted classifiers.

        Parameters
        ----------
        estimators : mapping of str to classifier
            Fitted classifiers with ``predict_proba``, by name. All must have the same classes.
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Series that were not used to fit the classifiers.
        y : array-like of shape (n_samples,)
            Labels of the series.
        n_bins : int, default=15
            Number of bins. The bins have equal width between 0 and 1, or about equal size with
            ``pos_label``.
        pos_label : object, optional
            Class whose probabilities are plotted. By default those of the predicted classes.
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        ReliabilityDisplay
            The plotted display.

        Raises
        ------
        ValueError
            If the classifiers have different classes.
        """
        probas, classes = {}, None
        for name, estimator in estimators.items():
            check_is_fitted(estimator)
            if classes is not None and not np.array_equal(classes, estimator.classes_):
                raise ValueError(
                    f"estimators[{name!r}] has the classes {estimator.classes_.tolist()} and the "
                    f"first estimator {classes.tolist()}; all must have the same classes"
                )
            classes = estimator.classes_
            probas[name] = estimator.predict_proba(X)
        return cls(y, probas, classes, n_bins, pos_label).plot(ax=ax)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        probas: Mapping[str, ArrayLike],
        *,
        classes: ArrayLike | None = None,
        n_bins: int = N_BINS,
        pos_label: Any = None,
        ax: Any = None,
    ) -> ReliabilityDisplay:
        """Plot the reliability diagram of predicted probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            Labels of the series.
        probas : mapping of str to array-like of shape (n, n_classes)
            Class probabilities, by name of the method.
        classes : array-like of shape (n_classes,), optional
            Label of each column of the probabilities. By default the sorted labels of ``y_true``.
        n_bins : int, default=15
            Number of bins. The bins have equal width between 0 and 1, or about equal size with
            ``pos_label``.
        pos_label : object, optional
            Class whose probabilities are plotted. By default those of the predicted classes.
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        ReliabilityDisplay
            The plotted display.
        """
        return cls(y_true, probas, classes, n_bins, pos_label).plot(ax=ax)

    def plot(self, ax: Any = None) -> ReliabilityDisplay:
        """Plot the diagram.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created. The counts are plotted above the
            axes.

        Returns
        -------
        ReliabilityDisplay
            The display itself.
        """
        self.results_ = {
            name: reliability(self.y_true, proba, self.classes, self.n_bins, self.pos_label)
            for name, proba in self.probas.items()
        }
        ax = new_axes(ax, (5.4, 5.6))
        counts_ax = ax.inset_axes((0, 1.03, 1, 0.22), sharex=ax)
        ax.plot([0, 1], [0, 1], color="0.4", linewidth=1, label="as sure as right")
        for i, (name, result) in enumerate(self.results_.items()):
            style = marked_style(i)
            there = result.counts > 0
            sure, right = result.sure[there], result.right[there]
            ax.vlines(
                sure, result.low[there], result.high[there], color=style["color"], linewidth=0.8
            )
            ax.plot(sure, right, label=f"{name} (ECE {result.error:.2f})", **style)
        self._draw_counts(counts_ax)
        low, high = self._limits()
        one = self.pos_label
        ax.set(
            xlabel=f"probability of {'the predicted class' if one is None else one}",
            ylabel="share of right predictions" if one is None else f"share of {one}",
            xlim=(low, high),
            ylim=(0, 1.02 * high),
        )
        counts_ax.set_ylabel("count")
        counts_ax.tick_params(labelbottom=False)
        ax.grid(alpha=0.3)
        ax.legend(fontsize="small", framealpha=1)
        self.ax_, self.counts_ax_, self.figure_ = ax, counts_ax, ax.figure
        return self

    def _draw_counts(self, counts_ax: Any) -> None:
        """Draw the numbers of predictions in bins of equal width."""
        width = 1 / self.n_bins
        bar = 0.9 * width / len(self.results_)
        for i, proba in enumerate(self.probas.values()):
            sure, _, _ = _binned(self.y_true, proba, self.classes, self.n_bins, self.pos_label)
            bins = np.minimum((sure * self.n_bins).astype(int), self.n_bins - 1)
            left = width * np.arange(self.n_bins) + 0.05 * width + i * bar
            counts_ax.bar(
                left, np.bincount(bins, minlength=self.n_bins), bar, align="edge",
                facecolor="white", edgecolor=marked_style(i)["color"],
                hatch=HATCHES[i % len(HATCHES)], linewidth=0.8,
            )  # fmt: skip

    def _limits(self) -> tuple[float, float]:
        """Return the limits of the axis, between which all lines are visible."""
        if self.pos_label is not None:
            highest = [[np.nanmax(r.sure), np.nanmax(r.high)] for r in self.results_.values()]
            return 0.0, min(1.0, 1.05 * float(np.max(highest)))
        used = np.flatnonzero(sum(result.counts for result in self.results_.values()))
        return min(used[0] / self.n_bins, 0.5), 1.0


def reliability(
    y_true: ArrayLike,
    proba: ArrayLike,
    classes: ArrayLike | None,
    n_bins: int,
    pos_label: Any = None,
) -> Reliability:
    """Return the calibration in bins; see :class:`ReliabilityDisplay` for the parameters."""
    sure, right, bins = _binned(y_true, proba, classes, n_bins, pos_label)
    counts = np.bincount(bins, minlength=n_bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = [np.bincount(bins, weights=w, minlength=n_bins) / counts for w in (sure, right)]
        low, high = wilson(means[1] * counts, counts)
    error = float(np.nansum(counts * np.abs(means[0] - means[1])) / counts.sum())
    return Reliability(means[0], means[1], low, high, counts, error)


def wilson(k: Any, n: Any) -> tuple[Any, Any]:
    """Return Wilson's 95 % interval of a share.

    Parameters
    ----------
    k, n : int, or ndarray of shape (n_bins,)
        Numbers of successes and of trials.

    Returns
    -------
    low, high : float, or ndarray of shape (n_bins,)
        Ends of the intervals; NaN if there are no trials.

    References
    ----------
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal
    of the American Statistical Association 22, 1927.
    """
    centre = (k + Z**2 / 2) / (n + Z**2)
    half = Z * np.sqrt(k * (n - k) / n + Z**2 / 4) / (n + Z**2)
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)


def _binned(
    y_true: ArrayLike, proba: ArrayLike, classes: ArrayLike | None, n_bins: int, pos_label: Any
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
    if pos_label is None:
        return reliability_bins(y_true, proba, classes, n_bins)
    return class_reliability_bins(y_true, proba, classes, n_bins, pos_label)

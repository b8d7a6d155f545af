"""Reliability diagram: how well predicted probabilities are calibrated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from ..metrics import expected_calibration_error, reliability_bins
from .style import HATCHES, marked_style, new_axes

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reliability:
    """Calibration of one method's predictions, in bins of equal width.

    Attributes
    ----------
    sure : ndarray of shape (n_bins,)
        Mean probability of the predicted class; NaN in an empty bin.
    right : ndarray of shape (n_bins,)
        Share of correct predictions; NaN in an empty bin.
    counts : ndarray of shape (n_bins,)
        Number of predictions.
    error : float
        Expected calibration error.
    """

    sure: Floats
    right: Floats
    counts: NDArray[np.int64]
    error: float


class ReliabilityDisplay:
    """Reliability diagram: share of correct predictions against predicted probability.

    Each method has one line. A calibrated method is on the diagonal: of its predictions with
    probability 0.8, four in five are correct. Below the diagonal a method is overconfident. Bars
    give the number of predictions in each bin. The number after a name is the method's expected
    calibration error.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Labels.
    probas : mapping of str to array-like of shape (n, n_classes)
        Class probabilities of each method.
    classes : array-like of shape (n_classes,), optional
        Label of each column; by default the sorted labels of ``y_true``.
    n_bins : int, default=10
        Number of bins of equal width between 0 and 1.

    Attributes
    ----------
    results_ : dict of str to Reliability
        Values that are plotted for each method: ``sure``, ``right`` and ``counts`` of shape
        (n_bins,), and ``error``.
    ax_ : matplotlib.axes.Axes
        Axes of the lines.
    counts_ax_ : matplotlib.axes.Axes
        Axes of the counts, above the lines.
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
        n_bins: int = 10,
    ) -> None:
        check_scalar(n_bins, "n_bins", Integral, min_val=1)
        if not probas:
            raise ValueError("probas is empty; give the probabilities of at least one method")
        self.y_true = y_true
        self.probas = probas
        self.classes = classes
        self.n_bins = n_bins

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Any],
        X: Any,
        y: ArrayLike,
        *,
        n_bins: int = 10,
        ax: Any = None,
    ) -> ReliabilityDisplay:
        """Plot the reliability diagram of fitted classifiers.

        Parameters
        ----------
        estimators : mapping of str to classifier
            Fitted classifiers with ``predict_proba``, by name. All must have the same classes.
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Series that the classifiers were not fitted on.
        y : array-like of shape (n_samples,)
            Labels of the series.
        n_bins : int, default=10
            Number of bins of equal width between 0 and 1.
        ax : matplotlib.axes.Axes, optional
            Axes to plot on; by default those of a new figure.

        Returns
        -------
        ReliabilityDisplay
            The display, plotted.

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
        return cls(y, probas, classes, n_bins).plot(ax=ax)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        probas: Mapping[str, ArrayLike],
        *,
        classes: ArrayLike | None = None,
        n_bins: int = 10,
        ax: Any = None,
    ) -> ReliabilityDisplay:
        """Plot the reliability diagram of predicted probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            Labels.
        probas : mapping of str to array-like of shape (n, n_classes)
            Class probabilities of each method.
        classes : array-like of shape (n_classes,), optional
            Label of each column; by default the sorted labels of ``y_true``.
        n_bins : int, default=10
            Number of bins of equal width between 0 and 1.
        ax : matplotlib.axes.Axes, optional
            Axes to plot on; by default those of a new figure.

        Returns
        -------
        ReliabilityDisplay
            The display, plotted.
        """
        return cls(y_true, probas, classes, n_bins).plot(ax=ax)

    def plot(self, ax: Any = None) -> ReliabilityDisplay:
        """Plot the diagram.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes to plot on; by default those of a new figure. The counts are plotted above them.

        Returns
        -------
        ReliabilityDisplay
            The display itself.
        """
        self.results_ = {
            name: reliability(self.y_true, proba, self.classes, self.n_bins)
            for name, proba in self.probas.items()
        }
        ax = new_axes(ax, (5.4, 5.6))
        counts_ax = ax.inset_axes((0, 1.03, 1, 0.22), sharex=ax)
        ax.plot([0, 1], [0, 1], color="0.4", linewidth=1, label="as sure as right")
        width = 1 / self.n_bins
        bar = 0.9 * width / len(self.results_)
        for i, (name, result) in enumerate(self.results_.items()):
            style = marked_style(i)
            there = result.counts > 0
            label = f"{name} ({result.error:.2f})"
            ax.plot(result.sure[there], result.right[there], label=label, **style)
            left = width * np.arange(self.n_bins) + 0.05 * width + i * bar
            counts_ax.bar(
                left, result.counts, bar, align="edge", facecolor="white",
                edgecolor=style["color"], hatch=HATCHES[i % len(HATCHES)], linewidth=0.8,
            )  # fmt: skip
        used = np.flatnonzero(sum(result.counts for result in self.results_.values()))
        ax.set(
            xlabel="probability of the predicted class",
            ylabel="share of right predictions",
            xlim=(min(width * used[0], 0.5), 1),
            ylim=(0, 1.02),
        )
        counts_ax.set_ylabel("count")
        counts_ax.tick_params(labelbottom=False)
        ax.grid(alpha=0.3)
        ax.legend(fontsize="small", framealpha=1)
        self.ax_, self.counts_ax_, self.figure_ = ax, counts_ax, ax.figure
        return self


def reliability(
    y_true: ArrayLike, proba: ArrayLike, classes: ArrayLike | None, n_bins: int
) -> Reliability:
    """Compute the calibration of predictions; parameters as in :class:`ReliabilityDisplay`."""
    sure, right, bins = reliability_bins(y_true, proba, classes, n_bins)
    counts = np.bincount(bins, minlength=n_bins)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(bins, weights=w, minlength=n_bins) / counts for w in (sure, right)]
    error = expected_calibration_error(y_true, proba, classes, n_bins=n_bins)
    return Reliability(means[0], means[1], counts, error)

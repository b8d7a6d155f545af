"""HistoryDisplay: learning curves, which show the loss terms of a training by epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..training import History
from .style import COLORS, marked_style, new_axes

NAMES = {
    "ce": "labels",
    "gdpd": "restored features",
    "hinton": "soft targets",
    "fitnets": "features",
    "diffusion": "denoising",
    "flow": "flow",
    "reconstruction": "reconstruction",
    "loss": "all",
    "valid_loss": "validation",
}
"""Text of each loss term in the legend."""


class HistoryDisplay:
    """Plot of the loss terms by epoch, with the warm-up and the epoch of the kept weights.

    Parameters
    ----------
    history : History
        Record of a training, such as the attribute ``history_`` of a fitted estimator.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Axes of the plot.
    figure_ : matplotlib.figure.Figure
        Figure of the axes.

    Examples
    --------
    >>> from skgdpd import PrefixClassifier
    >>> from skgdpd.datasets import make_bumps
    >>> from skgdpd.plotting import HistoryDisplay
    >>> X, y = make_bumps(40, random_state=0)
    >>> clf = PrefixClassifier("fcn", max_epochs=5, random_state=0).fit(X, y)
    >>> display = HistoryDisplay.from_estimator(clf)
    >>> display.ax_.get_xlabel()
    'epoch'
    """

    def __init__(self, history: History) -> None:
        self.history = history

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> HistoryDisplay:
        """Plot the training history of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            Fitted estimator with an attribute ``history_``.
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        HistoryDisplay
            The plotted display.
        """
        check_is_fitted(estimator)
        return cls(estimator.history_).plot(ax=ax)

    def plot(self, ax: Any = None) -> HistoryDisplay:
        """Plot the history.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        HistoryDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the history has no epochs, because the student is fitted in closed form.
        """
        history = self.history
        if not history.n_epochs:
            raise ValueError("history has no epochs to plot: the student is in closed form")
        ax = new_axes(ax)
        terms = [name for name in history if name != "loss"]
        if len([name for name in terms if not name.startswith("valid")]) > 1:
            terms.append("loss")
        n_epochs = history.n_epochs
        epochs = np.arange(1, n_epochs + 1)
        # Markers distinguish lines in black and white. They are staggered to avoid overlap.
        every = max(n_epochs // 8, 1)
        lowest = np.inf
        for i, name in enumerate(terms):
            # A disabled term is recorded as 0, which would look like a perfect fit.
            values = np.where(history[name] == 0, np.nan, history[name])
            lowest = min(lowest, np.nanmin(values, initial=np.inf))
            label = f"{NAMES[name]} ({name})" if name in NAMES else name
            first = i * every // len(terms)
            ax.plot(epochs, values, label=label, markevery=(first, every), **marked_style(i))
        if history.warmup_epochs:
            ax.axvspan(
                1, history.warmup_epochs + 0.5, facecolor="0.9", edgecolor="0.5",
                linestyle=(0, (4, 3)), zorder=0, label="warm-up",
            )  # fmt: skip
        if history.best_epoch is not None:
            kept = history.best_epoch + 1
            ax.axvline(kept, color=COLORS[-1], linewidth=1.5, label=f"kept: epoch {kept}")
        # Most losses are positive and fall by orders of magnitude, but a few can be negative.
        scale = "log" if 0 < lowest < np.inf else "linear"
        ax.set(xlabel="epoch", ylabel="loss", yscale=scale, xlim=(1, max(n_epochs, 2)))
        ax.locator_params(axis="x", integer=True)
        ax.legend(fontsize="small", framealpha=1)
        self.ax_, self.figure_ = ax, ax.figure
        return self

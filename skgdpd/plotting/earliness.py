"""How good predictions are, against how much of a series has been seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .style import marked_style, new_axes


class EarlinessDisplay:
    """A score against the part seen, one line a method, with a band over seeds.

    Parameters
    ----------
    earliness : sequence of float
        Parts seen, in (0, 1].
    scores : mapping of str to array-like of shape (n_earliness,) or (n_earliness, n_seeds)
        Scores by method. With seeds, the line is their mean and the band their range.
    score_name : str, default="accuracy"
        Label of the vertical axis.
    reference : tuple of str and float, optional
        Name and score of something that sees whole series, drawn as a level line.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where it is drawn.
    figure_ : matplotlib.figure.Figure
        The figure that holds it.

    Examples
    --------
    >>> from skgdpd.plotting import EarlinessDisplay
    >>> scores = {"base": [0.6, 0.8], "GDPD": [0.7, 0.9]}
    >>> display = EarlinessDisplay.from_results([0.2, 0.5], scores)
    >>> display.ax_.get_ylabel()
    'accuracy'
    """

    def __init__(
        self,
        earliness: Sequence[float],
        scores: Mapping[str, ArrayLike],
        score_name: str = "accuracy",
        reference: tuple[str, float] | None = None,
    ) -> None:
        self.earliness = earliness
        self.scores = scores
        self.score_name = score_name
        self.reference = reference

    @classmethod
    def from_results(
        cls,
        earliness: Sequence[float],
        scores: Mapping[str, ArrayLike],
        *,
        score_name: str = "accuracy",
        reference: tuple[str, float] | None = None,
        ax: Any = None,
    ) -> EarlinessDisplay:
        """Draw scores; the parameters are the class's and those of :meth:`plot`."""
        return cls(earliness, scores, score_name, reference).plot(ax=ax)

    def plot(self, ax: Any = None) -> EarlinessDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        EarlinessDisplay
            Itself.
        """
        ax = new_axes(ax)
        percent = 100 * np.asarray(self.earliness)
        order = np.argsort(percent)
        for i, (name, scores) in enumerate(self.scores.items()):
            table = np.asarray(scores, dtype=float).reshape(len(percent), -1)[order]
            style = marked_style(i)
            ax.plot(percent[order], table.mean(1), label=name, **style)
            if table.shape[1] > 1:
                low, high = table.min(1), table.max(1)
                ax.fill_between(percent[order], low, high, color=style["color"], alpha=0.15)
        if self.reference is not None:
            name, level = self.reference
            ax.axhline(level, color="0.4", linewidth=1, linestyle=(0, (1, 1)), label=name)
        ax.set(xlabel="part of the series seen (%)", ylabel=self.score_name)
        ax.grid(alpha=0.3)
        ax.legend(frameon=False, fontsize="small")
        self.ax_, self.figure_ = ax, ax.figure
        return self

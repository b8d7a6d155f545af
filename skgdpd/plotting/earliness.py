"""EarlinessDisplay: a plot of the scores of early classifiers against the earliness."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import get_scorer
from sklearn.utils.validation import check_is_fitted

from .style import draw_band, marked_style, new_axes


class EarlinessDisplay:
    """Plot of a score against the earliness, with one line for each method.

    Parameters
    ----------
    earliness : sequence of float
        Seen shares of the series, in (0, 1].
    scores : mapping of str to array-like of shape (n_earliness,) or (n_earliness, n_seeds)
        Scores of each method. With several seeds, the line is the mean over seeds, and the band
        is their range.
    score_name : str, default="accuracy"
        Label of the vertical axis.
    reference : tuple of str and float, optional
        Name and score of a classifier of whole series. The score is drawn as a horizontal line.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Axes of the plot.
    figure_ : matplotlib.figure.Figure
        Figure of the axes.

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
        n = len(earliness)
        for name, values in scores.items():
            shape = np.shape(values)
            if len(shape) not in (1, 2) or shape[0] != n:
                raise ValueError(
                    f"scores[{name!r}] has shape {shape}; with {n} values of earliness it must be "
                    f"({n},) or ({n}, n_seeds)"
                )
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
        """Plot given scores.

        Parameters
        ----------
        earliness : sequence of float
            Seen shares of the series, in (0, 1].
        scores : mapping of str to array-like of shape (n_earliness,) or (n_earliness, n_seeds)
            Scores of each method. With several seeds, the line is the mean over seeds, and the
            band is their range.
        score_name : str, default="accuracy"
            Label of the vertical axis.
        reference : tuple of str and float, optional
            Name and score of a classifier of whole series. The score is drawn as a horizontal
            line.
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        EarlinessDisplay
            The plotted display.
        """
        return cls(earliness, scores, score_name, reference).plot(ax=ax)

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Sequence[Any]],
        X: Any,
        y: ArrayLike,
        *,
        scoring: str | Callable[..., float] = "accuracy",
        reference: tuple[str, float] | None = None,
        ax: Any = None,
    ) -> EarlinessDisplay:
        """Score fitted early classifiers, and plot their scores.

        Parameters
        ----------
        estimators : mapping of str to sequence of PrefixClassifier or like
            Fitted classifiers of each method. All methods must have the same prefix lengths. A
            method must have the same number of classifiers (seeds) for each prefix length.
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Whole series that were not used to fit the classifiers.
        y : array-like of shape (n_samples,)
            Labels of the series.
        scoring : str or callable, default="accuracy"
            Name of a score in scikit-learn, or a scorer.
        reference : tuple of str and float, optional
            Name and score of a classifier of whole series. The score is drawn as a horizontal
            line.
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        EarlinessDisplay
            The plotted display.

        Raises
        ------
        TypeError
            If a method is one classifier and no list, or if a classifier chooses its moments.
        ValueError
            If methods have different prefix lengths. If a method has more classifiers for one
            prefix length than for another.
        """
        scorer = get_scorer(scoring) if isinstance(scoring, str) else scoring
        scores: dict[str, list[list[float]]] = {}
        parts: list[float] = []
        for name, fitted in estimators.items():
            by_part: dict[float, list[float]] = {}
            if hasattr(fitted, "fit"):
                raise TypeError(
                    f"estimators[{name!r}] is one {type(fitted).__name__}; give a list of fitted "
                    f"classifiers, one for each part seen and seed"
                )
            for clf in fitted:
                check_is_fitted(clf)
                if not hasattr(clf, "prefix_length_"):
                    raise TypeError(
                        f"estimators[{name!r}] holds {type(clf).__name__}, which does not answer "
                        f"after a fixed part of a series; CostDisplay draws early classifiers "
                        f"that choose their moments"
                    )
                part = clf.prefix_length_ / clf.n_timepoints_in_
                by_part.setdefault(part, []).append(float(scorer(clf, X, y)))
            own = sorted(by_part)
            parts = parts or own
            if own != parts or len({len(seeds) for seeds in by_part.values()}) != 1:
                counts = {f"{part:.3g}": len(seeds) for part, seeds in sorted(by_part.items())}
                raise ValueError(
                    f"estimators[{name!r}] has, by fraction of the series seen, {counts} "
                    f"classifiers; each fraction of the first method, "
                    f"{[f'{part:.3g}' for part in parts]}, must have equally many"
                )
            scores[name] = [by_part[part] for part in parts]
        label = scoring.replace("_", " ") if isinstance(scoring, str) else "score"
        return cls(parts, scores, label, reference).plot(ax=ax)

    def plot(self, ax: Any = None) -> EarlinessDisplay:
        """Plot the scores.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        EarlinessDisplay
            The display itself.
        """
        ax = new_axes(ax)
        percent = 100 * np.asarray(self.earliness)
        order = np.argsort(percent)
        for i, (name, scores) in enumerate(self.scores.items()):
            table = np.asarray(scores, dtype=float).reshape(len(percent), -1)[order]
            style = marked_style(i)
            ax.plot(percent[order], table.mean(1), label=name, **style)
            if table.shape[1] > 1:
                draw_band(ax, percent[order], table.min(1), table.max(1), style)
        if self.reference is not None:
            name, level = self.reference
            ax.axhline(level, color="0.4", linewidth=1, linestyle=(0, (1, 1)), label=name)
        ax.set(xlabel="part of the series seen (%)", ylabel=self.score_name)
        ax.grid(alpha=0.3)
        ax.legend(fontsize="small", framealpha=1)
        self.ax_, self.figure_ = ax, ax.figure
        return self

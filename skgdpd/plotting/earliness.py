"""How good predictions are, against how much of a series has been seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import get_scorer
from sklearn.utils.validation import check_is_fitted

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
        """Draw scores.

        Parameters
        ----------
        earliness, scores, score_name, reference
            As for the class.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        EarlinessDisplay
            Drawn.
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
        """Score fitted classifiers of prefixes, and draw that.

        Parameters
        ----------
        estimators : mapping of str to sequence of PrefixClassifier or like
            Fitted classifiers by method; of each method equally many (seeds) for each prefix
            length, and the same lengths for all methods.
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Whole series that they were not fitted on.
        y : array-like of shape (n_samples,)
            Their labels.
        scoring : str or callable, default="accuracy"
            A score's name in scikit-learn, or a scorer.
        reference : tuple of str and float, optional
            Name and score of something that sees whole series.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        EarlinessDisplay
            Drawn.

        Raises
        ------
        ValueError
            If methods differ in prefix lengths, or a method's lengths in their number of seeds.
        """
        scorer = get_scorer(scoring) if isinstance(scoring, str) else scoring
        scores: dict[str, list[list[float]]] = {}
        parts: list[float] = []
        for name, fitted in estimators.items():
            by_part: dict[float, list[float]] = {}
            for clf in fitted:
                check_is_fitted(clf)
                part = clf.prefix_length_ / clf.n_timepoints_in_
                by_part.setdefault(part, []).append(float(scorer(clf, X, y)))
            own = sorted(by_part)
            parts = parts or own
            if own != parts or len({len(seeds) for seeds in by_part.values()}) != 1:
                counts = {f"{part:.3g}": len(seeds) for part, seeds in sorted(by_part.items())}
                raise ValueError(
                    f"estimators[{name!r}] are, by part seen, {counts}; there must be equally "
                    f"many for each of the first method's {[f'{part:.3g}' for part in parts]}"
                )
            scores[name] = [by_part[part] for part in parts]
        label = scoring.replace("_", " ") if isinstance(scoring, str) else "score"
        return cls(parts, scores, label, reference).plot(ax=ax)

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
                ax.fill_between(percent[order], low, high, color=style["color"], alpha=0.12, lw=0)
                # Edges, for in black and white bands that overlap are one.
                edge = {"color": style["color"], "linestyle": style["linestyle"]}
                ax.plot(percent[order], np.stack([low, high], 1), linewidth=0.6, **edge)
        if self.reference is not None:
            name, level = self.reference
            ax.axhline(level, color="0.4", linewidth=1, linestyle=(0, (1, 1)), label=name)
        ax.set(xlabel="part of the series seen (%)", ylabel=self.score_name)
        ax.grid(alpha=0.3)
        ax.legend(fontsize="small", framealpha=1)
        self.ax_, self.figure_ = ax, ax.figure
        return self

"""CriticalDifferenceDisplay: a diagram of the mean ranks of several methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .style import new_axes


class CriticalDifferenceDisplay:
    """Critical difference diagram: mean ranks on an axis.

    A bar joins methods that do not differ significantly.

    Parameters
    ----------
    names : sequence of str
        Names of at least two methods.
    ranks : sequence of float
        Mean rank of each method. Rank 1 is best.
    groups : sequence of sequence of str
        Groups of methods that do not differ significantly. Each group is drawn as a bar.
    n_problems : int
        Number of problems over which the ranks are averaged. If it is 0, it is not shown.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Axes of the diagram.
    figure_ : matplotlib.figure.Figure
        Figure of the axes.

    References
    ----------
    J. Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 2006.

    Examples
    --------
    >>> from skgdpd.plotting import CriticalDifferenceDisplay
    >>> display = CriticalDifferenceDisplay.from_results(
    ...     ["a", "b", "c"], [1.2, 1.9, 2.9], groups=[["a", "b"]], n_problems=20
    ... )
    >>> [text.get_text() for text in display.ax_.texts][:2]
    ['a  1.20', 'b  1.90']
    """

    def __init__(
        self,
        names: Sequence[str],
        ranks: Sequence[float],
        groups: Sequence[Sequence[str]],
        n_problems: int,
    ) -> None:
        if len(names) != len(ranks) or len(names) < 2:
            raise ValueError(
                f"names has {len(names)} entries and ranks {len(ranks)}; there must be two or "
                f"more, and as many ranks as names"
            )
        self.names = list(names)
        self.ranks = list(ranks)
        self.groups = groups
        self.n_problems = n_problems

    @classmethod
    def from_results(
        cls,
        names: Sequence[str],
        ranks: Sequence[float],
        *,
        groups: Sequence[Sequence[str]] = (),
        n_problems: int = 0,
        ax: Any = None,
    ) -> CriticalDifferenceDisplay:
        """Plot given mean ranks.

        Parameters
        ----------
        names : sequence of str
            Names of at least two methods.
        ranks : sequence of float
            Mean rank of each method. Rank 1 is best.
        groups : sequence of sequence of str, default=()
            Groups of methods that do not differ significantly. By default no bars are drawn.
        n_problems : int, default=0
            Number of problems over which the ranks are averaged. If it is 0, it is not shown.
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        CriticalDifferenceDisplay
            The plotted display.
        """
        return cls(names, ranks, groups, n_problems).plot(ax=ax)

    def plot(self, ax: Any = None) -> CriticalDifferenceDisplay:
        """Plot the diagram.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes to plot on. By default a new figure is created.

        Returns
        -------
        CriticalDifferenceDisplay
            The display itself.
        """
        order = np.argsort(self.ranks, kind="stable")
        k = len(order)
        n_left = (k + 1) // 2
        bars = [group for group in self.groups if len(group) > 1]
        depth = 0.4 * len(bars) + 0.4
        ax = new_axes(ax, (7.0, 1.3 + 0.16 * len(bars) + 0.27 * n_left))
        low, high = 1.0, float(k)
        for place, i in enumerate(order):
            left = place < n_left
            line = depth + 0.7 * (place if left else k - 1 - place)
            edge = low - 0.1 if left else high + 0.1
            rank = self.ranks[i]
            ax.plot(
                [rank, rank, edge], [0, line, line], color="black", linewidth=0.8, clip_on=False
            )
            text = f"{self.names[i]}  {rank:.2f}" if left else f"{rank:.2f}  {self.names[i]}"
            gap = -0.04 if left else 0.04
            ax.text(
                edge + gap, line, text, ha="right" if left else "left", va="center", fontsize=9
            )
        by_name = dict(zip(self.names, self.ranks, strict=True))
        for i, group in enumerate(bars):
            ends = [by_name[name] for name in group]
            at = 0.35 + 0.4 * i
            ax.plot(
                [min(ends) - 0.03, max(ends) + 0.03], [at, at], color="black", linewidth=3.5,
                solid_capstyle="butt", clip_on=False,
            )  # fmt: skip
        ax.set(xlim=(low, high), ylim=(depth + 0.7 * n_left - 0.3, 0), yticks=[])
        ax.set_xticks(range(1, k + 1))
        ax.xaxis.tick_top()
        ax.xaxis.set_label_position("top")
        over = f" over {self.n_problems} problems" if self.n_problems else ""
        ax.set_xlabel(f"mean rank{over} (1 is best)")
        for side in ("left", "right", "bottom"):
            ax.spines[side].set_visible(False)
        self.ax_, self.figure_ = ax, ax.figure
        return self

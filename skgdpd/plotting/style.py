"""Common style of all plots, readable in black and white and for colour-blind people."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._runtime.extras import require

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Palette of Okabe and Ito, without its yellow, because yellow is hard to see on white."""

LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 2)), (0, (8, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "----", "||||")


def line_style(i: int) -> dict[str, Any]:
    """Return the colour and the dash pattern of the i-th line."""
    return {"color": COLORS[i % len(COLORS)], "linestyle": LINES[i % len(LINES)]}


def marked_style(i: int) -> dict[str, Any]:
    """Return the colour, the dash pattern and the marker of the i-th line."""
    return {**line_style(i), "marker": MARKERS[i % len(MARKERS)], "markersize": 5}


def draw_band(ax: Any, x: Any, low: Any, high: Any, style: dict[str, Any]) -> None:
    """Draw the band of a line, with thin edges that separate overlapping bands."""
    ax.fill_between(x, low, high, color=style["color"], alpha=0.12, lw=0)
    edge = {"color": style["color"], "linestyle": style["linestyle"]}
    ax.plot(x, np.stack([low, high], 1), linewidth=0.6, **edge)


def new_axes(ax: Any = None, figsize: tuple[float, float] = (6.4, 4.0)) -> Any:
    """Return the given axes, or the axes of a new figure."""
    if ax is not None:
        if not hasattr(ax, "add_artist"):
            raise TypeError(
                f"ax={ax!r} must be axes of matplotlib, or None for those of a new figure"
            )
        return ax
    pyplot = require("matplotlib.pyplot", "plot", "to draw")
    return pyplot.subplots(figsize=figsize, layout="constrained")[1]

"""Views of a series: its whole, or the part that a student sees, ready for a network.

A view cuts, then normalises, then resamples, in this order: nothing after the cut can have an
influence on what comes out.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from ._panel import Panel, check_values
from ._truncation import MIN_LENGTH, as_numpy, prefix_length

Normalization = Literal["train", "prefix"]
Series = NDArray[np.float32]


class Normalizer:
    """Brings channels to mean 0 and variance 1.

    Parameters
    ----------
    how : {"train", "prefix"} or None
        ``"train"``: by the mean and deviation of each channel over the training part's whole
        series. ``"prefix"``: each view of a series by itself. None: not at all.
    """

    def __init__(self, how: Normalization | None) -> None:
        self.how = how

    def fit(self, whole: Series) -> Normalizer:
        """Take statistics of whole training series ``(n, c, t)``."""
        if self.how == "train":
            self.mean_ = whole.mean((0, 2), dtype=np.float64)[:, None].astype(np.float32)
            deviation = whole.std((0, 2), dtype=np.float64)[:, None]
            self.scale_ = _nonzero(deviation, np.abs(self.mean_)).astype(np.float32)
        return self

    def __call__(self, values: Series) -> Series:
        """Normalise views ``(n, c, t)``."""
        if self.how is None:
            return values
        if self.how == "train":
            return (values - self.mean_) / self.scale_
        mean = values.mean(2, keepdims=True, dtype=np.float64)
        deviation = values.std(2, keepdims=True, dtype=np.float64)
        return ((values - mean) / _nonzero(deviation, np.abs(mean))).astype(np.float32)


def _nonzero(deviation: NDArray[Any], size: NDArray[Any]) -> NDArray[Any]:
    """Deviations, 1 where a channel is constant up to rounding."""
    return np.where(deviation > 1e-6 * size, deviation, 1.0)


def resample(values: Series, n_timepoints: int) -> Series:
    """Linear interpolation of ``(n, c, t)`` to another length, first and last points aligned."""
    old = values.shape[2]
    if old == n_timepoints:
        return values
    position = np.linspace(0, old - 1, n_timepoints)
    left = np.minimum(position.astype(int), old - 2)
    weight = (position - left).astype(np.float32)
    return values[:, :, left] * (1 - weight) + values[:, :, left + 1] * weight


class View:
    """Turns panels into the input of a network.

    Parameters
    ----------
    earliness : float, int or transformer
        How much of a series is seen: a fraction, a number of time points, or any transformer of
        series. 1.0 is the whole.
    normalizer : Normalizer
        Fitted.
    resample_length : int or None
        Resample the view to ``min(resample_length, whole length)`` points; None keeps it as it is.

    Attributes
    ----------
    n_whole_ : int
        Length of whole series.
    n_seen_ : int
        Length of the view, before resampling.
    n_out_ : int
        Length of the view, after resampling.
    """

    def __init__(
        self, earliness: Any, normalizer: Normalizer, resample_length: int | None
    ) -> None:
        self.earliness = earliness
        self.normalizer = normalizer
        self.resample_length = resample_length

    def fit(self, panel: Panel) -> View:
        """Take lengths from whole training series, and fit the transformer if there is one.

        Raises
        ------
        ValueError
            If an ``earliness`` in time points is more than the series have.
        """
        self.n_whole_ = panel.n_timepoints
        if hasattr(self.earliness, "transform"):
            self.transformer_ = clone(self.earliness)
            seen = as_numpy(self.transformer_.fit_transform(panel.values))
            self.n_seen_ = seen.shape[2]
        else:
            self.transformer_ = None
            self.n_seen_ = prefix_length(self.earliness, self.n_whole_)
        if not MIN_LENGTH <= self.n_seen_ <= self.n_whole_:
            raise ValueError(
                f"earliness={self.earliness!r} leaves {self.n_seen_} time points of "
                f"{self.n_whole_}; it must leave between {MIN_LENGTH} and {self.n_whole_}"
            )
        longest = self.resample_length
        self.n_out_ = self.n_seen_ if longest is None else min(longest, self.n_whole_)
        return self

    def __call__(self, panel: Panel, name: str = "X") -> Series:
        """Turn whole series, or series cut already, into views ``(n, c, n_out_)``.

        Raises
        ------
        ValueError
            If the series have another length, or hold values that aren't finite.
        """
        n_timepoints = panel.n_timepoints
        if self.transformer_ is not None and n_timepoints == self.n_whole_:
            panel = Panel(as_numpy(self.transformer_.transform(panel.values)))
        elif n_timepoints not in (self.n_whole_, self.n_seen_):
            raise ValueError(
                f"{name} has series of {n_timepoints} time points; this classifier was fitted on "
                f"{self.n_whole_} and takes these, or the first {self.n_seen_} that it looks at"
            )
        values = check_values(panel.first(self.n_seen_).values, name)
        seen = np.ascontiguousarray(resample(self.normalizer(values), self.n_out_))
        return seen if seen.flags.writeable else seen.copy()

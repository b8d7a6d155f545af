"""Views of a series: its whole, or the part that a student sees, ready for a network.

A view cuts, then fills gaps, then normalises, then resamples, in this order: nothing after the
cut can have an influence on what comes out.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from ._panel import Panel, as_frames, as_list, check_values, own_lengths
from ._truncation import MIN_LENGTH, as_numpy, prefix_length

Normalization = Literal["train", "prefix"]
EarlinessOf = Literal["longest", "own"]
Missing = Literal["error", "interpolate", "mask"]
Series = NDArray[np.float32]
Lengths = NDArray[np.int64]


@dataclass(frozen=True)
class Seen:
    """What a network sees of some series.

    Attributes
    ----------
    values : ndarray of shape (n, n_channels, n_timepoints)
        Finite; zero beyond a series' own length.
    lengths : ndarray of shape (n,) or None
        Own lengths; None where all are ``n_timepoints``.
    """

    values: Series
    lengths: Lengths | None = None


class Normalizer:
    """Brings channels to mean 0 and variance 1, leaving missing values out.

    Parameters
    ----------
    how : {"train", "prefix"} or None
        ``"train"``: by the mean and deviation of each channel over the training part's views.
        ``"prefix"``: each view of a series by itself. None: not at all.
    """

    def __init__(self, how: Normalization | None) -> None:
        self.how = how

    def fit(self, views: Series) -> Normalizer:
        """Take statistics of training views ``(n, c, t)``; NaN is left out."""
        self._count = np.zeros((1, 1, 1))
        self._mean = self._square = self._count
        return self.update(views)

    def update(self, views: Series) -> Normalizer:
        """Take further views ``(n, c, t)`` into the statistics, as if all had come at once."""
        if self.how != "train":
            return self
        mean, deviation = _moments(views, (0, 2))
        count = (~np.isnan(views)).sum((0, 2), dtype=np.float64)[None, :, None]
        square = count * deviation**2
        if self._count.any():
            # Chan, Golub, LeVeque: moments of two parts together.
            total = np.maximum(self._count + count, 1)
            gap = mean - self._mean
            square = self._square + square + gap**2 * self._count * count / total
            mean = self._mean + gap * count / total
            deviation = np.sqrt(square / total)
        self._count, self._mean, self._square = self._count + count, mean, square
        self.mean_ = mean[0].astype(np.float32)
        self.scale_ = _nonzero(deviation, np.abs(mean))[0].astype(np.float32)
        return self

    def __call__(self, values: Series) -> Series:
        """Normalise views ``(n, c, t)``; NaN stays."""
        if self.how is None:
            return values
        if self.how == "train":
            return (values - self.mean_) / self.scale_
        mean, deviation = _moments(values, 2)
        return ((values - mean) / _nonzero(deviation, np.abs(mean))).astype(np.float32)


def _moments(values: Series, axis: int | tuple[int, int]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean and deviation of what isn't NaN; 0 where nothing is."""
    whole = bool(np.isfinite(values.sum(dtype=np.float64)))
    if whole or not np.isnan(values).any():
        mean = values.mean(axis, keepdims=True, dtype=np.float64)
        return mean, values.std(axis, keepdims=True, dtype=np.float64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice|Degrees of freedom", RuntimeWarning)
        mean = np.nanmean(values, axis, keepdims=True, dtype=np.float64)
        deviation = np.nanstd(values, axis, keepdims=True, dtype=np.float64)
    return np.nan_to_num(mean), np.nan_to_num(deviation)


def _nonzero(deviation: NDArray[Any], size: NDArray[Any]) -> NDArray[Any]:
    """Deviations, 1 where a channel is constant up to rounding."""
    return np.where(deviation > 1e-6 * size, deviation, 1.0)


def interpolate(values: Series, lengths: Lengths | None) -> Series:
    """Fill gaps linearly between neighbours, and at the ends with the nearest value.

    Parameters
    ----------
    values : ndarray of shape (n, c, t)
        NaN where a value is missing, and beyond a series' own length.
    lengths : ndarray of shape (n,) or None
        Own lengths; what lies beyond stays NaN.

    Returns
    -------
    ndarray of shape (n, c, t)
        A channel of a series with no value at all stays NaN.
    """
    filled = values.copy()
    time = np.arange(values.shape[2])
    for i, channel in np.argwhere(np.isnan(values).any(2)):
        length = values.shape[2] if lengths is None else int(lengths[i])
        row = filled[i, channel, :length]
        there = ~np.isnan(row)
        if there.any() and not there.all():
            row[~there] = np.interp(time[:length][~there], time[:length][there], row[there])
    return filled


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
        Fitted on the training views.
    resample_length : int or None
        Resample the view to ``min(resample_length, whole length)`` points; None keeps it as it is.
    earliness_of : {"longest", "own"}, default="longest"
        What a fraction is of, where series differ in length.
    missing : {"error", "interpolate", "mask"}, default="error"
        What becomes of gaps: an error, a straight line, or zero and a further channel that says
        where values are, for each channel.
    ragged : bool, optional
        Whether series of any length are to be taken; by default, if those given to ``fit`` differ
        in length.

    Attributes
    ----------
    ragged_ : bool
        Whether series of any length are taken.
    n_whole_ : int
        Length of whole series, the longest's.
    n_seen_ : int
        Length of the view, the longest's, before resampling.
    n_out_ : int
        Length of the view, after resampling.
    n_channels_ : int
        Channels that come out.
    """

    def __init__(
        self,
        earliness: Any,
        normalizer: Normalizer,
        resample_length: int | None,
        *,
        earliness_of: EarlinessOf = "longest",
        missing: Missing = "error",
        ragged: bool | None = None,
    ) -> None:
        self.earliness = earliness
        self.normalizer = normalizer
        self.resample_length = resample_length
        self.earliness_of = earliness_of
        self.missing = missing
        self.ragged = ragged

    def fit(self, panel: Panel, rows: NDArray[np.int64] | None = None) -> View:
        """Take lengths and statistics, and fit the transformer if there is one.

        Parameters
        ----------
        panel : Panel
            Whole series, from which lengths are taken.
        rows : ndarray of int, optional
            The training part, from which statistics are; all by default.

        Raises
        ------
        ValueError
            If an ``earliness`` in time points is more than the series have.
        """
        self.ragged_, self.n_whole_ = bool(self.ragged), 0
        for start, part in panel.chunks():
            gaps = self.missing != "error"
            checked = check_values(part.values, gaps=gaps, min_length=MIN_LENGTH, first=start)
            own = part.n_timepoints if checked.lengths is None else int(checked.lengths.max())
            self.n_whole_ = max(self.n_whole_, own)
            self.ragged_ |= self.ragged is None and checked.lengths is not None
        self.transformer_ = clone(self.earliness) if hasattr(self.earliness, "transform") else None
        if self.transformer_ is not None:
            self.transformer_.fit(self._for_transformer(panel))
            self.n_seen_ = self._transform(panel).shape[2]
        else:
            self.n_seen_ = prefix_length(self.earliness, self.n_whole_)
        if not MIN_LENGTH <= self.n_seen_ <= self.n_whole_:
            raise ValueError(
                f"earliness={self.earliness!r} leaves {self.n_seen_} time points of "
                f"{self.n_whole_}; it must leave between {MIN_LENGTH} and {self.n_whole_}"
            )
        longest = self.resample_length
        self.n_out_ = self.n_seen_ if longest is None else min(longest, self.n_whole_)
        self.n_channels_ = panel.n_channels * (2 if self.missing == "mask" else 1)
        training = panel if rows is None else panel.take(rows)
        take = self.normalizer.fit
        for _, part in training.chunks():
            take(self._filled(part, "X")[0])
            take = self.normalizer.update
        return self

    def seen_lengths(self, panel: Panel) -> Lengths:
        """Time points ``(n,)`` of each series of a panel that are seen, before resampling."""
        if not self.ragged_:
            return np.full(len(panel), self.n_seen_)
        return own_lengths(np.isnan(self._cut(panel, "X")))

    def learn_statistics(self, panel: Panel) -> None:
        """Take further series into the statistics of ``normalize="train"``."""
        for _, part in panel.chunks():
            self.normalizer.update(self._filled(part, "X")[0])

    def __call__(self, panel: Panel, name: str = "X", first: int = 0) -> Seen:
        """Turn whole series, or series cut already, into views ``(n, n_channels_, n_out_)``.

        Parameters
        ----------
        panel : Panel
            Series.
        name : str, default="X"
            What errors call them.
        first : int, default=0
            Number of the first of these series among all, for errors.

        Raises
        ------
        ValueError
            If the series have another length, or hold values that aren't finite.
        """
        plain = self._plain(panel)
        if plain is not None:
            return Seen(plain)
        filled, lengths = self._filled(panel, name, first)
        values = self.normalizer(filled)
        if self.missing == "mask":
            there = ~np.isnan(values)
            values = np.concatenate([np.where(there, values, 0), there], 1, dtype=np.float32)
        elif lengths is not None or self.missing == "interpolate":
            # Beyond a series' end, and in channels without any value: the mean.
            values = np.nan_to_num(values, copy=values is filled)
        if self.resample_length is not None:
            values, lengths = self._resampled(values, lengths), None
        values = np.ascontiguousarray(values)
        return Seen(values if values.flags.writeable else values.copy(), lengths)

    def _plain(self, panel: Panel) -> Series | None:
        """Views of sound series of the right length, in few steps; None if there is more to do.

        One series then costs a sixth of the long way, which also finds out what is wrong.
        """
        steps = self.ragged_ or self.transformer_ is not None or self.missing == "mask"
        if steps or panel.values.shape[2] not in (self.n_whole_, self.n_seen_):
            return None
        values = panel.values[:, :, : self.n_seen_]
        if values.dtype != np.float32:
            with np.errstate(over="ignore"):
                values = values.astype(np.float32)
        if not np.isfinite(values).all():
            return None
        values = resample(self.normalizer(values), self.n_out_)
        values = np.ascontiguousarray(values)
        return values if values.flags.writeable else values.copy()

    def _filled(self, panel: Panel, name: str, first: int = 0) -> tuple[Series, Lengths | None]:
        """Views in their own units, gaps filled if they are to be; NaN where nothing is."""
        checked = check_values(
            self._cut(panel, name),
            name,
            ragged=self.ragged_,
            gaps=self.missing != "error",
            min_length=MIN_LENGTH,
            first=first,
        )
        values, lengths = checked.values, checked.lengths
        if self.ragged_ and lengths is None:
            lengths = np.full(len(values), values.shape[2])
        if checked.gaps and self.missing == "interpolate":
            values = interpolate(values, lengths)
        return values, lengths

    def _cut(self, panel: Panel, name: str) -> NDArray[Any]:
        whole = panel.n_timepoints
        if whole > self.n_whole_ and not self.ragged_:
            beyond = panel.values[:, :, self.n_whole_ :]
            if np.isnan(beyond).all():
                panel, whole = panel.first(self.n_whole_), self.n_whole_
        if not self.ragged_ and whole not in (self.n_whole_, self.n_seen_):
            raise ValueError(
                f"{name} has series of {whole} time points; this classifier was fitted on "
                f"{self.n_whole_} and takes these, or the first {self.n_seen_} that it looks at"
            )
        if self.transformer_ is not None:
            if self.ragged_ or whole == self.n_whole_:
                return self._transform(panel)
            return panel.values
        if self.ragged_ and self.earliness_of == "own" and isinstance(self.earliness, float):
            return self._own_parts(panel.values)
        return panel.first(self.n_seen_).values

    def _own_parts(self, values: NDArray[Any]) -> NDArray[Any]:
        """The same fraction of each series' own length."""
        kept = np.array(
            [prefix_length(self.earliness, int(k)) for k in own_lengths(np.isnan(values))]
        )
        cut = values[:, :, : kept.max()].astype(np.float64)
        cut[np.broadcast_to((np.arange(kept.max()) >= kept[:, None])[:, None], cut.shape)] = np.nan
        return cut

    def _transform(self, panel: Panel) -> NDArray[Any]:
        assert self.transformer_ is not None
        return as_numpy(self.transformer_.transform(self._for_transformer(panel)))

    def _for_transformer(self, panel: Panel) -> Any:
        if not self.ragged_:
            return np.asarray(panel.values)
        is_sktime = any(
            c.__module__.startswith("sktime.") for c in type(self.transformer_).__mro__
        )
        return as_frames(panel.values) if is_sktime else as_list(panel.values)

    def _resampled(self, values: Series, lengths: Lengths | None) -> Series:
        if lengths is None:
            return resample(values, self.n_out_)
        out = np.empty((*values.shape[:2], self.n_out_), dtype=np.float32)
        for length in np.unique(lengths):
            rows = lengths == length
            out[rows] = resample(values[rows, :, :length], self.n_out_)
        return out

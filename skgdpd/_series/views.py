"""Views, which convert prefixes of series, or whole series, into the input of a network.

A view truncates series, fills gaps, normalises and resamples, in this order. Its output therefore
does not depend on values after the prefix.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from .panel import Panel, as_frames, as_list, check_values, own_lengths
from .precision import check_like_training
from .truncation import MIN_LENGTH, as_numpy, moments_of, parts_of, prefix_length

Normalization = Literal["train", "prefix"]
EarlinessOf = Literal["longest", "own"]
MissingValues = Literal["error", "interpolate", "mask"]
Series = NDArray[np.float32]
Lengths = NDArray[np.int64]
LARGEST = 1e12
"""Largest absolute value of a network's input. Its cube is still finite in single precision."""


@dataclass(frozen=True)
class Seen:
    """Input of a network, computed from series.

    Attributes
    ----------
    values : ndarray of shape (n, n_channels, n_timepoints)
        Finite values; zero after the end of a series.
    lengths : ndarray of shape (n,) or None
        Length of each series; None if all have ``n_timepoints`` points.
    """

    values: Series
    lengths: Lengths | None = None


@dataclass(frozen=True)
class Moments:
    """Input of a network at several moments, computed from series.

    Attributes
    ----------
    values : list of ndarray of shape (n, n_channels, t)
        Finite values up to each moment; zero after the end of a series. If ``nested``, they are
        views of one array.
    lengths : ndarray of shape (n, n_moments) or None
        Number of points of each series at each moment; None if every series reaches every moment.
    nested : bool
        Whether the values up to a moment are a slice of the values up to the last moment.
    """

    values: list[Series]
    lengths: Lengths | None
    nested: bool


class Normalizer:
    """Normalisation of channels to mean 0 and variance 1 that ignores missing values.

    Parameters
    ----------
    how : {"train", "prefix"} or None
        ``"train"`` uses the mean and standard deviation of each channel over the training views.
        ``"prefix"`` uses the mean and standard deviation of each channel of each view. None does
        not change values.

    Attributes
    ----------
    mean_ : ndarray of shape (n_channels, 1)
        Mean of each channel; only for ``"train"``.
    scale_ : ndarray of shape (n_channels, 1)
        Standard deviation of each channel over all training views. With ``"prefix"``, it is the
        standard deviation within the training views.
    """

    def __init__(self, how: Normalization | None) -> None:
        self.how = how

    def fit(self, views: Series) -> Normalizer:
        """Compute the statistics of training views ``(n, c, t)``, without NaN."""
        self._count = np.zeros((1, 1, 1))
        self._mean = self._square = self._count
        return self.update(views)

    def update(self, views: Series) -> Normalizer:
        """Add views ``(n, c, t)`` to the statistics, with the same result as in one call."""
        if self.how is None:
            return self
        if self.how == "prefix":
            deviation = _moments(views, 2)[1]
            self._count = self._count + len(views)
            self._square = self._square + np.square(deviation).sum(0, keepdims=True)
            self.scale_ = np.sqrt(self._square / self._count)[0].astype(np.float32)
            return self
        mean, deviation = _moments(views, (0, 2))
        count = (~np.isnan(views)).sum((0, 2), dtype=np.float64)[None, :, None]
        square = count * deviation**2
        if self._count.any():
            # Moments of two parts are merged as in Chan, Golub and LeVeque (1983).
            total = np.maximum(self._count + count, 1)
            gap = mean - self._mean
            square = self._square + square + gap**2 * self._count * count / total
            mean = self._mean + gap * count / total
            deviation = np.sqrt(square / total)
        self._count, self._mean, self._square = self._count + count, mean, square
        self.mean_ = mean[0].astype(np.float32)
        self.scale_ = _nonzero(deviation, np.abs(mean))[0].astype(np.float32)
        return self

    def __call__(self, values: Series, seen: Series | None = None) -> Series:
        """Normalise views ``(n, c, t)``; NaN stays NaN.

        With ``"prefix"``, the statistics are those of ``seen``, by default of the views.
        """
        if self.how is None:
            return values
        with np.errstate(over="ignore", invalid="ignore"):
            if self.how == "train":
                return (values - self.mean_) / self.scale_
            mean, deviation = _moments(values if seen is None else seen, 2)
            return ((values - mean) / _nonzero(deviation, np.abs(mean))).astype(np.float32)


def _moments(values: Series, axis: int | tuple[int, int]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return mean and standard deviation of the values that are not NaN; 0 if all are NaN."""
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
    """Return standard deviations, with 1 for channels that are constant up to rounding."""
    return np.where(deviation > 1e-6 * size, deviation, 1.0)


def interpolate(values: Series, lengths: Lengths | None) -> Series:
    """Fill gaps by linear interpolation, and at the ends of a series with the nearest value.

    Parameters
    ----------
    values : ndarray of shape (n, c, t)
        Series. Missing values, and values after the end of a series, are NaN.
    lengths : ndarray of shape (n,) or None
        Length of each series, after which NaN stays NaN; None if all have t points.

    Returns
    -------
    ndarray of shape (n, c, t)
        Values without gaps. If a channel of a series has no values, it stays NaN.
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


def last_values(values: Series, lengths: Lengths | None) -> Series:
    """Fill gaps with the last value before the gap, which depends on no later value.

    Parameters
    ----------
    values : ndarray of shape (n, c, t)
        Series. Missing values, and values after the end of a series, are NaN.
    lengths : ndarray of shape (n,) or None
        Length of each series, after which NaN stays NaN; None if all have t points.

    Returns
    -------
    ndarray of shape (n, c, t)
        Values without gaps, except that NaN before the first value of a channel stays NaN.
    """
    times = np.arange(values.shape[2])
    places = np.where(np.isnan(values), 0, times)
    filled = np.take_along_axis(values, np.maximum.accumulate(places, 2), 2)
    if lengths is not None:
        filled[np.broadcast_to(times >= lengths[:, None, None], filled.shape)] = np.nan
    return filled


def _to_length(values: Series, n_timepoints: int) -> Series:
    """Pad series with zeros at the end to ``n_timepoints``."""
    missing = n_timepoints - values.shape[2]
    return np.pad(values, ((0, 0), (0, 0), (0, missing))) if missing > 0 else values


def _with_gaps_at_end(values: NDArray[Any], n_timepoints: int) -> NDArray[Any]:
    """Fill series up with NaN, as they are in an array with longer ones."""
    end = ((0, 0), (0, 0), (0, n_timepoints - values.shape[2]))
    values = values.astype(np.result_type(values, np.float32))
    return np.pad(values, end, constant_values=np.nan)


def _check_reaching(values: NDArray[Any], n_seen: int, name: str, first: int) -> None:
    """Raise an error for a series without any value from point ``n_seen`` on."""
    rows = np.flatnonzero(np.isnan(values[:, :, n_seen - 1]).all(1))
    lengths = own_lengths(np.isnan(values[rows]))
    ended = np.flatnonzero(lengths < n_seen)
    if len(ended):
        i = int(ended[0])
        raise ValueError(
            f"{name} has a series of {lengths[i]} time points, series {first + int(rows[i])}, "
            f"which ends before the prefix of {n_seen} does. Give {n_seen} at least, fit a "
            "classifier with a list of moments as earliness, or set "
            "series__short_series='ended' before the fit if all series are whole"
        )


def resample(values: Series, n_timepoints: int) -> Series:
    """Interpolate ``(n, c, t)`` linearly to another length, with end points aligned."""
    old = values.shape[2]
    if old == n_timepoints:
        return values
    position = np.linspace(0, old - 1, n_timepoints)
    left = np.minimum(position.astype(int), old - 2)
    weight = (position - left).astype(np.float32)
    return values[:, :, left] * (1 - weight) + values[:, :, left + 1] * weight


class PrefixView:
    """View that converts panels to the input of a network.

    Parameters
    ----------
    earliness : float, int, transformer or list
        Part of a series to keep: a fraction, a number of time points, or any transformer of
        series. 1.0 keeps the whole series. A list of fractions or numbers, or "every", defines
        several moments with a prefix for each. The view is then the longest prefix that a series
        reaches.
    normalizer : Normalizer
        Normalisation, which is fitted on the training views.
    resample_length : int or None
        Number of points to which the view is resampled, at most the length of the whole series.
        None means no resampling.
    earliness_of : {"longest", "own"}, default="longest"
        Length to which a fraction refers if series differ in length: the length of the longest
        training series, or the length of each series.
    missing_values : {"error", "interpolate", "mask"}, default="error"
        Treatment of gaps. ``"error"`` raises an error. ``"interpolate"`` interpolates linearly,
        or repeats the last value before the gap if there are several moments. ``"mask"`` replaces
        missing values by zero, and adds a mask channel for each channel, which is 1 where a value
        is present.
    ragged : bool, optional
        Whether series of any length are allowed. By default, they are allowed if the series in
        ``fit`` differ in length, or if there are several moments.
    clock : bool, default=False
        Whether to add a channel with the elapsed fraction of time at each point, if there are
        several moments.
    any_length : bool, default=False
        Whether series may be shorter than all training series and than the view. This is allowed
        for the series of a teacher, which are known to be complete. If the training series have
        one length, the points after the end of a series count as gaps, and are taken only where
        ``missing_values`` takes gaps.

    Attributes
    ----------
    ragged_ : bool
        Whether series may differ in length.
    shortest_ : int
        Minimum length of a series, if series may differ in length.
    time_points_ : tuple of int
        Number of points at each moment, in ascending order.
    n_whole_ : int
        Length of the longest whole series.
    n_seen_ : int
        Length of the longest view before resampling.
    n_out_ : int
        Length of the longest view after resampling.
    n_channels_ : int
        Number of channels of the output.
    """

    def __init__(
        self,
        earliness: Any,
        normalizer: Normalizer,
        resample_length: int | None,
        *,
        earliness_of: EarlinessOf = "longest",
        missing_values: MissingValues = "error",
        ragged: bool | None = None,
        clock: bool = False,
        any_length: bool = False,
    ) -> None:
        self.earliness = earliness
        self.normalizer = normalizer
        self.resample_length = resample_length
        self.earliness_of = earliness_of
        self.missing_values = missing_values
        self.ragged = ragged
        self.clock = clock
        self.any_length = any_length

    @property
    def several(self) -> bool:
        """Whether the view has several moments."""
        return len(self.time_points_) > 1

    def fit(self, panel: Panel, rows: NDArray[np.int64] | None = None) -> PrefixView:
        """Set lengths and statistics, and fit the transformer if there is one.

        Parameters
        ----------
        panel : Panel
            Whole series. Lengths are computed from all of them.
        rows : ndarray of int, optional
            Indices of the training part, from which statistics are computed. By default, all
            series.

        Returns
        -------
        PrefixView
            The view itself.

        Raises
        ------
        ValueError
            If ``earliness`` is a number of time points that exceeds the length of the series.
        """
        self.ragged_, self.n_whole_ = bool(self.ragged), 0
        shortest = panel.n_timepoints
        for start, part in panel.chunks():
            gaps = self.missing_values != "error"
            checked = check_values(part.values, gaps=gaps, min_length=MIN_LENGTH, first=start)
            own = part.n_timepoints if checked.lengths is None else int(checked.lengths.max())
            self.n_whole_ = max(self.n_whole_, own)
            if checked.lengths is not None:
                shortest = min(shortest, int(checked.lengths.min()))
            self.ragged_ |= self.ragged is None and checked.lengths is not None
        self.time_points_: tuple[int, ...] = ()
        parts = parts_of(self.earliness)
        is_transformer = parts is None and hasattr(self.earliness, "transform")
        self.transformer_ = clone(self.earliness) if is_transformer else None
        if self.transformer_ is not None:
            self.transformer_.fit(self._for_transformer(panel))
            self.n_seen_ = self._transform(panel).shape[2]
        elif parts is not None or isinstance(self.earliness, str):
            chosen = self.earliness if parts is None else parts
            self.time_points_ = moments_of(chosen, self.n_whole_)
            self.n_seen_ = self.time_points_[-1]
        else:
            self.n_seen_ = prefix_length(self.earliness, self.n_whole_)
        if not MIN_LENGTH <= self.n_seen_ <= self.n_whole_:
            hint = " (1.0 is the whole series)" if self.n_seen_ == 1 else ""
            raise ValueError(
                f"earliness={self.earliness!r} leaves {self.n_seen_} time points of "
                f"{self.n_whole_}; it must leave between {MIN_LENGTH} and {self.n_whole_}{hint}"
            )
        self.time_points_ = self.time_points_ or (self.n_seen_,)
        # Of several moments, the first must have been reached, which is checked elsewhere.
        free = self.any_length or self.several
        self.shortest_ = MIN_LENGTH if free else min(shortest, self.n_seen_)
        longest = self.resample_length
        self.n_out_ = self.n_seen_ if longest is None else min(longest, self.n_whole_)
        self.n_channels_ = panel.n_channels * (2 if self.missing_values == "mask" else 1)
        self.clock_ = self.clock and self.several
        self.n_channels_ += self.clock_
        # A series that goes on is taken at each moment as one that ended there.
        self.ragged_ |= self.several
        training = panel if rows is None else panel.take(rows)
        take = self.normalizer.fit
        for _, part in training.chunks():
            take(self._filled(part, "X")[0])
            take = self.normalizer.update
        if self.normalizer.how != "prefix" and not panel.stored:
            # Here too, where the series still have their numbers.
            filled, _ = self._filled(panel, "X")
            self._check_range(self.normalizer(filled), filled, "X")
        return self

    def seen_lengths(self, panel: Panel) -> Lengths:
        """Return the number of kept time points of each series in a panel, ``(n,)``."""
        if not self.ragged_:
            return np.full(len(panel), self.n_seen_)
        return own_lengths(np.isnan(self._cut(panel, "X")))

    def learn_statistics(self, panel: Panel) -> None:
        """Add series to the statistics of ``normalize="train"``."""
        for _, part in panel.chunks():
            self.normalizer.update(self._filled(part, "X")[0])

    def __call__(self, panel: Panel, name: str = "X", first: int = 0) -> Seen:
        """Return views ``(n, n_channels_, n_out_)`` of whole or already truncated series.

        Parameters
        ----------
        panel : Panel
            Series.
        name : str, default="X"
            Name of the argument in errors.
        first : int, default=0
            Index of the first of these series among all series, for errors.

        Raises
        ------
        ValueError
            If the series have the wrong length, are too short, or have values that are not finite
            or exceed :data:`LARGEST`.
        """
        plain = self._plain(panel, name, first)
        if plain is not None:
            return Seen(plain)
        self._check_length(panel, name, first)
        filled, lengths = self._filled(panel, name, first)
        values = self.normalizer(filled)
        self._check_range(values, filled, name, first)
        if self.missing_values == "mask":
            there = ~np.isnan(values)
            values = np.concatenate([np.where(there, values, 0), there], 1, dtype=np.float32)
        elif lengths is not None or self.missing_values == "interpolate":
            # After a series' end and in channels without any value, the mean, 0, is used.
            values = np.nan_to_num(values, copy=values is filled)
        if self.resample_length is not None:
            values, lengths = self._resampled(values, lengths), None
        if self.clock_:
            values = np.concatenate([values, self._times(values, lengths)], 1)
        values = np.ascontiguousarray(values)
        return Seen(values if values.flags.writeable else values.copy(), lengths)

    def _check_length(self, panel: Panel, name: str, first: int) -> None:
        """Raise an error for a series that is shorter than all training series."""
        if not self.ragged_ or self.several:
            return
        lengths = own_lengths(np.isnan(panel.values))
        short = np.flatnonzero(lengths < self.shortest_)
        if len(short):
            i = int(short[0])
            raise ValueError(
                f"{name} has a series of {lengths[i]} time points, series {first + i}; no "
                f"training series is as short, and it can't be told whether it has ended. Give "
                f"{self.shortest_} at least, fit a classifier of several moments, or set "
                "series__short_series='ended' before the fit if all series are whole"
            )

    def _check_range(self, values: Series, given: Series, name: str, first: int = 0) -> None:
        """Raise an error for normalised values that are too large for single precision."""
        beyond = np.abs(values) > LARGEST
        if not beyond.any():
            return
        sample, channel, time = (int(i) for i in np.argwhere(beyond)[0])
        advice = (
            "scale the series, or set normalize='train'"
            if self.normalizer.how is None
            else "scale the series, or leave this one out"
        )
        raise ValueError(
            f"{name} has a value of {given[sample, channel, time]:.3g} in series "
            f"{first + sample}, channel {channel}, at time point {time}, which is "
            f"{values[sample, channel, time]:.3g} after normalize={self.normalizer.how!r}; "
            f"networks in single precision carry values up to {LARGEST:g}: {advice}"
        )

    def _check_precision(self, values: NDArray[Any], name: str, first: int) -> None:
        """Raise an error for prefixes whose offset is too large for single precision."""
        if self.normalizer.how == "prefix" and hasattr(self.normalizer, "scale_"):
            check_like_training(values, self.normalizer.scale_, name, first)

    def _plain(self, panel: Panel, name: str, first: int) -> Series | None:
        """Return the views of finite series of the expected length, by a shortcut, or None."""
        # It makes the prediction for a single series much faster; the general way raises errors.
        steps = self.ragged_ or self.transformer_ is not None or self.missing_values == "mask"
        if steps or panel.values.shape[2] < self.n_seen_:
            return None
        values = panel.values[:, :, : self.n_seen_]
        if values.dtype != np.float32:
            self._check_precision(values, name, first)
            with np.errstate(over="ignore"):
                values = values.astype(np.float32)
        values = self.normalizer(values)
        # NaN is not less than anything.
        if not -LARGEST <= values.min(initial=0) <= values.max(initial=0) <= LARGEST:
            return None
        values = np.ascontiguousarray(resample(values, self.n_out_))
        return values if values.flags.writeable else values.copy()

    def _filled(self, panel: Panel, name: str, first: int = 0) -> tuple[Series, Lengths | None]:
        """Return views before normalisation, with gaps filled if required, and lengths."""
        cut = self._cut(panel, name, first)
        self._check_precision(cut, name, first)
        checked = check_values(
            cut,
            name,
            ragged=self.ragged_,
            gaps=self.missing_values != "error",
            # Before a moment all values may be missing, though the series has begun.
            min_length=0 if self.several else MIN_LENGTH,
            first=first,
        )
        values, lengths, gaps = checked.values, checked.lengths, checked.gaps
        if self.several and lengths is not None:
            # Up to this length, the missing end of a series is a gap.
            gaps |= bool((lengths < MIN_LENGTH).any())
            lengths = np.maximum(lengths, MIN_LENGTH)
        if self.ragged_ and lengths is None:
            lengths = np.full(len(values), values.shape[2])
        if gaps and self.missing_values == "interpolate":
            # A line to the next value would look ahead of a moment within the gap.
            values = last_values(values, lengths) if self.several else interpolate(values, lengths)
        return values, lengths

    def _times(self, values: Series, lengths: Lengths | None) -> Series:
        """Return the elapsed fraction of time at each point, as a channel."""
        n, _, t = values.shape
        points = np.arange(1, t + 1)
        shares = np.broadcast_to((points / self.n_whole_).astype(np.float32), (n, 1, t))
        if lengths is None:
            return shares
        return np.where(points <= lengths[:, None, None], shares, np.float32(0))

    def reached(self, panel: Panel) -> Lengths:
        """Return the number of points ``(n, n_moments)`` that are known at each moment.

        The number is smaller than the moment if a series ended earlier, or if the last points
        before the moment are missing.

        Parameters
        ----------
        panel : Panel
            Series.

        Returns
        -------
        ndarray of shape (n, n_moments)
        """
        known = ~np.isnan(panel.first(self.n_seen_).values).all(1)
        last = np.maximum.accumulate(np.where(known, np.arange(1, known.shape[1] + 1), 0), 1)
        places = np.minimum(self.time_points_, known.shape[1]) - 1
        return np.maximum(last[:, places], MIN_LENGTH)

    def moments(self, panel: Panel, name: str = "X", first: int = 0) -> Moments:
        """Return views of series at every moment.

        Parameters
        ----------
        panel : Panel
            Series.
        name : str, default="X"
            Name of the argument in errors.
        first : int, default=0
            Index of the first of these series among all series, for errors.

        Returns
        -------
        Moments
        """
        reached = self.reached(panel)
        lengths = None if (reached == self.time_points_).all() else reached
        nested = self.normalizer.how != "prefix"
        if nested:
            whole = _to_length(self(panel, name, first).values, self.n_seen_)
            return Moments([whole[:, :, :t] for t in self.time_points_], lengths, True)
        values = [
            _to_length(self(panel.first(t), name, first).values, t) for t in self.time_points_
        ]
        return Moments(values, lengths, False)

    def check_ended(self, panel: Panel, name: str = "X", first: int = 0) -> None:
        """Raise an error for a series that ends before the view, where gaps would be filled.

        Without this check, the points after its end would count as gaps, though only in an array
        or list with longer series.

        Parameters
        ----------
        panel : Panel
            Series to classify.
        name : str, default="X"
            Name of the argument in the error.
        first : int, default=0
            Index of the first of these series among all series, for the error.

        Raises
        ------
        ValueError
            If a series has no value from the last point of the view on. A view of series of any
            length takes it, and so does one of series that are known to be complete.
        """
        free = self.ragged_ or self.any_length or self.missing_values == "error"
        if not free and panel.n_timepoints >= self.n_seen_:
            _check_reaching(panel.values, self.n_seen_, name, first)

    def _refuse_ended(self, panel: Panel, name: str, first: int) -> None:
        """Raise an error for a series that ends in NaN, because it is too short."""
        ended = np.flatnonzero(np.isnan(panel.values[:, :, -1]).all(1))
        if len(ended):
            i = int(ended[0])
            length = own_lengths(np.isnan(panel.values[i : i + 1]))[0]
            raise ValueError(
                f"{name} has a series of {length} time points, series {first + i}, and NaN after "
                f"them; this classifier uses the first {self.n_seen_} and takes no fewer"
            )

    def _cut(self, panel: Panel, name: str, first: int = 0) -> NDArray[Any]:
        if self.transformer_ is not None:
            return self._transformed(panel, name)
        if not self.ragged_ and panel.n_timepoints < self.n_seen_:
            if self.any_length and self.missing_values != "error":
                return _with_gaps_at_end(panel.values, self.n_seen_)
            raise ValueError(
                f"{name} has series of {panel.n_timepoints} time points; this classifier uses the "
                f"first {self.n_seen_} and takes no fewer"
            )
        if not self.ragged_ and self.missing_values == "error":
            self._refuse_ended(panel.first(self.n_seen_), name, first)
        if self.ragged_ and self.earliness_of == "own" and isinstance(self.earliness, float):
            return self._own_parts(panel.values)
        return panel.first(self.n_seen_).values

    def _own_parts(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the same fraction of the length of each series."""
        kept = np.array(
            [prefix_length(self.earliness, int(k)) for k in own_lengths(np.isnan(values))]
        )
        cut = values[:, :, : kept.max()].astype(np.float64)
        cut[np.broadcast_to((np.arange(kept.max()) >= kept[:, None])[:, None], cut.shape)] = np.nan
        return cut

    def _transformed(self, panel: Panel, name: str) -> NDArray[Any]:
        """Return the output of the transformer for whole series, or its output if given."""
        if self.ragged_:
            return self._transform(panel)
        if np.isnan(panel.values[:, :, self.n_whole_ :]).all():
            panel = panel.first(self.n_whole_)
        if panel.n_timepoints not in (self.n_whole_, self.n_seen_):
            # Of other lengths, a transformer may make other values of the same first points.
            raise ValueError(
                f"{name} has series of {panel.n_timepoints} time points; this classifier was "
                f"fitted on {self.n_whole_} and takes these, or the {self.n_seen_} that its "
                f"transformer makes of them"
            )
        return self._transform(panel) if panel.n_timepoints == self.n_whole_ else panel.values

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


def shortest_for(view: PrefixView) -> int:
    """Return the minimum number of time points of a series that a fitted view takes."""
    if view.several:
        return view.time_points_[0]
    if view.transformer_ is not None:  # which may make a series of any length out of another
        return MIN_LENGTH
    shorter = view.any_length and view.missing_values != "error"
    return view.shortest_ if view.ragged_ or shorter else view.n_seen_

"""Explanation of a model's errors by the ids and columns of the file with the series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import get_tags

from .._early.classifier import EarlyClassifier
from .._series.truncation import MIN_LENGTH
from .._series.unlabeled import is_missing
from .lengths import least_length, lengths_of
from .series_files import FileSeries
from .steps import in_words

SHOWN = 3
"""Largest number of series that an error names."""


def named(ids: NDArray[Any] | None, row: int) -> str:
    """Return the name of a series in errors: its id, or else its number from 0."""
    return f"series {row}" if ids is None else f"series {str(ids[row])!r}"


@contextmanager
def explained_for_fit(files: Sequence[tuple[str, FileSeries]], missing: str) -> Iterator[None]:
    """Explain errors of a fit by the series of its files.

    Parameters
    ----------
    files : sequence of (str, FileSeries)
        Path of each file, and its series.
    missing : str
        Value of the option ``--missing``: the treatment of missing values.

    Yields
    ------
    None

    Raises
    ------
    ValueError
        An error that names the series if some are too short or have missing values. Otherwise
        the error of the fit.
    """
    try:
        yield
    except ValueError as error:
        for path, series in files:
            lengths = lengths_of(series.X)
            if (lengths < MIN_LENGTH).any():
                words = _short(path, series, lengths, MIN_LENGTH, "a fit needs")
                raise ValueError(f"{words}. Leave them out of the file") from error
            if missing == "error" and (gaps := _gaps(path, series)):
                raise ValueError(
                    f"{gaps}. Fill them by --missing interpolate, let the network see where "
                    f"they are by --missing mask, or leave these series out of the file"
                ) from error
        raise


@contextmanager
def explained(
    path: str,
    series: FileSeries,
    model: Any,
    advice: str = "",
    rows: NDArray[np.int64] | None = None,
) -> Iterator[None]:
    """Explain errors of a fitted model by the series of a file.

    Parameters
    ----------
    path : str
        Path of the file.
    series : FileSeries
        Series of the file.
    model : BasePrefixClassifier or EarlyClassifier
        Fitted classifier.
    advice : str, default=""
        Advice for series that are too short, in addition to another fit.
    rows : ndarray of shape (n_read,), optional
        Numbers of the series that the model reads. By default it reads all series.

    Yields
    ------
    None

    Raises
    ------
    ValueError
        An error that names the series if some are too short or have missing values. Otherwise
        the error of the model.
    """
    try:
        yield
    except ValueError as error:
        lengths, least = lengths_of(series.X), least_length(model)
        read = np.arange(len(lengths)) if rows is None else rows
        if (lengths[read] < least).any():
            words = _short(path, series, lengths, least, "this model needs")
            raise ValueError(
                f"{words}. {advice}To answer them, fit a model with an earlier first moment, "
                f"such as --earliness 0.1 0.2 0.3"
            ) from error
        seen = int(np.asarray(model.time_points_)[-1])
        allowed = get_tags(model).input_tags.allow_nan
        if not allowed and (gaps := _gaps(path, series, seen, read)):
            raise ValueError(
                f"{gaps}. This model was fitted with --missing error; fit it with --missing "
                f"interpolate or --missing mask, or leave these series out of the file"
            ) from error
        raise


def check_labels(path: str, series: FileSeries, classes: NDArray[Any]) -> None:
    """Raise an error for labels of a file that are not classes of a model.

    Parameters
    ----------
    path : str
        Path of the file.
    series : FileSeries
        Labelled series of the file.
    classes : ndarray of shape (n_classes,)
        Classes of the model.

    Raises
    ------
    ValueError
        If a series has another label, or no label.
    """
    assert series.y is not None
    labels = series.y.tolist()
    missing = np.array([is_missing(label) for label in labels])
    if missing.any():
        raise ValueError(
            f"{without_label(path, series, missing)}. Only labelled series can be scored: leave "
            f"these out of the file"
        )
    known = set(classes.tolist())
    counts = Counter(label for label in labels if label not in known)
    if not counts:
        return
    shown = [f"{label!r} ({n} series)" for label, n in counts.most_common(SHOWN)]
    more = f" and {len(counts) - SHOWN} more" if len(counts) > SHOWN else ""
    raise ValueError(
        f"{path} has labels that the model doesn't know: {', '.join(shown)}{more}; its classes "
        f"are {', '.join(map(repr, classes.tolist()))}"
    )


def without_label(path: str, series: FileSeries, missing: NDArray[np.bool_]) -> str:
    """Return which series of a file have no label, without a full stop.

    Parameters
    ----------
    path : str
        Path of the file.
    series : FileSeries
        Series of the file.
    missing : ndarray of bool of shape (n,)
        Whether a series has no label.

    Returns
    -------
    str
    """
    rows = np.flatnonzero(missing)
    shown = ", ".join(named(series.ids, row) for row in rows[:SHOWN].tolist())
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    verb = "has" if len(rows) == 1 else "have"
    return f"{len(rows)} of {len(missing)} series of {path} {verb} no label: {shown}{more}"


def read_words(path: str, series: FileSeries) -> list[str]:
    """Return a line on the channels of a file of points, and the time from point to point.

    Parameters
    ----------
    path : str
        Path of the file.
    series : FileSeries
        Series of the file.

    Returns
    -------
    list of str
        Empty if the channels have no names.
    """
    if series.channels is None:
        return []
    words = f"{path}: channels {', '.join(map(str, series.channels))}"
    if series.step is not None and series.step.size is not None:
        words += f"; {in_words(series.step)} from point to point"
    return [words]


def left_out_words(
    path: str, series: FileSeries, model: Any, rows: NDArray[np.int64]
) -> str | None:
    """Return a sentence on the series that are too short to be scored, with all their ids.

    Parameters
    ----------
    path : str
        Path of the file.
    series : FileSeries
        Series of the file.
    model : BasePrefixClassifier or EarlyClassifier
        Fitted classifier.
    rows : ndarray of shape (n_scored,)
        Numbers of the series that are scored.

    Returns
    -------
    str or None
        None if all are scored.

    Raises
    ------
    ValueError
        If all are too short.
    """
    n = len(series.X)
    if len(rows) == n:
        return None
    short = np.setdiff1d(np.arange(n), rows)
    why = f"fewer than the {least_length(model)} time points that this model needs"
    if not len(rows):
        raise ValueError(f"{path}: all {n} series have {why}; there is none to score")
    names = ", ".join(series.name(row) for row in short.tolist())
    return f"Left out: {len(short)} of {n} series have {why}: {names}."


def fitted_to_short(path: str, series: FileSeries, model: Any) -> list[str]:
    """Return a sentence on the training series that end before the first moment, if there are any.

    Parameters
    ----------
    path : str
        Path of the file.
    series : FileSeries
        Series of the file.
    model : BasePrefixClassifier or EarlyClassifier
        Classifier that was fitted to them.

    Returns
    -------
    list of str
    """
    moments = np.asarray(model.time_points_)
    n_short = int((lengths_of(series.X) < moments[0]).sum())
    if not n_short:
        return []
    words = f"{path}: {n_short} of {len(series.X)} series are shorter than the "
    words += "part that is seen" if len(moments) == 1 else "first moment"
    words += f", {moments[0]} time points. The classifier learned them as series that ended there"
    if isinstance(model, EarlyClassifier):
        words += ", and the stopping rule was fitted without them"
    return [f"{words}. New series are answered from {least_length(model)} time points on."]


def _short(path: str, series: FileSeries, lengths: NDArray[np.int64], least: int, who: str) -> str:
    rows = np.flatnonzero(lengths < least)
    shown = [f"{named(series.ids, row)} has {lengths[row]}" for row in rows[:SHOWN].tolist()]
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return (
        f"{path}: {len(rows)} of {len(lengths)} series have fewer than the {least} time points "
        f"that {who}: {', '.join(shown)}{more}"
    )


def _gaps(
    path: str,
    series: FileSeries,
    n_seen: int | None = None,
    rows: NDArray[np.int64] | None = None,
) -> str | None:
    """Return a description of the values missing before the ends of series; None if none are."""
    missing = np.isnan(series.X[:, :, :n_seen])
    if rows is not None:
        missing[np.setdiff1d(np.arange(len(missing)), rows)] = False
    ended = np.arange(missing.shape[2]) >= lengths_of(series.X)[:, None]
    missing &= ~ended[:, None]
    if not missing.any():
        return None
    row, channel, time = (int(i) for i in np.argwhere(missing)[0])
    column = f"channel {channel}"
    if series.channels is not None:
        column = f"column {str(series.channels[channel])!r}"
    return (
        f"{path}: {int(missing.sum())} values are missing in "
        f"{int(missing.any((1, 2)).sum())} of {len(missing)} series, the first in "
        f"{named(series.ids, row)}, {column}, at point {time + 1} of the series"
    )

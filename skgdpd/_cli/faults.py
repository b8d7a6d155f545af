"""Faults of a file's series: what a fit or a model would refuse, with ids and columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import get_tags

from .._series.tables import number_of
from .._series.truncation import MIN_LENGTH
from .._series.unlabeled import is_missing
from .classes import by_text
from .lengths import least_length, lengths_of
from .notes import counted, shortened
from .series_files import FileSeries

SHOWN = 3
"""Largest number of series, labels or classes that an error names."""
TEXTS = ". Labels of another type are compared by their text: it must be the same"


def named(ids: NDArray[Any] | None, row: int) -> str:
    """Return the name of a series in errors: its id, or else its number from 0."""
    return f"series {row}" if ids is None else f"series {str(ids[row])!r}"


def faults_for_fit(files: Sequence[tuple[str, FileSeries]], missing: str) -> list[str]:
    """Return what a fit would refuse in the series of its files, a text for each fault.

    Parameters
    ----------
    files : sequence of (str, FileSeries)
        Path and series of the labelled file, and of the unlabelled one if there is one.
    missing : str
        Value of the option ``--missing``: the treatment of missing values.

    Returns
    -------
    list of str
        Texts without a full stop. Each ends with what mends the fault.
    """
    faults = [_unlike(*files)] if len(files) > 1 else []
    for path, series in files:
        lengths = lengths_of(series.X)
        if (lengths < MIN_LENGTH).any():
            words = _short(path, series, lengths, MIN_LENGTH, "a fit needs")
            faults.append(f"{words}. Leave them out of the file")
        faults.append(_infinite(path, series))
        if missing == "error" and (gaps := _gaps(path, series)):
            faults.append(
                f"{gaps}. Fill them by --missing interpolate, let the network see where they are "
                f"by --missing mask, or leave these series out of the file"
            )
    return [fault for fault in faults if fault]


def faults_for_model(
    path: str,
    series: FileSeries,
    model: Any,
    advice: str = "",
    rows: NDArray[np.int64] | None = None,
) -> list[str]:
    """Return what a fitted model would refuse in the series of a file, a text for each fault.

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

    Returns
    -------
    list of str
        Texts without a full stop. Each ends with what mends the fault. Labels are not looked at.
    """
    n_channels, expected = series.X.shape[1], int(model.n_channels_in_)
    if n_channels != expected:
        return [
            f"{path} has series of {counted(n_channels, 'channel', 'channels')}, and the model "
            f"was fitted to {counted(expected, 'channel', 'channels')}; there must be as many"
        ]
    faults = []
    lengths, least = lengths_of(series.X), least_length(model)
    read = np.arange(len(lengths)) if rows is None else rows
    if (lengths[read] < least).any():
        words = _short(path, series, lengths, least, "this model needs")
        faults.append(
            f"{words}. {advice}To answer them, fit a model with an earlier first moment, such as "
            f"--earliness 0.1 0.2 0.3"
        )
    seen = int(np.asarray(model.time_points_)[-1])
    faults.append(_infinite(path, series, seen, read))
    allowed = get_tags(model).input_tags.allow_nan
    if not allowed and (gaps := _gaps(path, series, seen, read)):
        faults.append(
            f"{gaps}. This model was fitted with --missing error; fit it with --missing "
            f"interpolate or --missing mask, or leave these series out of the file"
        )
    return [fault for fault in faults if fault]


def label_fault(path: str, series: FileSeries) -> str:
    """Return why the labels of a file are none to learn from; empty if they are."""
    assert series.y is not None
    labels = {label for label in series.y.tolist() if not is_missing(label)}
    if len(labels) > 1:
        return _measured(path, labels, len(series.y))
    own = (
        f"all labelled series are of one class, {labels.pop()!r}"
        if labels
        else "no series has a label"
    )
    return f"{path}: {own}; a fit needs labelled series of two classes at least"


def _measured(path: str, labels: set[Any], n: int) -> str:
    """Return a fault if most labels are different fractions, as measured values are."""
    numbers = [number_of(str(label)) for label in labels]
    values = all(isinstance(number, float) for number in numbers)
    if len(labels) <= n / 2 or not values or all(number.is_integer() for number in numbers):
        return ""
    return (
        f"{path}: the labels are {len(labels)} different numbers in {n} series, such as "
        f"{str(min(labels, key=str))!r}; a classifier needs classes of several series. Name the "
        f"column of classes by --label"
    )


def with_classes(path: str, series: FileSeries, classes: NDArray[Any]) -> FileSeries:
    """Return the series of a file with the classes of a model as labels.

    A label is a class if both are equal or have the same text: tables hold texts, so that the
    class 1 is "1" there.

    Parameters
    ----------
    path : str
        Path of the file.
    series : FileSeries
        Labelled series of the file.
    classes : ndarray of shape (n_classes,)
        Classes of the model.

    Returns
    -------
    FileSeries

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
    known = {**by_text(classes.tolist()), **{label: label for label in classes.tolist()}}
    found = [known.get(label, known.get(str(label))) for label in labels]
    counts = Counter(label for label, own in zip(labels, found, strict=True) if own is None)
    if not counts:
        return series._replace(y=np.array(found, dtype=classes.dtype))
    unknown = [f"{label!r} ({n} series)" for label, n in counts.most_common()]
    texts = "" if type(labels[0]) is type(classes.tolist()[0]) else TEXTS
    raise ValueError(
        f"{path} has labels that the model doesn't know: {shortened(unknown, SHOWN)}; its classes "
        f"are {', '.join(map(repr, classes.tolist()))}{texts}"
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
    rows = np.flatnonzero(missing).tolist()
    shown = shortened([named(series.ids, row) for row in rows], SHOWN)
    verb = "has" if len(rows) == 1 else "have"
    return f"{len(rows)} of {len(missing)} series of {path} {verb} no label: {shown}"


def _short(path: str, series: FileSeries, lengths: NDArray[np.int64], least: int, who: str) -> str:
    rows = np.flatnonzero(lengths < least).tolist()
    shown = [f"{named(series.ids, row)} has {lengths[row]}" for row in rows]
    return (
        f"{path}: {len(rows)} of {len(lengths)} series have fewer than the {least} time points "
        f"that {who}: {shortened(shown, SHOWN)}"
    )


def _unlike(labelled: tuple[str, FileSeries], other: tuple[str, FileSeries]) -> str:
    """Return in what unlabelled series differ from labelled ones; empty if in nothing."""
    (path, series), (other_path, others) = labelled, other
    for unit, axis in (("channels", 1), ("time points", 2)):
        n, n_other = series.X.shape[axis], others.X.shape[axis]
        ragged = axis == 2 and bool((lengths_of(series.X) < n).any())
        if n != n_other and not ragged:
            return (
                f"{other_path} has series of {n_other} {unit}, and {path} of {n}; they must have "
                f"as many"
            )
    return ""


def _infinite(
    path: str,
    series: FileSeries,
    n_seen: int | None = None,
    rows: NDArray[np.int64] | None = None,
) -> str:
    """Return where values are infinite, or too large for a network; empty if none are."""
    with np.errstate(over="ignore"):
        found = np.isinf(series.X[:, :, :n_seen].astype(np.float32))
    found = _in_rows(found, rows)
    if not found.any():
        return ""
    return (
        f"{path}: {_where(series, found, 'infinite or too large for single precision')}. Correct "
        f"them, or leave these series out of the file"
    )


def _gaps(
    path: str,
    series: FileSeries,
    n_seen: int | None = None,
    rows: NDArray[np.int64] | None = None,
) -> str:
    """Return where values are missing before the ends of series; empty if none are."""
    missing = _in_rows(gaps_in(series.X)[:, :, :n_seen], rows)
    return f"{path}: {_where(series, missing, 'missing')}" if missing.any() else ""


def gaps_in(X: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where values ``(n, c, t)`` are missing before the ends of series."""
    ended = np.arange(X.shape[2]) >= lengths_of(X)[:, None]
    gaps: NDArray[np.bool_] = np.isnan(X) & ~ended[:, None]
    return gaps


def _in_rows(found: NDArray[np.bool_], rows: NDArray[np.int64] | None) -> NDArray[np.bool_]:
    """Return a mask of values without the series that are not read."""
    if rows is None:
        return found
    kept = np.zeros_like(found)
    kept[rows] = found[rows]
    return kept


def _where(series: FileSeries, found: NDArray[np.bool_], kind: str) -> str:
    """Return how many values a mask has, and where the first of them is."""
    row, channel, time = (int(i) for i in np.argwhere(found)[0])
    column = f"channel {channel}"
    if series.channels is not None:
        column = f"column {str(series.channels[channel])!r}"
    return (
        f"{counted(int(found.sum()), 'value is', 'values are')} {kind} in "
        f"{int(found.any((1, 2)).sum())} of {len(found)} series, the first in "
        f"{named(series.ids, row)}, {column}, at point {time + 1} of the series"
    )

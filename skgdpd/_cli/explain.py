"""Explanation of a model's errors by the ids and columns of the file with the series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._early.classifier import EarlyClassifier
from .faults import faults_for_fit, faults_for_model
from .lengths import least_length, lengths_of
from .notes import wide_words
from .series_files import FileSeries
from .steps import in_words


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
        The first fault of the files that is found, with the names of its series. Otherwise the
        error of the fit.
    """
    try:
        yield
    except ValueError as error:
        if faults := faults_for_fit(files, missing):
            raise ValueError(faults[0]) from error
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
        The first fault of the file that is found, with the names of its series. Otherwise the
        error of the model.
    """
    try:
        yield
    except ValueError as error:
        if faults := faults_for_model(path, series, model, advice, rows):
            raise ValueError(faults[0]) from error
        raise


def read_words(path: str, series: FileSeries) -> list[str]:
    """Return a line on the columns that were read, and the time from point to point.

    Parameters
    ----------
    path : str
        Path of the file.
    series : FileSeries
        Series of the file.

    Returns
    -------
    list of str
        Empty if the columns have no names.
    """
    if series.points is not None:
        return [f"{path}: {wide_words(series.points)}"]
    if series.channels is None:
        return []
    words = f"{path}: channels {', '.join(map(str, series.channels))}"
    if series.step is not None and series.step.size is not None:
        words += f"; {in_words(series.step)} from point to point"
    return [words]


def left_out_words(
    path: str, series: FileSeries, model: Any, rows: NDArray[np.int64]
) -> list[str]:
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
    list of str
        Empty if all are scored.

    Raises
    ------
    ValueError
        If all are too short.
    """
    n = len(series.X)
    if len(rows) == n:
        return []
    short = np.setdiff1d(np.arange(n), rows)
    why = f"fewer than the {least_length(model)} time points that this model needs"
    if not len(rows):
        raise ValueError(f"{path}: all {n} series have {why}; there is none to score")
    names = ", ".join(series.name(row) for row in short.tolist())
    return [f"Left out: {len(short)} of {n} series have {why}: {names}."]


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

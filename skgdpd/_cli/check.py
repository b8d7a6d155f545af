"""Command that prints what a file of series contains, and what a fit or a model would refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._series.unlabeled import is_missing
from .commands import open_classifier
from .faults import faults_for_fit, faults_for_model, gaps_in, label_fault, with_classes
from .lengths import lengths_of
from .notes import shortened, wide_words
from .series_files import Columns, FileSeries, fitted_series, read_for_fit, read_series
from .steps import in_words

SHOWN = 10
"""Largest number of channels or classes that are named."""
ADVICE = "Leave them out by --short skip of predict and evaluate. "


def check(
    data: str,
    columns: Columns | None = None,
    *,
    unlabeled: str | None = None,
    model: str | None = None,
) -> int:
    """Print what a file of series contains, and what would be refused; nothing is fitted.

    Parameters
    ----------
    data : str
        Path of the file of series. If it has a training part and a test part, the training part
        is read, or with a model the test part.
    columns : Columns, optional
        What the columns of a table are.
    unlabeled : str, optional
        Path of a file of unlabelled series for the same fit.
    model : str, optional
        Path of a saved model that is to classify the series. By default, a model is to be fitted
        to them. With a model, labels may be missing, because only ``evaluate`` needs them.

    Returns
    -------
    int
        Exit status: 0, or 1 if something would be refused.

    Raises
    ------
    FileNotFoundError, ImportError, OSError or ValueError
        If a file can't be read as the options say.
    """
    columns = Columns() if columns is None else columns
    if model is None:
        lines, faults = _for_fit(data, unlabeled, columns)
        reader = "fit"
    elif unlabeled is not None:
        raise ValueError("--unlabeled is for a fit, and --model for a model that is fitted")
    else:
        lines, faults = _for_model(data, model, columns)
        reader = "predict and evaluate"
    print("\n".join(lines))
    if not faults:
        print("No problems found.")
        return 0
    print("\n".join([f"Refused by {reader}:", *(f"- {fault}." for fault in faults)]))
    return 1


def _for_fit(data: str, unlabeled: str | None, columns: Columns) -> tuple[list[str], list[str]]:
    """Return what is in the files of a fit, and what the fit would refuse."""
    files = read_for_fit(data, unlabeled, columns)
    faults = [label_fault(*files[0]), *faults_for_fit(files, "error")]
    return [line for file in files for line in _facts(*file)], [each for each in faults if each]


def _for_model(data: str, path: str, columns: Columns) -> tuple[list[str], list[str]]:
    """Return what is in a file for a fitted model, and what the model would refuse."""
    model = open_classifier(path, early=True)
    series = read_series(
        data,
        columns,
        labelled=columns.label is not None,
        last=True,
        fitted=fitted_series(model),
    )
    faults = faults_for_model(data, series, model, ADVICE)
    if series.y is not None:
        try:
            with_classes(data, series, model.classes_)
        except ValueError as error:
            faults.append(str(error))
    return _facts(data, series), faults


def _facts(path: str, series: FileSeries) -> list[str]:
    """Return lines that say what is in a file, under its path."""
    gaps, lengths = gaps_in(series.X), lengths_of(series.X)
    rows = [("series", f"{len(series.X)}"), ("channels", _channels(series))]
    rows.append(("time points", _lengths(lengths)))
    if series.points is not None:
        rows.append(("layout", wide_words(series.points)))
    if series.step is not None and series.step.size is not None:
        rows.append(("step", in_words(series.step)))
    rows.append(("missing values", _missing(gaps, int(lengths.sum()))))
    if series.y is not None:
        rows.append(("classes", _classes(series.y.tolist())))
    return [path, *(f"  {name:<16}{value}" for name, value in rows), ""]


def _channels(series: FileSeries) -> str:
    count = f"{series.X.shape[1]}"
    return (
        count
        if series.channels is None
        else f"{count}: {shortened(list(map(str, series.channels)), SHOWN)}"
    )


def _lengths(lengths: NDArray[np.int64]) -> str:
    low, high = int(lengths.min()), int(lengths.max())
    if low == high:
        return f"{low} in each series"
    return f"{low} to {high}, median {float(np.median(lengths)):g}"


def _missing(gaps: NDArray[np.bool_], n_points: int) -> str:
    """Return how many values are missing before the ends of series, and in how many series."""
    if not gaps.any():
        return "none"
    share = 100 * gaps.sum() / (n_points * gaps.shape[1])
    n_series = int(gaps.any((1, 2)).sum())
    return f"{int(gaps.sum())}, {share:.2g} % of all, in {n_series} of {len(gaps)} series"


def _classes(labels: list[Any]) -> str:
    """Return the classes with their numbers of series, and the number of unlabelled series."""
    known = [label for label in labels if not is_missing(label)]
    classes, counts = np.unique(np.array(known), return_counts=True)
    pairs = zip(classes.tolist(), counts.tolist(), strict=True)
    words = shortened([f"{label} ({n} series)" for label, n in pairs], SHOWN)
    unlabelled = len(labels) - len(known)
    more = f"; without a label {unlabelled} series" if unlabelled else ""
    return f"{len(classes)}: {words}{more}" if known else f"none{more}"

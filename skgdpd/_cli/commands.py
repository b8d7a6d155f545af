"""Commands for models and files of series: fit, predict, evaluate and export."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import log_loss

from .._estimators.base import BasePrefixClassifier
from .._estimators.gdpd import GDPDClassifier
from .._estimators.gendd import GenDDClassifier
from .._estimators.prefix import PrefixClassifier
from .._persistence import check_target, load
from .._runtime.atomic import replace_file
from ..metrics import expected_calibration_error, macro_auc_prc
from .series_files import Columns, FileSeries, channels_of, read_series

TAUGHT: dict[str, Callable[..., Any]] = {
    "gdpd": GDPDClassifier,
    "gendd": GenDDClassifier,
    "gendd-head": partial(GenDDClassifier, deploy="student_head"),
}
"""Classifiers with a teacher, by the name of their method."""


def fit(
    data: str,
    out: str,
    *,
    method: str = "gdpd",
    teacher: Sequence[str] | None = None,
    unlabeled: str | None = None,
    missing_values: str = "error",
    columns: Columns | None = None,
    **params: Any,
) -> str:
    """Fit a classifier to a file of series, and save it.

    Parameters
    ----------
    data : str
        Path of the file of series. If it has a training part and a test part, the training part
        is used.
    out : str
        Path of the model file to write.
    method : {"gdpd", "gendd", "gendd-head", "prefix"}, default="gdpd"
        Method of the classifier. ``"prefix"`` has no teacher; the others are methods of
        knowledge distillation.
    teacher : sequence of str, optional
        Names of the teacher's backbones; several make an ensemble.
    unlabeled : str, optional
        Path of a file of unlabelled series; labels in it are ignored.
    missing_values : {"error", "interpolate", "mask"}, default="error"
        Treatment of missing values in series.
    columns : Columns, optional
        What the columns of a table are. The names of the channels of a table with a row for each
        point are kept in the model.
    **params : object
        Further parameters of the classifier.

    Returns
    -------
    str
        Report to print.
    """
    check_target(out)
    columns = Columns() if columns is None else columns
    X, y, _, channels = read_series(data, columns)
    series_unlabeled = None
    if unlabeled is not None:
        series_unlabeled = read_series(unlabeled, columns, labelled=False, channels=channels).X
    if method == "prefix":
        if teacher is not None or unlabeled is not None:
            given = "--teacher" if teacher is not None else "--unlabeled"
            raise ValueError(
                f"{given} needs --method {', '.join(TAUGHT)}; --method prefix has no teacher"
            )
        model: Any = PrefixClassifier(**params)
        model.set_params(series__missing_values=missing_values).fit(X, y)
    else:
        names = None if teacher is None else list(teacher)
        spec = names[0] if names is not None and len(names) == 1 else names
        model = TAUGHT[method](spec, **params)
        model.set_params(series__missing_values=missing_values).fit(X, y, series_unlabeled)
    if channels is not None:
        model.feature_names_in_ = np.array(channels, dtype=object)
    model.save(out)
    taught = "" if series_unlabeled is None else f" and {len(series_unlabeled)} without a label"
    return (
        f"{out}: {type(model).__name__} of {len(model.classes_)} classes, fitted to {len(X)} "
        f"series{taught}; it sees "
        f"{model.prefix_length_} of {model.n_timepoints_in_} time points"
    )


def predict(model: str, data: str, out: str | None = None, columns: Columns | None = None) -> str:
    """Predict classes and probabilities of the series of a file.

    Parameters
    ----------
    model : str
        Path of a saved model.
    data : str
        Path of the file of series. If it has a training part and a test part, the test part is
        used. Labels are ignored.
    out : str, optional
        Path of the file to write; by default the predictions are returned.
    columns : Columns, optional
        What the columns of a table are.

    Returns
    -------
    str
        Predictions as CSV, or a report if they were written to a file. Each line has the index of
        a series from 0, or its id if it has one, its class, and the probability of each class.
    """
    classifier = open_classifier(model)
    series = _test_part(classifier, data, columns, labelled=False)
    proba = classifier.predict_proba(series.X)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    labels = [str(label) for label in classifier.classes_.tolist()]
    first = "index" if series.ids is None else "id"
    writer.writerow([first, "class", *(f"p_{label}" for label in labels)])
    ids = range(len(proba)) if series.ids is None else series.ids.tolist()
    for i, row in zip(ids, proba, strict=True):
        writer.writerow([i, labels[int(row.argmax())], *map(float, row)])
    if out is None:
        return buffer.getvalue().rstrip("\n")
    replace_file(Path(out), buffer.getvalue().encode())
    return f"{out}: predictions of {len(proba)} series"


def evaluate(model: str, data: str, columns: Columns | None = None) -> str:
    """Score a model on the labelled series of a file.

    Parameters
    ----------
    model : str
        Path of a saved model.
    data : str
        Path of the file of series. If it has a training part and a test part, the test part is
        used.
    columns : Columns, optional
        What the columns of a table are.

    Returns
    -------
    str
        Table of scores to print.
    """
    classifier = open_classifier(model)
    X, y, *_ = _test_part(classifier, data, columns, labelled=True)
    assert y is not None
    proba, classes = classifier.predict_proba(X), classifier.classes_
    auc = macro_auc_prc(y, proba, classes)  # first, because its error names unknown labels
    seen, whole = classifier.prefix_length_, classifier.n_timepoints_in_
    rows = [
        ("series", f"{len(X)}"),
        ("time points seen", f"{seen} of {whole}"),
        ("accuracy", f"{(classes[proba.argmax(1)] == y).mean():.4f}"),
        ("AUC-PRC", f"{auc:.4f}"),
        ("log loss", f"{log_loss(y, proba, labels=classes):.4f}"),
        ("calibration error", f"{expected_calibration_error(y, proba, classes):.4f}"),
    ]
    return "\n".join(f"{name:<18}{value:>12}" for name, value in rows)


def export(model: str, out: str) -> str:
    """Export a model's network to an ONNX file.

    Parameters
    ----------
    model : str
        Path of a saved model.
    out : str
        Path of the file to write, which must end in ``.onnx``.

    Returns
    -------
    str
        Report to print.
    """
    classifier = open_classifier(model)
    if Path(out).suffix != ".onnx":
        raise ValueError(f"{out} must end in .onnx, the only format of export")
    classifier.export_onnx(out)
    return f"{out}: the network of {model}"


def open_classifier(path: str) -> BasePrefixClassifier:
    """Load a saved classifier of series.

    Parameters
    ----------
    path : str
        Path of a saved model.

    Returns
    -------
    BasePrefixClassifier

    Raises
    ------
    ValueError
        If the model isn't a classifier of series.
    """
    model = load(path)
    if not isinstance(model, BasePrefixClassifier):
        raise ValueError(f"{path} is a {type(model).__name__}, not a classifier of series")
    return model


def _test_part(
    model: BasePrefixClassifier, data: str, columns: Columns | None, labelled: bool
) -> FileSeries:
    columns = Columns() if columns is None else columns
    return read_series(data, columns, labelled=labelled, last=True, channels=channels_of(model))

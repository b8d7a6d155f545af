"""What the command line does with models and files of series."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import log_loss

from ._atomic import replace_file
from ._base import BasePrefixClassifier
from ._files import read_file
from ._gdpd import GDPDClassifier
from ._gendd import GenDDClassifier
from ._persistence import check_target, load
from ._prefix import PrefixClassifier
from .metrics import expected_calibration_error, macro_auc_prc

TAUGHT: dict[str, Callable[..., Any]] = {
    "gdpd": GDPDClassifier,
    "gendd": GenDDClassifier,
    "gendd-head": partial(GenDDClassifier, deploy="student_head"),
}
"""Methods with a teacher."""


def fit(
    data: str,
    out: str,
    *,
    method: str = "gdpd",
    teacher: Sequence[str] | None = None,
    unlabeled: str | None = None,
    **params: Any,
) -> str:
    """Fit a classifier to a file of series, and save it.

    Parameters
    ----------
    data : str
        The file; of one that has a training part and a test part, the training part.
    out : str
        For the model.
    method : {"gdpd", "gendd", "gendd-head", "prefix"}, default="gdpd"
        With a teacher, in one of three ways, or without.
    teacher : sequence of str, optional
        Backbones.
    unlabeled : str, optional
        A file of series whose labels, if there are any, are not looked at.
    **params : object
        Further parameters of the classifier.

    Returns
    -------
    str
        What was done.
    """
    check_target(out)
    X, y = read_file(Path(data))[:2]
    pool = None if unlabeled is None else read_file(Path(unlabeled), labelled=False)[0]
    if method == "prefix":
        if teacher is not None or unlabeled is not None:
            given = "--teacher" if teacher is not None else "--unlabeled"
            raise ValueError(
                f"{given} goes with --method {', '.join(TAUGHT)}; --method prefix has no teacher"
            )
        model: Any = PrefixClassifier(**params).fit(X, y)
    else:
        names = None if teacher is None else list(teacher)
        spec = names[0] if names is not None and len(names) == 1 else names
        model = TAUGHT[method](spec, **params).fit(X, y, pool)
    model.save(out)
    taught = "" if pool is None else f" and {len(pool)} without a label"
    return (
        f"{out}: {type(model).__name__} of {len(model.classes_)} classes, fitted to {len(X)} "
        f"series{taught}; it sees "
        f"{model.prefix_length_} of {model.n_timepoints_in_} time points"
    )


def predict(model: str, data: str, out: str | None = None) -> str:
    """Predict the series of a file.

    Parameters
    ----------
    model : str
        A saved model.
    data : str
        The file; of one that has a training part and a test part, the test part. Labels, if
        there are any, are not looked at.
    out : str, optional
        A file to write to.

    Returns
    -------
    str
        CSV, a line a series: its number from 0, its class, and the classes' probabilities; or
        what was written.
    """
    classifier = open_classifier(model)
    proba = classifier.predict_proba(_test_part(data, labelled=False)[0])
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    labels = [str(label) for label in classifier.classes_.tolist()]
    writer.writerow(["index", "class", *(f"p_{label}" for label in labels)])
    for i, row in enumerate(proba):
        writer.writerow([i, labels[int(row.argmax())], *map(float, row)])
    if out is None:
        return buffer.getvalue().rstrip("\n")
    replace_file(Path(out), buffer.getvalue().encode())
    return f"{out}: predictions of {len(proba)} series"


def evaluate(model: str, data: str) -> str:
    """Score a model on the series of a file.

    Parameters
    ----------
    model : str
        A saved model.
    data : str
        The file; of one that has a training part and a test part, the test part.

    Returns
    -------
    str
        A table.
    """
    classifier = open_classifier(model)
    X, y = _test_part(data, labelled=True)
    proba, classes = classifier.predict_proba(X), classifier.classes_
    auc = macro_auc_prc(y, proba, classes)  # the first, because it says which labels are unknown
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
    """Write a model's network for other programs.

    Parameters
    ----------
    model : str
        A saved model.
    out : str
        An ``.onnx`` file.

    Returns
    -------
    str
        What was written.
    """
    classifier = open_classifier(model)
    if Path(out).suffix != ".onnx":
        raise ValueError(f"{out} must end in .onnx, the only format to export to")
    classifier.export_onnx(out)
    return f"{out}: the network of {model}"


def open_classifier(path: str) -> BasePrefixClassifier:
    """Open a saved model that classifies series.

    Raises
    ------
    ValueError
        If it is something else.
    """
    model = load(path)
    if not isinstance(model, BasePrefixClassifier):
        raise ValueError(f"{path} is a {type(model).__name__}, which is no classifier of series")
    return model


def _test_part(data: str, labelled: bool) -> list[NDArray[np.float32]]:
    parts = read_file(Path(data), labelled=labelled)
    return parts[2:] if len(parts) == 4 else parts

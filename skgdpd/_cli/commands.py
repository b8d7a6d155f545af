"""Commands for models and files of series: fit, predict, evaluate and export."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .._early.classifier import EarlyClassifier
from .._estimators.base import BasePrefixClassifier
from .._estimators.gdpd import GDPDClassifier
from .._estimators.gendd import GenDDClassifier
from .._estimators.prefix import PrefixClassifier
from .._persistence import check_target, load
from .._runtime.atomic import replace_file
from .._runtime.extras import require
from .._series.tables import SUFFIXES
from .._series.unlabeled import split_marked
from .classes import by_class
from .explain import (
    explained,
    explained_for_fit,
    fitted_to_short,
    left_out_words,
    read_words,
)
from .faults import label_fault, with_classes, without_label
from .fixed_moments import rule_facts
from .lengths import long_enough
from .predictions import Unfinished, predictions_of
from .report import page_of
from .score_text import as_text
from .scores import ScoreOptions, answers_of, class_of_threshold
from .series_files import (
    Columns,
    FileSeries,
    fitted_series,
    keep_names,
    read_for_fit,
    read_series,
)
from .steps import keep_step
from .targets import check_apart
from .training_series import keep_digests, known_words

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
    method: str | None = None,
    teacher: Sequence[str] | None = None,
    unlabeled: str | None = None,
    missing_values: str = "error",
    columns: Columns | None = None,
    class_weight: Sequence[str | tuple[str, float]] | None = None,
    delay_cost: float | None = None,
    error_cost: Sequence[tuple[str, float]] | None = None,
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
    method : {"gdpd", "gendd", "gendd-head", "prefix"}, optional
        Method of the classifier. ``"prefix"`` has no teacher; the others are methods of
        knowledge distillation. The default is ``"gdpd"`` with unlabelled series or a named
        teacher, and ``"prefix"`` otherwise: with labels only, a teacher adds nothing.
    teacher : sequence of str, optional
        Names of the teacher's backbones; several make an ensemble.
    unlabeled : str, optional
        Path of a file of unlabelled series; labels in it are ignored.
    missing_values : {"error", "interpolate", "mask"}, default="error"
        Treatment of missing values in series.
    columns : Columns, optional
        What the columns of a table are. The names of the channels of a table with a row for each
        point are kept in the model, and so is the time from point to point.
    class_weight : sequence of str or (str, float), optional
        ``["balanced"]``, or names of classes with their weights; by default all weigh alike.
    delay_cost : float, optional
        Cost of waiting to the end of a series. With it an :class:`~skgdpd.EarlyClassifier` is
        fitted, which needs several moments, ``earliness=[...]``.
    error_cost : sequence of (str, float), optional
        Classes with the cost of an error on one of their series; that of others is 1. The
        stopping rule goes by it.
    **params : object
        Further parameters of the classifier.

    Returns
    -------
    str
        Report to print.
    """
    check_target(out)
    columns = Columns() if columns is None else columns
    check_apart(out, [data, unlabeled, columns.labels])
    _check_costs(delay_cost, error_cost, params.get("earliness"))
    files = read_for_fit(data, unlabeled, columns)
    series = files[0][1]
    if fault := label_fault(data, series):
        raise ValueError(fault)
    labels, missing = split_marked(series.y, None)
    known = np.unique(labels).tolist()
    without = without_label(data, series, missing) if missing.any() else ""
    needs = {"--teacher": teacher, "--unlabeled": unlabeled, "missing labels": without}
    asked = next((name for name, given in needs.items() if given), "")
    chosen = _method(method, asked, without, params.get("max_epochs"))
    if class_weight is not None:
        params["class_weight"] = _weights(class_weight, known)
    model = _unfitted(chosen, teacher, params).set_params(series__missing_values=missing_values)
    if delay_cost is not None:
        costs = None
        if error_cost is not None:
            costs = by_class("--error-cost", error_cost, known, "the data")
        seed = params.get("random_state")
        model = EarlyClassifier(
            model, delay_cost=delay_cost, misclassification_cost=costs, random_state=seed
        )
    if without and method is None:
        print(
            f"skgdpd: {without}. Such series are learned as unlabelled series, by --method "
            f"{chosen}. For a model without a teacher, leave them out of the file",
            file=sys.stderr,
        )
    more = {} if unlabeled is None else {"X_unlabeled": files[1][1].X}
    with explained_for_fit(files, missing_values):
        model.fit(series.X, series.y, **more)
    keep_names(model, series, columns)
    keep_step(model, series.step)
    keep_digests(model, [own.X for _, own in files])
    model.save(out)
    words = _fit_words(out, model, len(labels), sum(len(own.X) for _, own in files))
    short = [line for path, own in files for line in fitted_to_short(path, own, model)]
    return "\n".join([words, *read_words(data, series), *short])


def _check_costs(
    delay_cost: float | None, error_cost: Sequence[tuple[str, float]] | None, earliness: Any
) -> None:
    """Raise an error for costs without a stopping rule, or without moments to choose among."""
    if delay_cost is not None and not isinstance(earliness, list):
        raise ValueError(
            f"--delay-cost {delay_cost:g} needs several --earliness, such as 0.2 0.4 0.6 1.0: the "
            "stopping rule chooses among these moments"
        )
    if error_cost is not None and delay_cost is None:
        raise ValueError(
            "--error-cost needs --delay-cost, because only a stopping rule uses costs; for a "
            "model without one, choose the --threshold of predict and evaluate"
        )


def _method(method: str | None, asked: str, without: str, max_epochs: int | None) -> str:
    """Return the method of a fit.

    Parameters
    ----------
    method : str or None
        Method that was given.
    asked : str
        What needs a teacher, if anything does.
    without : str
        Description of series without a label in the file of labelled series, if there are any.
    max_epochs : int or None
        Number of epochs that was given.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If the method does not take what was given.
    """
    if method == "prefix" and without:
        raise ValueError(
            f"{without}. --method prefix has no teacher, and learns from labelled series only: "
            "leave these out of the file, or take --method gdpd"
        )
    if method == "prefix" and asked:
        raise ValueError(
            f"{asked} needs --method {', '.join(TAUGHT)}; --method prefix has no teacher"
        )
    chosen = method or ("gdpd" if asked else "prefix")
    if chosen in TAUGHT and max_epochs == 0:
        why = "" if method else f", the default because of {asked},"
        raise ValueError(
            f"--epochs 0 trains nothing, and --method {chosen}{why} needs 1 at least; only "
            "--method prefix, which has no teacher, can do without"
        )
    return chosen


def _unfitted(method: str, teacher: Sequence[str] | None, params: dict[str, Any]) -> Any:
    """Return the classifier of a method."""
    if method == "prefix":
        return PrefixClassifier(**params)
    names = None if teacher is None else list(teacher)
    spec = names[0] if names is not None and len(names) == 1 else names
    return TAUGHT[method](spec, **params)


def _fit_words(out: str, model: Any, n_labelled: int, n_series: int) -> str:
    """Return a sentence on a model, and on the numbers of series that it was fitted to."""
    without = n_series - n_labelled
    taught = f" and {without} without a label" if without else ""
    moments = ", ".join(map(str, np.asarray(model.time_points_).tolist()))
    return (
        f"{out}: {type(model).__name__} of {len(model.classes_)} classes, fitted to {n_labelled} "
        f"series{taught}; it sees {moments} time points of {model.n_timepoints_in_}, the length "
        "of the longest"
    )


def predict(
    model: str,
    data: str,
    out: str | None = None,
    columns: Columns | None = None,
    threshold: tuple[str, float] | None = None,
    unfinished: Unfinished | None = None,
) -> str:
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
    threshold : tuple of str and float, optional
        A class of two, and the probability from which on it is the answer.
    unfinished : Unfinished, optional
        Treatment of series that may go on; by default all are answered, or refused.

    Returns
    -------
    str
        Predictions as CSV, or a report if they were written to a file. Each line has the index of
        a series from 0, or its id if it has one, its label, with an early classifier the number
        of time points seen and whether the answer was forced, and the probability of each class.
    """
    check_apart(out, [model, data])
    classifier = open_classifier(model, early=True)
    series = _test_part(classifier, data, columns, labelled=False)
    text = predictions_of(classifier, data, series, threshold, unfinished)
    if out is None:
        return text.rstrip("\n")
    replace_file(Path(out), text.encode())
    return f"{out}: predictions of {len(series.X)} series"


def evaluate(
    model: str,
    data: str,
    columns: Columns | None = None,
    threshold: tuple[str, float] | None = None,
    report: str | None = None,
    cost: Sequence[tuple[str, float]] | None = None,
    short: str = "refuse",
) -> str:
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
    threshold : tuple of str and float, optional
        A class of two, and the probability from which on it is the answer.
    report : str, optional
        Path of a page to write, with tables and pictures.
    cost : sequence of (str, float), optional
        Classes with the cost of an error on one of their series; that of others is 1. The default
        are the model's own costs, if it has any.
    short : {"refuse", "skip"}, default="refuse"
        Treatment of series that are too short for any answer; skip leaves them out of the scores.

    Returns
    -------
    str
        Tables of scores to print.
    """
    if report is not None:
        if Path(report).suffix not in (".html", ".htm"):
            raise ValueError(f"--report {report} must end in .html, the only format of reports")
        require("matplotlib", "plot", "for the report's pictures")
    classifier = open_classifier(model, early=True)
    options = _score_options(classifier, threshold, cost)
    series = _test_part(classifier, data, columns, labelled=True)
    rows, kept = np.arange(len(series.X)), series
    if short == "skip":
        rows = long_enough(series.X, classifier)
        kept = series.take(rows)
    remarks = left_out_words(data, series, classifier, rows) + known_words(kept.X, classifier)
    kept = with_classes(data, kept, classifier.classes_)
    assert kept.y is not None
    advice = "Leave them out of the scores by --short skip. "
    with explained(data, series, classifier, advice, rows):
        answers = answers_of(classifier, kept.X, threshold)
    rule = rule_facts(classifier)
    text = as_text(kept.y, answers, options, rule, remarks)
    if report is None:
        return text
    page = page_of(
        classifier,
        kept,
        answers,
        model_name=Path(model).name,
        data_name=Path(data).name,
        options=options,
        rule=rule,
        remarks=remarks,
    )
    replace_file(Path(report), page.encode())
    return f"{text}\n\n{report}: tables and pictures"


def _score_options(
    model: Any, threshold: tuple[str, float] | None, cost: Sequence[tuple[str, float]] | None
) -> ScoreOptions:
    """Return the options of scores, if they name classes of a model."""
    if threshold is not None:
        class_of_threshold(model, threshold)
    if cost is None:
        return ScoreOptions(threshold, None)
    labels = model.classes_.tolist()
    costs = by_class("--cost", cost, labels, "the model")
    if not any(costs.get(label, 1) for label in labels):
        raise ValueError("--cost gives no error a cost; give one class a cost above 0 at least")
    return ScoreOptions(threshold, costs)


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


def open_classifier(path: str, early: bool = False) -> Any:
    """Load a saved classifier of series.

    Parameters
    ----------
    path : str
        Path of a saved model.
    early : bool, default=False
        Whether an early classifier is allowed, too.

    Returns
    -------
    BasePrefixClassifier or EarlyClassifier

    Raises
    ------
    ValueError
        If the model isn't a classifier of series.
    """
    if Path(path).suffix in (*SUFFIXES, ".ts"):
        raise ValueError(
            f"{path} is not a model of skgdpd but a table; the model comes first, then the file "
            "of series"
        )
    model = load(path)
    if isinstance(model, EarlyClassifier) and not early:
        raise ValueError(
            f"{path} has a stopping rule, which an ONNX file can't hold; fit a model without "
            f"--delay-cost to export it"
        )
    if not isinstance(model, BasePrefixClassifier | EarlyClassifier):
        raise ValueError(f"{path} is a {type(model).__name__}, not a classifier of series")
    return model


def _test_part(model: Any, data: str, columns: Columns | None, labelled: bool) -> FileSeries:
    columns = Columns() if columns is None else columns
    return read_series(data, columns, labelled=labelled, last=True, fitted=fitted_series(model))


def _weights(given: Sequence[str | tuple[str, float]], known: list[Any]) -> str | dict[Any, float]:
    """Return weights of classes as an estimator takes them, with the known labels."""
    if list(given) == ["balanced"]:
        return "balanced"
    pairs = [entry for entry in given if not isinstance(entry, str)]
    if len(pairs) < len(given):
        raise ValueError("--class-weight is either balanced or CLASS=WEIGHT ..., not both")
    return by_class("--class-weight", pairs, known, "the data")

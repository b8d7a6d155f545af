"""Checks of outputs: shapes, types, probabilities, classes, labels, score."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .subject import Subject, quiet


def check_fit_returns_self(subject: Subject) -> None:
    """``fit`` returns ``self``."""
    estimator = subject.fresh()
    with quiet():
        returned = estimator.fit(subject.X, subject.y)
    assert returned is estimator, "fit returns something else"


def check_predictions_are_labels(subject: Subject) -> None:
    """``predict`` returns a label of the training labels' type for each series."""
    labels = subject.predict(subject.fit())
    assert isinstance(labels, np.ndarray), f"predict returns a {type(labels).__name__}"
    assert labels.shape == subject.y.shape, f"predict returns shape {labels.shape}"
    kinds = labels.dtype.kind, subject.y.dtype.kind
    assert kinds[0] == kinds[1] or set(kinds) <= set("OU"), (
        f"predict returns labels of type {labels.dtype}; those at fit have type {subject.y.dtype}"
    )
    unknown = set(labels.tolist()) - set(subject.y.tolist())
    assert not unknown, f"predict returns {sorted(unknown)}, which aren't among the labels"


def check_probabilities_have_a_column_a_class(subject: Subject) -> None:
    """``predict_proba`` returns floats of shape ``(n_samples, n_classes)``."""
    proba = subject.probabilities(subject.fit())
    assert isinstance(proba, np.ndarray), f"predict_proba returns a {type(proba).__name__}"
    assert proba.dtype.kind == "f", f"predict_proba returns {proba.dtype}"
    expected = (len(subject.X), len(np.unique(subject.y)))
    assert proba.shape == expected, f"predict_proba returns shape {proba.shape}, not {expected}"


def check_probabilities_lie_between_0_and_1(subject: Subject) -> None:
    """Probabilities are finite and in [0, 1]."""
    proba = np.asarray(subject.probabilities(subject.fit()))
    assert np.isfinite(proba).all(), "predict_proba returns values that aren't finite"
    assert proba.min() >= 0, f"predict_proba returns {proba.min()}"
    assert proba.max() <= 1 + 1e-9, f"predict_proba returns {proba.max()}"


def check_probabilities_sum_to_1(subject: Subject) -> None:
    """The probabilities of a series sum to 1."""
    total = np.asarray(subject.probabilities(subject.fit())).sum(1)
    gap = np.abs(total - 1).max()
    assert gap <= 1e-6, f"the probabilities of a series sum to {total[np.abs(total - 1).argmax()]}"


def check_prediction_is_most_probable(subject: Subject) -> None:
    """``predict`` returns the class with the highest probability, or one of them in a tie."""
    fitted = subject.fit()
    proba = np.asarray(subject.probabilities(fitted))
    labels = np.ravel(subject.predict(fitted))
    column = {label: k for k, label in enumerate(np.asarray(fitted.classes_).tolist())}
    for row, label in enumerate(labels.tolist()):
        # Another check covers labels that aren't in classes_.
        if label in column and column[label] < proba.shape[1]:
            best, own = proba[row].max(), proba[row, column[label]]
            assert own >= best - 1e-9, (
                f"series {row} is predicted as {label!r} with probability {own:.3g}; the highest "
                f"probability is {best:.3g}"
            )


def check_classes_are_sorted(subject: Subject) -> None:
    """``classes_`` is the array of sorted labels, in whatever order they occur in ``y``."""
    order = np.argsort(subject.y, kind="stable")[::-1]
    fitted = subject.fit(subject.X[order], subject.y[order])
    classes = fitted.classes_
    assert isinstance(classes, np.ndarray), f"classes_ is a {type(classes).__name__}"
    expected = np.unique(subject.y)
    assert classes.tolist() == expected.tolist(), (
        f"classes_ is {classes.tolist()}, not {expected.tolist()}"
    )


def check_score_is_accuracy(subject: Subject) -> None:
    """``score`` is the accuracy of ``predict``."""
    fitted = subject.fit()
    subject.need(hasattr(fitted, "score"), "it has no score")
    # Some labels are wrong, so that the accuracy of a perfect classifier isn't 1.
    y = subject.y.copy()
    y[: len(y) // 3] = y[::-1][: len(y) // 3]
    right = float(np.mean(np.ravel(subject.predict(fitted)) == y))
    told = float(fitted.score(subject.X, y))
    assert abs(told - right) < 1e-9, f"score is {told}; the accuracy is {right}"


def check_two_classes(subject: Subject) -> None:
    """Two classes give two columns of probabilities, and predictions among the two labels."""
    X, y = _two_classes(subject)
    fitted = subject.fit(X, y)
    labels = np.ravel(subject.predict(fitted, X))
    assert set(labels.tolist()) <= set(y.tolist()), "predict returns values that aren't labels"
    proba = np.asarray(subject.probabilities(fitted, X))
    assert proba.shape == (len(X), 2), f"predict_proba returns shape {proba.shape}"


def check_several_channels(subject: Subject) -> None:
    """Series of three channels are accepted, and each gets a prediction."""
    subject.need(subject.X.ndim == 3, "X is a two-dimensional table")
    subject.need(
        subject.takes("multivariate", otherwise=True), "its tags declare a single channel"
    )
    first = subject.X[:, :1]
    X = np.concatenate([first, np.roll(first, 3, axis=2), -first], axis=1)
    labels = np.ravel(subject.predict(subject.fit(X), X))
    assert len(labels) == len(X), f"{len(labels)} predictions for {len(X)} series"


def check_label_types(subject: Subject) -> None:
    """Labels of any type with the same order give the same model."""
    told = subject.answer(subject.fit())
    classes, number = np.unique(subject.y, return_inverse=True)
    n = len(classes)
    namings: dict[str, NDArray[Any]] = {
        "integers": np.array([-7, *(10 * k + 3 for k in range(1, n))]),
        "floats": np.arange(-1.0, n - 1),
        "strings": np.array([f"class {k:03}" for k in range(n)]),
        "objects": np.array([f"class {k:03}" for k in range(n)], dtype=object),
    }
    for kind, names in namings.items():
        _check_naming(subject, subject.X, number, names, told, kind)


def check_boolean_labels(subject: Subject) -> None:
    """Boolean labels give the same model as other labels."""
    X, y = _two_classes(subject)
    number = np.unique(y, return_inverse=True)[1]
    told = subject.answer(subject.fit(X, y), X)
    _check_naming(subject, X, number, np.array([False, True]), told, "booleans")


def _check_naming(
    subject: Subject,
    X: NDArray[Any],
    number: NDArray[np.int64],
    names: NDArray[Any],
    told: NDArray[Any],
    kind: str,
) -> None:
    fitted = subject.fit(X, names[number])
    labels = set(np.ravel(subject.predict(fitted, X)).tolist())
    assert labels <= set(names.tolist()), (
        f"labels that are {kind}: predict returns {sorted(map(str, labels))}, which aren't the "
        f"labels at fit"
    )
    if hasattr(fitted, "predict_proba"):
        subject.same_fit(subject.answer(fitted, X), told, f"labels that are {kind}")


def _two_classes(subject: Subject) -> tuple[NDArray[np.float64], NDArray[Any]]:
    rows = np.isin(subject.y, np.unique(subject.y)[:2])
    return subject.X[rows], subject.y[rows]

"""Checks that bad input is refused with an error that names the reason."""

from __future__ import annotations

import numpy as np
from sklearn.exceptions import NotFittedError

from .subject import Subject, quiet, refused

NAN_WORDS = ("NaN", "missing")
INFINITY_WORDS = ("inf", "finite", "too large")
CHANNEL_WORDS = ("channel", "dimension", "feature", "variate", "shape")
CLASS_WORDS = ("class", "label", "unique")
COUNT_WORDS = ("y", "label", "length", "size", "number", "shape")
EMPTY_WORDS = ("0", "empty", "at least", "no series", "minimum")


def check_unfitted_says_so(subject: Subject) -> None:
    """Predictions of an unfitted classifier raise NotFittedError."""
    for method in ("predict", "predict_proba"):
        estimator = subject.fresh()
        if not hasattr(estimator, method):
            continue
        try:
            with quiet():
                getattr(estimator, method)(subject.X)
        except Exception as error:
            # sktime has a NotFittedError of its own, with the same base classes.
            if not isinstance(error, NotFittedError) and type(error).__name__ != "NotFittedError":
                raise AssertionError(
                    f"{method} of an unfitted classifier raises {error!r}"
                ) from error
        else:
            raise AssertionError(f"{method} of an unfitted classifier raises no error")


def _check_value(subject: Subject, value: float, words: tuple[str, ...], at_fit: bool) -> None:
    name = "NaN" if np.isnan(value) else "infinity"
    if name == "NaN":
        subject.need(
            not subject.takes("missing_values", otherwise=False),
            "its tags declare support of missing values",
        )
    fitted = subject.fit()
    X = subject.X.copy()
    X[len(X) // 2, ..., 1] = value
    if at_fit:
        refused(lambda: subject.fit(X), f"{name} at fit", words)
    else:
        refused(lambda: subject.answer(fitted, X), f"{name} at predict", words)


def check_nan_refused_at_fit(subject: Subject) -> None:
    """NaN in the prefix is refused at fit, unless tags declare support of missing values."""
    _check_value(subject, np.nan, NAN_WORDS, at_fit=True)


def check_nan_refused_at_predict(subject: Subject) -> None:
    """NaN in the prefix is refused at predict, unless tags declare support of missing values."""
    _check_value(subject, np.nan, NAN_WORDS, at_fit=False)


def check_infinity_refused_at_fit(subject: Subject) -> None:
    """Infinity in the prefix is refused at fit."""
    _check_value(subject, np.inf, INFINITY_WORDS, at_fit=True)


def check_infinity_refused_at_predict(subject: Subject) -> None:
    """Infinity in the prefix is refused at predict."""
    _check_value(subject, np.inf, INFINITY_WORDS, at_fit=False)


def check_other_channels_refused(subject: Subject) -> None:
    """Series with another number of channels than at fit are refused at predict."""
    subject.need(subject.X.ndim == 3, "X is a two-dimensional table")
    fitted = subject.fit()
    X = np.concatenate([subject.X, subject.X], axis=1)
    given = f"{X.shape[1]} channels instead of {subject.X.shape[1]}"
    refused(lambda: subject.answer(fitted, X), given, CHANNEL_WORDS)


def check_no_series_refused_at_fit(subject: Subject) -> None:
    """A fit on an empty array of series is refused."""
    refused(lambda: subject.fit(subject.X[:0], subject.y[:0]), "no series at fit", EMPTY_WORDS)


def check_no_series_refused_at_predict(subject: Subject) -> None:
    """A prediction for an empty array of series is refused."""
    fitted = subject.fit()
    refused(lambda: subject.answer(fitted, subject.X[:0]), "no series at predict", EMPTY_WORDS)


def check_text_refused(subject: Subject) -> None:
    """Text instead of numbers is refused at fit."""
    text = np.full(subject.X.shape, "one")
    refused(lambda: subject.fit(text), "text in X")


def check_one_class(subject: Subject) -> None:
    """Labels of a single class are refused, or that class is predicted with certainty."""
    only = np.full(len(subject.y), subject.y[0])
    estimator = subject.fresh()
    try:
        subject.refit(estimator, y=only)
    except (ValueError, TypeError) as error:
        if not any(word in str(error).lower() for word in CLASS_WORDS):
            raise AssertionError(
                f"a single class is refused with an error about something else: "
                f"{str(error)[:200]!r}"
            ) from error
        return
    labels = np.ravel(subject.predict(estimator))
    assert (labels == only).all(), "fitted on a single class, it predicts another class"
    if hasattr(estimator, "predict_proba"):
        proba = np.asarray(subject.probabilities(estimator))
        assert proba.shape == (len(only), 1), (
            f"fitted on a single class, it predicts probabilities of shape {proba.shape}"
        )
        assert np.allclose(proba, 1), (
            "fitted on a single class, it predicts a probability below 1 for it"
        )


def check_label_for_each_series(subject: Subject) -> None:
    """Different numbers of series and labels are refused at fit."""
    refused(lambda: subject.fit(y=subject.y[:-1]), "y with one label too few", COUNT_WORDS)
    refused(lambda: subject.fit(X=subject.X[:-1]), "y with one label too many", COUNT_WORDS)


def check_missing_labels_refused(subject: Subject) -> None:
    """``None`` in place of labels is refused at fit; NaN among them is refused or no class."""
    estimator = subject.fresh()
    refused(lambda: estimator.fit(subject.X, None), "y=None")
    y = np.unique(subject.y, return_inverse=True)[1].astype(float)
    y[1] = np.nan
    try:
        classes = subject.fit(y=y).classes_
    except Exception:
        refused(lambda: subject.fit(y=y), "NaN among the labels")
    else:
        # Some learn from series without a label, which NaN marks.
        known = np.unique(np.delete(y, 1))
        assert np.array_equal(classes, known), "NaN among the labels is taken for a class"


def check_continuous_labels_refused(subject: Subject) -> None:
    """Continuous targets are refused at fit, because they aren't classes."""
    y = np.linspace(0.1, 0.9, len(subject.y)) ** 2
    refused(lambda: subject.fit(y=y), "continuous labels", (*CLASS_WORDS, "continuous", "target"))

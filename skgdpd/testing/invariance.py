"""Checks that predictions don't depend on the batch, its order, number type or memory layout."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .subject import Subject


def check_order_of_series(subject: Subject) -> None:
    """Series in another order get the same predictions, in that order."""
    fitted = subject.fit()
    order = np.random.default_rng(0).permutation(len(subject.X))
    told = subject.answer(fitted)
    subject.same(subject.answer(fitted, subject.X[order]), told[order], "series in another order")


def check_a_series_alone(subject: Subject) -> None:
    """A series gets the same prediction alone and in a batch."""
    fitted = subject.fit()
    told = subject.answer(fitted)
    for row in (0, len(subject.X) // 2, len(subject.X) - 1):
        alone = subject.answer(fitted, subject.X[row : row + 1])
        subject.same(alone, told[row : row + 1], f"series {row} alone, and in a batch")


def check_repeated_series(subject: Subject) -> None:
    """A series that occurs twice gets the same prediction twice."""
    fitted = subject.fit()
    twice = np.repeat(np.arange(len(subject.X)), 2)
    told = subject.answer(fitted)
    subject.same(subject.answer(fitted, subject.X[twice]), told[twice], "each series repeated")


def check_predictions_leave_no_trace(subject: Subject) -> None:
    """Predictions for other series don't change later predictions."""
    fitted = subject.fit()
    told = subject.answer(fitted)
    for other in (subject.X[::-1] * 3, subject.X[:2]):
        subject.answer(fitted, np.ascontiguousarray(other))
        subject.predict(fitted, np.ascontiguousarray(other))
    subject.same(subject.answer(fitted), told, "after predictions for other series")


def check_predictions_in_threads(subject: Subject) -> None:
    """Threads that predict at the same time get the same predictions as one thread."""
    fitted = subject.fit()
    parts = [subject.X[k::4].copy() for k in range(4)]
    told = [subject.answer(fitted, part) for part in parts]
    found: list[Any] = [None] * len(parts)
    start = threading.Barrier(len(parts))

    def work(k: int) -> None:
        start.wait()
        try:
            found[k] = np.array(
                fitted.predict_proba(parts[k])
                if hasattr(fitted, "predict_proba")
                else fitted.predict(parts[k])
            )
        except Exception as error:
            found[k] = error

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(parts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(found, told, strict=True):
        assert not isinstance(one, Exception), f"predict raises in a thread: {one!r}"
        subject.same(one, other, "predicted by four threads at the same time")


def check_single_precision(subject: Subject) -> None:
    """The same numbers in single and double precision give the same model and predictions."""
    _check_form(subject, subject.X.astype(np.float32), "single precision")


def check_integers(subject: Subject) -> None:
    """Series of integers give the same model and predictions as the same numbers as floats."""
    X = np.round(subject.X * 64)
    fitted, whole = subject.fit(X), X.astype(np.int64)
    told = subject.answer(fitted, X)
    subject.same(subject.answer(fitted, whole), told, "integers at predict")
    subject.same_fit(subject.answer(subject.fit(whole), X), told, "integers at fit")


def check_fortran_order(subject: Subject) -> None:
    """Arrays in Fortran order give the same model and predictions as in C order."""
    _check_form(subject, np.asfortranarray(subject.X), "Fortran order")


def check_strided_arrays(subject: Subject) -> None:
    """Strided views of larger arrays give the same model and predictions as contiguous arrays."""
    shape = tuple(2 * n for n in subject.X.shape)
    large = np.full(shape, 99.0)
    part = large[tuple(slice(None, None, 2) for _ in shape)]
    part[...] = subject.X
    _check_form(subject, part, "a strided array")


def check_read_only_arrays(subject: Subject) -> None:
    """Read-only arrays, as in workers of a parallel search, are accepted."""
    X = subject.X.copy()
    X.setflags(write=False)
    _check_form(subject, X, "a read-only array")


def check_lists_of_labels(subject: Subject) -> None:
    """Labels as a list give the same model as labels as an array."""
    told = subject.answer(subject.fit())
    fitted = subject.fit(subject.X, subject.y.tolist())
    subject.same_fit(subject.answer(fitted), told, "labels as a list")


def _check_form(subject: Subject, form: NDArray[Any], what: str) -> None:
    fitted = subject.fit()
    told = subject.answer(fitted)
    subject.same(subject.answer(fitted, form), told, f"{what} at predict")
    subject.same_fit(subject.answer(subject.fit(form)), told, f"{what} at fit")

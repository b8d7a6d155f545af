"""Checks of the prefix: later values have no influence, and shorter series are refused."""

from __future__ import annotations

from typing import Any

import numpy as np

from .subject import Subject, refused

LENGTH_WORDS = ("length", "time", "point", "feature", "shape", "short", "size", "NaN", "equal")


def _several_moments(fitted: Any) -> bool:
    """Return whether a classifier answers at several moments."""
    return len(getattr(fitted, "time_points_", ())) > 1 and hasattr(fitted, "predict_proba_path")


def _check_future(subject: Subject, values: Any, what: str) -> None:
    fitted = subject.fit()
    if _several_moments(fitted):
        _check_future_of_moments(subject, fitted, values, what)
        return
    length = subject.prefix(fitted)
    changed = subject.X.copy()
    changed[..., length:] = values
    told = subject.answer(fitted)
    # Only the prefix enters the computation, so the results must be equal bit by bit.
    subject.same(subject.answer(fitted, changed), told, f"{what} after the prefix", exact=True)


def _check_future_of_moments(subject: Subject, fitted: Any, values: Any, what: str) -> None:
    told = fitted.predict_proba_path(subject.X)
    for m, length in enumerate(fitted.time_points_):
        changed = subject.X.copy()
        changed[..., length:] = (
            values[..., : changed.shape[-1] - length] if np.ndim(values) else values
        )
        found = fitted.predict_proba_path(changed)[:, : m + 1]
        where = f"{what} after moment {m}, of {length} time points"
        subject.same(found, told[:, : m + 1], where, exact=True)


def check_future_random(subject: Subject) -> None:
    """Other numbers after the prefix change no bit of the prediction."""
    values = np.random.default_rng(1).normal(scale=5, size=subject.X.shape)
    length = subject.prefix(subject.fit())
    _check_future(subject, values[..., length:], "other numbers")


def check_future_missing(subject: Subject) -> None:
    """NaN after the prefix, as of values not recorded yet, changes no bit of the prediction."""
    _check_future(subject, np.nan, "NaN")


def check_future_huge(subject: Subject) -> None:
    """Values of 1e9 after the prefix change no bit of the prediction."""
    # Later moments read them, and may refuse larger ones.
    _check_future(subject, 1e9, "1e9")


def check_prefix_alone(subject: Subject) -> None:
    """The prefix alone gets the same prediction as the whole series."""
    fitted = subject.fit()
    if _several_moments(fitted):
        path = fitted.predict_proba_path(subject.X)
        for m, length in enumerate(fitted.time_points_):
            alone = subject.answer(fitted, subject.X[..., :length].copy())
            what = f"the first {length} points alone, and the path at that moment"
            subject.same(alone, path[:, m], what)
        return
    length = subject.prefix(fitted)
    try:
        alone = subject.answer(fitted, subject.X[..., :length].copy())
    except (ValueError, TypeError):
        subject.need(hasattr(fitted, "prefix_length_"), "it takes whole series only")
        raise
    subject.same(alone, subject.answer(fitted), "the prefix alone, and the whole series")


def check_prefix_matters(subject: Subject) -> None:
    """Predictions differ between series; otherwise the other checks would be meaningless."""
    told = subject.answer(subject.fit())
    assert (told != told[:1]).any(), f"all {len(told)} series get the same prediction"


def check_prefix_length_is_stored(subject: Subject) -> None:
    """``prefix_length_`` is an integer from 1 to the length of the series."""
    fitted = subject.fit()
    subject.need(hasattr(fitted, "prefix_length_"), "it has no prefix_length_")
    length = fitted.prefix_length_
    assert isinstance(length, (int, np.integer)), f"prefix_length_ is a {type(length).__name__}"
    assert 1 <= length <= subject.n_timepoints, f"prefix_length_ is {length}"


def check_earliness_sets_the_prefix(subject: Subject) -> None:
    """An integer ``earliness`` is the length of the prefix, and 1.0 is the whole series."""
    _need_earliness(subject)
    whole = subject.n_timepoints
    for earliness, length in ((whole // 2, whole // 2), (1.0, whole)):
        fitted = subject.refit(subject.fresh(earliness=earliness))
        found = fitted.prefix_length_
        assert found == length, (
            f"with earliness={earliness!r} and series of {whole} points, prefix_length_ is "
            f"{found}, not {length}"
        )


def check_bad_earliness_refused(subject: Subject) -> None:
    """An ``earliness`` out of range is refused with an error that names the parameter."""
    _need_earliness(subject)
    for bad in (0, 0.0, -0.5, 1.5, subject.n_timepoints + 1):
        estimator = subject.fresh(earliness=bad)
        refused(lambda e=estimator: subject.refit(e), f"earliness={bad!r}", ("earliness",))  # type: ignore[misc]


def check_shorter_series_refused(subject: Subject) -> None:
    """Series shorter than the prefix are refused at predict."""
    if _several_moments(subject.fit()):
        short = subject.X[..., : subject.fit().time_points_[0] - 1].copy()
        refused(
            lambda: subject.answer(subject.fit(), short),
            f"series of {short.shape[-1]} points, before the first moment",
            LENGTH_WORDS,
        )
        return
    _need_fixed_length(subject)
    fitted = subject.fit()
    short = subject.X[..., : subject.seen(fitted) - 1].copy()
    refused(
        lambda: subject.answer(fitted, short),
        f"series of {short.shape[-1]} points instead of {subject.seen(fitted)}",
        LENGTH_WORDS,
    )


def check_lengths_between_have_no_effect(subject: Subject) -> None:
    """Series longer than the prefix but not whole are refused, or predicted as whole series."""
    _need_fixed_length(subject)
    fitted = subject.fit()
    subject.need(hasattr(fitted, "prefix_length_"), "it has no prefix_length_")
    length, whole = subject.prefix(fitted), subject.n_timepoints
    subject.need(length < whole - 1, "no length lies between its prefix and the whole series")
    between = subject.X[..., : (length + whole) // 2].copy()
    what = f"series of {between.shape[-1]} points, between {length} and {whole},"
    try:
        answer = subject.answer(fitted, between)
    except (ValueError, TypeError):
        refused(lambda: subject.answer(fitted, between), what, LENGTH_WORDS)
        return
    subject.same(answer, subject.answer(fitted), f"{what} and whole series")


def check_unequal_prefixes_refused(subject: Subject) -> None:
    """A list with one series shorter than the prefix is refused at predict."""
    _need_fixed_length(subject)
    subject.need(subject.X.ndim == 3, "X is a two-dimensional table")
    subject.need(
        not subject.takes("missing_values", otherwise=False),
        "its tags declare support of missing values, and a missing end may count as one",
    )
    fitted = subject.fit()
    length = subject.seen(fitted)
    unequal = [subject.X[0, :, :length].copy(), subject.X[1, :, : length - 1].copy()]
    refused(
        lambda: subject.answer(fitted, unequal),
        f"a list of series of {length} and {length - 1} points",
    )


def _need_earliness(subject: Subject) -> None:
    subject.need("earliness" in subject.estimator.get_params(), "it has no parameter earliness")


def _need_fixed_length(subject: Subject) -> None:
    subject.need(not _several_moments(subject.fit()), "it answers at several moments")
    subject.need(
        not subject.takes("unequal_length", otherwise=False),
        "its tags declare support of series of unequal length",
    )

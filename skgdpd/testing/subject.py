"""Classifier under test: its fits and predictions, and comparisons of predictions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any
from unittest import SkipTest

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils import get_tags

from .._series.truncation import PrefixTruncator, prefix_length

ATOL = 1e-6
"""Tolerance for probabilities of the same model, because networks use single precision."""

WRAPPED = ("best_estimator_", "estimator_", "classifier_")
"""Attributes in which meta-estimators store the fitted classifier."""


def example_series() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Make a small data set of three classes that differ from the first points on.

    There are 24 series of one channel and 40 time points. Values are multiples of 1/64, which
    single precision represents exactly.

    Returns
    -------
    X : ndarray of shape (24, 1, 40)
        Series.
    y : ndarray of shape (24,)
        Labels 0, 1 and 2.
    """
    rng = np.random.default_rng(0)
    y = np.tile([2, 0, 1], 8)
    time = np.arange(40)
    waves = np.sin(2 * np.pi * (y[:, None] + 1) * time / 16) * (1 + y[:, None])
    X = waves + 0.2 * rng.normal(size=waves.shape)
    return np.round(X[:, None] * 64) / 64, y


class Subject:
    """Classifier under test, with the data of the test.

    Parameters
    ----------
    estimator : classifier
        Unfitted classifier. It is cloned for each fit, and each ``random_state`` that isn't an
        integer is set to 0.
    X : array-like of shape (n_samples, n_channels, n_timepoints) or (n_samples, n_timepoints)
        Whole series; by default :func:`example_series`.
    y : array-like of shape (n_samples,)
        Labels of the series.
    prefix_length : int, optional
        Length of the classifier's prefix. It is needed only if the classifier has no attribute
        ``prefix_length_`` and no :class:`~skgdpd.PrefixTruncator` in a pipeline.
    """

    def __init__(
        self,
        estimator: Any,
        X: ArrayLike | None = None,
        y: ArrayLike | None = None,
        prefix_length: int | None = None,
    ) -> None:
        if (X is None) != (y is None):
            raise ValueError("give both X and y, or neither for the example series")
        given = example_series() if X is None else (X, y)
        self.estimator = estimator
        self.X: NDArray[np.float64] = np.array(given[0], dtype=np.float64)
        self.y: NDArray[Any] = np.array(given[1])
        if self.X.ndim not in (2, 3):
            raise ValueError(f"X has {self.X.ndim} dimensions; allowed are 2 and 3")
        if len(self.X) != len(self.y):
            raise ValueError(f"X has {len(self.X)} series and y {len(self.y)} labels")
        whole = self.X.shape[-1]
        if prefix_length is not None and not 1 <= prefix_length <= whole:
            raise ValueError(
                f"prefix_length={prefix_length!r} must be between 1 and the {whole} time points"
            )
        self._prefix_length = prefix_length

    @property
    def n_timepoints(self) -> int:
        """Length of the whole series."""
        return int(self.X.shape[-1])

    def fresh(self, **params: Any) -> Any:
        """Make an unfitted clone whose seeds are integers."""
        estimator = clone(self.estimator)
        seeds = {
            name: 0
            for name, value in estimator.get_params().items()
            if name.rpartition("__")[2] == "random_state" and not isinstance(value, int)
        }
        if seeds or params:
            estimator.set_params(**seeds, **params)
        return estimator

    def fit(self, X: Any = None, y: Any = None) -> Any:
        """Make a fitted clone."""
        return self.refit(self.fresh(), X, y)

    def refit(self, estimator: Any, X: Any = None, y: Any = None) -> Any:
        """Fit the given estimator itself."""
        with quiet():
            estimator.fit(self.X if X is None else X, self.y if y is None else y)
        return estimator

    def predict(self, fitted: Any, X: Any = None) -> NDArray[Any]:
        """Return the predicted labels, without conversion."""
        with quiet():
            return fitted.predict(self.X if X is None else X)

    def probabilities(self, fitted: Any, X: Any = None) -> NDArray[np.float64]:
        """Return the predicted probabilities, without conversion.

        The check is skipped if the classifier has no ``predict_proba``.

        Parameters
        ----------
        fitted : classifier
            Fitted classifier.
        X : array-like, optional
            Series; by default those of the subject.

        Returns
        -------
        array-like of shape (n_samples, n_classes)
            Output of ``predict_proba``.
        """
        self.need(hasattr(fitted, "predict_proba"), "it has no predict_proba")
        with quiet():
            return fitted.predict_proba(self.X if X is None else X)

    def answer(self, fitted: Any, X: Any = None) -> NDArray[Any]:
        """Return predictions: probabilities, or labels if there is no ``predict_proba``."""
        if hasattr(fitted, "predict_proba"):
            return np.array(self.probabilities(fitted, X))
        return np.array(self.predict(fitted, X))

    def known_prefix(self, fitted: Any) -> int | None:
        """Return the length of a fitted classifier's prefix, or None if it is unknown."""
        if self._prefix_length is not None:
            return self._prefix_length
        return _find_prefix(fitted, self.n_timepoints)

    def prefix(self, fitted: Any) -> int:
        """Return the length of a fitted classifier's prefix.

        The check is skipped if the length is unknown, or if the prefix is the whole series.

        Parameters
        ----------
        fitted : classifier
            Fitted classifier.

        Returns
        -------
        int
            Number of time points.
        """
        length = self.known_prefix(fitted)
        self.need(
            length is not None,
            "it takes whole series; truncate them with on_prefix, or give prefix_length",
        )
        assert length is not None
        self.need(length < self.n_timepoints, "its prefix is the whole series")
        return length

    def seen(self, fitted: Any) -> int:
        """Return the length of a fitted classifier's prefix, or the whole length if unknown."""
        return self.known_prefix(fitted) or self.n_timepoints

    def takes(self, capability: str, otherwise: bool) -> bool:
        """Return whether the tags declare a capability, for instance ``missing_values``.

        Parameters
        ----------
        capability : str
            Name of the capability in sktime's and aeon's tags.
        otherwise : bool
            Result for a classifier without such a tag.

        Returns
        -------
        bool
        """
        tags: dict[str, Any] = getattr(self.estimator, "get_tags", dict)()
        if f"capability:{capability}" in tags:
            return bool(tags[f"capability:{capability}"])
        if capability == "missing_values":
            return bool(get_tags(self.estimator).input_tags.allow_nan)
        return otherwise

    def need(self, condition: object, reason: str) -> None:
        """Skip the check with a reason unless a condition holds."""
        if not condition:
            raise SkipTest(reason)

    def same(self, one: Any, other: Any, what: str, *, exact: bool = False) -> None:
        """Assert that two predictions of one model are the same."""
        gap = difference(one, other, exact=exact)
        assert not gap, f"{what}: {gap}"

    def same_fit(self, one: Any, other: Any, what: str) -> None:
        """Assert that predictions of two fits are the same.

        The check is skipped if fits with the same seed differ without any other change.

        Parameters
        ----------
        one, other : array-like
            Predictions of the two fits.
        what : str
            Description of the comparison, for the error.
        """
        gap = difference(one, other)
        if gap:
            self.need(
                self.repeatable(), "two fits with the same seed differ, so fits can't be compared"
            )
            raise AssertionError(f"{what}: {gap}")

    def repeatable(self) -> bool:
        """Return whether two fits with the same seed give the same predictions."""
        return not difference(*(self.answer(self.fit()) for _ in range(2)))


def difference(one: Any, other: Any, *, exact: bool = False) -> str:
    """Return a description of how two predictions differ; empty if they are the same.

    Parameters
    ----------
    one, other : array-like
        Predictions: probabilities or labels.
    exact : bool, default=False
        Whether to compare bit by bit instead of with a tolerance.

    Returns
    -------
    str
        Description for an error message.
    """
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape:
        return f"shape {one.shape} against {other.shape}"
    if one.dtype.kind == "f" and other.dtype.kind == "f" and not exact:
        far = ~np.isclose(one, other, rtol=0, atol=ATOL, equal_nan=True)
        if not far.any():
            return ""
        count = int(far.reshape(len(one), -1).any(1).sum())
        return (
            f"{count} of {len(one)} series get different predictions, "
            f"by up to {np.abs(one - other)[far].max():.2g}"
        )
    unequal = one != other
    if one.dtype.kind == "f" and other.dtype.kind == "f":
        unequal &= ~(np.isnan(one) & np.isnan(other))
    if not unequal.any():
        return ""
    count = int(unequal.reshape(len(one), -1).any(1).sum())
    return f"{count} of {len(one)} series get different predictions"


def refused(action: Callable[[], Any], what: str, words: tuple[str, ...] = ()) -> None:
    """Assert that an action raises ValueError or TypeError with a message about the cause.

    Parameters
    ----------
    action : callable
        Function without arguments.
    what : str
        Description of the bad input, for the error message.
    words : tuple of str, default=()
        The message must contain at least one of these words. If empty, any message is accepted.

    Raises
    ------
    AssertionError
        If the action raises no error, another type of error, or a message without these words.
    """
    try:
        with quiet():
            action()
    except (ValueError, TypeError) as error:
        text = str(error)
        said = not words or any(word.lower() in text.lower() for word in words)
        assert said, f"{what}: refused with an error about something else: {text.strip()[:200]!r}"
    except Exception as error:
        raise AssertionError(
            f"{what}: raises {type(error).__name__} instead of ValueError: {str(error)[:200]!r}"
        ) from error
    else:
        raise AssertionError(f"{what}: accepted without an error")


class quiet(warnings.catch_warnings):
    """Context in which warnings are ignored; other checks cover warnings."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore")


def _find_prefix(fitted: Any, n_timepoints: int) -> int | None:
    own = getattr(fitted, "prefix_length_", None)
    if own is not None:
        return int(own)
    if hasattr(fitted, "named_steps"):
        lengths, left = [], n_timepoints
        for _, step in fitted.steps:
            if isinstance(step, PrefixTruncator):
                left = prefix_length(step.earliness, left)
                lengths.append(left)
            else:
                lengths.append(_find_prefix(step, left) or left)
        return min(lengths) if min(lengths) < n_timepoints else None
    for name in WRAPPED:
        if hasattr(fitted, name):
            return _find_prefix(getattr(fitted, name), n_timepoints)
    return None

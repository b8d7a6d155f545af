"""Functions that run the checks: one by one, all at once, or as pytest tests."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal
from unittest import SkipTest

from numpy.typing import ArrayLike

from .._runtime.extras import require
from . import errors, invariance, manners, outputs, prefix, surroundings
from .state import KINDS, kept
from .subject import Subject

MODULES = (prefix, outputs, invariance, manners, surroundings, errors)

CHECKS: dict[str, Callable[[Subject], None]] = {
    name: function
    for module in MODULES
    for name, function in vars(module).items()
    if name.startswith("check_")
}
"""Check functions by name, in order of execution."""

Status = Literal["passed", "failed", "expected", "skipped"]
Expected = Mapping[str, str]


@dataclass(frozen=True)
class PrefixCheck:
    """A check of the contract, which is called with an estimator.

    Attributes
    ----------
    name : str
        Name of the check, as in ``expected_failed_checks``.
    data : dict
        Data of the check: ``X``, ``y`` and ``prefix_length``.
    """

    name: str
    data: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def summary(self) -> str:
        """Statement that the check verifies, in one sentence."""
        return (CHECKS[self.name].__doc__ or "").strip()

    def __call__(self, estimator: Any) -> None:
        """Run the check.

        Parameters
        ----------
        estimator : classifier
            Unfitted classifier.

        Raises
        ------
        AssertionError
            If the check fails. Exceptions of the estimator are not caught.
        unittest.SkipTest
            If the check doesn't apply to the estimator.
        """
        with ExitStack() as stack:
            # State is restored after each check, so that no change can mask the next one.
            for kind in KINDS:
                stack.enter_context(kept(kind))
            CHECKS[self.name](Subject(estimator, **self.data))


@dataclass(frozen=True)
class CheckResult:
    """Result of a check on an estimator.

    Attributes
    ----------
    check : str
        Name of the check.
    status : {"passed", "failed", "expected", "skipped"}
        Outcome; ``"expected"`` is a failure that ``expected_failed_checks`` names.
    exception : Exception or None
        Exception that the check raised.
    reason : str
        Reason for the failure, the expected failure, or the skip; empty if the check passed.
    """

    check: str
    status: Status
    exception: Exception | None = None
    reason: str = ""


def check_names() -> list[str]:
    """Return the names of all checks, in order of execution."""
    return list(CHECKS)


def prefix_classifier_checks(
    estimator: Any,
    *,
    X: ArrayLike | None = None,
    y: ArrayLike | None = None,
    prefix_length: int | None = None,
) -> Iterator[tuple[Any, PrefixCheck]]:
    """Yield pairs of the estimator and a check, one for each check.

    Parameters
    ----------
    estimator : classifier
        Unfitted instance of a classifier.
    X : array-like of shape (n_samples, n_channels, n_timepoints) or (n_samples, n_timepoints)
        Whole series that the checks use. By default, there are 24 series of one channel and 40
        time points, whose classes differ from the start. Give at least three series per class,
        and at most a few dozen in total, because each check fits the classifier one to four
        times.
    y : array-like of shape (n_samples,), optional
        Labels of the series, of two or more classes.
    prefix_length : int, optional
        Length of the estimator's prefix. It is needed only if the estimator has no attribute
        ``prefix_length_`` and no :class:`~skgdpd.PrefixTruncator` in a pipeline. If the length is
        unknown, checks of values after the prefix are skipped.

    Yields
    ------
    estimator : classifier
        The given estimator. Checks clone it.
    check : PrefixCheck
        Check that is called with the estimator. It raises an error if the check fails, and
        ``unittest.SkipTest`` if the check doesn't apply.

    Examples
    --------
    >>> from skgdpd import PrefixClassifier
    >>> from skgdpd.testing import prefix_classifier_checks
    >>> clf = PrefixClassifier("fcn", max_epochs=1)
    >>> estimator, check = next(prefix_classifier_checks(clf))
    >>> check.name, check(estimator)
    ('check_future_random', None)
    """
    if isinstance(estimator, type):
        raise TypeError(f"estimator={estimator!r} is a class; give an instance")
    data: dict[str, Any] = {"X": X, "y": y, "prefix_length": prefix_length}
    Subject(estimator, **data)  # refuses bad data here, before any check runs
    for name in CHECKS:
        yield estimator, PrefixCheck(name, data)


def check_prefix_classifier(
    estimator: Any,
    *,
    X: ArrayLike | None = None,
    y: ArrayLike | None = None,
    prefix_length: int | None = None,
    expected_failed_checks: Expected | None = None,
    on_fail: Literal["raise", "warn"] | None = "raise",
    callback: Callable[[CheckResult], None] | None = None,
) -> list[CheckResult]:
    """Check that an early classifier keeps its contract.

    The checks work on any classifier of three-dimensional arrays with the interface of
    scikit-learn, including classifiers of sktime and aeon. The classifier is cloned for every
    fit. Every ``random_state`` that isn't an integer is set to 0.

    Parameters
    ----------
    estimator : classifier
        Unfitted instance of a classifier. Choose parameters that make it fast, because it is
        fitted about a hundred times.
    X : array-like of shape (n_samples, n_channels, n_timepoints) or (n_samples, n_timepoints)
        Whole series that the checks use; see :func:`prefix_classifier_checks`.
    y : array-like of shape (n_samples,), optional
        Labels of the series, of two or more classes.
    prefix_length : int, optional
        Length of the estimator's prefix; see :func:`prefix_classifier_checks`.
    expected_failed_checks : dict of str to str, optional
        Names of checks that may fail, with the reason for each.
    on_fail : {"raise", "warn"} or None, default="raise"
        Treatment of unexpected failures after all checks have run. ``"raise"`` raises one error
        that lists all failures, ``"warn"`` warns about each failure, and None does neither.
    callback : callable, optional
        Function that is called with each result as soon as it is known.

    Returns
    -------
    list of CheckResult
        Result of each check.

    Raises
    ------
    AssertionError
        If checks failed and ``on_fail="raise"``.
    ValueError
        If ``expected_failed_checks`` has an unknown name, or ``on_fail`` is invalid.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from skgdpd import PrefixTruncator
    >>> from skgdpd.testing import check_prefix_classifier, example_series
    >>> X, y = example_series()
    >>> neighbours = make_pipeline(PrefixTruncator(12), KNeighborsClassifier(1))
    >>> results = check_prefix_classifier(neighbours, X=X[:, 0], y=y, on_fail=None)
    >>> {r.check: r.status for r in results}["check_future_missing"]
    'passed'
    """
    if on_fail not in ("raise", "warn", None):
        raise ValueError(f"on_fail={on_fail!r} must be 'raise', 'warn' or None")
    expected = _known(expected_failed_checks)
    results = []
    for subject, check in prefix_classifier_checks(
        estimator, X=X, y=y, prefix_length=prefix_length
    ):
        result = _run(check, subject, expected)
        results.append(result)
        if callback is not None:
            callback(result)
    failed = [result for result in results if result.status == "failed"]
    if on_fail == "warn":
        for result in failed:
            warnings.warn(f"{result.check}: {result.reason}", UserWarning, stacklevel=2)
    elif on_fail == "raise" and failed:
        lines = [f"  {result.check}: {result.reason}" for result in failed]
        raise AssertionError(
            f"{type(estimator).__name__} failed {len(failed)} of {len(results)} checks:\n"
            + "\n".join(lines)
        ) from failed[0].exception
    return results


def parametrize_with_prefix_checks(
    estimators: Sequence[Any],
    *,
    X: ArrayLike | None = None,
    y: ArrayLike | None = None,
    prefix_length: int | None = None,
    expected_failed_checks: Expected | Callable[[Any], Expected] | None = None,
) -> Any:
    """Make a pytest decorator for a test with the arguments ``estimator`` and ``check``.

    Parameters
    ----------
    estimators : sequence of classifiers
        Unfitted instances of classifiers.
    X : array-like of shape (n_samples, n_channels, n_timepoints) or (n_samples, n_timepoints)
        Whole series that the checks use; see :func:`prefix_classifier_checks`.
    y : array-like of shape (n_samples,), optional
        Labels of the series, of two or more classes.
    prefix_length : int, optional
        Length of the estimators' prefix; see :func:`prefix_classifier_checks`.
    expected_failed_checks : dict of str to str, or callable, optional
        Names of checks that must fail, with the reason for each, or a function from an estimator
        to such a dict. The checks are marked as strict expected failures: if one passes, the test
        fails.

    Returns
    -------
    pytest.MarkDecorator
        Decorator made by ``pytest.mark.parametrize``.

    Examples
    --------
    >>> from skgdpd import PrefixClassifier
    >>> from skgdpd.testing import parametrize_with_prefix_checks
    >>> @parametrize_with_prefix_checks([PrefixClassifier("fcn", max_epochs=1)])
    ... def test_prefix_classifier(estimator, check):
    ...     check(estimator)
    """
    pytest = require("pytest", "test", "for parametrize_with_prefix_checks")
    cases = []
    for number, estimator in enumerate(estimators):
        given = expected_failed_checks
        expected = _known(given(estimator) if callable(given) else given)
        for _, check in prefix_classifier_checks(estimator, X=X, y=y, prefix_length=prefix_length):
            marks = (
                [pytest.mark.xfail(reason=expected[check.name], strict=True)]
                if check.name in expected
                else []
            )
            label = f"{type(estimator).__name__}{number}-{check.name}"
            cases.append(pytest.param(estimator, check, marks=marks, id=label))
    return pytest.mark.parametrize(("estimator", "check"), cases)


def _run(check: PrefixCheck, estimator: Any, expected: Expected) -> CheckResult:
    try:
        check(estimator)
    except SkipTest as skip:
        return CheckResult(check.name, "skipped", skip, str(skip))
    except Exception as error:
        if check.name in expected:
            return CheckResult(check.name, "expected", error, expected[check.name])
        raised = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
        return CheckResult(check.name, "failed", error, raised + " ".join(str(error).split()))
    return CheckResult(check.name, "passed")


def _known(expected: Expected | None) -> Expected:
    unknown = sorted(set(expected or {}) - set(CHECKS))
    if unknown:
        raise ValueError(f"expected_failed_checks names {unknown}, which aren't checks")
    return expected or {}

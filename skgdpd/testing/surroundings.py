"""Checks that fits and predictions keep global state and pass interrupts on."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from .state import KINDS, kept
from .subject import Subject, quiet

NUISANCES = (DeprecationWarning, FutureWarning, RuntimeWarning, ResourceWarning)
"""Categories of warnings that a user can't act on."""

INTERRUPTED_AT = (0.2, 0.5, 0.8)
"""Points at which a fit is interrupted, as fractions of its number of function calls."""

TRIES = 4
"""Number of neighbouring calls at which an interrupt must be lost before the check fails.

A single call is not enough, because some calls come from C libraries that can't pass an exception
on.
"""


def _check_state(subject: Subject, kind: str) -> None:
    with quiet(), kept(kind) as changed:
        fitted = subject.fresh()
        fitted.fit(subject.X, subject.y)
        assert not changed(), f"fit changes {', '.join(changed())}"
        fitted.predict(subject.X)
        if hasattr(fitted, "predict_proba"):
            fitted.predict_proba(subject.X)
        assert not changed(), f"predict changes {', '.join(changed())}"


def check_global_generators_untouched(subject: Subject) -> None:
    """The global random generators of Python, numpy and torch keep their state."""
    _check_state(subject, "generators")


def check_torch_settings_untouched(subject: Subject) -> None:
    """The number of threads and the flags of torch are kept."""
    _check_state(subject, "torch")


def check_environment_untouched(subject: Subject) -> None:
    """Environment variables and the working folder are kept."""
    _check_state(subject, "environment")


def check_warning_filters_untouched(subject: Subject) -> None:
    """The warning filters are kept."""
    _check_state(subject, "filters")


def check_other_settings_untouched(subject: Subject) -> None:
    """The settings of numpy, scikit-learn and the interpreter are kept."""
    _check_state(subject, "settings")


def check_no_files_left(subject: Subject) -> None:
    """A fit and a prediction write no files to the working folder."""
    with tempfile.TemporaryDirectory() as folder, kept("environment"):
        os.chdir(folder)
        subject.answer(subject.fit())
        left = os.listdir(folder)
        assert not left, f"{sorted(left)} left in the working folder"


def check_silence(subject: Subject) -> None:
    """A fit and a prediction print nothing."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        with contextlib.redirect_stderr(io.StringIO()) as err:
            subject.answer(subject.fit())
    printed = out.getvalue() + err.getvalue()
    assert not printed, f"printed: {printed.strip()[:200]!r}"


def check_no_nuisance_warnings(subject: Subject) -> None:
    """Ordinary series cause no warning about deprecation, numerics or open files."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator = subject.fresh()
        estimator.fit(subject.X, subject.y)
        estimator.predict(subject.X)
    found = [w for w in caught if issubclass(w.category, NUISANCES)]
    assert not found, f"{len(found)} warnings; the first is {found[0].category.__name__}: " + str(
        found[0].message
    )


def check_interrupts_pass(subject: Subject) -> None:
    """A KeyboardInterrupt in the middle of ``fit`` reaches the caller."""
    for part, outcomes in _interrupted_fits(subject):
        assert any(outcome.passed for outcome in outcomes), (
            f"a KeyboardInterrupt after {part:.0%} of fit is swallowed"
        )


def check_interrupted_fit_tidies_up(subject: Subject) -> None:
    """An interrupted ``fit`` leaves settings and random generators unchanged."""
    untidy = [kind for kind in KINDS if _changes_of_fit(subject, kind)]
    for part, outcomes in _interrupted_fits(subject):
        left = set.intersection(*(set(outcome.changed) for outcome in outcomes))
        # The checks above cover changes by fits without an interrupt.
        left -= {name for kind in untidy for name in KINDS[kind][0]()}
        assert not left, f"interrupted after {part:.0%}, fit changes {', '.join(sorted(left))}"


@dataclass
class _Outcome:
    """Outcome of an interrupted fit."""

    calls: int = 0
    raised: bool = False
    passed: bool = False
    changed: list[str] = field(default_factory=list)


def _changes_of_fit(subject: Subject, kind: str) -> list[str]:
    with quiet(), kept(kind) as changed:
        subject.fresh().fit(subject.X, subject.y)
        return changed()


def _interrupted_fits(subject: Subject) -> Iterator[tuple[float, list[_Outcome]]]:
    """Yield the outcomes of fits that are interrupted at several points.

    Each point is tried at a few neighbouring function calls.
    """
    subject.fit()  # so that imports and compilations aren't counted
    total = _fit_until(subject, None).calls
    subject.need(total >= len(INTERRUPTED_AT), "its fit makes no calls of Python functions")
    for part in INTERRUPTED_AT:
        outcomes = []
        for shift in range(TRIES):
            outcome = _fit_until(subject, max(round(part * total), 1) + 7 * shift)
            if outcome.raised:
                outcomes.append(outcome)
            if outcome.passed and not outcome.changed:
                break
        if outcomes:
            yield part, outcomes


def _fit_until(subject: Subject, at: int | None) -> _Outcome:
    """Fit a clone, and raise KeyboardInterrupt at a given call of a Python function."""
    outcome = _Outcome()
    dropped = False
    estimator = subject.fresh()

    def count(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            outcome.calls += 1
            due = at is not None and outcome.calls >= at and not outcome.raised
            if due and not _is_deaf(frame):
                outcome.raised = True
                raise KeyboardInterrupt

    def note(unraisable: Any) -> None:
        nonlocal dropped
        dropped = dropped or unraisable.exc_type is KeyboardInterrupt

    hook, profile = sys.unraisablehook, sys.getprofile()
    with quiet(), contextlib.ExitStack() as stack:
        looks = [stack.enter_context(kept(kind)) for kind in KINDS]
        try:
            sys.unraisablehook = note
            sys.setprofile(count)
            estimator.fit(subject.X, subject.y)
        except KeyboardInterrupt:
            if not outcome.raised:
                raise
            outcome.passed = True
        finally:
            sys.setprofile(profile)
            sys.unraisablehook = hook
        outcome.changed = [name for look in looks for name in look()]
    outcome.raised = outcome.raised and not dropped
    return outcome


def _is_deaf(frame: FrameType | None) -> bool:
    """Return whether an exception in this frame would be lost or would prevent cleanup."""
    while frame is not None:
        code = frame.f_code
        if code.co_name in ("__del__", "__enter__", "__exit__") or "weakref" in code.co_filename:
            return True
        frame = frame.f_back
    return False

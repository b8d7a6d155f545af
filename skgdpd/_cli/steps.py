"""The time from point to point: kept with a model, and compared with that of a file."""

from __future__ import annotations

from typing import Any

from .._series.sampling import EXACT, Step, plain_step

UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def keep_step(model: Any, step: Step | None) -> None:
    """Keep the step of the series that a model was fitted to, if it is known."""
    if step is not None and step.size is not None:
        model.sampling_step_ = tuple(step)


def step_of(model: Any) -> Step | None:
    """Return the step of the series that a model was fitted to; None if it is not known."""
    kept = vars(model).get("sampling_step_")
    return None if kept is None else Step(*kept)


def check_step(path: str, found: Step | None, expected: Step | None, whose: str) -> None:
    """Raise an error for a file of another step.

    Parameters
    ----------
    path : str
        Path of the file.
    found : Step or None
        Step of the file; None if it has no times.
    expected : Step or None
        Step that it must have; None if any is allowed.
    whose : str
        Description of the series that have the expected step, for errors.

    Raises
    ------
    ValueError
        If the steps differ by more than a hundredth, or if one has dates and the other numbers.
    """
    if found is None or expected is None:
        return
    if found.dated != expected.dated:
        raise ValueError(
            f"the times of {path} are {kind_of(found)}, and those of {whose} are "
            f"{kind_of(expected)}; they must be alike"
        )
    if found.size is None or expected.size is None:
        return
    if abs(found.size - expected.size) <= EXACT * expected.size:
        return
    remedy = "Resample the series of the file"
    if found.size > expected.size:
        remedy = (
            f"If points are missing in between, say so by --step "
            f"{plain_step(expected.size):.15g}. Else resample the series of the file"
        )
    raise ValueError(
        f"the time from point to point is {in_words(found)} in {path}, and {in_words(expected)} "
        f"in {whose}; it must be the same. {remedy}"
    )


def kind_of(step: Step) -> str:
    """Return what times are, in the plural."""
    return "dates" if step.dated else "numbers"


def in_words(step: Step) -> str:
    """Return a known step as one says it: a number, with its unit if times are dates."""
    assert step.size is not None
    size = plain_step(step.size)
    if not step.dated:
        return f"{size:.15g}"
    name, seconds = next(
        (unit for unit in UNITS[:-1] if size >= unit[1] and size % unit[1] == 0), UNITS[-1]
    )
    count = size / seconds
    return f"{count:.15g} {name}{'' if count == 1 else 's'}"

"""Types of command-line options, with errors that name the allowed values."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path


def count(text: str) -> int:
    """Return a positive integer."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def whole(text: str) -> int:
    """Return an integer that is not negative."""
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is not a whole number, 0 or above")
    return int(text)


def seed(text: str) -> int:
    """Return a seed of random numbers."""
    if not text.isdecimal() or int(text) >= 2**32:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 0 to {2**32 - 1}")
    return int(text)


def jobs(text: str) -> int:
    """Return a number of processes as in joblib, where -1 means all processors."""
    number = text.removeprefix("-")
    if not number.isdecimal() or int(number) < 1:
        raise ArgumentTypeError(
            f"{text!r} is neither a whole number above 0 nor one below, of which -1 stands for "
            f"all processors"
        )
    return int(text)


def positive(text: str) -> float:
    """Return a finite number above 0."""
    value = _number(text)
    if not 0 < value < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def fraction(text: str) -> float:
    """Return a fraction of a series."""
    value = _number(text)
    if not 0 < value <= 1:
        raise ArgumentTypeError(f"{text!r} is not a fraction of a series, above 0 and at most 1")
    return value


def part(text: str) -> float:
    """Return a number of time points, or a fraction of a series."""
    if text.isdecimal() and int(text) > 1:
        return int(text)
    value = _number(text)
    if not 0 < value <= 1:
        raise ArgumentTypeError(
            f"{text!r} is neither a fraction of a series, above 0 and at most 1, nor a number of "
            f"time points, a whole number from 2 on"
        )
    return value


def class_and_number(text: str) -> tuple[str, float]:
    """Return the name of a class and a number, written as ``CLASS=NUMBER``."""
    name, _, number = text.rpartition("=")
    value = _number(number)
    if not name or not abs(value) < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not CLASS=NUMBER, as in yes=0.2")
    return name, value


def class_and_cost(text: str) -> tuple[str, float]:
    """Return the name of a class and a cost, 0 or above."""
    name, value = class_and_number(text)
    if value < 0:
        raise ArgumentTypeError(f"{text!r} has a cost below 0")
    return name, value


def class_weight(text: str) -> str | tuple[str, float]:
    """Return ``"balanced"``, or the name of a class and its weight."""
    if text == "balanced":
        return text
    name, value = class_and_number(text)
    if value < 0:
        raise ArgumentTypeError(f"{text!r} has a weight below 0")
    return name, value


def folder(text: str) -> str:
    """Return the path of a folder to read from."""
    if not Path(text).is_dir():
        kind = "a file" if Path(text).exists() else "not there"
        raise ArgumentTypeError(f"{text!r} is {kind}; it must be a folder")
    return text


def new_folder(text: str) -> str:
    """Return the path of a folder to write to, which need not exist."""
    path = Path(text)
    there = next(each for each in (path, *path.parents) if each.exists())
    if not there.is_dir():
        raise ArgumentTypeError(f"{str(there)!r} is a file; {text!r} must be a folder, or new")
    return text


def new_file(text: str) -> str:
    """Return the path of a file to write, in an existing folder."""
    if not text:
        raise ArgumentTypeError(f"{text!r} is not a file name")
    path = Path(text)
    if path.is_dir():
        raise ArgumentTypeError(f"{text!r} is a folder; it must be a file")
    if not path.parent.is_dir():
        raise ArgumentTypeError(f"there is no folder {str(path.parent)!r}; make it first")
    return text


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")

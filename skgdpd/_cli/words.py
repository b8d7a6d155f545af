"""Errors of the package in the words of the command line: options instead of parameters."""

from __future__ import annotations

import re
import shlex

OPTIONS = {
    "class_weight": "--class-weight",
    "decimal": "--decimal",
    "delay_cost": "--delay-cost",
    "device": "--device",
    "earliness": "--earliness",
    "id": "--id",
    "label": "--label",
    "max_epochs": "--epochs",
    "missing_values": "--missing",
    "misclassification_cost": "--error-cost",
    "random_state": "--seed",
    "separator": "--separator",
    "series__missing_values": "--missing",
    "step": "--step",
    "student": "--student",
    "teacher": "--teacher",
    "time": "--time",
    "values": "--values",
}
"""Options of the command line, by the parameters that they set."""

QUOTE = "'"
NAMES = "|".join(sorted(OPTIONS, key=len, reverse=True))
GIVEN = re.compile(rf"(?<![\w(/-])({NAMES})=('[^']*'|[^\s,;:)]+)")
REFUSED = re.compile(rf"The '({NAMES})' parameter of \w+")


def in_options(message: str) -> str:
    """Return an error of the package with options in place of the parameters that they set.

    Parameters
    ----------
    message : str
        The error, in which parameters are written as ``name=value``, or as scikit-learn does.

    Returns
    -------
    str
    """
    message = REFUSED.sub(lambda found: f"The option {OPTIONS[found[1]]}", message)
    return GIVEN.sub(_typed, message)


def _typed(found: re.Match[str]) -> str:
    """Return a parameter and its value as they are typed."""
    return f"{OPTIONS[found[1]]} {shlex.quote(found[2].strip(QUOTE))}"

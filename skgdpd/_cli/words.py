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

NAMES = "|".join(sorted(OPTIONS, key=len, reverse=True))
QUOTED = r"'[^'\\]*'|\"[^\"\\]*\""
PLAIN = r"[-+]?\d[\d.]*(?:e[-+]?\d+)?|[-+]?\w+"
GIVEN = re.compile(
    # Other quoted text is found first, so that what a user wrote stays as it is.
    rf"(?<!\S)(?P<name>{NAMES})=(?P<value>{QUOTED}|{PLAIN})(?=[,;:.)]*(?:\s|$))"
    rf"|(?<!\w)(?:{QUOTED})(?!\w)"
)
"""A parameter with a simple value: a number, a word, or a quoted string; or a quoted text."""
REFUSED = re.compile(rf"The '({NAMES})' parameter of \w+")


def in_options(message: str) -> str:
    """Return an error of the package with options in place of the parameters that they set.

    A parameter is replaced if its value is a number, a word or a quoted string. Lists, dicts and
    paths stay as they are, and so does all that stands in quotes.

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
    """Return a parameter and its value as they are typed; other text as it is."""
    if found["name"] is None:
        return found[0]
    value = found["value"]
    if value[0] in "'\"":
        value = value[1:-1]
    return f"{OPTIONS[found['name']]} {shlex.quote(value)}"

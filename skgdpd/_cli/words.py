"""Translation of the package's errors for the command line: options instead of parameters."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

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
"""Option of the command line for each parameter."""

NAMES = "|".join(sorted(OPTIONS, key=len, reverse=True))
QUOTED = r"'[^'\\]*'|\"[^\"\\]*\""
PLAIN = r"[-+]?\d[\d.]*(?:e[-+]?\d+)?|[-+]?\w+"
GIVEN = re.compile(
    # Other quoted text is matched too, so that text of the user does not change.
    rf"(?<!\S)(?P<name>{NAMES})=(?P<value>{QUOTED}|{PLAIN})(?=[,;:.)]*(?:\s|$))"
    rf"|(?<!\S)(?P<several>earliness)=\[(?P<moments>(?:{PLAIN})(?:, (?:{PLAIN}))*)\]"
    rf"|(?<!\w)(?:{QUOTED})(?!\w)"
)
"""Pattern of a parameter whose value is a number, a word, a quoted string or a list of moments, or
of quoted text."""
REFUSED = re.compile(rf"The '({NAMES})' parameter of \w+")
"""Parameter in the form of scikit-learn's checks."""
FIRST = re.compile(rf"^({NAMES})(?=: | names | gives | leaves | is an )")
"""Parameter as the subject of the message."""


def in_options(message: str) -> str:
    """Return an error message of the package with options in place of parameters.

    A parameter is replaced if its value is a number, a word, a quoted string or a list of
    moments, or if it is the subject of the message. Other lists, dicts, paths and quoted text do
    not change.

    Parameters
    ----------
    message : str
        Error message. Parameters are written as ``name=value``, as the subject, or in the form of
        scikit-learn's checks.

    Returns
    -------
    str
    """
    message = REFUSED.sub(lambda found: f"The option {OPTIONS[found[1]]}", message)
    message = FIRST.sub(lambda found: OPTIONS[found[1]], message)
    return GIVEN.sub(_typed, message)


def _typed(found: re.Match[str]) -> str:
    """Return a parameter and its value as typed on the command line; other text unchanged."""
    if found["several"] is not None:
        return f"{OPTIONS[found['several']]} {found['moments'].replace(',', '')}"
    if found["name"] is None:
        return found[0]
    value = found["value"]
    if value[0] in "'\"":
        value = value[1:-1]
    return f"{OPTIONS[found['name']]} {shlex.quote(value)}"


def meant(unknown: Sequence[str], options: Iterable[str]) -> str:
    """Return a question for the option that is most like an unknown one; empty if none is."""
    for word in unknown:
        if word.startswith("--"):
            name = word.partition("=")[0].replace("_", "-")
            if near := get_close_matches(name, options, 1, 0.75):
                return f"; did you mean {near[0]}?"
    return ""

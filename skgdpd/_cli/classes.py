"""Classes by the text of their labels, as command lines and tables name them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def by_text(classes: Iterable[Any]) -> dict[str, Any]:
    """Return classes by the text of their labels.

    Parameters
    ----------
    classes : iterable
        Labels, numbers or strings.

    Returns
    -------
    dict of str to object

    Raises
    ------
    ValueError
        If two labels have the same text.
    """
    found: dict[str, Any] = {}
    for label in classes:
        if str(label) in found:
            raise ValueError(
                f"the classes {found[str(label)]!r} and {label!r} can't be told apart by their "
                f"text; rename one of them"
            )
        found[str(label)] = label
    return found


def by_class(
    option: str, given: Sequence[tuple[str, float]], labels: Sequence[Any], whose: str
) -> dict[Any, float]:
    """Return the numbers of an option by label.

    Parameters
    ----------
    option : str
        Name of the option in errors.
    given : sequence of (str, float)
        Names of classes, and their numbers.
    labels : sequence
        All labels. A class is named by the text of its label.
    whose : str
        What has these classes, in errors.

    Returns
    -------
    dict
        Number of each class that is named.

    Raises
    ------
    ValueError
        If a name is no class, or comes twice.
    """
    known = by_text(labels)
    found: dict[Any, float] = {}
    for name, number in given:
        if name not in known:
            raise ValueError(
                f"{option} {name}={number:g} names no class of {whose}; the classes are "
                f"{list(known)}"
            )
        if known[name] in found:
            raise ValueError(f"{option} names the class {name!r} twice")
        found[known[name]] = number
    return found

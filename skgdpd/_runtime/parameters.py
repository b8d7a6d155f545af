"""Numeric parameters of estimators: plain Python numbers, which are checked before a fit."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

TRUE_OR_FALSE = {"boolean", "verbose"}
"""Parameter constraints of scikit-learn that allow True and False."""

MAX_INTEGER = 2**63 - 1
"""Largest integer that numpy and torch support."""


class PlainNumbers:
    """Mixin of estimators whose numeric parameters are plain Python numbers.

    A numpy number, for instance from ``np.arange``, is converted to the Python number of the same
    value when it is set. Fits, files and printed forms are therefore the same for both.
    """

    _parameter_constraints: dict[str, Any]

    def __setattr__(self, name: str, value: Any) -> None:
        is_parameter = not (name.startswith("_") or name.endswith("_"))
        super().__setattr__(name, plain(value) if is_parameter else value)

    def _validate_params(self) -> None:
        super()._validate_params()  # type: ignore[misc]
        for name, allowed in self._parameter_constraints.items():
            if not isinstance(allowed, str):
                _check_number(name, getattr(self, name), allowed)


def plain(value: Any) -> Any:
    """Convert a number or a string to a built-in type of Python.

    Parameters
    ----------
    value : object
        Any value.

    Returns
    -------
    object
        An int, float, bool or str of the same value, for numbers and strings of other classes
        such as ``np.int64``. Other values are returned unchanged.

    Examples
    --------
    >>> plain(np.int64(3)), plain(np.float32(0.5)), plain(np.True_)
    (3, 0.5, True)
    """
    if type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.str_):
        return str(value)
    if isinstance(value, Real):
        return int(value) if isinstance(value, Integral) else float(value)
    return value


def _check_number(name: str, value: Any, allowed: list[Any]) -> None:
    """Raise an error for True or False as a number, and for integers that are too large."""
    if isinstance(value, bool):
        if not TRUE_OR_FALSE.intersection(c for c in allowed if isinstance(c, str)):
            raise ValueError(f"{name}={value!r} must not be True or False; give a number")
    elif isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise ValueError(
            f"{name} is an integer of {value.bit_length()} bits; at most 63 are allowed, and a "
            f"float where {name} may be one"
        )

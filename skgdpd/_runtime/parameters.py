"""Numbers among the parameters of estimators: plain ones, checked before a fit."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

TRUE_OR_FALSE = {"boolean", "verbose"}
"""Constraints of scikit-learn's that allow True and False."""

MAX_INTEGER = 2**63 - 1
"""Largest integer that numpy and torch calculate with."""


class PlainNumbers:
    """Mixin of the estimators whose parameters are Python's own numbers.

    A number of numpy's, as from ``np.arange``, becomes the number of Python with the same value
    when it is set. A fit, a file and a printed form thus are those of that number, to the bit.
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
    """Return a number or a string as an object of Python's own class.

    Parameters
    ----------
    value : object
        Any value.

    Returns
    -------
    object
        An int, float, bool or str of the same value for numbers and strings of other classes,
        such as ``np.int64``; anything else as it is.

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
    """Refuse True and False as numbers, and integers that are too large to calculate with."""
    if isinstance(value, bool):
        if not TRUE_OR_FALSE.intersection(c for c in allowed if isinstance(c, str)):
            raise ValueError(f"{name}={value!r} must not be True or False; give a number")
    elif isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise ValueError(
            f"{name} is an integer of {value.bit_length()} bits; at most 63 are allowed, and a "
            f"float where {name} may be one"
        )

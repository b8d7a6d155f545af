"""Errors that name the argument that caused them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def about(name: str) -> Iterator[None]:
    """Add the name of an argument to the errors of a block, if they don't contain it.

    Parameters
    ----------
    name : str
        Name of the argument.

    Raises
    ------
    TypeError or ValueError
        The error of the block, with the name of the argument before its message.

    Examples
    --------
    >>> with about("X"):
    ...     float("abc")
    Traceback (most recent call last):
    ValueError: X: could not convert string to float: 'abc'
    """
    try:
        yield
    except (TypeError, ValueError, OverflowError, NotImplementedError) as error:
        if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", str(error)):
            raise
        # Subclasses, such as UnicodeDecodeError, are made of more than a text.
        kind = ValueError if isinstance(error, ValueError | OverflowError) else TypeError
        raise kind(f"{name}: {error}") from error

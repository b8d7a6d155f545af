"""Calls whose results are cached, as long as the cache is writable."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from joblib import Memory
from sklearn.utils.validation import check_memory

from .trust import check_private
from .warn import warn_user

Result = TypeVar("Result")

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""Error numbers of a full disk or an exceeded quota."""


def private_cache(memory: Any) -> Memory:
    """Return the cache of a parameter ``memory``, checked to be private.

    Parameters
    ----------
    memory : None, str, path or joblib.Memory
        The cache or its folder.

    Returns
    -------
    joblib.Memory
        The cache. If the disk has no space for its folder, it stores nothing, and a warning is
        issued.

    Raises
    ------
    ValueError
        If the folder can't be used, or if others can write to it.
    """
    try:
        cache = check_memory(os.fspath(memory) if isinstance(memory, os.PathLike) else memory)
    except OSError as error:
        if error.errno in NO_ROOM:
            _warn(memory, error)
            return Memory(None)
        raise ValueError(
            f"memory={memory!r} can't be used as a folder ({error}); give one that exists or can "
            f"be made, or None"
        ) from error
    location = getattr(cache, "location", None)
    if location is not None:
        check_private(location, "memory")
    return cache


def call_cached(
    memory: Memory,
    function: Callable[..., Result],
    *arguments: Any,
    ignore: Sequence[str] = (),
    **options: Any,
) -> Result:
    """Return the result of a function, from a cache if possible.

    Parameters
    ----------
    memory : joblib.Memory
        The cache. If it can't be written, a warning is issued and nothing is stored.
    function : callable
        Function that is defined at the top level of a module.
    *arguments : object
        Arguments of the function.
    ignore : sequence of str, default=()
        Names of arguments that don't change the result.
    **options : object
        Options of ``memory.cache``.

    Returns
    -------
    object
        The result.
    """
    location = getattr(memory, "location", None)
    try:
        return memory.cache(function, ignore=list(ignore), **options)(*arguments)
    except OSError as error:
        if location is None:
            raise
        # joblib writes the function's source before the call, and warns of a result that it could
        # not write, so nothing was computed yet.
        _warn(location, error)
        return function(*arguments)


def _warn(memory: object, error: OSError) -> None:
    warn_user(f"memory={str(memory)!r} can't be written ({error}); the fit goes on without it")

"""Errors of torch when memory is exhausted."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

NO_MEMORY = "DefaultCPUAllocator"
"""Name of torch's CPU allocator, which occurs in errors about exhausted memory."""
NO_PRIMITIVE = "could not create a primitive"
"""Error message of oneDNN, which computes torch's convolutions, if memory is exhausted."""
Function = TypeVar("Function", bound=Callable[..., Any])


def with_memory_errors(function: Function) -> Function:
    """Make a function raise MemoryError if torch raises RuntimeError due to exhausted memory.

    Parameters
    ----------
    function : callable
        Function that computes with torch.

    Returns
    -------
    callable
    """

    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except RuntimeError as error:
            told = str(error)
            if NO_MEMORY in told:
                needed = told.partition("tried to allocate ")[2].partition(" bytes")[0]
                what = f"torch could not have {needed} bytes more"
            elif told.strip() == NO_PRIMITIVE:
                what = "a convolution could not have what it needs"
            else:
                raise
            raise MemoryError(
                f"there is not enough memory: {what}. Take a smaller batch_size "
                f"(series__predict_batch_size in predictions), a smaller network or fewer series"
            ) from error

    return cast(Function, wrapped)

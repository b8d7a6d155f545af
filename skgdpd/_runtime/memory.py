"""Memory that torch could not have."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

NO_MEMORY = "DefaultCPUAllocator"
"""What torch calls its source of memory in the error of a CPU that has none left."""
Function = TypeVar("Function", bound=Callable[..., Any])


def with_memory_errors(function: Function) -> Function:
    """Make a function raise MemoryError where torch raises RuntimeError for want of memory.

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
            if NO_MEMORY not in str(error):
                raise
            needed = str(error).partition("tried to allocate ")[2].partition(" bytes")[0]
            raise MemoryError(
                f"there is not enough memory: torch could not have {needed} bytes more. Take a "
                f"smaller batch_size (series__predict_batch_size in predictions), a smaller "
                f"network or fewer series"
            ) from error

    return cast(Function, wrapped)

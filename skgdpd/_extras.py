"""Packages that are only needed for some things."""

from __future__ import annotations

import importlib
from types import ModuleType


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import a package of an extra, or say how to get it.

    Parameters
    ----------
    module : str
        What to import.
    extra : str
        The extra of this package that brings it.
    purpose : str
        What it is needed for, to go after "is needed".

    Raises
    ------
    ImportError
        If it isn't installed; the message names the command.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise ImportError(
            f"{package} is needed {purpose}; install it with: pip install 'skgdpd[{extra}]'"
        ) from error

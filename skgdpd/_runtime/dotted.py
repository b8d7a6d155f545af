"""Import of objects by their dotted names, as command lines take them."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

EXTRAS = ("aeon", "sktime")
"""Packages with an extra of this package of the same name."""


def load_dotted(name: str) -> Any:
    """Return the object with a dotted name.

    Modules in the current folder are found however the program was started: Python itself looks
    there for ``python -m``, but not for an installed command.

    Parameters
    ----------
    name : str
        A module and the name of one of its objects, such as ``"mine.Method"``.

    Returns
    -------
    object

    Raises
    ------
    ImportError
        If the module can't be imported. If an extra installs its package, the error has the
        command for that.
    AttributeError
        If the module has no such object.
    """
    module, _, attribute = name.rpartition(".")
    folder = os.getcwd()
    sys.path.append(folder)
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        raise ImportError(
            f"{error.name} is not installed; install it with: pip install 'skgdpd[{error.name}]'"
        ) from error
    finally:
        if sys.path[-1:] == [folder]:
            sys.path.pop()

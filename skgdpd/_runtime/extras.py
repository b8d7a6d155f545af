"""Packages that only some functions need."""

from __future__ import annotations

import importlib
from types import ModuleType


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import a package of an extra, or raise an error with the command that installs it.

    Parameters
    ----------
    module : str
        Name of the module.
    extra : str
        The extra of this package that installs it.
    purpose : str
        End of an error message that begins with the name of the package and "is needed".

    Returns
    -------
    module

    Raises
    ------
    ImportError
        If the package isn't installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise ImportError(
            f"{package} is needed {purpose}; install it with: pip install 'skgdpd[{extra}]'"
        ) from error

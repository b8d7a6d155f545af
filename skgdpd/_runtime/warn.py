"""Warnings that point at the user's line."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from pathlib import Path

import joblib
import sklearn

NOT_THE_USERS = tuple(
    str(Path(place).parent) + os.sep
    for place in (Path(__file__).parent, joblib.__file__, sklearn.__file__)
)
"""Folders whose code stands between the user's line and a warning."""


def warn_user(message: str, category: type[UserWarning] = UserWarning) -> None:
    """Warn, with the line from which this package was called.

    Lines of scikit-learn's searches and pipelines are passed over.

    Parameters
    ----------
    message : str
        Text of the warning.
    category : type, default=UserWarning
        Class of the warning.
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and _is_between(frame.f_code.co_filename):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_between(filename: str) -> bool:
    return filename.startswith(NOT_THE_USERS) or filename == contextlib.__file__

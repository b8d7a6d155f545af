"""Warnings that point to the line of the user's code."""

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
"""Folders of libraries whose lines are skipped when a warning looks for the user's line."""


def warn_user(message: str, category: type[UserWarning] = UserWarning) -> None:
    """Issue a warning that points to the user's line from which this package was called.

    Lines of scikit-learn's searches and pipelines are skipped.

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

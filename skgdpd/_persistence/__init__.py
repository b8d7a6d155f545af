"""Model files, which can't run code.

``saving`` has the public functions, ``registry`` the names of kinds and their declared state, and
``kinds`` the table of the kinds of which estimators are made. ``codec`` turns values into JSON and
tensors, and ``archive`` writes these into a file.
"""

from . import kinds  # noqa: F401  registers the kinds
from .archive import ModelFileError, check_target
from .claims import (
    check_classifier,
    check_outline,
    check_shape,
    check_size,
    check_types,
    check_weights,
)
from .registry import kind_names, register, register_estimator
from .saving import Saveable, load, save

__all__ = [
    "ModelFileError",
    "Saveable",
    "check_classifier",
    "check_outline",
    "check_shape",
    "check_size",
    "check_target",
    "check_types",
    "check_weights",
    "kind_names",
    "load",
    "register",
    "register_estimator",
    "save",
]

"""Model files, which can't run code.

``saving`` has the public functions. ``registry`` has the names of kinds and their declared state.
``kinds`` registers the kinds of objects that estimators consist of. ``codec`` converts values to
JSON and tensors, and ``archive`` writes them to a file.
"""

from . import kinds  # noqa: F401  registers the kinds
from .archive import ModelFileError, check_target
from .claims import (
    check_classifier,
    check_digests,
    check_outline,
    check_sampling_step,
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
    "check_digests",
    "check_outline",
    "check_sampling_step",
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

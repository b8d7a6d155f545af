"""Digests that identify a computation by everything that affects it."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from joblib.hashing import NumpyHasher

from .._version import __version__

VERSIONED = ("builtins", "numpy", "skgdpd", "torch")
"""Packages whose code does not count, because their versions count or their values are hashed."""


def fingerprint(*parts: Any) -> str:
    """Return a digest of values such as arrays, tensors, torch modules and estimators.

    The same values give the same digest in every process. Different values give different
    digests. So do different versions of this package or of torch, because their results may
    differ in the last bits. Classes and functions of other packages, and of the user, count with
    the code of their module.

    Parameters
    ----------
    *parts : object
        Values that can be pickled.

    Returns
    -------
    str

    Raises
    ------
    pickle.PicklingError, AttributeError or TypeError
        If a value can't be pickled, for instance a lambda.

    Examples
    --------
    >>> fingerprint(torch.zeros(2)) == fingerprint(torch.zeros(2))
    True
    >>> fingerprint(torch.zeros(2)) == fingerprint(torch.ones(2))
    False
    """
    return str(_TensorHasher().hash((__version__, torch.__version__, *parts)))


class _TensorHasher(NumpyHasher):
    """Hasher of tensors by value, and of classes and functions by their code.

    Pickles of tensors contain addresses. Pickles of classes and functions contain their names
    only.
    """

    def save(self, obj: Any) -> None:
        if isinstance(obj, (type, FunctionType)):
            super().save(_code(obj))
        if isinstance(obj, torch.Tensor):
            values = obj.detach().cpu().contiguous().flatten().view(torch.uint8)
            kind = (type(obj).__name__, str(obj.dtype), str(obj.device), obj.requires_grad)
            obj = (kind, tuple(obj.shape), values.numpy())
        super().save(obj)


def _code(obj: type | FunctionType) -> tuple[Any, ...]:
    """Return the version of the package of a class or function, and the code of its module."""
    package = (obj.__module__ or "").partition(".")[0]
    if package in VERSIONED:
        return ()
    version = getattr(sys.modules.get(package), "__version__", None)
    file = getattr(sys.modules.get(obj.__module__), "__file__", None)
    try:
        return str(version), Path(file).read_bytes() if file else _own_source(obj)
    except OSError:  # a module in an archive, or code without a source
        return (str(version),)


def _own_source(obj: type | FunctionType) -> str:
    """Return the source of a function or of a class's methods, as in a notebook's cell."""
    functions = vars(obj).values() if isinstance(obj, type) else [obj]
    return "".join(inspect.getsource(f) for f in functions if isinstance(f, FunctionType))

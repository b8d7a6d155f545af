"""Digests that identify a computation by everything that affects it."""

from __future__ import annotations

from typing import Any

import torch
from joblib.hashing import NumpyHasher

from .._version import __version__


def fingerprint(*parts: Any) -> str:
    """Return a digest of values such as arrays, tensors, torch modules and estimators.

    The same values give the same digest in every process. Different values give different
    digests. So do different versions of this package or of torch, because their results may
    differ in the last bits.

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
    """Hasher that hashes tensors by value, because their pickles contain addresses."""

    def save(self, obj: Any) -> None:
        if isinstance(obj, torch.Tensor):
            values = obj.detach().cpu().contiguous().flatten().view(torch.uint8)
            kind = (type(obj).__name__, str(obj.dtype), str(obj.device), obj.requires_grad)
            obj = (kind, tuple(obj.shape), values.numpy())
        super().save(obj)

"""Digests by which a computation is recognised: of everything that it depends on."""

from __future__ import annotations

from typing import Any

import torch
from joblib.hashing import NumpyHasher

from .._version import __version__


def fingerprint(*parts: Any) -> str:
    """Return a digest of values, which may hold arrays, tensors, torch modules and estimators.

    The same values give the same digest in every process. Other values give another digest, and
    so do other versions of this package or of torch, whose results may differ in the last bits.

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
        If a value can't be pickled, a lambda for instance.

    Examples
    --------
    >>> fingerprint(torch.zeros(2)) == fingerprint(torch.zeros(2))
    True
    >>> fingerprint(torch.zeros(2)) == fingerprint(torch.ones(2))
    False
    """
    return str(_TensorHasher().hash((__version__, torch.__version__, *parts)))


class _TensorHasher(NumpyHasher):
    """Hasher that takes tensors by value, since their pickles hold addresses."""

    def save(self, obj: Any) -> None:
        if isinstance(obj, torch.Tensor):
            values = obj.detach().cpu().contiguous().flatten().view(torch.uint8)
            kind = (type(obj).__name__, str(obj.dtype), str(obj.device), obj.requires_grad)
            obj = (kind, tuple(obj.shape), values.numpy())
        super().save(obj)

"""Seeds by name, so that a further draw in one place does not change draws elsewhere."""

from __future__ import annotations

import zlib

import numpy as np
from sklearn.utils import check_random_state

RandomState = int | np.random.RandomState | None


class Seeds:
    """Independent seeds drawn from one ``random_state``.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        The source of all seeds. None draws from numpy's global state, as in scikit-learn.

    Examples
    --------
    >>> Seeds(0)("split") == Seeds(0)("split")
    True
    >>> Seeds(0)("split") == Seeds(0)("teacher")
    False
    """

    def __init__(self, random_state: RandomState) -> None:
        if isinstance(random_state, (int, np.integer)):
            self._root = int(random_state)
        else:
            self._root = int(check_random_state(random_state).randint(2**31 - 1))

    def __call__(self, name: str) -> int:
        """Return the seed for a name, in [0, 2**31)."""
        key = np.random.SeedSequence([self._root, zlib.crc32(name.encode())])
        return int(key.generate_state(1)[0] >> 1)

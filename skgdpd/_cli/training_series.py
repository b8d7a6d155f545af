"""Digests of the series of a fit, by which a later command knows them again."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .lengths import lengths_of

SIZE = 8
"""Number of bytes of a digest. Two of a million different series agree with probability 3e-8."""


def digests_of(X: NDArray[Any]) -> NDArray[np.int64]:
    """Return a digest of each series, which does not depend on padding at its end.

    Parameters
    ----------
    X : ndarray of shape (n, n_channels, n_timepoints)
        Series. Missing values at the end of a series are padding.

    Returns
    -------
    ndarray of shape (n,)
    """
    values = np.asarray(X, dtype=np.float64)
    found = [
        blake2b(np.ascontiguousarray(own[:, :length]).tobytes(), digest_size=SIZE).digest()
        for own, length in zip(values, lengths_of(values).tolist(), strict=True)
    ]
    return np.frombuffer(b"".join(found), dtype="<i8").astype(np.int64)


def keep_digests(model: Any, files: list[NDArray[Any]]) -> None:
    """Keep the digests of the series that a model was fitted to, labelled or not."""
    model.series_digests_ = np.unique(np.concatenate([digests_of(X) for X in files]))


def known_words(X: NDArray[Any], model: Any) -> list[str]:
    """Return a sentence on the scored series that a model was fitted to.

    Parameters
    ----------
    X : ndarray of shape (n, n_channels, n_timepoints)
        Series that are scored.
    model : BasePrefixClassifier or EarlyClassifier
        Fitted classifier.

    Returns
    -------
    list of str
        Empty if there are none, or if the model has no digests.
    """
    kept = vars(model).get("series_digests_")
    n = 0 if kept is None else int(np.isin(digests_of(X), kept).sum())
    if not n:
        return []
    were = "was" if n == 1 else "were"
    return [
        f"{n} of these {len(X)} series {were} in the fit of the model, so the scores are too "
        "good. Score series that were not."
    ]

"""Record of a training: the loss terms of each epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(repr=False, eq=False)
class History(Mapping[str, NDArray[np.float64]]):
    """Mapping from the names of loss terms to their values, one number for each epoch.

    For example, ``history["ce"]`` is an array of shape (n_epochs,). The key ``loss`` is the
    training loss, which is the weighted sum of the other training terms. Terms whose names begin
    with ``valid_`` are computed on the validation part. A term that was not used in an epoch has
    the value 0 for this epoch.

    Attributes
    ----------
    terms : dict of str to ndarray of shape (n_epochs,)
        The values by name.
    warmup_epochs : int
        Number of epochs before distillation started; 0 without a warm-up.
    best_epoch : int or None
        The epoch whose weights were kept, counted from 0; None if no epoch was selected, so that
        the last weights were kept.
    n_labeled, n_unlabeled, n_validation : int
        Numbers of labelled series, of unlabelled series, and of series held out for validation.
    """

    terms: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    warmup_epochs: int = 0
    best_epoch: int | None = None
    n_labeled: int = 0
    n_unlabeled: int = 0
    n_validation: int = 0

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return self.terms[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.terms)

    # Mapping compares values, and arrays have no single truth.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __len__(self) -> int:
        return len(self.terms)

    @property
    def n_epochs(self) -> int:
        """Number of epochs that were run."""
        return len(next(iter(self.terms.values()), ()))

    def __repr__(self) -> str:
        best = "last epoch kept" if self.best_epoch is None else f"best epoch {self.best_epoch}"
        return (
            f"History({self.n_epochs} epochs, {best}; {self.n_labeled} labelled, "
            f"{self.n_unlabeled} unlabelled, {self.n_validation} validation series; "
            f"terms: {', '.join(self.terms)})"
        )

"""Division of a data set into series for training and series for scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._series.split import stratified_split
from ..datasets import TrainTest, load_bundled, load_file
from .cells import Cell

Array = NDArray[Any]


@dataclass(frozen=True)
class Scenario:
    """Whole series of one cell.

    Attributes
    ----------
    X, y : ndarray
        The labelled training series, and their labels.
    X_unlabeled : ndarray or None
        The unlabelled training series.
    X_test, y_test : ndarray
        The series that are scored, and their labels.
    """

    X: Array
    y: Array
    X_unlabeled: Array | None
    X_test: Array
    y_test: Array


def load_data(name: str, folder: str | None) -> TrainTest:
    """Load a data set by name.

    Parameters
    ----------
    name : str
        The stem of a ``.npz``, ``.ts`` or ``.tsv`` file in the folder, without a final
        ``_TRAIN``; or ``sktime:NAME`` for a data set that comes with sktime.
    folder : str or None
        The folder of the files; None means the current folder.

    Returns
    -------
    TrainTest

    Raises
    ------
    FileNotFoundError
        If the file doesn't exist.
    """
    if name.startswith("sktime:"):
        return load_bundled(name.removeprefix("sktime:"))
    base = Path(folder or ".")
    for stem in (name, f"{name}_TRAIN", f"{name}/{name}_TRAIN"):
        for suffix in (".npz", ".ts", ".tsv"):
            path = base / f"{stem}{suffix}"
            if path.is_file():
                return load_file(path)
    raise FileNotFoundError(
        f"no data set {name!r}: there is no {name}.npz, {name}_TRAIN.ts or {name}_TRAIN.tsv in "
        f"{base}; sets that come with sktime are called sktime:NAME"
    )


def make_scenario(parts: TrainTest, cell: Cell) -> Scenario:
    """Divide a data set according to the ``setting`` of a cell."""
    X, y, X_test, y_test = parts
    if cell.setting == "labels":
        return Scenario(X, y, None, X_test, y_test)
    kind = cell.setting.split(":")[0]
    if kind in ("unlabelled", "ceiling"):
        scored, teaching = stratified_split(_numbers(y_test), 0.5, cell.seed)
        teaching = _some(teaching, cell)
        if kind == "unlabelled":
            return Scenario(X, y, X_test[teaching], X_test[scored], y_test[scored])
        X, y = np.concatenate([X, X_test[teaching]]), np.concatenate([y, y_test[teaching]])
        return Scenario(X, y, None, X_test[scored], y_test[scored])
    labeled, unlabeled = stratified_split(_numbers(y), 1 - cell.labeled_share, cell.seed)
    return Scenario(X[labeled], y[labeled], X[unlabeled], X_test, y_test)


def _some(rows: NDArray[np.int64], cell: Cell) -> NDArray[np.int64]:
    """Draw the number of rows of a cell; a smaller selection is a subset of a larger one."""
    n = cell.n_teaching
    if n is None:
        return rows
    if n > len(rows):
        raise ValueError(
            f"setting={cell.setting!r}: half of the test part of {cell.data} are {len(rows)} "
            f"series; ask for no more"
        )
    return np.random.default_rng(cell.seed).permutation(rows)[:n]


def _numbers(y: Array) -> NDArray[np.int64]:
    return np.unique(y, return_inverse=True)[1]

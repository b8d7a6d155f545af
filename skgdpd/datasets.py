"""Data for demonstrations, and series from files.

The sets that come with sktime are read from its installation; nothing is downloaded.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from ._extras import require
from ._random import RandomState
from ._split import stratified_split

Series = NDArray[np.float32]


class TrainTest(NamedTuple):
    """A training part and a test part.

    Attributes
    ----------
    X, X_test : ndarray of shape (n, n_channels, n_timepoints)
        Series.
    y, y_test : ndarray of shape (n,)
        Labels.
    """

    X: Series
    y: NDArray[Any]
    X_test: Series
    y_test: NDArray[Any]


def load_gunpoint() -> TrainTest:
    """GunPoint: does the hand hold a gun, or point? 50 + 150 series of 150 points, 2 classes.

    References
    ----------
    H. A. Dau et al., "The UCR time series archive", IEEE/CAA J. Automatica Sinica, 2019.
    """
    return _bundled("gunpoint")


def load_italy_power_demand() -> TrainTest:
    """ItalyPowerDemand: winter or summer? 67 + 1029 days of 24 hours, 2 classes.

    References
    ----------
    H. A. Dau et al., "The UCR time series archive", IEEE/CAA J. Automatica Sinica, 2019.
    """
    return _bundled("italy_power_demand")


def load_basic_motions() -> TrainTest:
    """BasicMotions: a watch's six sensors, 40 + 40 series of 100 points, 4 activities.

    References
    ----------
    A. Bagnall et al., "The UEA multivariate time series classification archive, 2018",
    arXiv 1811.00075.
    """
    return _bundled("basic_motions")


def make_bumps(
    n_samples: int = 100,
    n_timepoints: int = 60,
    n_channels: int = 1,
    noise: float = 0.5,
    random_state: RandomState = None,
) -> tuple[Series, NDArray[np.int64]]:
    """Noisy series of two classes that differ a little early and a lot late.

    Both classes have a small bump in the first third, of slightly different width, and a large
    one, upward or downward, in the last: a teacher of whole series has an easy task.

    Parameters
    ----------
    n_samples : int, default=100
        Number of series, half of each class.
    n_timepoints : int, default=60
        Their length.
    n_channels : int, default=1
        Their channels, alike up to noise.
    noise : float, default=0.5
        Standard deviation of the noise; the small bump is 1 high.
    random_state : int, RandomState instance or None, default=None
        Seeds the noise and the places of the bumps.

    Returns
    -------
    X : ndarray of shape (n_samples, n_channels, n_timepoints)
        Series.
    y : ndarray of shape (n_samples,)
        0 or 1.
    """
    rng = check_random_state(random_state)
    y = np.arange(n_samples) % 2
    time = np.linspace(0, 1, n_timepoints)
    early = rng.uniform(0.12, 0.2, size=(n_samples, 1))
    late = rng.uniform(0.7, 0.85, size=(n_samples, 1))
    width = np.where(y, 0.05, 0.08)[:, None]
    clean = np.exp(-np.square((time - early) / width) / 2)
    clean += np.where(y, 3, -3)[:, None] * np.exp(-np.square((time - late) / 0.05) / 2)
    X = clean[:, None] + noise * rng.normal(size=(n_samples, n_channels, n_timepoints))
    return X.astype(np.float32), y


def load_file(path: str | os.PathLike[str], random_state: RandomState = 0) -> TrainTest:
    """Read a data set of the UCR or UEA archive's formats.

    Parameters
    ----------
    path : str or path
        ``.ts``, ``.tsv`` (label first, a series a line) or ``.npz`` (arrays ``X_train, y_train,
        X_test, y_test``, or ``X, y``). For a ``..._TRAIN`` file the ``..._TEST`` file beside it
        is read too; a single file is split in halves, each class by itself.
    random_state : int, RandomState instance or None, default=0
        Seeds that split.

    Returns
    -------
    TrainTest

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is empty, of another format, malformed, or has unequal lengths.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty")
    if path.suffix == ".npz":
        X, y, *test = _read_npz(path)
        return TrainTest(X, y, *test) if test else _halves(X, y, random_state)
    readers = {".ts": _read_ts, ".tsv": _read_tsv}
    if path.suffix not in readers:
        raise ValueError(f"{path} is no .ts, .tsv or .npz file")
    read = readers[path.suffix]
    if path.stem.endswith("_TRAIN"):
        partner = path.with_name(path.name.replace("_TRAIN", "_TEST"))
        if partner.is_file():
            return TrainTest(*read(path), *read(partner))
    return _halves(*read(path), random_state)


def _bundled(name: str) -> TrainTest:
    datasets = require("sktime.datasets", "sktime", "for the data sets that come with it")
    load = getattr(datasets, f"load_{name}")
    X, y = load(split="train", return_type="numpy3D")
    X_test, y_test = load(split="test", return_type="numpy3D")
    return TrainTest(X.astype(np.float32), y, X_test.astype(np.float32), y_test)


def _read_npz(path: Path) -> list[NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:
        raise ValueError(f"{path} can't be read as an .npz file: {error}") from error
    for names in (("X_train", "y_train", "X_test", "y_test"), ("X", "y")):
        if set(names) <= set(arrays):
            parts = [arrays[name] for name in names]
            for series, labels in zip(parts[::2], parts[1::2], strict=True):
                if series.ndim not in (2, 3) or len(series) != len(labels) or not len(series):
                    raise ValueError(
                        f"{path}: series of shape {series.shape} and labels of shape "
                        f"{labels.shape}; they must be (n, channels, time) and (n,)"
                    )
            return [part[:, None] if part.ndim == 2 else part for part in parts]
    raise ValueError(
        f"{path} has the arrays {sorted(arrays)}; it needs X_train, y_train, X_test and y_test, "
        f"or X and y"
    )


def _read_tsv(path: Path) -> tuple[Series, NDArray[Any]]:
    lines = [line.split("\t") for line in path.read_text().splitlines() if line.strip()]
    widths = sorted({len(line) for line in lines})
    if len(widths) != 1 or widths[0] < 3:
        raise ValueError(
            f"{path} has lines of {widths} tab-separated fields; each must have a label and then "
            f"equally many values, two at least"
        )
    try:
        values = np.array([line[1:] for line in lines], dtype=np.float32)
    except ValueError as error:
        raise ValueError(f"{path} has a value that is no number: {error}") from error
    return values[:, None], np.array([line[0].strip() for line in lines])


def _read_ts(path: Path) -> tuple[Series, NDArray[Any]]:
    if not any(line.strip().lower() == "@data" for line in path.open(errors="replace")):
        raise ValueError(f"{path} has no @data line; is it a .ts file?")
    datasets = require("sktime.datasets", "sktime", "to read .ts files")
    try:
        X, y = datasets.load_from_tsfile(str(path), return_data_type="numpy3D")
    except Exception as error:
        raise ValueError(
            f"{path} can't be read as a .ts file of labelled series of equal length: {error}"
        ) from error
    if y is None or len(X) == 0:
        raise ValueError(f"{path} has no labelled series")
    return X.astype(np.float32), np.asarray(y)


def _halves(X: Series, y: NDArray[Any], random_state: RandomState) -> TrainTest:
    labels = np.unique(y, return_inverse=True)[1]
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    train, test = stratified_split(labels, 0.5, seed)
    if len(test) == 0:
        raise ValueError(f"{len(X)} series of {labels.max() + 1} classes are too few to split")
    return TrainTest(X[train], y[train], X[test], y[test])

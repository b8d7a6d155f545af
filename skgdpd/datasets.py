"""Example data sets, and a reader of data files.

The data sets that come with sktime are read from its installation; nothing is downloaded.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from ._runtime.extras import require
from ._runtime.random import RandomState
from ._series.files import read_file
from ._series.panel import read_panel
from ._series.split import stratified_split

Series = NDArray[np.float32]


class TrainTest(NamedTuple):
    """Data set with a training part and a test part.

    Attributes
    ----------
    X, X_test : ndarray of shape (n, n_channels, n_timepoints)
        Series of the two parts.
    y, y_test : ndarray of shape (n,)
        Labels of the two parts.
    """

    X: Series
    y: NDArray[Any]
    X_test: Series
    y_test: NDArray[Any]


def load_gunpoint() -> TrainTest:
    """Load GunPoint, movements of a hand that draws a gun or points with a finger.

    It has 50 training and 150 test series of one channel and 150 time points, and two classes.

    Returns
    -------
    TrainTest

    References
    ----------
    H. A. Dau et al., "The UCR time series archive", IEEE/CAA J. Automatica Sinica, 2019.
    """
    return load_bundled("gunpoint")


def load_italy_power_demand() -> TrainTest:
    """Load ItalyPowerDemand, a day's hourly power demand in winter or in summer.

    It has 67 training and 1029 test series of one channel and 24 time points, and two classes.

    Returns
    -------
    TrainTest

    References
    ----------
    H. A. Dau et al., "The UCR time series archive", IEEE/CAA J. Automatica Sinica, 2019.
    """
    return load_bundled("italy_power_demand")


def load_basic_motions() -> TrainTest:
    """Load BasicMotions, movements of a smart watch during four activities.

    It has 40 training and 40 test series of six channels and 100 time points, and four classes.

    Returns
    -------
    TrainTest

    References
    ----------
    A. Bagnall et al., "The UEA multivariate time series classification archive, 2018",
    arXiv 1811.00075.
    """
    return load_bundled("basic_motions")


def make_bumps(
    n_samples: int = 100,
    n_timepoints: int = 60,
    n_channels: int = 1,
    noise: float = 0.5,
    random_state: RandomState = None,
) -> tuple[Series, NDArray[np.int64]]:
    """Make noisy series of two classes that differ little at first and much at the end.

    Both classes have a small bump in the first third, whose width differs slightly between the
    classes. The large bump in the last third is upward in one class and downward in the other. A
    classifier of whole series therefore has an easy task, and one of prefixes a hard one.

    Parameters
    ----------
    n_samples : int, default=100
        Number of series, half of each class.
    n_timepoints : int, default=60
        Length of the series.
    n_channels : int, default=1
        Number of channels, which differ in their noise only.
    noise : float, default=0.5
        Standard deviation of the noise; the height of the small bump is 1.
    random_state : int, RandomState instance or None, default=None
        Seed of the noise and of the positions of the bumps.

    Returns
    -------
    X : ndarray of shape (n_samples, n_channels, n_timepoints)
        Series.
    y : ndarray of shape (n_samples,)
        Labels, 0 or 1.
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
    """Read a data set from a file in a format of the UCR or UEA archive.

    Parameters
    ----------
    path : str or path
        File that ends in ``.ts``, ``.tsv`` (one series per line, the label first) or ``.npz``
        (arrays ``X_train, y_train, X_test, y_test``, or ``X, y``). With a ``..._TRAIN`` file, the
        ``..._TEST`` file of the same folder is the test part. A file without test part is split
        in halves, stratified by class.
    random_state : int, RandomState instance or None, default=0
        Seed of the split.

    Returns
    -------
    TrainTest
        Both parts; series shorter than the longest end in NaN.

    Raises
    ------
    FileNotFoundError
        If the file doesn't exist.
    ValueError
        If the file is empty, malformed or of another format.
    """
    path = Path(path)
    X, y, *test = read_file(path)
    if not test and path.stem.endswith("_TRAIN"):
        partner = path.with_stem(path.stem.removesuffix("_TRAIN") + "_TEST")
        if partner.is_file():
            test = read_file(partner)[:2]
    if not test:
        return _halves(X, y, random_state)
    if test[0].shape[1] != X.shape[1]:
        raise ValueError(
            f"{path}: training series have {X.shape[1]} channels and test series "
            f"{test[0].shape[1]}; the numbers must be equal"
        )
    return TrainTest(*_alike(X, y, *test))


def load_bundled(name: str) -> TrainTest:
    """Load one of the data sets that come with sktime.

    Parameters
    ----------
    name : str
        Name of the data set: ``"gunpoint"``, ``"italy_power_demand"``, ``"arrow_head"``,
        ``"osuleaf"``, ``"basic_motions"``, ``"japanese_vowels"``, ``"acsf1"`` or ``"plaid"``.

    Returns
    -------
    TrainTest
        Both parts; series shorter than the longest end in NaN.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name not in BUNDLED:
        raise ValueError(f"name={name!r}; allowed are {', '.join(BUNDLED)}")
    datasets = require("sktime.datasets", "sktime", "for the data sets that come with it")
    load = getattr(datasets, "load_PLAID" if name == "plaid" else f"load_{name}")
    form = "nested_univ" if name in ("japanese_vowels", "plaid") else "numpy3D"
    parts: list[NDArray[Any]] = []
    for split in ("train", "test"):
        X, y = load(split=split, return_X_y=True, return_type=form)
        parts += [read_panel(X).values.astype(np.float32), np.asarray(y)]
    return TrainTest(*_alike(*parts))


BUNDLED = (
    "gunpoint", "italy_power_demand", "arrow_head", "osuleaf", "basic_motions",
    "japanese_vowels", "acsf1", "plaid",
)  # fmt: skip


def _alike(X: Series, y: NDArray[Any], X_test: Series, y_test: NDArray[Any]) -> tuple[Any, ...]:
    """Pad the series of both parts with NaN to the same length."""
    length = max(X.shape[2], X_test.shape[2])
    padded = [
        np.pad(part, ((0, 0), (0, 0), (0, length - part.shape[2])), constant_values=np.nan)
        for part in (X, X_test)
    ]
    return padded[0], y, padded[1], y_test


def _halves(X: Series, y: NDArray[Any], random_state: RandomState) -> TrainTest:
    labels = np.unique(y, return_inverse=True)[1]
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    train, test = stratified_split(labels, 0.5, seed)
    if len(test) == 0:
        raise ValueError(
            f"{len(X)} series of {labels.max() + 1} classes are too few for a training and a test "
            f"part; give a file with both parts, or more series"
        )
    return TrainTest(X[train], y[train], X[test], y[test])

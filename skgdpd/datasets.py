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
from ._files import read_file
from ._panel import read_panel
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
    return load_bundled("gunpoint")


def load_italy_power_demand() -> TrainTest:
    """ItalyPowerDemand: winter or summer? 67 + 1029 days of 24 hours, 2 classes.

    References
    ----------
    H. A. Dau et al., "The UCR time series archive", IEEE/CAA J. Automatica Sinica, 2019.
    """
    return load_bundled("italy_power_demand")


def load_basic_motions() -> TrainTest:
    """BasicMotions: a watch's six sensors, 40 + 40 series of 100 points, 4 activities.

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
        Series of unequal length end in NaN.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is empty, of another format, or malformed.
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
            f"{test[0].shape[1]}; they must be alike"
        )
    return TrainTest(*_alike(X, y, *test))


def load_bundled(name: str) -> TrainTest:
    """Load one of the data sets that come with sktime.

    Parameters
    ----------
    name : str
        ``"gunpoint"``, ``"italy_power_demand"``, ``"arrow_head"``, ``"osuleaf"``,
        ``"basic_motions"``, ``"japanese_vowels"``, ``"acsf1"`` or ``"plaid"``.

    Returns
    -------
    TrainTest
        Series of unequal length end in NaN.

    Raises
    ------
    ValueError
        If it is none of these.
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
    """Pad both parts to one length."""
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
            f"{len(X)} series of {labels.max() + 1} classes are too few to split; give a file "
            f"with both parts, or more series"
        )
    return TrainTest(X[train], y[train], X[test], y[test])

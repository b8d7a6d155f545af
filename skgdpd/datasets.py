"""Example data sets, and readers of data files and of tables.

The data sets that come with sktime are read from its installation; nothing is downloaded.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.utils import check_random_state

from ._runtime.extras import require
from ._runtime.random import RandomState
from ._series.files import read_file
from ._series.long import read_long, read_wide
from ._series.panel import read_panel
from ._series.split import stratified_split
from ._series.tables import as_table, read_table

Series = NDArray[np.float32]
Floats = NDArray[np.float64]


class TrainTest(NamedTuple):
    """Data set with a training and a test part.

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


class SeriesWithIds(NamedTuple):
    """Series of a table, with their labels and ids.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_channels, n_timepoints)
        Series. Missing values are NaN, and so is everything after the end of a series.
    y : ndarray of shape (n_samples,) or None
        Labels, in which a missing label is None or NaN. If no label column was named, ``y`` is
        None.
    ids : ndarray of shape (n_samples,) or None
        Ids of the series; None if no id column was named.
    """

    X: NDArray[np.floating[Any]]
    y: NDArray[Any] | None
    ids: NDArray[Any] | None


def load_gunpoint() -> TrainTest:
    """Load GunPoint: movements of a hand that draws a gun or points with a finger.

    It has 50 training and 150 test series of one channel and 150 time points, and two classes.

    Returns
    -------
    TrainTest

    Raises
    ------
    ImportError
        If sktime is not installed.

    References
    ----------
    H. A. Dau et al., "The UCR time series archive", IEEE/CAA J. Automatica Sinica, 2019.
    """
    return load_bundled("gunpoint")


def load_italy_power_demand() -> TrainTest:
    """Load ItalyPowerDemand: the hourly power demand of a day in winter or in summer.

    It has 67 training and 1029 test series of one channel and 24 time points, and two classes.

    Returns
    -------
    TrainTest

    Raises
    ------
    ImportError
        If sktime is not installed.

    References
    ----------
    H. A. Dau et al., "The UCR time series archive", IEEE/CAA J. Automatica Sinica, 2019.
    """
    return load_bundled("italy_power_demand")


def load_basic_motions() -> TrainTest:
    """Load BasicMotions: movements of a smart watch during four activities.

    It has 40 training and 40 test series of six channels and 100 time points, and four classes.

    Returns
    -------
    TrainTest

    Raises
    ------
    ImportError
        If sktime is not installed.

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
    """Make noisy series of two classes that differ slightly at first and clearly at the end.

    Every series has a small bump in its first third; the width of this bump differs slightly
    between the classes. Every series also has a large bump in its last third, which points up in
    one class and down in the other. The classes are therefore easy to tell apart from whole
    series, and hard to tell apart from prefixes.

    Parameters
    ----------
    n_samples : int, default=100
        Number of series, half of each class.
    n_timepoints : int, default=60
        Length of the series.
    n_channels : int, default=1
        Number of channels. They differ only in their noise.
    noise : float, default=0.5
        Standard deviation of the noise. For comparison, the small bump has height 1.
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


class AutoregressiveClasses:
    """Generator of Gaussian series whose true class probabilities are known at every time point.

    A series of class k is the mean path of the class plus deviations that follow an
    autoregressive process of order 1. Each deviation is the previous deviation times the
    coefficient of the class, plus normal noise; the first deviation is noise alone. The
    likelihood of a prefix is therefore a product over its time points, and Bayes' rule gives
    p(y | prefix) in closed form. Predicted probabilities and stopping rules can be compared with
    this truth.

    Parameters
    ----------
    means : array-like of shape (n_classes, n_timepoints)
        Mean path of each class.
    coefficients : array-like of shape (n_classes,), default=None
        Autoregressive coefficient of each class; 1 makes a random walk. None means 0 for all
        classes, so that deviations are independent.
    scale : float, default=1.0
        Standard deviation of the noise, positive.
    shares : array-like of shape (n_classes,), default=None
        Prior probabilities of the classes, positive and with the sum 1. None means equal
        probabilities.

    Raises
    ------
    ValueError
        If an argument has the wrong shape, or has a number that is not finite or out of range.

    Examples
    --------
    >>> from skgdpd.datasets import AutoregressiveClasses
    >>> classes = AutoregressiveClasses([[0, 0, 0], [0, 0, 5]])
    >>> X, y = classes.sample(4, random_state=0)
    >>> X.shape
    (4, 1, 3)
    >>> proba = classes.predict_proba(X)  # for each series after each of its points
    >>> proba.shape
    (4, 3, 2)
    >>> proba[0, 1].tolist()  # the classes differ in the last point only
    [0.5, 0.5]
    """

    def __init__(
        self,
        means: ArrayLike,
        coefficients: ArrayLike | None = None,
        scale: float = 1.0,
        shares: ArrayLike | None = None,
    ) -> None:
        self.means = np.array(means, dtype=float)
        if self.means.ndim != 2 or len(self.means) < 2 or not self.means.size:
            raise ValueError(
                f"means has the shape {self.means.shape}; allowed is (n_classes, n_timepoints), "
                f"with two classes or more"
            )
        n = len(self.means)
        self.coefficients = np.array(np.zeros(n) if coefficients is None else coefficients, float)
        self.scale = float(scale)
        self.shares = np.array(np.full(n, 1 / n) if shares is None else shares, float)
        for name in ("means", "coefficients", "scale", "shares"):
            value = np.asarray(getattr(self, name))
            if not np.isfinite(value).all():
                raise ValueError(f"{name}={value.tolist()!r} must be finite")
            if name in ("coefficients", "shares") and value.shape != (n,):
                raise ValueError(
                    f"{name}={value.tolist()!r} must have one number for each of the {n} classes "
                    f"of means"
                )
        if self.scale <= 0:
            raise ValueError(f"scale={self.scale!r} must be positive")
        if (self.shares <= 0).any() or not np.isclose(self.shares.sum(), 1):
            raise ValueError(
                f"shares={self.shares.tolist()!r} must be positive, and their sum must be 1"
            )

    def sample(
        self, n_samples: int, random_state: RandomState = None
    ) -> tuple[Series, NDArray[np.int64]]:
        """Draw series and their labels.

        Parameters
        ----------
        n_samples : int
            Number of series.
        random_state : int, RandomState instance or None, default=None
            Seed of the labels and the noise.

        Returns
        -------
        X : ndarray of shape (n_samples, 1, n_timepoints)
            Series.
        y : ndarray of shape (n_samples,)
            Labels, the integers from 0 to ``n_classes - 1``.
        """
        rng = check_random_state(random_state)
        y = rng.choice(len(self.means), size=n_samples, p=self.shares)
        return self._continue(np.empty((n_samples, 0)), y, rng), y

    def complete(
        self, X: ArrayLike, random_state: RandomState = None
    ) -> tuple[Series, NDArray[np.int64]]:
        """Draw a label and the remaining time points for each prefix.

        Labels and time points are drawn from their distribution given the prefix.

        Parameters
        ----------
        X : array-like of shape (n_samples, 1, t)
            Prefixes: the first t time points of series, with t from 1 to ``n_timepoints``.
        random_state : int, RandomState instance or None, default=None
            Seed of the labels and the noise.

        Returns
        -------
        whole : ndarray of shape (n_samples, 1, n_timepoints)
            Whole series that begin with the prefixes in ``X``.
        y : ndarray of shape (n_samples,)
            Labels, the integers from 0 to ``n_classes - 1``.

        Raises
        ------
        ValueError
            If X has another shape, is longer than the mean paths, or has values that are not
            finite.
        """
        rng = check_random_state(random_state)
        below = self.predict_proba(X)[:, -1, :-1].cumsum(1)
        y = (rng.uniform(size=(len(below), 1)) > below).sum(1)
        return self._continue(np.asarray(X, dtype=float)[:, 0], y, rng), y

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Return the true class probabilities after each time point.

        Parameters
        ----------
        X : array-like of shape (n_samples, 1, t)
            Series, or prefixes of series.

        Returns
        -------
        ndarray of shape (n_samples, t, n_classes)
            Entry ``[i, j, k]`` is p(y = k | the first j + 1 points of series i).

        Raises
        ------
        ValueError
            If X has another shape, is longer than the mean paths, or has values that are not
            finite.
        """
        x = np.asarray(X, dtype=float)
        longest = self.means.shape[1]
        if x.ndim != 3 or x.shape[1] != 1 or not 1 <= x.shape[2] <= longest:
            raise ValueError(
                f"X has the shape {x.shape}; allowed is (n_samples, 1, t) with t from 1 to "
                f"{longest}"
            )
        if not np.isfinite(x).all():
            raise ValueError("X has values that are not finite; their likelihood is unknown")
        deviations = x - self.means[:, : x.shape[2]]
        noise = deviations.copy()
        noise[:, :, 1:] -= self.coefficients[:, None] * deviations[:, :, :-1]
        log_odds = -np.square(noise / self.scale).cumsum(2) / 2
        return softmax(log_odds + np.log(self.shares)[:, None], axis=1).transpose(0, 2, 1)

    def _continue(self, x: Floats, y: NDArray[np.int64], rng: np.random.RandomState) -> Series:
        """Return series ``(n, 1, n_timepoints)`` of classes y that begin with x ``(n, t)``."""
        n, t = x.shape
        means, factor = self.means[y], self.coefficients[y]
        noise = self.scale * rng.normal(size=(n, self.means.shape[1] - t))
        whole = np.concatenate([x, noise], 1)
        deviation = x[:, -1] - means[:, t - 1] if t else np.zeros(n)
        for j in range(t, whole.shape[1]):
            deviation = factor * deviation + whole[:, j]
            whole[:, j] = means[:, j] + deviation
        return whole[:, None].astype(np.float32)


def load_file(path: str | os.PathLike[str], random_state: RandomState = 0) -> TrainTest:
    """Read a data set from a file in a format of the UCR or UEA archive.

    Parameters
    ----------
    path : str or path
        Path of a ``.ts`` file, a ``.tsv`` file (one series per line, the label first) or a
        ``.npz`` file (arrays ``X_train, y_train, X_test, y_test``, or ``X, y``). If the name
        ends in ``_TRAIN``, the ``_TEST`` file in the same folder becomes the test part. A file
        without a test part is split into two halves, stratified by class.
    random_state : int, RandomState instance or None, default=0
        Seed of the split.

    Returns
    -------
    TrainTest
        Both parts. Series shorter than the longest one are filled up with NaN at the end.

    Raises
    ------
    FileNotFoundError
        If the file doesn't exist.
    ValueError
        If the file is empty, malformed or in another format, or has too few series to split.
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


def from_long(
    frame: Any,
    *,
    id: Any,
    time: Any,
    values: Sequence[Any] | None = None,
    label: Any = None,
    step: Any = None,
) -> SeriesWithIds:
    """Read series from a long table, which has one row for each time point of each series.

    Rows may be in any order; they are sorted by time within each series. Series may have unequal
    lengths and start at different times; the earliest row of a series is its first time point. A
    missing time point becomes NaN in all channels. A missing value becomes NaN in its channel
    only. NaN in all channels at the end of a series marks its end.

    Parameters
    ----------
    frame : object with named columns
        A pandas or polars data frame, a pyarrow table, a structured array, or a dict of columns.
    id : str
        Name of the column that holds the id of each row's series.
    time : str
        Name of the time column. Times are numbers, dates, durations, or strings in ISO 8601.
    values : sequence of str, optional
        Names of the value columns. Each one becomes a channel, in this order. By default, all
        other columns in the order of the table. Give the names if several tables may order their
        columns differently.
    label : str, dict or pandas.Series, optional
        Name of the label column, or a mapping from ids to labels. A label column must have the
        same label in all rows of a series. A mapping must have every series; ids that are there
        alone are ignored.
    step : float or timedelta, optional
        Sampling interval, in the unit of ``time``; in seconds if times are dates or durations.
        By default, the median difference of consecutive times. With this default, a series must
        have more time points than it misses. Otherwise missing points can't be distinguished
        from a larger sampling interval.

    Returns
    -------
    SeriesWithIds
        Series in the order in which their ids first appear in the table.

    Raises
    ------
    TypeError
        If ``frame`` has no named columns, or is not in memory.
    ValueError
        If a column doesn't exist or isn't numeric, if a column that is not named looks like
        labels or row numbers, if an id or a time is missing, if a series has the same time twice
        or two labels, if a mapping of labels has other ids than the table, or if times are not
        evenly spaced to within a hundredth of the step. The error names the row; for uneven times
        it also shows how to resample.

    See Also
    --------
    load_table : Read series from a file, long or wide.

    Examples
    --------
    >>> from skgdpd.datasets import from_long
    >>> table = {
    ...     "patient": ["b", "b", "a", "a", "a"],
    ...     "hour": [1, 0, 0, 1, 3],
    ...     "pulse": [71.0, 70.0, 80.0, 82.0, 81.0],
    ...     "ill": ["no", "no", "yes", "yes", "yes"],
    ... }
    >>> X, y, ids = from_long(table, id="patient", time="hour", label="ill", step=1)
    >>> X
    array([[[70., 71., nan, nan]],
           [[80., 82., nan, 81.]]])
    >>> y, ids
    (array(['no', 'yes'], dtype='<U3'), array(['b', 'a'], dtype='<U1'))
    """
    return SeriesWithIds(*read_long(as_table(frame), id, time, values, label, step)[:3])


def load_table(
    path: str | os.PathLike[str],
    *,
    id: Any = None,
    time: Any = None,
    values: Sequence[Any] | None = None,
    label: Any = None,
    step: Any = None,
    header: bool = True,
    separator: str | None = None,
    decimal: str = ".",
) -> SeriesWithIds:
    """Read series from a CSV, TSV or Parquet file with named columns.

    If ``time`` is given, the file is long: each row is a time point of a series, and the file is
    read as :func:`from_long` reads a table. Otherwise the file is wide: each row is a series of
    one channel, and each value column is a time point. Empty fields, ``?``, ``NA``, ``NaN`` and
    ``null`` are missing values.

    Parameters
    ----------
    path : str or path
        Path of a ``.csv``, ``.tsv`` or ``.parquet`` file. Parquet files need pandas and pyarrow.
    id : str, optional
        Name of the id column. It is required if ``time`` is given.
    time : str, optional
        Name of the time column of a long file.
    values : sequence of str, optional
        Names of the value columns: channels in a long file, time points in a wide one. By
        default, all other columns in the order of the file.
    label : str, optional
        Name of the label column. For a long file it may also be a dict or a pandas.Series from
        ids to labels, as for :func:`from_long`. Labels in ``.csv`` and ``.tsv`` files are read as
        strings.
    step : float or timedelta, optional
        Sampling interval of a long file; see :func:`from_long`.
    header : bool, default=True
        Whether the first line of a ``.csv`` or ``.tsv`` file names the columns. If False, the
        columns are named ``"0"``, ``"1"`` and so on.
    separator : str, optional
        Character between fields. By default, a comma in ``.csv`` files and a tab in ``.tsv``
        files.
    decimal : {".", ","}, default="."
        Character before the decimals of numbers in ``.csv`` and ``.tsv`` files.

    Returns
    -------
    SeriesWithIds
        Series in the order in which they first appear in the file.

    Raises
    ------
    FileNotFoundError
        If the file doesn't exist.
    ImportError
        If pandas or pyarrow is missing for a ``.parquet`` file.
    ValueError
        If the file is empty, malformed or in another format, if its first line is not a header,
        if ``id``, ``time`` and ``step`` don't fit together, or if the content is invalid as
        described for :func:`from_long`. The error names the line.

    See Also
    --------
    load_file : Read files in the formats of the UCR and UEA archives.
    """
    table = read_table(Path(path), header=header, separator=separator, decimal=decimal)
    if time is None:
        if step is not None:
            raise ValueError(f"step={step!r} needs time, the column of times")
        return SeriesWithIds(*read_wide(table, id, values, label)[:3])
    if id is None:
        raise ValueError(f"time={time!r} needs id, the column that tells series apart")
    return SeriesWithIds(*read_long(table, id, time, values, label, step)[:3])


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
        Both parts. Series shorter than the longest one are filled up with NaN at the end.

    Raises
    ------
    ImportError
        If sktime is not installed.
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

"""Truncation of series to prefixes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import validate_data

from .._runtime.doc_links import LinksToDocs
from .._runtime.extras import require
from .._runtime.parameters import PlainNumbers
from .panel import check_channels, read_panel

MIN_LENGTH = 2
"""Minimum number of time points of a prefix, because one point shows no change over time."""


def prefix_length(part: float, n_timepoints: int) -> int:
    """Return the number of time points of a prefix.

    Parameters
    ----------
    part : int or float
        A float in (0, 1] is a fraction of the length. An int is a number of time points.
    n_timepoints : int
        Length L of the series.

    Returns
    -------
    int
        ``floor(part * L + 1e-9)`` for a fraction, but at least two. The tolerance compensates
        rounding errors, so that 0.29 of 100 points are 29.

    Examples
    --------
    >>> prefix_length(0.29, 100), int(0.29 * 100)
    (29, 28)
    """
    if isinstance(part, Integral):
        return int(part)
    return max(math.floor(part * n_timepoints + 1e-9), MIN_LENGTH)


def parts_of(earliness: Any) -> list[Any] | None:
    """Return the elements of an ``earliness`` that is a list.

    Parameters
    ----------
    earliness : object
        Parameter of a classifier. Tuples, arrays and pandas columns count as lists. Sets and
        dicts don't, because sets have no order.

    Returns
    -------
    list or None
        Elements of the list. An integer 1 among fractions becomes the fraction 1.0, because
        numbers of points start at 2. None if ``earliness`` is not a list, such as a number,
        "every" or a transformer.
    """
    has_items = hasattr(earliness, "__len__") and getattr(earliness, "shape", None) != ()
    # Columns of pandas have a "transform" too, and pipelines a length.
    is_transformer = hasattr(earliness, "fit")
    if not has_items or is_transformer or isinstance(earliness, str | bytes | Set | Mapping):
        return None
    parts = list(earliness)
    if any(isinstance(part, Real) and not isinstance(part, Integral) for part in parts):
        return [1.0 if _is_one(part) else part for part in parts]
    return parts


def _is_one(part: Any) -> bool:
    return isinstance(part, Integral) and not isinstance(part, bool) and part == 1


def moments_of(parts: Sequence[float] | str, n_timepoints: int) -> tuple[int, ...]:
    """Return the numbers of time points of several prefixes of a series.

    Parameters
    ----------
    parts : sequence of int or float, or "every"
        Fractions of the length, or numbers of time points, in ascending order. "every" means
        every time point from the second on.
    n_timepoints : int
        Length of the series.

    Returns
    -------
    tuple of int
        Distinct numbers of time points in ascending order.

    Examples
    --------
    >>> moments_of([0.1, 0.15, 0.5, 1.0], 24)
    (2, 3, 12, 24)
    """
    if isinstance(parts, str):
        return tuple(range(MIN_LENGTH, n_timepoints + 1))
    own = parts_of(parts) or []
    return tuple(sorted({prefix_length(part, n_timepoints) for part in own}))


def check_reached(lengths: NDArray[np.int64], first: int, name: str, start: int = 0) -> None:
    """Raise an error if a series ends before the first moment.

    Parameters
    ----------
    lengths : ndarray of shape (n,)
        Number of time points of each series.
    first : int
        Number of time points at the first moment.
    name : str
        Name of the series in the error.
    start : int, default=0
        Index of the first of these series among all series, for the error.

    Raises
    ------
    ValueError
        If a series is shorter than ``first``.
    """
    if (short := np.flatnonzero(lengths < first)).size:
        raise ValueError(
            f"{name} has a series of {lengths[short[0]]} time points, series "
            f"{start + short[0]}; this classifier answers from {first} time points on"
        )


class PrefixTruncator(LinksToDocs, PlainNumbers, TransformerMixin, BaseEstimator):
    """Transformer that truncates each series to a prefix.

    The transformer is stateless, so that ``transform`` works without ``fit``. A fraction refers to
    the length of the series that are passed to ``transform``.

    Parameters
    ----------
    earliness : float or int, default=0.3
        Part of a series that is kept, as for the classifiers, which have the same default. A
        float in (0, 1] is a fraction: ``floor(earliness * n_timepoints + 1e-9)`` time points, at
        least two. An int is a number of time points, two or more.

    Examples
    --------
    >>> import numpy as np
    >>> from skgdpd import PrefixTruncator
    >>> PrefixTruncator(0.3).transform(np.zeros((5, 2, 150))).shape
    (5, 2, 45)
    >>> PrefixTruncator(10).transform(np.zeros((5, 150))).shape
    (5, 10)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "earliness": [
            Interval(Real, 0, 1, closed="right"),
            Interval(Integral, MIN_LENGTH, None, closed="left"),
        ],
    }

    def __init__(self, earliness: float = 0.3) -> None:
        self.earliness = earliness

    def _validate_params(self) -> None:
        super()._validate_params()
        if isinstance(self.earliness, Integral) and self.earliness < MIN_LENGTH:
            raise ValueError(
                f"earliness={self.earliness!r} keeps 1 time point; an int must be {MIN_LENGTH} or "
                f"more, and 1.0 is the whole series"
            )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    def set_output(self, *, transform: str | None = None) -> PrefixTruncator:
        """Set the container of 2-D output, as for any transformer of scikit-learn.

        Parameters
        ----------
        transform : {"default", "pandas"} or None, default=None
            With ``"pandas"``, output is a data frame with the names of the kept columns. None
            changes nothing. Three-dimensional output is always an array.

        Returns
        -------
        PrefixTruncator
            The estimator itself.
        """
        if transform not in (None, "default", "pandas"):
            raise ValueError(f"transform={transform!r} must be 'default', 'pandas' or None")
        if transform is not None:
            self._container = transform
        return self

    def fit(self, X: Any, y: Any = None) -> PrefixTruncator:
        """Check the parameters and the format of the series.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints) or (n_samples, n_timepoints)
            Series.
        y : None
            Ignored.

        Returns
        -------
        PrefixTruncator
            The estimator itself.
        """
        self._validate_params()
        self._read(X, reset=True)
        return self

    def transform(self, X: Any) -> NDArray[Any]:
        """Truncate series to prefixes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints) or (n_samples, n_timepoints)
            Series, in any format that the classifiers take. Values after the prefix don't affect
            the output.

        Returns
        -------
        ndarray of shape (n_samples, n_channels, k) or (n_samples, k)
            The first k points of each series; two-dimensional if X is two-dimensional.

        Raises
        ------
        ValueError
            If ``earliness`` is a number of time points, and the series have fewer.
        """
        self._validate_params()
        given, X = X, self._read(X, reset=False)
        n_timepoints = X.shape[-1]
        k = prefix_length(self.earliness, n_timepoints)
        if k > n_timepoints:
            raise ValueError(
                f"earliness={self.earliness!r} keeps {k} time points, more than the "
                f"{n_timepoints} of X (n_features={n_timepoints}); give {n_timepoints} at most"
            )
        cut = X[..., :k].copy()
        return self._named(cut, given) if cut.ndim == 2 else cut

    def _named(self, cut: NDArray[Any], given: Any) -> Any:
        """Return 2-D output in the selected container."""
        container = getattr(self, "_container", get_config()["transform_output"])
        if container != "pandas":
            return cut
        pandas = require("pandas", "sktime", "for frames as output")
        names = list(getattr(given, "columns", [f"x{i}" for i in range(cut.shape[1])]))
        index = getattr(given, "index", None)
        return pandas.DataFrame(cut, index=index, columns=names[: cut.shape[1]])

    def _read(self, X: Any, reset: bool) -> NDArray[Any]:
        panel = read_panel(X)
        if panel.flat:
            return validate_data(
                self,
                X,
                reset=reset,
                ensure_all_finite=False,
                ensure_min_features=MIN_LENGTH if reset else 1,
            )
        if reset:
            self.n_features_in_ = panel.n_channels
        else:
            check_channels(panel, getattr(self, "n_features_in_", panel.n_channels), self)
        return panel.values


def as_numpy(values: Any) -> NDArray[Any]:
    """Return the output of a transformer of series as an array ``(n, c, t)``."""
    return np.asarray(read_panel(values, "the transformed X").values)

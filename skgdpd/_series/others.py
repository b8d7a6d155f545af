"""Series in containers of polars, pyarrow, xarray and awkward, without imports of these."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .frames import is_frame, is_table
from .tables import as_table

TIMES = {"t", "time", "times", "time_point", "time_points", "timepoint", "timepoints"}
"""Names of dimensions that mean time."""


def table_values(X: Any, name: str) -> NDArray[np.floating[Any]]:
    """Return the numbers of a table ``(n_rows, n_columns)``; missing values are NaN."""
    table = as_table(X, name)
    return np.stack([table.numbers(each, name) for each in table.names], axis=1)


def plain_form(X: Any, name: str) -> Any:
    """Return series in the container of another package as an array or a list of arrays.

    Parameters
    ----------
    X : object
        Series in any format.
    name : str
        Name of the argument in errors.

    Returns
    -------
    object
        Array or list of arrays, or X itself if its container is not known.

    Raises
    ------
    TypeError
        If the container holds columns that can't be read here, or that are not in memory.
    ValueError
        If the named dimension of time is not the last one.
    """
    package = type(X).__module__.partition(".")[0]
    kind = f"{package}.{type(X).__name__}"
    if is_frame(X):
        return X
    if hasattr(X, "collect") and hasattr(X, "lazy"):
        raise TypeError(f"{name} is a {kind}, whose rows are not read yet; give {name}.collect()")
    if is_table(X):
        return table_values(X, name)
    if hasattr(X, "data_vars"):
        raise TypeError(
            f"{name} is a {kind} of named variables; give one array of them, such as "
            f"{name}.to_dataarray('channel').transpose(..., 'channel', 'time')"
        )
    if package == "awkward":
        return [np.asarray(series) for series in X]
    dimensions = getattr(X, "dims", None)
    if isinstance(dimensions, tuple) and all(isinstance(each, str) for each in dimensions):
        return _of_dimensions(X, dimensions, name, kind)
    if not hasattr(X, "__array__"):
        for protocol in ("__arrow_c_stream__", "__dataframe__"):
            if hasattr(X, protocol):
                raise TypeError(
                    f"{name} is a {kind}, of which only {protocol} is known; give "
                    f"{'pyarrow.table' if 'arrow' in protocol else 'a frame of pandas'} of it"
                )
    return X


def _of_dimensions(X: Any, dimensions: tuple[str, ...], name: str, kind: str) -> NDArray[Any]:
    """Return an array with named dimensions, after a check that time is the last one."""
    times = [each for each in dimensions if each.lower() in TIMES]
    if times and dimensions[-1] not in times:
        order = [*(each for each in dimensions if each != times[-1]), times[-1]]
        raise ValueError(
            f"{name} is a {kind} of the dimensions {dimensions}; the last must be {times[-1]!r}: "
            f"{name}.transpose({', '.join(map(repr, order))})"
        )
    return np.asarray(X)

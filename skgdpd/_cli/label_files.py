"""Files with the labels of series by id."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._series.long import plain
from .._series.tables import Table

SHOWN = 3
"""Largest number of ids that an error names."""


class IdLabels(NamedTuple):
    """Labels by id.

    Attributes
    ----------
    name : str
        Path of the file of labels.
    labels : dict of str to object
        Label of each id; None for a missing label. Ids are strings.
    """

    name: str
    labels: dict[str, Any]

    def of(self, ids: NDArray[Any], path: str) -> NDArray[Any]:
        """Return the labels of series in the order of their ids.

        Parameters
        ----------
        ids : ndarray of shape (n,)
            Ids of the series.
        path : str
            Path of the file of the series, for error messages.

        Returns
        -------
        ndarray of shape (n,)

        Raises
        ------
        ValueError
            If an id is not in the file of labels. Labels without a series are ignored.
        """
        names = [str(id_) for id_ in ids.tolist()]
        if missing := [name for name in names if name not in self.labels]:
            more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
            raise ValueError(
                f"{self.name} has no line for {len(missing)} of the {len(names)} series of "
                f"{path}: {', '.join(map(repr, missing[:SHOWN]))}{more}. Add "
                f"their lines, or leave these series out of {path}"
            )
        found = np.empty(len(names), dtype=object)
        found[:] = [self.labels[name] for name in names]
        return plain(found)


def read_id_labels(table: Table, id: str, label: str) -> IdLabels:
    """Return the labels of a table with a column of ids and a column of labels.

    Parameters
    ----------
    table : Table
        Table with a row for each series, in any order. Other columns are ignored.
    id, label : str
        Names of the columns of ids and of labels.

    Returns
    -------
    IdLabels

    Raises
    ------
    ValueError
        If a column does not exist, or if an id occurs twice.
    """
    for option, name in (("--id", id), ("--label", label)):
        if name not in table.names:
            raise ValueError(
                f"{option} names {name!r}, which is not a column of {table.name}; its columns are "
                f"{table.names}"
            )
    ids, values = table.keys(id, "id"), table.column(label, "label")
    labels: dict[str, Any] = {}
    for row, (key, value, missing) in enumerate(
        zip(ids.tolist(), values.tolist(), table.missing(values).tolist(), strict=True)
    ):
        if str(key) in labels:
            raise ValueError(f"{table.name} has the id {str(key)!r} twice, in {table.where(row)}")
        labels[str(key)] = None if missing else value
    return IdLabels(table.name, labels)

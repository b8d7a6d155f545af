"""Labels of series in a file of their own."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._series.long import plain
from .._series.tables import Table

SHOWN = 3
"""Most ids that an error names."""


class IdLabels(NamedTuple):
    """Labels by id.

    Attributes
    ----------
    name : str
        Path of the file.
    labels : dict of str to object
        Labels, by the texts of ids; None where a label is missing.
    """

    name: str
    labels: dict[str, Any]

    def of(self, ids: NDArray[Any], path: str) -> NDArray[Any]:
        """Return labels in the order of ids.

        Parameters
        ----------
        ids : ndarray of shape (n,)
            Ids of series.
        path : str
            Path of their file, for errors.

        Returns
        -------
        ndarray of shape (n,)

        Raises
        ------
        ValueError
            If an id is not in the file of labels. Ids that are there alone are ignored.
        """
        names = [str(id_) for id_ in ids.tolist()]
        if missing := [name for name in names if name not in self.labels]:
            more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
            raise ValueError(
                f"{self.name} has no line for {len(missing)} of the {len(names)} series of "
                f"{path}: {', '.join(map(repr, missing[:SHOWN]))}{more}"
            )
        found = np.empty(len(names), dtype=object)
        found[:] = [self.labels[name] for name in names]
        return plain(found)


def read_id_labels(table: Table, id: str, label: str) -> IdLabels:
    """Read a table of ids and labels.

    Parameters
    ----------
    table : Table
        A row for each series, in any order; other columns are ignored.
    id, label : str
        Names of the columns of ids and of labels.

    Returns
    -------
    IdLabels

    Raises
    ------
    ValueError
        If a column is not there, or an id comes twice.
    """
    for option, name in (("--id", id), ("--label", label)):
        if name not in table.names:
            raise ValueError(
                f"{option} names {name!r}, which is no column of {table.name}; its columns are "
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

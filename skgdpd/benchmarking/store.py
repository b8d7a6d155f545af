"""Store of results on disk, with one record for each cell."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._runtime.atomic import replace_file
from .cells import Cell
from .lines import from_line, left_out, to_line, whole_lines

FORMAT = 1


@dataclass
class Record:
    """Results of a cell.

    Attributes
    ----------
    cell : Cell
        The cell that was run.
    candidates : list of dict
        A dict for each set of parameters that was tried. It has ``params``, ``valid_loss`` (None
        if the method has no validation part), ``seconds`` by stage, ``n_parameters``, and
        ``metrics`` on the test part. The first candidate with the lowest ``valid_loss`` is
        chosen.
    error : str or None
        The traceback if the cell failed, else None.
    versions : dict of str to str
        The versions of the packages, and the machine.
    """

    cell: Cell
    candidates: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None
    versions: dict[str, str] = field(default_factory=dict)

    def chosen(self, selection: str = "validation") -> dict[str, Any]:
        """Return the chosen candidate.

        Parameters
        ----------
        selection : {"validation", "test"}, default="validation"
            ``"test"`` chooses the candidate with the best AUC-PRC on the *test* part, as in
            published tables. The results are optimistic. Use them only for comparison with those
            tables.

        Returns
        -------
        dict
        """
        if selection == "test":
            return max(self.candidates, key=lambda c: c["metrics"]["auc_prc"])
        return min(
            self.candidates,
            key=lambda c: float("inf") if c["valid_loss"] is None else c["valid_loss"],
        )

    def to_json(self) -> str:
        """Return the record as one line of JSON with a checksum."""
        body = {
            "format": FORMAT,
            "cell": self.cell.to_dict(),
            "candidates": self.candidates,
            "error": self.error,
            "versions": self.versions,
        }
        return to_line(body)

    @classmethod
    def from_json(cls, line: str | bytes) -> Record:
        """Return the record of a line from :meth:`to_json`.

        Parameters
        ----------
        line : str or bytes
            The line.

        Returns
        -------
        Record

        Raises
        ------
        ValueError
            If the line is truncated, was modified, or has another format.
        """
        return cls._from_body(from_line(line))

    @classmethod
    def _from_body(cls, body: dict[str, Any]) -> Record:
        try:
            if body.pop("format") != FORMAT:
                raise ValueError(f"another format than {FORMAT}")
            return cls(**{**body, "cell": Cell(**body["cell"])})
        except (KeyError, TypeError) as error:
            raise ValueError(f"another form of record: {error!r}") from error


class Store:
    """Folder of records, to which several runs may add.

    Processes may write at the same time. Each record is a separate file in ``cells/`` until
    :meth:`pack` writes all records to ``records.jsonl``, which is the file to keep.

    Parameters
    ----------
    folder : path
        The folder. It is created when the first record is written.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def __iter__(self) -> Iterator[Record]:
        found: dict[str, Record] = {}
        places = [self._packed, *sorted((self.folder / "cells").glob("*.json"))]
        for where, body in (line for path in places for line in whole_lines(path)):
            try:
                record = Record._from_body(body)
            except ValueError as error:
                left_out(where, error)
            else:
                found[record.cell.key] = record
        return iter(found.values())

    @property
    def _packed(self) -> Path:
        return self.folder / "records.jsonl"

    def write(self, record: Record) -> None:
        """Write a record, which replaces an older record of the same cell."""
        self._replace(self.folder / "cells" / f"{record.cell.key}.json", record.to_json() + "\n")

    def pack(self) -> int:
        """Write all records to one file, sorted by cell.

        No other process may write to the store at the same time.

        Returns
        -------
        int
            The number of records.
        """
        records = sorted(self, key=lambda record: record.cell)
        self._replace(self._packed, "".join(record.to_json() + "\n" for record in records))
        for record in records:
            (self.folder / "cells" / f"{record.cell.key}.json").unlink(missing_ok=True)
        return len(records)

    def _replace(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text.encode())

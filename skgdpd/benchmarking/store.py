"""Results on disk: one record a cell, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._atomic import replace_file
from .cells import Cell

FORMAT = 1


@dataclass
class Record:
    """What came out of a cell.

    Attributes
    ----------
    cell : Cell
        Which.
    candidates : list of dict
        For each set of parameters that was tried: ``params``, ``valid_loss`` (None where the
        method has no validation part), ``seconds`` by stage, ``n_parameters`` and ``metrics`` on
        the test part. The first with the lowest ``valid_loss`` is the one that counts.
    error : str or None
        The traceback if it failed.
    versions : dict of str to str
        Of what it ran with.
    """

    cell: Cell
    candidates: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None
    versions: dict[str, str] = field(default_factory=dict)

    def chosen(self, selection: str = "validation") -> dict[str, Any]:
        """The candidate that counts.

        Parameters
        ----------
        selection : {"validation", "test"}, default="validation"
            ``"test"`` takes the one with the best AUC-PRC on the *test* part, as published
            tables did: an optimistic figure, for comparison with those only.
        """
        if selection == "test":
            return max(self.candidates, key=lambda c: c["metrics"]["auc_prc"])
        return min(
            self.candidates,
            key=lambda c: float("inf") if c["valid_loss"] is None else c["valid_loss"],
        )

    def to_json(self) -> str:
        """One line, with its own checksum."""
        body = {
            "format": FORMAT,
            "cell": self.cell.to_dict(),
            "candidates": self.candidates,
            "error": self.error,
            "versions": self.versions,
        }
        return json.dumps({**body, "sha256": _digest(body)}, sort_keys=True)

    @classmethod
    def from_json(cls, line: str) -> Record:
        """Read a line back.

        Raises
        ------
        ValueError
            If it is cut off, altered, or of another format.
        """
        body = json.loads(line)
        if not isinstance(body, dict) or body.pop("sha256", None) != _digest(body):
            raise ValueError("the checksum is not the content's")
        if body.pop("format") != FORMAT:
            raise ValueError(f"another format than {FORMAT}")
        return cls(**{**body, "cell": Cell(**body["cell"])})


class Store:
    """A folder of records that a run fills and a later run goes on from.

    Processes may write at the same time. A record is a file of its own in ``cells/`` until
    :meth:`pack` puts all into ``records.jsonl``, which is what one keeps.

    Parameters
    ----------
    folder : path
        Made when the first record is written.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def __iter__(self) -> Iterator[Record]:
        found: dict[str, Record] = {}
        if self._packed.is_file():
            for number, line in enumerate(self._packed.read_text().splitlines(), 1):
                record = _parse(line, f"{self._packed}, line {number}")
                if record is not None:
                    found[record.cell.key] = record
        for path in sorted((self.folder / "cells").glob("*.json")):
            record = _parse(path.read_text(), str(path))
            if record is not None:
                found[record.cell.key] = record
        return iter(found.values())

    @property
    def _packed(self) -> Path:
        return self.folder / "records.jsonl"

    def write(self, record: Record) -> None:
        """Put a record in, in place of an older one of the same cell."""
        self._replace(self.folder / "cells" / f"{record.cell.key}.json", record.to_json() + "\n")

    def pack(self) -> int:
        """Put all records into one file, sorted by cell; returns how many there are.

        No run may be writing meanwhile.
        """
        records = sorted(self, key=lambda record: record.cell)
        self._replace(self._packed, "".join(record.to_json() + "\n" for record in records))
        for record in records:
            (self.folder / "cells" / f"{record.cell.key}.json").unlink(missing_ok=True)
        return len(records)

    def _replace(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text.encode())


def _parse(text: str, where: str) -> Record | None:
    try:
        return Record.from_json(text)
    except (ValueError, KeyError, TypeError) as error:
        warnings.warn(f"{where} is no whole record and is left out: {error}", stacklevel=4)
        return None


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()

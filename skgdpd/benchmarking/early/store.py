"""Store of the comparison: what the models say, and what the rules cost on it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..._runtime.atomic import replace_file
from ..._series.files import read_members
from .cells import EarlyCell
from .models import Fit

ARRAYS = ("time_points", "y", "y_test", "last", "left_out", "path", "moments", "answers")
SMALL = ("left_out", "path")
"""Arrays that are kept in single precision."""


@dataclass(frozen=True)
class EarlyRecord:
    """Scores of a cell, without probabilities.

    Attributes
    ----------
    cell : EarlyCell
        The cell.
    scores : list of dict
        What each rule costs; see :func:`~skgdpd.benchmarking.early.scores.score_fit`.
    seconds : dict of str to float
        CPU seconds of the fit and of the prediction of the test part.
    accuracy : list of float
        Accuracy if all test series were answered at the same moment, by moment. Empty for a
        model that has its own rule.
    shares : list of float
        Share of a series that is seen at each moment.
    """

    cell: EarlyCell
    scores: list[dict[str, Any]]
    seconds: dict[str, float]
    accuracy: list[float]
    shares: list[float]


class EarlyStore:
    """Folder with a file of arrays, or an error, for each fit, and a file of scores.

    A fit is kept as soon as it is done, so that a run goes on after an interruption.

    Parameters
    ----------
    folder : path
        The folder, made when the first file is written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def _place(self, kind: str, cell: EarlyCell, suffix: str) -> Path:
        return self.folder / kind / f"{cell.key}{suffix}"

    def has_fit(self, cell: EarlyCell) -> bool:
        """Return whether a cell has a fit."""
        return self._place("fits", cell, ".npz").is_file()

    def write_fit(self, cell: EarlyCell, fit: Fit) -> None:
        """Write a fit, in place of an older one or of an error, without its scores."""
        content: dict[str, Any] = {
            "n_timepoints": np.array(fit.n_timepoints),
            "seconds": np.array(json.dumps(fit.seconds)),
        }
        for name in ARRAYS:
            value = getattr(fit, name)
            if value is not None:
                content[name] = value.astype(np.float32) if name in SMALL else value
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **content)
        self._place("scores", cell, ".json").unlink(missing_ok=True)
        self._place("errors", cell, ".txt").unlink(missing_ok=True)
        self._write(self._place("fits", cell, ".npz"), buffer.getvalue())

    def read_fit(self, cell: EarlyCell) -> Fit:
        """Return a fit that was written."""
        place = self._place("fits", cell, ".npz")
        content = read_members(place, (*ARRAYS, "n_timepoints", "seconds"))
        arrays: dict[str, Any] = {
            name: content[name].astype(np.float64) if name in SMALL else content[name]
            for name in ARRAYS
            if name in content
        }
        n_timepoints, seconds = int(content["n_timepoints"]), str(content["seconds"])
        for name in SMALL:
            if name in arrays:
                arrays[name] /= arrays[name].sum(2, keepdims=True)
        return Fit(n_timepoints=n_timepoints, seconds=json.loads(seconds), **arrays)

    def write_error(self, cell: EarlyCell, error: str) -> None:
        """Write why a fit or its scores failed."""
        self._write(self._place("errors", cell, ".txt"), error.encode())

    def error(self, cell: EarlyCell) -> str | None:
        """Return why a cell failed; None if it did not, or was not tried."""
        path = self._place("errors", cell, ".txt")
        return path.read_text() if path.is_file() else None

    def write_scores(self, cell: EarlyCell, scores: list[dict[str, Any]]) -> None:
        """Write what rules cost on a cell's fit, in place of an error."""
        self._write(self._place("scores", cell, ".json"), json.dumps(scores).encode())
        self._place("errors", cell, ".txt").unlink(missing_ok=True)

    def scores(self, cell: EarlyCell) -> list[dict[str, Any]] | None:
        """Return what rules cost on a cell's fit; None if it was not computed."""
        path = self._place("scores", cell, ".json")
        return json.loads(path.read_text()) if path.is_file() else None

    def records(self) -> list[EarlyRecord]:
        """Return the records of all cells that have scores, packed or not.

        Returns
        -------
        list of EarlyRecord
            The records, sorted by cell.

        Raises
        ------
        ValueError
            If a file is damaged; the error names it.
        """
        found: dict[str, EarlyRecord] = {}
        if self._packed.is_file():
            for number, line in enumerate(self._packed.read_text().splitlines(), 1):
                with _naming(f"{self._packed}, line {number}"):
                    content = json.loads(line)
                    record = EarlyRecord(**{**content, "cell": EarlyCell(**content["cell"])})
                    found[record.cell.key] = record
        for path in sorted((self.folder / "scores").glob("*.json")):
            with _naming(str(path)):
                data, model, normalize, seed = path.stem.split("--")
                cell = EarlyCell(data, model, normalize, int(seed))
                found[cell.key] = self._record(cell)
        return sorted(found.values(), key=lambda record: record.cell)

    def pack(self) -> int:
        """Write the records of all cells into one file, which is enough for a report.

        Returns
        -------
        int
            The number of records.
        """
        records = self.records()
        lines = [json.dumps(_rounded(asdict(record))) for record in records]
        self._write(self._packed, "".join(f"{line}\n" for line in lines).encode())
        return len(records)

    @property
    def _packed(self) -> Path:
        return self.folder / "scores.jsonl"

    def _record(self, cell: EarlyCell) -> EarlyRecord:
        fit = self.read_fit(cell)
        accuracy: list[float] = []
        if fit.path is not None:
            moments = np.minimum(np.arange(len(fit.time_points)), fit.last[:, None])
            labels = np.take_along_axis(fit.path.argmax(2), moments, axis=1)
            accuracy = (labels == fit.y_test[:, None]).mean(0).tolist()
        shares = (fit.time_points / fit.n_timepoints).tolist()
        return EarlyRecord(cell, self.scores(cell) or [], fit.seconds, accuracy, shares)

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)


@contextmanager
def _naming(where: str) -> Iterator[None]:
    """Name the place of a damaged record in the error."""
    try:
        yield
    except (ValueError, KeyError, TypeError, OSError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{where} is no whole record: {reason}") from error


def _rounded(value: Any) -> Any:
    """Return nested lists and dicts with numbers of six digits."""
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value

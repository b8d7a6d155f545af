"""Store of the comparison: what the models say, and what the rules cost on it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..._runtime.atomic import replace_file
from ..._series.files import read_members
from ..lines import left_out, to_line, whole_lines
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

    def write_fit(self, cell: EarlyCell, fit: Fit) -> Fit:
        """Write a fit, in place of an older one or of an error, without its scores.

        Parameters
        ----------
        cell : EarlyCell
            The cell.
        fit : Fit
            The cell's fit.

        Returns
        -------
        Fit
            The fit as it is read back, with probabilities in single precision.
        """
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
        place = self._place("fits", cell, ".npz")
        self._write(place, buffer.getvalue())
        return self._read_fit(place)

    def fit(self, cell: EarlyCell) -> Fit | None:
        """Return a cell's fit; None if it has none, with a warning if its file is damaged."""
        place = self._place("fits", cell, ".npz")
        if not place.is_file():
            return None
        try:
            return self._read_fit(place)
        except (ValueError, KeyError, TypeError) as error:
            left_out(str(place), error)
            return None

    def _read_fit(self, place: Path) -> Fit:
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
        return path.read_text(errors="replace") if path.is_file() else None

    def write_scores(self, cell: EarlyCell, scores: list[dict[str, Any]]) -> None:
        """Write what rules cost on a cell's fit, in place of an error."""
        line = to_line({"scores": scores})
        self._write(self._place("scores", cell, ".json"), line.encode())
        self._place("errors", cell, ".txt").unlink(missing_ok=True)

    def scores(self, cell: EarlyCell) -> list[dict[str, Any]] | None:
        """Return what rules cost on a cell's fit; None if it was not computed, or is damaged."""
        for _, body in whole_lines(self._place("scores", cell, ".json")):
            return body.get("scores")
        return None

    def records(self) -> list[EarlyRecord]:
        """Return the records of all cells that have scores, packed or not, sorted by cell.

        Returns
        -------
        list of EarlyRecord
            The records. Those that are damaged are left out, with a warning.
        """
        found: dict[str, EarlyRecord] = {}
        for where, content in whole_lines(self._packed):
            try:
                record = EarlyRecord(**{**content, "cell": EarlyCell(**content["cell"])})
            except (KeyError, TypeError, ValueError) as error:
                left_out(where, error)
            else:
                found[record.cell.key] = record
        for cell in self._scored():
            fit, scores = self.fit(cell), self.scores(cell)
            if fit is not None and scores is not None:
                found[cell.key] = _record(cell, fit, scores)
        return sorted(found.values(), key=lambda record: record.cell)

    def pack(self) -> int:
        """Write the records of all cells into one file, which is enough for a report.

        Returns
        -------
        int
            The number of records.
        """
        records = self.records()
        lines = [to_line(_rounded(asdict(record))) for record in records]
        self._write(self._packed, "".join(f"{line}\n" for line in lines).encode())
        return len(records)

    @property
    def _packed(self) -> Path:
        return self.folder / "scores.jsonl"

    def _scored(self) -> Iterator[EarlyCell]:
        for path in sorted((self.folder / "scores").glob("*.json")):
            try:
                data, model, normalize, seed = path.stem.split("--")
                yield EarlyCell(data, model, normalize, int(seed))
            except ValueError as error:
                left_out(str(path), error)

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)


def _record(cell: EarlyCell, fit: Fit, scores: list[dict[str, Any]]) -> EarlyRecord:
    accuracy: list[float] = []
    if fit.path is not None:
        moments = np.minimum(np.arange(len(fit.time_points)), fit.last[:, None])
        labels = np.take_along_axis(fit.path.argmax(2), moments, axis=1)
        accuracy = (labels == fit.y_test[:, None]).mean(0).tolist()
    shares = (fit.time_points / fit.n_timepoints).tolist()
    return EarlyRecord(cell, scores, fit.seconds, accuracy, shares)


def _rounded(value: Any) -> Any:
    """Return nested lists and dicts with numbers of six digits."""
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value

"""Store of the comparison: fits of the models, and scores of the rules."""

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
"""Arrays that are stored in single precision."""


@dataclass(frozen=True)
class EarlyRecord:
    """Scores of a cell, without probabilities.

    Attributes
    ----------
    cell : EarlyCell
        The cell.
    scores : list of dict
        Scores of each rule; see :func:`~skgdpd.benchmarking.early.scores.score_fit`.
    seconds : dict of str to float
        CPU seconds of the fit and of the prediction of the test part.
    accuracy : list of float
        Accuracy at each moment if all test series are classified at this moment. Empty for a
        model with its own rule.
    shares : list of float
        Fraction of a series that is observed at each moment.
    """

    cell: EarlyCell
    scores: list[dict[str, Any]]
    seconds: dict[str, float]
    accuracy: list[float]
    shares: list[float]


class EarlyStore:
    """Folder with files of each fit: its arrays or its error, and its scores.

    A fit is stored as soon as it is finished, so that a run can continue after an interruption.

    Parameters
    ----------
    folder : path
        The folder. It is created when the first file is written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def _place(self, kind: str, cell: EarlyCell, suffix: str) -> Path:
        return self.folder / kind / f"{cell.key}{suffix}"

    def write_fit(self, cell: EarlyCell, fit: Fit) -> Fit:
        """Write a fit without scores, which replaces an older fit or an error.

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
        """Return the fit of a cell; None if there is none or, with a warning, if it is damaged."""
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
        """Write the error of a fit or of its scores."""
        self._write(self._place("errors", cell, ".txt"), error.encode())

    def error(self, cell: EarlyCell) -> str | None:
        """Return the error of a cell; None if the cell did not fail or was not run."""
        path = self._place("errors", cell, ".txt")
        return path.read_text(errors="replace") if path.is_file() else None

    def write_scores(self, cell: EarlyCell, scores: list[dict[str, Any]]) -> None:
        """Write the scores of a cell, which replace an error."""
        line = to_line({"scores": scores})
        self._write(self._place("scores", cell, ".json"), line.encode())
        self._place("errors", cell, ".txt").unlink(missing_ok=True)

    def scores(self, cell: EarlyCell) -> list[dict[str, Any]] | None:
        """Return the scores of a cell; None if they were not computed or are damaged."""
        for _, body in whole_lines(self._place("scores", cell, ".json")):
            return body.get("scores")
        return None

    def records(self) -> list[EarlyRecord]:
        """Return the records of all cells that have scores, packed or not, sorted by cell.

        Returns
        -------
        list of EarlyRecord
            The records. Damaged records are left out with a warning.
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
        """Write the records of all cells to one file, which is sufficient for a report.

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
    """Return nested lists and dicts with numbers rounded to six digits."""
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value

"""Lines of JSON with a checksum, so that intact lines of a damaged file can still be read."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def to_line(body: dict[str, Any]) -> str:
    """Return a dict as one line of JSON with a checksum, without a line break."""
    return json.dumps({**body, "sha256": _digest(body)}, sort_keys=True)


def from_line(line: str | bytes) -> dict[str, Any]:
    """Return the dict of a line from :func:`to_line`.

    Parameters
    ----------
    line : str or bytes
        The line.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If the line is truncated or modified.
    """
    try:
        body = json.loads(line)
    except RecursionError as error:
        raise ValueError("it is nested without end") from error
    if not isinstance(body, dict) or body.pop("sha256", None) != _digest(body):
        raise ValueError("the checksum is not the content's")
    return body


def whole_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the position and the dict of each line of a file, and warn about damaged lines.

    Parameters
    ----------
    path : Path
        The file. If it doesn't exist, there are no lines.

    Yields
    ------
    where : str
        The file and the line number, for messages.
    body : dict
        The content of the line.
    """
    if not path.is_file():
        return
    # Split as bytes: a damaged byte may be no text, or look like another end of a line.
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if line.strip():
            where = f"{path}, line {number}"
            try:
                yield where, from_line(line)
            except ValueError as error:
                left_out(where, error)


def left_out(where: str, error: Exception) -> None:
    """Warn that a record could not be read."""
    warnings.warn(f"{where} is not a complete record and is left out: {error}", stacklevel=4)


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()

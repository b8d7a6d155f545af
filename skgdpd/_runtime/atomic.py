"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path


def write_part(path: Path, content: bytes) -> Path:
    """Write a file's new content into another file beside it, down to the disk.

    Parameters
    ----------
    path : Path
        The file to be replaced.
    content : bytes
        The new content.

    Returns
    -------
    Path
        The other file; nothing is left of it if writing it failed.
    """
    part = path.with_name(f"{path.stem}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    return part


def replace_file(path: Path, content: bytes) -> None:
    """Write a file at once, so that readers find its old content or all of the new."""
    part = write_part(path, content)
    try:
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise

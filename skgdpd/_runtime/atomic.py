"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

LONGEST_STEM = 150
"""Number of bytes of a file's name at most that the name of its part begins with."""


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
    # Cut, as the name of the part may be no longer than a system allows, 255 bytes mostly.
    stem = path.stem.encode(errors="surrogateescape")[:LONGEST_STEM].decode(errors="ignore")
    part = path.with_name(f"{stem}.{os.getpid()}-{threading.get_ident()}.part")
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

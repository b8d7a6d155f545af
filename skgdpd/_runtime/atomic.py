"""Files that are written completely or not at all."""

from __future__ import annotations

import glob
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LONGEST_STEM = 150
"""Maximum number of bytes of a file's name that are used in the name of its temporary file."""

HOST = "".join(c if c.isascii() and c.isalnum() else "_" for c in platform.node())[:40]
"""Name of this machine, because processes of other machines may write into the same folder."""


def write_part(path: Path, content: bytes) -> Path:
    """Write the new content of a file to a temporary file beside it, and flush it to disk.

    Temporary files that dead processes left behind are removed first.

    Parameters
    ----------
    path : Path
        The file to be replaced.
    content : bytes
        The new content.

    Returns
    -------
    Path
        The temporary file. It is removed if writing fails.
    """
    # Cut, as the name of the part may be no longer than a system allows, 255 bytes mostly.
    stem = path.stem.encode(errors="surrogateescape")[:LONGEST_STEM].decode(errors="ignore")
    remove_dead_parts(path.parent, stem)
    part = path.with_name(f"{stem}.{HOST}-{os.getpid()}-{threading.get_ident()}.part")
    try:
        with _named_in_errors(path), part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    return part


def replace_file(path: Path, content: bytes) -> None:
    """Write a file atomically: readers find either the old or the complete new content."""
    part = write_part(path, content)
    try:
        with _named_in_errors(path):
            part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


@contextmanager
def _named_in_errors(path: Path) -> Iterator[None]:
    """Add the name of a file to system errors that don't name it, such as a full disk."""
    try:
        yield
    except OSError as error:
        # An error without a number would be shown without its message.
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise


def remove_dead_parts(folder: Path, stem: str) -> None:
    """Remove temporary files of dead processes of this machine.

    Parameters
    ----------
    folder : Path
        Folder of the file.
    stem : str
        Beginning of the names of the temporary files.
    """
    if os.name == "nt":  # which has no way to ask for a process without harm
        return
    for part in folder.glob(f"{glob.escape(stem)}.{HOST}-*-*.part"):
        pid = part.name.removeprefix(f"{stem}.{HOST}-").partition("-")[0]
        if pid.isdecimal() and not _is_alive(int(pid)):
            with suppress(OSError):
                part.unlink()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it belongs to somebody else
        return True
    return True

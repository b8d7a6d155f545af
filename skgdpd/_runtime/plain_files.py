"""Files that come from elsewhere, of which plain ones are read."""

from __future__ import annotations

import os
import stat
from typing import BinaryIO

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}
"""What is no plain file, in words."""


class NotAPlainFileError(OSError):
    """Error for a path that leads to a folder, a device, a pipe, a socket or a refused link."""


def open_plain(path: str | os.PathLike[str], *, follow_links: bool = False) -> BinaryIO:
    """Open a plain file for reading.

    A device may have no end, and a pipe may never have a writer; neither is opened.

    Parameters
    ----------
    path : str or path
        Path of the file.
    follow_links : bool, default=False
        Whether the path may be a link to a plain file.

    Returns
    -------
    file
        Open file.

    Raises
    ------
    FileNotFoundError
        If there is nothing of this name.
    NotAPlainFileError
        If it is no plain file.
    """
    if not follow_links and os.path.islink(path):
        raise NotAPlainFileError(
            f"{path} is a link; give the name of the file that it leads to, "
            f"{os.path.realpath(path)}"
        )
    _check_kind(path, os.stat(path))
    # Not blocking and checked again, as another process may have put something else there.
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    if not follow_links:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    file = open(os.open(path, flags), "rb")
    try:
        _check_kind(path, os.fstat(file.fileno()))
    except BaseException:
        file.close()
        raise
    return file


def read_plain(path: str | os.PathLike[str], *, follow_links: bool = False) -> bytes:
    """Read a plain file, up to the length that it has when it is opened.

    Parameters
    ----------
    path : str or path
        Path of the file.
    follow_links : bool, default=False
        Whether the path may be a link to a plain file.

    Returns
    -------
    bytes
        Content of the file.

    Raises
    ------
    FileNotFoundError, NotAPlainFileError
        As :func:`open_plain`.
    """
    with open_plain(path, follow_links=follow_links) as file:
        return file.read(os.fstat(file.fileno()).st_size)


def _check_kind(path: str | os.PathLike[str], info: os.stat_result) -> None:
    if not stat.S_ISREG(info.st_mode):
        kind = KINDS.get(stat.S_IFMT(info.st_mode), "something else")
        raise NotAPlainFileError(f"{path} is {kind}, not a plain file")

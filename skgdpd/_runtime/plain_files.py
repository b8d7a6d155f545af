"""Reading of files from other sources, which must be regular files."""

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
"""Names of the kinds of files that are not regular files."""


class NotAPlainFileError(OSError):
    """Error for a path that is a folder, a device, a pipe, a socket or a link."""


def open_plain(path: str | os.PathLike[str], *, follow_links: bool = False) -> BinaryIO:
    """Open a regular file for reading.

    Devices and pipes are not opened, because a device may have no end, and a pipe may never get a
    writer.

    Parameters
    ----------
    path : str or path
        Path of the file.
    follow_links : bool, default=False
        Whether the path may be a link to a regular file.

    Returns
    -------
    file
        Open file.

    Raises
    ------
    FileNotFoundError
        If the path doesn't exist.
    NotAPlainFileError
        If the path is not a regular file.
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
    """Read a regular file, up to the length that it has when it is opened.

    Parameters
    ----------
    path : str or path
        Path of the file.
    follow_links : bool, default=False
        Whether the path may be a link to a regular file.

    Returns
    -------
    bytes
        Content of the file.

    Raises
    ------
    FileNotFoundError, NotAPlainFileError
        For the reasons of :func:`open_plain`.
    """
    with open_plain(path, follow_links=follow_links) as file:
        return file.read(os.fstat(file.fileno()).st_size)


def _check_kind(path: str | os.PathLike[str], info: os.stat_result) -> None:
    if not stat.S_ISREG(info.st_mode):
        kind = KINDS.get(stat.S_IFMT(info.st_mode), "something else")
        raise NotAPlainFileError(f"{path} is {kind}, not a plain file")

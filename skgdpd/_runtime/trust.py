"""Checks that only the user can write to a folder of pickles, which run code when loaded."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def check_private(folder: str | os.PathLike[str], name: str) -> None:
    """Raise an error for a folder of pickles to which other users can write.

    Anyone who can write to the folder can run code in the process that reads it. The check covers
    owner and mode of the folder, of its content and of its parent folders. It does not cover
    access control lists. Nothing is checked on Windows, which has no such owners and modes.

    Parameters
    ----------
    folder : str or path
        The folder. It need not exist.
    name : str
        Name of the parameter that holds the folder, for the error.

    Raises
    ------
    ValueError
        If other users can write to the folder.
    """
    if not hasattr(os, "getuid"):
        return
    top = Path(os.path.realpath(folder))
    for around in top.parents:
        info = _info(around)
        # In a sticky folder, such as /tmp, nobody can put away what belongs to others.
        if info is not None and info.st_mode & stat.S_IWOTH and not info.st_mode & stat.S_ISVTX:
            raise ValueError(_message(name, folder, around, "everyone can write into it"))
    for path in _all_in(top):
        info = _info(path)
        if info is not None and (who := _others_who_write(info)):
            raise ValueError(_message(name, folder, path, who))


def _all_in(top: Path) -> list[str]:
    """Return the paths of a folder and of its content; links are not followed."""
    found = [str(top)]
    for root, folders, files in os.walk(top):
        found += [os.path.join(root, inner) for inner in (*folders, *files)]
    return found


def _info(path: str | os.PathLike[str]) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:  # not there, or just put away by another process
        return None


def _others_who_write(info: os.stat_result) -> str | None:
    """Return a description of who can write, apart from this user and the administrator."""
    if info.st_uid not in (0, os.getuid()):
        return "it belongs to another user"
    if info.st_mode & stat.S_IWOTH:
        return "everyone can write into it"
    if info.st_mode & stat.S_IWGRP and not _is_own_group(info.st_gid):
        return "a group can write into it"
    return None


def _is_own_group(gid: int) -> bool:
    """Return whether the user is the only member of a group, judged by name and members."""
    import grp
    import pwd

    try:
        user = pwd.getpwuid(os.getuid()).pw_name
        group = grp.getgrgid(gid)
    except KeyError:  # the system can't tell
        return True
    return group.gr_name in (user, "root") and set(group.gr_mem) <= {user, "root"}


def _message(name: str, folder: object, path: object, who: str) -> str:
    return (
        f"{name}={str(folder)!r} holds pickles, which run code when they are read, and {path} "
        f"can't be trusted: {who}. Take a folder of your own, or put this right with chmod -R "
        f"go-w, and clear it if someone else may have written into it"
    )

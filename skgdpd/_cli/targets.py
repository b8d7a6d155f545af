"""Files to write, which must not be files that are read."""

from __future__ import annotations

import os


def check_apart(out: str | None, read: list[str | None]) -> None:
    """Raise an error if the file to write is one of the files that are read.

    Parameters
    ----------
    out : str or None
        Path of the file to write; None if there is none.
    read : list of str or None
        Paths of the files that are read.

    Raises
    ------
    ValueError
        If a path leads to the same file as ``out``, by another name or a link, too.
    """
    if out is None or not os.path.exists(out):
        return
    for path in read:
        if path is not None and os.path.exists(path) and os.path.samefile(path, out):
            raise ValueError(
                f"--out {out} is a file that this command reads, and would be overwritten; give "
                f"another name"
            )

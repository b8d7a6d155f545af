"""States of unfinished trainings on disk, from which a killed fit goes on."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path

from .._runtime.atomic import write_part
from .._runtime.plain_files import read_plain
from .._runtime.warn import warn_user
from .run import TrainingRun
from .state import TrainingState

CHECKPOINT_SECONDS = 10.0
"""Least time between two checkpoints of a run: writing one takes some hundredths of a second."""

DIGEST_SIZE = 32
"""Length in bytes of the digest at a file's start, which shows whether the rest is whole."""


class Checkpoints:
    """Checkpoints of one fit, a file for each of its trainings.

    Parameters
    ----------
    folder : str or path
        Folder of the files, made if there is none. Fits may share it: a file's name is a
        fingerprint of everything that its training depends on, and a fit leaves the files of
        others alone.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._paths: list[Path] = []

    def follow(self, run: TrainingRun, key: str | None) -> None:
        """Restore a run's last checkpoint if there is one, and write its state from now on.

        Parameters
        ----------
        run : TrainingRun
            The run, at its start.
        key : str or None
            The run's fingerprint. None, if it has none, writes no checkpoints.
        """
        if key is None:
            warn_user(
                "checkpoint_dir is of no use here: a later fit could not be recognised as the "
                "same. Either the network holds something that can't be pickled, a lambda "
                "perhaps: replace it by a named function; or the series are too many for memory "
                "and are read for each batch"
            )
            return
        path = self.folder / f"{key}.checkpoint"
        self._paths.append(path)
        self._restore(run, path)
        last = time.monotonic()

        def save(run: TrainingRun) -> None:
            nonlocal last
            if time.monotonic() - last >= CHECKPOINT_SECONDS or run.is_over:
                try:
                    _write(run, path)
                except OSError as error:
                    warn_user(
                        f"no checkpoint could be written to {path} ({error}); the training goes on"
                    )
                last = time.monotonic()

        run.after_epoch = save

    def remove(self) -> None:
        """Remove the files of this fit."""
        for path in self._paths:
            for file in (path, *self.folder.glob(f"{path.stem}.*.part")):
                # Another process may be at the same training, and just be writing one.
                with suppress(OSError):
                    file.unlink()
        self._paths.clear()

    def _restore(self, run: TrainingRun, path: Path) -> None:
        try:
            content = read_plain(path)
        except FileNotFoundError:
            return
        except OSError as error:
            _put_aside(path, f"can't be read ({error})")
            return
        digest, content = content[:DIGEST_SIZE], content[DIGEST_SIZE:]
        if _digest(path, content) != digest:
            _put_aside(path, "is damaged, or another training's")
            return
        start = run.state()
        try:
            run.restore(TrainingState.from_bytes(content))
        except Exception as error:  # whatever torch and networks raise for states of another kind
            run.restore(start)
            first = str(error).partition("\n")[0]
            _put_aside(path, f"holds no state of this training ({type(error).__name__}: {first})")


def _write(run: TrainingRun, path: Path) -> None:
    content = run.state().to_bytes()
    part = write_part(path, _digest(path, content) + content)
    try:
        part.replace(path)
    except FileNotFoundError:  # removed by another process that has ended this training
        pass
    except OSError:
        part.unlink()
        raise


def _digest(path: Path, content: bytes) -> bytes:
    """Return the digest of a checkpoint, which belongs to its name, too."""
    return hashlib.sha256(path.stem.encode() + content).digest()


def _put_aside(path: Path, why: str) -> None:
    """Give a checkpoint that is of no use another name, and say so."""
    aside = path.with_suffix(".unusable")
    try:
        path.replace(aside)
        where = f"it is now {aside.name}"
    except OSError as error:
        where = f"it can't be put aside ({error})"
    warn_user(f"the checkpoint {path} {why}; {where}, and the training starts anew")

"""Checkpoints: states of unfinished trainings on disk, from which a killed fit can continue."""

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
"""Minimum time in seconds between two checkpoints of a run, because writing takes time."""

DIGEST_SIZE = 32
"""Length in bytes of the digest at the start of a file, which shows whether the rest is intact."""


class Checkpoints:
    """Checkpoints of one fit, with one file for each of its trainings.

    Parameters
    ----------
    folder : str or path
        Folder of the files. It is created if it doesn't exist. Several fits may share a folder:
        the name of a file is a fingerprint of everything that affects the training, and a fit
        does not touch the files of others.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._paths: list[Path] = []

    def follow(self, run: TrainingRun, key: str | None) -> None:
        """Restore the last checkpoint of a run, if any, and write checkpoints from now on.

        Parameters
        ----------
        run : TrainingRun
            The run, at its start.
        key : str or None
            Fingerprint of the run. None means that the run has no fingerprint and writes no
            checkpoints.
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
    """Return the digest of the name and the content of a checkpoint."""
    return hashlib.sha256(path.stem.encode() + content).digest()


def _put_aside(path: Path, why: str) -> None:
    """Rename a checkpoint that can't be used, and warn."""
    aside = path.with_suffix(".unusable")
    try:
        path.replace(aside)
        where = f"it is now {aside.name}"
    except OSError as error:
        where = f"it can't be put aside ({error})"
    warn_user(f"the checkpoint {path} {why}; {where}, and the training starts anew")

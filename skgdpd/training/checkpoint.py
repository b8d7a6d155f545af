"""States of unfinished trainings on disk, so that a killed fit goes on where it was."""

from __future__ import annotations

import hashlib
import os
import time
import warnings
from contextlib import suppress
from pathlib import Path

from .._atomic import write_part
from .run import TrainingRun
from .state import TrainingState

CHECKPOINT_SECONDS = 10.0
"""Least time between two checkpoints of a run: writing one takes some hundredths of a second."""

DIGEST_SIZE = 32
"""Bytes at a file's start that tell whether the rest is whole."""


class Checkpoints:
    """The checkpoints of one fit, a file for each of its trainings.

    Parameters
    ----------
    folder : str or path
        Made if there is none. Fits may share it: files are named by a fingerprint of all that a
        training depends on, and those of others are left alone.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._paths: list[Path] = []

    def follow(self, run: TrainingRun, key: str | None) -> None:
        """Bring a run to where it once was, and write its state from now on.

        Parameters
        ----------
        run : TrainingRun
            At its start.
        key : str or None
            Its fingerprint; None if it has none, and then there is no checkpoint.
        """
        if key is None:
            warnings.warn(
                "checkpoint_dir is of no use here: a later fit could not be recognised as the "
                "same. Either the network holds something that can't be pickled, a lambda "
                "perhaps: replace it by a named function; or the series are too many for memory "
                "and are read for each batch",
                UserWarning,
                stacklevel=2,
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
                    warnings.warn(
                        f"no checkpoint could be written to {path} ({error}); the training goes "
                        f"on",
                        UserWarning,
                        stacklevel=2,
                    )
                last = time.monotonic()

        run.after_epoch = save

    def remove(self) -> None:
        """Remove this fit's files."""
        for path in self._paths:
            for file in (path, *self.folder.glob(f"{path.stem}.*.part")):
                # Another process may be at the same training, and just be writing one.
                with suppress(OSError):
                    file.unlink()
        self._paths.clear()

    def _restore(self, run: TrainingRun, path: Path) -> None:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return
        digest, content = content[:DIGEST_SIZE], content[DIGEST_SIZE:]
        if hashlib.sha256(content).digest() != digest:
            warnings.warn(
                f"the checkpoint {path} is damaged; the training starts anew",
                UserWarning,
                stacklevel=2,
            )
            return
        run.restore(TrainingState.from_bytes(content))


def _write(run: TrainingRun, path: Path) -> None:
    content = run.state().to_bytes()
    part = write_part(path, hashlib.sha256(content).digest() + content)
    with suppress(FileNotFoundError):  # removed by another process that has ended this training
        part.replace(path)

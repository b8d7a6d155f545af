"""Unbuffered input and output of lines for a stream, and signals that end it."""

from __future__ import annotations

import os
import select
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

READ = 1 << 20
"""Largest number of bytes that are read or written at once."""


class StopSignals:
    """Context in which SIGTERM and SIGINT end a stream between two of its steps.

    Within the ``with`` block, a signal is recorded, and it interrupts :meth:`wait`. After the
    first signal, both signals have their former effects again, so that a second signal ends a
    program that hangs. Outside the main thread, Python allows no signal handlers, so signals keep
    their former effects there.

    Attributes
    ----------
    number : int or None
        Number of the signal; None before a signal.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}
        self._woken = -1

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            self._woken, self._wake = os.pipe()
            os.set_blocking(self._wake, False)
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()
        if self._woken >= 0:
            os.close(self._woken)
            os.close(self._wake)
            self._woken = -1

    def wait(self, descriptor: int, seconds: float | None) -> bool:
        """Wait for input.

        Parameters
        ----------
        descriptor : int
            File descriptor of an open file.
        seconds : float or None
            Longest time to wait, in seconds. None means no limit.

        Returns
        -------
        bool
            True if there is input, or if the input has ended. False after a signal, or when the
            time is over.
        """
        if os.name != "posix":  # elsewhere, select only works with sockets
            return self.number is None
        if self.number is not None:
            return False
        watched = [descriptor] if self._woken < 0 else [descriptor, self._woken]
        ready = select.select(watched, [], [], seconds)[0]
        return self.number is None and descriptor in ready

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self._restore()
        os.write(self._wake, b"\0")

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


class LineInput:
    """Reader of the lines of an open file, which returns lines as soon as they arrive.

    Parameters
    ----------
    descriptor : int
        File descriptor of the open file.

    Attributes
    ----------
    ended : bool
        Whether the end of the file has been reached.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.ended = False
        self._rest: list[bytes] = []

    def read(self) -> list[bytes]:
        """Return all complete lines that have arrived, and at the end also an incomplete one."""
        found = os.read(self.descriptor, READ)
        if not found:
            self.ended = True
            last = b"".join(self._rest)
            self._rest = []
            return [last] if last else []
        *lines, rest = found.split(b"\n")
        if lines:
            lines[0] = b"".join([*self._rest, lines[0]])
            self._rest = []
        if rest:
            self._rest.append(rest)
        return lines


def write_lines(descriptor: int, lines: list[str]) -> None:
    """Write lines to an open file without a buffer, and remove the written lines from the list.

    Parameters
    ----------
    descriptor : int
        File descriptor of the open file.
    lines : list of str
        Lines to write. If an error is raised, the lines that were not completely written stay in
        the list.
    """
    content = [line.encode() for line in lines]
    text = b"".join(content)
    n_written = 0
    try:
        while n_written < len(text):
            n_written += os.write(descriptor, text[n_written : n_written + READ])
    finally:
        for part in content:
            n_written -= len(part)
            if n_written < 0:
                break
            del lines[0]

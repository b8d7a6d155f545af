"""Start and end of the package's programs: handling of interrupts, and exit statuses."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

PARTLY_FAILED = 1
"""Exit status of a program that finished although parts of its work failed."""
USAGE_ERROR = 2
INTERRUPTED = 130
BROKEN_PIPE = 141


def start(module: str) -> int:
    """Import the module of a program and call its ``main``.

    An interrupt during the shutdown of the interpreter ends the process at once by the signal
    itself, which shells report as 130.

    Parameters
    ----------
    module : str
        Full name of the module.

    Returns
    -------
    int
        Exit status.
    """
    heeded = _heeds_interrupts()
    status = exit_status(lambda: int(import_promptly(module).main()))
    if heeded:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    return status


def import_promptly(module: str) -> Any:
    """Import a module of a program.

    An interrupt during the import ends the process at once by the signal itself. An exception
    would be delayed by the library that is being loaded, and imported packages could catch it.

    Parameters
    ----------
    module : str
        Full name of the module.

    Returns
    -------
    module
    """
    if not _heeds_interrupts():
        return import_module(module)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return import_module(module)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _heeds_interrupts() -> bool:
    """Return whether an interrupt raises KeyboardInterrupt here."""
    # A shell lets a program in its background ignore interrupts; that is left as it is.
    handled = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return handled and threading.current_thread() is threading.main_thread()


def exit_status(work: Callable[[], int]) -> int:
    """Run the work of a program, and report in one line on standard error what stopped it.

    Parameters
    ----------
    work : callable
        The work, which returns an exit status.

    Returns
    -------
    int
        Exit status of the work; 2 if its arguments or data are invalid, 130 after an interrupt,
        and 141 if the pipe of the output was closed.
    """
    try:
        try:
            return work()
        finally:
            if sys.stdout is not None:  # as it is where the output is closed
                sys.stdout.flush()
    except BrokenPipeError:
        # As after "| head". Without this, Python would print an error when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (ValueError, OSError, ImportError, FloatingPointError) as error:
        print(f"skgdpd: {error}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print("skgdpd: interrupted", file=sys.stderr)
        return INTERRUPTED

"""One progress bar for a whole fit: teacher, prior and student."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from skorch import NeuralNet

LINE_SECONDS = 10.0
"""Minimum time in seconds between two lines of output without a terminal."""


class Progress:
    """Progress bar of a fit, in units of one epoch of the student.

    Parameters
    ----------
    total : float
        Number of units of the whole fit. A fit that needs fewer is complete at its end, too.
    visible : bool
        Whether to show progress on standard error. Terminals and notebooks get a bar. Other
        outputs get a line every ten seconds and a line at the end.

    Attributes
    ----------
    done : float
        Number of units counted so far.

    Examples
    --------
    >>> with Progress(total=3, visible=False) as progress:
    ...     progress.stage("student")
    ...     progress.advance(1, {"loss": 0.5})
    """

    def __init__(self, total: float, visible: bool) -> None:
        self.done = 0.0
        self._bar = _make_bar(total) if visible else None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            if kind is None:
                self._bar.update(self._bar.total - self._bar.n)
            self._bar.close()

    def stage(self, name: str) -> None:
        """Show the name of the stage that begins now."""
        if self._bar is not None:
            self._bar.set_description(name, refresh=False)

    def begin_epoch(self, net: NeuralNet) -> None:
        """Handle the start of an epoch of a net; this class does nothing."""

    def end_epoch(self, net: NeuralNet, units: float, values: Mapping[str, float]) -> bool:
        """Count an epoch of a net and show its values; return whether to end training."""
        self.advance(units, values)
        return False

    def advance(self, units: float, values: Mapping[str, float] | None = None) -> None:
        """Count finished units of work, and show values."""
        self.done += units
        if self._bar is not None:
            if values:
                shown = ", ".join(
                    f"{name} {value}" if isinstance(value, int) else f"{name} {value:.3g}"
                    for name, value in values.items()
                )
                self._bar.set_postfix_str(shown, refresh=False)
            # Parts of units don't add up exactly, and tqdm warns beyond its total.
            units = min(units, self._bar.total - self._bar.n)
            if self._bar.n:
                self._bar.update(units)
            else:
                self._bar.begin(units)


class _Lines:
    """Progress as lines of text, for outputs on which a bar can't be redrawn."""

    def __init__(self, total: float) -> None:
        self.total, self.n = total, 0.0
        self._first = 0.0
        self._stage = self._values = self._shown = ""
        self._start = self._last = self._begun = time.monotonic()

    def set_description(self, stage: str, refresh: bool) -> None:
        self._stage = stage

    def set_postfix_str(self, values: str, refresh: bool) -> None:
        self._values = values

    def begin(self, units: float) -> None:
        """Count the first units, which took the time of all preparation, too."""
        self._first, self._begun = units, time.monotonic()
        self.update(units)

    def update(self, units: float) -> None:
        self.n += units
        if time.monotonic() - self._last >= LINE_SECONDS:
            self._write()

    def close(self) -> None:
        self._write()

    def _write(self) -> None:
        self._last = time.monotonic()
        passed = self._last - self._start
        done = self.n - self._first
        left = (self._last - self._begun) * (self.total - self.n) / done if done else float("inf")
        if self.n >= self.total:
            left = 0.0
        share = 100 * self.n / self.total if self.total else 100
        parts = (f"{self._stage} {share:.0f}%", f"{_clock(passed)}<{_clock(left)}", self._values)
        line = ", ".join(part for part in parts if part)
        if line != self._shown:
            print(line, file=sys.stderr, flush=True)
        self._shown = line


def _make_bar(total: float) -> Any:
    if not (sys.stderr.isatty() or _in_notebook()):
        return _Lines(total)
    # Imported here, as the import warns in a notebook without widgets.
    from tqdm.auto import tqdm

    class Bar(tqdm):
        def begin(self, units: float) -> None:
            """Count the first units, which took the time of all preparation, too."""
            self.n = self.initial = self.last_print_n = units
            self.last_print_t = time.time()
            self.refresh()

    return Bar(total=total, bar_format=_FORMAT, dynamic_ncols=True)


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", ())


def _clock(seconds: float) -> str:
    """Return a time as minutes and seconds, with hours if any, in the format of the bar."""
    if seconds == float("inf"):
        return "?"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"


class PartOfProgress(Progress):
    """Progress of a part of a fit, shown on the bar of the whole fit.

    Parameters
    ----------
    whole : Progress
        The bar of the whole fit.
    scale : float
        Units of the whole bar for each unit of the part.
    """

    def __init__(self, whole: Progress, scale: float) -> None:
        super().__init__(0, visible=False)
        self._whole = whole
        self._scale = scale

    def stage(self, name: str) -> None:
        self._whole.stage(name)

    def begin_epoch(self, net: NeuralNet) -> None:
        self._whole.begin_epoch(net)

    def end_epoch(self, net: NeuralNet, units: float, values: Mapping[str, float]) -> bool:
        self.done += units
        return self._whole.end_epoch(net, units * self._scale, values)

    def advance(self, units: float, values: Mapping[str, float] | None = None) -> None:
        self.done += units
        self._whole.advance(units * self._scale, values)


_FORMAT = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"

SILENT = Progress(0, visible=False)
"""Progress that shows nothing."""

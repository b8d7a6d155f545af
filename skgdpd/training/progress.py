"""One progress bar for a whole fit: teacher, prior and student."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from skorch import NeuralNet
from tqdm.auto import tqdm


class Progress:
    """Counts units of work, an epoch of a student being one; silent unless asked to show.

    Parameters
    ----------
    total : float
        Units in all.
    visible : bool
        Whether to show a bar, on standard error.

    Attributes
    ----------
    done : float
        Units counted so far.

    Examples
    --------
    >>> with Progress(total=3, visible=False) as progress:
    ...     progress.stage("student")
    ...     progress.advance(1, {"loss": 0.5})
    """

    def __init__(self, total: float, visible: bool) -> None:
        self.done = 0.0
        self._bar = tqdm(total=total, bar_format=_FORMAT, dynamic_ncols=True) if visible else None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def stage(self, name: str) -> None:
        """Say what is being done now."""
        if self._bar is not None:
            self._bar.set_description(name, refresh=False)

    def begin_epoch(self, net: NeuralNet) -> None:
        """Hear that a net begins an epoch."""

    def end_epoch(self, net: NeuralNet, units: float, values: Mapping[str, float]) -> bool:
        """Count an epoch of a net, and show its numbers; whether the training should end."""
        self.advance(units, values)
        return False

    def advance(self, units: float, values: Mapping[str, float] | None = None) -> None:
        """Count work that was done, and show numbers of it."""
        self.done += units
        if self._bar is not None:
            if values:
                shown = ", ".join(
                    f"{name} {value}" if isinstance(value, int) else f"{name} {value:.3g}"
                    for name, value in values.items()
                )
                self._bar.set_postfix_str(shown, refresh=False)
            # Shares of units don't add up exactly, and tqdm minds.
            self._bar.update(min(units, self._bar.total - self._bar.n))


class PartOfProgress(Progress):
    """A piece of work on another's bar, counted there in other units.

    Parameters
    ----------
    whole : Progress
        The bar.
    scale : float
        Units there for one unit here.
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
"""Shows nothing."""

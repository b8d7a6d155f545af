"""Functions recorded as CUDA graphs, whose kernels are all launched by one call.

The networks of this package are small. A kernel takes microseconds, as long as its launch from
Python. A recorded function launches hundreds of kernels in the time of one launch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

WARM_UP = 3
"""Number of calls before the recording, in which libraries choose algorithms and allocate memory.
Torch uses the same number for its own graphs."""

WAITED = "called a synchronizing CUDA operation"
"""Part of torch's warning about an operation that waits for the device."""


class NotCapturable(RuntimeError):
    """Error for a function that can't be recorded."""


class Recorder(Protocol):
    """Recorder of functions on a device."""

    def aside(self) -> AbstractContextManager[None]:
        """Return the context for the calls before the recording."""

    def watching(self) -> AbstractContextManager[list[str]]:
        """Return a context that lists the places where its block waits for the device.

        A function that waits can't be recorded.
        """

    def record(
        self, function: Callable[[], None], generators: Sequence[torch.Generator]
    ) -> Callable[[], None]:
        """Record a function without running it, and return a function that replays it.

        Parameters
        ----------
        function : callable
            Function without arguments and without a result.
        generators : sequence of torch.Generator
            Generators from which the function draws.

        Returns
        -------
        callable
            Function that replays the recorded kernels.

        Raises
        ------
        NotCapturable
            If the function can't be recorded. Nothing is changed in this case.
        """


class CudaRecorder:
    """Recorder of functions as CUDA graphs.

    Parameters
    ----------
    device : torch.device
        The device on which the functions run.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Run a block on the stream of the recording, because autograd nodes keep their stream."""
        main = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(main)
        try:
            with torch.cuda.stream(self.stream):
                yield
        finally:
            main.wait_stream(self.stream)

    @contextmanager
    def watching(self) -> Iterator[list[str]]:
        """List the lines of Python that wait for the device, as far as torch detects them."""
        found: list[str] = []
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                yield found
            finally:
                torch.cuda.set_sync_debug_mode(before)
        for warning in caught:
            if WAITED in str(warning.message):
                found.append(f"{warning.filename}:{warning.lineno}")
            elif "prototype feature" not in str(warning.message):
                warnings.warn_explicit(
                    warning.message, warning.category, warning.filename, warning.lineno
                )

    def record(
        self, function: Callable[[], None], generators: Sequence[torch.Generator]
    ) -> Callable[[], None]:
        """Record a function as a CUDA graph; see :meth:`Recorder.record`."""
        with torch.cuda.device(self.device):
            own = torch.cuda.default_generators[torch.cuda.current_device()]
            known = [own, *generators]
            # A recording that breaks off leaves these generators unusable outside of it.
            spares = [generator.clone_state() for generator in known]
            graph = torch.cuda.CUDAGraph()
            cause: BaseException | None = None
            for generator in generators:
                graph.register_generator_state(generator)
            try:
                # Around torch's own context, which leaves its stream set when it fails.
                with (
                    torch.cuda.stream(self.stream),
                    torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"),
                ):
                    try:
                        function()
                    except BaseException as error:
                        cause = error
                        raise
            except BaseException as error:
                for generator, spare in zip(known, spares, strict=True):
                    generator.graphsafe_set_state(spare)
                # The end of a broken recording raises a less specific error of its own.
                cause = cause or error
                if not isinstance(cause, Exception):
                    raise cause from None
                reason = f"{type(cause).__name__}: {str(cause).partition(chr(10))[0]}"
                # Otherwise this frame and its error keep each other and their tensors in memory.
                cause = None
                raise NotCapturable(reason) from error
        return graph.replay


class Replayed(Generic[T]):
    """Function that runs normally for a few calls, is then recorded, and is replayed afterwards.

    The calls before the recording are regular calls with all their effects. Nothing runs twice,
    and nothing has to be undone.

    Parameters
    ----------
    function : callable
        Function whose tensors keep their memory addresses, and whose other inputs never change.
        Each replay overwrites its result.
    recorder : Recorder
        Recorder for the device of the function.
    generators : sequence of torch.Generator
        Generators from which the function draws, other than the default generator of the device.

    Attributes
    ----------
    reason : str or None
        The reason why the function can't be recorded; None if no reason is known.
    recorded : bool
        Whether the function has been recorded.
    """

    def __init__(
        self,
        function: Callable[[], T],
        recorder: Recorder,
        generators: Sequence[torch.Generator] = (),
    ) -> None:
        self.function = function
        self.recorder = recorder
        self.generators = generators
        self.reason: str | None = None
        self._n_calls = 0
        self._replay: Callable[[], None] | None = None
        self._result: T

    @property
    def recorded(self) -> bool:
        return self._replay is not None

    def __call__(self) -> T:
        if self._replay is None and self.reason is None and self._n_calls == WARM_UP:
            self._record()
        if self._replay is not None:
            self._replay()
            return self._result
        if self.reason is not None:
            return self.function()
        self._n_calls += 1
        with self.recorder.aside():
            if self._n_calls < WARM_UP:
                return self.function()
            with self.recorder.watching() as waits:
                result = self.function()
        if waits:
            self.reason = f"it waits for the device at {', '.join(dict.fromkeys(waits))}"
        return result

    def _record(self) -> None:
        def call() -> None:
            self._result = self.function()

        try:
            self._replay = self.recorder.record(call, self.generators)
        except NotCapturable as error:
            self.reason = str(error)


class ReplayedByShape(Generic[T]):
    """Function of row numbers that is recorded once for each shape of its argument.

    Parameters
    ----------
    function : callable
        Function of a tensor of integers. The requirements of :class:`Replayed` apply.
    device : torch.device
        The device on which the function runs.
    recorder : Recorder
        Recorder for this device.
    generators : sequence of torch.Generator
        Generators from which the function draws, other than the default generator of the device.
    report : callable
        Function that is called with the reason if recording fails.

    Attributes
    ----------
    reason : str or None
        The reason why nothing is recorded any more; None while recording is possible.
    """

    def __init__(
        self,
        function: Callable[[Tensor], T],
        device: torch.device,
        recorder: Recorder,
        generators: Sequence[torch.Generator],
        report: Callable[[str], None],
    ) -> None:
        self.function, self.device = function, device
        self.recorder, self.generators = recorder, generators
        self.report = report
        self.reason: str | None = None
        self._known: dict[torch.Size, tuple[Tensor, Replayed[T]]] = {}

    def __call__(self, numbers: Tensor) -> T:
        if self.reason is not None:
            return self.function(numbers)
        if numbers.shape not in self._known:
            own = torch.zeros_like(numbers, device=self.device).contiguous()
            replayed = Replayed(partial(self.function, own), self.recorder, self.generators)
            self._known[numbers.shape] = own, replayed
        own, replayed = self._known[numbers.shape]
        own.copy_(numbers)
        result = replayed()
        if replayed.reason is not None:
            # The other recordings go, too: they may hold generators that have been replaced.
            self.reason = replayed.reason
            self._known.clear()
            self.report(self.reason)
        return result

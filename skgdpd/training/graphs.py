"""Training steps as CUDA graphs: forward and backward pass, captured once and replayed.

The optimizer stays outside: a one-cycle schedule changes its momentum in each step, which a
captured kernel could not follow, and torch's fused Adam is two kernels anyway.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from .._workers import is_shared
from .batches import Batch, RowBatches, Rows, StreamedRows
from .capture import CudaRecorder, Recorder, Replayed, ReplayedByShape
from .objective import Terms

T = TypeVar("T")

GraphSetting = Literal["auto"] | bool

KNOWN = ("torch", "skgdpd")
"""Packages whose layers compute the same in each step."""

_setting: ContextVar[GraphSetting] = ContextVar("cuda_graphs", default="auto")


@contextmanager
def cuda_graphs(setting: GraphSetting) -> Iterator[None]:
    """Choose whether trainings within a ``with`` block capture their step in a CUDA graph.

    Parameters
    ----------
    setting : {"auto", True, False}
        ``"auto"``, what happens outside of any block, captures the step on CUDA where that is
        known to give the same results: networks of torch's and this package's layers, with
        objectives that say on what beside tensors their terms depend. True captures networks of
        other layers, too, whose ``forward`` must then do the same each time, and warns where
        there still is no graph, with the reason. False never captures.

    Raises
    ------
    ValueError
        If ``setting`` is none of these.

    Notes
    -----
    The choice holds for the thread that makes it, not for workers that it starts. Where a step
    can't be captured it runs as it does on a CPU, kernel by kernel, to the same results.

    Examples
    --------
    >>> from skgdpd.training import cuda_graphs
    >>> with cuda_graphs(False):
    ...     pass
    """
    if not isinstance(setting, bool) and setting != "auto":
        raise ValueError(f"setting must be 'auto', True or False, got {setting!r}")
    token = _setting.set(setting)
    try:
        yield
    finally:
        _setting.reset(token)


def recorder_for(device: torch.device) -> Recorder | None:
    """What records functions on a device; None where nothing can."""
    return CudaRecorder(device) if device.type == "cuda" else None


def refusal(modules: Iterable[nn.Module], rows: Rows, batches: Iterable[Batch]) -> str | None:
    """Why the steps of a training can't be captured, as far as can be told before the first.

    Parameters
    ----------
    modules : iterable of torch.nn.Module
        What is trained.
    rows : Rows
        Training rows.
    batches : iterable of Batch
        Their batches.

    Returns
    -------
    str or None
        None if nothing speaks against it.
    """
    if is_shared():
        return "batches are shared among processes"
    if isinstance(rows, StreamedRows):
        return "series are read for each batch anew, as they don't fit into memory"
    if not isinstance(batches, RowBatches):
        return f"batches come from {type(batches).__name__}, not from rows on the device"
    if torch.is_autocast_enabled(rows.device.type):
        return "torch.autocast around the training keeps copies of weights from earlier steps"
    for module in modules:
        for part in module.modules():
            reason = _layer_refusal(part, promising=hasattr(part, "phase"))
            if reason is not None:
                return reason
    return None


def _layer_refusal(layer: nn.Module, promising: bool) -> str | None:
    name = type(layer).__name__
    if isinstance(layer, nn.RNNBase) and layer.dropout and layer.num_layers > 1:
        return f"cuDNN draws the dropout within {name} from a state of its own"
    tables = (
        layer._forward_hooks,
        layer._forward_pre_hooks,
        layer._backward_hooks,
        layer._backward_pre_hooks,
        *(p._backward_hooks for p in layer.parameters(recurse=False)),
        *(
            getattr(p, "_post_accumulate_grad_hooks", None)
            for p in layer.parameters(recurse=False)
        ),
    )
    if any(tables):
        return f"{name} has hooks, which a replay would not call"
    trusted = promising or _setting.get() is True
    if not trusted and type(layer).__module__.split(".")[0] not in KNOWN:
        return (
            f"{name} is a layer of your own, which may do other things in other steps; if it "
            f"doesn't, cuda_graphs(True) captures it"
        )
    return None


class StepGraphs:
    """The steps of one training, each computation of which is captured once.

    Steps differ in their number of rows, by one at most, and in what the objective computes: its
    *phase*. Each combination is captured by itself, after a few steps that run as they are.

    Parameters
    ----------
    gradients : callable
        Makes the gradients of a batch's loss, and returns the loss terms.
    rows : Rows
        Training rows; stay where they are.
    parameters : sequence of Tensor
        What has gradients.
    recorder : Recorder
        Records functions on the rows' device.
    generators : sequence of torch.Generator
        From which ``gradients`` draws.

    Attributes
    ----------
    reason : str or None
        Why steps are no longer captured.
    n_captured : int
        Captures so far.
    """

    def __init__(
        self,
        gradients: Callable[[Batch], Terms],
        rows: Rows,
        parameters: Sequence[Tensor],
        recorder: Recorder,
        generators: Sequence[torch.Generator] = (),
    ) -> None:
        self.gradients, self.rows, self.parameters = gradients, rows, parameters
        self.recorder, self.generators = recorder, generators
        self.reason: str | None = None
        self.n_captured = 0
        self._phase: Hashable = None
        self._kinds: dict[int, _Kind] = {}
        self._last: _Kind | None = None
        self._validation: Replayed[Terms] | None = None
        self.names: list[str] = []
        self.sums: Tensor | None = None

    def start_epoch(self, phase: Hashable | None) -> bool:
        """Begin the sums of an epoch, and forget captures of another phase.

        Parameters
        ----------
        phase : hashable or None
            What the objective computes; None if it can't say.

        Returns
        -------
        bool
            Whether the epoch's steps are to be made here.
        """
        if phase is None:
            self.refuse("the objective does not say on what its terms depend")
        if self.reason is not None:
            self._forget()
            return False
        if phase != self._phase:
            self._forget()
            self._phase = phase
        elif self.sums is not None:
            self.sums.zero_()
        return True

    def step(self, index: Tensor) -> None:
        """Make the gradients of the rows with these numbers, and add up the loss terms."""
        if self.reason is not None:
            self.add(self.gradients(self.rows.select(index)), len(index))
            return
        kind = self._kinds.get(len(index))
        if kind is None:
            kind = self._kinds[len(index)] = _Kind(self, len(index))
        kind.run(index)
        if kind.recorded and kind is not self._last:
            kind.hand_over_gradients()
        self._last = kind if kind.recorded else None
        if kind.reason is not None:
            # The other captures too: generators may have been replaced, which they still hold.
            self._kinds.clear()
            self.refuse(kind.reason, always=True)

    def totals(self) -> Terms:
        """Sums over the epoch's rows of each term, and of the ``loss``."""
        assert self.sums is not None
        return dict(zip(self.names, self.sums.unbind(), strict=True))

    def validate(self, terms: Callable[[], Terms]) -> Terms:
        """Terms of the validation rows; ``terms`` must be the same function each time."""
        if self._validation is None:
            self._validation = Replayed(terms, self.recorder)
        return self._validation()

    def refuse(self, reason: str, always: bool = False) -> None:
        """Capture no more; warn if that was asked for, or if it is a surprise."""
        self.reason = reason
        if always or _setting.get() is True:
            _warn(reason)

    def close(self) -> None:
        """Give back what captures hold."""
        self._forget()
        self._validation = None

    def _forget(self) -> None:
        if any(kind.recorded for kind in self._kinds.values()):
            for parameter in self.parameters:
                parameter.grad = None
        self._kinds.clear()
        self._last = self.sums = None

    def add(self, terms: Terms, n_rows: int) -> None:
        """Add a batch's terms to the sums, on the device."""
        values = torch.stack([value.detach() for value in terms.values()])
        if self.sums is None:
            self.names = list(terms)
            self.sums = torch.zeros_like(values)
        self.sums.add_(values, alpha=n_rows)


class _Kind:
    """Steps of one phase and one number of rows."""

    def __init__(self, graphs: StepGraphs, n_rows: int) -> None:
        self.graphs = graphs
        index = torch.zeros(n_rows, dtype=torch.int64, device=graphs.rows.device)

        def make() -> None:
            # Without this object, which then is gone as soon as it is forgotten.
            graphs.add(graphs.gradients(graphs.rows.select(index)), n_rows)

        self.index = index
        self.replayed = Replayed(make, graphs.recorder, graphs.generators)
        self.gradients: list[Tensor | None] = []

    @property
    def recorded(self) -> bool:
        return self.replayed.recorded

    @property
    def reason(self) -> str | None:
        return self.replayed.reason

    def run(self, index: Tensor) -> None:
        self.index.copy_(index)
        before = self.recorded
        self.replayed()
        if self.recorded and not before:
            # Of the recording: each replay writes them anew.
            self.gradients = [parameter.grad for parameter in self.graphs.parameters]
            self.graphs.n_captured += 1

    def hand_over_gradients(self) -> None:
        """Let the optimizer see the gradients of this capture, and not another's."""
        for parameter, gradient in zip(self.graphs.parameters, self.gradients, strict=True):
            parameter.grad = gradient


def replayed_steps(
    step: Callable[[Tensor], T],
    validate: Callable[[], Tensor],
    modules: Sequence[nn.Module],
    rows: Rows,
    batches: Iterable[Batch],
    generators: Sequence[torch.Generator] = (),
) -> tuple[Callable[[Tensor], T], Callable[[], Tensor]]:
    """Steps and validation, captured where that is possible, and as they are elsewhere.

    Parameters
    ----------
    step : callable
        A function of numbers of rows.
    validate : callable
        A function of nothing.
    modules : sequence of torch.nn.Module
        What is trained.
    rows : Rows
        Training rows.
    batches : iterable of Batch
        An epoch's batches.
    generators : sequence of torch.Generator
        From which ``step`` draws.
    """
    recorder = _recorder_unless_refused(modules, rows, batches)
    if recorder is None:
        return step, validate
    steps = ReplayedByShape(step, rows.device, recorder, generators, _warn)
    return steps, Replayed(validate, recorder)


def make_step_graphs(
    gradients: Callable[[Batch], Terms],
    modules: Sequence[nn.Module],
    rows: Rows,
    batches: Iterable[Batch],
    parameters: Sequence[Tensor],
    generators: Sequence[torch.Generator] = (),
) -> StepGraphs | None:
    """Graphs for a training's steps; None where they can't be captured.

    Parameters
    ----------
    gradients : callable
        As for :class:`StepGraphs`.
    modules : sequence of torch.nn.Module
        What is trained.
    rows : Rows
        Training rows.
    batches : iterable of Batch
        An epoch's batches.
    parameters : sequence of Tensor
        What has gradients.
    generators : sequence of torch.Generator
        From which ``gradients`` draws.
    """
    recorder = _recorder_unless_refused(modules, rows, batches)
    if recorder is None:
        return None
    return StepGraphs(gradients, rows, parameters, recorder, generators)


def _recorder_unless_refused(
    modules: Sequence[nn.Module], rows: Rows, batches: Iterable[Batch]
) -> Recorder | None:
    if _setting.get() is False:
        return None
    recorder = recorder_for(rows.device)
    reason: str | None = f"there are none on {rows.device.type}"
    if recorder is not None:
        reason = refusal(modules, rows, batches)
        if reason is None:
            return recorder
    if _setting.get() is True:
        _warn(str(reason))
    return None


def _warn(reason: str) -> None:
    warnings.warn(f"the training step is not captured in a CUDA graph: {reason}", stacklevel=3)

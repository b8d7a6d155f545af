"""Training steps as CUDA graphs: forward and backward passes are captured and replayed.

The optimizer is not part of the graph, for two reasons. A one-cycle schedule changes the momentum
in each step, which a captured kernel could not follow. And the fused Adam of torch has only two
kernels, so that little would be gained.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Protocol, TypeGuard, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from .._runtime.config import setting
from .._runtime.workers import is_shared
from .batches import Batch, RowBatches, Rows, StreamedRows
from .capture import CudaRecorder, Recorder, Replayed, ReplayedByShape
from .objective import Step, Terms

T = TypeVar("T")

KNOWN = ("torch", "skgdpd")
"""Packages whose layers do the same computation in every step."""


@runtime_checkable
class Capturable(Protocol):
    """Objective, or part of an objective, whose steps may be captured and replayed.

    Support is optional: steps of other objectives run without capture. A subclass in another
    package does not inherit the support, because it may compute something else. It must define
    ``phase`` itself.
    """

    def phase(self, step: Step) -> Hashable | None:
        """Return everything but tensors that determines the computation of an epoch's steps.

        Steps of one phase are captured once and replayed without Python. Therefore tensors that
        the steps read must keep their memory addresses, numbers that change must be tensors, and
        no operation may wait for the device.

        Parameters
        ----------
        step : Step
            Position in the training.

        Returns
        -------
        hashable or None
            Key of the computation; None if the steps can't be captured.
        """
        ...


def phase_of(part: object, step: Step) -> Hashable | None:
    """Return the phase of an objective or a part of one; None if it doesn't declare a phase."""
    return part.phase(step) if _declares_phase(part) else None


def is_trusted(part: object) -> bool:
    """Return whether a layer or loss is known, or set by the user, to do the same in each step."""
    return setting("cuda_graphs") is True or _is_known(part)


def _is_known(part: object) -> bool:
    return type(part).__module__.split(".")[0] in KNOWN


def _declares_phase(part: object) -> TypeGuard[Capturable]:
    return isinstance(part, Capturable) and (_is_known(part) or "phase" in vars(type(part)))


def recorder_for(device: torch.device) -> Recorder | None:
    """Return a recorder of functions on a device; None for a device without graphs."""
    return CudaRecorder(device) if device.type == "cuda" else None


def refusal(modules: Iterable[nn.Module], rows: Rows, batches: Iterable[Batch]) -> str | None:
    """Return the reason why steps can't be captured, as far as it is known before training.

    Parameters
    ----------
    modules : iterable of torch.nn.Module
        The modules that are trained.
    rows : Rows
        Training rows.
    batches : iterable of Batch
        Batches of the rows.

    Returns
    -------
    str or None
        The reason; None if there is none.
    """
    if is_shared():
        return "batches are shared among processes"
    if isinstance(rows, StreamedRows):
        return "series are read for each batch anew, as they don't fit into memory"
    if rows.n_moments > 1:
        return "batches at different moments differ in shape"
    if not isinstance(batches, RowBatches):
        return f"batches come from {type(batches).__name__}, not from rows on the device"
    if torch.is_autocast_enabled(rows.device.type):
        return "torch.autocast around the training keeps copies of weights from earlier steps"
    for module in modules:
        for part in module.modules():
            reason = _layer_refusal(part)
            if reason is not None:
                return reason
    return None


def _layer_refusal(layer: nn.Module) -> str | None:
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
    if not is_trusted(layer) and not _declares_phase(layer):
        return (
            f"{name} is a layer of your own, which may do other things in other steps; if it "
            f"doesn't, skgdpd.set_config(cuda_graphs=True) captures it"
        )
    return None


class StepGraphs:
    """Captured steps of one training.

    Steps may differ in their number of rows, by at most one, and in the computation of the
    objective, which is its *phase*. Each combination is captured separately, after a few steps
    that run without capture.

    Parameters
    ----------
    gradients : callable
        Function that computes the gradients of the loss of a batch, and returns the loss terms.
    rows : Rows
        Training rows, whose tensors must keep their memory addresses.
    parameters : sequence of Tensor
        The tensors that get gradients.
    recorder : Recorder
        Recorder for the device of the rows.
    generators : sequence of torch.Generator
        Generators from which ``gradients`` draws.

    Attributes
    ----------
    reason : str or None
        The reason why steps are not captured any more; None while they are captured.
    n_captured : int
        Number of captures so far.
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
        """Reset the sums for a new epoch, and discard captures of another phase.

        Parameters
        ----------
        phase : hashable or None
            Phase of the objective, see :class:`Capturable`; None if it doesn't declare a phase.

        Returns
        -------
        bool
            Whether the steps of this epoch are to be run by this object.
        """
        if phase is None:
            self.refuse("the objective does not declare what its terms depend on")
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
        """Compute the gradients for the rows with these numbers, and add up their loss terms."""
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
            # The other captures go, too: they may hold generators that have been replaced.
            self._kinds.clear()
            self.refuse(kind.reason, always=True)

    def totals(self) -> Terms:
        """Return the sum of each term, and of the ``loss``, over the rows of the epoch."""
        assert self.sums is not None
        return dict(zip(self.names, self.sums.unbind(), strict=True))

    def validate(self, terms: Callable[[], Terms]) -> Terms:
        """Return the terms of the validation rows; ``terms`` must be the same in every call."""
        if self._validation is None:
            self._validation = Replayed(terms, self.recorder)
        return self._validation()

    def refuse(self, reason: str, always: bool = False) -> None:
        """Stop capturing; warn if ``always``, or if ``cuda_graphs=True`` requires captures."""
        self.reason = reason
        if always or setting("cuda_graphs") is True:
            _warn(reason)

    def close(self) -> None:
        """Free the memory of all captures."""
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
            # No reference to self, so that the object is freed as soon as it is forgotten.
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
            # These belong to the recording: each replay writes them anew.
            self.gradients = [parameter.grad for parameter in self.graphs.parameters]
            self.graphs.n_captured += 1

    def hand_over_gradients(self) -> None:
        """Give the optimizer the gradients of this capture instead of those of another one."""
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
    """Return a step and a validation that are captured if possible.

    Parameters
    ----------
    step : callable
        Function of row numbers that makes one step.
    validate : callable
        Function without parameters that validates.
    modules : sequence of torch.nn.Module
        The modules that are trained.
    rows : Rows
        Training rows.
    batches : iterable of Batch
        Batches of one epoch.
    generators : sequence of torch.Generator
        Generators from which ``step`` draws.

    Returns
    -------
    tuple of two callables
        The step and the validation, captured or unchanged.
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
    """Make the graphs of a training's steps.

    Parameters
    ----------
    gradients : callable
        Function that computes the gradients, as for :class:`StepGraphs`.
    modules : sequence of torch.nn.Module
        The modules that are trained.
    rows : Rows
        Training rows.
    batches : iterable of Batch
        Batches of one epoch.
    parameters : sequence of Tensor
        The tensors that get gradients.
    generators : sequence of torch.Generator
        Generators from which ``gradients`` draws.

    Returns
    -------
    StepGraphs or None
        None if steps can't be captured.
    """
    recorder = _recorder_unless_refused(modules, rows, batches)
    if recorder is None:
        return None
    return StepGraphs(gradients, rows, parameters, recorder, generators)


def _recorder_unless_refused(
    modules: Sequence[nn.Module], rows: Rows, batches: Iterable[Batch]
) -> Recorder | None:
    if setting("cuda_graphs") is False:
        return None
    recorder = recorder_for(rows.device)
    reason: str | None = f"there are none on {rows.device.type}"
    if recorder is not None:
        reason = refusal(modules, rows, batches)
        if reason is None:
            return recorder
    if setting("cuda_graphs") is True:
        _warn(str(reason))
    return None


def _warn(reason: str) -> None:
    warnings.warn(f"the training step is not captured in a CUDA graph: {reason}", stacklevel=3)

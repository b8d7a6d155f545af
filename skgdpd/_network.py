"""A trained network with the view that it sees series through."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from ._panel import Panel
from ._storage import is_large
from ._thread_choice import chosen_threads
from ._views import Seen, Series, View
from .nets.rocket import copy_trained
from .nets.student import StudentNet, StudentOutput
from .training import Rows, StreamedRows
from .training.batches import sent

Floats = NDArray[np.float32]
T = TypeVar("T")


class SeriesNetwork:
    """Student or teacher network, ready to predict.

    Parameters
    ----------
    view : View
        Fitted; what the network sees of a series.
    module : StudentNet
        Trained, on ``device``.
    device : torch.device
        Where it runs.
    batch_size : int
        Series run at once in prediction; bounds the memory.

    Notes
    -----
    Pickles hold the weights on the CPU, so that a model trained on CUDA opens anywhere; it goes
    back to its device where that exists.
    """

    def __init__(
        self, view: View, module: StudentNet, device: torch.device, batch_size: int
    ) -> None:
        self.view = view
        self.module = module.requires_grad_(False).eval()
        self.device = device
        self.batch_size = batch_size

    def run_panel(self, panel: Panel, name: str = "X") -> tuple[Floats, Floats]:
        """Features ``(n, n_features)`` and logits ``(n, n_classes)`` of a panel."""
        features, logits = self._collect(panel, name, ("features", "logits"))
        return features, logits

    def features(self, panel: Panel, name: str = "X") -> Floats:
        """Features ``(n, n_features)`` of a panel."""
        return self._collect(panel, name, ("features",))[0]

    def logits(self, panel: Panel, name: str = "X") -> Floats:
        """Logits ``(n, n_classes)`` of a panel."""
        return self._collect(panel, name, ("logits",))[0]

    def probabilities(self, panel: Panel, name: str = "X") -> NDArray[np.float64]:
        """Class probabilities ``(n, n_classes)`` of a panel, whose rows sum to 1 in double."""
        return self._collect(panel, name, ("probabilities",))[0]

    def _collect(self, panel: Panel, name: str, fields: tuple[str, ...]) -> list[Any]:
        """Some parts of the output, a batch at a time: nothing else grows with the panel."""
        if len(panel) <= self.batch_size and not self.view.ragged_:
            return self.run(self.view(panel.part(0, self.batch_size), name).values, fields)
        results: list[NDArray[Any]] = []
        # An accelerator computes one batch while the next is made ready.
        lag = int(self.device.type != "cpu")
        for start, rows, outputs in behind(self._started(panel, name, fields), lag):
            parts = [output.cpu().numpy() for output in outputs]
            results = results or [
                np.empty((len(panel), part.shape[1]), part.dtype) for part in parts
            ]
            for result, part in zip(results, parts, strict=True):
                result[start:][rows] = part
        return results

    def _started(
        self, panel: Panel, name: str, fields: tuple[str, ...]
    ) -> Iterator[tuple[int, slice | NDArray[np.int64], list[torch.Tensor]]]:
        """Batches that the device has begun with: where they start, which rows, their outputs."""
        for start in range(0, len(panel), self.batch_size):
            seen = self.view(panel.part(start, start + self.batch_size), name, start)
            for rows, values in alike(seen):
                yield start, rows, self._start(values, fields)

    def _start(self, values: Series, fields: tuple[str, ...]) -> list[torch.Tensor]:
        with torch.inference_mode(), chosen_threads(self.module, values.shape, self.device):
            output = self.module(sent(torch.from_numpy(values), self.device))
            return [_field(output, field) for field in fields]

    def run(self, values: Series, fields: tuple[str, ...]) -> list[NDArray[Any]]:
        """What the module says of views ``(n, c, t)``, all at once.

        Parameters
        ----------
        values : ndarray of shape (n, c, t)
            As the network sees them.
        fields : tuple of {"features", "logits", "probabilities"}
            What is wanted.
        """
        return [output.cpu().numpy() for output in self._start(values, fields)]

    def __getstate__(self) -> dict[str, Any]:
        module = self.module
        if self.device.type != "cpu":
            module = copy.deepcopy(module).cpu()
        return {**self.__dict__, "module": module, "device": str(self.device)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        device = torch.device(state["device"])
        if device.type == "cuda" and not torch.cuda.is_available():
            device = torch.device("cpu")
        self.__dict__.update(state)
        self.device = device
        self.module = state["module"].to(device)


def make_rows(view: View, panel: Panel, **arrays: NDArray[Any] | None) -> Rows:
    """Training rows, on the CPU, of what a network sees and of arrays that go with it.

    Views of series that stay where they are are made once if they fit, else for each batch.

    Parameters
    ----------
    view : View
        Fitted.
    panel : Panel
        Series.
    **arrays : ndarray of shape (n, ...) or None
        What goes with them, by name; None is left out.
    """
    tensors = {k: _as_tensor(v) for k, v in arrays.items() if v is not None}
    if not panel.stored:
        return Rows(**_as_tensors(view(panel)), **tensors)
    if view.ragged_ or is_large((len(panel), view.n_channels_, view.n_out_)):
        return StreamedRows(lambda index: _as_tensors(view(Panel(panel.values[index]))), **tensors)
    values = torch.empty(len(panel), view.n_channels_, view.n_out_)
    for start, part in panel.chunks():
        values[start : start + len(part)] = torch.from_numpy(view(part, first=start).values)
    return Rows(x=values, **tensors)


def _as_tensor(array: NDArray[Any]) -> torch.Tensor:
    # torch warns of read-only arrays, such as those of a cache opened with mmap_mode="r".
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def folded_copy(module: StudentNet) -> StudentNet:
    """A copy that predicts, of a network that is still being trained."""
    copied = copy_trained(module)
    copied.fold()
    return copied


def fit_fixed_part(module: StudentNet, rows: Rows, seed: int) -> Rows:
    """Fit what a network fits once, and compute once what is fixed of each training row.

    Parameters
    ----------
    module : StudentNet
        On the rows' device.
    rows : Rows
        Training rows, with ``y``, or with ``target`` where not all have labels.
    seed : int
        Of the fit's draws.

    Returns
    -------
    Rows
        With ``fixed`` where the network has such a part, else the same.
    """
    if not module.has_fixed_part:
        return rows
    if isinstance(rows, StreamedRows):
        raise ValueError(
            f"backbone {type(module.backbone).__name__} is fitted on all series at once, and "
            f"these {len(rows)} don't fit into memory; choose another, or fewer series"
        )
    known = rows.tensors
    target, weight = known.get("target"), known.get("target_weight")
    if target is None:
        target = torch.nn.functional.one_hot(known["y"], module.head.out_features).float()
        weight = known.get("weight")
    fixed = module.fit_fixed(known["x"], known.get("lengths"), target, weight, seed)
    return with_fixed(module, rows, fixed)


def add_fixed_part(module: StudentNet, rows: Rows) -> Rows:
    """Compute once what is fixed of each row, for a network that has such a part."""
    if not module.has_fixed_part:
        return rows
    known = rows.tensors
    fixed = module.backbone.featurize(known["x"], known.get("lengths"))  # type: ignore[operator]
    return with_fixed(module, rows, fixed)


def with_fixed(module: StudentNet, rows: Rows, fixed: torch.Tensor) -> Rows:
    """Rows with what is fixed of each, and without what is then of no use."""
    useless = {"index"}
    if getattr(module.backbone, "fixed_is_all", False):
        useless |= {"x", "lengths"}
    known = {name: tensor for name, tensor in rows.tensors.items() if name not in useless}
    return Rows(fixed=fixed, **known)


def _as_tensors(seen: Seen) -> dict[str, torch.Tensor]:
    arrays = {"x": seen.values, "lengths": seen.lengths}
    return {name: torch.from_numpy(v) for name, v in arrays.items() if v is not None}


def _field(output: StudentOutput, name: str) -> torch.Tensor:
    if name == "probabilities":
        return torch.softmax(output.logits.double(), 1)
    return output.features if name == "features" else output.logits


def behind(items: Iterable[T], n: int) -> Iterator[T]:
    """The items, each when ``n`` more have been made."""
    made: deque[T] = deque()
    for item in items:
        made.append(item)
        if len(made) > n:
            yield made.popleft()
    yield from made


def alike(seen: Seen) -> Iterator[tuple[slice | NDArray[np.int64], Series]]:
    """Rows of one length at a time, without padding: none can then change another's result."""
    if seen.lengths is None:
        yield slice(len(seen.values)), seen.values
        return
    for length in np.unique(seen.lengths):
        rows = np.flatnonzero(seen.lengths == length)
        yield rows, np.ascontiguousarray(seen.values[rows, :, :length])


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Probabilities ``(n, n_classes)`` in double precision, so that rows sum to 1."""
    logits = logits.astype(np.float64)
    exps = np.exp(logits - logits.max(1, keepdims=True))
    return exps / exps.sum(1, keepdims=True)

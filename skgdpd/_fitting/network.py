"""A trained network together with the view that makes its input."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from .._runtime.threads import chosen_threads
from .._series.panel import Panel
from .._series.views import PrefixView, Seen, Series
from ..nets.fixed import copy_trained
from ..nets.student import SeriesNet, SeriesOutput
from ..training.batches import sent

Floats = NDArray[np.float32]
T = TypeVar("T")


class SeriesNetwork:
    """Student or teacher network that is ready to predict.

    Parameters
    ----------
    view : PrefixView
        Fitted view that makes the network's input from series.
    module : SeriesNet
        Trained network, on ``device``.
    device : torch.device
        Device of the network.
    batch_size : int
        Number of series that are predicted at once. It bounds the memory of a prediction.

    Notes
    -----
    Pickles hold the weights on the CPU, so that a model trained on CUDA opens on any machine. It
    is moved back to its device where that exists.
    """

    def __init__(
        self, view: PrefixView, module: SeriesNet, device: torch.device, batch_size: int
    ) -> None:
        self.view = view
        self.module = module.requires_grad_(False).eval()
        self.device = device
        self.batch_size = batch_size

    def with_batch_size(self, batch_size: int) -> SeriesNetwork:
        """Return the network with this batch size: a copy, or itself if the size is the same."""
        if batch_size == self.batch_size:
            return self
        return SeriesNetwork(self.view, self.module, self.device, batch_size)

    def run_panel(self, panel: Panel, name: str = "X") -> tuple[Floats, Floats]:
        """Return features ``(n, n_features)`` and logits ``(n, n_classes)`` of a panel."""
        features, logits = self._collect(panel, name, ("features", "logits"))
        return features, logits

    def features(self, panel: Panel, name: str = "X") -> Floats:
        """Return features ``(n, n_features)`` of a panel."""
        return self._collect(panel, name, ("features",))[0]

    def logits(self, panel: Panel, name: str = "X") -> Floats:
        """Return logits ``(n, n_classes)`` of a panel."""
        return self._collect(panel, name, ("logits",))[0]

    def probabilities(self, panel: Panel, name: str = "X") -> NDArray[np.float64]:
        """Return class probabilities ``(n, n_classes)`` of a panel, in double precision."""
        return self._collect(panel, name, ("probabilities",))[0]

    def _collect(self, panel: Panel, name: str, fields: tuple[str, ...]) -> list[Any]:
        """Return parts of the output, computed in batches so that only these fill the memory."""
        if len(panel) <= self.batch_size and not self.view.ragged_:
            return self.run(self.view(panel.part(0, self.batch_size), name).values, fields)
        results: list[NDArray[Any]] = []
        # An accelerator computes one batch while the next one is prepared.
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
        """Start the batches on the device; yield first row, rows and outputs of each."""
        for start in range(0, len(panel), self.batch_size):
            seen = self.view(panel.part(start, start + self.batch_size), name, start)
            for rows, values in alike(seen):
                yield start, rows, self._start(values, fields)

    def _start(self, values: Series, fields: tuple[str, ...]) -> list[torch.Tensor]:
        with torch.inference_mode(), chosen_threads(self.module, values.shape, self.device):
            output = self.module(sent(torch.from_numpy(values), self.device))
            return [_field(output, field) for field in fields]

    def run(self, values: Series, fields: tuple[str, ...]) -> list[NDArray[Any]]:
        """Return outputs of the module for views, in one batch.

        Parameters
        ----------
        values : ndarray of shape (n, c, t)
            Views of the series.
        fields : tuple of {"features", "logits", "probabilities"}
            Names of the outputs.

        Returns
        -------
        list of ndarray of shape (n, width)
            Outputs in the order of ``fields``.
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


def folded_copy(module: SeriesNet) -> SeriesNet:
    """Return a copy for predictions of a network that is still being trained."""
    copied = copy_trained(module)
    copied.fold()
    return copied


def _field(output: SeriesOutput, name: str) -> torch.Tensor:
    if name == "probabilities":
        return torch.softmax(output.logits.double(), 1)
    return output.features if name == "features" else output.logits


def behind(items: Iterable[T], n: int) -> Iterator[T]:
    """Yield the items, each after ``n`` further ones have been made."""
    made: deque[T] = deque()
    for item in items:
        made.append(item)
        if len(made) > n:
            yield made.popleft()
    yield from made


def alike(seen: Seen) -> Iterator[tuple[slice | NDArray[np.int64], Series]]:
    """Yield rows of equal length without padding, so that no series depends on longer ones."""
    if seen.lengths is None:
        yield slice(len(seen.values)), seen.values
        return
    for length in np.unique(seen.lengths):
        rows = np.flatnonzero(seen.lengths == length)
        yield rows, np.ascontiguousarray(seen.values[rows, :, :length])


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Return probabilities ``(n, n_classes)`` in double precision, so that rows sum to 1."""
    logits = logits.astype(np.float64)
    exps = np.exp(logits - logits.max(1, keepdims=True))
    return exps / exps.sum(1, keepdims=True)

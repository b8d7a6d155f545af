"""Trained network together with the view that makes its input."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from .._runtime.memory import with_memory_errors
from .._runtime.threads import chosen_threads
from .._series.panel import Panel, own_lengths
from .._series.truncation import check_reached
from .._series.views import PrefixView, Seen, Series
from ..nets.fixed import copy_trained
from ..nets.protocols import PathFeatures, has_path_features
from ..nets.rocket import SAME_FROM
from ..nets.student import SeriesNet, SeriesOutput
from ..training import Rows, TrainingConfig
from ..training.batches import sent
from ..training.divergence import all_finite, check_trained
from ..training.progress import SILENT, Progress

Floats = NDArray[np.float32]
CHECKED_ROWS = 16
"""Number of training rows whose outputs are checked at the end of a training."""
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
        Number of series in one batch of a prediction, which bounds the memory.

    Notes
    -----
    Pickles store the weights on the CPU, so that a model trained on CUDA opens on any machine. The
    network is moved back to its device if that device exists.
    """

    def __init__(
        self, view: PrefixView, module: SeriesNet, device: torch.device, batch_size: int
    ) -> None:
        self.view = view
        self.module = module.requires_grad_(False).eval()
        self.device = device
        self.batch_size = batch_size

    def with_batch_size(self, batch_size: int) -> SeriesNetwork:
        """Return a network with this batch size, which is the same object if the size is equal."""
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

    @with_memory_errors
    def _collect(self, panel: Panel, name: str, fields: tuple[str, ...]) -> list[Any]:
        """Return parts of the output, computed in batches so that only they fill the memory."""
        if len(panel) <= self.batch_size and not self.view.ragged_:
            found = self.run(self._seen(panel.part(0, self.batch_size), name).values, fields)
            self.check_finite(found[-1], name)
            return found
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
        self.check_finite(results[-1], name)
        return results

    def check_finite(self, outputs: NDArray[Any], name: str = "X", first: int = 0) -> None:
        """Refuse outputs that are not finite.

        Parameters
        ----------
        outputs : ndarray of shape (n, width)
            Outputs, with a row for each series.
        name : str, default="X"
            Name of the argument in the error.
        first : int, default=0
            Index of the first of these series among all series.

        Raises
        ------
        FloatingPointError
            If the network's weights are not finite.
        ValueError
            If the weights are finite, so that the fault is in the series.
        """
        if np.isfinite(outputs).all():
            return
        if not all_finite(self.module):
            raise FloatingPointError(
                "the network has weights that are not finite, so it can't predict; fit it anew"
            )
        bad = first + int(np.flatnonzero(~np.isfinite(outputs).all(1))[0])
        raise ValueError(
            f"{name} has a series, series {bad}, for which the network's output is not finite; "
            f"either its values are too extreme for single precision, or a network of your own "
            f"gives such numbers by itself"
        )

    @with_memory_errors
    def path(
        self, panel: Panel, name: str = "X", progress: Progress = SILENT
    ) -> NDArray[np.float64]:
        """Return class probabilities of series at each moment.

        Parameters
        ----------
        panel : Panel
            Series, which may end before the last moment.
        name : str, default="X"
            Name of the argument in errors.
        progress : Progress, optional
            Progress, in which a series is a unit.

        Returns
        -------
        ndarray of shape (n, n_moments, n_classes)
            Probabilities, NaN at moments that a series has not reached.
        """
        parts = []
        for start in range(0, len(panel), self.batch_size):
            part = panel.part(start, start + self.batch_size)
            ends = self._check_reached(part, name, start)
            parts.append(self._part_of_path(part, ends, name, start))
            progress.advance(len(part))
        return np.concatenate(parts)

    def _part_of_path(
        self, panel: Panel, ends: NDArray[np.int64], name: str, start: int
    ) -> NDArray[np.float64]:
        view = self.view
        times = np.array(view.time_points_)
        n_classes = self.module.head.out_features
        path = np.full((len(panel), len(times), n_classes), np.nan)
        n_reached = int((times <= ends.max()).sum())
        if view.normalizer.how == "prefix" or not has_path_features(self.module.backbone):
            for m, t in enumerate(times[:n_reached]):
                rows = np.flatnonzero(ends >= t)
                for own, values in alike(view(panel.take(rows).first(t), name, start)):
                    path[rows[own], m] = self.run(values, ("probabilities",), m)[0]
                self.check_finite(path[rows, m], name, start)
            return path
        seen = view(panel.first(int(times[n_reached - 1])), name, start).values
        path[:, :n_reached] = self._in_one_pass(seen, times[:n_reached].tolist())
        # Where the points before a moment are missing, the series is as it was before them.
        reached = view.reached(panel)
        for m in range(n_reached):
            for length in np.unique(reached[:, m]):
                rows = np.flatnonzero((reached[:, m] == length) & (ends >= times[m]))
                if length < times[m] and len(rows):
                    values = np.ascontiguousarray(seen[rows, :, :length])
                    path[rows, m] = self.run(values, ("probabilities",), m)[0]
        after_end = ends[:, None] < times
        self.check_finite(np.where(after_end, 0, path.sum(2)), name, start)
        path[after_end] = np.nan
        return path

    def _in_one_pass(self, values: Series, times: list[int]) -> NDArray[np.float64]:
        backbone = cast(PathFeatures, self.module.backbone)
        with torch.inference_mode(), chosen_threads(self.module, values.shape, self.device):
            features = backbone.features_at(sent(torch.from_numpy(values), self.device), times)
            proba = self.probabilities_of(features.flatten(0, 1))
            return proba.unflatten(0, features.shape[:2]).cpu().numpy()

    def probabilities_of(self, features: torch.Tensor) -> torch.Tensor:
        """Return the class probabilities of series, given their features.

        Parameters
        ----------
        features : Tensor of shape (n, n_features)
            Features, on the network's device.

        Returns
        -------
        Tensor of shape (n, n_classes)
            Probabilities in double precision. They do not depend on the other rows.
        """
        n = len(features)
        padded = torch.nn.functional.pad(features, (0, 0, 0, -n % SAME_FROM))
        return torch.softmax(self.module.head(padded)[:n].double(), -1)

    def at_moment(self, panel: Panel, moment: int, name: str = "X") -> NDArray[np.float64]:
        """Return class probabilities of series that are cut at a moment.

        Parameters
        ----------
        panel : Panel
            First points of series, up to the moment.
        moment : int
            Index of the moment.
        name : str, default="X"
            Name of the argument in errors.

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        found = np.empty((len(panel), self.module.head.out_features))
        for rows, values in alike(self.view(panel, name)):
            found[rows] = self.run(values, ("probabilities",), moment)[0]
        self.check_finite(found, name)
        return found

    def _started(
        self, panel: Panel, name: str, fields: tuple[str, ...]
    ) -> Iterator[tuple[int, slice | NDArray[np.int64], list[torch.Tensor]]]:
        """Start the batches on the device; yield the first row, the rows and the outputs."""
        for start in range(0, len(panel), self.batch_size):
            part = panel.part(start, start + self.batch_size)
            if self.view.several:
                yield from self._started_at_last_moment(part, name, fields, start)
                continue
            for rows, values in alike(self._seen(part, name, start)):
                yield start, rows, self._start(values, fields)

    def _seen(self, panel: Panel, name: str, start: int = 0) -> Seen:
        """Return the views of series to classify, none of which ends before the prefix."""
        # Not in the view itself, because series to learn from may end there.
        self.view.check_ended(panel, name, start)
        return self.view(panel, name, start)

    def _started_at_last_moment(
        self, panel: Panel, name: str, fields: tuple[str, ...], start: int
    ) -> Iterator[tuple[int, NDArray[np.int64], list[torch.Tensor]]]:
        """Start batches of series that have the same last reached moment."""
        ends = self._check_reached(panel, name, start)
        moments = np.searchsorted(self.view.time_points_, ends, "right") - 1
        for m in np.unique(moments):
            rows = np.flatnonzero(moments == m)
            cut = panel.take(rows).first(self.view.time_points_[m])
            for own, values in alike(self.view(cut, name, start)):
                yield start, rows[own], self._start(values, fields, int(m))

    def _check_reached(self, panel: Panel, name: str, start: int) -> NDArray[np.int64]:
        """Return the length of each series, and refuse series that have reached no moment."""
        lengths = own_lengths(np.isnan(panel.values))
        check_reached(lengths, self.view.time_points_[0], name, start)
        return lengths

    def _start(
        self, values: Series, fields: tuple[str, ...], moment: int = -1
    ) -> list[torch.Tensor]:
        with torch.inference_mode(), chosen_threads(self.module, values.shape, self.device):
            x = sent(torch.from_numpy(values), self.device)
            if self.view.several and fields == ("probabilities",):
                return [self.probabilities_of(self.module.features(x, moment=moment))]
            output = self.module(x, moment=moment)
            return [_field(output, field) for field in fields]

    def run(self, values: Series, fields: tuple[str, ...], moment: int = -1) -> list[NDArray[Any]]:
        """Return outputs of the module for views, in one batch.

        Parameters
        ----------
        values : ndarray of shape (n, c, t)
            Views of the series.
        fields : tuple of {"features", "logits", "probabilities"}
            Names of the outputs.
        moment : int, default=-1
            Index of the moment, for networks that predict at several moments.

        Returns
        -------
        list of ndarray of shape (n, width)
            Outputs in the order of ``fields``.
        """
        return [output.cpu().numpy() for output in self._start(values, fields, moment)]

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


def check_network(module: SeriesNet, rows: Rows, config: TrainingConfig, role: str) -> None:
    """Refuse a trained network whose weights or logits are not finite.

    Parameters
    ----------
    module : SeriesNet
        Network after its training, in evaluation mode.
    rows : Rows
        Training rows. The logits of some of them are checked.
    config : TrainingConfig
        Settings of the training.
    role : str
        Name of the trained network in the error.

    Raises
    ------
    FloatingPointError
        If a weight or a logit is infinite or NaN.
    """
    own = config.for_network(module)
    logits = torch.zeros(())
    if config.max_epochs:
        index = torch.arange(min(len(rows), CHECKED_ROWS), device=rows.numbers_on)
        with torch.inference_mode():
            logits = module.eval().read(rows.select(index)).logits
    check_trained(module, logits, role, own.rate, own.weight_decay)


def folded_copy(module: SeriesNet) -> SeriesNet:
    """Return a copy, for predictions, of a network that is still being trained."""
    copied = copy_trained(module)
    copied.fold()
    return copied


def _field(output: SeriesOutput, name: str) -> torch.Tensor:
    if name == "probabilities":
        return torch.softmax(output.logits.double(), 1)
    return output.features if name == "features" else output.logits


def behind(items: Iterable[T], n: int) -> Iterator[T]:
    """Yield each item after ``n`` further items have been made."""
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

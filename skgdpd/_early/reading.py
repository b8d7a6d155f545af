"""Readers that compute class probabilities moment by moment, for whole series and for sessions.

Both uses give bit-for-bit identical probabilities. A matrix product of few rows may sum in another
order than one of many rows. Networks with a map for each moment avoid this themselves. Other
models are always given exactly :data:`ROWS` series.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .._fitting.network import SeriesNetwork
from .._runtime.threads import chosen_threads
from .._series.panel import Panel, own_lengths
from ..nets import has_moment_maps
from ..nets.protocols import MomentState
from ..training.progress import SILENT, Progress
from .clones import MomentClones
from .costs import Floats

ROWS = 16
"""Number of series in each call of a model that has no map for each moment."""

Memory = list[NDArray[Any]]
"""State of a reader: arrays with a row for each series."""


class Reader(Protocol):
    """Reader of the class probabilities of series at each moment."""

    def start(self, n: int) -> Memory:
        """Return the state of ``n`` series before any of their points is read."""
        ...

    def read(self, memory: Memory, values: Floats, moment: int) -> Floats:
        """Read series up to a moment. All earlier moments must have been read before.

        Parameters
        ----------
        memory : Memory
            State of the series, which is updated in place.
        values : ndarray of shape (n, n_channels, time_points[moment])
            All points of the series up to the moment.
        moment : int
            Index of the moment, from 0.

        Returns
        -------
        ndarray of shape (n, n_classes)
            Class probabilities at the moment.
        """
        ...

    def path(self, panel: Panel, progress: Progress = SILENT) -> Floats:
        """Return the probabilities of whole series, bit-for-bit identical to :meth:`read`.

        Parameters
        ----------
        panel : Panel
            Series.
        progress : Progress, optional
            Progress bar, which advances by one for each whole series.

        Returns
        -------
        ndarray of shape (n, n_moments, n_classes)
            Class probabilities; NaN at moments that a series has not reached.
        """
        ...


def reader_of(model: Any) -> Reader:
    """Return the reader of a fitted classifier of several moments.

    Parameters
    ----------
    model : classifier
        Fitted classifier with ``predict_proba_path``.

    Returns
    -------
    Reader
    """
    network = getattr(model, "network_", None)
    if isinstance(network, SeriesNetwork) and getattr(model, "predictor_", None) is None:
        if not has_moment_maps(network.module.backbone):
            return BlockReader(model.time_points_, network.at_moment, ROWS)
        if network.view.normalizer.how == "prefix":
            return BlockReader(model.time_points_, network.at_moment)
        return StateReader(network)
    if isinstance(model, MomentClones):
        return BlockReader(model.time_points_, model.proba_at, ROWS)
    return BlockReader(
        model.time_points_, lambda panel, moment: model.predict_proba(panel.values), ROWS
    )


def path_of(model: Any, panel: Panel, progress: Progress = SILENT) -> Floats:
    """Return the class probabilities of series at all moments, from a fitted classifier.

    Parameters
    ----------
    model : classifier
        Fitted classifier of several moments.
    panel : Panel
        Series.
    progress : Progress, optional
        Progress bar, which advances by one for each whole series.

    Returns
    -------
    ndarray of shape (n, n_moments, n_classes)
        Class probabilities; NaN at moments that a series has not reached.
    """
    try:
        return reader_of(model).path(panel, progress)
    except ValueError:
        network = getattr(model, "network_", None)
        if isinstance(network, SeriesNetwork):
            # A view of all series raises the error with row numbers of the whole panel.
            network.view(panel)
        raise


class BlockReader:
    """Reader that passes all points so far to a model at each moment, and keeps no state.

    Parameters
    ----------
    time_points : sequence of int
        Number of time points at each moment.
    proba : callable
        Function of a panel and of the index of the moment at which the panel is cut. It returns
        class probabilities ``(n, n_classes)``.
    n_rows : int, optional
        Number of series in each call of the model. None passes all series in one call.
    """

    def __init__(
        self,
        time_points: Sequence[int] | NDArray[np.int64],
        proba: Callable[[Panel, int], Floats],
        n_rows: int | None = None,
    ) -> None:
        self.time_points = [int(t) for t in time_points]
        self.proba = proba
        self.n_rows = n_rows

    def start(self, n: int) -> Memory:
        """Return an empty list, because no state is kept."""
        return []

    def read(self, memory: Memory, values: Floats, moment: int) -> Floats:
        """Read series up to a moment; see :class:`Reader`."""
        if self.n_rows is None:
            return self.proba(Panel(values), moment)
        parts = []
        for start in range(0, len(values), self.n_rows):
            block = values[start : start + self.n_rows]
            rows = np.minimum(np.arange(self.n_rows), len(block) - 1)
            parts.append(self.proba(Panel(block[rows]), moment)[: len(block)])
        return np.concatenate(parts)

    def path(self, panel: Panel, progress: Progress = SILENT) -> Floats:
        """Return the class probabilities of whole series; see :class:`Reader`."""
        values = np.asarray(panel.values)
        ends = own_lengths(np.isnan(values))
        found = {}
        for m, t in enumerate(self.time_points):
            rows = np.flatnonzero(ends >= t)
            if len(rows):
                found[m] = rows, self.read([], values[rows, :, :t], m)
            progress.advance(len(values) / len(self.time_points))
        n_classes = found[0][1].shape[1]
        path = np.full((len(values), len(self.time_points), n_classes), np.nan)
        for m, (rows, proba) in found.items():
            path[rows, m] = proba
        return path


class StateReader:
    """Reader that keeps the state of a network, so that each point is read only once.

    Parameters
    ----------
    network : SeriesNetwork
        Network whose backbone has a map and a state for each moment.
    """

    def __init__(self, network: SeriesNetwork) -> None:
        self.network = network
        self.backbone = cast(MomentState, network.module.backbone)

    def start(self, n: int) -> Memory:
        """Return the numbers of points read so far, and the state; see :class:`Reader`."""
        state = self.backbone.start(n)
        return [np.zeros(n, dtype=np.int64), *(tensor.cpu().numpy() for tensor in state)]

    def read(self, memory: Memory, values: Floats, moment: int) -> Floats:
        """Read series up to a moment; see :class:`Reader`."""
        seen = self.network.view(Panel(values))
        lengths = seen.lengths
        if lengths is None:
            lengths = np.full(len(values), values.shape[2])
        n_read, *state = memory
        found = np.empty((len(values), self.network.module.head.out_features))
        pairs = np.unique(np.stack([n_read, lengths], 1), axis=0)
        for first, last in pairs:
            # No copy is made if the same number of points has been read of all series.
            alike = (n_read == first) & (lengths == last)
            rows: Any = np.flatnonzero(alike) if len(pairs) > 1 else slice(None)
            taken = [torch.from_numpy(part[rows]).to(self.network.device) for part in state]
            x = torch.from_numpy(np.ascontiguousarray(seen.values[rows, :, :last]))
            x = x.to(self.network.device)
            with torch.inference_mode(), self._threads(x):
                features = self.backbone.advance(taken, x, int(first), moment)
                found[rows] = self.network.probabilities_of(features).cpu().numpy()
            for part, new in zip(state, taken, strict=True):
                part[rows] = new.cpu().numpy()
        self.network.check_finite(found)
        n_read[:] = lengths
        return found

    def path(self, panel: Panel, progress: Progress = SILENT) -> Floats:
        """Return the class probabilities of whole series in one pass; see :class:`Reader`."""
        return self.network.path(panel, progress=progress)

    def _threads(self, x: Tensor) -> Any:
        return chosen_threads(self.network.module, tuple(x.shape), self.network.device)

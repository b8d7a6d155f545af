"""Export of classifiers as ONNX graphs, from raw first parts of series to probabilities."""

from __future__ import annotations

import copy
import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .._runtime.atomic import replace_file
from .._runtime.extras import require
from .._series.views import PrefixView
from .._version import __version__
from ..nets.joined_features import JoinedFeatures
from ..nets.joined_graph import JoinedGraph
from ..nets.minirocket import MiniRocket
from ..nets.minirocket_graph import MiniRocketGraph
from .network import SeriesNetwork

OPSET = 18
"""Version of the operator set, which runtimes have supported since 2023."""


class PrefixGraph(nn.Module):
    """Module that maps raw prefixes to probabilities with a view and its network.

    Parameters
    ----------
    view : PrefixView
        Fitted view. The module includes its normalisation and resampling, but not its cut.
    module : SeriesNet
        Trained network.
    n_points : int
        Number of time points of a prefix.
    moment : int
        Index of the moment.
    """

    mean: Tensor
    scale: Tensor
    left: Tensor
    weight: Tensor

    def __init__(self, view: PrefixView, module: nn.Module, n_points: int, moment: int) -> None:
        super().__init__()
        self.module = module
        self.moment = moment
        self.times: Tensor | None
        times = torch.arange(1, n_points + 1, dtype=torch.float64) / view.n_whole_
        self.register_buffer("times", times.float() if view.clock_ else None)
        self.normalize = view.normalizer.how
        self.mask = view.missing_values == "mask"
        self.fills = view.missing_values == "interpolate"
        self.resampled = view.n_out_ != view.n_seen_
        if self.normalize == "train":
            self.register_buffer("mean", torch.from_numpy(view.normalizer.mean_))
            self.register_buffer("scale", torch.from_numpy(view.normalizer.scale_))
        position = np.linspace(0, view.n_seen_ - 1, view.n_out_)
        left = np.minimum(position.astype(int), view.n_seen_ - 2)
        self.register_buffer("left", torch.from_numpy(left))
        self.register_buffer("weight", torch.from_numpy((position - left).astype(np.float32)))

    def forward(self, x: Tensor) -> Tensor:
        """Map raw prefixes ``(n, n_channels, prefix_length)`` to probabilities."""
        there = torch.logical_not(torch.isnan(x))
        if self.fills:
            x = interpolated(x, there)
        x = self._normalized(x, there)
        if self.mask:
            x = torch.cat([torch.where(there, x, torch.zeros_like(x)), there.to(x.dtype)], 1)
        elif self.fills:  # channels without any value have the mean
            x = torch.where(torch.isnan(x), torch.zeros_like(x), x)
        if self.resampled:
            x = x[:, :, self.left] * (1 - self.weight) + x[:, :, self.left + 1] * self.weight
        if self.times is not None:
            x = torch.cat([x, self.times.expand(x.shape[0], 1, -1)], 1)
        return torch.softmax(self.module(x, moment=self.moment).logits, 1)

    def _normalized(self, x: Tensor, there: Tensor) -> Tensor:
        if self.normalize is None:
            return x
        if self.normalize == "train":
            return (x - self.mean) / self.scale
        # In double precision, as in the view: a large offset would cost all digits.
        wide = x.double()
        known = torch.where(there, wide, torch.zeros_like(wide)) if self.mask else wide
        count = there.double().sum(2, keepdim=True).clamp(min=1) if self.mask else x.shape[2]
        mean = known.sum(2, keepdim=True) / count
        centred = wide - mean
        square = centred * centred
        if self.mask:
            square = torch.where(there, square, torch.zeros_like(square))
        deviation = (square.sum(2, keepdim=True) / count).sqrt()
        constant = deviation <= 1e-6 * mean.abs()
        return (centred / torch.where(constant, torch.ones_like(deviation), deviation)).float()


def interpolated(x: Tensor, there: Tensor) -> Tensor:
    """Fill gaps as a view of one moment does, with operations that a graph supports.

    Parameters
    ----------
    x : Tensor of shape (n, n_channels, t)
        Raw prefixes.
    there : Tensor of shape (n, n_channels, t)
        True where there is a value.

    Returns
    -------
    Tensor of shape (n, n_channels, t)
        Values, linearly interpolated between neighbours and equal to the nearest value at the
        ends. Channels without any value stay NaN.
    """
    n_points = x.shape[2]
    times = torch.arange(n_points, dtype=torch.float64, device=x.device)
    before, after = times[None, :] <= times[:, None], times[None, :] >= times[:, None]
    known = there[:, :, None, :]
    beyond = torch.full_like(times, n_points)
    left = torch.where(known & before, times, -torch.ones_like(times)).amax(3)
    right = torch.where(known & after, times, beyond).amin(3)
    first = torch.where(left < 0, right, left).clamp(0, n_points - 1)
    last = torch.where(right >= n_points, left, right).clamp(0, n_points - 1)
    wide = x.double()
    start, stop = wide.gather(2, first.long()), wide.gather(2, last.long())
    share = (times - first) / (last - first).clamp(min=1)
    filled = torch.where(last > first, start + (stop - start) * share, start)
    return torch.where(there, x, filled.to(x.dtype))


def export_onnx(
    network: SeriesNetwork,
    classes: NDArray[Any],
    n_channels: int,
    path: str | os.PathLike[str],
    time_point: int | None = None,
) -> None:
    """Write a network as an ONNX file; see ``export_onnx`` of the classifiers.

    Parameters
    ----------
    network : SeriesNetwork
        Trained network.
    classes : ndarray of shape (n_classes,)
        Labels in the order of the output's columns.
    n_channels : int
        Number of channels of the raw series.
    path : path
        Name of the file.
    time_point : int, optional
        Number of time points after which the graph predicts. It is required if the network
        predicts at several moments.

    Raises
    ------
    FileNotFoundError
        If the folder of the file does not exist.
    ValueError
        If a graph can't represent the network, or if ``time_point`` is not one of its moments.
    """
    onnx = require("onnx", "onnx", "to export models")
    require("onnxscript", "onnx", "to export models")
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"path={str(path)!r}: there is no folder {str(path.parent)!r}")
    view = network.view
    if view.missing_values == "interpolate" and view.ragged_:
        raise ValueError(
            "missing_values='interpolate' can't be exported after a fit at several moments or on "
            "series of unequal length: a graph can't tell gaps from the end of a series; fit at "
            "one moment on series of one length, or with missing_values='mask'"
        )
    if view.ragged_ and view.earliness_of == "own" and isinstance(view.earliness, float):
        raise ValueError(
            "earliness_of='own' on series of unequal length can't be exported: a graph has one "
            "prefix length; fit with earliness_of='longest'"
        )
    moment = _moment_of(view, time_point)
    n_points = view.time_points_[moment]
    module = _traceable(copy.deepcopy(network.module).cpu(), n_points)
    graph = PrefixGraph(view, module, n_points, moment).eval()
    # Two rows, since the exporter would treat a batch size of one as a constant.
    example = torch.zeros(2, n_channels, n_points)
    with torch.inference_mode(False), torch.no_grad(), _quiet():
        program = torch.onnx.export(
            graph,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=["prefix"],
            output_names=["probabilities"],
            dynamic_shapes=({0: torch.export.Dim("n", min=1)},),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    metadata = {
        "classes": json.dumps([_as_json(label) for label in classes.tolist()]),
        "prefix_length": str(n_points),
        "n_channels": str(n_channels),
        "skgdpd_version": __version__,
    }
    onnx.helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    replace_file(path, model.SerializeToString())


def _moment_of(view: PrefixView, time_point: int | None) -> int:
    """Return the index of the only moment of a graph."""
    times = list(view.time_points_)
    if time_point is None:
        if view.several:
            raise ValueError(
                f"time_point must be given: a graph answers at one moment, and this classifier at "
                f"{times}"
            )
        return len(times) - 1
    if time_point not in times:
        raise ValueError(f"time_point={time_point!r} is not a moment of this classifier: {times}")
    return times.index(time_point)


def _traceable(module: nn.Module, n_points: int) -> nn.Module:
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, MiniRocket):
                setattr(parent, name, MiniRocketGraph(child))
            elif isinstance(child, JoinedFeatures):
                setattr(parent, name, JoinedGraph(child, n_points))
    return module


def _as_json(label: Any) -> Any:
    return label if isinstance(label, (str, int, float, bool)) else str(label)


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporter's messages, which do not concern the user."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)

"""Training rows: views of series as tensors, with further tensors for each row."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from .._series.panel import Panel
from .._series.storage import RESIDENT_BYTES, is_large
from .._series.views import Moments, PrefixView, Seen
from ..nets.prefixes import Prefixes, cut
from ..nets.protocols import FixedFeatures, needs_fixed_only
from ..nets.student import SeriesNet
from ..training import Rows
from ..training.batches import MomentRows, StreamedRows


def make_rows(view: PrefixView, panel: Panel, **arrays: NDArray[Any] | None) -> Rows:
    """Return training rows on the CPU: views of series, and further arrays.

    The views of stored series are made once if they fit into memory, and otherwise for each batch.

    Parameters
    ----------
    view : PrefixView
        Fitted view.
    panel : Panel
        Series.
    **arrays : ndarray of shape (n, ...) or None
        Further arrays by name, with a row for each series. Arrays that are None are left out.

    Returns
    -------
    Rows
        Training rows.
    """
    tensors = {k: _as_tensor(v) for k, v in arrays.items() if v is not None}
    if view.several:
        return _moment_rows(view, panel, tensors)
    if not panel.stored:
        return Rows(**_as_tensors(view(panel)), **tensors)
    if view.ragged_ or is_large((len(panel), view.n_channels_, view.n_out_)):
        return StreamedRows(lambda index: _as_tensors(view(Panel(panel.values[index]))), **tensors)
    values = torch.empty(len(panel), view.n_channels_, view.n_out_)
    for start, part in panel.chunks():
        values[start : start + len(part)] = torch.from_numpy(view(part, first=start).values)
    return Rows(x=values, **tensors)


def _moment_rows(view: PrefixView, panel: Panel, tensors: dict[str, torch.Tensor]) -> MomentRows:
    if panel.stored:
        panel = Panel(panel.values[np.arange(len(panel))])
    return MomentRows(as_prefixes(view, view.moments(panel)), **tensors)


def as_prefixes(view: PrefixView, moments: Moments) -> Prefixes:
    """Return views at several moments as tensors.

    Parameters
    ----------
    view : PrefixView
        View that made the moments.
    moments : Moments
        Views of series at several moments.

    Returns
    -------
    Prefixes
    """
    lengths = None if moments.lengths is None else torch.from_numpy(moments.lengths)
    if moments.nested:
        return cut(torch.from_numpy(moments.values[-1]), view.time_points_, lengths)
    series = tuple(torch.from_numpy(values) for values in moments.values)
    return Prefixes(view.time_points_, series, lengths, False)


def _as_tensor(array: NDArray[Any]) -> torch.Tensor:
    # torch warns about read-only arrays, such as those of a cache opened with mmap_mode="r".
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def fit_moment_maps(
    module: SeriesNet, rows: MomentRows, seed: int, trains: bool
) -> tuple[MomentRows, NDArray[np.float64]]:
    """Fit a classifier in closed form for each moment.

    Parameters
    ----------
    module : SeriesNet
        Network on the rows' device, whose backbone has a map for each moment.
    rows : MomentRows
        Training rows with ``y``, or with ``target`` if some rows are unlabelled.
    seed : int
        Seed of the random draws.
    trains : bool
        Whether the maps are trained after this fit.

    Returns
    -------
    rows : MomentRows
        Rows with fixed features if the maps are trained further; otherwise the same rows.
    left_out : ndarray of shape (n, n_moments, n_classes)
        Probabilities of each row, by classifiers that were fitted without it.
    """
    target, weight = _targets(module, rows)
    start = module.fit_moments(rows.prefixes, target, weight, seed, trains)
    left_out = torch.softmax(start.left_out.double(), -1).cpu().numpy()
    return (rows if start.fixed is None else rows.with_fixed(start.fixed)), left_out


def _targets(module: SeriesNet, rows: Rows) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return class probabilities and weights of rows, some of which may be unlabelled."""
    known = rows.tensors
    target, weight = known.get("target"), known.get("target_weight")
    if target is None:
        target = torch.nn.functional.one_hot(known["y"], module.head.out_features).float()
        weight = known.get("weight")
    return target, weight


def fit_fixed_part(
    module: SeriesNet, rows: Rows, seed: int
) -> tuple[Rows, NDArray[np.float64] | None]:
    """Fit the fixed part of a network, and compute the fixed features of the training rows.

    Parameters
    ----------
    module : SeriesNet
        Network on the rows' device.
    rows : Rows
        Training rows with ``y``, or with ``target`` if some rows are unlabelled.
    seed : int
        Seed of the random draws.

    Returns
    -------
    rows : Rows
        Rows with ``fixed`` if the network has a fixed part; otherwise the same rows.
    left_out : ndarray of shape (n, n_classes) or None
        Probabilities of each row, by a starting classifier that was fitted without it; None if
        the network has no fixed part.
    """
    if not module.has_fixed_part:
        return rows, None
    if isinstance(rows, StreamedRows):
        raise ValueError(
            f"backbone {type(module.backbone).__name__} has fixed features, which are fitted on "
            f"all series at once, and the prefixes of these {len(rows)} take more than "
            f"{RESIDENT_BYTES >> 20} MiB; choose one that is trained in batches, such as 'fcn' or "
            f"'lstm1-8', or give fewer series"
        )
    known = rows.tensors
    target, weight = _targets(module, rows)
    start = module.fit_fixed(known["x"], known.get("lengths"), target, weight, seed)
    left_out = torch.softmax(start.left_out.double(), -1).cpu().numpy()
    return with_fixed(module, rows, start.fixed), left_out


def add_fixed_part(module: SeriesNet, rows: Rows) -> Rows:
    """Return the rows with fixed features if the network has them, or else the same rows."""
    if not module.has_fixed_part:
        return rows
    known = rows.tensors
    backbone = cast(FixedFeatures, module.backbone)
    fixed = backbone.featurize(known["x"], known.get("lengths"))
    return with_fixed(module, rows, fixed)


def with_fixed(module: SeriesNet, rows: Rows, fixed: torch.Tensor) -> Rows:
    """Return the rows with their fixed features, without the tensors that these replace."""
    useless = {"index"}
    if needs_fixed_only(module.backbone):
        useless |= {"x", "lengths"}
    known = {name: tensor for name, tensor in rows.tensors.items() if name not in useless}
    return Rows(fixed=fixed, **known)


def _as_tensors(seen: Seen) -> dict[str, torch.Tensor]:
    arrays = {"x": seen.values, "lengths": seen.lengths}
    return {name: torch.from_numpy(v) for name, v in arrays.items() if v is not None}

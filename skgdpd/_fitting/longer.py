"""Longer parts of a student's series, for methods that show them to it in training."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .._series.panel import Panel
from .._series.views import PrefixView, Seen
from ..nets import available_backbones, make_backbone, starts_fitted
from ..nets.protocols import has_fixed_features
from ..nets.student import SeriesNet
from ..training.fitting import isolated_random_state

CPU = torch.device("cpu")


def view_of(view: PrefixView, n_points: int) -> PrefixView:
    """Return the view of another part of the same series, with the same normalisation.

    Parameters
    ----------
    view : PrefixView
        Fitted view of one part.
    n_points : int
        Number of time points of the other part.

    Returns
    -------
    PrefixView
        Fitted view, which shares its statistics with ``view``.
    """
    other = copy.copy(view)
    other.earliness = n_points / view.n_whole_
    other.n_seen_, other.time_points_ = n_points, (n_points,)
    other.n_out_ = n_points if view.resample_length is None else view.n_out_
    return other


def longer_views(
    parts: Mapping[str, int], view: PrefixView, panel: Panel
) -> dict[str, NDArray[Any]]:
    """Return longer parts of series as inputs of a network.

    Parameters
    ----------
    parts : mapping of str to int
        Number of time points of each part, by name.
    view : PrefixView
        Fitted view of the student.
    panel : Panel
        Whole series.

    Returns
    -------
    dict of str to ndarray
        Values ``x_NAME (n, c, t)``, and lengths ``lengths_NAME (n,)`` if series differ in length.
    """
    found: dict[str, NDArray[Any]] = {}
    for name, n_points in parts.items():
        seen = _seen(view_of(view, n_points), panel)
        found[f"x_{name}"] = seen.values
        if seen.lengths is not None:
            found[f"lengths_{name}"] = seen.lengths
    return found


def _seen(view: PrefixView, panel: Panel) -> Seen:
    parts = [view(part, first=start) for start, part in panel.chunks()]
    if len(parts) == 1:
        return parts[0]
    width = max(part.values.shape[2] for part in parts)
    values = [np.pad(p.values, ((0, 0), (0, 0), (0, width - p.values.shape[2]))) for p in parts]
    known = [part.lengths for part in parts if part.lengths is not None]
    return Seen(np.concatenate(values), np.concatenate(known) if known else None)


def check_longer(
    distiller: Any, parts: Mapping[str, int], student: Any, module: SeriesNet, view: PrefixView
) -> None:
    """Check, before any training, that a student can be given longer parts of its series.

    Parameters
    ----------
    distiller : Distiller
        Distiller that needs the longer parts.
    parts : mapping of str to int
        Number of time points of each part, by name. If there are none, nothing is checked.
    student : object
        Parameter ``student`` of the classifier.
    module : SeriesNet
        Network made of ``student``.
    view : PrefixView
        Fitted view of the student.

    Raises
    ------
    ValueError
        If the network takes series of one length only, or if ``earliness`` is neither a share
        nor a number of time points.
    """
    if not parts:
        return
    if view.transformer_ is not None:
        raise ValueError(
            f"distiller={distiller!r} shows the student longer parts of its series, which can't "
            f"be told from earliness={view.earliness!r}; give a share or a number of time points"
        )
    lengths = {view_of(view, n).n_out_ for n in parts.values()}
    if not _takes(module, view.n_channels_, lengths):
        raise ValueError(
            f"distiller={distiller!r} shows the student longer parts of its series, and "
            f"student={student!r} takes one length; allowed are "
            f"{', '.join(map(repr, _flexible(view.n_channels_)))}, or a torch module that maps "
            f"series of any length to features"
        )


def _takes(module: SeriesNet, n_channels: int, lengths: set[int]) -> bool:
    """Return whether a network gives logits for series of all lengths."""
    if has_fixed_features(module.backbone):
        return False
    was_training = module.training
    device = next((p.device for p in module.parameters()), CPU)
    module.eval()
    try:
        with torch.no_grad():
            for length in lengths:
                module(torch.zeros(2, n_channels, length, device=device))
    except (RuntimeError, ValueError, IndexError):  # what layers raise for another shape
        return False
    finally:
        module.train(was_training)
    return True


def _flexible(n_channels: int) -> list[str]:
    """Return the names of backbones that take series of any length."""
    names = []
    for name in available_backbones():
        if starts_fitted(name):
            continue
        with isolated_random_state(0, CPU):
            try:
                module = SeriesNet(make_backbone(name, n_channels, 32), 2)
            except Exception:
                continue  # a registered backbone of the user, for series of another shape
        names += [name] if _takes(module, n_channels, {32, 48}) else []
    return names

"""Activations over time: checks of networks, and constants from a teacher's activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .._fitting.network import SeriesNetwork, alike
from .._runtime.threads import chosen_threads
from .._series.panel import Panel
from .._series.views import PrefixView
from ..distillers import Distillation, Distiller, MapShapes, TeacherMaps
from ..nets import TimeMaps, available_backbones, has_maps, make_backbone
from ..nets.student import SeriesNet
from ..training.batches import sent
from ..training.fitting import isolated_random_state
from .ensemble import is_ensemble

Constants = dict[str, NDArray[Any]]


def check_maps(
    distiller: Distiller,
    student: Any,
    module: SeriesNet,
    teacher: Any,
    view: PrefixView,
    whole: Panel,
) -> None:
    """Check, before any training, that the networks have the activations to compare.

    Parameters
    ----------
    distiller : Distiller
        Distiller. Nothing is checked if it does not compare activations over time.
    student : object
        Parameter ``student`` of the classifier.
    module : SeriesNet
        Network made of ``student``.
    teacher : object
        Parameter ``teacher`` of the classifier.
    view : PrefixView
        Fitted view of the student.
    whole : Panel
        Whole series.

    Raises
    ------
    ValueError
        If student or teacher has no activations over time, or activations of a wrong shape.
    """
    if not distiller.compares_maps:
        return
    n_channels, longest = view.n_channels_, view.resample_length
    n_whole = whole.n_timepoints if longest is None else min(longest, whole.n_timepoints)
    if not has_maps(module.backbone):
        raise _without_maps(distiller, "student", student, n_channels, n_whole)
    _probe(module.backbone, n_channels, view.n_out_, "student")
    if teacher is None:
        return
    if is_ensemble(teacher) or hasattr(teacher, "predict_proba"):
        raise _without_maps(distiller, "teacher", teacher, n_channels, n_whole)
    with isolated_random_state(0, torch.device("cpu")):
        backbone = make_backbone(teacher, n_channels, n_whole, "teacher")
    if not has_maps(backbone):
        raise _without_maps(distiller, "teacher", teacher, n_channels, n_whole)
    _probe(backbone, n_channels, n_whole, "teacher")


def _without_maps(
    distiller: Distiller, name: str, spec: Any, n_channels: int, n_timepoints: int
) -> ValueError:
    known = []
    with isolated_random_state(0, torch.device("cpu")):
        for other in available_backbones():
            try:
                backbone = make_backbone(other, n_channels, n_timepoints)
            except Exception:
                continue  # a registered backbone of the user, for series of another shape
            known += [repr(other)] if has_maps(backbone) else []
    same = "None (the student's architecture), " if name == "teacher" else ""
    return ValueError(
        f"distiller={distiller!r} compares activations over time, which {name}={spec!r} doesn't "
        f"have; allowed are {same}{', '.join(known)}, or a torch module with the methods maps and "
        f"features_from_maps"
    )


def _probe(backbone: nn.Module, n_channels: int, n_timepoints: int, name: str) -> tuple[int, int]:
    """Return the number of channels and the number of steps of a backbone's activations."""
    was_training = backbone.training
    device = next((p.device for p in backbone.parameters()), torch.device("cpu"))
    backbone.eval()
    try:
        with torch.no_grad():
            timed = cast(TimeMaps, backbone)
            maps = timed.maps(torch.zeros(2, n_channels, n_timepoints, device=device))
            features = timed.features_from_maps(maps)
    finally:
        backbone.train(was_training)
    if maps.ndim != 3 or len(maps) != 2 or features.shape != (2, backbone.n_features):
        raise ValueError(
            f"{name}: {type(backbone).__name__}.maps must map (n, {n_channels}, {n_timepoints}) "
            f"to (n, n_maps, n_steps), and its features_from_maps these to (n, "
            f"{backbone.n_features}); for n = 2 they gave {tuple(maps.shape)} and "
            f"{tuple(features.shape)}"
        )
    return maps.shape[1], maps.shape[2]


def taught_maps(
    method: Distiller | Distillation,
    module: SeriesNet,
    view: PrefixView,
    teacher: Any,
    series: Callable[[], tuple[Panel, Panel]],
) -> tuple[MapShapes | None, Constants]:
    """Return the constants that a method computes from a teacher's activations over time.

    Parameters
    ----------
    method : Distiller or Distillation
        Method whose ``constants_of_maps`` is called if it compares activations over time.
    module : SeriesNet
        Network of the student.
    view : PrefixView
        Fitted view of the student.
    teacher : NetworkTeacher
        Fitted teacher. It may be of any kind if the method compares no activations.
    series : callable
        Function that returns two panels with the same rows, one for the student's view and one
        for the teacher.

    Returns
    -------
    shapes : MapShapes or None
        Shapes for the longest series; None if the method compares no activations.
    constants : dict of str to ndarray of shape (n, ...)
        Constants by name, with a row for each series.
    """
    if not method.compares_maps:
        return None, {}
    network = teacher.network_
    shapes = _shapes(module, view, network)
    return shapes, _constants(method, shapes, view, network, *series())


def _shapes(module: SeriesNet, view: PrefixView, teacher: SeriesNetwork) -> MapShapes:
    n_maps, n_steps = _probe(module.backbone, view.n_channels_, view.n_out_, "student")
    whole = teacher.view
    _, n_teacher = _probe(teacher.module.backbone, whole.n_channels_, whole.n_out_, "teacher")
    return MapShapes(n_maps, n_steps, n_teacher, min(view.n_seen_ / whole.n_whole_, 1.0))


def _constants(
    method: Distiller | Distillation,
    shapes: MapShapes,
    view: PrefixView,
    teacher: SeriesNetwork,
    seen: Panel,
    whole: Panel,
) -> Constants:
    found: list[tuple[NDArray[np.int64], Constants]] = []
    for start in range(0, len(whole), teacher.batch_size):
        stop = start + teacher.batch_size
        own, all_of_it = view.seen_lengths(seen.part(start, stop)), whole.part(start, stop)
        lengths = teacher.view.seen_lengths(all_of_it)
        reach = np.minimum((own - 1) / (lengths - 1), 1.0)
        n_steps = np.full(len(own), shapes.n_student_steps)
        if view.ragged_ and view.resample_length is None:
            n_steps = np.minimum(-(-own * shapes.n_student_steps // view.n_out_), n_steps)
        for rows, values in alike(teacher.view(all_of_it, "X", start)):
            maps = _run(teacher, values)
            told = TeacherMaps(
                maps,
                torch.from_numpy(reach[rows]).to(maps.device),
                torch.from_numpy(n_steps[rows]).to(maps.device),
                shapes,
            )
            constants = {k: v.cpu().numpy() for k, v in method.constants_of_maps(told).items()}
            found.append((start + np.arange(len(own))[rows], constants))
    return _joined(found, len(whole))


def _run(teacher: SeriesNetwork, values: NDArray[np.float32]) -> torch.Tensor:
    with torch.inference_mode(), chosen_threads(teacher.module, values.shape, teacher.device):
        x = sent(torch.from_numpy(values), teacher.device)
        return cast(TimeMaps, teacher.module.backbone).maps(x)


def _joined(parts: list[tuple[NDArray[np.int64], Constants]], n: int) -> Constants:
    """Return the constants of all ``n`` rows, joined from parts and padded with zeros."""
    joined: Constants = {}
    for name, first in parts[0][1].items():
        sizes = [part[name].shape[1:] for _, part in parts]
        joined[name] = np.zeros((n, *np.max(sizes, axis=0).astype(int)), dtype=first.dtype)
        for rows, part in parts:
            values = part[name]
            place: Any = (rows, *(slice(size) for size in values.shape[1:]))
            joined[name][place] = values
    return joined

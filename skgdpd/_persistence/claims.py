"""Checks of the sizes in a file, before objects of these sizes are allocated.

A few bytes in a file can state a huge size, such as a hundred million classes. Therefore sizes are
compared with the sizes of the tensors in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._fitting.network import SeriesNetwork
from .._series.views import PrefixView

SIZES = ("n_channels_in_", "n_features_in_", "n_timepoints_in_", "prefix_length_")
"""Fitted attributes of classifiers that are positive integers."""


def check_size(name: str, value: Any, most: int | None = None) -> None:
    """Raise an error for a size that is not an integer from 1 to ``most``."""
    if type(value) is not int or value < 1 or (most is not None and value > most):
        limit = "of at least 1" if most is None else f"from 1 to {most}"
        raise ValueError(f"{name} is {value!r}, and must be a whole number {limit}")


def check_claims(claims: Mapping[str, Any], held: Mapping[str, int]) -> None:
    """Raise an error for stated sizes that differ from the sizes of the tensors.

    Parameters
    ----------
    claims : mapping of str to object
        Sizes stated in the file, by name.
    held : mapping of str to int
        Sizes of the tensors in the file, by the same names.
    """
    for name, size in held.items():
        if type(claims[name]) is not int or claims[name] != size:
            raise ValueError(f"{name} is {claims[name]!r}, and its tensors have {size}")


def check_outline(make: Callable[[], nn.Module], weights: Mapping[str, Tensor]) -> None:
    """Raise an error if a network needs more memory than its weights in the file.

    Parameters
    ----------
    make : callable
        Function that makes the network. It is called on a device without memory. Networks that
        can't be made on this device, such as some networks of users, are not checked.
    weights : mapping of str to Tensor
        Weights in the file.
    """
    outline: nn.Module | None = None
    with suppress(NotImplementedError, RuntimeError), torch.device("meta"):
        outline = make()
    if outline is None:
        return
    needed, given = _n_bytes(outline.state_dict()), _n_bytes(weights)
    if needed > given:
        raise ValueError(
            f"its parts don't fit together: a network needs {needed} bytes of weights, and the "
            f"file has {given}"
        )


def _n_bytes(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def check_weights(weights: Any) -> None:
    """Raise an error for weights that are not a dict of tensors by name."""
    if not isinstance(weights, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in weights.items()
    ):
        raise ValueError("its weights are not tensors by name")


def check_types(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Raise an error for weights with other number types than in the network."""
    for name, own in module.state_dict().items():
        given = weights.get(name)
        if given is not None and given.dtype != own.dtype:
            raise ValueError(f"{name} is of type {given.dtype}, and must be {own.dtype}")


def check_view(view: PrefixView) -> None:
    """Raise an error for a view whose lengths don't fit together."""
    for name in ("n_whole_", "n_seen_", "n_out_", "n_channels_"):
        check_size(name, getattr(view, name))
    times, seen, whole = view.time_points_, view.n_seen_, view.n_whole_
    for time in times:
        check_size("time_points_", time)
    if seen > whole or not times or times[-1] != seen or sorted(set(times)) != list(times):
        raise ValueError(f"moments {list(times)[-3:]} and {seen} points are none of {whole}")
    longest = view.resample_length
    if longest is not None:
        check_size("resample_length", longest)
    if view.n_out_ != (seen if longest is None else min(longest, whole)):
        raise ValueError(f"n_out_ is {view.n_out_}, and {seen} points are seen of {whole}")
    _check_channels(view)


def _check_channels(view: PrefixView) -> None:
    masked = view.missing_values == "mask"
    n, rest = divmod(view.n_channels_ - bool(view.clock_), 2 if masked else 1)
    if n < 1 or rest:
        raise ValueError(f"n_channels_ is {view.n_channels_}, which no series gives")
    if view.normalizer.how != "train":
        return
    for name in ("mean_", "scale_"):
        statistic = getattr(view.normalizer, name)
        if statistic.shape != (n, 1) or not np.isfinite(statistic).all():
            raise ValueError(f"{name} has shape {statistic.shape}, and there are {n} channels")


def check_classifier(model: Any) -> None:
    """Raise an error for a fitted classifier whose labels and network don't fit together."""
    fitted = vars(model)
    for name in SIZES:
        if name in fitted:
            check_size(name, fitted[name])
    check_sampling_step(model)
    check_digests(model)
    network = fitted["network_"]
    if not isinstance(network, SeriesNetwork):
        raise ValueError(f"network_ is {type(network).__name__}")
    check_shape("classes_", fitted["classes_"], (network.module.head.out_features,))


def check_sampling_step(model: Any) -> None:
    """Raise an error for a time from point to point that is no positive number."""
    step = vars(model).get("sampling_step_")
    if step is None:
        return
    sizes = type(step) is tuple and [type(part) for part in step] == [float, bool]
    if not sizes or not 0 < step[0] < np.inf:
        raise ValueError(
            f"sampling_step_ is {step!r}, and must be a number above 0 and whether times are dates"
        )


def check_digests(model: Any) -> None:
    """Raise an error for digests of series that are no list of whole numbers."""
    digests = vars(model).get("series_digests_")
    if digests is not None:
        check_shape("series_digests_", digests, (np.size(digests),), "i")


def check_shape(name: str, array: Any, shape: tuple[int, ...], kinds: str = "") -> None:
    """Raise an error unless a value is an array of a shape, and of the given kinds if any."""
    found = array.shape if isinstance(array, np.ndarray) else type(array).__name__
    if found != shape:
        raise ValueError(
            f"its parts don't fit together: {name} must have the shape {shape}, not {found}"
        )
    if kinds and array.dtype.kind not in kinds:
        raise ValueError(f"{name} is of type {array.dtype}")

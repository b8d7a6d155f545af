"""Registry of backbones by name, and construction of backbones."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from .inception import InceptionTime, SerialInception
from .joined_features import FAMILIES
from .lstm import LSTM
from .mixed import Mixed
from .moment_forests import N_TREES
from .path_rocket import PathRocket
from .protocols import has_fixed_features, has_moment_maps
from .resnet import FCN, PaperResNet, ResNet
from .rocket import Hybrid, Rocket
from .rocket_quant import RocketQuant
from .tcn import TCN

BackboneFactory = Callable[[int, int], nn.Module]
PathFactory = Callable[[int, int, Sequence[int]], nn.Module]
BackboneSpec = str | nn.Module | BackboneFactory

_BACKBONES: dict[str, BackboneFactory] = {
    "inception": lambda n_channels, n_timepoints: InceptionTime(n_channels),
    "resnet": lambda n_channels, n_timepoints: ResNet(n_channels),
    "fcn": lambda n_channels, n_timepoints: FCN(n_channels),
    "fcn24": lambda n_channels, n_timepoints: FCN(n_channels, (24, 48, 24)),
    "lstm": lambda n_channels, n_timepoints: LSTM(n_channels),
    "lstm3-100": lambda n_channels, n_timepoints: LSTM(n_channels, 100, 3, remember=False),
    "lstm2-32": lambda n_channels, n_timepoints: LSTM(n_channels, 32, 2, remember=False),
    "lstm1-8": lambda n_channels, n_timepoints: LSTM(n_channels, 8, 1, remember=False),
    "tcn": TCN,
    "rocket": Rocket,
    "rocket-quant": RocketQuant,
    "mixed": Mixed,
    "hybrid": Hybrid,
    "inception55-32": lambda n_channels, n_timepoints: SerialInception(n_channels),
    "resnet32-64": lambda n_channels, n_timepoints: PaperResNet(n_channels),
}

_AT_SEVERAL_MOMENTS: dict[str, PathFactory] = {
    "rocket": PathRocket,
    "rocket-quant": functools.partial(PathRocket, n_trees=N_TREES),
    "mixed": functools.partial(PathRocket, families=tuple(FAMILIES), n_trees=N_TREES),
}
"""Backbones that a name refers to if the network predicts at several moments."""


def available_backbones() -> list[str]:
    """Return the names allowed for ``student=`` and ``teacher=``, in alphabetical order."""
    return sorted(_BACKBONES)


def register_backbone(name: str, factory: BackboneFactory) -> None:
    """Make a backbone available by name.

    Parameters
    ----------
    name : str
        The name for ``student=`` or ``teacher=``. It must not be registered yet.
    factory : callable
        ``factory(n_channels, n_timepoints)`` returns a new :class:`torch.nn.Module` that maps
        ``(n, n_channels, n_timepoints)`` series to ``(n, n_features)`` features. The module may
        have further abilities, such as lengths of ragged series, activations over time, and fixed
        features; see docs/adding-a-backbone.md.

    Raises
    ------
    ValueError
        If the name is already registered.
    TypeError
        If ``factory`` is not callable.

    Examples
    --------
    >>> from torch import nn
    >>> from skgdpd.nets import register_backbone, available_backbones
    >>> register_backbone(
    ...     "mean-of-linear",
    ...     lambda n_channels, n_timepoints: nn.Sequential(
    ...         nn.Flatten(), nn.Linear(n_channels * n_timepoints, 8)),
    ... )
    >>> "mean-of-linear" in available_backbones()
    True
    """
    if name in _BACKBONES:
        raise ValueError(f"a backbone named {name!r} exists already; choose another name")
    if not callable(factory):
        raise TypeError(f"factory must be callable, got {factory!r}")
    _BACKBONES[name] = factory


def make_backbone(
    spec: BackboneSpec,
    n_channels: int,
    n_timepoints: int,
    name: str | None = None,
    time_points: Sequence[int] = (),
    n_features: int | None = None,
) -> nn.Module:
    """Make a new backbone and find its number of features.

    Parameters
    ----------
    spec : str, torch.nn.Module or callable
        A registered name; a module, which is copied with its current weights; or a callable
        ``(n_channels, n_timepoints) -> module``. A class with a map for each moment, such as
        :class:`~skgdpd.nets.PathRocket`, or a :func:`functools.partial` of such a class, also
        gets the moments.
    n_channels, n_timepoints : int
        Numbers of channels and of time points of the series.
    name : str, optional
        Name of the parameter that holds ``spec``, for error messages.
    time_points : sequence of int, default=()
        The moments at which the network predicts, as prefix lengths, if there are several.
    n_features : int, optional
        Number of features, if it is known. By default it is measured by a forward pass.

    Returns
    -------
    torch.nn.Module
        A module with the attributes ``n_features`` and ``registered_name`` of
        :class:`~skgdpd.nets.Backbone`.

    Raises
    ------
    ValueError
        If the name is unknown, or the module doesn't map ``(n, c, t)`` to ``(n, n_features)``.
    """
    whose = "" if name is None else f"{name}: "
    check_name(spec, name)
    if isinstance(spec, str):
        if len(time_points) > 1 and spec in _AT_SEVERAL_MOMENTS:
            backbone = _AT_SEVERAL_MOMENTS[spec](n_channels, n_timepoints, time_points)
        else:
            backbone = _BACKBONES[spec](n_channels, n_timepoints)
    elif isinstance(spec, nn.Module):
        backbone = copy.deepcopy(spec)
    else:
        shape: tuple[Any, ...] = (n_channels, n_timepoints)
        if has_moment_maps(_called_first(spec)):
            shape = (*shape, time_points)
        try:
            backbone = spec(*shape)
        except Exception as error:
            raise ValueError(
                f"{whose}{spec!r} can't make a network for {n_channels} channels and "
                f"{n_timepoints} time points: {error}"
            ) from error
        if not isinstance(backbone, nn.Module):
            raise ValueError(
                f"{whose}{spec!r} returned {type(backbone).__name__}, not a torch module"
            )
    if len(time_points) < 2 and has_moment_maps(backbone):
        raise ValueError(
            f"{whose}{spec!r} answers at several moments; give earliness a list of these"
        )
    if len(time_points) > 1 and has_fixed_features(backbone):
        raise ValueError(
            f"{whose}{spec!r} is fitted at one moment and can't answer at {len(time_points)}; "
            f"give {sorted(_AT_SEVERAL_MOMENTS)} or a network that is trained, such as 'tcn'"
        )
    # Measured even where there is an attribute of that name, which may be the width of the input.
    if n_features is None:
        n_features = _find_n_features(backbone, n_channels, n_timepoints, whose)
    backbone.n_features = n_features  # type: ignore[assignment]
    backbone.registered_name = spec if isinstance(spec, str) else None  # type: ignore[assignment]
    return backbone


def check_name(spec: BackboneSpec, name: str | None = None) -> None:
    """Raise an error if a spec is a name of no backbone.

    Parameters
    ----------
    spec : str, torch.nn.Module or callable
        Backbone, as for :func:`make_backbone`.
    name : str, optional
        Name of the parameter whose value is ``spec``, for errors.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if isinstance(spec, str) and spec not in _BACKBONES:
        whose = "" if name is None else f"{name}: "
        names = ", ".join(available_backbones())
        raise ValueError(f"{whose}unknown backbone {spec!r}; the names are {names}")


def starts_fitted(spec: BackboneSpec) -> bool:
    """Return whether training starts from a classifier that is fitted in closed form.

    Parameters
    ----------
    spec : str, torch.nn.Module or callable
        Specification of a backbone, as for :func:`make_backbone`. Among callables, only classes
        and a :func:`functools.partial` of a class are recognised.

    Returns
    -------
    bool
    """
    factory = _called_first(_BACKBONES.get(spec) if isinstance(spec, str) else spec)
    return has_fixed_features(factory) or has_moment_maps(factory)


def _called_first(factory: object) -> object:
    """Return the callable inside nested partials, or the factory itself if it is no partial."""
    while isinstance(factory, functools.partial):
        factory = factory.func
    return factory


def _find_n_features(backbone: nn.Module, n_channels: int, n_timepoints: int, whose: str) -> int:
    was_training = backbone.training
    backbone.eval()
    try:
        with torch.no_grad():
            features = backbone(torch.zeros(2, n_channels, n_timepoints))
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(
            f"{whose}{type(backbone).__name__} can't read series of {n_channels} channels and "
            f"{n_timepoints} time points: {error}"
        ) from error
    finally:
        backbone.train(was_training)
    if not isinstance(features, torch.Tensor) or features.ndim != 2 or len(features) != 2:
        shape = tuple(features.shape) if isinstance(features, torch.Tensor) else type(features)
        raise ValueError(
            f"{whose}{type(backbone).__name__} must map (n, {n_channels}, {n_timepoints}) to "
            f"(n, n_features); for n = 2 it gave {shape}"
        )
    return features.shape[1]

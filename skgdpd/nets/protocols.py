"""Protocols of backbones beyond the forward pass, and functions that test for them.

Any module that maps ``(n, c, t)`` series to ``(n, n_features)`` features is a backbone. It may
support more, which is described by the protocols of this module. Nothing is inherited or
registered: a module with the methods of a protocol supports it. The functions of this module are
the only place where a backbone is searched for such methods.

See docs/adding-a-backbone.md for a worked example of each.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import torch
from torch import Tensor, nn

from .prefixes import Prefixes

State = TypeVar("State")


class Backbone(Protocol):
    """Network that turns series into features.

    Attributes
    ----------
    n_features : int
        Width of the features. :func:`~skgdpd.nets.make_backbone` measures and sets it.
    registered_name : str or None
        Name from which the backbone was made and is made again when a model is loaded; None if it
        was made from a module or a callable. :func:`~skgdpd.nets.make_backbone` sets it.

    Notes
    -----
    A backbone may have a number ``suitable_lr``, which then is the learning rate of
    ``lr="auto"``.
    """

    n_features: int
    registered_name: str | None

    def __call__(self, x: Tensor) -> Tensor:
        """Map ``(n, n_channels, n_timepoints)`` series ``x`` to ``(n, n_features)`` features."""
        ...


class TakesLengths(Protocol):
    """Backbone for series of unequal length, whose ``forward`` has a parameter ``lengths``.

    Series are padded with zeros at the end. Features must not depend on the padding: up to
    rounding, they must be those of each series cut to its own length.
    """

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map series to features ``(n, n_features)``.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, n_timepoints)
            Series, zero beyond their own length.
        lengths : Tensor of shape (n,), optional
            Own length of each series; None where all are ``n_timepoints`` long.
        """
        ...


class TimeMaps(Protocol):
    """Backbone with activations over time, which some distillers compare.

    Its ``forward`` is :meth:`features_from_maps` after :meth:`maps`. The steps of the maps divide
    the time of a series into equal parts. Both methods are given ``lengths`` if ``forward`` has
    that parameter, and need none otherwise.
    """

    def maps(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map series to activations ``(n, n_maps, n_steps)``.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, n_timepoints)
            Series, zero beyond their own length.
        lengths : Tensor of shape (n,), optional
            Own length of each series. Activations beyond it are never used.
        """
        ...

    def features_from_maps(self, maps: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Reduce activations to features ``(n, n_features)``.

        Parameters
        ----------
        maps : Tensor of shape (n, n_maps, n_steps)
            Result of :meth:`maps`.
        lengths : Tensor of shape (n,), optional
            Own length of each series, in time points.
        """
        ...


class ClosedFormStart(NamedTuple):
    """Linear classifier from which a training starts, with the fixed features of its rows.

    Attributes
    ----------
    weight : Tensor of shape (n_classes, n_features)
        Weights of the classifier on top of the backbone.
    bias : Tensor of shape (n_classes,)
        Biases of the classifier.
    fixed : Tensor of shape (n, n_fixed)
        Fixed features of the training rows, as ``featurize`` computes them.
    left_out : Tensor of shape (n, n_classes)
        Logits of each row by a classifier that was fitted without it.
    """

    weight: Tensor
    bias: Tensor
    fixed: Tensor
    left_out: Tensor


class FixedFeatures(Protocol):
    """Backbone with features that are fitted once, before the training, and then stay as they are.

    The fixed features of each row are computed once and reused in every epoch. The parameters of
    the backbone are trained on top of them, from a classifier that is fitted in closed form.
    Validation rows are held out only if the training may stop early. Its ``forward`` has a
    parameter ``lengths``, to be treated as :class:`TakesLengths` describes.

    Notes
    -----
    Two members are optional.

    ``fixed_is_all`` is a bool. True means that ``forward`` uses nothing but ``fixed`` where that
    is given, so that the series need not be kept. It is False if it is missing.

    ``fixed_buffers()`` returns the buffers that no training changes. Copies of the network share
    them, and averages of the weights leave them out. Without this method there are none.
    """

    def fit_fixed(
        self, x: Tensor, lengths: Tensor | None, target: Tensor, weight: Tensor | None, seed: int
    ) -> ClosedFormStart:
        """Fit the fixed features, and a linear classifier to start from.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, n_timepoints)
            Training series.
        lengths : Tensor of shape (n,) or None
            Own lengths of the series; None if all are equal.
        target : Tensor of shape (n, n_classes)
            Class probabilities, one-hot where the label is known.
        weight : Tensor of shape (n,) or None
            Weight of each series; None if all are equal.
        seed : int
            Seed of all random draws.

        Returns
        -------
        ClosedFormStart
            The classifier, and the fixed features and left-out logits of these series.
        """
        ...

    def featurize(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Compute the fixed features ``(n, n_fixed)`` of series ``x``, as they are now."""
        ...

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, fixed: Tensor | None = None
    ) -> Tensor:
        """Map series, or their fixed features where they are given, to ``(n, n_features)``."""
        ...

    def fold(self) -> None:
        """End the training, for instance by merging fixed and trained matrices into one.

        The output of ``forward`` stays the same up to rounding. A second call does nothing.
        """
        ...


class OneProjection(FixedFeatures, Protocol):
    """Backbone whose trained part is one linear map of its fixed features.

    A grid search fits the fixed features of such backbones once for all candidates, and trains
    the projections of many candidates in one matrix product.

    Attributes
    ----------
    projection : torch.nn.Linear
        The trained part.
    """

    projection: nn.Linear

    @property
    def trains_one_projection(self) -> bool:
        """True if ``forward(x, lengths, fixed)`` is ``projection(fixed)``, all that is trained."""
        ...

    @property
    def settings(self) -> tuple[object, ...]:
        """All settings on which the result of ``fit_fixed`` depends, besides rows and seed."""
        ...


class PathFeatures(Protocol):
    """Backbone that computes the features of many moments in one pass.

    Features at a moment depend on no later point, in evaluation to the last bit: they are those of
    ``forward`` for the series cut at that moment, up to rounding.
    """

    def features_at(
        self, x: Tensor, time_points: Sequence[int], lengths: Tensor | None = None
    ) -> Tensor:
        """Compute the features at several moments.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, n_timepoints)
            Series, zero beyond their own length.
        time_points : sequence of int
            The moments: ascending numbers of points, from 1 to ``n_timepoints``.
        lengths : Tensor of shape (n,), optional
            Own length of each series; None where all have reached the last moment. The features
            at a moment beyond it are those at the series' own end.

        Returns
        -------
        Tensor of shape (n, n_moments, n_features)
        """
        ...


class MomentStart(NamedTuple):
    """Classifiers in closed form, one for each moment, on top of features of a backbone.

    Attributes
    ----------
    weight : Tensor of shape (n_classes, n_features)
        Weights of the classifier on top of the backbone, the same for all moments.
    bias : Tensor of shape (n_classes,)
        Biases of this classifier.
    fixed : Tensor of shape (n, n_moments, n_fixed) or None
        Fixed features of the training rows; None if the maps are not trained further.
    left_out : Tensor of shape (n, n_moments, n_classes)
        Logits of each row by classifiers that were fitted without it.
    """

    weight: Tensor
    bias: Tensor
    fixed: Tensor | None
    left_out: Tensor


class MomentMaps(PathFeatures, Protocol):
    """Backbone with fixed features and a map of them for each of several moments.

    It is made for the moments, and classifies at each of them from the start. Its ``forward`` has
    a parameter ``moment``, the number of the moment whose map is used.
    """

    def fit_moments(
        self, prefixes: Prefixes, target: Tensor, weight: Tensor | None, seed: int, trains: bool
    ) -> MomentStart:
        """Fit the fixed features, and a classifier for each moment.

        Parameters
        ----------
        prefixes : Prefixes
            Training series at the moments.
        target : Tensor of shape (n, n_classes)
            Class probabilities, one-hot where the label is known.
        weight : Tensor of shape (n,) or None
            Weight of each series; None if all are equal.
        seed : int
            Seed of all random draws.
        trains : bool
            Whether the maps are trained further.

        Returns
        -------
        MomentStart
        """
        ...

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
        fixed: Tensor | None = None,
        moment: int = -1,
    ) -> Tensor:
        """Map series, or their fixed features where they are given, to ``(n, n_features)``."""
        ...

    def fold(self) -> None:
        """End the training; the output stays the same up to rounding."""
        ...


class PointState(Protocol[State]):
    """Backbone that reads a series point by point and keeps a state in between.

    The features after some points are those of ``forward`` for these points, up to rounding, in
    evaluation mode. The cost of a point and the size of the state do not depend on the number of
    points before.

    States are values: a step leaves the state that it started from as it is, so one state may be
    continued in several ways. A state is a tensor or a tuple of states, possibly named. All its
    tensors have one row for each series, so :func:`map_state` takes series out of a state and
    joins states, also of series of which different numbers of points have been read.
    """

    def start(self, n: int, device: torch.device | str | None = None) -> State:
        """Return the state of ``n`` series of which no point has been read.

        Parameters
        ----------
        n : int
            Number of series.
        device : torch.device or str, optional
            Device of the state; None for that of the weights.
        """
        ...

    def step(self, state: State, points: Tensor) -> tuple[State, Tensor]:
        """Read the next points of each series.

        Parameters
        ----------
        state : State
            State after the points before; it is not changed.
        points : Tensor of shape (n, n_channels, k)
            The next points of each series, at least one. How a series is divided into steps makes
            no difference but for rounding. The state keeps no reference to this memory.

        Returns
        -------
        state : State
            State after these points.
        features : Tensor of shape (n, n_features)
            Features of the series so far.
        """
        ...


class MomentState(Protocol):
    """Backbone with a map for each moment that reads each point of a series once.

    Its features are those of ``features_at``, to the bit.
    """

    def start(self, n: int) -> list[Tensor]:
        """Return the state of ``n`` series of which nothing has been read, a row for each."""
        ...

    def advance(self, state: list[Tensor], x: Tensor, n_read: int, moment: int) -> Tensor:
        """Read the points of series since the last moment.

        Parameters
        ----------
        state : list of Tensor
            State of the series; it is brought up to date in place.
        x : Tensor of shape (n, n_channels, t)
            All points of the series that are known at the moment.
        n_read : int
            Number of points that have been read before.
        moment : int
            Number of the moment.

        Returns
        -------
        Tensor of shape (n, n_features)
        """
        ...


def map_state(function: Callable[..., Tensor], *states: State) -> State:
    """Apply a function to each tensor of a state, or to the corresponding ones of several.

    Parameters
    ----------
    function : callable
        The function of as many tensors as there are states. For instance, ``lambda rows:
        rows[:2]`` takes out the first two series.
    *states : State
        States of the same backbone; see :class:`PointState`.

    Returns
    -------
    State
        The function's results, in the form of the states.

    Examples
    --------
    >>> import torch
    >>> from skgdpd.nets import make_backbone, map_state
    >>> lstm = make_backbone("lstm1-8", n_channels=1, n_timepoints=10)
    >>> both = map_state(lambda *rows: torch.cat(rows), lstm.start(2), lstm.start(3))
    >>> lstm.step(both, torch.zeros(5, 1, 1))[1].shape
    torch.Size([5, 8])
    """
    first: Any = states[0]
    if isinstance(first, Tensor):
        return cast(State, function(*states))
    parts = [map_state(function, *own) for own in zip(*cast(Any, states), strict=True)]
    is_named = hasattr(first, "_fields")
    return cast(State, type(first)(*parts) if is_named else tuple(parts))


def takes_lengths(backbone: nn.Module) -> bool:
    """Return whether a backbone supports series of unequal length; see :class:`TakesLengths`.

    Parameters
    ----------
    backbone : torch.nn.Module
        Any module.

    Returns
    -------
    bool
    """
    return "lengths" in inspect.signature(backbone.forward).parameters


def has_maps(backbone: nn.Module) -> bool:
    """Return whether a backbone has activations over time; see :class:`TimeMaps`.

    Parameters
    ----------
    backbone : torch.nn.Module
        Any module.

    Returns
    -------
    bool
        False for backbones with fixed features, too, since their training computes no activations.
    """
    return _has(backbone, "maps", "features_from_maps") and not has_fixed_features(backbone)


def has_path_features(backbone: nn.Module) -> bool:
    """Whether a backbone computes features of many moments at once; see :class:`PathFeatures`.

    Parameters
    ----------
    backbone : torch.nn.Module
        Any module.

    Returns
    -------
    bool
    """
    return _has(backbone, "features_at")


def has_moment_maps(backbone: object) -> bool:
    """Whether a backbone has a map for each of several moments; see :class:`MomentMaps`.

    Parameters
    ----------
    backbone : torch.nn.Module or class
        Any module, or a class of modules.

    Returns
    -------
    bool
    """
    return _has(backbone, "fit_moments")


def has_point_state(backbone: nn.Module) -> bool:
    """Whether a backbone reads a series point by point; see :class:`PointState`.

    Parameters
    ----------
    backbone : torch.nn.Module
        Any module.

    Returns
    -------
    bool
    """
    return _has(backbone, "start", "step")


def has_fixed_features(backbone: object) -> bool:
    """Return whether a backbone has features that are fitted once; see :class:`FixedFeatures`.

    Parameters
    ----------
    backbone : torch.nn.Module or class
        Any module, or a class of modules.

    Returns
    -------
    bool

    Raises
    ------
    TypeError
        If it has ``fit_fixed``, but not the other methods of the protocol.
    """
    if not _has(backbone, "fit_fixed"):
        return False
    missing = [name for name in ("featurize", "fold") if not _has(backbone, name)]
    if missing:
        cls = backbone if isinstance(backbone, type) else type(backbone)
        raise TypeError(
            f"{cls.__name__} has the method fit_fixed, but not {' and '.join(missing)}; a "
            f"backbone with fixed features needs fit_fixed, featurize and fold"
        )
    return True


def needs_fixed_only(backbone: nn.Module) -> bool:
    """Return whether a backbone uses nothing of a series but its fixed features.

    Parameters
    ----------
    backbone : torch.nn.Module
        Any module.

    Returns
    -------
    bool
    """
    return has_fixed_features(backbone) and bool(getattr(backbone, "fixed_is_all", False))


def own_fixed_buffers(module: nn.Module) -> Iterable[Tensor]:
    """Return the buffers that a module declares fixed by ``fixed_buffers``.

    Parameters
    ----------
    module : torch.nn.Module
        A backbone, or a part of a network.

    Returns
    -------
    iterable of Tensor
        Buffers; none for modules without that method.
    """
    declared: Any = module
    return declared.fixed_buffers() if _has(module, "fixed_buffers") else ()


def trains_one_projection(backbone: nn.Module) -> bool:
    """Return whether a backbone's trained part is one linear map; see :class:`OneProjection`.

    Parameters
    ----------
    backbone : torch.nn.Module
        Any module.

    Returns
    -------
    bool
    """
    return has_fixed_features(backbone) and bool(getattr(backbone, "trains_one_projection", False))


def suitable_lr(backbone: nn.Module, default: float) -> float:
    """Return the learning rate that a backbone declares as suitable.

    Parameters
    ----------
    backbone : torch.nn.Module
        Any module.
    default : float
        Learning rate of backbones without an attribute ``suitable_lr``.

    Returns
    -------
    float
    """
    return getattr(backbone, "suitable_lr", default)


def _has(owner: object, *methods: str) -> bool:
    # Not isinstance: from Python 3.12 on, it does not find submodules that serve as methods.
    return all(callable(getattr(owner, name, None)) for name in methods)

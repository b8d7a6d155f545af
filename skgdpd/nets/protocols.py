"""Protocols for optional abilities of backbones, and functions that test for them.

Any module that maps ``(n, c, t)`` series to ``(n, n_features)`` features is a backbone. The
protocols of this module describe further abilities that a backbone may have. A module supports a
protocol if it has the methods of the protocol; there is no base class and no registration. Only
the functions of this module look for these methods.

See docs/adding-a-backbone.md for a worked example of each protocol.
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
    """Network that maps series to features.

    Attributes
    ----------
    n_features : int
        Number of features. :func:`~skgdpd.nets.make_backbone` measures and sets it.
    registered_name : str or None
        Name under which the backbone is registered. Loading a model makes the backbone from this
        name. It is None if the backbone was made from a module or a callable.
        :func:`~skgdpd.nets.make_backbone` sets it.

    Notes
    -----
    A backbone may have an attribute ``suitable_lr``, a number. Estimators with ``lr="auto"`` then
    use it as the learning rate.
    """

    n_features: int
    registered_name: str | None

    def __call__(self, x: Tensor) -> Tensor:
        """Map ``(n, n_channels, n_timepoints)`` series ``x`` to ``(n, n_features)`` features."""
        ...


class TakesLengths(Protocol):
    """Backbone for series of unequal length: its ``forward`` has a parameter ``lengths``.

    Series are padded with zeros at the end, and features must not depend on the padding. Up to
    rounding, the features of a padded series must equal the features of the series without its
    padding.
    """

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map series to features ``(n, n_features)``.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, n_timepoints)
            Series, padded with zeros at the end.
        lengths : Tensor of shape (n,), optional
            Length of each series without padding; None if all have ``n_timepoints`` points.
        """
        ...


class TimeMaps(Protocol):
    """Backbone with activations over time, which some distillers compare.

    Its ``forward`` must equal :meth:`maps` followed by :meth:`features_from_maps`. The steps of
    the maps divide the time of a series into equal parts. Both methods must have a parameter
    ``lengths`` if ``forward`` has one.
    """

    def maps(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map series to activations ``(n, n_maps, n_steps)``.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, n_timepoints)
            Series, padded with zeros at the end.
        lengths : Tensor of shape (n,), optional
            Length of each series without padding. Activations after the end are never used.
        """
        ...

    def features_from_maps(self, maps: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Reduce activations to features ``(n, n_features)``.

        Parameters
        ----------
        maps : Tensor of shape (n, n_maps, n_steps)
            Result of :meth:`maps`.
        lengths : Tensor of shape (n,), optional
            Length of each series without padding, in time points.
        """
        ...


class ClosedFormStart(NamedTuple):
    """Linear classifier at which training starts, with the fixed features of the training rows.

    Attributes
    ----------
    weight : Tensor of shape (n_classes, n_features)
        Weights of the classifier on top of the backbone.
    bias : Tensor of shape (n_classes,)
        Biases of the classifier.
    fixed : Tensor of shape (n, n_fixed)
        Fixed features of the training rows, as ``featurize`` computes them.
    left_out : Tensor of shape (n, n_classes)
        Leave-one-out logits: the logits of each row from a classifier fitted without the row.
    """

    weight: Tensor
    bias: Tensor
    fixed: Tensor
    left_out: Tensor


class FixedFeatures(Protocol):
    """Backbone whose features are fitted once, before training, and never trained.

    The fixed features of each row are computed once and reused in every epoch. The trained
    parameters of the backbone act on these features. Training starts from a classifier that is
    fitted in closed form. Validation rows are held out only if early stopping is on. The parameter
    ``lengths`` of ``forward`` has the meaning that :class:`TakesLengths` describes.

    Notes
    -----
    A backbone of this kind may have two further members.

    ``fixed_is_all`` is a bool. True means that ``forward`` ignores the series if it gets
    ``fixed``, so that the series need not be stored. A missing attribute means False.

    ``fixed_buffers()`` returns the buffers that training never changes. Copies of the network
    share these buffers, and averages of weights leave them out. A missing method means that there
    are no such buffers.
    """

    def fit_fixed(
        self, x: Tensor, lengths: Tensor | None, target: Tensor, weight: Tensor | None, seed: int
    ) -> ClosedFormStart:
        """Fit the fixed features and the linear classifier at which training starts.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, n_timepoints)
            Training series.
        lengths : Tensor of shape (n,) or None
            Lengths of the series without padding; None if all are equal.
        target : Tensor of shape (n, n_classes)
            Class probabilities; one-hot for rows with a label.
        weight : Tensor of shape (n,) or None
            Weight of each series; None if all are equal.
        seed : int
            Seed of all random draws.

        Returns
        -------
        ClosedFormStart
            The classifier, and the fixed features and leave-one-out logits of these series.
        """
        ...

    def featurize(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Compute the fixed features ``(n, n_fixed)`` of series ``x``, as currently fitted."""
        ...

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, fixed: Tensor | None = None
    ) -> Tensor:
        """Map series, or their fixed features if given, to features ``(n, n_features)``."""
        ...

    def fold(self) -> None:
        """Finish after training, for instance by merging fixed and trained matrices into one.

        The output of ``forward`` must stay the same up to rounding. A second call must do nothing.
        """
        ...


class OneProjection(FixedFeatures, Protocol):
    """Backbone whose only trained part is one linear map of its fixed features.

    A grid search fits the fixed features of these backbones once for all candidates. It trains
    the projections of many candidates in one matrix product.

    Attributes
    ----------
    projection : torch.nn.Linear
        The trained part.
    """

    projection: nn.Linear

    @property
    def trains_one_projection(self) -> bool:
        """Whether ``forward`` is ``projection(fixed)`` and nothing else is trained."""
        ...

    @property
    def settings(self) -> tuple[object, ...]:
        """All settings that affect ``fit_fixed``, apart from rows and seed."""
        ...


class PathFeatures(Protocol):
    """Backbone that computes the features at many moments in one pass.

    The features at a moment must not depend on later points; in evaluation mode, a later point
    must not change a single bit. Up to rounding, they must equal the result of ``forward`` for
    the series cut at the moment.
    """

    def features_at(
        self, x: Tensor, time_points: Sequence[int], lengths: Tensor | None = None
    ) -> Tensor:
        """Compute the features at several moments.

        Parameters
        ----------
        x : Tensor of shape (n, n_channels, n_timepoints)
            Series, padded with zeros at the end.
        time_points : sequence of int
            The moments, as prefix lengths in ascending order, from 1 to ``n_timepoints``.
        lengths : Tensor of shape (n,), optional
            Length of each series without padding; None if all reach the last moment. At moments
            after the end of a series, its features equal those at its end.

        Returns
        -------
        Tensor of shape (n, n_moments, n_features)
        """
        ...


class MomentStart(NamedTuple):
    """Classifiers in closed form, one for each moment, on the features of a backbone.

    Attributes
    ----------
    weight : Tensor of shape (n_classes, n_features)
        Weights of the classifier on top of the backbone, the same for all moments.
    bias : Tensor of shape (n_classes,)
        Biases of this classifier.
    fixed : Tensor of shape (n, n_moments, n_fixed) or None
        Fixed features of the training rows; None if the maps are not trained further.
    left_out : Tensor of shape (n, n_moments, n_classes)
        Leave-one-out logits: the logits of each row from classifiers fitted without the row.
    """

    weight: Tensor
    bias: Tensor
    fixed: Tensor | None
    left_out: Tensor


class MomentMaps(PathFeatures, Protocol):
    """Backbone with fixed features and one linear map of them for each of several moments.

    The backbone is constructed for these moments and starts from a fitted classifier at each of
    them. The parameter ``moment`` of ``forward`` is the index of the moment whose map is used.
    """

    def fit_moments(
        self, prefixes: Prefixes, target: Tensor, weight: Tensor | None, seed: int, trains: bool
    ) -> MomentStart:
        """Fit the fixed features and a classifier for each moment.

        Parameters
        ----------
        prefixes : Prefixes
            Training series at the moments.
        target : Tensor of shape (n, n_classes)
            Class probabilities; one-hot for rows with a label.
        weight : Tensor of shape (n,) or None
            Weight of each series; None if all are equal.
        seed : int
            Seed of all random draws.
        trains : bool
            Whether the maps are to be trained further.

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
        """Map series, or their fixed features if given, to features ``(n, n_features)``."""
        ...

    def fold(self) -> None:
        """Finish after training; the output must stay the same up to rounding."""
        ...


class PointState(Protocol[State]):
    """Backbone that reads a series point by point and keeps a state between points.

    In evaluation mode, the features after some points must equal the result of ``forward`` for
    these points, up to rounding. Neither the cost of a point nor the size of the state may grow
    with the number of points read before.

    States are immutable: a step returns a new state and does not change the old one. One state
    can therefore be continued in several ways. A state is a tensor, or a tuple or named tuple of
    states. All its tensors have one row for each series. With :func:`map_state`, series can
    therefore be selected from a state, and states can be joined, even if different numbers of
    points have been read.
    """

    def start(self, n: int, device: torch.device | str | None = None) -> State:
        """Return the initial state of ``n`` series, before the first point.

        Parameters
        ----------
        n : int
            Number of series.
        device : torch.device or str, optional
            Device of the state; None means the device of the weights.
        """
        ...

    def step(self, state: State, points: Tensor) -> tuple[State, Tensor]:
        """Read the next points of each series.

        Parameters
        ----------
        state : State
            State after the previous points. It is not changed.
        points : Tensor of shape (n, n_channels, k)
            The next points of each series, at least one. Results do not depend on how a series is
            divided into steps, up to rounding. The state keeps no reference to this memory.

        Returns
        -------
        state : State
            State after these points.
        features : Tensor of shape (n, n_features)
            Features of the series so far.
        """
        ...


class MomentState(Protocol):
    """Backbone with a map for each moment that reads each point of a series only once.

    Its features must equal those of ``features_at`` bit for bit.
    """

    def start(self, n: int) -> list[Tensor]:
        """Return the initial state of ``n`` series; its tensors have one row for each series."""
        ...

    def advance(self, state: list[Tensor], x: Tensor, n_read: int, moment: int) -> Tensor:
        """Read the points of each series since the last moment.

        Parameters
        ----------
        state : list of Tensor
            State of the series. It is updated in place.
        x : Tensor of shape (n, n_channels, t)
            All points of the series up to the moment.
        n_read : int
            Number of points that were read before.
        moment : int
            Index of the moment, from 0.

        Returns
        -------
        Tensor of shape (n, n_features)
        """
        ...


def map_state(function: Callable[..., Tensor], *states: State) -> State:
    """Apply a function to each tensor of a state, or to corresponding tensors of several states.

    Parameters
    ----------
    function : callable
        Function with one tensor argument for each state. For instance, ``lambda rows: rows[:2]``
        selects the first two series.
    *states : State
        States of the same backbone; see :class:`PointState`.

    Returns
    -------
    State
        Results of the function, in the same structure as the states.

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
        Backbones with fixed features give False, because their training computes no activations.
    """
    return _has(backbone, "maps", "features_from_maps") and not has_fixed_features(backbone)


def has_path_features(backbone: nn.Module) -> bool:
    """Return whether a backbone computes many moments at once; see :class:`PathFeatures`.

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
    """Return whether a backbone has a map for each of several moments; see :class:`MomentMaps`.

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
    """Return whether a backbone reads a series point by point; see :class:`PointState`.

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
    """Return whether a backbone has fixed features; see :class:`FixedFeatures`.

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
        If the backbone has ``fit_fixed``, but not all other methods of the protocol.
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
    """Return whether a backbone uses only the fixed features of a series.

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
    """Return the buffers that a module lists in ``fixed_buffers()``.

    Parameters
    ----------
    module : torch.nn.Module
        A backbone, or a part of a network.

    Returns
    -------
    iterable of Tensor
        Buffers that training never changes; none for modules without the method.
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
    """Return the learning rate that a backbone recommends, or a default.

    Parameters
    ----------
    backbone : torch.nn.Module
        Any module.
    default : float
        Learning rate for backbones without an attribute ``suitable_lr``.

    Returns
    -------
    float
    """
    return getattr(backbone, "suitable_lr", default)


def _has(owner: object, *methods: str) -> bool:
    # Not isinstance: from Python 3.12 on, it does not find submodules that serve as methods.
    return all(callable(getattr(owner, name, None)) for name in methods)

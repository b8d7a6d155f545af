"""The registry of the kinds of objects in model files, with permanent names.

A file names the kind of each object by a string, such as ``"prefix-view"``, and contains the state
that the kind declares. If a class, module or attribute is renamed, only the registration changes,
and files stay valid. Names in the registry are never changed or reused.

A class of the package is registered by :func:`register`. An estimator, a distiller or a group of
options is registered by :func:`register_estimator`. To save a further fitted attribute, add its
name to the registration of the estimator. To rename an attribute, keep the old name in the
registration and map it to the new name in ``attributes``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

State = dict[str, Any]
Check = Callable[[Any], None]

PLACES = ("device", "memory", "checkpoint_dir")
"""Parameters that refer to a path or a device of one machine. They are never saved.

A file from an untrusted source could otherwise name a folder of pickles, and so run code.
"""
NEEDED = ("earliness", "estimator")
"""Parameters without which an estimator can't be restored, if it has them."""


@dataclass
class Opening:
    """Arguments of ``load`` other than the file.

    Attributes
    ----------
    student : object
        Backbone for networks that the file does not describe; None if no backbone was given.
    device : torch.device
        Device of the networks.
    used_student : bool
        Whether a network has been made with ``student``.
    """

    student: Any
    device: torch.device
    used_student: bool = False


@dataclass(frozen=True)
class Kind:
    """Kind of object that model files may hold, with its declared state.

    Attributes
    ----------
    name : str
        Name in files.
    cls : type
        Class of the objects. Objects of its subclasses are not of this kind.
    required : tuple of str
        Names that every state has.
    optional : tuple of str
        Names that a state may have.
    parameters : tuple of str or None
        Names of the constructor parameters that are saved, for estimators; None for other objects.
    on_request : mapping of str to str
        Names that are saved only on request, by the name in ``save(include=...)``.
    attributes : mapping of str to str
        Attribute names by their names in the state, if the two differ.
    take : callable or None
        Function from an object to its state; None means that the attributes are the state.
    make : callable or None
        Function from a state and an :class:`Opening` to an object; None means that the attributes
        are set.
    check : callable or None
        Function that raises a ValueError for a fitted object whose parts don't fit together.
    """

    name: str
    cls: type
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    parameters: tuple[str, ...] | None = None
    on_request: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    take: Callable[[Any], State] | None = None
    make: Callable[[State, Opening], Any] | None = None
    check: Check | None = None

    def attribute(self, name: str) -> str:
        """Return the attribute name for a name in the state."""
        return self.attributes.get(name, name)

    @property
    def required_attributes(self) -> list[str]:
        """Names of the attributes that an object must have to be saved."""
        return [self.attribute(name) for name in self.required]

    def has_state(self, value: Any) -> bool:
        """Return whether an object has a state in addition to its parameters."""
        names = (*self.required, *self.optional)
        return self.parameters is None or any(self.attribute(n) in vars(value) for n in names)

    def state_of(self, value: Any, include: Collection[str] = ()) -> State:
        """Return the declared state of an object.

        Parameters
        ----------
        value : object
            An object of this kind.
        include : collection of str, default=()
            Keys of ``on_request`` whose parts are saved.

        Returns
        -------
        dict
            Values by their names in the state.
        """
        if self.take is not None:
            state = self.take(value)
        else:
            asked = {name for key, name in self.on_request.items() if key not in include}
            there = [n for n in self.optional if self.attribute(n) in vars(value)]
            names = [*self.required, *(name for name in there if name not in asked)]
            state = {name: getattr(value, self.attribute(name)) for name in names}
        self.check_state(state)
        return state

    def parameters_of(self, value: Any, omit: Collection[str] = ()) -> State:
        """Return the saved parameters of an estimator, without those in ``omit``."""
        names = self.parameters or ()
        return {name: getattr(value, name) for name in names if name not in omit}

    def check_state(self, names: Collection[str]) -> None:
        """Raise an error for a state with undeclared names or without required names."""
        self._check(names, self.required, (*self.required, *self.optional))

    def check_parameters(self, names: Collection[str]) -> None:
        """Raise an error for unknown parameters, or for parameters that no file may set."""
        allowed = self.parameters or ()
        self._check(names, [name for name in NEEDED if name in allowed], allowed)

    def _check(
        self, names: Collection[str], required: Collection[str], allowed: Collection[str]
    ) -> None:
        lacking = [name for name in required if name not in names]
        unknown = [name for name in names if name not in allowed]
        faults = [f"lacks {', '.join(lacking)}"] if lacking else []
        if unknown:
            faults.append(f"has {', '.join(unknown)}, which this version does not declare")
        if faults:
            raise ValueError(
                f"its {self.name!r} {' and '.join(faults)}; the file was altered, or written by "
                f"another version of skgdpd"
            )

    def restore(self, parameters: State, state: State | None, opening: Opening) -> Any:
        """Make an object from its parameters and its state.

        Parameters
        ----------
        parameters : dict
            Constructor parameters, for estimators.
        state : dict or None
            State of the object; None for an estimator that is not fitted.
        opening : Opening
            Arguments of ``load``.

        Returns
        -------
        object
            The object.
        """
        if self.make is not None:
            return self.make(state or {}, opening)
        made: Any
        if self.parameters is None:
            made = self.cls.__new__(self.cls)  # type: ignore[call-overload]
        else:
            made = self.cls(**parameters)
        for name, value in (state or {}).items():
            # Frozen dataclasses refuse an ordinary assignment.
            object.__setattr__(made, self.attribute(name), value)
        if self.check is not None and state is not None:
            self.check(made)
        return made


_BY_NAME: dict[str, Kind] = {}
_BY_CLASS: dict[type, Kind] = {}


def register(
    name: str,
    cls: type,
    *,
    required: Collection[str] = (),
    optional: Collection[str] = (),
    attributes: Mapping[str, str] | None = None,
    take: Callable[[Any], State] | None = None,
    make: Callable[[State, Opening], Any] | None = None,
    check: Check | None = None,
) -> None:
    """Register a class that is not an estimator, so that model files can contain its objects.

    Parameters
    ----------
    name : str
        Name of the kind in files.
    cls : type
        Class of the objects.
    required, optional : collection of str
        Names of the saved attributes: those that every object has, and those that are saved if
        they exist.
    attributes : mapping of str to str, optional
        Attribute names by their names in the state, if the two differ.
    take : callable, optional
        Function from an object to its state. By default, the attributes are the state.
    make : callable, optional
        Function from a state and an :class:`Opening` to an object. By default, an object is made
        without a call of the constructor, and its attributes are set.
    check : callable, optional
        Function that raises a ValueError for an object whose parts don't fit together. A
        function ``make`` must do its own checks.

    Raises
    ------
    ValueError
        If the name or the class is already registered.
    """
    _add(
        Kind(
            name,
            cls,
            tuple(required),
            tuple(optional),
            attributes=attributes or {},
            take=take,
            make=make,
            check=check,
        )
    )


def register_estimator(
    name: str,
    cls: type,
    *,
    required: Collection[str] = (),
    optional: Collection[str] = (),
    on_request: Mapping[str, str] | None = None,
    attributes: Mapping[str, str] | None = None,
    check: Check | None = None,
) -> None:
    """Register an estimator, which is saved by its parameters and its fitted attributes.

    Parameters
    ----------
    name : str
        Name of the kind in files.
    cls : type
        Class of the estimators, a :class:`sklearn.base.BaseEstimator`. All parameters of its
        constructor are saved except those in :data:`PLACES`.
    required, optional : collection of str
        Names of the saved fitted attributes: those that every fit sets, and those that only some
        fits set. Groups of options and distillers have none.
    on_request : mapping of str to str, optional
        Fitted attributes that are saved only on request, by the name in ``save(include=...)``.
    attributes : mapping of str to str, optional
        Attribute names by their names in the state, if the two differ.
    check : callable, optional
        Function that raises a ValueError for a fitted estimator whose parts don't fit together.

    Raises
    ------
    ValueError
        If the name or the class is already registered.

    Examples
    --------
    All estimators are registered in ``skgdpd/_estimators/kinds.py``::

        register_estimator(
            "prefix-classifier", PrefixClassifier, required=("classes_", "network_")
        )
    """
    parameters = cls._get_param_names()  # type: ignore[attr-defined]
    asked = on_request or {}
    _add(
        Kind(
            name,
            cls,
            tuple(required),
            (*optional, *asked.values()),
            tuple(parameter for parameter in parameters if parameter not in PLACES),
            asked,
            attributes or {},
            check=check,
        )
    )


def _add(kind: Kind) -> None:
    if kind.name in _BY_NAME or kind.cls in _BY_CLASS:
        raise ValueError(f"{kind.name!r} or {kind.cls.__name__} is in the registry already")
    _BY_NAME[kind.name] = _BY_CLASS[kind.cls] = kind


def kind_of(value: Any) -> Kind | None:
    """Return the kind of an object; None if its class is not registered."""
    return _BY_CLASS.get(type(value))


def kind_named(name: str) -> Kind:
    """Return the kind with a name.

    Parameters
    ----------
    name : str
        Name in files.

    Returns
    -------
    Kind
        The kind.

    Raises
    ------
    ValueError
        If no kind has this name.
    """
    if name not in _BY_NAME:
        raise ValueError(f"this version has no kind {name!r}; update skgdpd")
    return _BY_NAME[name]


def kind_names() -> list[str]:
    """Return the names of all kinds, in alphabetical order."""
    return sorted(_BY_NAME)

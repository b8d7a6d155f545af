"""Conversion of values to JSON and tensors, and back.

Scalars and lists are written as in JSON, and every dict has a ``type``. An object is written as
the name of its kind, its parameters if it is an estimator, and its declared state. Only objects
whose kind is in the registry can be written and read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, from_numpy

from .registry import Kind, Opening, kind_named, kind_of

STRINGS = re.compile(r"[<>=|]?U([0-9]{1,9})")
"""Pattern of the types of string arrays."""
PADDED_BYTES = 2**20
"""Size in bytes up to which a string array may be wider than its longest string."""


class CannotSaveError(ValueError):
    """Error for a value that can't be written to a model file.

    Parameters
    ----------
    name : str
        Path of the value in the model, with dots.
    value : object
        The value.
    """

    def __init__(self, name: str, value: Any) -> None:
        super().__init__(f"{name} is {value!r}, which a model file can't hold")
        self.name, self.value = name, value


@dataclass
class Writer:
    """Writer that converts values to JSON and collects their tensors.

    Attributes
    ----------
    tensors : dict of str to Tensor
        Tensors by their path in the model.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)

    def encode(self, value: Any, name: str, *, fitted: bool = True) -> Any:
        """Return the JSON form of a value.

        Parameters
        ----------
        value : object
            The value.
        name : str
            Path of the value in the model, with dots.
        fitted : bool, default=True
            Whether estimators are written with their fitted state. False is for parameters: an
            estimator that is a parameter is cloned before each fit, so that its state has no
            effect.

        Returns
        -------
        object
            JSON value: a scalar, a list or a dict.

        Raises
        ------
        CannotSaveError
            If the value, or a part of it, can't be written to a model file.
        """
        if isinstance(value, np.generic) and value.dtype.kind in "biufU":
            value = value.item()
        if isinstance(value, float) and not math.isfinite(value):
            return {"type": "float", "value": repr(float(value))}
        if value is None or type(value) in (bool, int, float, str):
            return value
        if type(value) is list:
            return self._items(value, name, fitted)
        if type(value) is tuple:
            return {"type": "tuple", "items": self._items(value, name, fitted)}
        if type(value) is dict:
            return {
                "type": "dict",
                "items": [
                    [self.encode(key, name), self.encode(item, _join(name, key), fitted=fitted)]
                    for key, item in value.items()
                ],
            }
        if isinstance(value, Tensor):
            return {"type": "tensor", **self._tensor(value, name)}
        if type(value) is np.ndarray:
            return self._array(value, name)
        kind = kind_of(value)
        if kind is None:
            raise CannotSaveError(name, value)
        return self.encode_object(value, kind, name, fitted=fitted)

    def encode_object(
        self,
        value: Any,
        kind: Kind,
        name: str = "",
        *,
        fitted: bool = True,
        include: Collection[str] = (),
        omit: Collection[str] = (),
    ) -> dict[str, Any]:
        """Return the JSON form of an object.

        Parameters
        ----------
        value : object
            The object.
        kind : Kind
            Kind of the object.
        name : str, default=""
            Path of the object in the model, with dots.
        fitted : bool, default=True
            Whether an estimator is written with its fitted state.
        include : collection of str, default=()
            Optional parts to save; see ``on_request`` of :class:`~.registry.Kind`.
        omit : collection of str, default=()
            Names of parameters to leave out.

        Returns
        -------
        dict
            The JSON form.
        """
        data: dict[str, Any] = {"type": "object", "kind": kind.name}
        if kind.parameters is not None:
            data["parameters"] = {
                key: self.encode(part, _join(name, key), fitted=False)
                for key, part in kind.parameters_of(value, omit).items()
            }
        if (fitted or kind.parameters is None) and kind.has_state(value):
            data["state"] = {
                key: self.encode(part, _join(name, key))
                for key, part in kind.state_of(value, include).items()
            }
        return data

    def _items(self, values: Any, name: str, fitted: bool) -> list[Any]:
        return [self.encode(item, _join(name, i), fitted=fitted) for i, item in enumerate(values)]

    def _array(self, array: NDArray[Any], name: str) -> dict[str, Any]:
        kind = array.dtype.kind
        if kind in "biuf" and array.dtype.itemsize <= 8:
            # Copied, since torch has no read-only tensors.
            plain = from_numpy(array.astype(array.dtype.newbyteorder("="), copy=True))
            return {"type": "array", **self._tensor(plain, name)}
        if kind in "UO" and array.ndim == 1:
            items = self._items(array.tolist(), name, True)
            dtype = "object"
            if kind == "U":
                narrow = array.nbytes > PADDED_BYTES
                dtype = f"<U{max(map(len, items))}" if narrow else array.dtype.str
            return {"type": "labels", "dtype": dtype, "items": items}
        raise CannotSaveError(name, array)

    def _tensor(self, tensor: Tensor, name: str) -> dict[str, Any]:
        # Two keys of a dict, 1 and "1" for example, may give the same name.
        while name in self.tensors:
            name += "'"
        # The order of storage is kept: with another one, sums would differ in their last bits.
        by_columns = tensor.ndim == 2 and not tensor.is_contiguous() and tensor.T.is_contiguous()
        self.tensors[name] = tensor.T if by_columns else tensor
        return {"name": name, "by_columns": True} if by_columns else {"name": name}


@dataclass
class Reader:
    """Reader that converts the output of a :class:`Writer` back to values.

    Attributes
    ----------
    tensors : dict of str to Tensor
        Tensors by their path in the model. A tensor is removed when it is used, so that a small
        file can't fill the memory with many copies of one tensor.
    opening : Opening
        Arguments of ``load`` other than the file.
    """

    tensors: dict[str, Tensor]
    opening: Opening

    def decode(self, data: Any) -> Any:
        """Return the value of a JSON form.

        Parameters
        ----------
        data : object
            JSON value returned by :meth:`Writer.encode`.

        Returns
        -------
        object
            The value.

        Raises
        ------
        ValueError
            If a type or kind is unknown, or if an object has other names than its kind declares.
        """
        if isinstance(data, list):
            return [self.decode(item) for item in data]
        if not isinstance(data, dict):
            return data
        match data["type"]:
            case "float":
                return float(data["value"])
            case "tuple":
                return tuple(map(self.decode, data["items"]))
            case "dict":
                return {self.decode(key): self.decode(item) for key, item in data["items"]}
            case "tensor":
                return self._tensor(data)
            case "array":
                return self._tensor(data).numpy()
            case "labels":
                return _labels(data["dtype"], [self.decode(item) for item in data["items"]])
            case "object":
                return self._object(data)
        raise ValueError(f"this version has no type {data['type']!r}; update skgdpd")

    def _object(self, data: dict[str, Any]) -> Any:
        kind = kind_named(data["kind"])
        parameters, state = data.get("parameters", {}), data.get("state")
        kind.check_parameters(parameters)
        if state is not None or kind.parameters is None:
            kind.check_state(state or {})
        return kind.restore(
            {key: self.decode(value) for key, value in parameters.items()},
            None if state is None else {key: self.decode(value) for key, value in state.items()},
            self.opening,
        )

    def _tensor(self, data: dict[str, Any]) -> Tensor:
        tensor = self.tensors.pop(data["name"])
        if not data.get("by_columns"):
            return tensor
        if tensor.ndim != 2:
            raise ValueError(f"{data['name']} has {tensor.ndim} axes, and is stored by columns")
        return tensor.T


def _labels(dtype: str, items: list[Any]) -> NDArray[Any]:
    if dtype != "object":
        return np.array(items, dtype=_width(dtype, items))
    # Item by item, since numpy would make a 2-D array of tuples.
    labels = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        labels[i] = item
    return labels


def _width(dtype: str, items: list[Any]) -> str:
    """Return the type of a string array, after a check that it is not much too wide."""
    known = STRINGS.fullmatch(dtype)
    if known is None or not all(type(item) is str for item in items):
        raise ValueError(f"labels of type {dtype!r} are not as this version writes them")
    width = int(known[1])
    if 4 * width * len(items) > PADDED_BYTES and width > max(map(len, items)):
        raise ValueError(f"labels of type {dtype!r} are far longer than any of them")
    return dtype


def _join(name: str, part: Any) -> str:
    return f"{name}.{part}" if name else str(part)

"""Values as JSON and tensors, and back.

JSON's own scalars and lists stand for themselves; every dict has a ``type``. Of objects only
those whose class is registered here are written, and only such classes are made again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

Made = Callable[[Any, "Reader"], Any]


@dataclass(frozen=True)
class Kind:
    """How objects of a class are taken apart and put together.

    Attributes
    ----------
    cls : type
        The class.
    take : callable
        From an object, to a dict of values by name.
    make : callable
        From a dict of decoded values, and the reader, to an object.
    """

    cls: type
    take: Callable[[Any], dict[str, Any]]
    make: Made


KINDS: dict[str, Kind] = {}


def register(
    cls: type,
    take: Callable[[Any], dict[str, Any]] | None = None,
    make: Made | None = None,
) -> None:
    """Let objects of a class be written; by default by their attributes."""

    def from_attributes(state: dict[str, Any], reader: Reader) -> Any:
        made: Any = object.__new__(cls)
        made.__dict__.update(state)
        return made

    KINDS[cls.__name__] = Kind(cls, take or (lambda obj: dict(vars(obj))), make or from_attributes)


class CannotSaveError(ValueError):
    """A value has no form in a model file.

    Attributes
    ----------
    name : str
        Where it stands, with dots.
    value : object
        The value.
    """

    def __init__(self, name: str, value: Any) -> None:
        super().__init__(f"{name} is {value!r}, which a model file can't hold")
        self.name, self.value = name, value


@dataclass
class Writer:
    """Turns values into what JSON has, and gathers tensors.

    Attributes
    ----------
    tensors : dict of str to Tensor
        By where they stand.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)

    def encode(self, value: Any, name: str) -> Any:
        """The JSON form of a value that stands at ``name``."""
        if isinstance(value, np.generic) and value.dtype.kind in "biufU":
            value = value.item()
        if isinstance(value, float) and not math.isfinite(value):
            return {"type": "float", "value": repr(float(value))}
        if value is None or type(value) in (bool, int, float, str):
            return value
        if isinstance(value, torch.device):
            return str(value)
        if type(value) is list:
            return self._items(value, name)
        if type(value) is tuple:
            return {"type": "tuple", "items": self._items(value, name)}
        if type(value) is dict:
            return {
                "type": "dict",
                "items": [
                    [self.encode(key, name), self.encode(item, _join(name, key))]
                    for key, item in value.items()
                ],
            }
        if isinstance(value, Tensor):
            return {"type": "tensor", **self._tensor(value, name)}
        if type(value) is np.ndarray:
            return self._array(value, name)
        kind = KINDS.get(type(value).__name__)
        if kind is None or kind.cls is not type(value):
            raise CannotSaveError(name, value)
        state = {key: self.encode(v, _join(name, key)) for key, v in kind.take(value).items()}
        return {"type": "object", "class": type(value).__name__, "state": state}

    def _items(self, values: Any, name: str) -> list[Any]:
        return [self.encode(item, _join(name, i)) for i, item in enumerate(values)]

    def _array(self, array: np.ndarray[Any, Any], name: str) -> dict[str, Any]:
        kind = array.dtype.kind
        if kind in "biuf" and array.dtype.itemsize <= 8:
            # Copied: torch has no read-only tensors.
            plain = torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=True))
            return {"type": "array", **self._tensor(plain, name)}
        if kind in "UO" and array.ndim == 1:
            dtype = array.dtype.str if kind == "U" else "object"
            return {"type": "labels", "dtype": dtype, "items": self._items(array.tolist(), name)}
        raise CannotSaveError(name, array)

    def _tensor(self, tensor: Tensor, name: str) -> dict[str, Any]:
        # Sums run in another order over a matrix stored by columns; last bits would differ.
        by_columns = tensor.ndim == 2 and not tensor.is_contiguous() and tensor.T.is_contiguous()
        self.tensors[name] = tensor.T if by_columns else tensor
        return {"name": name, "by_columns": True} if by_columns else {"name": name}


@dataclass
class Reader:
    """Turns what :class:`Writer` wrote into values again.

    Attributes
    ----------
    tensors : dict of str to Tensor
        By where they stand.
    student : object
        In place of a student network that the file doesn't describe.
    used_student : bool
        Whether there was such a network.
    """

    tensors: dict[str, Tensor]
    student: Any = None
    used_student: bool = False

    def decode(self, data: Any) -> Any:
        """The value that JSON stands for."""
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
                kind = KINDS.get(data["class"])
                if kind is None:
                    raise ValueError(
                        f"this version knows no class {data['class']!r}; update skgdpd"
                    )
                state = {key: self.decode(value) for key, value in data["state"].items()}
                return kind.make(state, self)
        raise ValueError(f"this version knows no type {data['type']!r}; update skgdpd")

    def _tensor(self, data: dict[str, Any]) -> Tensor:
        tensor = self.tensors[data["name"]]
        return tensor.T if data.get("by_columns") else tensor


def _labels(dtype: str, items: list[Any]) -> np.ndarray[Any, Any]:
    if dtype != "object":
        return np.array(items, dtype=np.dtype(dtype))
    # Item by item: numpy would make a table of tuples.
    labels = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        labels[i] = item
    return labels


def _join(name: str, part: Any) -> str:
    return f"{name}.{part}" if name else str(part)

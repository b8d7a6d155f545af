"""Estimators in files that can't run code."""

from __future__ import annotations

import os
import platform
from collections.abc import Collection
from typing import Any

import numpy as np
import sklearn
import torch
from sklearn.utils.validation import check_is_fitted

from .. import distillers
from .._truncation import PrefixTruncator
from .._version import __version__
from . import kinds  # noqa: F401  registers what estimators are made of
from .archive import check_target, read_model, write_model
from .codec import KINDS, CannotSaveError, Reader, Writer, register

__all__ = ["Saveable", "check_target", "load"]

OPTIONAL = {"teacher": "teacher_", "prior": "prior_"}
"""What predictions don't need, and the attribute that it is."""
PLACES = ("memory", "checkpoint_dir")
"""Parameters that are about a machine; a folder of pickles named in a stranger's file, too, would
be a way to run code."""
NEEDED = ("earliness",)
"""Parameters that no prediction can do without."""
NEVER = ("distillation_", "_metadata_request", "_skl_callbacks", "_parent_callback_ctx")
REGISTERED: set[type] = set()


class Saveable:
    """Mixin of the estimators that can be saved."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A search makes classes of the same names, which no file means.
        ours = cls.__module__.split(".")[0] == __name__.split(".")[0]
        if ours and cls.__name__ not in KINDS:
            _register_estimator(cls)

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        include: Collection[str] = (),
        omit: Collection[str] = (),
    ) -> None:
        """Save to a file that :func:`skgdpd.load` opens, and that can't run code.

        A file that is there is replaced at once when all is written; until then it stays whole.

        Parameters
        ----------
        path : str or path
            A zip file of this name; a folder, if there is one of this name or it ends in "/".
        include : collection of {"teacher", "prior"}, default=()
            What to save although predictions don't need it.
        omit : collection of str, default=()
            Parameters to leave out, which then are the defaults in the model that is opened:
            those whose values are objects of other packages, or functions. Of a ``student`` of
            your own the weights are saved. ``memory`` and ``checkpoint_dir`` are always left out.

        Raises
        ------
        ValueError
            If something can't be saved; nothing is written then.
        """
        check_is_fitted(self)
        if type(self) not in REGISTERED:
            raise ValueError(
                f"{type(self).__name__} is a class of your own, which skgdpd.load can't know; "
                f"joblib.dump can save it"
            )
        _check_names(self, include, omit)
        writer = Writer()
        try:
            state = {
                part: writer.encode(values, "")
                for part, values in _parts(self, include, omit).items()
            }
        except CannotSaveError as error:
            raise ValueError(_advice(self, error)) from error
        header = {
            "class": type(self).__name__,
            "include": sorted(include),
            "omit": sorted(omit),
            "versions": {
                "skgdpd": __version__,
                "torch": torch.__version__,
                "numpy": np.__version__,
                "scikit-learn": sklearn.__version__,
                "python": platform.python_version(),
            },
            "model": {"type": "object", "class": type(self).__name__, "state": state},
        }
        write_model(path, header, writer.tensors)


def load(path: str | os.PathLike[str], *, student: Any = None) -> Any:
    """Open a model that was saved with ``save``.

    Nothing in the file can run code. A model trained on CUDA runs there again, or on the CPU
    where there is none.

    Parameters
    ----------
    path : str or path
        A file or folder.
    student : torch.nn.Module or callable, optional
        What the classifier had as ``student``, if that was no name and so was left out of the
        file; its weights come from the file.

    Returns
    -------
    GDPDClassifier, GenDDClassifier, DistilledPrefixClassifier, PrefixClassifier or
    DiffusionFeaturePrior
        Fitted. On the same machine its predictions are those of the one saved, to the last bit.

    Raises
    ------
    FileNotFoundError
        If there is nothing of this name.
    ValueError
        If it is no model file, of a newer format, cut off, or altered.
    """
    header, tensors = read_model(path)
    reader = Reader(tensors, student)
    try:
        estimator = reader.decode(header["model"])
    except ValueError as error:
        raise ValueError(f"{path} can't be opened: {error}") from error
    except (KeyError, TypeError, AttributeError, IndexError, RuntimeError) as error:
        raise ValueError(
            f"{path} can't be opened, its parts don't fit together: {error!r}"
        ) from error
    if not isinstance(estimator, Saveable):
        raise ValueError(f"{path} holds no estimator but {type(estimator).__name__}")
    if student is not None:
        if not reader.used_student:
            raise ValueError(f"{path} describes its student itself; open it without student=")
        estimator.student = student  # type: ignore[attr-defined]
    return estimator


def _check_names(estimator: Any, include: Collection[str], omit: Collection[str]) -> None:
    cls = type(estimator).__name__
    if isinstance(include, str) or isinstance(omit, str):
        raise TypeError('include and omit are collections of names: ("teacher",), not "teacher"')
    for name in include:
        if name not in OPTIONAL:
            raise ValueError(f"include has {name!r}; allowed are {', '.join(OPTIONAL)}")
        if not hasattr(estimator, OPTIONAL[name]):
            raise ValueError(f"include has {name!r}, but this {cls} has no {OPTIONAL[name]}")
    allowed = sorted(set(estimator.get_params(deep=False)) - set(NEEDED))
    for name in omit:
        if name not in allowed:
            raise ValueError(f"omit has {name!r}; of {cls} allowed are {', '.join(allowed)}")


def _parts(
    estimator: Any, include: Collection[str] = (), omit: Collection[str] = ()
) -> dict[str, dict[str, Any]]:
    """Parameters and attributes of an estimator that are to be saved."""
    params = estimator.get_params(deep=False)
    optional = {attribute for name, attribute in OPTIONAL.items() if name not in include}
    left_out = {*params, *NEVER, *optional}
    return {
        "parameters": {k: v for k, v in params.items() if k not in {*PLACES, *omit}},
        "attributes": {k: v for k, v in vars(estimator).items() if k not in left_out},
    }


def _advice(estimator: Any, error: CannotSaveError) -> str:
    """What can't be saved, and what to do."""
    name = error.name.split(".")[0]
    kept = "model files hold numbers, strings, lists and objects of skgdpd"
    if name in estimator.get_params(deep=False):
        value = getattr(estimator, name)
        message = f"{name}={value!r} can't be saved: {kept}"
        if name in NEEDED:
            return f"{message}. Use joblib.dump"
        return f"{message}. Leave it out with omit=({name!r},), or use joblib.dump"
    for part, attribute in OPTIONAL.items():
        if name == attribute:
            return f"{error}: {kept}. Take {part!r} out of include, or use joblib.dump"
    return f"{error}: {kept}. Use joblib.dump"


def _register_estimator(cls: type) -> None:
    def make(state: dict[str, Any], reader: Reader) -> Any:
        estimator = cls(**state["parameters"])
        estimator.__dict__.update(state["attributes"])
        return estimator

    REGISTERED.add(cls)
    register(cls, _parts, make)


_register_estimator(PrefixTruncator)
for own in map(vars(distillers).get, distillers.__all__):
    if isinstance(own, type) and issubclass(own, distillers.Distiller):
        _register_estimator(own)

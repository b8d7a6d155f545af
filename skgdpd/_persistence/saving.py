"""Functions that save estimators to files and load them."""

from __future__ import annotations

import os
import platform
from collections.abc import Collection
from typing import Any

import numpy as np
import sklearn
import torch
from sklearn.utils.validation import check_is_fitted

from .._runtime.device import resolve_device
from .._version import __version__
from .archive import SESSION, ModelFileError, read_model, write_model
from .codec import CannotSaveError, Reader, Writer
from .registry import NEEDED, Kind, Opening, kind_of
from .wrappers import WRAPPERS


class Saveable:
    """Mixin for estimators that can be saved. Each class needs a kind in the registry."""

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        include: Collection[str] = (),
        omit: Collection[str] = (),
    ) -> None:
        """Save the estimator to a file that can't run code; see :func:`skgdpd.load`.

        An existing file of this name is replaced atomically, after the new file is complete.

        Parameters
        ----------
        path : str or path
            Name of the file, which is a zip archive. If a folder of this name exists, or if the
            name ends in "/", the model is written into the folder.
        include : collection of {"teacher", "prior"}, default=()
            Fitted parts to save although predictions don't need them.
        omit : collection of str, default=()
            Names of parameters to leave out. The loaded model has their default values. Parameters
            whose values are functions or objects of other packages must be left out. If
            ``student`` is such an object, its weights are saved nevertheless. ``memory``,
            ``checkpoint_dir`` and ``device`` are never saved, because they refer to this machine.

        Raises
        ------
        ValueError
            If a part can't be saved. No file is written in this case.
        """
        save(self, path, include=include, omit=omit)


def save(
    estimator: Any,
    path: str | os.PathLike[str],
    *,
    include: Collection[str] = (),
    omit: Collection[str] = (),
) -> None:
    """Save an estimator to a file that can't run code; :func:`skgdpd.load` loads it.

    An existing file of this name is replaced atomically, after the new file is complete.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator of this package, or a ``CalibratedClassifierCV``,
        ``FixedThresholdClassifier``, ``TunedThresholdClassifierCV`` or ``Pipeline`` of
        scikit-learn around one. The other steps of a pipeline may be a ``StandardScaler``,
        ``MinMaxScaler``, ``MaxAbsScaler``, ``RobustScaler`` or ``Normalizer`` of scikit-learn.
    path : str or path
        Name of the file, which is a zip archive. If a folder of this name exists, or if the name
        ends in "/", the model is written into the folder.
    include : collection of {"teacher", "prior"}, default=()
        Fitted parts to save although predictions don't need them. Only estimators of this package
        have such parts.
    omit : collection of str, default=()
        Names of parameters to leave out. The loaded model has their default values.

    Raises
    ------
    ValueError
        If a part can't be saved. No file is written in this case.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.calibration import CalibratedClassifierCV
    >>> from skgdpd import PrefixClassifier, load, save
    >>> from skgdpd.datasets import make_bumps
    >>> X, y = make_bumps(40, 20, random_state=0)
    >>> clf = CalibratedClassifierCV(PrefixClassifier("rocket", random_state=0), cv=2).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(clf, Path(folder, "calibrated.zip"))
    ...     opened = load(Path(folder, "calibrated.zip"))
    >>> bool((opened.predict_proba(X) == clf.predict_proba(X)).all())
    True
    """
    check_is_fitted(estimator)
    kind = kind_of(estimator)
    if kind is None or not isinstance(estimator, (Saveable, *WRAPPERS)):
        _send_to_part(estimator)
        raise ValueError(
            f"{type(estimator).__name__} is a class of your own or of another package, which "
            f"skgdpd.load can't make; joblib.dump can save it"
        )
    check_is_fitted(estimator, kind.required_attributes or None)
    _check_names(estimator, kind, include, omit)
    writer = Writer()
    try:
        model = writer.encode_object(estimator, kind, include=include, omit=omit)
    except CannotSaveError as error:
        raise ValueError(_advice(estimator, kind, error)) from error
    header = {
        "kind": kind.name,
        "include": sorted(include),
        "omit": sorted(omit),
        "versions": {
            "skgdpd": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
            "python": platform.python_version(),
        },
        "model": model,
    }
    write_model(path, header, writer.tensors)


def load(
    path: str | os.PathLike[str], *, student: Any = None, device: str | torch.device = "auto"
) -> Any:
    """Load a model that was saved with :func:`skgdpd.save` or a method ``save``.

    Nothing in the file can run code. Paths and devices in the file are never used.

    Parameters
    ----------
    path : str or path
        Name of the file or folder.
    student : torch.nn.Module or callable, optional
        The ``student`` of the classifier. It is needed if the student was not the name of a
        backbone and was left out of the file. Its weights are replaced by those in the file.
    device : str or torch.device, default="auto"
        Device of the model, also for further fits. ``"auto"`` is CUDA if it is available, else
        the CPU.

    Returns
    -------
    estimator
        Fitted model of the saved class. On the same machine and device, its predictions are equal
        to those of the saved model bit for bit.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    ModelFileError
        If the file is not a model file, has a newer format, is truncated or was modified, or if
        it is a link or a special file such as a device. This error is a ValueError.
    ValueError
        If the device is not available, or if ``student`` is given although the file doesn't need
        it.
    """
    opening = Opening(student, resolve_device(device))
    header, tensors = read_model(path)
    if header.get("kind") == SESSION:
        raise ModelFileError(
            f"{path} holds a session of an EarlyClassifier, and no classifier; open it by the "
            f"resume method of its classifier: early.resume({str(path)!r})"
        )
    estimator = decoded(path, header, Reader(tensors, opening))
    kind = kind_of(estimator)
    if kind is None or not isinstance(estimator, (Saveable, *WRAPPERS)):
        raise ModelFileError(f"{path} holds no estimator but {type(estimator).__name__}")
    if not kind.has_state(estimator):
        raise ModelFileError(f"{path} holds parameters of an estimator but nothing of its fit")
    if student is not None and not opening.used_student:
        raise ValueError(f"{path} describes its student itself; open it without student=")
    _set_device(estimator, device)
    if student is not None and hasattr(estimator, "student"):
        estimator.student = student
    return estimator


def decoded(path: str | os.PathLike[str], header: dict[str, Any], reader: Reader) -> Any:
    """Return the value that a file stores under the key ``model``.

    Parameters
    ----------
    path : str or path
        Name of the file, for errors.
    header : dict
        Content of ``model.json``.
    reader : Reader
        Reader of the values in the file.

    Returns
    -------
    object
        The value.

    Raises
    ------
    ModelFileError
        If the parts of the value don't fit together.
    """
    try:
        return reader.decode(header["model"])
    except MemoryError:
        raise
    except ValueError as error:
        raise ModelFileError(f"{path} can't be opened: {error}") from error
    except Exception as error:  # whatever torch and numpy say of what is not as save wrote it
        raise ModelFileError(
            f"{path} can't be opened, its parts don't fit together: {error!r}"
        ) from error


def _set_device(estimator: Any, device: str | torch.device) -> None:
    """Set the device of further fits, also for estimators among the parameters."""
    names = estimator.get_params(deep=True)
    devices = {name: device for name in names if name.split("__")[-1] == "device"}
    estimator.set_params(**devices)


def _send_to_part(estimator: Any) -> None:
    """Raise an error that names the fitted part of an estimator that can be saved, if any."""
    own = "; or take its own save(path), which writes a pickle" * hasattr(estimator, "save")
    for part in ("best_estimator_", "estimator_"):
        if kind_of(getattr(estimator, part, None)) is not None:
            raise ValueError(
                f"{type(estimator).__name__} is not a class that skgdpd.load can make; save its "
                f"{part}, by skgdpd.save(fitted.{part}, path){own}"
            )


def _check_names(
    estimator: Any, kind: Kind, include: Collection[str], omit: Collection[str]
) -> None:
    cls = type(estimator).__name__
    if isinstance(include, str) or isinstance(omit, str):
        raise TypeError('include and omit are collections of names: ("teacher",), not "teacher"')
    for name in include:
        if not kind.on_request:
            raise ValueError(f"include has {name!r}, but {cls} has no part that can be included")
        attribute = kind.on_request.get(name)
        if attribute is None:
            allowed = ", ".join(kind.on_request)
            raise ValueError(f"include has {name!r}; of {cls} allowed are {allowed}")
        if not hasattr(estimator, kind.attribute(attribute)):
            raise ValueError(f"include has {name!r}, but this {cls} has no {attribute}")
    allowed_to_omit = sorted(set(estimator.get_params(deep=False)) - set(NEEDED) - {"steps"})
    for name in omit:
        if name not in allowed_to_omit or kind.parameters is None:
            raise ValueError(
                f"omit has {name!r}; of {cls} allowed are {', '.join(allowed_to_omit)}"
            )


def _can_hold_state(estimator: Any, kind: Kind) -> bool:
    """Return whether a file without parameters can store everything that predictions need."""
    try:
        Writer().encode_object(estimator, kind, omit=kind.parameters or ())
    except CannotSaveError:
        return False
    return True


def _advice(estimator: Any, kind: Kind, error: CannotSaveError) -> str:
    """Return a message that names the part that can't be saved and suggests a remedy."""
    name = error.name.split(".")[0]
    kept = (
        "model files hold numbers, strings, lists and objects of skgdpd, and the wrappers and "
        "scalers of scikit-learn that skgdpd.save names"
    )
    if name in (kind.parameters or ()):
        value = getattr(estimator, name)
        message = f"{name}={value!r} can't be saved: {kept}"
        if name in NEEDED or not _can_hold_state(estimator, kind):
            return f"{message}. Use joblib.dump"
        return f"{message}. Leave it out with omit=({name!r},), or use joblib.dump"
    for part, attribute in kind.on_request.items():
        if name == attribute:
            return f"{error}: {kept}. Take {part!r} out of include, or use joblib.dump"
    return f"{error}: {kept}. Use joblib.dump"

"""Reading, writing and checks of session files, which can't run code."""

from __future__ import annotations

import os
from collections.abc import Hashable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .._persistence.archive import SESSION, ModelFileError, read_model, write_model
from .._persistence.codec import Reader, Writer
from .._persistence.registry import Opening
from .._persistence.saving import decoded
from .._series.panel import Panel
from .._version import __version__
from .costs import Floats, Integers
from .reading import path_of

STATE = {"ids", "options", "n_ignored", "now", "arrays", "estimator", "probe"}
"""Names of the parts of a saved session."""
READ = "memory0"
"""Name of the array with the numbers of points that a network with a state has read."""


def write_session(
    path: str | os.PathLike[str],
    early: Any,
    ids: list[Hashable],
    options: dict[str, Any],
    facts: dict[str, float],
    arrays: dict[str, NDArray[Any]],
) -> None:
    """Write the state of a session to a file.

    Parameters
    ----------
    path : str or path
        Name of the file.
    early : EarlyClassifier
        Fitted estimator of the session.
    ids : list of str or int
        Ids of the series.
    options : dict
        Options of the session.
    facts : dict of str to float
        Number of ignored points, ``n_ignored``, and the time of the last push, ``now``.
    arrays : dict of str to ndarray
        State of the series by name, with a row for each series.

    Raises
    ------
    ValueError
        If an id is neither a string nor a whole number.
    """
    for id_ in ids:
        if type(id_) not in (str, int):
            raise ValueError(f"id {id_!r} can't be saved; ids must be strings or whole numbers")
    writer = Writer()
    state = {
        "ids": ids,
        "options": options,
        **facts,
        "arrays": arrays,
        "estimator": _description(early),
        "probe": _probe(early),
    }
    header = {
        "kind": SESSION,
        "versions": {"skgdpd": __version__},
        "model": writer.encode(state, "session"),
    }
    write_model(path, header, writer.tensors)


def read_session(path: str | os.PathLike[str], early: Any) -> dict[str, Any]:
    """Read the state of a session from a file.

    Parameters
    ----------
    path : str or path
        Name of the file.
    early : EarlyClassifier
        Fitted estimator of the session.

    Returns
    -------
    dict
        Parts of the saved session, by the names in :data:`STATE`.

    Raises
    ------
    ModelFileError
        If the file does not hold a session, or holds a session of another classifier.
    """
    header, tensors = read_model(path)
    if header.get("kind") != SESSION:
        raise ModelFileError(f"{path} holds no session but {header.get('kind')!r}")
    state = decoded(path, header, Reader(tensors, Opening(None, torch.device("cpu"))))
    if not isinstance(state, dict) or not STATE <= set(state):
        raise ModelFileError(f"{path} can't be opened: it lacks parts of a session")
    own, probe = _probe(early), state["probe"]
    same = state["estimator"] == _description(early) and isinstance(probe, np.ndarray)
    if not same or own.shape != probe.shape or not np.allclose(own, probe, atol=1e-4):
        raise ModelFileError(
            f"{path} is a session of another classifier; give the one that it began with"
        )
    _check_facts(path, state)
    return state


def _check_facts(path: Any, state: dict[str, Any]) -> None:
    """Raise an error for ids, options or numbers that no session writes."""
    ids, options = state["ids"], state["options"]
    right = {
        "ids": isinstance(ids, list) and all(type(id_) in (str, int) for id_ in ids),
        "options": isinstance(options, dict) and all(type(name) is str for name in options),
        "n_ignored": type(state["n_ignored"]) is int and state["n_ignored"] >= 0,
        "now": type(state["now"]) is float and not np.isnan(state["now"]),
        "arrays": isinstance(state["arrays"], dict),
    }
    for name, is_right in right.items():
        if not is_right:
            raise ModelFileError(f"{path} can't be opened: {name} are not those of a session")


def check_arrays(
    path: str | os.PathLike[str],
    arrays: dict[str, Any],
    own: dict[str, NDArray[Any]],
    n: int,
    time_points: Integers,
) -> None:
    """Raise an error for arrays that no session of a classifier writes.

    Parameters
    ----------
    path : str or path
        Name of the file.
    arrays : dict of str to object
        Arrays of the file.
    own : dict of str to ndarray
        Arrays of a new session, with a row for each series. They define names, types and shapes.
    n : int
        Number of series.
    time_points : ndarray of shape (n_moments,)
        Number of time points at each moment.

    Raises
    ------
    ModelFileError
        If names, types or shapes differ, or if numbers of points and moments are inconsistent.
    """
    wrong = f"{path} can't be opened, its parts don't fit together"
    if set(arrays) != set(own):
        raise ModelFileError(f"{wrong}: it has the arrays {sorted(map(str, arrays))}")
    for name, array in arrays.items():
        expected = (n, *own[name].shape[1:])
        found = getattr(array, "shape", None), getattr(array, "dtype", None)
        if found != (expected, own[name].dtype):
            raise ModelFileError(f"{wrong}: {name} must have the shape {expected}, not {found}")
    n_points, moment = arrays["n_points"], arrays["moment"]
    reached = np.searchsorted(time_points, n_points, side="right")
    # Compiled code does not check the number of points that were read.
    n_read = arrays.get(READ, np.zeros(n, dtype=np.int64))
    at_moment = np.append(0, time_points)[reached]
    possible = (n_points >= 0) & (n_points <= time_points[-1]) & (moment == reached)
    if not (possible & (n_read >= 0) & (n_read <= at_moment)).all():
        raise ModelFileError(f"{wrong}: series at other moments than their points lead to")


def _description(early: Any) -> dict[str, Any]:
    """Return labels, costs and rule of a fitted estimator, which must be exactly equal."""
    return {
        "classes": early.classes_.tolist(),
        "delay": early.cost_.delay.tolist(),
        "errors": early.cost_.misclassification.tolist(),
        "rule": type(early.rule_).__name__,
    }


def _probe(early: Any) -> Floats:
    """Return probabilities of a fixed series, by which a fitted estimator is recognised."""
    shape = (1, early.n_channels_in_, int(early.time_points_[-1]))
    series = np.sin(np.arange(np.prod(shape))).reshape(shape)
    # path_of shows no progress, but predict_proba_path of the estimator may.
    path = path_of(early.classifier_, Panel(series))
    return np.append(path.ravel(), early.time_points_)

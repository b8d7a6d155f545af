"""Files of sessions, which can't run code."""

from __future__ import annotations

import os
from collections.abc import Hashable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .._persistence.archive import read_model, write_model
from .._persistence.codec import Reader, Writer
from .._persistence.registry import Opening
from .._version import __version__
from .costs import Floats

SESSION = "early-session"
"""Kind of a session's file."""


def write_session(
    path: str | os.PathLike[str],
    early: Any,
    ids: list[Hashable],
    options: dict[str, Any],
    n_ignored: int,
    arrays: dict[str, NDArray[Any]],
) -> None:
    """Write the state of a session.

    Parameters
    ----------
    path : str or path
        Name of the file.
    early : EarlyClassifier
        The fitted estimator of the session.
    ids : list of str or int
        Ids of the series.
    options : dict
        Options of the session.
    n_ignored : int
        Number of points that were ignored.
    arrays : dict of str to ndarray
        What is known of the series, a row for each.
    """
    writer = Writer()
    state = {
        "ids": ids,
        "options": options,
        "n_ignored": n_ignored,
        "arrays": arrays,
        "probe": _probe(early),
    }
    header = {
        "kind": SESSION,
        "versions": {"skgdpd": __version__},
        "model": writer.encode(state, "session"),
    }
    write_model(path, header, writer.tensors)


def read_session(path: str | os.PathLike[str], early: Any) -> dict[str, Any]:
    """Read the state of a session.

    Parameters
    ----------
    path : str or path
        Name of the file.
    early : EarlyClassifier
        The fitted estimator of the session.

    Returns
    -------
    dict
        Ids, options, number of ignored points and arrays.

    Raises
    ------
    ValueError
        If it is no session, or one of another classifier.
    """
    header, tensors = read_model(path)
    if header.get("kind") != SESSION:
        raise ValueError(f"{path} holds no session but {header.get('kind')!r}")
    try:
        state: dict[str, Any] = Reader(tensors, Opening(None, torch.device("cpu"))).decode(
            header["model"]
        )
        own, probe = _probe(early), state["probe"]
        same = own.shape == probe.shape and np.allclose(own, probe, atol=1e-4)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} can't be opened: {error}") from error
    if not same:
        raise ValueError(
            f"{path} is a session of another classifier; give the one that it began with"
        )
    return state


def _probe(early: Any) -> Floats:
    """Return probabilities by which a fitted estimator is recognised."""
    shape = (1, early.n_channels_in_, int(early.time_points_[-1]))
    series = np.sin(np.arange(np.prod(shape))).reshape(shape)
    return np.append(early.predict_proba_path(series).ravel(), early.time_points_)

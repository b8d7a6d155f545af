"""The compiled MiniRocket of sktime, with parameters that this package has fitted."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .._runtime.extras import require
from .._runtime.threads import same_threads

HOMES = ("sktime.transformations.rocket", "sktime.transformations.panel.rocket")
"""Modules with the compiled functions in different versions of sktime, newest first."""


@same_threads()
def transform(x: NDArray[np.float32], parameters: tuple[Any, ...]) -> NDArray[np.float32]:
    """Map series ``(n, c, t)`` to features ``(n, n_features)``.

    Only the transform of sktime is used, because the ``fit`` of sktime would seed numpy's global
    generator. The transform runs on as many threads as torch may use. The numbers of threads of
    numba and torch are restored afterwards.

    Parameters
    ----------
    x : ndarray of shape (n, n_channels, n_timepoints)
        Series.
    parameters : tuple of ndarray
        Parameters in the form of sktime's transformers: three arrays for one channel, five for
        several channels.

    Returns
    -------
    ndarray of shape (n, n_features)

    Raises
    ------
    ImportError
        If sktime or numba is not installed.
    """
    n_threads = torch.get_num_threads()
    numba = require("numba", "sktime", "for engine='numba'")
    require("sktime", "sktime", "for engine='numba'")
    name = "MiniRocket" if len(parameters) == 3 else "MiniRocketMultivariate"
    transformer = getattr(_home(), name)(n_jobs=1)
    transformer.n_jobs = min(n_threads, numba.config.NUMBA_NUM_THREADS)
    transformer.parameters = parameters
    threads = numba.get_num_threads()
    try:
        return transformer._transform(x).to_numpy(dtype=np.float32, copy=True)
    finally:
        numba.set_num_threads(threads)


def _home() -> Any:
    for name in HOMES[:-1]:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            pass
    return importlib.import_module(HOMES[-1])

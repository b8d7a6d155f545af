"""Global state of a process: functions that record and restore it."""

from __future__ import annotations

import os
import random
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import sklearn
import torch

from .._runtime.denormals import flushes_denormals

State = dict[str, Any]


def changes(before: State, after: State) -> list[str]:
    """Return the names of the values that differ between two states."""
    return [
        name for name in before if before[name] != () and not _equal(before[name], after[name])
    ]


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, tuple) and any(isinstance(p, (np.ndarray, torch.Tensor)) for p in one):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other)


def _generators() -> State:
    return {
        "random": random.getstate(),
        "numpy.random": np.random.get_state(),  # noqa: NPY002
        "torch.random": torch.random.get_rng_state(),
        # Reading the state must not initialise CUDA.
        "torch.cuda.random": (
            tuple(torch.cuda.get_rng_state_all()) if torch.cuda.is_initialized() else ()
        ),
    }


def _restore_generators(state: State) -> None:
    random.setstate(state["random"])
    np.random.set_state(state["numpy.random"])  # noqa: NPY002
    torch.random.set_rng_state(state["torch.random"])
    if state["torch.cuda.random"]:
        torch.cuda.set_rng_state_all(list(state["torch.cuda.random"]))


def _torch_flags() -> State:
    return {
        "torch.get_num_threads": torch.get_num_threads(),
        "torch.get_default_dtype": torch.get_default_dtype(),
        "torch.set_flush_denormal": flushes_denormals(),
        "torch.is_grad_enabled": torch.is_grad_enabled(),
        "torch.are_deterministic_algorithms_enabled": (
            torch.are_deterministic_algorithms_enabled()
        ),
        "torch.is_anomaly_enabled": torch.is_anomaly_enabled(),
        "torch.get_float32_matmul_precision": torch.get_float32_matmul_precision(),
        "torch.backends.cudnn.deterministic": torch.backends.cudnn.deterministic,
        "torch.backends.cudnn.benchmark": torch.backends.cudnn.benchmark,
    }


def _restore_torch_flags(state: State) -> None:
    torch.set_num_threads(state["torch.get_num_threads"])
    torch.set_default_dtype(state["torch.get_default_dtype"])
    torch.set_flush_denormal(state["torch.set_flush_denormal"])
    torch.set_grad_enabled(state["torch.is_grad_enabled"])
    torch.use_deterministic_algorithms(state["torch.are_deterministic_algorithms_enabled"])
    torch.autograd.set_detect_anomaly(state["torch.is_anomaly_enabled"])
    torch.set_float32_matmul_precision(state["torch.get_float32_matmul_precision"])
    torch.backends.cudnn.deterministic = state["torch.backends.cudnn.deterministic"]
    torch.backends.cudnn.benchmark = state["torch.backends.cudnn.benchmark"]


def _environment() -> State:
    return {"os.environ": dict(os.environ), "the working folder": os.getcwd()}


def _restore_environment(state: State) -> None:
    for name in set(os.environ) - set(state["os.environ"]):
        del os.environ[name]
    os.environ.update(state["os.environ"])
    os.chdir(state["the working folder"])


def _filters() -> State:
    return {"warnings.filters": list(warnings.filters)}


def _restore_filters(state: State) -> None:
    warnings.filters[:] = state["warnings.filters"]  # type: ignore[index]


def _settings() -> State:
    return {
        "numpy.geterr": np.geterr(),
        "numpy.get_printoptions": np.get_printoptions(),
        "sklearn.get_config": sklearn.get_config(),
        "the handler of SIGINT": signal.getsignal(signal.SIGINT),
        "sys.getrecursionlimit": sys.getrecursionlimit(),
    }


def _restore_settings(state: State) -> None:
    np.seterr(**state["numpy.geterr"])
    options = dict(state["numpy.get_printoptions"])
    options.pop("override_repr", None)
    np.set_printoptions(**options)
    sklearn.set_config(**state["sklearn.get_config"])
    signal.signal(signal.SIGINT, state["the handler of SIGINT"])
    sys.setrecursionlimit(state["sys.getrecursionlimit"])


KINDS: dict[str, tuple[Callable[[], State], Callable[[State], None]]] = {
    "generators": (_generators, _restore_generators),
    "torch": (_torch_flags, _restore_torch_flags),
    "environment": (_environment, _restore_environment),
    "filters": (_filters, _restore_filters),
    "settings": (_settings, _restore_settings),
}
"""Functions that record and restore each kind of state."""


@contextmanager
def kept(kind: str) -> Iterator[Callable[[], list[str]]]:
    """Restore a kind of global state at the end of a block.

    Parameters
    ----------
    kind : {"generators", "torch", "environment", "filters", "settings"}
        Kind of state.

    Yields
    ------
    callable
        Function that returns the names of the values that have changed since the block began.
    """
    look, restore = KINDS[kind]
    before = look()

    def changed() -> list[str]:
        after = look()
        return changes(before, after)

    try:
        yield changed
    finally:
        if changed():
            restore(before)

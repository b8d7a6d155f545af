"""Settings of how fits and predictions are computed, for a process or for a ``with`` block.

A setting changes the way of the computation and, at most, the rounding of its results. Whatever
changes the model is a parameter of an estimator instead.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch.distributed as dist

GraphSetting = Literal["auto"] | bool
ConvolutionMethod = Literal["auto", "direct", "frequency"]
Settings = Mapping[str, Any]

FACTORY: Settings = {
    "choose_threads": True,
    "convolution_method": "auto",
    "cuda_graphs": "auto",
    "data_parallel": False,
    "fused_adam": True,
}
"""Settings of a process before any change."""

ALLOWED: Mapping[str, tuple[Any, ...]] = {
    "choose_threads": (True, False),
    "convolution_method": ("auto", "direct", "frequency"),
    "cuda_graphs": ("auto", True, False),
    "data_parallel": (True, False),
    "fused_adam": (True, False),
}
"""Allowed values of each setting; ``data_parallel`` may be a process group, too."""


@dataclass
class Scope:
    """Settings that hold for a part of the program.

    Attributes
    ----------
    settings : mapping of str to object
        The settings that the part changes; for the others the process's values hold.
    alive : bool
        Whether the part still runs.
    """

    settings: Settings
    alive: bool = True


_process: Settings = FACTORY
_process_lock = threading.Lock()
_scope: ContextVar[Scope | None] = ContextVar("skgdpd_config", default=None)


def get_config() -> dict[str, Any]:
    """Return the settings that hold here.

    Returns
    -------
    dict
        Values by the names that :func:`set_config` has.

    See Also
    --------
    config_context : Change settings within a ``with`` block.
    set_config : Change settings of the process.

    Examples
    --------
    >>> import skgdpd
    >>> skgdpd.get_config()["convolution_method"]
    'auto'
    """
    scope = _scope.get()
    return {**_process, **({} if scope is None else scope.settings)}


def set_config(
    *,
    choose_threads: bool | None = None,
    convolution_method: ConvolutionMethod | None = None,
    cuda_graphs: GraphSetting | None = None,
    data_parallel: Any = None,
    fused_adam: bool | None = None,
) -> None:
    """Change settings of this process, in all of its threads.

    Parameters
    ----------
    choose_threads : bool, optional
        True, which a process starts with, runs a network on one thread of the CPU where it is
        too small for several to make it faster. False always uses as many threads as torch is
        set to. None leaves the setting as it is.
    convolution_method : {"auto", "direct", "frequency"}, optional
        How convolutions over time are computed. ``"auto"``, which a process starts with, takes
        the way that should be fastest for the shape on the CPU, and torch's convolution on other
        devices and in half precision. ``"direct"`` always takes torch's convolution.
        ``"frequency"`` always multiplies spectra. A network that is compiled or exported gets
        torch's convolution in any case. None leaves the setting as it is.
    cuda_graphs : {"auto", True, False}, optional
        Whether training steps are captured in a CUDA graph and replayed. ``"auto"``, which a
        process starts with, captures the steps that are known to give the same results in a
        graph: those of networks of torch's and this package's layers. True also captures
        networks of other layers, whose ``forward`` must then do the same each time, and warns
        with the reason where a step can't be captured. False never captures. A step that is not
        captured gives the same results. None leaves the setting as it is.
    data_parallel : bool or torch.distributed.ProcessGroup, optional
        Whether several processes train one network together. True shares each batch among all
        processes of torch.distributed, a group among its own. False, which a process starts
        with, trains alone. None leaves the setting as it is.
    fused_adam : bool, optional
        True, which a process starts with, updates all weights in one kernel of Adam. False
        leaves the choice to torch, which takes some kernels for all weights on CUDA and a loop
        over the weights on a CPU. The results differ by rounding. None leaves the setting as it
        is.

    Raises
    ------
    ValueError
        If a value is not allowed; no setting is changed then.
    RuntimeError
        If ``data_parallel`` is asked for while torch.distributed isn't initialised.

    See Also
    --------
    config_context : Change settings within a ``with`` block.
    get_config : Return the settings that hold here.

    Notes
    -----
    Within a :func:`config_context`, the settings that the context names keep its values until its
    end.

    The settings, ``data_parallel`` aside, reach joblib's workers together with the estimators
    that are sent there: worker processes on this machine or others (loky, dask, ray), and
    threads.

    With ``data_parallel``, every process must make the same fit: the same data, the same
    parameters and the same ``random_state``, an int. Each process reads only those rows of data
    in a file that it needs. Dropout and draws from a prior differ from those of a single process;
    everything else is equal up to rounding. A weighted loss is averaged over each process's
    labelled series first. Teachers that aren't networks, and all teachers' features, are computed
    by every process. Fits in joblib's workers are never shared among processes.

    Examples
    --------
    >>> import skgdpd
    >>> skgdpd.set_config(fused_adam=False)
    >>> skgdpd.get_config()["fused_adam"]
    False
    >>> skgdpd.set_config(fused_adam=True)
    """
    global _process
    given = _checked(
        choose_threads=choose_threads,
        convolution_method=convolution_method,
        cuda_graphs=cuda_graphs,
        data_parallel=data_parallel,
        fused_adam=fused_adam,
    )
    with _process_lock:
        _process = {**_process, **given}


def config_context(
    *,
    choose_threads: bool | None = None,
    convolution_method: ConvolutionMethod | None = None,
    cuda_graphs: GraphSetting | None = None,
    data_parallel: Any = None,
    fused_adam: bool | None = None,
) -> AbstractContextManager[None]:
    """Change settings within a ``with`` block, in the thread that runs it.

    Parameters
    ----------
    choose_threads : bool, optional
        Whether small networks run on one thread; see :func:`set_config`. None leaves the setting
        as it is.
    convolution_method : {"auto", "direct", "frequency"}, optional
        How convolutions over time are computed; see :func:`set_config`. None leaves the setting
        as it is.
    cuda_graphs : {"auto", True, False}, optional
        Whether training steps are captured in a CUDA graph; see :func:`set_config`. None leaves
        the setting as it is.
    data_parallel : bool or torch.distributed.ProcessGroup, optional
        Whether several processes train one network together; see :func:`set_config`. None leaves
        the setting as it is.
    fused_adam : bool, optional
        Whether Adam is one kernel; see :func:`set_config`. None leaves the setting as it is.

    Returns
    -------
    context manager
        It can decorate a function as well.

    Raises
    ------
    ValueError
        If a value is not allowed.
    RuntimeError
        If ``data_parallel`` is asked for while torch.distributed isn't initialised.

    See Also
    --------
    set_config : Change settings of the process.
    get_config : Return the settings that hold here.

    Notes
    -----
    Threads that are started within the block have the process's settings, joblib's workers
    excepted: an estimator that is cloned within the block, as ``cross_validate`` and the searches
    do with theirs, takes the block's settings along to them, ``data_parallel`` aside. Whatever
    sends an estimator to workers without a clone, ``permutation_importance`` for example, needs
    :func:`set_config`.

    Examples
    --------
    >>> import skgdpd
    >>> with skgdpd.config_context(convolution_method="direct", fused_adam=False):
    ...     skgdpd.get_config()["convolution_method"]
    'direct'
    >>> skgdpd.get_config()["convolution_method"]
    'auto'
    """
    return applied(
        _checked(
            choose_threads=choose_threads,
            convolution_method=convolution_method,
            cuda_graphs=cuda_graphs,
            data_parallel=data_parallel,
            fused_adam=fused_adam,
        )
    )


def setting(name: str) -> Any:
    """Return the value that one setting has here."""
    scope = _scope.get()
    if scope is not None and name in scope.settings:
        return scope.settings[name]
    return _process[name]


def current_scope() -> Scope | None:
    """Return the innermost block that changes settings in this thread, if there is one."""
    return _scope.get()


def portable(settings: Settings) -> dict[str, Any]:
    """Return those of some settings that make sense in another process."""
    return {k: v for k, v in settings.items() if k in FACTORY and k != "data_parallel"}


def changed_settings(scope: Scope | None) -> dict[str, Any] | None:
    """Return the portable settings within a scope, None in a process that has changed none."""
    within = portable({**_process, **({} if scope is None else scope.settings)})
    return None if within == portable(_process) == portable(FACTORY) else within


@contextmanager
def applied(settings: Settings) -> Iterator[None]:
    """Change settings, which were checked before, within a ``with`` block."""
    outer = _scope.get()
    scope = Scope({**({} if outer is None else outer.settings), **settings})
    token = _scope.set(scope)
    try:
        yield
    finally:
        _scope.reset(token)
        scope.alive = False


def _checked(**given: Any) -> Settings:
    return {name: _value(name, value) for name, value in given.items() if value is not None}


def _value(name: str, value: Any) -> Any:
    """Return a setting's value if it is allowed."""
    value = bool(value) if isinstance(value, np.bool_) else value
    # By type, too, for 1 == True.
    known = any(isinstance(value, type(other)) and value == other for other in ALLOWED[name])
    choices = [repr(other) for other in ALLOWED[name]]
    if name == "data_parallel":
        known = known or (dist.is_available() and isinstance(value, dist.ProcessGroup))
        choices.append("a torch.distributed.ProcessGroup")
    if not known:
        *first, last = choices
        raise ValueError(f"{name} must be {', '.join(first)} or {last}, got {value!r}")
    if name == "data_parallel" and value is not False:
        if not (dist.is_available() and dist.is_initialized()):
            raise RuntimeError(
                "data_parallel needs processes: start them with torchrun and call "
                "torch.distributed.init_process_group in each first"
            )
    return value

"""Settings of computations, for the process or for a ``with`` block.

A setting changes how fits and predictions are computed. It changes results by rounding at most.
Everything that changes the model is a parameter of an estimator instead.
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
"""Allowed values of each setting; ``data_parallel`` may also be a process group."""


@dataclass
class Scope:
    """Settings of one ``with`` block.

    Attributes
    ----------
    settings : mapping of str to object
        The settings that the block changes. Other settings have the values of the process.
    alive : bool
        Whether the block is still running.
    """

    settings: Settings
    alive: bool = True


_process: Settings = FACTORY
_process_lock = threading.Lock()
_scope: ContextVar[Scope | None] = ContextVar("skgdpd_config", default=None)


def get_config() -> dict[str, Any]:
    """Return the current settings.

    Within a :func:`config_context`, these are the settings of the block.

    Returns
    -------
    dict
        Values by name; the names are the parameters of :func:`set_config`.

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

    None, the default of every parameter, leaves a setting unchanged.

    Parameters
    ----------
    choose_threads : bool, optional
        Whether to choose the number of CPU threads of a network by its size. True, the initial
        value, runs a network on one thread if it is too small to be faster on several. False
        always uses torch's number of threads.
    convolution_method : {"auto", "direct", "frequency"}, optional
        Algorithm of convolutions over time. ``"auto"``, the initial value, uses the algorithm
        that is expected to be fastest for the shape on a CPU, and torch's convolution on other
        devices and in half precision. ``"direct"`` always uses torch's convolution.
        ``"frequency"`` always multiplies spectra. Compiled and exported networks always use
        torch's convolution.
    cuda_graphs : {"auto", True, False}, optional
        Whether to capture training steps in a CUDA graph and replay them. ``"auto"``, the initial
        value, captures the steps of networks that consist of layers of torch and of this package,
        which are known to give the same results in a graph. True also captures networks with
        other layers, whose ``forward`` must then do the same in every call. It warns with the
        reason if a step can't be captured. False never captures. Results don't depend on whether
        a step is captured.
    data_parallel : bool or torch.distributed.ProcessGroup, optional
        Whether several processes train one network together. True divides each batch among all
        processes of torch.distributed. A process group divides it among its members. False, the
        initial value, trains in a single process.
    fused_adam : bool, optional
        Whether Adam updates all weights in one kernel. True is the initial value. False leaves
        the choice to torch, which uses several kernels for all weights on CUDA, and a loop over
        the weights on a CPU. The results differ by rounding.

    Raises
    ------
    ValueError
        If a value is not allowed. No setting is changed in this case.
    RuntimeError
        If ``data_parallel`` is requested before torch.distributed is initialised.

    See Also
    --------
    config_context : Change settings within a ``with`` block.
    get_config : Return the current settings.

    Notes
    -----
    Settings that a :func:`config_context` names keep the values of the context until its end.

    All settings except ``data_parallel`` are sent to joblib's workers together with the
    estimators. This holds for worker processes on this machine and on others (loky, dask, ray),
    and for worker threads.

    With ``data_parallel``, every process must run the same fit, with the same data, the same
    parameters and the same int as ``random_state``. If data are stored in a file, each process
    reads only the rows that it needs. Dropout and draws from a prior differ from those of a
    single process; everything else is equal up to rounding. A weighted loss is first averaged
    over the labelled series of each process. Every process computes the features of teachers, and
    fits the teachers that aren't networks. Fits in joblib's workers are never divided among
    processes.

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
        unchanged.
    convolution_method : {"auto", "direct", "frequency"}, optional
        Algorithm of convolutions over time; see :func:`set_config`. None leaves the setting
        unchanged.
    cuda_graphs : {"auto", True, False}, optional
        Whether training steps are captured in a CUDA graph; see :func:`set_config`. None leaves
        the setting unchanged.
    data_parallel : bool or torch.distributed.ProcessGroup, optional
        Whether several processes train one network together; see :func:`set_config`. None leaves
        the setting unchanged.
    fused_adam : bool, optional
        Whether Adam updates all weights in one kernel; see :func:`set_config`. None leaves the
        setting unchanged.

    Returns
    -------
    context manager
        Context manager, which can also be used as a decorator of a function.

    Raises
    ------
    ValueError
        If a value is not allowed.
    RuntimeError
        If ``data_parallel`` is requested before torch.distributed is initialised.

    See Also
    --------
    set_config : Change settings of the process.
    get_config : Return the current settings.

    Notes
    -----
    Threads that are started within the block have the settings of the process, with the exception
    of joblib's workers. An estimator that is cloned within the block takes the settings of the
    block, except ``data_parallel``, to joblib's workers. ``cross_validate`` and searches clone
    their estimators. Functions that send an estimator to workers without cloning it, such as
    ``permutation_importance``, need :func:`set_config` instead.

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
    """Return the current value of a setting."""
    scope = _scope.get()
    if scope is not None and name in scope.settings:
        return scope.settings[name]
    return _process[name]


def current_scope() -> Scope | None:
    """Return the innermost block that changes settings in this thread, or None."""
    return _scope.get()


def portable(settings: Settings) -> dict[str, Any]:
    """Return the settings that are meaningful in another process."""
    return {k: v for k, v in settings.items() if k in FACTORY and k != "data_parallel"}


def changed_settings(scope: Scope | None) -> dict[str, Any] | None:
    """Return the portable settings within a scope; None if the process has changed no setting."""
    within = portable({**_process, **({} if scope is None else scope.settings)})
    return None if within == portable(_process) == portable(FACTORY) else within


@contextmanager
def applied(settings: Settings) -> Iterator[None]:
    """Apply settings that were checked before, within a ``with`` block."""
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
    """Return the value of a setting after a check that it is allowed."""
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

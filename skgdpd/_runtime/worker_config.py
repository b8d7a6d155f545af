"""Transfer of the caller's settings to joblib's workers, together with the estimators.

The workers of joblib are other threads or processes, in which a ``with`` block of the caller has
no effect. scikit-learn transfers only its own configuration. Therefore an estimator remembers the
block in which it was cloned, and its pickle contains the settings of the block. Searches clone
their estimators in the thread of the caller before they distribute work. The settings apply in
workers only, and they are dropped when the block ends. Everywhere else, the current settings of
the process or block apply.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from .config import Scope, applied, changed_settings, current_scope, portable
from .threads import in_worker, one_thread_in_workers

Method = TypeVar("Method", bound=Callable[..., Any])

IN_PICKLES = "_skgdpd_config"
"""The key of the settings in the state of a pickled estimator."""


@dataclass
class _Sent:
    """Settings that were stored in a pickle.

    Pickles pass them on until they reach a worker, because the scheduler of dask loads a pickle
    and makes a new one. The pickle of a worker's result does not contain them.
    """

    settings: dict[str, Any]
    arrived: bool = False


_remembered: WeakKeyDictionary[Any, Scope] = WeakKeyDictionary()
_sent: WeakKeyDictionary[Any, _Sent] = WeakKeyDictionary()


class CarriesConfig:
    """Mixin of estimators that transfer the caller's settings to joblib's workers.

    Methods that fit or predict are decorated with :func:`in_worker_settings`.
    """

    def __sklearn_clone__(self) -> Any:
        copy = super().__sklearn_clone__()  # type: ignore[misc]
        scope = _scope_of(self)
        if scope is not None:
            _remembered[copy] = scope
        return copy

    def __getstate__(self) -> Any:
        state = cast(dict[str, Any], super().__getstate__())
        sent = _sent.get(self)
        if sent is None or current_scope() is not None:
            settings = changed_settings(_scope_of(self))
        else:
            settings = changed_settings(None) if sent.arrived else sent.settings
        return state if settings is None else {**state, IN_PICKLES: settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        settings = state.pop(IN_PICKLES, None)
        super().__setstate__(state)  # type: ignore[misc]
        if settings is not None:
            _sent[self] = _Sent(portable(settings))


def in_worker_settings(method: Method) -> Method:
    """Make a method of an estimator run in joblib's workers with the settings of the caller.

    In a worker, the method runs with the settings that the estimator carries and with one thread
    of torch, and its training is not divided among processes. Elsewhere, nothing is changed.

    Parameters
    ----------
    method : callable
        A method of a class with :class:`CarriesConfig`.

    Returns
    -------
    callable
    """

    @wraps(method)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not in_worker():
            return method(self, *args, **kwargs)
        brought, own = _remembered_scope(self), current_scope()
        settings = {
            **({} if brought is None else portable(brought.settings)),
            **({} if own is None else own.settings),
            "data_parallel": False,
        }
        with one_thread_in_workers(), applied(settings):
            return method(self, *args, **kwargs)

    return cast(Method, wrapped)


def _scope_of(estimator: Any) -> Scope | None:
    """Return the block whose settings an estimator carries from here, or None."""
    return current_scope() or _remembered_scope(estimator)


def _remembered_scope(estimator: Any) -> Scope | None:
    """Return the block whose settings an estimator remembers, or None if the block has ended."""
    sent = _sent.get(estimator)
    if sent is not None and not sent.arrived and in_worker():
        sent.arrived = True
        _remembered[estimator] = Scope(sent.settings)
    scope = _remembered.get(estimator)
    return scope if scope is not None and scope.alive else None

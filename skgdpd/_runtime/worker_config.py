"""The settings of the caller, taken along to joblib's workers by the estimators.

joblib's workers are other threads or other processes, in which a ``with`` block of the caller has
no effect, and scikit-learn hands over its own configuration only. So an estimator remembers the
block in which it was cloned, as searches clone theirs in the caller's thread before any work is
spread, and its pickle holds the block's settings. They take effect in workers only, and are
forgotten when the block ends: everywhere else the settings that hold there decide.
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
    """Settings that came with a pickle.

    Until they arrive in a worker, pickles pass them on: dask's scheduler opens a pickle and makes
    another. The pickle of a worker's result holds them no more.
    """

    settings: dict[str, Any]
    arrived: bool = False


_remembered: WeakKeyDictionary[Any, Scope] = WeakKeyDictionary()
_sent: WeakKeyDictionary[Any, _Sent] = WeakKeyDictionary()


class CarriesConfig:
    """Mixin of the estimators that take the caller's settings along to joblib's workers.

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
    """Make a method of an estimator run in joblib's workers as it runs for their caller.

    In a worker the method runs with the settings that the estimator has brought along and with
    one thread of torch's, and is not shared among processes. Elsewhere nothing is changed.

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
    """Return the block whose settings an estimator takes along from here, if there is one."""
    return current_scope() or _remembered_scope(estimator)


def _remembered_scope(estimator: Any) -> Scope | None:
    """Return the block whose settings an estimator remembers, if it has not ended."""
    sent = _sent.get(estimator)
    if sent is not None and not sent.arrived and in_worker():
        sent.arrived = True
        _remembered[estimator] = Scope(sent.settings)
    scope = _remembered.get(estimator)
    return scope if scope is not None and scope.alive else None

"""Groups of parameters: nested names work if a group is None, and groups are never shared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.base import BaseEstimator, clone

Groups = Mapping[str, type[BaseEstimator]]
"""Classes of the groups by the names of the parameters that hold them."""


def with_defaults(params: dict[str, Any], groups: Groups) -> dict[str, Any]:
    """Return nested parameters, with default values for groups that are None.

    Parameters
    ----------
    params : dict
        Result of scikit-learn's ``get_params(deep=True)``.
    groups : mapping of str to type
        Classes of the groups by the names of their parameters.

    Returns
    -------
    dict
        The parameters, including those of every group under names such as
        ``training__optimizer``.
    """
    added = {
        f"{group}__{name}": value
        for group, kind in groups.items()
        if params.get(group) is None
        for name, value in kind().get_params().items()
    }
    return {**params, **added}


def with_own_groups(estimator: Any, params: dict[str, Any], groups: Groups) -> dict[str, Any]:
    """Return parameters to set, with a new object for each group that has an option to set.

    Other estimators that hold the old object are therefore not changed.

    Parameters
    ----------
    estimator : estimator
        Estimator whose parameters are to be set.
    params : dict
        Argument of ``set_params``.
    groups : mapping of str to type
        Classes of the groups by the names of their parameters.

    Returns
    -------
    dict
        Parameters to set. Groups come first, because their options are set on them. Options that
        already have the given values are left out. ``set_params`` with the result of
        ``get_params`` therefore changes nothing.
    """
    fresh: dict[str, Any] = {}
    for group, kind in groups.items():
        start = f"{group}__"
        options = {name: value for name, value in params.items() if name.startswith(start)}
        if options:
            given = params.get(group, getattr(estimator, group))
            if not (given is None or isinstance(given, kind)):
                raise ValueError(
                    f"{group}={given!r} has no parameters to set; it must be a {kind.__name__} or "
                    f"None"
                )
            own = (kind() if given is None else given).get_params()
            missing = object()
            if all(
                _same(own.get(name.removeprefix(start), missing), v) for name, v in options.items()
            ):
                params = {name: v for name, v in params.items() if name not in options}
            else:
                fresh[group] = kind() if given is None else clone(given)
    return {**fresh, **{name: value for name, value in params.items() if name not in fresh}}


def _same(value: Any, other: Any) -> bool:
    """Return whether a parameter already has a value."""
    is_plain = type(value) is type(other) and isinstance(other, bool | int | float | str)
    return value is other or (is_plain and value == other)

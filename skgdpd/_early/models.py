"""Checks and preparation of the classifier inside an :class:`EarlyClassifier`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

from sklearn.base import clone

from .._estimators.base import BasePrefixClassifier
from .._estimators.options import SeriesOptions, check_moments, has_several
from .._estimators.prefix import PrefixClassifier
from .._runtime.arguments import about
from .._series.frames import shown
from .._series.panel import GAPS_ADVICE
from .._series.truncation import parts_of
from ..nets import starts_fitted
from .clones import MomentClones

Method = TypeVar("Method", bound=Callable[..., Any])

EVERY_TWENTIETH = tuple(k / 20 for k in range(1, 21))
"""Default moments, as shares of a series. The benchmarks of the field use the same ones."""


def unfitted_model(
    classifier: Any,
    earliness: Sequence[float] | None,
    n_jobs: int | None,
    seed: int,
    *,
    silent: bool = False,
) -> Any:
    """Return an unfitted classifier with ``predict_proba_path``.

    Parameters
    ----------
    classifier : classifier or None
        Parameter ``classifier`` of an :class:`EarlyClassifier`.
    earliness : sequence of float or int, or None
        Parameter ``earliness``: the moments of a classifier that is None or not of skgdpd.
    n_jobs : int or None
        Number of processes for clones.
    seed : int
        Seed of the ``PrefixClassifier`` that is created if ``classifier`` is None.
    silent : bool, default=False
        Whether a classifier of skgdpd shows no progress of its own.

    Returns
    -------
    classifier
        Classifier of skgdpd, or :class:`~.clones.MomentClones` of another classifier.

    Raises
    ------
    TypeError
        If ``classifier`` is a class.
    ValueError
        If the moments are missing, given twice, or not ascending. If a classifier of skgdpd
        inside another classifier would not see all points up to a moment.
    """
    if isinstance(classifier, type):
        raise TypeError(
            f"classifier={classifier.__name__} is a class; give an object, {classifier.__name__}()"
        )
    if isinstance(classifier, BasePrefixClassifier):
        classifier._validate_params()
    times = EVERY_TWENTIETH if earliness is None else earliness
    check_moments(times, SeriesOptions())
    if classifier is None:
        return PrefixClassifier(earliness=parts_of(times), random_state=seed)
    if not isinstance(classifier, BasePrefixClassifier):
        _check_wrapped(classifier)
        with about("classifier"):
            return MomentClones(clone(classifier), list(times), n_jobs)
    name = type(classifier).__name__
    if earliness is not None:
        moments = [shown(part) for part in parts_of(earliness) or []]
        raise ValueError(
            f"earliness={moments} is given, but the classifier has its own, "
            f"{classifier.earliness!r}; give the moments to the classifier, "
            f"{name}(earliness={moments}), and leave earliness of EarlyClassifier out"
        )
    check_moments(classifier.earliness, classifier.series or SeriesOptions())
    if not has_several(classifier.earliness):
        raise ValueError(
            f"classifier has earliness={classifier.earliness!r}, and so answers at one moment; "
            f"give it a list, such as {name}(earliness=[0.1, 0.2, 0.5, 1.0])"
        )
    return clone(classifier).set_params(verbose=0) if silent else clone(classifier)


def _check_wrapped(classifier: Any) -> None:
    """Refuse a wrapped classifier of skgdpd that would see only a part of each prefix."""
    params = classifier.get_params() if hasattr(classifier, "get_params") else {}
    for name, inner in params.items():
        if not isinstance(inner, BasePrefixClassifier):
            continue
        own = inner.earliness
        if isinstance(own, float) and own == 1:
            continue
        moments = own if has_several(own) else [0.1, 0.2, 0.5, 1.0]
        raise ValueError(
            f"classifier is a {type(classifier).__name__}, whose {name} has earliness={own!r}. A "
            f"clone of it is fitted to the points up to each moment, and must see all of them. "
            f"Take earliness=1.0 inside, and give the moments to EarlyClassifier: "
            f"earliness={moments!r}"
        )


def gaps_named_from_outside(method: Method) -> Method:
    """Adapt the advice in errors about missing values to an :class:`EarlyClassifier`.

    The advice of the inner classifier names its own parameters. The caller has to set them
    through the parameter ``classifier``.

    Parameters
    ----------
    method : callable
        Method of an :class:`EarlyClassifier`.

    Returns
    -------
    callable
        The method, with adapted errors.
    """

    @wraps(method)
    def named(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except ValueError as error:
            if error.args and isinstance(error.args[0], str):
                text = error.args[0].replace(GAPS_ADVICE, _gaps_advice(self.classifier))
                error.args = (text, *error.args[1:])
            raise

    return cast(Method, named)


def _gaps_advice(classifier: Any) -> str:
    if classifier is None:
        return (
            "give classifier=PrefixClassifier(earliness=[...], series=SeriesOptions("
            "missing_values='interpolate')) before the fit"
        )
    if isinstance(classifier, BasePrefixClassifier):
        return GAPS_ADVICE.replace("series__", "classifier__series__")
    return f"fill them, as the classifier {type(classifier).__name__} takes none"


def labelled_only(classifier: Any) -> str:
    """Return why a classifier without a teacher takes no unlabelled series, and what to do."""
    name = "PrefixClassifier" if classifier is None else type(classifier).__name__
    return (
        f"{name} learns from labelled series only: leave the others out, or give a classifier "
        f"with a teacher, such as GDPDClassifier(earliness=[0.1, 0.2, 0.5, 1.0])"
    )


def check_has_teacher(classifier: Any, fit_params: Mapping[str, Any]) -> None:
    """Refuse arguments of a teacher for a classifier of skgdpd without one.

    Parameters
    ----------
    classifier : classifier or None
        Parameter of an :class:`EarlyClassifier`.
    fit_params : mapping of str to object
        Further arguments of its ``fit``.

    Raises
    ------
    TypeError
        If one of them is for a teacher, and there is none.
    """
    ours = classifier is None or isinstance(classifier, BasePrefixClassifier)
    if not ours or hasattr(classifier, "teacher"):
        return
    for name in ("X_unlabeled", "X_teacher"):
        if fit_params.get(name) is not None:
            raise TypeError(f"{name} is given, but {labelled_only(classifier)}")


def knows_left_out(model: Any) -> bool:
    """Return whether the fit of a classifier gives left-out probabilities in closed form."""
    return isinstance(model, PrefixClassifier) and starts_fitted(model.student)

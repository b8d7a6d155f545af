"""Methods of a benchmark by name, each with the same number of candidates in a search."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn

from .. import distillers
from .._estimators.distilled import DistilledPrefixClassifier
from .._estimators.gdpd import GDPDClassifier, default_prior
from .._estimators.gendd import GenDDClassifier
from .._estimators.paper import paper_parameters
from .._estimators.prefix import PrefixClassifier
from .._runtime.dotted import load_dotted
from ..distillers import Distiller, GeneratorOptions, RowDistiller
from ..nets import available_backbones
from .cells import Cell
from .competitors import make_competitor
from .controls import CONTROLS
from .lupts import LUPTS, make_lupts
from .teacher_choice import CHOICE, TeacherChoice
from .variants import VARIANTS

Array = NDArray[Any]

WEIGHT_DECAYS = (1e-3, 1e-2, 1e-1)
"""Candidates for a student without a teacher, as many as for the other methods."""

PAPER_WEIGHT_DECAYS = (1e-6, 1e-5, 1e-4)
"""Candidates in the paper's protocol, in which weight decay is an L2 penalty; the paper uses 1e-5.

As L2 penalties, the candidates of ``WEIGHT_DECAYS`` would drive the weights to zero.
"""

LAMBDAS = (0.1, 1.0, 10.0)
"""Candidates for lambda_KD of a distiller, as in the GDPD paper."""

CLASSIFIERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "gdpd": (GDPDClassifier, {}),
    "gendd": (GenDDClassifier, {}),
    "gendd-head": (GenDDClassifier, {"deploy": "student_head"}),
    "gendd-draws": (GenDDClassifier, {"student_share": 0.0}),
    "gendd-paper": (
        GenDDClassifier,
        {
            "generator": GeneratorOptions(condition="features"),
            "student_share": 0.0,
            "n_posterior_samples": 5,
            "n_sampling_steps": 64,
        },
    ),
    "gendd-unsupervised": (
        GenDDClassifier,
        {"generator": GeneratorOptions(labels="teacher", contraction=0.0)},
    ),
    **CONTROLS,
}
"""Methods that are classifiers, with their settings."""

ROLES = ("student", "teacher")


class Model(Protocol):
    """Interface of a method for :func:`~skgdpd.benchmarking.evaluation.run_cell`."""

    classes: Array
    valid_loss: float | None
    n_parameters: int | None
    seconds: dict[str, float]
    chosen: dict[str, Any]

    def fit(self, X: Array, y: Array, X_unlabeled: Array | None) -> None:
        """Fit to whole series."""

    def predict_proba(self, X: Array) -> Array:
        """Return the class probabilities of series, computed from their prefixes."""

    def teacher_proba(self, X: Array) -> Array | None:
        """Return the teacher's probabilities for whole series; None if there is no teacher."""


class PrefixModel:
    """Method that is a classifier of this package.

    Parameters
    ----------
    clf : classifier
        The unfitted classifier.
    """

    def __init__(self, clf: Any) -> None:
        self.clf = clf
        self.chosen: dict[str, Any] = {}

    def fit(self, X: Array, y: Array, X_unlabeled: Array | None) -> None:
        takes = "X_unlabeled" in inspect.signature(self.clf.fit).parameters
        self.clf.fit(X, y, **({"X_unlabeled": X_unlabeled} if takes else {}))
        history = self.clf.history_
        losses = history.terms.get("valid_loss")
        last = history.n_epochs - 1
        kept = last if history.best_epoch is None else history.best_epoch
        self.valid_loss = None if losses is None else float(losses[kept])
        self.n_parameters = sum(p.numel() for p in self.clf.module_.parameters())
        self.seconds = {name: float(value) for name, value in self.clf.fit_seconds_.items()}
        self.classes = self.clf.classes_

    def predict_proba(self, X: Array) -> Array:
        return np.asarray(self.clf.predict_proba(X), dtype=np.float64)

    def teacher_proba(self, X: Array) -> Array | None:
        teacher = getattr(self.clf, "teacher_", None)
        return None if teacher is None else np.asarray(teacher.predict_proba(X), dtype=np.float64)


def available_distillers() -> dict[str, type[Distiller]]:
    """Return the distillers by name; the name is the class name in lower case."""
    return {
        name.lower(): value
        for name, value in vars(distillers).items()
        if isinstance(value, type)
        and issubclass(value, Distiller)
        and value not in (Distiller, RowDistiller)
    }


def make_method(
    cell: Cell, memory: str | None, device: str
) -> Iterator[tuple[dict[str, Any], Model]]:
    """Yield the candidates of the method of a cell.

    Parameters
    ----------
    cell : Cell
        The cell. Its ``method`` is ``KIND[:STUDENT[:TEACHER]]`` or the name of a competitor; see
        :func:`~skgdpd.benchmarking.competitors.make_competitor`. KIND is ``base`` (no teacher),
        ``gdpd``, ``gendd`` (predictions from draws and the student), ``gendd-draws`` (predictions
        from draws only), ``gendd-head`` (predictions from the student's classifier),
        ``gendd-paper`` (the paper's condition), ``gendd-unsupervised`` (labels for the teacher
        only, no contraction), an element of :data:`~.controls.CONTROLS`, the
        name of a distiller in lower case, an element of :data:`~.variants.VARIANTS`, or the
        dotted name of a distiller class. An element of :data:`~.lupts.LUPTS` has no student and
        no teacher. ``hinton-chosen`` has no TEACHER, because it chooses one; see
        :class:`~.teacher_choice.TeacherChoice`. STUDENT and TEACHER are names of backbones, or
        dotted names of networks or of callables that make them; by default, those of the
        protocol. TEACHER may also be the dotted name of a classifier class, which is made without
        arguments.
    memory : str or None
        The folder of a cache of teachers and priors.
    device : str
        The device of the networks.

    Yields
    ------
    params : dict
        The parameters of the candidate; empty for default values.
    model : Model
        The unfitted candidate.

    Raises
    ------
    ValueError
        If the method, the student or the teacher is unknown.
    """
    kind, *names = cell.method.split(":")
    if kind in LUPTS:
        yield {}, make_lupts(cell)
        return
    if kind == CHOICE:
        yield {}, _choice(cell, names, memory, device)
        return
    if kind != "base" and kind not in CLASSIFIERS and _distiller_class(kind) is None:
        yield {}, make_competitor(cell)
        return
    if len(names) > 2:
        raise ValueError(f"method={cell.method!r}; it must be KIND[:STUDENT[:TEACHER]]")
    if kind == "base" and len(names) > 1:
        raise ValueError(
            f"method={cell.method!r}: 'base' has no teacher; it must be base[:STUDENT]"
        )
    for role, name in zip(ROLES, names, strict=False):
        _part(cell, role, name)
    decays = WEIGHT_DECAYS if cell.protocol == "default" else PAPER_WEIGHT_DECAYS
    searched, values = (
        ("training__weight_decay", decays) if kind == "base" else ("lambda_kd", LAMBDAS)
    )
    clf = _classifier(cell, kind, names, memory, device)
    if not cell.search:
        yield {}, PrefixModel(clf)
        return
    if kind != "base" and kind not in CLASSIFIERS:
        searched = f"distiller__{searched}"
    if searched not in clf.get_params():
        yield {}, PrefixModel(clf)
        return
    for value in values:
        candidate = _classifier(cell, kind, names, memory, device)
        yield {searched: value}, PrefixModel(candidate.set_params(**{searched: value}))


def check_method(cell: Cell) -> None:
    """Raise a ValueError if the method of a cell is unknown."""
    next(make_method(cell, None, "cpu"))


def _choice(cell: Cell, names: list[str], memory: str | None, device: str) -> TeacherChoice:
    if len(names) > 1:
        raise ValueError(
            f"method={cell.method!r}: the method chooses its teacher; it must be "
            f"{CHOICE}[:STUDENT]"
        )
    return TeacherChoice(_classifier(replace(cell, search=False), "hinton", names, memory, device))


def _classifier(cell: Cell, kind: str, names: list[str], memory: str | None, device: str) -> Any:
    student, teacher = (_part(cell, *pair) for pair in zip(ROLES, [*names, "", ""], strict=False))
    params: dict[str, Any] = {}
    if cell.protocol != "default":
        params = paper_parameters(student or "lstm3-100", reference=cell.protocol == "reference")
    elif student:
        params["student"] = student
    params |= {
        "earliness": cell.earliness,
        "normalize": None if cell.normalize == "none" else cell.normalize,
        "series__missing_values": "interpolate",
        "series__short_series": "ended",
        "random_state": cell.seed,
        "device": device,
    }
    if cell.search:
        params["training__validation_fraction"] = 0.2  # on which candidates are compared
    if kind == "base":
        return _make(PrefixClassifier, params)
    params |= {"memory": memory, "teacher": teacher} if teacher else {"memory": memory}
    if cell.protocol != "default" and not teacher:
        params["teacher"] = None
    if kind in CLASSIFIERS:
        cls, settings = CLASSIFIERS[kind]
        return _make(cls, params | settings)
    return _make(DistilledPrefixClassifier, params | {"distiller": _distiller(kind)})


def _part(cell: Cell, role: str, name: str) -> Any:
    """Return the value of ``student=`` or ``teacher=`` for a name or a dotted name."""
    known = available_backbones()
    if not name or name in known:
        return name or None
    if "." not in name:
        raise ValueError(
            f"method={cell.method!r}: unknown backbone {name!r}; the names are "
            f"{', '.join(known)}, or a dotted name"
        )
    found = _imported(role, name)
    if isinstance(found, type) and not issubclass(found, nn.Module) and hasattr(found, "fit"):
        return _classifier_as(role, name, found)
    if not callable(found):
        raise ValueError(
            f"{role}={name!r} must be a network, or a callable (n_channels, n_timepoints) that "
            f"makes one; it is {found!r}"
        )
    return found


def _classifier_as(role: str, name: str, cls: type) -> Any:
    """Return a teacher of a class of classifiers, made without arguments."""
    if role == "student":
        raise ValueError(f"student={name!r} is a classifier; only a teacher may be one")
    try:
        teacher = cls()
    except Exception as error:  # of whatever is made
        raise ValueError(f"teacher={name!r} can't be made without arguments: {error}") from error
    if not hasattr(teacher, "predict_proba"):
        raise ValueError(f"teacher={name!r} has no predict_proba, which a teacher needs")
    return teacher


def _imported(role: str, name: str) -> Any:
    try:
        return load_dotted(name)
    except Exception as error:  # of whatever is imported
        raise ValueError(f"{role}={name!r} can't be imported: {error}") from error


def _distiller(kind: str) -> Distiller:
    found = _distiller_class(kind)
    assert found is not None
    cls, settings = found
    if "prior" in inspect.signature(cls).parameters:
        settings = {"prior": default_prior()} | settings
    return cls(**settings)


def _distiller_class(kind: str) -> tuple[type[Distiller], dict[str, Any]] | None:
    """Return class and settings for a name or a dotted name; None if it is no distiller."""
    if kind in VARIANTS:
        return VARIANTS[kind]
    if kind in (known := available_distillers()):
        return known[kind], {}
    if "." not in kind:
        return None
    found = _imported("method", kind)
    is_distiller = isinstance(found, type) and issubclass(found, Distiller)
    return (found, {}) if is_distiller else None


def _make(cls: Any, params: dict[str, Any]) -> Any:
    """Make a classifier with those parameters of the protocol that it supports."""
    taken = inspect.signature(cls).parameters
    flat = {name: value for name, value in params.items() if name in taken}
    nested = {name: value for name, value in params.items() if "__" in name}
    return cls(**flat).set_params(**nested)

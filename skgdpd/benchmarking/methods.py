"""Methods of a benchmark by name, each with the same number of candidates in a search."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from torch import nn

from .._estimators.distilled import DistilledPrefixClassifier
from .._estimators.gdpd import default_prior
from .._estimators.lupts import LuPTSClassifier
from .._estimators.paper import paper_parameters
from .._estimators.prefix import PrefixClassifier
from .._runtime.dotted import load_dotted
from ..distillers import Distiller
from ..nets import available_backbones
from .cells import Cell
from .competitors import CompetitorModel
from .kinds import KINDS, Kind, find_kind
from .lupts import LuPTSModel
from .teacher_choice import TeacherChoice

Array = NDArray[Any]

WEIGHT_DECAYS = (1e-3, 1e-2, 1e-1)
"""Candidates for a student without a teacher, as many as for the other methods."""

PAPER_WEIGHT_DECAYS = (1e-6, 1e-5, 1e-4)
"""Candidates in the paper's protocol, in which weight decay is an L2 penalty; the paper uses 1e-5.

As L2 penalties, the candidates of ``WEIGHT_DECAYS`` would drive the weights to zero.
"""

LAMBDAS = (0.1, 1.0, 10.0)
"""Candidates for lambda_KD of a distiller, as in the GDPD paper."""

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


def make_method(
    cell: Cell, memory: str | None, device: str
) -> Iterator[tuple[dict[str, Any], Model]]:
    """Yield the candidates of the method of a cell.

    Parameters
    ----------
    cell : Cell
        The cell. Its ``method`` is ``KIND[:STUDENT[:TEACHER]]``. KIND is an element of
        :data:`~.kinds.KINDS`, the dotted name of a class of distillers, or that of a class of
        classifiers of scikit-learn, sktime or aeon, which have their default parameters.
        :data:`~.kinds.FORMS` says which kinds take STUDENT and TEACHER. These are names of
        backbones, or dotted names of networks or of callables that make them; by default, those
        of the protocol. TEACHER may also be the dotted name of a classifier class, which is made
        without arguments.
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
    name, *backbones = cell.method.split(":")
    kind, form = find_kind(name)
    if len(backbones) > form.count(":"):
        raise ValueError(f"method={cell.method!r}; it must be {name}{form}")
    if kind.make is LuPTSClassifier:
        clf = kind.make(earliness=cell.earliness, random_state=cell.seed, **kind.settings)
        yield {}, LuPTSModel(clf, cell.normalize)
    elif not form:
        clf = kind.make(cell.seed)
        yield {}, CompetitorModel(clf, cell.earliness, cell.normalize, **kind.settings)
    elif kind.make is TeacherChoice:
        cell = replace(cell, search=False)
        yield {}, TeacherChoice(_classifier(cell, KINDS["hinton"], backbones, memory, device))
    else:
        clf = _classifier(cell, kind, backbones, memory, device)
        for params in _candidates(cell, kind, clf):
            yield params, PrefixModel(clone(clf).set_params(**params))


def check_method(cell: Cell) -> None:
    """Raise a ValueError if the method of a cell is unknown."""
    next(make_method(cell, None, "cpu"))


def _candidates(cell: Cell, kind: Kind, clf: Any) -> list[dict[str, Any]]:
    """Return the values among which a cell chooses; one empty dict if there is no choice."""
    name, values = "lambda_kd", LAMBDAS
    if kind.make is PrefixClassifier:
        name = "training__weight_decay"
        values = WEIGHT_DECAYS if cell.protocol == "default" else PAPER_WEIGHT_DECAYS
    elif issubclass(kind.make, Distiller):
        name = f"distiller__{name}"
    if not cell.search or name not in clf.get_params():
        return [{}]
    return [{name: value} for value in values]


def _classifier(
    cell: Cell, kind: Kind, backbones: list[str], memory: str | None, device: str
) -> Any:
    parts = zip(ROLES, [*backbones, "", ""], strict=False)
    student, teacher = (_part(cell, *pair) for pair in parts)
    params: dict[str, Any] = {"memory": memory}
    if cell.protocol != "default":
        params |= paper_parameters(student or "lstm3-100", reference=cell.protocol == "reference")
        params["teacher"] = None
    elif student:
        params["student"] = student
    if teacher:
        params["teacher"] = teacher
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
    cls, settings = kind.make, kind.settings
    if issubclass(cls, Distiller):
        cls, settings = DistilledPrefixClassifier, {"distiller": _distiller(cls, settings)}
    return _make(cls, params | settings)


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


def _distiller(cls: type[Distiller], settings: dict[str, Any]) -> Distiller:
    if "prior" in inspect.signature(cls).parameters:
        settings = {"prior": default_prior()} | settings
    return cls(**settings)


def _make(cls: Any, params: dict[str, Any]) -> Any:
    """Make a classifier with those parameters of the protocol that it supports."""
    taken = inspect.signature(cls).parameters
    flat = {name: value for name, value in params.items() if name in taken}
    nested = {name: value for name, value in params.items() if "__" in name}
    return cls(**flat).set_params(**nested)

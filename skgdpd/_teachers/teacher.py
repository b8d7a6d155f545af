"""Teachers of all kinds, and the functions that fit them.

A teacher learns from whole series. It is fitted once per training set, on the labelled training
part only and never on a student's validation part. Its features and logits are computed once,
before the student's training, which reads them as arrays.
"""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from joblib import Memory
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state, get_tags
from torch import nn

from .._fitting.network import SeriesNetwork, folded_copy, softmax
from .._fitting.preparation import NetworkData, NetworkPlan, finish, prepare, train
from .._runtime.arguments import about
from .._runtime.caching import call_cached
from .._runtime.distributions import checked_answers
from .._runtime.fingerprint import fingerprint
from .._runtime.random import Seeds
from .._runtime.warn import warn_user
from .._series.panel import Panel, as_frames, as_list, own_lengths, read_panel
from .._series.storage import StoredSeries
from .._series.views import interpolate
from ..distillers import Distiller
from ..nets import available_backbones
from ..training import History, Progress
from ..training.checkpoint import Checkpoints
from .ensemble import (
    MIN_PROBABILITY,
    EnsembleTeacher,
    FrozenMember,
    in_order,
    is_ensemble,
    is_frozen,
    members_of,
    thawed,
)


class Teacher(Protocol):
    """Fitted teacher of whole series ``(n, c, t)``, in any form that classifiers allow."""

    classes_: NDArray[Any]

    def predict_proba(self, X: Any) -> NDArray[Any]: ...
    def embed(self, X: Any) -> NDArray[Any]: ...


@dataclass(frozen=True)
class TeacherOutputs:
    """Fitted teacher with its outputs for the training series.

    Attributes
    ----------
    teacher : NetworkTeacher, EstimatorTeacher or EnsembleTeacher
        Fitted teacher; None if a distiller has replaced its outputs.
    features : ndarray of shape (n, dT)
        Features z_long.
    logits : ndarray of shape (n, n_classes)
        Logits in the student's order of classes.
    earlier : dict of int to tuple
        Features and logits of the teacher after each of the plan's ``kept_epochs``.
    own_logits : ndarray of shape (n, n_classes) or None
        Logits of the teacher itself if ``logits`` come from copies of it; None otherwise.
    """

    teacher: Any
    features: NDArray[np.float32]
    logits: NDArray[np.float32]
    earlier: dict[int, tuple[NDArray[Any], NDArray[Any]]] = field(default_factory=dict)
    own_logits: NDArray[np.float32] | None = None


class NetworkTeacher:
    """Teacher that is a network trained on whole series.

    Parameters
    ----------
    network : SeriesNetwork
        Trained network.
    classes : ndarray of shape (n_classes,)
        Labels by class number.
    history : History
        Loss terms of the network's training, by epoch.

    Attributes
    ----------
    network_ : SeriesNetwork
        Trained network.
    classes_ : ndarray of shape (n_classes,)
        Labels by class number.
    history_ : History
        Loss terms of the network's training, by epoch.
    """

    def __init__(self, network: SeriesNetwork, classes: NDArray[Any], history: History) -> None:
        self.network_, self.classes_, self.history_ = network, classes, history

    def run(self, values: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return features and logits of whole series ``(n, c, t)``."""
        return self.network_.run_panel(Panel(values), "X of the teacher")

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return class probabilities ``(n, n_classes)`` of whole series ``(n, c, t)``."""
        return softmax(self.run(read_panel(X).values)[1])

    def embed(self, X: Any) -> NDArray[Any]:
        """Return features ``(n, dT)`` of whole series ``(n, c, t)``."""
        return self.run(read_panel(X).values)[0]


def fit_network_teacher(
    plan: NetworkPlan,
    values: NDArray[np.float32],
    y: NDArray[np.int64],
    weight: NDArray[np.float32] | None,
    classes: NDArray[Any],
    seed: int,
    progress: Progress,
    checkpoints: Checkpoints | None = None,
) -> tuple[NetworkTeacher, dict[int, NetworkTeacher]]:
    """Train a network on whole series.

    No series are held out for validation, and the last weights of the schedule are kept. The
    teacher therefore does not depend on the series on which its student is validated.

    Parameters
    ----------
    plan : NetworkPlan
        Settings of the network.
    values : ndarray of shape (n, c, t)
        Whole series.
    y : ndarray of shape (n,)
        Class numbers.
    weight : ndarray of shape (n,) or None
        Weights of the cross-entropy.
    classes : ndarray of shape (n_classes,)
        Labels by class number.
    seed : int
        Seed of the fit.
    progress : Progress
        Progress bar, advanced by one unit in each epoch.
    checkpoints : Checkpoints or None
        Store of unfinished trainings. It is not used if states of the training are kept.

    Returns
    -------
    teacher : NetworkTeacher
        Fitted teacher.
    earlier : dict of int to NetworkTeacher
        Teacher after each of the plan's ``kept_epochs``.
    """
    seeds, rows = Seeds(seed), np.arange(len(values))
    data = NetworkData(Panel(values), y, weight, rows, rows[:0], len(classes))
    preparation = prepare(plan, data, seeds, seeds("weights"))
    networks: list[SeriesNetwork] = []
    history = train(
        preparation,
        progress=progress,
        checkpoints=None if plan.kept_epochs else checkpoints,
        visit=lambda module: networks.append(preparation.network(folded_copy(module))),
        visited_epochs=plan.kept_epochs,
    )
    states = [NetworkTeacher(network, classes, history) for network in networks]
    teacher = NetworkTeacher(finish(preparation), classes, history)
    return teacher, dict(zip(plan.kept_epochs, states, strict=True))


class EstimatorTeacher:
    """Teacher that wraps any classifier with ``predict_proba``.

    The features are the output of the classifier's ``embed`` method. If it has none, they are the
    output of the steps before the last one in a Pipeline, and log-probabilities otherwise. The
    classifier receives an array ``(n, c, t)`` in double precision, in which gaps are filled by
    linear interpolation. It receives series of unequal length as a list of ``(c, T_i)`` arrays, or
    as a list of data frames if it is a classifier of sktime. A classifier of scikit-learn that
    takes tables only receives rows ``(n, c * t)``.

    Parameters
    ----------
    estimator : classifier
        Fitted classifier.

    Raises
    ------
    ValueError
        If the classifier has no ``classes_``.
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        if not hasattr(estimator, "classes_"):
            raise ValueError(
                f"teacher={estimator!r} has no classes_ after its fit; a classifier must "
                f"set this attribute to its sorted labels, in the order of its probabilities"
            )
        self.classes_ = np.asarray(estimator.classes_)

    def run(self, values: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return features and logits of whole series ``(n, c, t)``."""
        logits = np.log(np.clip(self.predict_proba(values), MIN_PROBABILITY, None))
        return self._features(values, logits), logits.astype(np.float32)

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return class probabilities ``(n, n_classes)`` of whole series ``(n, c, t)``."""
        values = read_panel(X).values
        series = series_for(self.estimator, values)
        with about("teacher"):
            answers = self.estimator.predict_proba(series)
        return checked_answers(answers, len(values), self.classes_, self._name)

    def embed(self, X: Any) -> NDArray[Any]:
        """Return features ``(n, dT)`` of whole series ``(n, c, t)``."""
        return self.run(read_panel(X).values)[0]

    @property
    def _name(self) -> str:
        return f"the teacher, a {type(thawed(self.estimator)).__name__},"

    def _features(self, values: NDArray[Any], logits: NDArray[Any]) -> NDArray[Any]:
        model = thawed(self.estimator)
        series = series_for(self.estimator, values)
        if hasattr(model, "embed"):
            features = model.embed(series)
        elif isinstance(model, Pipeline) and len(model.steps) > 1:
            features = model[:-1].transform(series)
        else:
            features = logits
        features = features.toarray() if hasattr(features, "toarray") else np.asarray(features)
        if features.dtype.kind not in "biufO" or not (features.ndim and features.size):
            raise ValueError(
                f"{self._name} gave features of the type {features.dtype} and the shape "
                f"{features.shape}; it must give a row of real numbers for each series"
            )
        if len(features) != len(values):
            raise ValueError(
                f"{self._name} gave features of {len(features)} rows for {len(values)} series; "
                f"it must give a row for each"
            )
        with about("teacher"), np.errstate(over="ignore"):
            features = features.reshape(len(values), -1).astype(np.float32)
        if not np.isfinite(features).all():
            row = int((~np.isfinite(features).all(1)).argmax())
            raise ValueError(
                f"{self._name} gave features that are not finite in single precision, the first "
                f"for series {row} of {len(values)}"
            )
        return features


def series_for(estimator: Any, values: NDArray[Any]) -> Any:
    """Return series in the form that a classifier needs; see :class:`EstimatorTeacher`."""
    # Some compiled code, such as aeon's catch22, works in double precision only.
    values = np.asarray(values, dtype=np.float64)
    missing = np.isnan(values)
    lengths = own_lengths(missing)
    filled = interpolate(values, lengths) if missing.any() else values
    model = thawed(estimator)
    if (lengths == values.shape[2]).all():
        return filled.reshape(len(filled), -1) if _takes_tables(model) else filled
    if _takes_tables(model):
        raise ValueError(
            f"teacher={model!r} takes tables only, and the series are of unequal length; choose a "
            f"teacher of series, or put a step that makes a row of each series before it"
        )
    is_sktime = any(cls.__module__.startswith("sktime.") for cls in type(model).__mro__)
    return as_frames(filled) if is_sktime else as_list(filled)


def _takes_tables(model: Any) -> bool:
    """Return whether a classifier, or a pipeline's first step, is scikit-learn's for tables."""
    first = model.steps[0][1] if isinstance(model, Pipeline) else model
    if not type(first).__module__.startswith("sklearn."):
        return False
    # Tags of an estimator around others do not show what the inner ones take.
    inner = first.get_params(deep=False).values()
    if any(isinstance(value, list) or hasattr(value, "fit") for value in inner):
        return False
    tags = get_tags(first)
    return not (tags.no_validation or tags.input_tags.three_d_array)


def check_teacher(spec: Any) -> None:
    """Check, before any training, that an object can be a teacher.

    Parameters
    ----------
    spec : object
        Parameter ``teacher`` of a classifier.

    Raises
    ------
    ValueError
        If a name is unknown, if a frozen classifier is not fitted, or if an ensemble has no
        members or contains an ensemble.
    TypeError
        If it is not None, a name, a module, a factory of modules, a classifier with
        ``predict_proba``, or an ensemble of these.
    """
    # Unfitted classifiers of sktime have an empty list of classes.
    if is_frozen(spec) and not len(getattr(thawed(spec), "classes_", ())):
        raise ValueError(
            f"teacher={spec!r} is used as it is, but it has no classes_: fit the classifier "
            f"before it is frozen, or give it without FrozenEstimator"
        )
    if is_ensemble(spec):
        for member in members_of(spec)[0]:
            check_teacher(member)
    elif isinstance(spec, str):
        if spec not in available_backbones():
            raise ValueError(
                f"teacher={spec!r} is not a backbone; the names are "
                f"{', '.join(available_backbones())}"
            )
    elif isinstance(spec, type) and hasattr(spec, "fit"):
        raise TypeError(f"teacher={spec.__name__} is a class; give an object, {spec.__name__}()")
    elif not (spec is None or isinstance(spec, (nn.Module, FrozenMember)) or _is_classifier(spec)):
        if hasattr(spec, "fit") or hasattr(spec, "predict_proba") or not callable(spec):
            raise TypeError(
                f"teacher={spec!r} must be None, a backbone's name, a torch module, a classifier "
                f"with fit, get_params and predict_proba, or a list of such"
            )


def check_states(distiller: Distiller, spec: Any, epochs: tuple[int, ...]) -> None:
    """Check, before any training, that a teacher has the earlier states that a method needs.

    Parameters
    ----------
    distiller : Distiller
        Distillation method.
    spec : object
        Parameter ``teacher`` of a classifier.
    epochs : tuple of int
        Epochs of the teacher's training whose outputs the method needs.

    Raises
    ------
    ValueError
        If ``epochs`` is not empty and the teacher is not a network of this package.
    """
    if epochs and (is_ensemble(spec) or hasattr(spec, "predict_proba")):
        raise ValueError(
            f"distiller={distiller!r} learns from the teacher's own states in its training, which "
            f"teacher={spec!r} doesn't have; allowed are None (the student's architecture), "
            f"{', '.join(map(repr, available_backbones()))}, or a torch module"
        )


def _is_classifier(spec: Any) -> bool:
    return all(hasattr(spec, name) for name in ("fit", "get_params", "predict_proba"))


def n_networks(spec: Any) -> int:
    """Return the number of networks that are trained for a teacher."""
    if is_ensemble(spec):
        return sum(n_networks(member) for member in members_of(spec)[0])
    return 0 if hasattr(spec, "predict_proba") else 1


def fit_teacher(
    plan: NetworkPlan,
    values: NDArray[np.float32],
    y: NDArray[np.int64],
    weight: NDArray[np.float32] | None,
    classes: NDArray[Any],
    seed: int,
    memory: Memory,
    progress: Progress,
    checkpoints: Checkpoints | None,
    folder: str,
) -> TeacherOutputs:
    """Fit a teacher, or load it from the cache, and compute its outputs for all series.

    Parameters
    ----------
    plan : NetworkPlan
        Teacher, with the settings for its networks.
    values : ndarray of shape (n + m, c, t)
        Whole series: first the training part, then the unlabelled series.
    y : ndarray of shape (n,)
        Class numbers of the first ``n`` series.
    weight : ndarray of shape (n,) or None
        Weights of these series in the cross-entropy.
    classes : ndarray of shape (n_classes,)
        Labels by class number.
    seed : int
        Seed of the teacher's fit.
    memory : joblib.Memory
        Cache of fitted teachers.
    progress : Progress
        Progress bar, advanced by one unit for each epoch of each network.
    checkpoints : Checkpoints or None
        Store of unfinished trainings.
    folder : str
        Folder for features that are too large for memory.

    Returns
    -------
    TeacherOutputs
        Outputs for all series, in their order.
    """
    before = progress.done
    progress.stage("teacher")
    # Features in files are mapped copy-on-write, since torch warns about read-only arrays.
    how: dict[str, Any] = {"mmap_mode": "c"} if isinstance(values, StoredSeries) else {}
    key = _key(plan, memory)
    outputs = call_cached(
        Memory(None) if key is None else memory,
        _fit_and_ask,
        key or "",
        plan,
        values,
        y,
        weight,
        classes,
        seed,
        progress,
        checkpoints,
        folder,
        ignore=["plan", "progress", "checkpoints", "folder"],
        **how,
    )
    # A teacher from the cache advances the bar as much as one that was trained.
    units = plan.config.max_epochs * n_networks(plan.spec)
    progress.advance(units - (progress.done - before))
    return outputs


def outputs_for(teacher: Any, panel: Panel, classes: NDArray[Any]) -> TeacherOutputs:
    """Return the outputs of a fitted teacher for other series.

    Parameters
    ----------
    teacher : NetworkTeacher, EstimatorTeacher or EnsembleTeacher
        Fitted teacher.
    panel : Panel
        Whole series.
    classes : ndarray of shape (n_classes,)
        Labels in the student's order.

    Returns
    -------
    TeacherOutputs
        Outputs for all series.
    """
    features, logits = teacher.run(np.asarray(panel.values))
    return TeacherOutputs(teacher, features, in_order(logits, teacher.classes_, classes))


def _key(plan: NetworkPlan, memory: Memory) -> str | None:
    """Return the fingerprint of a plan, or None if the plan can't be pickled."""
    location = getattr(memory, "location", "")
    if location is None:  # the cache keeps nothing
        return ""
    try:
        return fingerprint(plan)
    except (pickle.PicklingError, AttributeError, TypeError):
        if location:
            warn_user(
                f"memory is of no use with teacher={plan.spec!r}, which can't be pickled, so that "
                f"no later fit recognises it; give a function or a class that has a name in a "
                f"module"
            )
        return None


def _fit_and_ask(
    key: str,
    plan: NetworkPlan,
    values: NDArray[np.float32],
    y: NDArray[np.int64],
    weight: NDArray[np.float32] | None,
    classes: NDArray[Any],
    seed: int,
    progress: Progress,
    checkpoints: Checkpoints | None,
    folder: str,
) -> TeacherOutputs:
    panel = Panel(values)
    train_values = panel.take(np.arange(len(y))).values
    if is_ensemble(plan.spec):
        specs, weights = members_of(plan.spec)
        seeds = Seeds(seed)
        members = [
            _fit_one(
                replace(plan, spec=spec),
                train_values,
                y,
                weight,
                classes,
                own,
                progress,
                checkpoints,
            )[0]
            for spec, own in zip(specs, map(seeds, map(str, range(len(specs)))), strict=True)
        ]
        teacher: Any = EnsembleTeacher(members, weights, train_values)
        states: dict[int, NetworkTeacher] = {}
    else:
        teacher, states = _fit_one(
            plan, train_values, y, weight, classes, seed, progress, checkpoints
        )
    features, logits = _ask(teacher, panel, folder)
    earlier = {k: _ask(state, panel, folder, f"-{k}") for k, state in states.items()}
    logits = in_order(logits, teacher.classes_, classes)
    return TeacherOutputs(teacher, features, logits, earlier)


def _fit_one(
    plan: NetworkPlan,
    train_values: NDArray[np.float32],
    y: NDArray[np.int64],
    weight: NDArray[np.float32] | None,
    classes: NDArray[Any],
    seed: int,
    progress: Progress,
    checkpoints: Checkpoints | None,
) -> tuple[Any, dict[int, NetworkTeacher]]:
    if hasattr(plan.spec, "predict_proba"):
        return EstimatorTeacher(_fitted(plan.spec, train_values, classes[y], seed)), {}
    return fit_network_teacher(plan, train_values, y, weight, classes, seed, progress, checkpoints)


def _ask(
    teacher: NetworkTeacher | EstimatorTeacher, panel: Panel, folder: str, state: str = ""
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return features and logits of a panel, as memory-mapped files for stored series."""
    if not panel.stored:
        return teacher.run(panel.values)
    answers: list[NDArray[Any]] = []
    for start, part in panel.chunks():
        found = teacher.run(part.values)
        if not answers:
            answers = [
                np.lib.format.open_memmap(
                    os.path.join(folder, f"{name}{state}.npy"),
                    mode="w+",
                    dtype=np.float32,
                    shape=(len(panel), array.shape[1]),
                )
                for name, array in zip(("features", "logits"), found, strict=True)
            ]
        for answer, array in zip(answers, found, strict=True):
            answer[start : start + len(array)] = array
    return answers[0], answers[1]


def _fitted(spec: Any, values: NDArray[np.float32], labels: NDArray[Any], seed: int) -> Any:
    """Return a frozen estimator unchanged, and a seeded and fitted clone of any other."""
    if is_frozen(spec) or isinstance(spec, FrozenMember):
        return spec
    estimator = clone(spec)
    params = estimator.get_params(deep=True)
    random = check_random_state(seed)
    unseeded = sorted(k for k, v in params.items() if k.endswith("random_state") and v is None)
    if unseeded:
        estimator.set_params(**{name: int(random.randint(2**31 - 1)) for name in unseeded})
    with about("teacher"):
        return estimator.fit(series_for(estimator, values), labels)

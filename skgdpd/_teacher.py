"""What a teacher may be, and what it knows.

A teacher sees whole series. It is fitted once per training set, on the labelled training part
only, never on a student's validation part, and is asked once for its features and logits: in a
student's training it is an array.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from joblib import Memory
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from torch import nn

from ._ensemble import (
    MIN_PROBABILITY,
    EnsembleTeacher,
    FrozenMember,
    in_order,
    is_ensemble,
    is_frozen,
    members_of,
    thawed,
)
from ._fingerprint import fingerprint
from ._network import SeriesNetwork, fit_fixed_part, make_rows, softmax
from ._panel import Panel, as_frames, as_list, join, own_lengths, read_panel
from ._random import Seeds
from ._storage import StoredSeries
from ._views import Missing, Normalization, Normalizer, View, interpolate
from .distillers.base import StudentObjective
from .nets import available_backbones, make_backbone, takes_lengths
from .nets.student import StudentNet
from .training import (
    Checkpoints,
    History,
    Progress,
    TrainingConfig,
    isolated_random_state,
    train,
)


class Teacher(Protocol):
    """What a fitted teacher can do, with whole series ``(n, c, t)`` as users give them."""

    classes_: NDArray[Any]

    def predict_proba(self, X: Any) -> NDArray[Any]: ...
    def embed(self, X: Any) -> NDArray[Any]: ...


@dataclass(frozen=True)
class Knowledge:
    """A fitted teacher, and what it says of the training series.

    Attributes
    ----------
    teacher : NetworkTeacher, EstimatorTeacher or EnsembleTeacher
        Fitted.
    features : ndarray of shape (n, dT)
        Its features, z_long.
    logits : ndarray of shape (n, n_classes)
        Its logits, in the student's order of classes.
    """

    teacher: Any
    features: NDArray[np.float32]
    logits: NDArray[np.float32]


@dataclass(frozen=True)
class TeacherPlan:
    """Everything that a teacher's fit depends on besides the data; a cache's key.

    Attributes
    ----------
    spec : object
        Name, module, or classifier.
    config : TrainingConfig
        How a network is trained; ignored for a classifier.
    normalize : {"train", "prefix"} or None
        As for the student.
    resample_length : int or None
        As for the student.
    device : str
        Where a network is trained.
    predict_batch_size : int
        Series run at once.
    missing : {"error", "interpolate", "mask"}
        As for the student.
    ragged : bool
        Whether series differ in length.
    """

    spec: Any
    config: TrainingConfig
    normalize: Normalization | None
    resample_length: int | None
    device: str
    predict_batch_size: int
    missing: Missing
    ragged: bool


class NetworkTeacher:
    """A backbone and a linear head trained on whole series.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels.
    network_ : SeriesNetwork
        The trained network.
    history_ : History
        Its training.
    """

    def __init__(self, plan: TeacherPlan) -> None:
        self.plan = plan

    def fit(
        self,
        values: NDArray[np.float32],
        y: NDArray[np.int64],
        weight: NDArray[np.float32] | None,
        classes: NDArray[Any],
        seed: int,
        progress: Progress,
        checkpoints: Checkpoints | None = None,
    ) -> NetworkTeacher:
        """Train on whole series ``(n, c, t)`` with class numbers ``(n,)``.

        No validation part: the last weights of the schedule are kept, so that a teacher knows
        nothing of the series on which its student is validated.
        """
        plan, seeds = self.plan, Seeds(seed)
        self.classes_, device = classes, torch.device(plan.device)
        panel = Panel(values)
        view = View(
            1.0,
            Normalizer(plan.normalize),
            plan.resample_length,
            missing=plan.missing,
            ragged=plan.ragged,
        ).fit(panel)
        rows = make_rows(view, panel, y=y, weight=weight).to(device)
        with isolated_random_state(seeds("weights"), device):
            backbone = make_backbone(plan.spec, view.n_channels_, view.n_out_, "teacher")
            if plan.ragged and plan.resample_length is None and not takes_lengths(backbone):
                raise ValueError(
                    f"teacher={plan.spec!r} can't learn from series of unequal length: its "
                    f"forward has no parameter lengths. Set resample_length, or choose another"
                )
            module = StudentNet(backbone, len(classes), plan.config.precision).to(device)
            rows = fit_fixed_part(module, rows, seeds("fixed"))
            self.history_: History = train(
                module,
                StudentObjective().to(device),
                rows,
                plan.config,
                shuffle_seed=seeds("shuffle"),
                noise_seed=seeds("noise"),
                progress=progress,
                checkpoints=checkpoints,
            )
            module.fold()
        self.history_.n_labeled = len(values)
        self.network_ = SeriesNetwork(view, module, device, plan.predict_batch_size)
        return self

    def run(self, values: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Features and logits of whole series."""
        return self.network_.run_panel(Panel(values))

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Class probabilities ``(n, n_classes)`` of whole series ``(n, c, t)``."""
        return softmax(self.run(read_panel(X).values)[1])

    def embed(self, X: Any) -> NDArray[Any]:
        """Features ``(n, dT)`` of whole series ``(n, c, t)``."""
        return self.run(read_panel(X).values)[0]


class EstimatorTeacher:
    """Any classifier with ``predict_proba`` as a teacher.

    Features are what its ``embed`` returns if it has one, else what a Pipeline's steps before the
    last make of the series, else its log-probabilities. It is given arrays ``(n, c, t)`` in
    double precision; series of unequal length as a list of ``(c, T_i)`` arrays, or of frames if
    it comes from sktime; gaps are filled by straight lines first.

    Parameters
    ----------
    estimator : classifier
        Fitted.
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        self.classes_ = np.asarray(estimator.classes_)

    def run(self, values: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Features and logits of whole series."""
        logits = np.log(np.clip(self.predict_proba(values), MIN_PROBABILITY, None))
        return self._features(values, logits), logits.astype(np.float32)

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Class probabilities ``(n, n_classes)`` of whole series ``(n, c, t)``."""
        series = series_for(self.estimator, read_panel(X).values)
        return np.asarray(self.estimator.predict_proba(series))

    def embed(self, X: Any) -> NDArray[Any]:
        """Features ``(n, dT)`` of whole series ``(n, c, t)``."""
        return self.run(read_panel(X).values)[0]

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
        return features.reshape(len(values), -1).astype(np.float32)


def series_for(estimator: Any, values: NDArray[Any]) -> Any:
    """Series in a form that a classifier can take; see :class:`EstimatorTeacher`."""
    # Compiled code of others, aeon's catch22 for one, is made for double precision alone.
    values = np.asarray(values, dtype=np.float64)
    missing = np.isnan(values)
    if not missing.any():
        return values
    lengths = own_lengths(missing)
    filled = interpolate(values, lengths)
    if (lengths == values.shape[2]).all():
        return filled
    model = thawed(estimator)
    is_sktime = any(cls.__module__.startswith("sktime.") for cls in type(model).__mro__)
    return as_frames(filled) if is_sktime else as_list(filled)


def check_teacher(spec: Any) -> None:
    """Refuse what can't be a teacher, before anything is trained.

    Raises
    ------
    ValueError
        If a name is unknown, or an ensemble has no members or one that is an ensemble itself.
    TypeError
        If it is no name, module, factory of modules, classifier with ``predict_proba``, or
        ensemble of such.
    """
    if is_ensemble(spec):
        for member in members_of(spec)[0]:
            check_teacher(member)
    elif isinstance(spec, str):
        if spec not in available_backbones():
            raise ValueError(
                f"teacher={spec!r} is not a backbone; the names are "
                f"{', '.join(available_backbones())}"
            )
    elif not (spec is None or isinstance(spec, nn.Module) or hasattr(spec, "predict_proba")):
        if hasattr(spec, "fit") or not callable(spec):
            raise TypeError(
                f"teacher={spec!r} must be None, a backbone's name, a torch module, a classifier "
                f"with predict_proba, or a list of such"
            )


def n_networks(spec: Any) -> int:
    """How many networks are trained for a teacher."""
    if is_ensemble(spec):
        return sum(n_networks(member) for member in members_of(spec)[0])
    return 0 if hasattr(spec, "predict_proba") else 1


def learn_from_teacher(
    plan: TeacherPlan,
    train_values: NDArray[np.float32],
    y: NDArray[np.int64],
    weight: NDArray[np.float32] | None,
    pool_values: NDArray[np.float32] | None,
    classes: NDArray[Any],
    seed: int,
    memory: Memory,
    progress: Progress,
    checkpoints: Checkpoints | None,
    folder: str,
) -> Knowledge:
    """Fit a teacher, or find it in the cache, and ask it about all series.

    Parameters
    ----------
    plan : TeacherPlan
        What and how.
    train_values : ndarray of shape (n, c, t)
        Whole labelled series of the training part.
    y : ndarray of shape (n,)
        Their class numbers.
    weight : ndarray of shape (n,) or None
        Weights of their cross-entropy.
    pool_values : ndarray of shape (m, c, t) or None
        Whole series without a label.
    classes : ndarray of shape (n_classes,)
        Labels by class number.
    seed : int
        Of the teacher's fit.
    memory : joblib.Memory
        The cache.
    progress : Progress
        Advanced by an epoch's unit per epoch of the teacher.
    checkpoints : Checkpoints or None
        Where a network's training goes on if it was killed.
    folder : str
        Where features go that are too many for memory.

    Returns
    -------
    Knowledge
        About the ``n`` labelled and then the ``m`` unlabelled series.
    """
    before = progress.done
    progress.stage("teacher")
    # Features in files stay there: mapped copy-on-write, since torch minds read-only arrays.
    how: dict[str, Any] = {"mmap_mode": "c"} if isinstance(train_values, StoredSeries) else {}
    cached = memory.cache(
        _fit_and_ask, ignore=["plan", "progress", "checkpoints", "folder"], **how
    )
    # Only where there is a cache: a teacher that can't be pickled is one that can't be cached.
    key = "" if getattr(memory, "location", "") is None else fingerprint(plan)
    knowledge = cached(
        key,
        plan,
        train_values,
        y,
        weight,
        pool_values,
        classes,
        seed,
        progress,
        checkpoints,
        folder,
    )
    # From the cache it took no epochs; the bar must not notice.
    units = plan.config.max_epochs * n_networks(plan.spec)
    progress.advance(units - (progress.done - before))
    return knowledge


def _fit_and_ask(
    key: str,
    plan: TeacherPlan,
    train_values: NDArray[np.float32],
    y: NDArray[np.int64],
    weight: NDArray[np.float32] | None,
    pool_values: NDArray[np.float32] | None,
    classes: NDArray[Any],
    seed: int,
    progress: Progress,
    checkpoints: Checkpoints | None,
    folder: str,
) -> Knowledge:
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
            )
            for spec, own in zip(specs, map(seeds, map(str, range(len(specs)))), strict=True)
        ]
        teacher: Any = EnsembleTeacher(members, weights, train_values)
    else:
        teacher = _fit_one(plan, train_values, y, weight, classes, seed, progress, checkpoints)
    known = Panel(train_values)
    if pool_values is not None:
        known = join(known, Panel(pool_values))
    features, logits = _ask(teacher, known, folder)
    return Knowledge(teacher, features, in_order(logits, teacher.classes_, classes))


def _fit_one(
    plan: TeacherPlan,
    train_values: NDArray[np.float32],
    y: NDArray[np.int64],
    weight: NDArray[np.float32] | None,
    classes: NDArray[Any],
    seed: int,
    progress: Progress,
    checkpoints: Checkpoints | None,
) -> NetworkTeacher | EstimatorTeacher:
    if hasattr(plan.spec, "predict_proba"):
        return EstimatorTeacher(_fitted(plan.spec, train_values, classes[y], seed))
    return NetworkTeacher(plan).fit(train_values, y, weight, classes, seed, progress, checkpoints)


def _ask(
    teacher: NetworkTeacher | EstimatorTeacher, panel: Panel, folder: str
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Features and logits of a panel; those of stored series as memory-mapped files."""
    if not panel.stored:
        return teacher.run(panel.values)
    answers: list[NDArray[Any]] = []
    for start, part in panel.chunks():
        found = teacher.run(part.values)
        if not answers:
            answers = [
                np.lib.format.open_memmap(
                    os.path.join(folder, f"{name}.npy"),
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
    """A frozen estimator as it is, any other cloned, seeded where it has no seed, and fitted."""
    if is_frozen(spec) or isinstance(spec, FrozenMember):
        return spec
    estimator = clone(spec)
    params = estimator.get_params(deep=True)
    random = check_random_state(seed)
    unseeded = sorted(k for k, v in params.items() if k.endswith("random_state") and v is None)
    if unseeded:
        estimator.set_params(**{name: int(random.randint(2**31 - 1)) for name in unseeded})
    return estimator.fit(series_for(estimator, values), labels)

"""Ensembles of teachers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator

from .._fitting.network import softmax
from .._series.panel import read_panel

Floats = NDArray[Any]
MIN_PROBABILITY = 1e-6
"""Lower bound of probabilities before the logarithm, because a classifier may predict 0."""


def is_ensemble(spec: Any) -> bool:
    """Return whether a teacher is a list of teachers or a VotingClassifier."""
    model = thawed(spec)
    return isinstance(spec, (list, tuple)) or _votes(model)


def members_of(spec: Any) -> tuple[list[Any], list[float]]:
    """Return the members of an ensemble, and their weights.

    The members of a VotingClassifier become separate teachers, for hard and soft voting alike.
    The members of a frozen VotingClassifier are fitted already, on class numbers instead of
    labels.

    Parameters
    ----------
    spec : list, tuple or VotingClassifier
        Ensemble.

    Returns
    -------
    members : list
        Teachers.
    weights : list of float
        Weights, which sum to 1.

    Raises
    ------
    ValueError
        If there are no members, if a member is an ensemble itself, or if the weights are invalid.
    """
    weights: Any = None
    if isinstance(spec, (list, tuple)):
        members = list(spec)
    else:
        model = thawed(spec)
        kept = [i for i, (_, member) in enumerate(model.estimators) if member != "drop"]
        if model.weights is not None:
            weights = [model.weights[i] for i in kept]
        if is_frozen(spec):
            members = [FrozenMember(member, model.classes_) for member in model.estimators_]
        else:
            members = [model.estimators[i][1] for i in kept]
    if not members:
        raise ValueError(f"teacher={spec!r} has no members; it must name one teacher at least")
    if any(is_ensemble(member) for member in members):
        raise ValueError(f"teacher={spec!r} has an ensemble among its members; name all in one")
    weights = np.ones(len(members)) if weights is None else np.asarray(weights, dtype=float)
    if not (weights >= 0).all() or not weights.sum() > 0:
        raise ValueError(
            f"teacher={spec!r} has weights {weights.tolist()}; none may be negative, nor all 0"
        )
    return members, (weights / weights.sum()).tolist()


def is_frozen(spec: Any) -> bool:
    """Return whether an estimator is frozen, so that it is used without a fit."""
    return isinstance(spec, FrozenEstimator)


def thawed(spec: Any) -> Any:
    """Return the estimator inside a frozen one, and any other estimator unchanged."""
    return spec.estimator if is_frozen(spec) else spec


def _votes(model: Any) -> bool:
    return type(model).__name__ == "VotingClassifier" and hasattr(model, "estimators")


class FrozenMember:
    """Fitted member of a VotingClassifier, with labels instead of its class numbers."""

    def __init__(self, estimator: Any, labels: NDArray[Any]) -> None:
        self.estimator = estimator
        self.classes_ = labels[np.asarray(estimator.classes_).astype(int)]

    def predict_proba(self, X: Any) -> Floats:
        return self.estimator.predict_proba(X)


class EnsembleTeacher:
    """Ensemble of fitted teachers.

    The logits of the ensemble are the logarithms of the members' mean probabilities, as in soft
    voting. Logits are not averaged, because logits of different kinds of models have no common
    scale, and a single member that is confident and wrong would decide. The features are the
    features of the members, standardised on the training part and concatenated.

    Parameters
    ----------
    members : list of NetworkTeacher or EstimatorTeacher
        Fitted teachers with the same classes.
    weights : list of float
        Weights of the members, which sum to 1.
    train_values : ndarray of shape (n, c, t)
        Whole series of the training part.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels in the order of the first member.
    members_ : list of NetworkTeacher or EstimatorTeacher
        Fitted teachers.
    """

    def __init__(
        self, members: list[Any], weights: list[float], train_values: NDArray[np.float32]
    ) -> None:
        self.members_ = members
        self.weights_ = weights
        self.classes_ = members[0].classes_
        trained = [member.run(train_values)[0] for member in members]
        self.means_ = [features.mean(0, dtype=np.float64) for features in trained]
        self.scales_ = [_nonzero(features.std(0, dtype=np.float64)) for features in trained]

    def run(self, values: NDArray[np.float32]) -> tuple[Floats, Floats]:
        """Return features and logits of whole series ``(n, c, t)``."""
        parts, total = [], np.zeros((len(values), len(self.classes_)))
        for member, weight, mean, scale in zip(
            self.members_, self.weights_, self.means_, self.scales_, strict=True
        ):
            features, logits = member.run(values)
            parts.append((features - mean) / scale)
            total += weight * softmax(in_order(logits, member.classes_, self.classes_))
        logits = np.log(np.clip(total, MIN_PROBABILITY, None))
        return np.concatenate(parts, 1).astype(np.float32), logits.astype(np.float32)

    def predict_proba(self, X: Any) -> Floats:
        """Return class probabilities ``(n, n_classes)`` of whole series ``(n, c, t)``."""
        return softmax(self.run(read_panel(X).values)[1])

    def embed(self, X: Any) -> Floats:
        """Return features ``(n, dT)`` of whole series ``(n, c, t)``."""
        return self.run(read_panel(X).values)[0]


def _nonzero(scale: Floats) -> Floats:
    return np.where(scale > 1e-9, scale, 1.0)


def in_order(
    logits: NDArray[Any], known: NDArray[Any], classes: NDArray[Any]
) -> NDArray[np.float32]:
    """Return a teacher's logits in the student's order of classes."""
    position = {label: i for i, label in enumerate(known.tolist())}
    missing = [label for label in classes.tolist() if label not in position]
    if missing:
        raise ValueError(
            f"the teacher doesn't know the classes {missing}; it was fitted on {known.tolist()}; "
            f"give one that knows all of y's"
        )
    return np.ascontiguousarray(logits[:, [position[label] for label in classes.tolist()]])

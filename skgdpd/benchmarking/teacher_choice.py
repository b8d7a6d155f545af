"""Choice of the teacher by the student's validation loss, as a method of a benchmark."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._estimators.distilled import DistilledPrefixClassifier
from .._model_selection.folds import LabeledFolds
from .._model_selection.grid import SharedGridSearchCV

Array = NDArray[Any]

TEACHERS = ("mixed", "rocket", "fcn24")
"""Teachers among which a search chooses."""

FOLDS = 3
"""Number of folds of the search."""


class TeacherChoice:
    """Classifier whose teacher is chosen by the student's log loss on left-out series.

    Each teacher of :data:`TEACHERS` teaches a student on each of :data:`FOLDS` folds. The one
    whose students have the lowest log loss then teaches a student on all series. Unlabelled series
    are in all training parts.

    Parameters
    ----------
    clf : DistilledPrefixClassifier
        The unfitted classifier. Its teacher is replaced.
    """

    valid_loss: float | None = None
    n_parameters: int | None = None
    classes: Array

    def __init__(self, clf: DistilledPrefixClassifier) -> None:
        self.clf = clf
        self.seconds: dict[str, float] = {}
        self.chosen: dict[str, Any] = {}

    def fit(self, X: Array, y: Array, X_unlabeled: Array | None) -> None:
        """Choose the teacher, and fit to whole series."""
        self.classes, numbers = np.unique(y, return_inverse=True)
        labels = numbers.astype(float)
        if X_unlabeled is not None:
            X = np.concatenate([X, X_unlabeled])
            labels = np.concatenate([labels, np.full(len(X_unlabeled), np.nan)])
        search = SharedGridSearchCV(
            self.clf,
            {"teacher": list(TEACHERS)},
            scoring="neg_log_loss",
            cv=LabeledFolds(FOLDS),
            error_score="raise",
        ).fit(X, labels)
        self.fitted = search.best_estimator_
        self.chosen = search.best_params_
        self.n_parameters = sum(p.numel() for p in self.fitted.module_.parameters())
        self.seconds = {"last_fit": float(search.refit_time_)}

    def predict_proba(self, X: Array) -> Array:
        """Return the class probabilities of series, computed from their prefixes."""
        return np.asarray(self.fitted.predict_proba(X), dtype=np.float64)

    def teacher_proba(self, X: Array) -> Array:
        """Return the probabilities of the chosen teacher for whole series."""
        return np.asarray(self.fitted.teacher_.predict_proba(X), dtype=np.float64)

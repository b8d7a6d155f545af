"""Whether recordings without a label will help, asked before they are given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, fisher_exact, ttest_ind
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing, indexable

from ._panel import Recordings, read_panel
from ._prefix import BaseDistilledClassifier, DistilledPrefixClassifier
from ._unlabeled import split_marked
from .distillers import Hinton

DOUBT = 0.01
"""Below, what was found is not laid to chance."""

Labels = NDArray[Any]
Advice = Literal["give", "label some", "leave"]


@dataclass(frozen=True)
class RecordingsCheck:
    """What is known of teacher and student before the recordings are given.

    Attributes
    ----------
    student_accuracy, teacher_accuracy : float
        On labelled series that neither was fitted on: of first parts, of whole series.
    p_student : float
        How often chance would make the student so much better (sign test of the series that one
        of them has right, one-sided).
    disagreement : float
        Share of these series of which they name different classes.
    disagreement_on_recordings : float
        The same of the recordings, by a teacher and a student of all labelled series.
    certainty, certainty_on_recordings : float
        Mean probability of the class that the teacher names.
    p_shift : float
        How often chance would make the disagreement on recordings so much larger, or the certainty
        so much less: the greater of the p-values of Fisher's exact test and of Welch's, both
        one-sided.
    disputed : ndarray of int
        Numbers of the recordings that teacher and student disagree on.
    """

    student_accuracy: float
    teacher_accuracy: float
    p_student: float
    disagreement: float
    disagreement_on_recordings: float
    certainty: float
    certainty_on_recordings: float
    p_shift: float
    disputed: Labels = field(compare=False, repr=False)

    @property
    def advice(self) -> Advice:
        """What to do with the recordings.

        ``"leave"`` if the student is better than the teacher, beyond chance. ``"label some"`` if
        recordings are of another kind than the labelled series: the teacher is less sure, and the
        two disagree more often. One of them errs there, and labels of a few that are
        ``disputed`` tell which. Else ``"give"``.
        """
        if self.p_student < DOUBT:
            return "leave"
        return "label some" if self.p_shift < DOUBT else "give"

    def __str__(self) -> str:
        verdict = {
            "give": "give them",
            "leave": "leave them, the teacher knows less of whole series than the student of "
            "first parts",
            "label some": "label some that are disputed, to see who is right: recordings are of "
            "another kind than the labelled series",
        }[self.advice]
        return (
            f"accuracy {self.teacher_accuracy:.3f} of the teacher, {self.student_accuracy:.3f} of "
            f"the student; they disagree on {self.disagreement:.1%} of labelled series and "
            f"{self.disagreement_on_recordings:.1%} of recordings, the teacher is sure to "
            f"{self.certainty:.3f} and {self.certainty_on_recordings:.3f} "
            f"(p = {self.p_shift:.2g}): {verdict}"
        )


def check_recordings(
    estimator: BaseDistilledClassifier, X: Any, y: Any, X_unlabeled: Any = None, *, cv: Any = 5
) -> RecordingsCheck:
    """Compare teacher and student on labelled series kept aside, and on the recordings.

    Recordings do harm where the teacher knows less of whole series than the student of first
    parts, and where they are of another kind than the labelled series: then the teacher is wrong
    on them, and the student, which is right more often, has to learn its errors. The first shows
    in accuracies. Of the second there is a sign without labels: the two disagree more often than
    on labelled series, and the teacher is less sure. It may as well be the student that errs, and
    then recordings help; what was found on 24 sets stands in docs/results/recordings.md.

    Parameters
    ----------
    estimator : GDPDClassifier, GenDDClassifier or DistilledPrefixClassifier
        What the recordings would be given to. Its teacher and student are fitted, with labels
        only and by Hinton's distillation, which is cheap; it stays as it is.
    X : array-like of shape (n, n_channels, n_timepoints)
        Labelled whole series.
    y : array-like of shape (n,)
        Their labels, and the estimator's ``unlabeled`` where there is none.
    X_unlabeled : array-like of shape (m, n_channels, n_timepoints), optional
        The recordings; by default the series of X without a label.
    cv : int or splitter, default=5
        Folds of the labelled series, each kept aside once. Of an int, no more than series of the
        rarest class. The fits are one more than the folds.

    Returns
    -------
    RecordingsCheck
        Printed, it says what was found and what it means.

    Raises
    ------
    TypeError
        If ``estimator`` has no teacher.
    ValueError
        If there are no recordings, or if ``cv`` is an int and some class has a single labelled
        series.

    Notes
    -----
    A teacher inside a ``FrozenEstimator`` may know the series that are kept aside. Then its
    accuracy flatters, and disagreement on labelled series comes out too low.

    Examples
    --------
    >>> from skgdpd import GDPDClassifier, check_recordings
    >>> from skgdpd.datasets import make_bumps
    >>> X, y = make_bumps(90, 20, noise=0.5, random_state=0)
    >>> clf = GDPDClassifier(student="rocket", earliness=0.4, random_state=0)
    >>> check_recordings(clf, X[:40], y[:40], X[40:], cv=3).advice
    'give'
    """
    if not isinstance(estimator, BaseDistilledClassifier):
        raise TypeError(
            f"estimator={estimator!r} has no teacher; recordings are given to a GDPDClassifier, a "
            f"GenDDClassifier or a DistilledPrefixClassifier"
        )
    known = estimator.get_params(deep=False)
    X, y = indexable(X, y)
    recordings = X_unlabeled.X if isinstance(X_unlabeled, Recordings) else X_unlabeled
    if known["unlabeled"] is None:
        y = np.asarray(y)
    else:
        y, unlabeled = split_marked(y, known["unlabeled"])
        if recordings is None and unlabeled.any():
            recordings = _safe_indexing(X, np.flatnonzero(unlabeled))
        X = _safe_indexing(X, np.flatnonzero(~unlabeled))
    if recordings is None:
        raise ValueError(
            "X_unlabeled=None, and no series of X is marked as unlabelled; give the recordings"
        )
    read_panel(recordings, "X_unlabeled")
    shared = set(DistilledPrefixClassifier().get_params(deep=False)) & set(known) - {"distiller"}
    settings = {name: known[name] for name in shared} | {"unlabeled": None}
    truth, said, sure = [], [], []
    for train, aside in _folds(cv, X, y):
        answers, certainty = _asked(
            settings, _safe_indexing(X, train), y[train], _safe_indexing(X, aside)
        )
        truth.append(y[aside])
        said.append(answers)
        sure.append(certainty)
    here, right = np.concatenate(said, 1), np.concatenate(truth)
    there, sure_there = _asked(settings, X, y, recordings)
    sure_here = np.concatenate(sure)
    apart, apart_there = here[0] != here[1], there[0] != there[1]
    table = [[own.sum(), (~own).sum()] for own in (apart_there, apart)]
    is_right = here == right
    only_student = int((is_right[1] & ~is_right[0]).sum())
    either = int((is_right[0] != is_right[1]).sum())
    return RecordingsCheck(
        student_accuracy=float(is_right[1].mean()),
        teacher_accuracy=float(is_right[0].mean()),
        p_student=float(binom.sf(only_student - 1, either, 0.5)),
        disagreement=float(apart.mean()),
        disagreement_on_recordings=float(apart_there.mean()),
        certainty=float(sure_here.mean()),
        certainty_on_recordings=float(sure_there.mean()),
        p_shift=max(
            float(fisher_exact(table, alternative="greater").pvalue),
            _p_less(sure_there, sure_here),
        ),
        disputed=np.flatnonzero(apart_there),
    )


def _folds(cv: Any, X: Any, y: Labels) -> Iterator[tuple[Labels, Labels]]:
    if isinstance(cv, int):
        labels, counts = np.unique(y, return_counts=True)
        if counts.min() < 2:
            raise ValueError(
                f"class {labels[counts.argmin()]} has one labelled series; to keep some aside, "
                f"each class needs two"
            )
        cv = min(cv, int(counts.min()))
    yield from check_cv(cv, y, classifier=True).split(X, y)


def _asked(settings: dict[str, Any], X: Any, y: Labels, series: Any) -> tuple[Labels, Labels]:
    """Classes named by teacher and student, ``(2, n)``, and how sure the teacher is, ``(n,)``."""
    clf = DistilledPrefixClassifier(Hinton(), **settings).fit(X, y)
    proba = np.asarray(clf.teacher_.predict_proba(series))
    teacher = np.asarray(clf.teacher_.classes_)[proba.argmax(1)]
    return np.stack([teacher, clf.predict(series)]), proba.max(1)


def _p_less(values: Labels, others: Labels) -> float:
    """Of Welch's test that the mean isn't less; where nothing varies there is no chance either."""
    if np.ptp(values) == np.ptp(others) == 0:
        return float(values[0] >= others[0])
    return float(ttest_ind(values, others, equal_var=False, alternative="less").pvalue)

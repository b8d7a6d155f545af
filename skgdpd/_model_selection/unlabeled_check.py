"""A check, before unlabelled series are used, of whether a classifier will gain from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, fisher_exact, ttest_ind

from .._estimators.distilled import BaseDistilledClassifier, DistilledPrefixClassifier
from .._fitting.data import checked_series, encode
from .._series.frames import aligned, check_names, names_of
from .._series.panel import Panel, check_alike, join, read_panel
from .._series.unlabeled import check_equally_many, split_marked
from .._teachers.teacher import check_teacher
from ..distillers import Hinton
from ..training.progress import Progress
from .folds import split_rows

SIGNIFICANCE = 0.01
"""Significance level: a difference with at most this p-value is not attributed to chance."""

Labels = NDArray[Any]
Advice = Literal["give", "label some", "leave"]


@dataclass(frozen=True)
class UnlabeledCheck:
    """Comparison of teacher and student before the unlabelled series are given.

    Attributes
    ----------
    student_accuracy, teacher_accuracy : float
        Accuracy of the student, which is given first parts, and of the teacher, which is given
        whole series, on labelled series that neither was fitted on.
    p_student : float
        Probability that chance makes the student so much better than the teacher (one-sided sign
        test on the series that only one of them classifies correctly).
    largest_class_share : float
        Share of the most frequent class among these labelled series. A constant answer has this
        accuracy.
    disagreement : float
        Share of these labelled series for which teacher and student predict different classes.
    disagreement_on_unlabeled : float
        The same share of the unlabelled series, for a teacher and a student that were fitted on
        all labelled series.
    certainty, certainty_on_unlabeled : float
        Mean probability of the class that the teacher predicts, on labelled and on unlabelled
        series.
    p_shift : float
        Probability that chance makes the disagreement on unlabelled series so much larger, or the
        certainty so much smaller: the greater of the p-values of Fisher's exact test and of
        Welch's test, both one-sided.
    disputed : ndarray of int
        Numbers of the unlabelled series for which teacher and student predict different classes;
        series marked in y are counted first, then those of ``X_unlabeled``.
    """

    student_accuracy: float
    teacher_accuracy: float
    p_student: float
    largest_class_share: float
    disagreement: float
    disagreement_on_unlabeled: float
    certainty: float
    certainty_on_unlabeled: float
    p_shift: float
    disputed: Labels = field(compare=False, repr=False)

    @property
    def advice(self) -> Advice:
        """Advice on what to do with the unlabelled series.

        It is ``"leave"`` if the teacher is no more accurate than a constant answer, or if the
        student is significantly better than the teacher. It is ``"label some"`` if the unlabelled
        series differ from the labelled ones, so that the teacher is less certain there and the two
        disagree more often. One of the two errs then, and labels of a few ``disputed`` series show
        which of them. Otherwise it is ``"give"``.

        Returns
        -------
        {"give", "label some", "leave"}
            The advice.
        """
        if self._teacher_guesses or self.p_student < SIGNIFICANCE:
            return "leave"
        return "label some" if self.p_shift < SIGNIFICANCE else "give"

    @property
    def _teacher_guesses(self) -> bool:
        return self.teacher_accuracy <= self.largest_class_share

    def __str__(self) -> str:
        than = (
            f"no more accurate than a constant answer ({self.largest_class_share:.3f})"
            if self._teacher_guesses
            else "less accurate than the student of first parts"
        )
        verdict = {
            "give": "give them",
            "leave": f"leave them, the teacher of whole series is {than}",
            "label some": "label some that are disputed, to find out which of the two errs: "
            "unlabelled series are of another kind than the labelled ones",
        }[self.advice]
        return (
            f"accuracy {self.teacher_accuracy:.3f} of the teacher, {self.student_accuracy:.3f} of "
            f"the student; they disagree on {self.disagreement:.1%} of labelled series and "
            f"{self.disagreement_on_unlabeled:.1%} of unlabelled series, the teacher's certainty "
            f"is {self.certainty:.3f} and {self.certainty_on_unlabeled:.3f} "
            f"(p = {self.p_shift:.2g}): {verdict}"
        )


def check_unlabeled(
    estimator: BaseDistilledClassifier,
    X: Any,
    y: Any,
    X_unlabeled: Any = None,
    *,
    cv: Any = 5,
    verbose: int = 0,
) -> UnlabeledCheck:
    """Compare teacher and student on held-out labelled series and on unlabelled series.

    Unlabelled series do harm in two cases. In the first, the teacher is less accurate on whole
    series than the student on first parts, or than a constant answer. A comparison of accuracies
    shows this. In the second, the unlabelled series differ from the labelled ones, so that the
    teacher errs on them and the student learns its errors. This case has a sign that needs no
    labels: teacher and student disagree more often than on labelled series, and the teacher is
    less certain. If it is the student that errs, the unlabelled series help nevertheless;
    docs/results/unlabelled-series.md compares the advice with the gains.

    Parameters
    ----------
    estimator : GDPDClassifier, GenDDClassifier or DistilledPrefixClassifier
        Classifier that would be given the unlabelled series. Clones of its teacher and student
        are fitted on labelled series, with Hinton's distillation, which is cheap. The estimator
        itself is not changed.
    X : array-like of shape (n_samples, n_channels, n_timepoints)
        Whole series.
    y : array-like of shape (n_samples,)
        Labels; a missing label, or the estimator's ``unlabeled``, marks an unlabelled series.
    X_unlabeled : array-like of shape (n_unlabeled, n_channels, n_timepoints), optional
        Unlabelled series besides those that y marks.
    cv : int, splitter or iterable, default=5
        Folds of the labelled series, each of which is held out once. An int is a number of
        stratified folds, and is lowered to the size of the smallest class. There is one fit for
        each fold, and one on all labelled series.
    verbose : int, default=0
        Whether to show a progress bar on standard error that advances with each fit, or a line
        every ten seconds where that is neither a terminal nor a notebook.

    Returns
    -------
    UnlabeledCheck
        Result whose ``advice`` is ``"give"``, ``"label some"`` or ``"leave"``. Its printed form
        explains the advice.

    Raises
    ------
    TypeError
        If ``estimator`` has no teacher.
    ValueError
        If a parameter of ``estimator`` is invalid, if there are no unlabelled series, if they are
        not like those of X, or if ``cv`` is an int and a class has one labelled series only. All
        of this is checked before the first fit.

    Notes
    -----
    A teacher inside a ``FrozenEstimator`` may have been fitted on the series that are held out.
    Its accuracy is then too high, and the disagreement on labelled series too low.

    Examples
    --------
    >>> from skgdpd import GDPDClassifier, check_unlabeled
    >>> from skgdpd.datasets import make_bumps
    >>> X, y = make_bumps(90, 20, noise=0.5, random_state=0)
    >>> clf = GDPDClassifier(student="rocket", earliness=0.4, random_state=0)
    >>> check_unlabeled(clf, X[:40], y[:40], X[40:], cv=3).advice
    'give'
    """
    settings = _settings_of(estimator)
    panel, labels, unlabelled = _read(estimator, X, y, X_unlabeled)
    folds = _folds(cv, labels)
    truth, predicted, certainties = [], [], []
    with Progress(len(folds) + 1, bool(verbose)) as progress:
        for i, (train, held_out) in enumerate(folds):
            progress.stage(f"fold {i + 1} of {len(folds)}")
            classes, certainty = _fit_and_predict(
                settings, panel.take(train), labels[train], panel.take(held_out)
            )
            truth.append(labels[held_out])
            predicted.append(classes)
            certainties.append(certainty)
            progress.advance(1)
        progress.stage("all labelled series")
        there, certainty_there = _fit_and_predict(settings, panel, labels, unlabelled)
        progress.advance(1)
    here, right = np.concatenate(predicted, 1), np.concatenate(truth)
    certainty_here = np.concatenate(certainties)
    differ, differ_there = here[0] != here[1], there[0] != there[1]
    table = [[own.sum(), (~own).sum()] for own in (differ_there, differ)]
    is_right = here == right
    only_student = int((is_right[1] & ~is_right[0]).sum())
    only_one = int((is_right[0] != is_right[1]).sum())
    return UnlabeledCheck(
        student_accuracy=float(is_right[1].mean()),
        teacher_accuracy=float(is_right[0].mean()),
        p_student=float(binom.sf(only_student - 1, only_one, 0.5)),
        largest_class_share=float(np.unique(right, return_counts=True)[1].max() / len(right)),
        disagreement=float(differ.mean()),
        disagreement_on_unlabeled=float(differ_there.mean()),
        certainty=float(certainty_here.mean()),
        certainty_on_unlabeled=float(certainty_there.mean()),
        p_shift=max(
            float(fisher_exact(table, alternative="greater").pvalue),
            _p_less(certainty_there, certainty_here),
        ),
        disputed=np.flatnonzero(differ_there),
    )


def _settings_of(estimator: Any) -> dict[str, Any]:
    """Return parameters for a DistilledPrefixClassifier of the same teacher and student."""
    if not isinstance(estimator, BaseDistilledClassifier):
        raise TypeError(
            f"estimator is a {type(estimator).__name__}, which has no teacher; it must be a "
            f"GDPDClassifier, a GenDDClassifier or a DistilledPrefixClassifier, as in "
            f"check_unlabeled(GDPDClassifier(), X, y, X_unlabeled)"
        )
    estimator._validate_params()
    known = estimator.get_params(deep=False)
    check_teacher(known["teacher"])
    shared = set(DistilledPrefixClassifier().get_params(deep=False)) & set(known) - {"distiller"}
    return {name: known[name] for name in shared} | {"unlabeled": None}


def _read(estimator: Any, X: Any, y: Any, X_unlabeled: Any) -> tuple[Panel, Labels, Panel]:
    """Return labelled series, their labels and the unlabelled series, all checked."""
    gaps = estimator._series.missing_values

    y = aligned(X, y, "y")
    read = read_panel(X, "X")
    check_equally_many(y, len(read))
    panel = checked_series(read, "X", gaps)
    labels, mask = split_marked(y, estimator.get_params(deep=False)["unlabeled"])
    check_equally_many(mask, len(panel))
    encode(labels)
    parts = [panel.take(np.flatnonzero(mask))] if mask.any() else []
    if X_unlabeled is not None:
        other = checked_series(read_panel(X_unlabeled, "X_unlabeled"), "X_unlabeled", gaps)
        check_alike(other, panel, "X_unlabeled", "X")
        check_names(names_of(X_unlabeled), names_of(X), "X_unlabeled", "X", wide=panel.flat)
        parts.append(other)
    if not parts:
        raise ValueError(
            "there are no unlabelled series: X_unlabeled=None, and y marks none by a missing label"
        )
    if mask.any():
        panel = panel.take(np.flatnonzero(~mask))
    return panel, labels, join(*parts) if len(parts) > 1 else parts[0]


def _folds(cv: Any, y: Labels) -> list[tuple[Labels, Labels]]:
    if isinstance(cv, Integral):
        if cv < 2 or isinstance(cv, bool):
            raise ValueError(f"cv={cv!r} must be at least 2, a splitter, or pairs of indices")
        labels, counts = np.unique(y, return_counts=True)
        if counts.min() < 2:
            raise ValueError(
                f"y has one series of the class {labels.tolist()[counts.argmin()]!r}; to hold "
                f"some out, each class needs two"
            )
        cv = min(cv, int(counts.min()))
    folds = split_rows(cv, np.zeros((len(y), 1)), y)
    for train, _ in folds:
        if len(np.unique(y[train])) < 2:
            raise ValueError(f"cv={cv!r} has a training part of one class; two are needed")
    return folds


def _fit_and_predict(
    settings: dict[str, Any], panel: Panel, y: Labels, series: Panel
) -> tuple[Labels, Labels]:
    """Return classes of teacher and student ``(2, n)``, and the teacher's certainty ``(n,)``."""
    clf = DistilledPrefixClassifier(Hinton(), **settings).fit(panel.values, y)
    proba = np.asarray(clf.teacher_.predict_proba(series.values))
    teacher = np.asarray(clf.teacher_.classes_)[proba.argmax(1)]
    return np.stack([teacher, clf.predict(series.values)]), proba.max(1)


def _p_less(values: Labels, others: Labels) -> float:
    """Return the p-value of Welch's test for a lower mean; 0 or 1 if the values don't vary."""
    if np.ptp(values) == np.ptp(others) == 0:
        return float(values[0] >= others[0])
    return float(ttest_ind(values, others, equal_var=False, alternative="less").pvalue)

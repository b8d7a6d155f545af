"""Answers of a teacher, or of any classifier, that are no probabilities."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator

from skgdpd import DistilledPrefixClassifier, EarlyClassifier
from skgdpd.datasets import make_bumps

X, y = make_bumps(16, 20, random_state=0)
SMALL = {"student": "lstm1-8", "max_epochs": 1, "random_state": 0}


class Answers(ClassifierMixin, BaseEstimator):
    """Classifier whose answers are of a kind of their own."""

    def __init__(self, kind="good"):
        self.kind = kind

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        proba = np.full((len(X), 2), 0.5)
        match self.kind:
            case "negative":
                proba[-1] = [-0.5, 1.5]
            case "zero":
                proba[-1] = 0
            case "sum":
                proba[-1] = [0.5, 0.6]
            case "nan":
                proba[-1] = np.nan
            case "infinite":
                proba[-1] = [np.inf, 0]
            case "column":
                proba = proba[:, :1]
            case "columns":
                proba = np.full((len(X), 3), 1 / 3)
            case "rows":
                proba = proba[:-1]
            case "flat":
                proba = proba[:, 0]
            case "text":
                return "probably"
        return proba


class Embeds(Answers):
    def embed(self, X):
        match self.kind:
            case "rows":
                return np.zeros((2 * len(X), 3))
            case "nan":
                return np.full((len(X), 3), np.nan)
            case "large":
                return np.full((len(X), 3), 1e300)
            case "none":
                return None
            case "no columns":
                return np.zeros((len(X), 0))
            case "texts":
                return np.full((len(X), 3), "a")
            case "complex":
                return np.full((len(X), 3), 1j)
        return np.random.default_rng(0).normal(size=(len(X), 3))

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


KINDS = ["negative", "zero", "sum", "nan", "infinite", "column", "columns", "rows", "flat", "text"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["alone", "frozen", "list", "voting"])
def test_a_teacher_whose_answers_are_no_probabilities_is_refused(kind, form):
    teacher = {
        "alone": Answers(kind),
        "frozen": FrozenEstimator(Answers(kind).fit(X, y)),
        "list": [Answers(), Answers(kind)],
        "voting": VotingClassifier([("a", Answers()), ("b", Answers(kind))], voting="soft"),
    }[form]
    clf = DistilledPrefixClassifier(teacher=teacher, **SMALL)
    with pytest.raises(ValueError, match="predict_proba of the teacher, a Answers, "):
        clf.fit(X, y)


def test_a_fitted_teacher_is_checked_at_each_answer():
    teacher = Answers()
    clf = DistilledPrefixClassifier(teacher=FrozenEstimator(teacher.fit(X, y)), **SMALL)
    fitted = clf.fit(X, y).teacher_
    teacher.kind = "sum"
    with pytest.raises(ValueError, match=r"the teacher, a Answers, .* sum 1.1"):
        fitted.predict_proba(X)


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ("rows", r"features of \d+ rows for \d+ series"),
        ("nan", "not finite"),
        ("large", "not finite"),
        ("none", r"type object and the shape \(\)"),
        ("no columns", r"shape \(\d+, 0\)"),
        ("texts", "type <U1"),
        ("complex", "type complex128"),
    ],
)
def test_features_of_a_teacher_are_checked(kind, match):
    clf = DistilledPrefixClassifier(teacher=Embeds(kind), **SMALL)
    clf.set_params(training__validation_fraction=0.2)
    with pytest.raises(ValueError, match=rf"the teacher, a Embeds, gave .*{match}"):
        clf.fit(X, y)


@pytest.mark.parametrize("kind", KINDS)
def test_a_classifier_at_several_moments_is_checked_too(kind):
    early = EarlyClassifier(Answers(kind), earliness=[0.5, 1.0], rule="fixed", cv=2)
    with pytest.raises(ValueError, match="predict_proba of the classifier, a Answers, "):
        early.fit(X, y)


class WithoutClasses(BaseEstimator):
    """Classifier that does not say which labels its probabilities belong to."""

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


def test_a_teacher_without_classes_is_named():
    with pytest.raises(ValueError, match=r"^teacher=WithoutClasses\(\) has no classes_ .* sorted"):
        DistilledPrefixClassifier(teacher=WithoutClasses(), **SMALL).fit(X, y)

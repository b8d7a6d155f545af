"""Teachers that are several."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skgdpd import DistilledPrefixClassifier, PrefixClassifier
from skgdpd._teachers.ensemble import EnsembleTeacher, is_ensemble, members_of

SMALL = {"student": "lstm1-8", "max_epochs": 2, "random_state": 0, "earliness": 0.5}


def flatten(X):
    return X.reshape(len(X), -1)


def logistic(C=1.0):
    return make_pipeline(FunctionTransformer(flatten), LogisticRegression(C=C))


class Fixed(ClassifierMixin, BaseEstimator):
    """Says the same of every series."""

    n_fits = 0

    def __init__(self, proba=(0.5, 0.5), backwards=False):
        self.proba = proba
        self.backwards = backwards

    def fit(self, X, y):
        Fixed.n_fits += 1
        self.classes_ = np.unique(y)[:: -1 if self.backwards else 1]
        return self

    def predict_proba(self, X):
        return np.tile(self.proba, (len(X), 1))


def teacher_of(bumps, teacher, **params):
    X, y = bumps
    return DistilledPrefixClassifier(teacher=teacher, **{**SMALL, **params}).fit(X, y).teacher_


def test_probabilities_are_the_members_mean(bumps):
    X, _ = bumps
    teacher = teacher_of(bumps, [logistic(), logistic(0.01), "lstm1-8"])
    assert isinstance(teacher, EnsembleTeacher)
    mean = np.mean([member.predict_proba(X) for member in teacher.members_], 0)
    np.testing.assert_allclose(teacher.predict_proba(X), mean, atol=1e-5)


def test_one_member_says_what_it_would_say_alone(bumps):
    X, _ = bumps
    alone, one = teacher_of(bumps, logistic()), teacher_of(bumps, [logistic()])
    np.testing.assert_allclose(one.predict_proba(X), alone.predict_proba(X), atol=1e-6)


def test_a_sure_member_has_no_veto(bumps):
    teacher = teacher_of(bumps, [Fixed((0.0, 1.0)), Fixed((0.6, 0.4))])
    np.testing.assert_allclose(teacher.predict_proba(bumps[0][:1]), [[0.3, 0.7]], atol=1e-5)


def test_members_may_know_classes_in_another_order(bumps):
    teacher = teacher_of(bumps, [Fixed((0.2, 0.8)), Fixed((0.8, 0.2), backwards=True)])
    np.testing.assert_allclose(teacher.predict_proba(bumps[0][:1]), [[0.2, 0.8]], atol=1e-5)


def test_features_are_the_members_side_by_side_each_standardised(bumps):
    X, y = bumps
    clf = DistilledPrefixClassifier(teacher=["lstm1-8", logistic()], **SMALL)
    clf.set_params(training__validation_fraction=0).fit(X, y)
    features = clf.teacher_.embed(X)
    assert features.shape == (60, 8 + 40)
    np.testing.assert_allclose(features.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(features.std(0), 1, atol=1e-3)
    assert np.isfinite(features).all()


def test_members_that_are_constant_stay_finite(bumps):
    assert np.isfinite(teacher_of(bumps, [Fixed(), Fixed((0.1, 0.9))]).embed(bumps[0])).all()


def test_members_of_one_kind_get_seeds_of_their_own(bumps):
    X, _ = bumps
    teacher = teacher_of(bumps, ["lstm1-8", "lstm1-8"])
    a, b = (member.predict_proba(X) for member in teacher.members_)
    assert not np.array_equal(a, b)
    again = teacher_of(bumps, ["lstm1-8", "lstm1-8"])
    np.testing.assert_array_equal(teacher.embed(X), again.embed(X))


def test_none_in_a_list_is_the_students_own_architecture(bumps):
    teacher = teacher_of(bumps, [None, "lstm2-32"])
    assert [member.embed(bumps[0]).shape[1] for member in teacher.members_] == [8, 32]


@pytest.mark.parametrize("voting", ["hard", "soft"])
def test_a_voting_classifier_is_its_members_with_their_weights(bumps, voting):
    X, _ = bumps
    members = [("a", Fixed((0.9, 0.1))), ("gone", "drop"), ("b", Fixed((0.1, 0.9)))]
    teacher = VotingClassifier(members, voting=voting, weights=[1, 7, 3])
    teacher = teacher_of(bumps, teacher)
    np.testing.assert_allclose(teacher.predict_proba(X[:1]), [[0.3, 0.7]], atol=1e-5)


def test_a_frozen_voting_classifier_is_taken_as_it_is(bumps):
    X, y = bumps
    voting = VotingClassifier([("a", logistic()), ("b", logistic(0.01))], voting="soft").fit(X, y)
    teacher = teacher_of(bumps, FrozenEstimator(voting))
    np.testing.assert_allclose(teacher.predict_proba(X), voting.predict_proba(X), atol=1e-6)
    assert teacher.members_[0].estimator.estimator is voting.estimators_[0]
    assert teacher.classes_.tolist() == ["no", "yes"]


def test_an_ensemble_is_cached_cloned_and_left_as_it_was(bumps, tmp_path):
    X, y = bumps
    member = logistic()
    teachers = [member, "lstm1-8", Fixed()]
    clf = DistilledPrefixClassifier(teacher=teachers, memory=str(tmp_path), **SMALL)
    first = clf.fit(X, y).predict_proba(X)
    n_fits = Fixed.n_fits
    again = clone(clf).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), first)
    assert Fixed.n_fits == n_fits
    assert not hasattr(member[-1], "coef_")


@pytest.mark.parametrize(
    ("teacher", "error", "words"),
    [
        ([], ValueError, "has no members"),
        (["lstm1-8", ["fcn"]], ValueError, "an ensemble among its members"),
        (["lstm1-8", "lstm9"], ValueError, "teacher='lstm9' is not a backbone"),
        (["lstm1-8", 3], TypeError, "teacher=3 must be"),
        (VotingClassifier([("a", "drop")]), ValueError, "has no members"),
        (VotingClassifier([("a", Fixed())], weights=[-1]), ValueError, "none may be negative"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_bad_ensembles_are_refused_before_training(bumps, teacher, error, words):
    with pytest.raises(error, match=words):
        teacher_of(bumps, teacher)


def test_what_is_an_ensemble():
    assert is_ensemble(["fcn"])
    assert is_ensemble(VotingClassifier([("a", Fixed())]))
    assert not is_ensemble("fcn")
    assert not is_ensemble(PrefixClassifier())
    assert not is_ensemble(None)
    assert members_of(("fcn", None)) == (["fcn", None], [0.5, 0.5])

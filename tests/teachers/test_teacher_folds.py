"""Logits of labelled series by copies of the teacher that were fitted without them."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skgdpd import DistilledPrefixClassifier, GDPDClassifier, PrefixClassifier
from skgdpd.datasets import make_bumps
from skgdpd.distillers import Distiller, Hinton
from skgdpd.distillers.base import Distillation

X, Y = make_bumps(n_samples=24, random_state=0)
POOL = make_bumps(n_samples=6, random_state=1)[0]
SMALL = {"student": "fcn24", "max_epochs": 2, "random_state": 0}


class SeenDistillation(Distillation):
    """Distillation that keeps the rows of its context and adds nothing to the loss."""

    def __init__(self, rows):
        super().__init__()
        self.known = {name: value.numpy().copy() for name, value in rows.tensors.items()}

    def terms(self, student, output, batch, step):
        return {}


class Seen(Distiller):
    def prepare(self, context):
        return SeenDistillation(context.rows)


def flat(classifier):
    return make_pipeline(FunctionTransformer(np.squeeze, kw_args={"axis": 1}), classifier)


def told(folds, teacher=None, pool=POOL, y=Y):
    clf = DistilledPrefixClassifier(Seen(), teacher=teacher, **SMALL)
    clf.set_params(training__teacher_folds=folds, training__validation_fraction=0)
    clf.fit(X, y, pool)
    return clf.distillation_.known


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def test_a_teacher_that_memorises_is_no_longer_sure_of_labels_without_a_meaning():
    y = np.random.default_rng(0).permutation(Y)
    teacher = flat(KNeighborsClassifier(1))
    classes = np.unique(y)
    right = [
        (classes[told(folds, teacher, None, y)["teacher_logits"].argmax(1)] == y).mean()
        for folds in (None, 3)
    ]
    assert right[0] == 1
    assert right[1] < 0.9


def test_as_many_folds_as_series_leave_each_out():
    teacher = flat(LogisticRegression())
    known = told(len(X), teacher, None)
    expected = [
        flat(LogisticRegression())
        .fit(np.delete(X, i, 0).astype(float), np.delete(Y, i))
        .predict_proba(X[i : i + 1].astype(float))[0]
        for i in range(len(X))
    ]
    np.testing.assert_allclose(softmax(known["teacher_logits"]), expected, atol=1e-5)


@pytest.mark.parametrize("teacher", [None, flat(LogisticRegression())])
def test_features_and_logits_of_the_pool_are_the_teachers_own(teacher):
    without, crossed = told(None, teacher), told(3, teacher)
    n = len(X)
    assert_array_equal(without["teacher_features"], crossed["teacher_features"])
    assert_array_equal(without["teacher_logits"][n:], crossed["teacher_logits"][n:])
    assert_array_equal(without["target"], crossed["target"])
    assert not np.array_equal(without["teacher_logits"][:n], crossed["teacher_logits"][:n])


def test_a_fit_repeats_itself_and_labels_alone_are_not_changed():
    def fitted(folds):
        clf = DistilledPrefixClassifier(Hinton(), **SMALL)
        return clf.set_params(training__teacher_folds=folds).fit(X, Y).predict_proba(X)

    assert_array_equal(fitted(2), fitted(2))
    assert not np.array_equal(fitted(2), fitted(None))


def refused(clf, message, y=Y, **params):
    clf.set_params(**{**SMALL, "training__teacher_folds": 2, **params})
    with pytest.raises(ValueError, match=message):
        clf.fit(X, y)
    assert not hasattr(clf, "network_")


def test_what_can_not_be_left_out_is_refused():
    frozen = FrozenEstimator(flat(LogisticRegression()).fit(X, Y))
    used = r"(?s)teacher_folds=2 .*used as it is.*teacher_folds=None"
    refused(GDPDClassifier(frozen), used)
    refused(GDPDClassifier(["fcn24", frozen]), used)
    refused(PrefixClassifier(), r"teacher_folds=2 is for classifiers with a teacher")
    y = np.where(np.arange(len(Y)) == 0, "rare", Y.astype(str))
    none = {"training__validation_fraction": 0}
    refused(GDPDClassifier(), r"classes \['rare'\] have fewer", y, **none)
    refused(GDPDClassifier(), r"more than the 24", training__teacher_folds=25, **none)
    with pytest.raises(ValueError, match="teacher_folds"):
        GDPDClassifier().set_params(training__teacher_folds=1, **SMALL).fit(X, Y)


def test_methods_that_need_the_teachers_states_are_refused():
    class OfStates(Seen):
        def teacher_epochs(self, max_epochs):
            return (1,)

    refused(DistilledPrefixClassifier(OfStates()), r"states in its training.*None")


def test_the_teachers_linear_head_is_that_of_its_own_logits():
    """A layer from features to logits of other teachers would be nobody's."""

    class Headed(Seen):
        def prepare(self, context):
            distillation = super().prepare(context)
            distillation.layer = context.teacher_head()
            return distillation

    heads = []
    for folds in (None, 3):
        clf = DistilledPrefixClassifier(Headed(), teacher=flat(LogisticRegression()), **SMALL)
        clf.set_params(training__teacher_folds=folds).fit(X, Y)
        heads.append(clf.distillation_.layer.weight.numpy())
    assert_array_equal(*heads)

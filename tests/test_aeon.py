"""The classifiers inside aeon, and aeon's classifiers as teachers."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skgdpd import DiffusionFeaturePrior, GDPDClassifier, PrefixClassifier, PrefixTruncator

pytest.importorskip("aeon")

from aeon.classification.compose import ClassifierEnsemble, ClassifierPipeline
from aeon.classification.convolution_based import MiniRocketClassifier
from aeon.classification.early_classification import (
    TEASER,
    ProbabilityThresholdEarlyClassifier,
)
from aeon.classification.feature_based import Catch22Classifier
from aeon.classification.interval_based import (
    DrCIFClassifier,
    QUANTClassifier,
    TimeSeriesForestClassifier,
)
from aeon.pipeline import make_pipeline as make_aeon_pipeline
from aeon.transformations.collection import Normalizer
from aeon.transformations.collection.convolution_based import MiniRocket
from aeon.transformations.collection.unequal_length import Truncator

# aeon 1.6 under numpy 2.3 and numba; none of it ours.
pytestmark = pytest.mark.filterwarnings("default")

SMALL = {"student": "lstm1-8", "max_epochs": 3, "random_state": 0}
POINTS = [10, 20, 40]


@pytest.fixture
def base():
    return PrefixClassifier(**SMALL, earliness=1.0)


@pytest.fixture
def gdpd():
    return GDPDClassifier(**SMALL, prior=DiffusionFeaturePrior(encoder="pca", max_epochs=2))


@pytest.mark.parametrize("distilled", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda clf: ProbabilityThresholdEarlyClassifier(
            clf, probability_threshold=0.99, classification_points=POINTS, random_state=0
        ),
        lambda clf: TEASER(clf, classification_points=POINTS, random_state=0),
    ],
    ids=["threshold", "teaser"],
)
def test_early_classifiers(bumps, base, gdpd, make, distilled):
    X, y = bumps
    clf = gdpd.set_params(earliness=1.0) if distilled else base
    early = make(clf).fit(X, y)
    labels, decided = early.predict(X)
    assert decided.all()  # at the last point there is nothing to wait for
    assert set(labels) <= {"no", "yes"}
    decided = early.predict(X[:, :, :10])[1]
    remaining = X[~decided]
    assert len(remaining)
    labels, decided = early.update_predict(remaining[:, :, :40])
    assert len(labels) == len(remaining)
    assert decided.all()


def test_early_classifiers_that_fit_in_threads_give_the_same(bumps, base):
    """aeon fits an estimator a point in threads of one process."""
    X, y = bumps
    alone, together = (
        TEASER(base, classification_points=POINTS, n_jobs=n_jobs, random_state=0).fit(X, y)
        for n_jobs in (1, 3)
    )
    for one, other, length in zip(alone.estimators_, together.estimators_, POINTS, strict=True):
        x = X[:, :, :length]
        np.testing.assert_array_equal(one.predict_proba(x), other.predict_proba(x))


def test_a_threshold_of_one_point_is_the_classifier_itself(bumps, base):
    """One decision point at the end: the wrapper can only pass on what ours says."""
    X, y = bumps
    early = ProbabilityThresholdEarlyClassifier(
        base, probability_threshold=0.0, classification_points=[40], random_state=0
    ).fit(X, y)
    own = early.estimators_[0]
    np.testing.assert_array_equal(early.predict_proba(X)[0], own.predict_proba(X))


def test_pipelines_see_what_they_cut(bumps, base):
    X, y = bumps
    alone = clone(base).fit(X[:, :, :10], y).predict_proba(X[:, :, :10])
    for pipe in (
        make_aeon_pipeline(Truncator(truncated_length=10), base),
        ClassifierPipeline([Truncator(truncated_length=10)], base),
        make_pipeline(Truncator(truncated_length=10), base),
    ):
        np.testing.assert_array_equal(clone(pipe).fit(X, y).predict_proba(X), alone)
    by_view = clone(base).set_params(earliness=Truncator(truncated_length=10)).fit(X, y)
    assert by_view.prefix_length_ == 10
    by_number = clone(base).set_params(earliness=10).fit(X, y)
    np.testing.assert_array_equal(by_view.predict_proba(X), by_number.predict_proba(X))


def test_distillation_in_pipelines(bumps, gdpd):
    X, y = bumps
    made = ClassifierPipeline([Normalizer()], gdpd).fit(X, y)
    assert made.predict_proba(X).shape == (60, 2)
    # aeon's own pipeline has no way for X_teacher; scikit-learn's has.
    pipe = make_pipeline(Truncator(truncated_length=12), clone(gdpd))
    pipe.fit(X, y, gdpdclassifier__X_teacher=X)
    whole = clone(gdpd).set_params(earliness=12).fit(X, y)
    np.testing.assert_array_equal(pipe.predict_proba(X), whole.predict_proba(X))


def test_search_over_an_aeon_transformer(bumps, base):
    X, y = bumps
    grid = {"truncator__truncated_length": [10, 20]}
    pipe = make_pipeline(Truncator(truncated_length=10), base)
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, y)
    same = GridSearchCV(
        make_pipeline(PrefixTruncator(0.25), base),
        {"prefixtruncator__earliness": [0.25, 0.5]},
        cv=2,
        error_score="raise",
    ).fit(X, y)
    for key in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(search.cv_results_[key], same.cv_results_[key])


def test_ensemble(bumps, base):
    X, y = bumps
    other = clone(base).set_params(random_state=1)
    made = ClassifierEnsemble([("a", base), ("b", other)]).fit(X, y)
    np.testing.assert_allclose(made.predict_proba(X).sum(1), 1)


TEACHERS = [
    MiniRocketClassifier(n_kernels=168),
    pytest.param(Catch22Classifier(), marks=pytest.mark.slow),
    pytest.param(DrCIFClassifier(n_estimators=3), marks=pytest.mark.slow),
    pytest.param(TimeSeriesForestClassifier(n_estimators=5), marks=pytest.mark.slow),
    pytest.param(QUANTClassifier(), marks=pytest.mark.slow),
]


@pytest.mark.parametrize("teacher", TEACHERS, ids=lambda teacher: type(teacher).__name__)
def test_teachers(bumps, gdpd, tmp_path, teacher):
    X, y = bumps
    gdpd.set_params(teacher=teacher, memory=str(tmp_path))
    fitted = gdpd.fit(X, y)
    proba = fitted.predict_proba(X)
    np.testing.assert_allclose(proba.sum(1), 1)
    logits = fitted.teacher_.embed(X)  # log-probabilities, for want of an embedding
    expected = fitted.teacher_.estimator.predict_proba(X.astype(float))
    np.testing.assert_allclose(np.exp(logits), np.clip(expected, 1e-6, None), rtol=1e-5)
    again = clone(gdpd).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(proba, again)
    assert len(list(tmp_path.rglob("_fit_and_ask/*/output.pkl"))) == 1
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(X), proba)


def test_a_fitted_teacher_and_one_with_features(bumps, gdpd):
    X, y = bumps
    pipe = make_pipeline(MiniRocket(n_kernels=168, random_state=0), LogisticRegression())
    fitted = clone(gdpd).set_params(teacher=pipe).fit(X, y)
    assert fitted.teacher_.embed(X).shape == (60, 168)
    frozen = FrozenEstimator(pipe.fit(X, y))
    assert gdpd.set_params(teacher=frozen).fit(X, y).predict(X).shape == (60,)

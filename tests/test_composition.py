"""The classifiers inside scikit-learn's meta-estimators, on real data."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    RepeatedStratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sktime.transformations.truncation import TruncationTransformer

from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    EarlyClassifier,
    GDPDClassifier,
    LabeledFolds,
    PrefixClassifier,
    PrefixTruncator,
    SeriesOptions,
    TrainingOptions,
)
from skgdpd.datasets import make_bumps

SMALL = {"student": "fcn", "max_epochs": 3, "random_state": 0}
PRIOR = DiffusionFeaturePrior(encoder="pca", max_epochs=3)


@pytest.fixture
def base():
    return PrefixClassifier(**SMALL)


@pytest.fixture
def gdpd():
    return GDPDClassifier(**SMALL, prior=clone(PRIOR))


def test_scaling_and_truncation_in_a_pipeline(gunpoint):
    X, X_test = gunpoint.X[:, 0], gunpoint.X_test[:, 0]
    pipe = make_pipeline(
        StandardScaler(), PrefixTruncator(0.3), PrefixClassifier(**SMALL, earliness=1.0)
    ).fit(X, gunpoint.y)
    assert pipe[-1].prefix_length_ == 45
    scaled = StandardScaler().fit(X)
    alone = PrefixClassifier(**SMALL, earliness=0.3).fit(scaled.transform(X), gunpoint.y)
    np.testing.assert_array_equal(
        pipe.predict_proba(X_test), alone.predict_proba(scaled.transform(X_test))
    )


class ChannelScaler(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.mean_, self.std_ = (f(X, axis=(0, 2), keepdims=True) for f in (np.mean, np.std))
        return self

    def transform(self, X):
        return (X - self.mean_) / self.std_


def test_series_of_several_channels_are_scaled_by_a_step_of_ones_own():
    X, y = make_bumps(20, 20, n_channels=2, random_state=0)
    last = PrefixClassifier("rocket", max_epochs=0, normalize=None, random_state=0)
    pipe = make_pipeline(ChannelScaler(), last).fit(X, y)
    np.testing.assert_allclose(pipe[0].transform(X).mean((0, 2)), 0, atol=1e-6)
    np.testing.assert_array_equal(
        pipe.predict(X[:, :, : pipe[-1].prefix_length_]), pipe.predict(X)
    )
    search = GridSearchCV(pipe, {"prefixclassifier__earliness": [0.3, 0.5]}, cv=2)
    cv = RepeatedStratifiedKFold(n_splits=2, n_repeats=2, random_state=0)
    assert len(cross_val_score(search, X, y, cv=cv, error_score="raise")) == 4


def test_what_checks_its_input_itself_refuses_series_of_three_dimensions():
    X, y = make_bumps(20, 20, random_state=0)
    clf = PrefixClassifier("rocket", max_epochs=0, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="dim 3"):
        BaggingClassifier(clf).fit(X, y)
    with pytest.raises(ValueError, match="dim 3"):
        permutation_importance(clf, X, y)


def test_other_splitters_fail_with_none_among_texts():
    X, y = make_bumps(20, 20, random_state=0)
    y = np.where(np.arange(20) % 4 == 1, None, np.where(y == y[0], "a", "b"))
    with pytest.raises(TypeError, match=r"'<' not supported between .*NoneType"):
        cross_val_score(GDPDClassifier(**SMALL), X, y, cv=3)


def test_a_pipeline_that_truncates_can_still_teach_from_whole_series(gunpoint):
    X, y = gunpoint.X, gunpoint.y
    pipe = Pipeline([("cut", PrefixTruncator(0.3)), ("clf", GDPDClassifier(**SMALL, prior=PRIOR))])
    pipe.fit(X, y, clf__X_teacher=X)
    alone = GDPDClassifier(**SMALL, prior=PRIOR, earliness=0.3).fit(X, y)
    np.testing.assert_array_equal(
        pipe.predict_proba(gunpoint.X_test), alone.predict_proba(gunpoint.X_test)
    )


@pytest.mark.parametrize(
    "grid",
    [
        {"lambda_kd": [0.1, 10], "warmup_epochs": [0.4, 0.6]},
        {"prior__degradation": ["linear-gaussian", "none"], "prior__n_sampling_steps": [2, 4]},
        {"student": ["lstm1-8", "fcn24"], "earliness": [0.2, 12]},
        *(
            pytest.param(grid, marks=pytest.mark.slow)
            for grid in (
                {"teacher": ["lstm1-8", None], "hinton_weight": [0.0, 1.0]},
                {
                    "prior": [DiffusionFeaturePrior("gmm"), PRIOR],
                    "class_weight": [None, "balanced"],
                },
                {
                    "training__lr_schedule": ["cosine", "constant"],
                    "series__resample_length": [None, 20],
                },
                {
                    "training": [None, TrainingOptions(weight_averaging=0)],
                    "series": [None, SeriesOptions(resample_length=20)],
                },
            )
        ),
    ],
    ids=lambda grid: "-".join(grid),
)
def test_grid_search(bumps, gdpd, grid):
    X, y = bumps
    search = GridSearchCV(gdpd, grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == np.prod([len(v) for v in grid.values()])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.predict(X).shape == (60,)


def test_a_grid_over_a_transformer_as_earliness(bumps, base):
    X, y = bumps
    base.set_params(earliness=TruncationTransformer(upper=12))
    grid = {"earliness__upper": [8, 16]}
    search = GridSearchCV(base, grid, cv=2, error_score="raise", refit=False).fit(X, y)
    by_length = GridSearchCV(
        clone(base).set_params(earliness=8), {"earliness": [8, 16]}, cv=2, refit=False
    ).fit(X, y)
    np.testing.assert_array_equal(
        search.cv_results_["split0_test_score"], by_length.cv_results_["split0_test_score"]
    )
    assert base.fit(X, y).prefix_length_ == 12


def test_a_grid_through_a_pipeline(gunpoint, gdpd):
    pipe = Pipeline([("cut", PrefixTruncator()), ("clf", gdpd.set_params(earliness=1.0))])
    grid = {"cut__earliness": [0.2, 0.3], "clf__lambda_kd": [0.1, 1]}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise")
    search.fit(gunpoint.X, gunpoint.y, clf__X_teacher=gunpoint.X)  # sliced with the folds
    assert search.best_params_["cut__earliness"] in (0.2, 0.3)


def test_cross_validation(bumps, base):
    X, y = bumps
    proba = cross_val_predict(base, X, y, cv=3, method="predict_proba")
    assert proba.shape == (60, 2)
    np.testing.assert_allclose(proba.sum(1), 1)
    scores = cross_val_score(base, X, y, cv=3, error_score="raise")
    labels = cross_val_predict(base, X, y, cv=3)
    np.testing.assert_allclose(scores.mean(), (labels == y).mean())


def test_series_without_a_label_are_in_every_fold(bumps, gdpd):
    X, y = bumps
    marked = np.where(np.arange(60) < 30, y, "?")
    gdpd.set_params(unlabeled="?")
    cv = LabeledFolds(2, unlabeled="?")
    found = cross_validate(gdpd, X, marked, cv=cv, return_estimator=True, error_score="raise")
    for fitted in found["estimator"]:
        assert fitted.history_.n_unlabeled == 30
        assert fitted.history_.n_labeled + fitted.history_.n_validation == 15


def test_series_to_append_are_in_every_fold_unless_they_are_as_many_as_x(bumps, gdpd):
    """The last case is scikit-learn's trap: as many rows as X, so cut into folds like it."""
    X, y = bumps
    for n_unlabeled, n_seen in ((29, 29), (30, 15)):
        more = X[30 : 30 + n_unlabeled]
        found = cross_validate(
            gdpd, X[:30], y[:30], cv=2, params={"X_unlabeled": more}, return_estimator=True
        )
        assert [fitted.history_.n_unlabeled for fitted in found["estimator"]] == [n_seen] * 2


def test_calibration(bumps, base, gdpd):
    X, y = bumps
    for method in ("sigmoid", "isotonic"):
        calibrated = CalibratedClassifierCV(base, method=method, cv=2).fit(X, y)
        np.testing.assert_allclose(calibrated.predict_proba(X).sum(1), 1)
    frozen = FrozenEstimator(gdpd.fit(X, y))
    after = CalibratedClassifierCV(frozen).fit(X, y)
    assert after.predict(X).shape == (60,)


def test_estimators_that_read_classes_from_y_take_unlabelled_series_as_an_argument():
    X, y = make_bumps(40, 20, random_state=0)
    clf = DistilledPrefixClassifier(student="rocket", max_epochs=1, random_state=0)
    calibrated = CalibratedClassifierCV(clf, cv=2).fit(X[:24], y[:24], X_unlabeled=X[24:])
    assert calibrated.classes_.tolist() == [0, 1]
    given = {"X_unlabeled": X[24:]}
    assert len(cross_val_predict(clf, X[:24], y[:24], cv=2, params=given)) == 24
    marked = np.r_[y[:24], np.full(16, -1)]
    clf.set_params(unlabeled=-1)
    with pytest.raises(ValueError, match="partitions"):
        cross_val_predict(clf, X, marked, cv=LabeledFolds(2, unlabeled=-1))


def test_a_pipeline_of_an_early_classifier_decides_by_its_last_step():
    X, y = make_bumps(40, 20, random_state=0)
    moments = PrefixClassifier("rocket", earliness=[6, 20], max_epochs=0, random_state=0)
    early = EarlyClassifier(moments, random_state=0)
    pipe = make_pipeline(StandardScaler(), early).fit(X[:, 0], y)
    answers = pipe[-1].decide(pipe[:-1].transform(X[:, 0]))
    np.testing.assert_array_equal(answers.labels, pipe.predict(X[:, 0]))


def test_stacking_and_voting(bumps, base, gdpd):
    X, y = bumps
    members = [("early", base), ("late", gdpd.set_params(earliness=0.6))]
    for made in (
        StackingClassifier(members, LogisticRegression(), cv=2),
        VotingClassifier(members, voting="soft"),
    ):
        made.fit(X[:, 0], y)
        assert made.predict_proba(X[:, 0]).shape == (60, 2)


@pytest.mark.slow
def test_halving_over_series_and_over_epochs(bumps, gdpd):
    X, y = bumps
    grid = {"lambda_kd": [0.1, 1.0, 10.0]}
    by_series = HalvingGridSearchCV(gdpd, grid, cv=2, min_resources=20, error_score="raise")
    assert by_series.fit(X, y).n_iterations_ >= 2
    by_epochs = HalvingGridSearchCV(
        gdpd,
        grid,
        cv=2,
        resource="max_epochs",
        min_resources=2,
        max_resources=6,
        error_score="raise",
    ).fit(X, y)
    assert by_epochs.best_estimator_.max_epochs == 6


def test_a_search_as_teacher(bumps, base, gdpd):
    """Its parameter ``estimator`` is fitted by no one; its prediction is that of the best."""
    X, y = bumps
    search = GridSearchCV(base, {"earliness": [0.5, 1.0]}, cv=2, error_score="raise")
    taught = gdpd.set_params(teacher=search).fit(X, y)
    proba = taught.teacher_.predict_proba(X)
    np.testing.assert_allclose(taught.teacher_.embed(X), np.log(proba.clip(1e-6)), atol=1e-5)


def test_nested_search(bumps, base):
    X, y = bumps
    inner = GridSearchCV(base, {"earliness": [0.2, 0.5]}, cv=2, error_score="raise")
    scores = cross_val_score(inner, X, y, cv=2, error_score="raise")
    assert scores.shape == (2,)


def test_randomised_search_of_a_callable_student(bumps, base):
    X, y = bumps
    search = RandomizedSearchCV(base, {"student": ["fcn", make_student]}, n_iter=2, cv=2)
    assert np.isfinite(search.fit(X, y).cv_results_["mean_test_score"]).all()


def make_student(n_channels, n_timepoints):
    import torch

    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(n_channels * n_timepoints, 3))


def test_searches_in_parallel_processes_give_the_same(bumps, gdpd):
    X, y = bumps
    grid = {"lambda_kd": [0.1, 1]}
    serial, parallel = (
        GridSearchCV(gdpd, grid, cv=2, n_jobs=n_jobs, error_score="raise").fit(X, y)
        for n_jobs in (1, 2)
    )
    np.testing.assert_array_equal(
        serial.cv_results_["mean_test_score"], parallel.cv_results_["mean_test_score"]
    )
    np.testing.assert_array_equal(serial.predict_proba(X), parallel.predict_proba(X))


def test_metadata_routing(bumps, gdpd):
    X, y = bumps
    with sklearn.config_context(enable_metadata_routing=True):
        gdpd.set_fit_request(X_teacher=True, sample_weight=True, X_unlabeled=True)
        gdpd.set_score_request(sample_weight=True)
        pipe = make_pipeline(PrefixTruncator(0.3), gdpd)
        weight = np.where(y == "yes", 2.0, 1.0)
        pipe.fit(X, y, X_teacher=X, sample_weight=weight)
        # A pipeline's own score takes no weights in scikit-learn 1.6.
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        search = GridSearchCV(
            pipe, {"prefixtruncator__earliness": [0.2, 0.3]}, cv=2, scoring=scorer
        )
        search.fit(X, y, X_teacher=X, sample_weight=weight)
    alone = clone(gdpd).set_params(earliness=0.3).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(pipe.predict_proba(X), alone.predict_proba(X))
    assert search.best_estimator_.predict(X).shape == (60,)


def test_pandas_output_through_a_pipeline(bumps):
    X, y = bumps
    frame = pd.DataFrame(X[:, 0], columns=[f"t{i}" for i in range(40)])
    pipe = make_pipeline(
        StandardScaler(), PrefixTruncator(0.3), PrefixClassifier(**SMALL, earliness=1.0)
    ).set_output(transform="pandas")
    pipe.fit(frame, y)
    cut = pipe[:-1].transform(frame)
    assert cut.columns.tolist() == [f"t{i}" for i in range(12)]
    assert cut.index.equals(frame.index)
    assert pipe[-1].feature_names_in_.tolist() == cut.columns.tolist()
    truncator = PrefixTruncator(0.3).set_output(transform="pandas").fit(X)
    assert truncator.transform(X).shape == (60, 1, 12)  # no frame has three dimensions
    assert isinstance(truncator.transform(X), np.ndarray)


def test_the_prior_in_a_pipeline_with_names(bumps, base):
    X, y = bumps
    Z = base.fit(X, y).embed(X)
    prior = DiffusionFeaturePrior("gmm", measurement_noise=0.5, random_state=0)
    pipe = make_pipeline(prior, SelectKBest(k=3), LogisticRegression())
    assert pipe.fit(Z, y).score(Z, y) > 0.5
    prior.set_output(transform="pandas").fit(Z, y)
    assert prior.transform(Z).columns[0] == "diffusionfeatureprior0"
    assert len(prior.get_feature_names_out()) == 128
    coded = DiffusionFeaturePrior("gmm", encoder="pca", n_latent=4, random_state=0).fit(Z, y)
    assert len(coded.get_feature_names_out()) == 4

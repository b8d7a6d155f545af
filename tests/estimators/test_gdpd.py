"""GDPD: its terms, its prior, its pool, its cache."""

import time

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, logsumexp
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    GDPDClassifier,
    PrefixClassifier,
    TrainingOptions,
    paper_parameters,
)
from skgdpd._series.split import stratified_split
from skgdpd.distillers.gdpd import expected_cross_entropy
from skgdpd.metrics import macro_auc_prc
from skgdpd.training import Step

PRIOR = DiffusionFeaturePrior(encoder="pca", max_epochs=5)
SMALL = {"student": "fcn", "max_epochs": 6, "random_state": 0, "prior": PRIOR}


def flat_teacher():
    return make_pipeline(
        FunctionTransformer(np.squeeze, kw_args={"axis": 1}),
        StandardScaler(),
        LogisticRegression(max_iter=500),
    )


def random_logits(n_draws, n, n_classes, seed=0):
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.normal(size=(n_draws, n, n_classes)))


def test_expected_cross_entropy_is_what_it_says():
    logits = random_logits(3, 5, 4)
    y = torch.tensor([0, 1, 2, 3, 0])
    log_p = log_softmax(logits.numpy(), -1)[:, np.arange(5), y]
    mean = expected_cross_entropy(logits, {"y": y})
    np.testing.assert_allclose(mean.item(), -log_p.mean())
    tight = expected_cross_entropy(logits, {"y": y}, "logmeanexp")
    np.testing.assert_allclose(tight.item(), -(logsumexp(log_p, 0) - np.log(3)).mean())


@pytest.mark.parametrize("seed", range(5))
def test_the_predictive_loss_is_never_above_the_mean_loss(seed):
    logits, y = random_logits(4, 6, 3, seed), torch.arange(6) % 3
    mean = expected_cross_entropy(logits, {"y": y})
    assert expected_cross_entropy(logits, {"y": y}, "logmeanexp") <= mean
    one = logits[:1]
    torch.testing.assert_close(
        expected_cross_entropy(one, {"y": y}, "logmeanexp"), expected_cross_entropy(one, {"y": y})
    )


@pytest.mark.parametrize("expectation", ["mean", "logmeanexp"])
def test_one_hot_targets_are_labels_and_weights_weigh(expectation):
    logits, y = random_logits(2, 6, 3), torch.arange(6) % 3
    hard = {"y": y}
    soft = {"y": y, "target": torch.eye(3, dtype=torch.float64)[y]}
    torch.testing.assert_close(
        expected_cross_entropy(logits, hard, expectation),
        expected_cross_entropy(logits, soft, expectation),
    )
    weight = torch.tensor([6.0, 0, 0, 0, 0, 0], dtype=torch.float64)
    torch.testing.assert_close(
        expected_cross_entropy(logits, {**hard, "target_weight": weight}, expectation),
        expected_cross_entropy(logits[:, :1], {"y": y[:1]}, expectation),
    )


def test_the_warmup_is_the_plain_student_and_no_lambda_is_no_distillation(bumps):
    X, y = bumps
    gdpd = GDPDClassifier(**SMALL).fit(X, y)
    assert gdpd.history_.warmup_epochs == 3
    assert (gdpd.history_["gdpd"][:3] == 0).all()
    assert (gdpd.history_["gdpd"][3:] > 0).all()
    other = GDPDClassifier(**SMALL, lambda_kd=10).fit(X, y)
    np.testing.assert_array_equal(gdpd.history_["ce"][:3], other.history_["ce"][:3])
    assert gdpd.history_["ce"][4] != other.history_["ce"][4]
    off = GDPDClassifier(**SMALL, lambda_kd=0).fit(X, y)
    assert "gdpd" not in off.history_


def test_lambda_scales_the_term(bumps):
    X, y = bumps
    small = {**SMALL, "warmup_epochs": 0, "max_epochs": 1, "batch_size": 100}
    clf = GDPDClassifier(**small, training=TrainingOptions(validation_fraction=0.0))
    one, ten = (
        clone(clf).set_params(lambda_kd=value).fit(X, y).history_["gdpd"][0] for value in (1, 10)
    )
    np.testing.assert_allclose(ten, 10 * one, rtol=1e-5)


@pytest.mark.parametrize(
    "prior",
    [
        {"degradation": "learned-alpha", "encoder": "autoencoder"},
        {"degradation": "linear-gaussian"},
        {"degradation": "matched-noise"},
        {"degradation": "none"},
        {"degradation": "linear-gaussian", "denoiser": "gmm"},
        {"degradation": "learned-alpha", "denoiser": "bottleneck", "encoder": "autoencoder"},
    ],
    ids=lambda p: "-".join(p.values()),
)
@pytest.mark.parametrize("trainable", [False, True])
def test_every_prior_trains_a_student(bumps, prior, trainable):
    X, y = bumps
    clf = GDPDClassifier(
        **{**SMALL, "prior": clone(PRIOR).set_params(**prior)},
        prior_trainable=trainable,
        n_posterior_samples=3,
        objective="logmeanexp",
    ).fit(X, y)
    assert np.isfinite(clf.history_["loss"]).all()
    assert (clf.history_["gdpd"][3:] > 0).all()
    assert clf.prior_.latent_.covariance.dtype == torch.float64


def test_the_prior_moves_only_if_it_is_trainable(bumps):
    X, y = bumps
    for trainable in (False, True):
        clf = GDPDClassifier(**SMALL, prior_trainable=trainable).fit(X, y)
        fitted = clf.prior_.latent_.denoiser.state_dict()
        used = clf.distillation_.degradation.latent.denoiser.state_dict()
        same = [torch.equal(fitted[k].float(), used[k].float()) for k in fitted if "blocks" in k]
        assert all(same) != trainable


def test_the_gradient_of_the_restored_loss_reaches_the_student(bumps):
    X, y = bumps
    for degradation, reaches in [
        ("linear-gaussian", True),
        ("learned-alpha", True),
        ("none", False),
    ]:
        prior = clone(PRIOR).set_params(degradation=degradation)
        clf = GDPDClassifier(**{**SMALL, "prior": prior}).fit(X, y)
        student = clf.module_.requires_grad_(True)
        x = torch.randn(8, 1, 12)
        output = student(x)
        batch = {"y": torch.arange(8) % 2, "index": torch.arange(8)}
        step = Step(epoch=5, generator=torch.Generator().manual_seed(0))
        loss = clf.distillation_.train().terms(student, output, batch, step)["gdpd"]
        (gradient,) = torch.autograd.grad(loss, output.features, allow_unused=True)
        touched = gradient is not None and bool(gradient.abs().sum() > 0)
        assert touched == reaches, degradation


def test_unlabelled_series_are_counted_and_used(bumps):
    X, y = bumps
    few, pool = slice(0, 20), slice(20, 60)
    clf = GDPDClassifier(**SMALL).fit(X[few], y[few], X_unlabeled=X[pool])
    assert (clf.history_.n_labeled, clf.history_.n_unlabeled) == (16, 40)
    assert clf.history_.n_validation == 4
    assert "16 labelled, 40 unlabelled" in repr(clf.history_)
    assert (clf.history_["hinton"] > 0).all()
    assert len(clf.distillation_.seen) == 57
    alone = GDPDClassifier(**SMALL).fit(X[few], y[few])
    assert "hinton" not in alone.history_
    assert not np.array_equal(alone.predict_proba(X), clf.predict_proba(X))
    with pytest.raises(ValueError, match="X_unlabeled has series of 1 channels and 30 time"):
        GDPDClassifier(**SMALL).fit(X, y, X_unlabeled=X[:, :, :30])


def test_the_teacher_is_fitted_on_labelled_training_series_only(bumps):
    X, y = bumps
    seen = []

    class Spy(LogisticRegression):
        def fit(self, X, y):
            seen.append(X.copy())
            return super().fit(X.reshape(len(X), -1), y)

        def predict_proba(self, X):
            return super().predict_proba(X.reshape(len(X), -1))

    clf = GDPDClassifier(Spy(), **SMALL).fit(X[:40], y[:40], X_unlabeled=X[40:])
    (rows,) = seen
    assert len(rows) == clf.history_.n_labeled == 32
    labelled = {x.tobytes() for x in X[:40]}
    assert {x.tobytes() for x in rows.astype(X.dtype)} < labelled


def test_class_weight_acts_on_unlabelled_series_too(bumps):
    X, y = bumps
    weight = {"no": 1.0, "yes": 3.0}
    clf = GDPDClassifier(**SMALL, class_weight=weight).fit(X[:30], y[:30], X_unlabeled=X[30:])
    assert np.isfinite(clf.history_["loss"]).all()
    plain = GDPDClassifier(**SMALL).fit(X[:30], y[:30], X_unlabeled=X[30:])
    assert not np.array_equal(clf.history_["gdpd"], plain.history_["gdpd"])


def test_a_grid_search_fits_teacher_and_prior_once_per_training_set(bumps, tmp_path, monkeypatch):
    X, y = bumps
    counts = {"teacher": 0, "prior": 0}

    class CountingTeacher(LogisticRegression):
        def fit(self, X, y):
            counts["teacher"] += 1
            return super().fit(X.reshape(len(X), -1), y)

        def predict_proba(self, X):
            return super().predict_proba(X.reshape(len(X), -1))

    class CountingPrior(DiffusionFeaturePrior):
        def fit(self, Z, y=None, Z_short=None, **kwargs):
            counts["prior"] += 1
            return super().fit(Z, y, Z_short, **kwargs)

    monkeypatch.setitem(globals(), "CountingTeacher", CountingTeacher)
    monkeypatch.setitem(globals(), "CountingPrior", CountingPrior)
    for made in (CountingTeacher, CountingPrior):  # so that the cache can pickle them
        made.__module__, made.__qualname__ = __name__, made.__name__
    clf = GDPDClassifier(
        CountingTeacher(),
        **{**SMALL, "prior": CountingPrior(encoder="pca", max_epochs=3), "max_epochs": 3},
        memory=str(tmp_path),
    )
    grid = {"lambda_kd": [0.1, 1, 10], "warmup_epochs": [0.4, 0.6]}
    search = GridSearchCV(clf, grid, cv=3).fit(X, y)
    assert counts == {"teacher": 4, "prior": 4}  # three folds and the refit
    uncached = clone(search.best_estimator_).set_params(memory=None).fit(X, y)
    np.testing.assert_array_equal(
        uncached.predict_proba(X), search.best_estimator_.predict_proba(X)
    )
    assert counts == {"teacher": 5, "prior": 5}


@pytest.mark.parametrize("teacher", ["fcn", "module"])
def test_network_teachers_are_cached_too_and_shared_by_levels(bumps, tmp_path, teacher):
    X, y = bumps
    if teacher == "module":
        teacher = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(40, 4))
    fits = []
    for earliness in (0.3, 0.5):
        clf = GDPDClassifier(teacher, **SMALL, earliness=earliness, memory=str(tmp_path))
        fits.append(clf.fit(X, y))
    np.testing.assert_array_equal(*(clf.teacher_.embed(X) for clf in fits))
    assert len(list(tmp_path.glob("joblib/skgdpd/_teachers/*/*/*/output.pkl"))) == 1
    assert len(list(tmp_path.glob("joblib/skgdpd/distillers/gdpd/fit_prior/*/output.pkl"))) == 1


def test_a_cache_without_a_seed_is_warned_of(bumps, tmp_path):
    X, y = bumps
    clf = GDPDClassifier(**{**SMALL, "random_state": None}, memory=str(tmp_path))
    with pytest.warns(UserWarning, match="memory is of no use with random_state=None"):
        clf.fit(X, y)


def test_bad_parameters_are_named_before_training(bumps):
    X, y = bumps
    for params, words in [
        ({"warmup_epochs": 6}, "warmup_epochs=6 leaves no epoch of max_epochs=6"),
        ({"warmup_epochs": 1.5}, "'warmup_epochs' parameter"),
        ({"lambda_kd": -1}, "'lambda_kd' parameter"),
        ({"objective": "max"}, "'objective' parameter"),
        ({"prior": "gaussian"}, "'prior' parameter"),
        ({"teacher": "oracle"}, "teacher='oracle' is not a backbone; the names are"),
    ]:
        with pytest.raises(ValueError, match=words):
            GDPDClassifier(**{**SMALL, **params}).fit(X, y)
    with pytest.raises(TypeError, match="classifier with fit, get_params and predict_proba"):
        GDPDClassifier(StandardScaler(), **SMALL).fit(X, y)
    with pytest.raises(ValueError, match="not one of the paper's"):
        paper_parameters("inception")


def test_the_papers_protocol_is_accepted(bumps):
    X, y = bumps
    for reference in (False, True):
        params = paper_parameters("lstm1-8", reference=reference)
        assert GDPDClassifier(**params).get_params()["max_epochs"] == 600
        short = {"max_epochs": 4, "warmup_epochs": 2, "random_state": 0}
        clf = GDPDClassifier(**params | short).set_params(prior__max_epochs=3).fit(X, y)
        assert ("hinton" in clf.history_) == reference
        assert clf.prior_.n_latent_ == 8


def test_distillation_from_a_pipeline_takes_the_steps_before_the_last(bumps):
    X, y = bumps
    clf = DistilledPrefixClassifier(
        teacher=flat_teacher(), student="fcn", max_epochs=2, random_state=0
    ).fit(X, y)
    features = clf.teacher_.embed(X)
    assert features.shape == (60, 40)
    np.testing.assert_allclose(clf.teacher_.predict_proba(X).sum(1), 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("student", "earliness", "least"),
    [
        ("rocket", 0.3, 0.94),
        ("inception", 0.3, 0.94),
        pytest.param(
            "inception",
            0.2,
            0.84,
            marks=pytest.mark.xfail(
                strict=False,
                reason="0.838 over seeds 0 to 6, 0.842 over three with direct convolutions: the "
                "bound lies within the spread; see docs/results/main-job.md",
            ),
        ),
        pytest.param(
            "rocket",
            0.2,
            0.84,
            marks=pytest.mark.xfail(
                strict=False,
                reason="0.816, though its AUC-PRC is larger; see docs/results/main-job.md",
            ),
        ),
    ],
)
def test_gunpoint(gunpoint, student, earliness, least):
    scores = []
    for seed in range(3):
        clf = GDPDClassifier(student=student, earliness=earliness, random_state=seed)
        start = time.process_time()
        clf.fit(gunpoint.X, gunpoint.y)
        assert time.process_time() - start < 60
        scores.append(clf.score(gunpoint.X_test, gunpoint.y_test))
    assert np.mean(scores) >= least, scores


@pytest.mark.slow
@pytest.mark.parametrize("name", ["italy", "basic_motions", "Coffee"])
def test_no_special_settings_are_needed_to_match_a_logistic_regression(request, name):
    if name == "Coffee":
        parts = request.getfixturevalue("archive")(name)
    else:
        parts = request.getfixturevalue(name)
    clf = GDPDClassifier(earliness=0.3, random_state=0).fit(parts.X, parts.y)
    k = clf.prefix_length_
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    linear.fit(parts.X[:, :, :k].reshape(len(parts.X), -1), parts.y)
    plain = linear.score(parts.X_test[:, :, :k].reshape(len(parts.X_test), -1), parts.y_test)
    assert clf.score(parts.X_test, parts.y_test) >= plain - 0.03


@pytest.mark.slow
@pytest.mark.parametrize(("student", "least"), [("inception", 0.04), ("rocket", 0.01)])
def test_unlabelled_series_are_worth_points_on_italy_power_demand(italy, student, least):
    numbers = np.unique(italy.y_test, return_inverse=True)[1]
    gains = []
    for seed in range(3):
        scored, recorded = stratified_split(numbers, 0.5, seed)
        X_test, y_test = italy.X_test[scored], italy.y_test[scored]
        labels_only = PrefixClassifier(student, earliness=0.4, random_state=seed)
        labels_only.fit(italy.X, italy.y)
        alone = labels_only.predict_proba(X_test)
        clf = GDPDClassifier(student=student, earliness=0.4, random_state=seed)
        more = clf.fit(italy.X, italy.y, X_unlabeled=italy.X_test[recorded]).predict_proba(X_test)
        gains.append(macro_auc_prc(y_test, more) - macro_auc_prc(y_test, alone))
    assert np.mean(gains) >= least, gains


def test_prefix_classifier_takes_a_sktime_transformer_as_earliness(gunpoint):
    from sktime.transformations.panel.truncation import TruncationTransformer

    clf = PrefixClassifier(
        "fcn", earliness=TruncationTransformer(upper=45), max_epochs=3, random_state=0
    ).fit(gunpoint.X, gunpoint.y)
    same = clone(clf).set_params(earliness=0.3).fit(gunpoint.X, gunpoint.y)
    X = gunpoint.X_test
    np.testing.assert_array_equal(clf.predict_proba(X), same.predict_proba(X))
    np.testing.assert_array_equal(clf.predict_proba(X[:, :, :45]), same.predict_proba(X))

"""The search that trains candidates together: the same results as one after the other."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, ParameterGrid, StratifiedKFold

from skgdpd import (
    DiffusionFeaturePrior,
    GDPDClassifier,
    LabeledFolds,
    PrefixClassifier,
    SharedGridSearchCV,
    TrainingOptions,
)
from skgdpd.datasets import make_bumps
from skgdpd.nets.lstm import LSTM
from skgdpd.nets.rocket import Rocket

CV = StratifiedKFold(2, shuffle=True, random_state=0)
GRID = {
    "lambda_kd": [0.0, 0.3, 3.0],
    "warmup_epochs": [0, 2],
    "lr": [3e-3],
    "training__weight_decay": [0.0, 0.1],
}


@pytest.fixture(scope="module")
def data():
    X, y = make_bumps(60, 30, noise=0.3, random_state=0)
    return X, np.array(["no", "yes"])[y]


def gdpd(degradation="learned-alpha", encoder="autoencoder", **settings):
    prior = DiffusionFeaturePrior(encoder=encoder, degradation=degradation, max_epochs=2)
    defaults = {
        "teacher": "lstm1-8",
        "student": "lstm1-8",
        "prior": prior,
        "max_epochs": 6,
        "batch_size": 8,
        "earliness": 0.5,
        "random_state": 0,
        "device": "cpu",
    }
    return GDPDClassifier().set_params(**{**defaults, **settings})


def largest_gap(estimator, grid, X, y, **settings):
    """Largest difference of any number of any history from separate fits."""
    search = SharedGridSearchCV(estimator, grid, cv=CV, refit=False, together=True, **settings)
    search.fit(X, y)
    gap = 0.0
    for candidate, histories in zip(ParameterGrid(grid), search.histories_, strict=True):
        for (train, _), ours in zip(CV.split(X, y), histories, strict=True):
            alone = clone(estimator).set_params(**candidate).fit(X[train], y[train]).history_
            assert list(ours) == list(alone)
            assert ours.n_epochs == alone.n_epochs
            assert ours.best_epoch == alone.best_epoch
            assert ours.warmup_epochs == alone.warmup_epochs
            assert ours.n_validation == alone.n_validation
            gap = max(gap, *(np.abs(ours[name] - alone[name]).max() for name in alone))
    return gap, search


def test_members_learn_what_they_learn_alone(data):
    gap, search = largest_gap(gdpd(), GRID, *data)
    assert search.n_together_ == 24
    assert gap < 1e-4


@pytest.mark.parametrize(
    "settings",
    [
        {"degradation": "linear-gaussian", "encoder": "pca"},
        {"class_weight": "balanced", "hinton_weight": 1.0, "training__lr_schedule": "cosine"},
        {"training__early_stopping": 1, "lr": 0.01},
        *(
            pytest.param(settings, marks=pytest.mark.slow)
            for settings in (
                {"degradation": "none", "encoder": "identity"},
                {"n_posterior_samples": 3, "objective": "logmeanexp"},
                {
                    "training__optimizer": "adam",
                    "training__lr_schedule": "halving-per-batch",
                    "training__weight_averaging": 0.0,
                },
                {
                    "batch_size": 100,
                    "training__validation_fraction": 0.0,
                    "training__lr_schedule": "constant",
                },
                {"student": "lstm2-32", "training__early_stopping": 1, "lr": 0.01},
            )
        ),
    ],
    ids=lambda s: "-".join(map(str, s.values())),
)
def test_every_setting_agrees(data, settings):
    grid = {"lambda_kd": [0.3, 1.0], "warmup_epochs": [0, 3]}
    gap, search = largest_gap(gdpd(**settings), grid, *data)
    assert search.n_together_ == 8
    assert gap < 1e-4


def test_series_of_unequal_length_agree(data):
    X, y = data
    lengths = np.random.default_rng(0).integers(20, 31, len(X))
    ragged = X.astype(float).copy()
    ragged[np.broadcast_to(np.arange(30) >= lengths[:, None, None], X.shape)] = np.nan
    grid = {"lambda_kd": [0.3, 1.0, 3.0, 10.0]}
    gap, search = largest_gap(gdpd(earliness=0.8), grid, ragged, y)
    assert search.n_together_ == 8
    assert gap < 1e-4


def test_a_mixture_prior_agrees(data):
    prior = DiffusionFeaturePrior("gmm", degradation="learned-alpha")
    grid = {"lambda_kd": [0.3, 1.0], "random_state": [0, 1]}
    gap, search = largest_gap(gdpd(prior=prior), grid, *data)
    assert search.n_together_ == 8
    assert gap < 1e-4


def test_early_stopping_is_each_member_s_own(data):
    grid = {"lr": [1e-5, 3e-3], "lambda_kd": [0.1, 1.0]}
    estimator = gdpd(
        max_epochs=16,
        training=TrainingOptions(early_stopping=1, lr_schedule="constant"),
        warmup_epochs=2,
    )
    gap, search = largest_gap(estimator, grid, *data)
    lengths = {history.n_epochs for fold in search.histories_ for history in fold}
    assert len(lengths) > 1, "all stopped at once: nothing was tested"
    assert gap < 1e-4


def test_a_warm_up_that_ends_later_does_not_touch_the_others(data):
    X, y = data
    few, many = (
        SharedGridSearchCV(gdpd(), {"warmup_epochs": n}, cv=CV, refit=False, together=True).fit(
            X, y
        )
        for n in ([1], [1, 3, 5])
    )
    for one, other in zip(few.histories_[0], many.histories_[0], strict=True):
        np.testing.assert_allclose(one["loss"], other["loss"], atol=1e-5)


def test_students_of_labels_alone_train_together(data):
    estimator = PrefixClassifier("lstm1-8", max_epochs=4, random_state=0, device="cpu")
    gap, search = largest_gap(
        estimator, {"lr": [1e-3, 1e-2], "training__weight_decay": [0, 1]}, *data
    )
    assert search.n_together_ == 8
    assert gap < 1e-4


@pytest.mark.parametrize(
    "settings",
    [
        {},
        *(
            pytest.param(settings, marks=pytest.mark.slow)
            for settings in (
                {"degradation": "linear-gaussian", "encoder": "pca"},
                {"training__validation_fraction": 0.2, "training__early_stopping": 1, "lr": 0.03},
                {"training__weight_averaging": 0.0, "hinton_weight": 1.0},
            )
        ),
    ],
    ids=lambda s: "-".join(map(str, s.values())) or "default",
)
def test_rockets_train_together(data, settings):
    grid = {"lambda_kd": [0.3, 1.0], "warmup_epochs": [0, 3]}
    gap, search = largest_gap(gdpd(**{"student": "rocket", **settings}), grid, *data)
    assert search.n_together_ == 8
    assert gap < 1e-4


def test_rockets_of_labels_alone_train_together(data):
    estimator = PrefixClassifier("rocket", max_epochs=4, random_state=0, device="cpu")
    gap, search = largest_gap(
        estimator, {"lr": [1e-3, 1e-2], "training__weight_decay": [0, 1]}, *data
    )
    assert search.n_together_ == 8
    assert gap < 1e-4


@pytest.mark.slow
def test_rockets_beside_forests_train_together(data):
    grid = {"lambda_kd": [0.3, 1.0], "warmup_epochs": [0, 3]}
    gap, search = largest_gap(gdpd(student="rocket-quant"), grid, *data)
    assert search.n_together_ == 8
    assert gap < 1e-4


def test_rockets_of_unequal_length_agree(data):
    X, y = data
    ragged = X.astype(float).copy()
    ragged[::3, :, 20:] = np.nan
    grid = {"lambda_kd": [0.3, 1.0, 3.0]}
    gap, search = largest_gap(gdpd(student="rocket", earliness=0.8), grid, ragged, y)
    assert search.n_together_ == 6
    assert gap < 1e-4


def test_rocket_beside_inception_agrees(data):
    estimator = gdpd(student="hybrid", max_epochs=2, lr=1e-4)
    gap, search = largest_gap(estimator, {"lambda_kd": [0.3, 1.0]}, *data)
    assert search.n_together_ == 4
    assert gap < 1e-4


def test_rockets_trained_together_predict_as_those_trained_alone(data):
    X, y = data
    grid = {"lambda_kd": [0.3, 3.0], "warmup_epochs": [1, 2]}
    scores = [
        SharedGridSearchCV(
            gdpd(student="rocket"), grid, cv=CV, together=together, scoring="neg_log_loss"
        )
        .fit(X, y)
        .cv_results_["mean_test_score"]
        for together in (True, False)
    ]
    np.testing.assert_allclose(*scores, atol=1e-5)


def test_a_fold_s_fixed_features_are_computed_once(data, monkeypatch):
    computed = []
    fit_fixed = Rocket.fit_fixed

    def counted(self, x, *args):
        computed.append(len(x))
        return fit_fixed(self, x, *args)

    monkeypatch.setattr(Rocket, "fit_fixed", counted)
    grid = {"lambda_kd": [0.3, 1.0], "warmup_epochs": [0, 3]}
    SharedGridSearchCV(gdpd(student="rocket"), grid, cv=CV, refit=False).fit(*data)
    assert len(computed) == 2
    del computed[:]
    SharedGridSearchCV(gdpd(student="rocket"), {"random_state": [0, 1]}, cv=CV, refit=False).fit(
        *data
    )
    assert len(computed) == 4


def test_convolutions_agree_too_in_short_trainings(data):
    estimator = gdpd(student="fcn", max_epochs=2, lr=1e-4)
    gap, search = largest_gap(estimator, {"lambda_kd": [0.3, 1.0]}, *data)
    assert search.n_together_ == 4
    assert gap < 1e-4


def test_unlabelled_series_are_in_every_fold(data):
    X, y = data
    X, y = np.concatenate([X, X[:20] + 0.1]), np.concatenate([y, np.full(20, "?")])
    cv = LabeledFolds(CV, unlabeled="?")
    grid = {"lambda_kd": [0.3, 1.0]}
    estimator = gdpd(unlabeled="?")
    search = SharedGridSearchCV(estimator, grid, cv=cv, refit=False, together=True).fit(X, y)
    assert search.n_together_ == 4
    train, _ = next(cv.split(X, y))
    alone = clone(estimator).set_params(lambda_kd=1.0).fit(X[train], y[train]).history_
    ours = search.histories_[1][0]
    assert ours.n_unlabeled == 20
    for name in alone:
        np.testing.assert_allclose(ours[name], alone[name], atol=1e-4)


def test_a_fold_that_would_score_unlabelled_series_is_refused(data):
    X, y = data
    marked = np.where(np.arange(len(y)) % 3 == 0, "?", y)
    search = SharedGridSearchCV(gdpd(unlabeled="?"), {"lambda_kd": [1.0]}, cv=2)
    with pytest.raises(ValueError, match=r"y has missing labels .*: \d+ of 30, .*LabeledFolds"):
        search.fit(X, marked)
    missing = np.where(np.arange(len(y)) % 3 == 0, np.nan, np.arange(len(y)) % 2)
    for cv in (2, None):
        search = SharedGridSearchCV(gdpd(), {"lambda_kd": [1.0]}, cv=cv)
        with pytest.raises(ValueError, match=r"y has missing labels: .*LabeledFolds"):
            search.fit(X, missing)
    with pytest.raises(ValueError, match="X_unlabeled can't be given to a search"):
        SharedGridSearchCV(gdpd(), {"lambda_kd": [1.0]}, cv=2).fit(X, y, X_unlabeled=X[:20])


class Dropping(LSTM):
    def forward(self, x, lengths=None):
        return torch.nn.functional.dropout(super().forward(x, lengths), 0.5, self.training)


@pytest.mark.parametrize(
    "settings",
    [
        {"degradation": "matched-noise", "encoder": "pca"},
        {"prior_trainable": True},
        {"student": lambda n_channels, n_timepoints: Dropping(n_channels, 4, 1)},
        {"training__precision": "bf16"},
    ],
    ids=["matched-noise", "trainable", "dropout", "bf16"],
)
def test_what_cannot_be_batched_is_trained_alone_bit_for_bit(data, settings):
    gap, search = largest_gap(gdpd(**settings), {"lambda_kd": [0.3, 1.0]}, *data)
    assert search.n_together_ == 0
    assert gap == 0


def test_other_parameters_make_groups(data):
    X, y = data
    grid = {"student": ["lstm1-8", "lstm2-32"], "earliness": [0.3, 0.5], "lambda_kd": [0.1, 1.0]}
    search = SharedGridSearchCV(gdpd(), grid, cv=CV, refit=False).fit(X, y)
    assert search.n_together_ == 16


@pytest.fixture(scope="module")
def both(data):
    X, y = data
    grid = {"lambda_kd": [0.1, 3.0], "warmup_epochs": [1, 3]}
    settings = {"cv": CV, "scoring": ["accuracy", "neg_log_loss"], "refit": "neg_log_loss"}
    estimator = gdpd(max_epochs=5)
    return [
        kind(estimator, grid, return_train_score=True, **settings).fit(X, y)
        for kind in (GridSearchCV, SharedGridSearchCV)
    ]


def test_results_are_those_of_grid_search(both, data):
    theirs, ours = both
    assert list(theirs.cv_results_) == list(ours.cv_results_)
    for name, values in theirs.cv_results_.items():
        if name.endswith("_time"):
            assert (ours.cv_results_[name] >= 0).all()
        elif name == "params" or name.startswith("param_"):
            assert list(values) == list(ours.cv_results_[name])
        elif "score" in name or "loss" in name or "accuracy" in name:
            np.testing.assert_allclose(values, ours.cv_results_[name], atol=1e-4)
    assert theirs.best_params_ == ours.best_params_
    assert theirs.best_index_ == ours.best_index_
    assert theirs.best_score_ == pytest.approx(ours.best_score_, abs=1e-4)
    assert theirs.n_splits_ == ours.n_splits_
    assert theirs.multimetric_ == ours.multimetric_
    assert theirs.scorer_.keys() == ours.scorer_.keys()


def test_fitted_attributes_are_those_of_grid_search(both):
    theirs, ours = both
    extra = {"n_together_", "histories_"}
    assert {n for n in vars(ours) if n.endswith("_")} - extra == {
        n for n in vars(theirs) if n.endswith("_")
    }


def test_the_best_one_is_refitted_on_everything(both, data):
    X = data[0]
    theirs, ours = both
    assert type(ours.best_estimator_) is GDPDClassifier
    assert ours.best_estimator_.get_params()["memory"] is None
    np.testing.assert_array_equal(theirs.predict_proba(X), ours.predict_proba(X))
    np.testing.assert_array_equal(theirs.predict(X), ours.predict(X))
    np.testing.assert_array_equal(theirs.classes_, ours.classes_)
    assert ours.n_features_in_ == theirs.n_features_in_


def test_clones_and_representations_work():
    search = SharedGridSearchCV(gdpd(), {"lr": [1e-3]}, together=False, max_together=3)
    again = clone(search)
    assert again.together is False
    assert again.max_together == 3
    assert "SharedGridSearchCV" in repr(again)


def test_the_parameters_of_the_estimator_stay(data):
    estimator = gdpd(random_state=None, max_epochs=2)
    search = SharedGridSearchCV(estimator, {"lr": [1e-3, 1e-2]}, cv=CV).fit(*data)
    assert estimator.random_state is None
    assert estimator.memory is None
    assert search.estimator is estimator
    assert search.n_together_ == 4


def test_random_states_and_threads_are_left_as_found(data):
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()  # noqa: NPY002
    SharedGridSearchCV(gdpd(max_epochs=2), {"lr": [1e-3, 1e-2]}, cv=CV, refit=False).fit(*data)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert before[2] == torch.get_num_threads()


def test_the_same_seed_gives_the_same_bits(data):
    X, y = data
    one, other = (
        SharedGridSearchCV(gdpd(max_epochs=3), {"lr": [1e-3, 1e-2]}, cv=CV).fit(X, y)
        for _ in range(2)
    )
    for a, b in zip(one.histories_, other.histories_, strict=True):
        for left, right in zip(a, b, strict=True):
            np.testing.assert_array_equal(left["loss"], right["loss"])


def test_a_failing_candidate_gets_the_error_score(data):
    X, y = data
    grid = {"warmup_epochs": [1, 99]}
    search = SharedGridSearchCV(gdpd(max_epochs=3), grid, cv=CV, refit=False)
    with pytest.warns(Warning, match=r"fits failed|non-finite"):
        search.fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert np.isnan(scores[1])
    assert not np.isnan(scores[0])
    with pytest.raises(ValueError, match="warmup_epochs=99"):
        SharedGridSearchCV(gdpd(max_epochs=3), grid, cv=CV, error_score="raise").fit(X, y)


def test_scorers_see_the_classifier_and_the_series(data):
    seen = []

    def scorer(estimator, X, y):
        seen.append((type(estimator), X.shape[1:]))
        return float((estimator.predict(X) == y).mean())

    X, y = data
    SharedGridSearchCV(gdpd(max_epochs=2), {"lr": [1e-3]}, cv=CV, scoring=scorer).fit(X, y)
    assert set(seen) == {(GDPDClassifier, X.shape[1:])}


def test_wrong_arguments_are_named(data):
    with pytest.raises(TypeError, match=r"estimator=.*GridSearchCV"):
        SharedGridSearchCV(LogisticRegression(), {"C": [1]}).fit(*data)
    with pytest.raises(ValueError, match="'together'"):
        SharedGridSearchCV(gdpd(), {"lr": [1]}, together="perhaps").fit(*data)
    with pytest.raises(ValueError, match="'max_together'"):
        SharedGridSearchCV(gdpd(), {"lr": [1]}, max_together=0).fit(*data)


def test_teacher_and_prior_are_fitted_once_a_fold(data, monkeypatch):
    from skgdpd._teachers import teacher as _teacher

    fits = []
    original = _teacher.fit_network_teacher
    monkeypatch.setattr(
        _teacher, "fit_network_teacher", lambda *args: fits.append(1) or original(*args)
    )
    SharedGridSearchCV(gdpd(max_epochs=2), {"lambda_kd": [0, 1]}, cv=CV, refit=False).fit(*data)
    assert len(fits) == 2


def test_small_parts_are_as_good_as_one(data):
    X, y = data
    grid = {"lambda_kd": [0.1, 1.0, 3.0]}
    whole, parts = (
        SharedGridSearchCV(gdpd(), grid, cv=CV, refit=False, together=True, max_together=n).fit(
            X, y
        )
        for n in (64, 2)
    )
    assert whole.n_together_ == parts.n_together_ == 6
    for a, b in zip(whole.histories_, parts.histories_, strict=True):
        np.testing.assert_allclose(a[0]["loss"], b[0]["loss"], atol=1e-5)


def test_networks_of_a_search_are_ready_to_predict_and_to_be_kept(data, tmp_path):
    import pickle

    X, y = data
    kept = []

    def scorer(estimator, X, y):
        kept.append(estimator)
        return 0.0

    SharedGridSearchCV(gdpd(max_epochs=2), {"lr": [1e-3, 1e-2]}, cv=CV, scoring=scorer).fit(X, y)
    for estimator in kept:
        again = pickle.loads(pickle.dumps(estimator))
        np.testing.assert_array_equal(again.predict_proba(X), estimator.predict_proba(X))
        assert not any(p.requires_grad for p in estimator.module_.parameters())
        storage = estimator.module_.head.weight.untyped_storage()
        assert storage.nbytes() < 10_000, "a member must not keep the others' weights alive"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("student", ["lstm1-8", "fcn"])
def test_members_agree_on_cuda(data, student):
    estimator = gdpd(student=student, device="cuda", max_epochs=3)
    gap, search = largest_gap(estimator, {"lambda_kd": [0.1, 1.0]}, *data)
    assert search.n_together_ == 4
    assert gap < 1e-3

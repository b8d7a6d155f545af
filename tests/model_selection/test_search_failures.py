"""What a search of ours does where something fails, and what it is given, is scikit-learn's."""

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from joblib import Memory
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from torch import nn

from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    GDPDClassifier,
    PrefixClassifier,
    PrefixTruncator,
    SharedGridSearchCV,
    TrainingOptions,
)
from skgdpd._model_selection import grid as _grid

CV = StratifiedKFold(2, shuffle=True, random_state=0)
SMALL = {"student": "lstm1-8", "max_epochs": 2, "batch_size": 16, "random_state": 0}
PRIOR = DiffusionFeaturePrior(encoder="pca", max_epochs=2)


class Failing(nn.Module):
    """A student that fails in its training, or is interrupted there."""

    n_features = 2

    def __init__(self, error):
        super().__init__()
        self.error = error
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x):
        if self.training and torch.is_grad_enabled():
            raise self.error("in the training")
        return self.weight * x[:, 0, :2]


def failing(n_channels, n_timepoints):
    return Failing(RuntimeError)


def interrupted(n_channels, n_timepoints):
    return Failing(KeyboardInterrupt)


def failing_teacher(n_channels, n_timepoints):
    raise RuntimeError("no teacher")


def both(estimator, grid, data, fit_params=None, **settings):
    """Fit scikit-learn's search and ours; compare results."""
    searches = []
    for kind, more in ((GridSearchCV, {}), (SharedGridSearchCV, {"together": False})):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            search = kind(estimator, grid, **{"cv": CV, **settings, **more})
            search.fit(*data, **(fit_params or {}))
        search.caught = sorted({w.category.__name__ for w in caught})
        searches.append(search)
    theirs, ours = searches
    assert list(ours.cv_results_) == list(theirs.cv_results_)
    for name, values in theirs.cv_results_.items():
        if not name.endswith("_time"):
            np.testing.assert_array_equal(ours.cv_results_[name], values, err_msg=name)
    for name in ("best_index_", "best_params_", "best_score_", "multimetric_"):
        assert hasattr(ours, name) == hasattr(theirs, name), name
        np.testing.assert_equal(getattr(ours, name, None), getattr(theirs, name, None), name)
    assert ours.caught == theirs.caught
    return theirs, ours


@pytest.mark.parametrize("scoring", [None, ["accuracy", "neg_log_loss"]], ids=str)
@pytest.mark.parametrize("error_score", [np.nan, -1.0])
@pytest.mark.parametrize(
    ("estimator", "grid"),
    [
        (PrefixClassifier(**SMALL), {"student": ["lstm1-8", failing]}),
        (PrefixClassifier(**SMALL), {"lr": [-1.0, 1e-3]}),
        (DistilledPrefixClassifier(**SMALL), {"teacher": [failing_teacher, "lstm1-8"]}),
    ],
    ids=["training", "parameter", "teacher"],
)
def test_a_fit_that_fails(bumps, estimator, grid, error_score, scoring):
    refit = False if scoring else True
    _, ours = both(estimator, grid, bumps, scoring=scoring, error_score=error_score, refit=refit)
    assert "FitFailedWarning" in ours.caught
    with pytest.raises((RuntimeError, ValueError)):
        SharedGridSearchCV(estimator, grid, cv=CV, error_score="raise").fit(*bumps)


def test_a_group_that_fails_leaves_the_others_alone(bumps, monkeypatch):
    original = _grid.train_batched

    def train_batched(runs):
        if runs[0].module.backbone.lstm.hidden_size == 8:
            raise MemoryError("too many")
        original(runs)

    monkeypatch.setattr(_grid, "train_batched", train_batched)
    grid = {"student": ["lstm1-8", "lstm2-32"], "lr": [1e-3, 1e-2]}
    search = SharedGridSearchCV(PrefixClassifier(**SMALL), grid, cv=CV, together=True)
    with pytest.warns(FitFailedWarning, match="MemoryError: too many"):
        with pytest.warns(UserWarning, match="non-finite"):
            search.fit(*bumps)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [True, False] * 2
    assert search.n_together_ == 4
    assert search.histories_[0] == [None, None]


def test_all_fits_fail(bumps):
    search = SharedGridSearchCV(PrefixClassifier(**SMALL), {"student": [failing]}, cv=CV)
    with pytest.raises(ValueError, match="All the 2 fits failed"):
        search.fit(*bumps)
    assert search.set_params(param_grid={"lr": [1e-3]}).fit(*bumps).best_index_ == 0


def failing_metric(estimator, X, y):
    raise RuntimeError("no score")


def two_numbers(estimator, X, y):
    found = accuracy_score(y, estimator.predict(X))
    return {"good": found, "bad": 1 - found}


def least(results):
    return int(np.argmin(results["mean_test_score"]))


def first(results):
    return 0


def least_bad(results):
    return int(np.argmin(results["mean_test_bad"]))


@pytest.mark.parametrize(
    "settings",
    [
        {"scoring": failing_metric, "refit": False},
        {"scoring": {"own": failing_metric, "acc": "accuracy"}, "refit": "acc"},
        {"scoring": two_numbers, "refit": "bad", "return_train_score": True},
        {"scoring": two_numbers, "refit": least_bad},
        {"scoring": two_numbers, "refit": False},
        {"refit": least},
        {"scoring": "neg_log_loss", "refit": False, "return_train_score": True},
        {"scoring": make_scorer(accuracy_score)},
    ],
    ids=lambda s: "-".join(getattr(v, "__name__", type(v).__name__) for v in s.values()),
)
@pytest.mark.parametrize("fails", [False, True])
def test_scores_of_any_kind(bumps, settings, fails):
    grid = {"lr": [1e-3, 0.1]} if not fails else {"student": ["lstm1-8", failing]}
    if fails and callable(settings.get("refit")):
        settings = {**settings, "refit": first}
    both(PrefixClassifier(**SMALL), grid, bumps, **settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"scoring": two_numbers}, "refit must be set"),
        ({"scoring": ["accuracy", "neg_log_loss"]}, "refit must be set"),
        ({"scoring": "speed"}, "scoring"),
        ({"refit": lambda results: 99}, "best_index_ index out of range"),
        ({"refit": lambda results: 0.5}, "best_index_ returned is not an integer"),
    ],
    ids=["callable", "list", "unknown", "range", "type"],
)
def test_what_scikit_learn_refuses_is_refused(bumps, settings, words):
    errors = []
    for kind in (GridSearchCV, SharedGridSearchCV):
        search = kind(PrefixClassifier(**SMALL), {"lr": [1e-3]}, cv=CV, **settings)
        with pytest.raises((ValueError, IndexError, TypeError), match=words) as error:
            search.fit(*bumps)
        errors.append(error.type)
    assert errors[0] is errors[1]


def test_weights_and_groups_without_routing(bumps):
    weight = np.linspace(0.1, 3, 60)
    groups = np.arange(60) // 6
    estimator = GDPDClassifier(**SMALL, prior=PRIOR)
    both(estimator, {"lambda_kd": [0.1, 1]}, bumps, {"sample_weight": weight})
    both(
        PrefixClassifier(**SMALL),
        {"lr": [1e-3, 0.1]},
        bumps,
        {"groups": groups, "sample_weight": weight},
        cv=GroupKFold(2),
    )


def test_weights_and_groups_by_routing(bumps):
    weight = np.linspace(0.1, 3, 60)
    groups = np.arange(60) // 6
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = PrefixClassifier(**SMALL).set_fit_request(sample_weight=True)
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        params = {"groups": groups, "sample_weight": weight}
        grid = {"lr": [1e-3, 0.1]}
        both(estimator, grid, bumps, params, cv=GroupKFold(2), scoring=scorer)
        unasked = SharedGridSearchCV(PrefixClassifier(**SMALL), grid, cv=2)
        with pytest.raises(ValueError, match="sample_weight"):
            unasked.fit(*bumps, sample_weight=weight)


def test_whole_series_of_the_teacher_are_cut_into_folds(bumps):
    X, y = bumps
    estimator = GDPDClassifier(**SMALL, prior=PRIOR)
    for whole in (X, list(X)):
        both(estimator, {"lambda_kd": [0.1, 1]}, (X[:, :, :12], y), {"X_teacher": whole})


@pytest.mark.parametrize("form", ["list", "frame", "table"])
def test_series_of_any_form(bumps, form):
    X, y = bumps
    forms = {
        "list": [x[:, : 30 + i % 11] for i, x in enumerate(X)],
        "frame": pd.DataFrame(X[:, 0], columns=[f"t{i}" for i in range(40)]),
        "table": X[:, 0],
    }
    labels = pd.Series(y, index=np.arange(60)[::-1]) if form == "frame" else list(y)
    both(PrefixClassifier(**SMALL), {"lr": [1e-3, 0.1]}, (forms[form], labels))


def test_groups_of_parameters_are_candidates(bumps):
    grid = {
        "training": [None, TrainingOptions(weight_averaging=0.0)],
        "series__resample_length": [None, 10],
    }
    _, ours = both(PrefixClassifier(**SMALL), grid, bumps)
    assert ours.estimator.training is None
    assert ours.cv_results_["param_training"][1].weight_averaging == 0.0


@pytest.mark.parametrize("state", [np.random.RandomState(3), None])
def test_a_random_state_that_is_no_int_is_drawn_from_once(bumps, state):
    """All candidates of a search have one seed, so that they share teachers; the user's stays."""
    drawn = []

    def scorer(estimator, X, y):
        drawn.append(estimator.random_state)
        return 1.0

    estimator = PrefixClassifier(**{**SMALL, "random_state": state})
    before = None if state is None else repr(state.get_state())
    for grid in ({"lr": [1e-3, 0.1]}, {"random_state": [state, 5]}):
        drawn.clear()
        SharedGridSearchCV(estimator, grid, cv=CV, scoring=scorer, refit=False).fit(*bumps)
        seeds = set(drawn) - {5}
        assert len(seeds) == 1
        assert all(isinstance(seed, int) for seed in seeds)
    other = PrefixClassifier(**SMALL)
    drawn.clear()
    grid = {"random_state": [state, 0]}
    SharedGridSearchCV(other, grid, cv=CV, scoring=scorer, refit=False).fit(*bumps)
    assert len(set(drawn)) == 2, "the candidate's own state, not the estimator's"
    if state is not None:
        assert repr(state.get_state()) == before


@pytest.mark.parametrize("together", [True, False])
def test_an_interrupt_ends_a_search(bumps, monkeypatch, together):
    X, y = bumps
    threads = torch.get_num_threads()
    before = torch.get_rng_state()
    grid = {"student": [interrupted], "lr": [1e-3, 0.1]}
    search = SharedGridSearchCV(PrefixClassifier(**SMALL), grid, cv=CV, together=together)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, y)
    assert not hasattr(search, "cv_results_")
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    search.set_params(param_grid={"lr": [1e-3, 0.1]})
    fresh = SharedGridSearchCV(PrefixClassifier(**SMALL), {"lr": [1e-3, 0.1]}, cv=CV)
    np.testing.assert_array_equal(
        search.fit(X, y).predict_proba(X), fresh.fit(X, y).predict_proba(X)
    )


def test_an_interrupted_score_ends_a_search(bumps):
    def scorer(estimator, X, y):
        raise KeyboardInterrupt

    search = SharedGridSearchCV(PrefixClassifier(**SMALL), {"lr": [1e-3]}, cv=CV, scoring=scorer)
    with pytest.raises(KeyboardInterrupt):
        search.fit(*bumps)


@pytest.mark.parametrize("together", [True, False])
def test_a_cache_and_checkpoints_change_no_result(bumps, tmp_path, together):
    X, y = bumps
    grid = {"lambda_kd": [0.1, 1.0]}
    plain = GDPDClassifier(**SMALL, prior=PRIOR)
    kept = GDPDClassifier(
        **SMALL,
        prior=PRIOR,
        memory=Memory(tmp_path / "memory", verbose=0),
        training=TrainingOptions(checkpoint_dir=tmp_path / "checkpoints"),
    )
    results = [
        SharedGridSearchCV(clf, grid, cv=CV, together=together).fit(X, y)
        for clf in (plain, kept, kept)
    ]
    for search in results[1:]:
        np.testing.assert_array_equal(
            search.cv_results_["mean_test_score"], results[0].cv_results_["mean_test_score"]
        )
        np.testing.assert_array_equal(search.predict_proba(X), results[0].predict_proba(X))
    assert list((tmp_path / "checkpoints").iterdir()) == []
    assert len(list((tmp_path / "memory").rglob("_fit_and_ask/*/output.pkl"))) == 3


def test_a_teacher_that_cannot_be_pickled_can_be_searched(bumps):
    def flat(n_channels, n_timepoints):
        return nn.Sequential(nn.Flatten(), nn.Linear(n_channels * n_timepoints, 3))

    for teacher in (flat, lambda c, t: flat(c, t)):
        estimator = DistilledPrefixClassifier(teacher=teacher, **SMALL)
        both(estimator, {"lr": [1e-3, 0.1]}, bumps)


def test_what_is_missing_is_named(bumps):
    X, _ = bumps
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        SharedGridSearchCV(PrefixClassifier(**SMALL), {"lr": [1e-3]}, cv=CV).fit(X)
    pipe = make_pipeline(PrefixTruncator(), PrefixClassifier(**SMALL))
    with pytest.raises(TypeError, match="must be a GDPDClassifier"):
        SharedGridSearchCV(pipe, {"prefixclassifier__lr": [1e-3]}, cv=2).fit(*bumps)
    with pytest.raises(ValueError, match="Invalid parameter 'weight_decay'"):
        SharedGridSearchCV(PrefixClassifier(**SMALL), {"weight_decay": [0]}, cv=2).fit(*bumps)


@pytest.mark.parametrize("where", ["fit", "search", "shared", "pipeline"])
def test_warnings_point_at_the_users_line(bumps, tmp_path, where):
    clf = DistilledPrefixClassifier(
        **{**SMALL, "random_state": None},
        memory=str(tmp_path),
        training=TrainingOptions(checkpoint_dir=tmp_path / "c"),
    )
    made = {
        "fit": clf,
        "search": GridSearchCV(clf, {"lr": [1e-3]}, cv=2),
        "shared": SharedGridSearchCV(clf.set_params(random_state=None), {"lr": [1e-3]}, cv=2),
        "pipeline": make_pipeline(PrefixTruncator(1.0), clf),
    }[where]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made.fit(*bumps)
    messages = {str(w.message).split(" is of no use")[0]: w.filename for w in caught}
    assert messages == {"memory": __file__, "checkpoint_dir": __file__}


def test_a_long_frame_is_refused_with_what_to_give_instead():
    rows = pd.MultiIndex.from_product([range(8), range(6)])
    long = pd.DataFrame({"pulse": np.arange(48.0)}, index=rows)
    search = SharedGridSearchCV(PrefixClassifier(**SMALL), {"lr": [0.01]}, cv=2)
    with pytest.raises(ValueError, match=r"48 rows for 8 series, .*skgdpd\.datasets\.from_long"):
        search.fit(long, [0, 1] * 4)

"""One way to fit a network: what is prepared, trained and finished by hand is a whole fit."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    GDPDClassifier,
    GenDDClassifier,
    GeneratorOptions,
    PrefixClassifier,
    SharedGridSearchCV,
    TrainingOptions,
)
from skgdpd._fitting.data import checked_series, loss_weights
from skgdpd._fitting.preparation import NetworkData, NetworkPlan, finish, prepare, train
from skgdpd._model_selection import grid as _grid
from skgdpd._runtime.random import Seeds
from skgdpd._series.panel import read_panel
from skgdpd.training import Progress, TrainingConfig


def dropping(n_channels, n_timepoints):
    """Make a student that draws from torch's global generator in every step."""
    return nn.Sequential(nn.Flatten(), nn.Linear(n_channels * n_timepoints, 8), nn.Dropout(0.4))


SMALL = {"max_epochs": 3, "batch_size": 16, "earliness": 0.5, "device": "cpu", "random_state": 0}
CLASSIFIERS = [
    PrefixClassifier(dropping, **SMALL),
    PrefixClassifier("rocket", **SMALL),
    DistilledPrefixClassifier(student=dropping, **SMALL),
    GDPDClassifier(
        "lstm1-8",
        student=dropping,
        prior=DiffusionFeaturePrior(degradation="linear-gaussian", max_epochs=2),
        **SMALL,
    ),
    GenDDClassifier(
        "lstm1-8",
        student=dropping,
        generator=GeneratorOptions(max_epochs=2),
        n_sampling_steps=4,
        **SMALL,
    ),
]


def name_of(classifier):
    return f"{type(classifier).__name__}-{getattr(classifier.student, '__name__', 'rocket')}"


def silent():
    return Progress(1, visible=False)


def prepared(classifier, X, y):
    classifier = clone(classifier)
    data = classifier._read_fit(X, y)
    return classifier, classifier._prepare(data, silent())


@pytest.fixture(scope="module")
def data(bumps):
    X, y = bumps
    panel = checked_series(read_panel(X), "X", "error")
    numbers = (y == "yes").astype(np.int64)
    return NetworkData(panel, numbers, None, np.arange(50), np.arange(50, 60), 2)


def plan(student=dropping, **config):
    config = {"max_epochs": 3, "batch_size": 16, "lr": "auto", "averaging_epochs": 5.0, **config}
    return NetworkPlan(student, "student", TrainingConfig(**config), "cpu", earliness=0.5)


def test_a_network_by_hand_is_the_classifier_s(bumps, data):
    X, y = bumps
    everything = NetworkData(data.panel, data.y, None, np.arange(60), np.arange(0), 2)
    preparation = prepare(plan(), everything, Seeds(0), Seeds(0)("student"))
    history = train(preparation)
    network = finish(preparation)
    clf = PrefixClassifier(dropping, training=TrainingOptions(validation_fraction=0), **SMALL)
    clf.fit(X, y)
    np.testing.assert_array_equal(network.probabilities(data.panel), clf.predict_proba(X))
    np.testing.assert_array_equal(history["loss"], clf.history_["loss"])
    assert (history.n_labeled, history.n_validation) == (60, 0)


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=name_of)
def test_a_fit_by_hand_is_a_whole_fit(bumps, classifier):
    X, y = bumps
    whole = clone(classifier).fit(X, y)
    clf, fit = prepared(classifier, X, y)
    torch.manual_seed(7)  # what happens in between has no effect
    history = train(fit.student)
    clf._finish(fit, history, silent())
    np.testing.assert_array_equal(clf.predict_proba(X), whole.predict_proba(X))
    for name in whole.history_:
        np.testing.assert_array_equal(clf.history_[name], whole.history_[name])
    assert clf.history_.best_epoch == whole.history_.best_epoch
    assert clf.history_.n_labeled == whole.history_.n_labeled
    assert set(vars(clf)) == set(vars(whole))


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=name_of)
def test_two_preparations_do_not_touch_each_other(bumps, classifier):
    X, y = bumps
    alone = [clone(classifier).set_params(random_state=seed).fit(X, y) for seed in (0, 1)]
    for order in ((0, 1), (1, 0)):
        fits = [prepared(clone(classifier).set_params(random_state=seed), X, y) for seed in (0, 1)]
        histories = {i: train(fits[i][1].student) for i in order}
        for i in reversed(order):
            clf, fit = fits[i]
            clf._finish(fit, histories[i], silent())
            np.testing.assert_array_equal(clf.predict_proba(X), alone[i].predict_proba(X))


def test_a_preparation_goes_through_a_pickle(data):
    preparation = prepare(plan(), data, Seeds(0), 1)
    copied = pickle.loads(pickle.dumps(preparation))
    found = [train(one)["loss"] for one in (preparation, copied)]
    np.testing.assert_array_equal(*found)


def test_what_a_preparation_holds(data):
    preparation = prepare(plan("rocket", max_epochs=8), data, Seeds(0), 1)
    assert len(preparation.rows) == 50
    assert len(preparation.valid_rows) == 10
    assert {"fixed", "y"} <= preparation.rows.tensors.keys()
    assert preparation.first_selected_epoch == 4
    assert preparation.warmup_epochs == 0
    assert preparation.device == torch.device("cpu")
    history = train(preparation)
    assert (history.n_labeled, history.n_unlabeled, history.n_validation) == (50, 0, 10)
    network = finish(preparation)
    assert network.view is preparation.view
    assert network.module is preparation.module
    assert not network.module.training
    assert not any(p.requires_grad for p in network.module.parameters())


def test_weights_depend_on_their_seed_alone(data):
    before = torch.get_rng_state()
    first, again, other = (prepare(plan(), data, Seeds(0), seed).module for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    weights = [module.backbone[1].weight for module in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_fixed_part_may_be_fitted_by_someone_else(data):
    seen = []

    def fit_fixed(module, rows, seed):
        seen.append(seed)
        return rows, None

    preparation = prepare(plan(), data, Seeds(0), 1, fit_fixed)
    assert seen == [Seeds(0)("fixed")]
    assert len(preparation.rows) == 50


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=name_of)
def test_candidates_of_a_search_are_those_of_scikit_learn(bumps, classifier):
    X, y = bumps
    grid = {"lr": [1e-3, 1e-2], "training__weight_decay": [0.0, 1.0]}
    settings = {"cv": 2, "scoring": "neg_log_loss", "error_score": "raise"}
    theirs = GridSearchCV(classifier, grid, **settings).fit(X, y)
    ours = SharedGridSearchCV(classifier, grid, together=False, **settings).fit(X, y)
    assert ours.n_together_ == 0
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(ours.cv_results_[name], theirs.cv_results_[name])
    assert ours.best_params_ == theirs.best_params_
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))


PICKLES = []


def pickling_scorer(estimator, X, y):
    PICKLES.append(pickle.dumps(estimator))
    return estimator.score(X, y)


@pytest.mark.parametrize("together", [True, False])
def test_a_search_can_be_pickled_at_any_time(bumps, monkeypatch, together):
    X, y = bumps
    clf = GDPDClassifier(
        "lstm1-8", student="lstm1-8", prior=CLASSIFIERS[3].prior, **{**SMALL, "max_epochs": 2}
    )
    search = SharedGridSearchCV(
        clf, {"lr": [1e-3, 1e-2]}, cv=2, together=together, scoring=pickling_scorer
    )
    trained = []

    def pickling(original):
        def wrapped(*args):
            again = pickle.loads(pickle.dumps(search))
            assert repr(again) == repr(search)
            trained.append(again)
            return original(*args)

        return wrapped

    for name in ("train", "train_batched"):
        monkeypatch.setattr(_grid, name, pickling(getattr(_grid, name)))
    PICKLES.clear()
    search.fit(X, y)
    assert len(trained) == (1 if together else 4)
    assert search.n_together_ == (4 if together else 0)
    for content in PICKLES:
        opened = pickle.loads(content)
        assert type(opened) is GDPDClassifier
        assert opened.predict_proba(X).shape == (60, 2)
    again = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(again.predict_proba(X), search.predict_proba(X))
    assert list(again.cv_results_) == list(search.cv_results_)


@pytest.mark.parametrize(
    "names", [["1", "2"], [1.2, 1.7], ["a", "b"], [-1, 1], [False, True]], ids=str
)
def test_a_class_weight_is_found_by_its_label(names):
    numbers = np.array([0, 1, 1, 0])
    args = numbers, np.array(names), np.arange(4)
    weight, by_class = loss_weights(*args, dict(zip(names, [3.0, 1.0], strict=True)), None)
    np.testing.assert_allclose(weight, [1.5, 0.5, 0.5, 1.5])
    np.testing.assert_allclose(by_class, [1.5, 0.5])
    one = loss_weights(*args, {names[0]: 3.0}, None)[0]
    np.testing.assert_array_equal(one, weight)

"""What fits share: a teacher, a prior and a warm-up for each training set, and no bit less."""

import copy
import warnings

import numpy as np
import pytest
import torch
from joblib import Memory
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from skgdpd import DiffusionFeaturePrior, DistilledPrefixClassifier, GDPDClassifier
from skgdpd._fitting.prior_model import PriorObjective
from skgdpd.distillers import GDPD, FitNets
from skgdpd.training.net import TermNet

# joblib's, when the disk is slow; it says nothing of us.
pytestmark = pytest.mark.filterwarnings("ignore:Persisting input arguments took:UserWarning")


def dropout_student(n_channels, n_timepoints):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(n_channels * n_timepoints, 8), nn.Dropout(0.4), nn.ReLU()
    )


N_EPOCHS = 10
PRIOR = DiffusionFeaturePrior(encoder="pca", max_epochs=3)
SMALL = {
    "student": dropout_student,
    "teacher": "lstm1-8",
    "max_epochs": N_EPOCHS,
    "random_state": 0,
    "prior": PRIOR,
    "batch_size": 32,
}


@pytest.fixture
def trained(monkeypatch):
    """Names of what was trained, one for each epoch."""
    epochs = []
    original = TermNet.next_epoch

    def count(net, X):
        objective = net.criterion_
        if isinstance(objective, PriorObjective):
            epochs.append("prior")
        elif objective.distillation is None:
            epochs.append("teacher")
        else:
            warm = net.epoch_ < objective.distillation.warmup_epochs
            epochs.append("warm-up" if warm else "student")
        original(net, X)

    monkeypatch.setattr(TermNet, "next_epoch", count)
    return epochs


def same_fit(one, two, X):
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    assert list(one.history_) == list(two.history_)
    for name in one.history_:
        np.testing.assert_array_equal(one.history_[name], two.history_[name])
    assert one.history_.best_epoch == two.history_.best_epoch


@pytest.mark.parametrize("warmups", [[0.4, 0.6], [0.6, 0.4]], ids=["rising", "falling"])
def test_a_grid_trains_each_thing_once_a_fold(bumps, tmp_path, trained, warmups):
    X, y = bumps
    clf = GDPDClassifier(**SMALL, memory=str(tmp_path))
    grid = {"lambda_kd": [0.1, 1, 10], "warmup_epochs": warmups}
    search = GridSearchCV(clf, grid, cv=2, refit=False).fit(X, y)
    assert trained.count("teacher") == 2 * N_EPOCHS
    assert trained.count("prior") == 2 * PRIOR.max_epochs
    assert trained.count("warm-up") == 2 * 6
    assert trained.count("student") == 2 * 3 * (4 + 6)
    assert len(search.cv_results_["params"]) == 6


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"training__early_stopping": 1, "lr": 0.05},
        {
            "training__weight_averaging": 0.0,
            "training__lr_schedule": "cosine",
            "class_weight": "balanced",
        },
        *(
            pytest.param(params, marks=pytest.mark.slow)
            for params in (
                {"prior": clone(PRIOR).set_params(degradation="matched-noise")},
                {"prior": clone(PRIOR).set_params(denoiser="gmm")},
                {"hinton_weight": 1.0},
                {
                    "training__lr_schedule": "halving-per-batch",
                    "training__optimizer": "adam",
                    "training__validation_fraction": 0.0,
                },
                {"student": "fcn", "prior_trainable": True},
                {"prior": clone(PRIOR).set_params(encoder="autoencoder")},
            )
        ),
    ],
    ids=lambda p: "-".join(p) or "plain",
)
def test_a_shared_warmup_changes_no_bit(bumps, tmp_path, trained, params):
    X, y = bumps
    clf = GDPDClassifier().set_params(**{**SMALL, **params})
    for warmup, lambda_kd, new in [(4, 1.0, 4), (0.7, 3.0, 3), (5, 0.1, 0), (0, 1.0, 0)]:
        own = clf.set_params(warmup_epochs=warmup, lambda_kd=lambda_kd)
        shared = clone(own).set_params(memory=str(tmp_path))
        own = clone(own).fit(X, y)
        trained.clear()
        same_fit(own, shared.fit(X, y), X)
        assert trained.count("warm-up") == new


@pytest.mark.slow
def test_random_warmups_start_from_the_nearest_before(bumps, tmp_path, trained):
    X, y = bumps
    clf = GDPDClassifier(**{**SMALL, "max_epochs": 40}, memory=str(tmp_path))
    seen = 0
    for warmup in (31, 11, 12, 30, 9, 35):
        fit = clone(clf).set_params(warmup_epochs=warmup).fit(X, y)
        assert trained.count("warm-up") - seen <= (31 if not seen else 4)
        seen = trained.count("warm-up")
        own = clone(clf).set_params(warmup_epochs=warmup, memory=None).fit(X, y)
        same_fit(own, fit, X)
        seen = trained.count("warm-up")


def test_what_changes_the_warmup_is_not_shared(bumps, tmp_path, trained):
    X, y = bumps
    clf = GDPDClassifier(**SMALL, memory=str(tmp_path), warmup_epochs=2).fit(X, y)
    others = [
        {"random_state": 1},
        {"earliness": 0.5},
        {"lr": 0.01},
        {"max_epochs": 12},
        {"hinton_weight": 1.0},
        {"hinton_weight": 2.0},
        {"class_weight": {"no": 2, "yes": 1}},
        {"student": "lstm2-32"},
        {"training__weight_averaging": 1.0},
    ]
    for params in others:
        trained.clear()
        clone(clf).set_params(**params).fit(X, y)
        assert trained.count("warm-up") == 2, params
    for data in [(X + 0.5, y), (X, y[::-1])]:
        trained.clear()
        clone(clf).fit(*data)
        assert trained.count("warm-up") == 2
    same = [{"lambda_kd": 5.0}, {"n_posterior_samples": 2}, {"objective": "logmeanexp"}]
    same += [
        {"prior": clone(PRIOR).set_params(n_sampling_steps=2)},
        {"training__early_stopping": 3},
    ]
    for params in same:
        trained.clear()
        clone(clf).set_params(**params).fit(X, y)
        assert trained.count("warm-up") == 0, params


def test_earliness_levels_share_teacher_and_prior(bumps, tmp_path, trained):
    X, y = bumps
    clf = GDPDClassifier(**SMALL, memory=str(tmp_path))
    for earliness in (0.2, 0.5, 20, 1.0):  # the two in the middle are the same view
        clone(clf).set_params(earliness=earliness).fit(X, y)
    assert trained.count("teacher") == N_EPOCHS
    assert trained.count("prior") == PRIOR.max_epochs
    assert trained.count("warm-up") == 3 * 5


def test_students_share_the_teacher_but_not_the_warmup(bumps, tmp_path, trained):
    X, y = bumps
    clf = GDPDClassifier(**SMALL, memory=str(tmp_path))
    for student in (dropout_student, "lstm1-8"):
        clone(clf).set_params(student=student).fit(X, y)
    assert trained.count("teacher") == N_EPOCHS
    assert trained.count("warm-up") == 2 * 5


def test_a_module_as_student_counts_by_its_weights(bumps, tmp_path, trained):
    X, y = bumps
    torch.manual_seed(0)
    student = dropout_student(1, 12)
    clf = GDPDClassifier(**{**SMALL, "student": student, "warmup_epochs": 3}, memory=str(tmp_path))
    clf.fit(X, y)
    trained.clear()
    clone(clf).set_params(student=copy.deepcopy(student), lambda_kd=2).fit(X, y)
    assert trained.count("warm-up") == 0
    with torch.no_grad():
        student[1].weight[0, 0] += 1
    clone(clf).set_params(student=student).fit(X, y)
    assert trained.count("warm-up") == 3


class WithLambda(nn.Module):
    def __init__(self, n_timepoints):
        super().__init__()
        self.linear = nn.Linear(n_timepoints, 4)
        self.squash = lambda x: torch.tanh(x)

    def forward(self, x):
        return self.squash(self.linear(x.flatten(1)))


def unpicklable_student(n_channels, n_timepoints):
    return WithLambda(n_channels * n_timepoints)


def test_a_network_that_cannot_be_recognised_trains_by_itself(bumps, tmp_path, trained):
    X, y = bumps
    clf = GDPDClassifier(**{**SMALL, "student": unpicklable_student})
    shared = clone(clf).set_params(memory=str(tmp_path))
    same_fit(clf.fit(X, y), shared.fit(X, y), X)
    trained.clear()
    clone(shared).set_params(lambda_kd=2).fit(X, y)
    assert trained.count("warm-up") == 5
    assert trained.count("teacher") == 0


def test_a_teacher_that_cannot_be_recognised_is_fitted_each_time(bumps, tmp_path, trained):
    X, y = bumps
    clf = GDPDClassifier(**{**SMALL, "teacher": lambda c, t: dropout_student(c, t)})
    own = clone(clf).fit(X, y)
    for _ in range(2):
        trained.clear()
        with pytest.warns(UserWarning, match="memory is of no use with teacher=<function") as got:
            shared = clone(clf).set_params(memory=str(tmp_path)).fit(X, y)
        assert [warning.filename for warning in got] == [__file__]
        same_fit(own, shared, X)
        assert trained.count("teacher") == N_EPOCHS


@pytest.mark.parametrize("distiller", [GDPD(PRIOR, warmup_epochs=4), FitNets()])
def test_other_distillers_share_if_their_warmup_is_labels_alone(
    bumps, tmp_path, trained, distiller
):
    X, y = bumps
    params = {k: v for k, v in SMALL.items() if k != "prior"}
    clf = DistilledPrefixClassifier(distiller, **params, memory=str(tmp_path))
    own = clone(clf).set_params(memory=None).fit(X, y)
    same_fit(own, clone(clf).fit(X, y), X)
    trained.clear()
    same_fit(own, clone(clf).fit(X, y), X)
    assert trained.count("warm-up") == (0 if isinstance(distiller, GDPD) else 5)


def test_a_damaged_or_mapped_cache_is_no_harm(bumps, tmp_path, trained):
    X, y = bumps
    memory = Memory(tmp_path, mmap_mode="r", verbose=0)
    clf = GDPDClassifier(**SMALL, memory=memory)
    own = clone(clf).set_params(memory=None).fit(X, y)
    same_fit(own, clone(clf).fit(X, y), X)
    same_fit(own, clone(clf).fit(X, y), X)
    for path in tmp_path.glob("**/_state_after/*/output.pkl"):
        path.write_bytes(path.read_bytes()[:100])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joblib says that it computes anew
        same_fit(own, clone(clf).fit(X, y), X)


def test_unlabelled_series_are_part_of_the_warmup(bumps, tmp_path, trained):
    X, y = bumps
    clf = GDPDClassifier(**SMALL, memory=str(tmp_path))
    own = clone(clf).set_params(memory=None).fit(X[:40], y[:40], X_unlabeled=X[40:])
    for lambda_kd in (1.0, 2.0):
        fit = clone(clf).set_params(lambda_kd=lambda_kd)
        fit.fit(X[:40], y[:40], X_unlabeled=X[40:])
        if lambda_kd == 1.0:
            same_fit(own, fit, X)
    assert trained.count("warm-up") == 5 + 5  # the one without a cache, and the shared one

"""Searches spread over processes: loky, dask and ray; the cache that they share.

Real processes, and real kills.
"""

import copy
import os
import pickle
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from killers import KilledInFit, KilledInWriting, LoggingTeacher, fits
from noting import OTHERS, Noting, note
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_validate

import skgdpd
from skgdpd import DiffusionFeaturePrior, GDPDClassifier, PrefixClassifier, config_context
from skgdpd._runtime.threads import in_worker, one_thread_in_workers

# What dask and ray warn of when they start and stop is not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")

HERE = Path(__file__).parent
PATH = os.pathsep.join(map(str, [Path(skgdpd.__file__).parents[1], HERE, HERE.parent]))
GRID = {"lambda_kd": [0.1, 10.0]}
BACKENDS = [
    "loky",
    pytest.param("dask", marks=pytest.mark.slow),
    pytest.param("ray", marks=pytest.mark.slow),
]


@contextmanager
def loky():
    with joblib.parallel_config("loky", n_jobs=2):
        yield


@pytest.fixture(scope="module")
def start_dask():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
    ):
        yield lambda X, y: joblib.parallel_config("dask", n_jobs=2, scatter=[X, y])


@pytest.fixture(scope="module")
def start_ray():
    ray = pytest.importorskip("ray")
    from ray.util.joblib import register_ray

    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": PATH}},
    )
    register_ray()
    restarts = {"max_restarts": 2, "max_task_retries": 2}
    yield lambda X, y: joblib.parallel_config("ray", n_jobs=2, ray_remote_args=restarts)
    ray.shutdown()


@pytest.fixture(params=BACKENDS)
def parallel(request):
    """A context of two worker processes, given the data."""
    if request.param == "loky":
        return lambda X, y: loky()
    return request.getfixturevalue(f"start_{request.param}")


def make_classifier(teacher=None, **params):
    prior = DiffusionFeaturePrior(encoder="pca", max_epochs=2)
    params = {"student": "lstm1-8", "max_epochs": 2, "random_state": 0, **params}
    return GDPDClassifier(teacher, prior=prior, **params)


def n_stored(memory):
    return len(list(Path(memory).rglob("_fit_and_ask/*/output.pkl")))


def test_a_parallel_search_gives_the_same_as_one_in_sequence(bumps, parallel):
    X, y = bumps
    clf = make_classifier()
    search = GridSearchCV(clf, GRID, cv=2, error_score="raise").fit(X, y)
    with parallel(X, y):
        spread = GridSearchCV(clf, GRID, cv=2, error_score="raise").fit(X, y)
    for key in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(spread.cv_results_[key], search.cv_results_[key])
    np.testing.assert_array_equal(spread.predict_proba(X), search.predict_proba(X))


def test_what_workers_fit_is_the_same_bit_for_bit(bumps, parallel):
    """A search refits in the process that it is called in; here the workers' own models count."""
    X, y = bumps
    settings = {"cv": 2, "return_estimator": True, "error_score": "raise"}
    alone = cross_validate(make_classifier(), X, y, **settings)["estimator"]
    with parallel(X, y):
        spread = cross_validate(make_classifier(), X, y, **settings)["estimator"]
    for one, other in zip(alone, spread, strict=True):
        np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


def threads_within_and_after():
    torch.set_num_threads(2)
    with one_thread_in_workers():
        within = torch.get_num_threads()
    after = torch.get_num_threads()
    torch.set_num_threads(1)
    return os.getpid(), in_worker(), within, after


def test_workers_train_with_one_thread_and_leave_it_as_found(bumps, parallel):
    with parallel(*bumps):
        assert not in_worker()
        found = joblib.Parallel()(joblib.delayed(threads_within_and_after)() for _ in range(2))
    for pid, *answers in found:
        assert pid != os.getpid()
        assert answers == [True, 1, 2]


def test_workers_have_the_settings_of_the_block_around_a_search(bumps, parallel):
    X, y = bumps
    clf = PrefixClassifier(Noting(), max_epochs=1, random_state=0)
    search = GridSearchCV(clf, {"lr": [1e-3] * 4}, cv=2, scoring=note, error_score="raise")
    for settings, mean in ((OTHERS, 1.0), ({}, 0.0)):
        with config_context(**settings), parallel(X, y):
            search.fit(X, y)
        np.testing.assert_array_equal(search.cv_results_["mean_test_score"], mean)


def test_workers_share_one_cache(bumps, parallel, tmp_path):
    X, y = bumps
    log = tmp_path / "log"
    clf = make_classifier(LoggingTeacher(str(log)), memory=str(tmp_path))
    search = GridSearchCV(clf, GRID, cv=2, error_score="raise")
    with parallel(X, y):
        search.fit(X, y)
        n_fits = len(fits(log))
        assert n_stored(tmp_path) == 3  # two folds and the refit
        assert n_fits <= 5  # two workers may both begin with one fold
        assert set(fits(log)) - {os.getpid()}
        again = clone(search).fit(X, y)
    assert len(fits(log)) == n_fits
    uncached = clone(search).set_params(estimator__memory=None).fit(X, y)
    for found in (search, again):
        np.testing.assert_array_equal(found.predict_proba(X), uncached.predict_proba(X))


@pytest.mark.slow
def test_a_search_survives_a_killed_worker_or_says_what_died(bumps, parallel, request, tmp_path):
    X, y = bumps
    log = tmp_path / "log"
    clf = make_classifier(KilledInFit(str(log)), memory=str(tmp_path))
    search = GridSearchCV(clf, GRID, cv=2, error_score="raise", refit=False)
    (tmp_path / "log.kill").touch()
    with parallel(X, y):
        if "loky" in request.node.name:
            with pytest.raises(Exception, match=r"SIGKILL\(-9\)") as error:
                search.fit(X, y)
            assert type(error.value).__name__ == "TerminatedWorkerError"
        search.fit(X, y)  # once more, on what the cache holds
    assert not (tmp_path / "log.kill").exists()
    uncached = clone(search).set_params(estimator__memory=None).fit(X, y)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], uncached.cv_results_["mean_test_score"]
    )


@pytest.mark.slow
def test_ray_without_restarts_says_what_died(bumps, start_ray, tmp_path):
    X, y = bumps
    clf = make_classifier(KilledInFit(str(tmp_path / "log")))
    (tmp_path / "log.kill").touch()
    with (
        joblib.parallel_config("ray", n_jobs=2),
        pytest.raises(Exception, match="its worker process has died"),
    ):
        GridSearchCV(clf, GRID, cv=2, error_score="raise").fit(X, y)


FIT = """
import os, sys
import numpy as np
import killers
from test_parallel import make_classifier

kind, folder, wait_for = sys.argv[1:]
data = np.load(f"{folder}/data.npz")
teacher = getattr(killers, kind)(f"{folder}/log", wait_for=int(wait_for))
clf = make_classifier(teacher, memory=f"{folder}/memory").fit(data["X"], data["y"])
np.save(f"{folder}/proba-{os.getpid()}.npy", clf.predict_proba(data["X"]))
"""


@pytest.fixture
def run_fit(bumps, tmp_path):
    """Start a process that fits with a cache in ``tmp_path / "memory"``."""
    np.savez(tmp_path / "data.npz", X=bumps[0], y=bumps[1])
    env = {**os.environ, "PYTHONPATH": PATH}

    def run(kind, wait_for=0):
        command = [sys.executable, "-c", FIT, kind, str(tmp_path), str(wait_for)]
        return subprocess.Popen(command, env=env)

    return run


@pytest.mark.slow
def test_two_processes_that_fit_the_same_teacher_at_once(bumps, run_fit, tmp_path):
    X, y = bumps
    both = [run_fit("LoggingTeacher", wait_for=2) for _ in range(2)]
    assert [process.wait(300) for process in both] == [0, 0]
    assert len(set(fits(tmp_path / "log"))) == 2  # neither found the other's
    assert n_stored(tmp_path) == 1
    log, memory = str(tmp_path / "log"), str(tmp_path / "memory")
    # The same parameters, for these are the cache's key.
    stored = make_classifier(LoggingTeacher(log, wait_for=2), memory=memory).fit(X, y)
    assert len(fits(log)) == 2
    fresh = make_classifier(LoggingTeacher(str(tmp_path / "other"))).fit(X, y)
    made = [np.load(path) for path in tmp_path.glob("proba-*.npy")]
    assert len(made) == 2
    for proba in (*made, stored.predict_proba(X)):
        np.testing.assert_array_equal(proba, fresh.predict_proba(X))


@pytest.mark.slow
def test_a_writer_killed_halfway_leaves_nothing_that_is_read(bumps, run_fit, tmp_path):
    X, y = bumps
    (tmp_path / "log.kill").touch()
    assert run_fit("KilledInWriting").wait(300) == -9
    halves = list((tmp_path / "memory").rglob("output.pkl*"))
    assert [half.stat().st_size > 1_000_000 for half in halves] == [True]
    assert n_stored(tmp_path) == 0
    clf = make_classifier(KilledInWriting(f"{tmp_path}/log"), memory=f"{tmp_path}/memory")
    clf.fit(X, y)
    assert len(fits(tmp_path / "log")) == 2
    assert n_stored(tmp_path) == 1
    found = clone(clf).fit(X, y)
    assert len(fits(tmp_path / "log")) == 2
    fresh = clone(clf).set_params(memory=None).fit(X, y)
    for made in (clf, found):
        np.testing.assert_array_equal(made.predict_proba(X), fresh.predict_proba(X))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_damaged_entry_is_computed_anew(bumps, tmp_path, share, caplog):
    """As after a power cut or on a full disk."""
    X, y = bumps
    log = str(tmp_path / "log")
    clf = make_classifier(LoggingTeacher(log), memory=str(tmp_path)).fit(X, y)
    for path in tmp_path.rglob("output.pkl"):
        os.truncate(path, int(share * path.stat().st_size))
    again = clone(clf).fit(X, y)
    assert len(fits(log)) == 2
    np.testing.assert_array_equal(clf.predict_proba(X), again.predict_proba(X))
    clone(clf).fit(X, y)
    assert len(fits(log)) == 2


class Flat(torch.nn.Module):
    """A backbone of a user's own."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(3))
        self.norm = torch.nn.BatchNorm1d(3)
        self.layers(torch.zeros(1, 1, 40))

    def forward(self, x):
        return self.norm(self.layers(x))


@pytest.mark.parametrize("kind", ["module", "frozen"])
def test_teachers_that_hold_tensors_are_found_by_copies(bumps, tmp_path, kind):
    """Every clone and every worker has a copy, which lies elsewhere in memory."""
    X, y = bumps
    teacher = Flat()
    if kind == "frozen":
        teacher = FrozenEstimator(PrefixClassifier("fcn", earliness=1.0, max_epochs=2).fit(X, y))
    clf = make_classifier(teacher, memory=str(tmp_path))
    made = [
        clone(clf).fit(X, y).predict_proba(X),
        copy.deepcopy(clf).fit(X, y).predict_proba(X),
        pickle.loads(pickle.dumps(clf)).fit(X, y).predict_proba(X),
    ]
    for proba in made[1:]:
        np.testing.assert_array_equal(proba, made[0])
    assert n_stored(tmp_path) == 1
    other = copy.deepcopy(clf)
    with torch.no_grad():
        inner = other.teacher.estimator.module_ if kind == "frozen" else other.teacher
        next(inner.parameters()).add_(1.0)
    other.fit(X, y)
    assert n_stored(tmp_path) == 2

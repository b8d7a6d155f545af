"""Threads of torch, and threads of Python."""

import inspect
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone

from skgdpd import DiffusionFeaturePrior, GDPDClassifier, PrefixClassifier, config_context
from skgdpd._runtime.threads import (
    SHARED_A_STEP,
    SHARED_AT_ONCE,
    SHARED_VECTORS,
    chosen_threads,
    in_worker,
    one_thread_in_workers,
    shared,
)
from skgdpd.datasets import make_bumps
from skgdpd.nets import make_backbone
from skgdpd.training import Progress
from skgdpd.training.net import TermNet

CPU = torch.device("cpu")
SMALL = {"student": "lstm1-8", "max_epochs": 3, "random_state": 0}


def threads_within_and_after():
    """As found, within a block, and after it, once torch has more threads than one."""
    torch.set_num_threads(2)
    with one_thread_in_workers():
        within = torch.get_num_threads()
    return in_worker(), within, torch.get_num_threads()


def test_outside_workers_nothing_changes():
    found = torch.get_num_threads()
    try:
        assert threads_within_and_after() == (False, 2, 2)
        with joblib.parallel_config(backend="loky", n_jobs=2):
            assert not in_worker()
    finally:
        torch.set_num_threads(found)


def test_a_worker_has_one_thread_and_then_as_many_as_before():
    run = joblib.Parallel(n_jobs=2)
    assert run(joblib.delayed(threads_within_and_after)() for _ in range(2)) == [(True, 1, 2)] * 2


def test_the_number_of_threads_is_restored_after_an_error():
    def fail():
        torch.set_num_threads(2)
        with pytest.raises(KeyboardInterrupt), one_thread_in_workers():
            raise KeyboardInterrupt
        return torch.get_num_threads()

    assert joblib.Parallel(n_jobs=2)([joblib.delayed(fail)()]) == [2]


class ThreadSpy(torch.nn.Module):
    """A backbone that notes how many threads it was trained with."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(12, 4)
        self.seen = set()

    def forward(self, x):
        if self.training:
            self.seen.add(torch.get_num_threads())
        return self.layer(x[:, 0, :12])


def fit_with_two_threads(clf, X, y):
    torch.set_num_threads(2)
    clf.fit(X, y)
    return clf.module_.backbone.seen, torch.get_num_threads()


@pytest.mark.parametrize(
    "clf",
    [
        PrefixClassifier(ThreadSpy(), max_epochs=2),
        GDPDClassifier(None, student=ThreadSpy(), max_epochs=4),
    ],
    ids=lambda clf: type(clf).__name__,
)
def test_classifiers_train_with_one_thread_in_a_worker(bumps, clf):
    run = joblib.Parallel(n_jobs=2)
    ((seen, after),) = run([joblib.delayed(fit_with_two_threads)(clf, *bumps)])
    assert seen == {1}
    assert after == 2


def fit_prior_with_two_threads(Z):
    seen = set()

    class Spy(Progress):
        def stage(self, name):
            seen.add(torch.get_num_threads())

    torch.set_num_threads(2)
    DiffusionFeaturePrior(max_epochs=2).fit(Z, progress=Spy(1, visible=False))
    return seen, torch.get_num_threads()


def test_a_prior_trains_with_one_thread_in_a_worker():
    Z = np.random.default_rng(0).normal(size=(30, 4)).astype("f4")
    run = joblib.Parallel(n_jobs=2)
    assert run([joblib.delayed(fit_prior_with_two_threads)(Z)]) == [({1}, 2)]


def test_the_decorator_hides_no_parameters():
    assert "sample_weight" in inspect.signature(PrefixClassifier.fit).parameters
    assert "progress" in str(inspect.signature(DiffusionFeaturePrior.fit))


def test_threads_of_one_process_do_not_disturb_one_another(bumps):
    """One set of torch's generators serves all of them."""
    X, y = bumps
    base = PrefixClassifier(**SMALL)
    alone = [clone(base).set_params(random_state=s).fit(X, y).predict_proba(X) for s in range(4)]
    before = torch.random.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        fits = [
            pool.submit(clone(base).set_params(random_state=s).fit, X, y)
            for s in [*range(4), *range(4)]
        ]
        together = [fit.result().predict_proba(X) for fit in fits]
    np.testing.assert_array_equal(together, alone + alone)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_forked_while_another_thread_trains_can_train():
    code = """
import os, signal, threading
import torch
from skgdpd.training.fitting import isolated_random_state

cpu, entered, leave = torch.device("cpu"), threading.Event(), threading.Event()

def hold():
    with isolated_random_state(0, cpu):
        entered.set()
        leave.wait()

threading.Thread(target=hold).start()
entered.wait()
pid = os.fork()
if not pid:
    signal.alarm(20)
    with isolated_random_state(0, cpu):
        os._exit(7)
status = os.waitpid(pid, 0)[1]
leave.set()
assert os.waitstatus_to_exitcode(status) == 7, status
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


# The number that suits a network


@pytest.fixture
def two_threads():
    found = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(found)


def test_small_recurrent_networks_keep_to_one_thread_and_large_batches_are_shared():
    small, wide = make_backbone("lstm2-32", 1, 100), make_backbone("lstm3-100", 1, 100)
    convolutional = make_backbone("fcn", 1, 100)
    assert not shared(small, (16, 1, 100))
    assert shared(small, (64, 1, 100))
    # Steps of a recurrent network can't be run at once: its length is of no account.
    assert not shared(small, (16, 1, 100_000))
    assert not shared(wide, (1, 1, 100))
    assert shared(wide, (16, 1, 100))
    assert shared(convolutional, (1, 1, 100))
    assert not shared(convolutional, (1, 1, 5))


def test_work_is_counted_as_weights_times_rows_times_points():
    linear = torch.nn.Linear(10, 10, bias=False)
    assert shared(linear, (SHARED_VECTORS // 100, 10))
    assert not shared(linear, (SHARED_VECTORS // 100 - 1, 10))
    assert shared(linear, (SHARED_AT_ONCE // 1000, 1, 10))
    recurrent = torch.nn.RNN(5, 5, bias=False)
    assert shared(recurrent, (SHARED_A_STEP // 50, 5, 7))
    assert not shared(recurrent, (SHARED_A_STEP // 50 - 1, 5, 7))


@pytest.mark.usefixtures("two_threads")
def test_threads_are_given_back_also_after_an_error():
    small, large = make_backbone("lstm1-8", 1, 10), make_backbone("fcn", 1, 10)
    with chosen_threads(small, (1, 1, 10), CPU):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with chosen_threads(large, (64, 1, 100), CPU):
        assert torch.get_num_threads() == 2
    with pytest.raises(KeyboardInterrupt), chosen_threads(small, (1, 1, 10), CPU):
        raise KeyboardInterrupt
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_nothing_is_chosen_elsewhere_than_on_the_cpu_and_where_it_is_switched_off():
    small = make_backbone("lstm1-8", 1, 10)
    with chosen_threads(small, (1, 1, 10), torch.device("meta")):
        assert torch.get_num_threads() == 2
    with config_context(choose_threads=False), chosen_threads(small, (1, 1, 10), CPU):
        assert torch.get_num_threads() == 2
    with chosen_threads(small, (1, 1, 10), CPU):
        assert torch.get_num_threads() == 1


class Watching(torch.nn.Module):
    """Counts the threads that it is run on."""

    n_features = 2

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))
        self.seen = set()

    def forward(self, x):
        self.seen.add((self.training, torch.get_num_threads()))
        return x[:, 0, :2] * self.weight


@pytest.mark.usefixtures("two_threads")
def test_fits_and_predictions_use_what_is_chosen(bumps):
    X, y = bumps
    clf = PrefixClassifier(lambda c, t: Watching(), max_epochs=1, random_state=0).fit(X, y)
    seen = clf.module_.backbone.seen
    assert (True, 1) in seen
    assert (True, 2) not in seen
    seen.clear()
    clf.predict(X)
    assert seen == {(False, 1)}
    with config_context(choose_threads=False):
        seen = clf.fit(X, y).module_.backbone.seen
    assert (True, 2) in seen
    assert (True, 1) not in seen
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_the_choice_is_part_of_no_model(bumps):
    X, y = bumps
    clf = PrefixClassifier("lstm1-8", max_epochs=2, random_state=0)
    first = clf.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), first)
    with config_context(choose_threads=False):
        np.testing.assert_allclose(clf.fit(X, y).predict_proba(X), first, rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("n", [40, pytest.param(300, marks=pytest.mark.slow)])
def test_a_default_fit_on_a_small_set_trains_on_one_thread(n, monkeypatch):
    """Two threads gain nothing there, and beside other programs they cost minutes."""
    counts = []
    make_gradients = TermNet._make_gradients

    def counted(self, batch):
        counts.append(torch.get_num_threads())
        return make_gradients(self, batch)

    monkeypatch.setattr(TermNet, "_make_gradients", counted)
    X, y = make_bumps(n, 60, random_state=0)
    prior = DiffusionFeaturePrior(encoder="autoencoder", degradation="learned-alpha", max_epochs=1)
    GDPDClassifier(prior=prior, max_epochs=2, random_state=0).fit(X, y)
    assert set(counts) == {1}
    assert torch.get_num_threads() == 2

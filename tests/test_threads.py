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

from skgdpd import DiffusionFeaturePrior, GDPDClassifier, PrefixClassifier
from skgdpd._threads import in_worker, one_thread_in_workers
from skgdpd.training import Progress

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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_forked_while_another_thread_trains_can_train():
    code = """
import os, signal, threading
import torch
from skgdpd.training import isolated_random_state

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

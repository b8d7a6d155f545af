"""Streams beyond one process: nothing is lost, and nothing is answered twice, when one dies."""

import importlib.util
import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from stream_workers import Died, Worker, drive

from skgdpd import EarlyClassifier, PrefixClassifier, load
from skgdpd.datasets import make_bumps

CUTS = [0, 8, 20, 30, 41, 50]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    X, y = make_bumps(n_samples=60, random_state=0)
    classifier = PrefixClassifier(
        "lstm1-8", earliness=[0.2, 0.4, 0.6, 0.8, 1.0], max_epochs=2, random_state=0
    )
    path = tmp_path_factory.mktemp("workers") / "early.zip"
    EarlyClassifier(classifier, rule="threshold", cv=2, random_state=0).fit(X, y).save(path)
    return path


def serve(model, path, pipe):
    worker = Worker(model, path)
    while True:
        method, arguments = pipe.recv()
        pipe.send(getattr(worker, method)(*arguments))


class InProcess:
    """Worker in a process of its own."""

    def __init__(self, model, path):
        multiprocessing.set_forkserver_preload(["skgdpd"])  # imported once for all
        context = multiprocessing.get_context("forkserver")
        self.pipe, far = context.Pipe()
        self.process = context.Process(target=serve, args=(model, path, far), daemon=True)
        self.process.start()
        far.close()

    def call(self, method, *arguments):
        try:
            self.pipe.send((method, arguments))
            return self.pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise Died from error

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()


def check(model, start, n):
    X = np.asarray(make_bumps(n_samples=n, random_state=3)[0])
    names = [f"s{i}" for i in range(n)]
    answers, n_deaths = drive(start, X, names, CUTS, save_after=1, kill_after=3)
    assert n_deaths == 1
    expected = load(model).decide(X)
    assert set(answers) == set(names)
    for i, name in enumerate(names):
        probabilities = tuple(expected.probabilities[i].tolist())
        assert answers[name] == [[int(expected.labels[i]), probabilities]]


@pytest.mark.slow
def test_a_killed_process_goes_on_from_its_file(model, tmp_path):
    check(model, lambda number: InProcess(model, tmp_path / f"{number}.zip"), 400)


@pytest.mark.slow
def test_a_killed_process_of_ten_thousand_series_goes_on(model, tmp_path):
    check(model, lambda number: InProcess(model, tmp_path / f"{number}.zip"), 10_000)


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="needs ray")
def test_a_killed_actor_goes_on_from_its_file(model, tmp_path):
    import ray

    class InActor:
        def __init__(self, path):
            self.actor = ray.remote(num_cpus=0)(Worker).remote(model, path)

        def call(self, method, *arguments):
            try:
                return ray.get(getattr(self.actor, method).remote(*arguments))
            except ray.exceptions.RayActorError as error:
                raise Died from error

        def kill(self):
            ray.kill(self.actor)

    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parents[1])])  # so that actors find their class
    ray.init(
        num_cpus=4,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}},
    )
    try:
        check(model, lambda number: InActor(tmp_path / f"{number}.zip"), 10_000)
    finally:
        ray.shutdown()

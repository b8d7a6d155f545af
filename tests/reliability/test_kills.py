"""Processes that are killed at moments that nobody chose: what they had written is whole."""

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter

import numpy as np
import pytest
from small_fits import FITS, NEW, QUICK, X, Y, save_for_ever, train

from skgdpd import PrefixClassifier, load

if sys.platform == "win32":
    pytest.skip("Windows has no SIGKILL", allow_module_level=True)

multiprocessing.set_forkserver_preload(["skgdpd", "torch._dynamo"])  # imported once for all


@contextlib.contextmanager
def process_of(target, *arguments):
    """Run a function in a process that has said that it begins; it is killed in the end."""
    context = multiprocessing.get_context("forkserver")
    near, far = context.Pipe()
    process = context.Process(target=target, args=(*arguments, far), daemon=True)
    process.start()
    far.close()
    try:
        assert near.recv() == "begins"
        yield near
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.join()


def results(path):
    with np.load(path) as file:
        return dict(file)


def train_to_the_end(folder, out):
    """Fit in a process of its own; return the results and the seconds."""
    with process_of(train, folder, out) as pipe:
        begin = time.monotonic()
        assert pipe.recv() == "ends"
        seconds = time.monotonic() - begin
    return results(out), seconds


@pytest.mark.parametrize("n", [1, pytest.param(100, marks=pytest.mark.slow)])
def test_a_killed_fit_goes_on_to_the_same_bits(tmp_path, promise, n):
    out = tmp_path / "out.npz"
    own, seconds = train_to_the_end(tmp_path / "own", out)
    in_teacher, later = "in the teacher's training, gone on to equal bits", "later, the same"
    rng, found, tries = np.random.default_rng(n), Counter({in_teacher: 0, later: 0}), 0
    while sum(found.values()) < n:
        folder = tmp_path / f"{tries}"
        tries += 1
        assert tries < 3 * n + 5
        out.unlink(missing_ok=True)
        wait = seconds * rng.random()
        with process_of(train, folder, out) as pipe:
            if pipe.poll(wait):
                continue  # it ended
        written = list(folder.glob("*.checkpoint"))
        resumed, _ = train_to_the_end(folder, out)
        assert resumed.keys() == own.keys()
        for name in own:
            np.testing.assert_array_equal(resumed[name], own[name])
        assert list(folder.glob("*.checkpoint")) == []
        found[in_teacher if len(written) <= 1 else later] += 1
    promise(
        "A fit with `checkpoint_dir` whose process is killed at any moment goes on, when called "
        "again, and ends with the bits of a fit that was not killed.",
        "processes killed by SIGKILL",
        found,
    )


@pytest.mark.parametrize("n", [3, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("form", ["file", "folder"])
def test_a_killed_save_leaves_a_whole_model(tmp_path, promise, form, n):
    other = PrefixClassifier("fcn24", **QUICK)
    models = [model.fit(X, Y) for model in (FITS["lstm1-8"], other)]
    told = [model.predict_proba(NEW) for model in models]
    path = tmp_path / "model"
    if form == "folder":
        path.mkdir()
    models[0].save(path)
    outcomes = ["leaving the old model", "leaving the new one"]
    rng, found = np.random.default_rng(n), Counter(dict.fromkeys(outcomes, 0))
    for _ in range(n):
        with process_of(save_for_ever, models, path):
            time.sleep(0.05 * rng.random())
        answers = load(path).predict_proba(NEW)
        (which,) = [i for i in range(2) if np.array_equal(answers, told[i])]
        found[outcomes[which]] += 1
    promise(
        "A save whose process is killed leaves the old model or the new one, whole.",
        "saves into files and folders, killed by SIGKILL",
        found,
    )

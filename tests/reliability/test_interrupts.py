"""SIGINT at any moment of a fit: it reaches the caller, and nothing is left behind."""

import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import numpy as np
import pytest
from small_fits import NEW, X, Y, killable
from states import global_state

if sys.platform == "win32":
    pytest.skip("Windows has no SIGINT for one process", allow_module_level=True)

PROMISE = (
    "SIGINT (Ctrl-C) during a fit reaches the caller as KeyboardInterrupt, leaves the process as "
    "it was, and the next fit has the bits of one that was not interrupted."
)
PROGRAM = """
import numpy as np
from small_fits import NEW, X, Y, killable

own = killable().fit(X, Y).predict_proba(NEW)
print("begins", flush=True)
try:
    while True:
        killable().fit(X, Y)
except KeyboardInterrupt:
    np.testing.assert_array_equal(killable().fit(X, Y).predict_proba(NEW), own)
    print("interrupted", flush=True)
"""


KEPT = "kept the promise"
IGNORED = "ignored by Python, in a destructor"


def interrupted(call, seconds):
    """Call a function and send SIGINT meanwhile; return what it did to the call, None for nothing.

    Python ignores exceptions in destructors and the like, but tells its hook of them.
    """
    ignored, hook = [], sys.unraisablehook
    sys.unraisablehook = lambda told: (
        ignored.append(told) if told.exc_type is KeyboardInterrupt else hook(told)
    )
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    is_in_call = False
    try:
        timer.start()  # it may already come here
        is_in_call = True
        call()
        is_in_call = False
        timer.join()
        time.sleep(1)  # it comes here at the latest
    except KeyboardInterrupt:
        return KEPT if is_in_call else None
    finally:
        sys.unraisablehook = hook
    assert ignored, "the interrupt was lost"
    return IGNORED


@pytest.mark.parametrize("n", [6, pytest.param(100, marks=pytest.mark.slow)])
def test_an_interrupt_at_any_moment_of_a_fit(promise, n):
    importlib.import_module("torch._dynamo")  # the first optimizer does; sympy adds a filter
    own = killable().fit(X, Y).predict_proba(NEW)
    begin = time.perf_counter()
    killable().fit(X, Y)
    seconds = time.perf_counter() - begin
    rng, found = np.random.default_rng(n), Counter()
    for _ in range(20 * n):
        clf = killable()
        before = global_state()
        what = interrupted(lambda clf=clf: clf.fit(X, Y), seconds * rng.random())
        if what is not None:
            found[what] += 1
        if what == KEPT:
            after = global_state()
            assert {key for key in before if before[key] != after[key]} == set()
            assert not hasattr(clf, "network_")
            np.testing.assert_array_equal(clf.fit(X, Y).predict_proba(NEW), own)
        if found[KEPT] == n:
            break
    assert found[KEPT] == n
    promise(PROMISE, "interrupts at random moments", found)


@pytest.mark.slow
def test_an_interrupt_of_a_process(promise):
    rng = np.random.default_rng(0)
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            text=True,
        ) as program:
            assert program.stdout.readline() == "begins\n"
            time.sleep(rng.random())
            program.send_signal(signal.SIGINT)
            assert program.stdout.read() == "interrupted\n"
        assert program.returncode == 0
    promise(PROMISE, "interrupts of processes of their own", {KEPT: 5})

"""Memory: a fit that can't have it says so, and many fits and points take no more than few."""

import os
import re
import subprocess
import sys

import pytest

if sys.platform != "linux":
    pytest.skip("sizes of processes are read as on Linux", allow_module_level=True)

HELPERS = """
import resource
from pathlib import Path

def megabytes(field="VmRSS"):
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024

def limit(room):
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + room, -1))
"""

REFUSED = """
import sys
import numpy as np
from skgdpd import GDPDClassifier, PrefixClassifier
from small_fits import NEW, X, Y, killable

fits = {
    "rocket": lambda: PrefixClassifier("rocket", random_state=0),
    "mixed": lambda: PrefixClassifier(random_state=0),
    "network": lambda: PrefixClassifier("fcn", batch_size=4096, max_epochs=1, random_state=0),
    "teacher": lambda: GDPDClassifier("fcn", batch_size=4096, max_epochs=1, random_state=0),
}
killable().fit(X, Y)
fits = {name: fits[name] for name in NAMES}
for fit in fits.values():
    fit().fit(X, Y)  # compiled before the limit
rng = np.random.default_rng(0)
large = rng.normal(size=(8000, 1, 1000)).astype(np.float32)
labels = np.arange(8000) % 2
own = killable().fit(X, Y).predict_proba(NEW)
limit(100 * 2**20)
for name, fit in fits.items():
    try:
        fit().fit(large, labels)
    except MemoryError as error:
        print(name, "MemoryError", str(error).replace(chr(10), " "))
np.testing.assert_array_equal(killable().fit(X, Y).predict_proba(NEW), own)
print("goes on")
"""


def run(program):
    """Run a program in a process of its own; return the lines that it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", HELPERS + program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "names",
    [
        ["network"],
        pytest.param(["rocket", "mixed", "network", "teacher"], marks=pytest.mark.slow),
    ],
)
def test_a_fit_without_memory_says_so(promise, names):
    *refused, last = run(f"NAMES = {names}\n{REFUSED}")
    assert [line.split()[:2] for line in refused] == [[name, "MemoryError"] for name in names]
    assert all(re.search("alloc|not enough memory", line, re.I) for line in refused), refused
    assert last == "goes on"
    promise(
        "A fit that can't have the memory that it needs raises MemoryError; the process goes on, "
        "and fits with the same bits as before. (Where the system lends more than it has, as "
        "Linux does unless told otherwise, it may kill a process instead.)",
        "fits on 8 000 series of 1 000 points with 100 MiB left",
        {"refused": len(refused)},
    )


FITS = """
import gc
from skgdpd import PrefixClassifier
from small_fits import X, Y

fits = {
    "rocket": lambda i: PrefixClassifier("rocket", random_state=i),
    "lstm1-8": lambda i: PrefixClassifier("lstm1-8", max_epochs=2, random_state=i),
}
for name, fit in fits.items():
    sizes = []
    for i in range(250 * N // 500):
        fit(i).fit(X, Y).predict(X)
        if i + 1 in (50 * N // 500, 250 * N // 500):
            gc.collect()
            sizes.append(megabytes())
    print(sizes[1] - sizes[0])
"""

PUSHES = """
import gc
import numpy as np
from small_fits import FITS, X, Y

session = FITS["early"].fit(X, Y).start(["a"], after_answer="restart")
rng, sizes = np.random.default_rng(0), []
points = rng.normal(size=(1, N)).astype(np.float32)
for i in range(N):
    session.push({"a": points[:, i : i + 1]})
    if i + 1 in (N // 5, N):
        gc.collect()
        sizes.append(megabytes())
print(sizes[1] - sizes[0])
"""
MOST = 16.0
"""Most megabytes that a process may grow by: pages that the system has not taken back yet."""


@pytest.mark.slow
def test_many_fits_take_no_more_memory_than_few(promise):
    grown = [float(line) for line in run(f"N = 500\n{FITS}")]
    assert max(grown) < MOST
    promise(
        "Fit after fit in one process does not take more and more memory.",
        "500 fits, a feature method's and a network's",
        f"the process grew by {max(max(grown), 0):.1f} MB from the 50th to the 250th of each",
    )


@pytest.mark.slow
def test_many_points_of_a_session_take_no_more_memory_than_few(promise):
    (grown,) = [float(line) for line in run(f"N = 100_000\n{PUSHES}")]
    assert grown < MOST
    promise(
        "A session whose series end and begin anew takes no more memory after many points.",
        "100 000 pushes",
        f"the process grew by {max(grown, 0):.1f} MB in the last four fifths",
    )


LARGE = """
import numpy as np
from scale import MemoryWatch
from skgdpd import PrefixClassifier
from small_fits import X, Y

clf = PrefixClassifier("lstm1-8", earliness=0.3, max_epochs=1, batch_size=256, random_state=0)
clf.fit(X, Y)
series = np.random.default_rng(0).normal(size=(20_000, 1, 500)).astype(np.float32)
with MemoryWatch() as watch:
    clf.fit(series, np.arange(20_000) % 2)
print(series.nbytes / 2**20, watch.growth["RssAnon"])
"""


@pytest.mark.slow
def test_a_fit_takes_memory_for_what_the_student_sees(promise):
    ((size, grown),) = [map(float, line.split()) for line in run(LARGE)]
    most = 100 + 2 * 0.3 * size
    assert grown < most
    promise(
        "A fit of a small network on an array takes at most 100 MB beside twice what the student "
        "sees in single precision.",
        "a fit of `lstm1-8` on the first 30 % of 20 000 series of 500 points",
        f"{grown:.0f} MB, of {most:.0f} MB",
    )

"""What an import of the package does: little, and nothing outside of the process."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, sys, time
import numpy, torch
import sklearn.linear_model, sklearn.model_selection, sklearn.pipeline

found = []
CHANGES = (
    "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate",
    "os.chmod", "os.utime", "os.fork", "os.exec", "os.system", "os.posix_spawn", "shutil.",
    "tempfile.", "subprocess.", "socket.", "urllib.", "http.", "ftplib.", "smtplib.",
)

def note(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if (isinstance(mode, str) and set(mode) & set("wax+")) or (flags or 0) & 3:
            found.append(f"open {path}")
    elif event.startswith(CHANGES):
        found.append(f"{event} {arguments}")

sys.addaudithook(note)
begin = time.process_time()
from skgdpd import EarlyClassifier, PrefixClassifier  # the first use of a name imports the rest
print(json.dumps([time.process_time() - begin, found]))
"""


def imported():
    """Return the processor time of an import beside torch and scikit-learn, and what it did."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.parametrize("n", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_an_import_reaches_nothing_outside_and_is_short(promise, n):
    runs = [imported() for _ in range(n)]
    for _, found in runs:
        assert found == []
    promise(
        "Importing the classifiers opens no connection, starts no process and writes no file (but "
        "for Python's own bytecode).",
        "imports",
        {"did none of it": n},
    )
    if n > 1:
        least = min(seconds for seconds, _ in runs)
        assert least < 1.5
        promise(
            "Importing the classifiers takes less than 1.5 s beside torch and scikit-learn.",
            f"{n} imports",
            f"{least:.2f} s of processor time in the quickest",
        )

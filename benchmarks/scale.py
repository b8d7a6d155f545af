"""Measure the memory and the time of a fit as the number of series grows.

Every fit runs in its own process, so that its memory is measured separately.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skgdpd import GDPDClassifier, PrefixClassifier
from skgdpd._estimators.gdpd import default_prior

N_TIMEPOINTS, N_CLASSES, CHUNK = 100, 4, 10_000
STUDENT, BATCH_SIZE, EARLINESS = "lstm1-8", 256, 0.3


def scale_table(sizes: Sequence[int], methods: Sequence[str], n_epochs: int, folder: str) -> str:
    """Fit from a memory-mapped ``.npy`` file of growing size.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of series. Each series has one channel and 100 time points.
    methods : sequence of {"prefix", "stream", "gdpd"}
        ``"prefix"`` has no teacher and one ``fit``; ``"stream"`` has no teacher and calls
        ``partial_fit`` with chunks of 10 000 series; ``"gdpd"`` has a teacher of the student's
        small architecture.
    n_epochs : int
        Number of epochs of each network.
    folder : str
        The folder of the data files, which are removed afterwards.

    Returns
    -------
    str
        A Markdown table: the seconds of the fit; the microseconds of processor time a series,
        which are the figure to compare where a machine does other things too; the seconds of
        each stage; and the megabytes by which the process grew, without and with the pages of
        the mapped file, which the system takes back when it needs them.
    """
    lines = [
        "| method | series | fit (s) | CPU, a series (µs) | student (s) | teacher (s) | prior (s) "
        "| own memory (MB) | with mapped pages (MB) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as here:
        for n in sizes:
            path = write_series(Path(here) / "X.npy", n)
            for method in methods:
                found = _in_a_process(method, path, n_epochs, here)
                stages = found["stages"]
                lines.append(
                    f"| {method} | {n:,} | {found['seconds']:.1f} "
                    f"| {1e6 * found['cpu'] / n:.1f} | {stages['student']:.1f} "
                    f"| {stages.get('teacher', 0):.1f} | {stages.get('preparation', 0):.1f} "
                    f"| {found['anonymous']:.0f} | {found['all']:.0f} |"
                )
            path.unlink()
    return "\n".join(lines)


def write_series(path: Path, n: int) -> Path:
    """Write noisy waves whose frequency is their class, chunk by chunk.

    Parameters
    ----------
    path : Path
        The ``.npy`` file to write.
    n : int
        Number of series.

    Returns
    -------
    Path
        The same path.
    """
    file = np.lib.format.open_memmap(path, "w+", np.float32, (n, 1, N_TIMEPOINTS))
    rng = np.random.default_rng(0)
    times = np.arange(N_TIMEPOINTS) / 10
    for start in range(0, n, CHUNK):
        rows = np.arange(start, min(start + CHUNK, n))
        waves = np.sin(times * (1 + rows[:, None] % N_CLASSES))
        file[rows, 0] = waves + rng.normal(size=waves.shape)
    file.flush()
    return path


def measure_fit(method: str, path: str, n_epochs: int) -> dict[str, Any]:
    """Fit from a file in this process.

    Parameters
    ----------
    method : {"prefix", "stream", "gdpd"}
        See :func:`scale_table`.
    path : str
        A ``.npy`` file of series.
    n_epochs : int
        Number of epochs of each network.

    Returns
    -------
    dict
        ``seconds``, ``cpu`` (seconds of processor time), ``stages`` (seconds by stage), and the
        growth of memory in megabytes: ``anonymous`` is the process's own, ``all`` has the pages
        of mapped files too.
    """
    X = np.load(path, mmap_mode="r")
    y = np.arange(len(X)) % N_CLASSES
    common: dict[str, Any] = {
        "earliness": EARLINESS,
        "max_epochs": n_epochs,
        "batch_size": BATCH_SIZE,
        "random_state": 0,
        "device": "cpu",
    }
    clf: Any = PrefixClassifier(STUDENT, **common)
    if method == "gdpd":
        prior = default_prior(max_epochs=1, batch_size=BATCH_SIZE)
        clf = GDPDClassifier(student=STUDENT, prior=prior, warmup_epochs=0, **common)
    few = clf.__class__(**{**clf.get_params(deep=False), "max_epochs": 1})
    few.fit(np.array(X[:64]), y[:64])  # a process's first fit has costs of its own
    with MemoryWatch() as watch:
        start, cpu = time.perf_counter(), time.process_time()
        if method == "stream":
            clf = PrefixClassifier(STUDENT, **common)
            for i in range(0, len(X), CHUNK):
                clf.partial_fit(X[i : i + CHUNK], y[i : i + CHUNK], classes=range(N_CLASSES))
        else:
            clf.fit(X, y)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {
        "seconds": seconds,
        "cpu": cpu,
        "stages": getattr(clf, "fit_seconds_", {"student": seconds}),
        "anonymous": watch.growth["RssAnon"],
        "all": watch.growth["VmRSS"],
    }


class MemoryWatch:
    """Context that measures the largest growth of this process's memory, on Linux.

    Attributes
    ----------
    growth : dict of str to float
        Megabytes. ``RssAnon`` is the process's own memory; ``VmRSS`` has the pages of mapped files
        too.
    """

    def __enter__(self) -> MemoryWatch:
        self.growth = {"RssAnon": 0.0, "VmRSS": 0.0}
        self._before = self._now()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            now = self._now()
            for name, most in self.growth.items():
                self.growth[name] = max(most, now[name] - self._before[name])
            if self._done.wait(0.01):
                return

    def _now(self) -> dict[str, float]:
        status = Path("/proc/self/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines())
        return {name: int(fields[name].split()[0]) / 1024 for name in self.growth}


def _in_a_process(method: str, path: Path, n_epochs: int, folder: str) -> dict[str, Any]:
    command = [sys.executable, __file__, method, str(path), str(n_epochs)]
    done = subprocess.run(
        command, env={**os.environ, "TMPDIR": folder}, check=True, capture_output=True, text=True
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


if __name__ == "__main__":
    print(json.dumps(measure_fit(sys.argv[1], sys.argv[2], int(sys.argv[3]))))

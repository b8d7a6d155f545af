"""Time sessions and the command for streams, and measure their memory.

    python benchmarks/streams.py

The program prints three tables: pushes of one point of all series, memory, and lines of the
command. Series have one channel and 200 points. The classifier is the default one with its 20
moments. All answers come at the last moment, so all points of each series are read. Everything
runs on one thread (``OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1``).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skgdpd import EarlyClassifier
from skgdpd.datasets import make_bumps
from skgdpd.stopping import FixedTime

LENGTH = 200


def fitted() -> EarlyClassifier:
    """Return the default classifier, fitted to 100 series, with answers at the end."""
    X, y = make_bumps(n_samples=100, n_timepoints=LENGTH, random_state=0)
    return EarlyClassifier(rule=FixedTime(-1), random_state=0).fit(X, y)


def series(n: int) -> NDArray[np.float64]:
    """Return ``n`` series, 100 of which differ."""
    X = make_bumps(n_samples=100, n_timepoints=LENGTH, random_state=1)[0]
    return np.resize(X.astype(np.float64), (n, 1, LENGTH))


def resident() -> float:
    """Return the memory that this process holds, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def children() -> float:
    """Return the processor time of the processes that were started and have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def push_table(early: EarlyClassifier, numbers: Sequence[int]) -> str:
    """Time pushes of one point of each series, in processor time.

    Parameters
    ----------
    early : EarlyClassifier
        Fitted estimator.
    numbers : sequence of int
        Numbers of series that are open at the same time.

    Returns
    -------
    str
        Markdown table.
    """
    lines = [
        "| series | push of | points a second | p50 (ms) | p99 (ms) | between moments (ms) "
        "| at a moment (ms) | memory a series (kB) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    moments = {int(t) for t in early.time_points_}
    for n in numbers:
        X = series(n)
        for kind in ("an array", "a dict"):
            before = resident()
            seconds: list[float] = []
            for _ in range(5 if n < 1000 else 1):  # a series has few points for a percentile
                session = early.start(n)
                for t in range(LENGTH):
                    points: Any = X[:, :, t : t + 1]
                    points = points if kind == "an array" else dict(enumerate(points))
                    start = time.process_time()
                    session.push(points)
                    seconds.append(time.process_time() - start)
            kilobytes = 1e3 * (resident() - before) / n
            took = np.array(seconds)
            reads = np.resize([t + 1 in moments for t in range(LENGTH)], len(took))
            rate = n * len(took) / took.sum()
            figures = [np.median(took), np.quantile(took, 0.99)]
            figures += [np.median(took[~reads]), np.median(took[reads])]
            text = " | ".join(f"{1e3 * value:.3g}" for value in figures)
            memory = f"{kilobytes:.0f}" if n >= 1000 else ""
            lines.append(f"| {n} | {kind} | {rate:,.0f} | {text} | {memory} |")
            del session
    return "\n".join(lines)


def growth_table(early: EarlyClassifier, n_points: int) -> str:
    """Measure the memory of a session over time, while series end and new ones begin.

    Parameters
    ----------
    early : EarlyClassifier
        Fitted estimator.
    n_points : int
        Number of points in all.

    Returns
    -------
    str
        Markdown table.
    """
    n = 100
    X, session = series(n), early.start(n, after_answer="restart")
    lines = ["| points | memory (MB) |", "|---|---|"]
    n_pushes = n_points // n
    for step in range(n_pushes):
        session.push(X[:, :, step % LENGTH : step % LENGTH + 1])
        if (step + 1) % max(n_pushes // 5, 1) == 0:
            lines.append(f"| {(step + 1) * n:,} | {resident():.1f} |")
    return "\n".join(lines)


def command_table(early: EarlyClassifier, numbers: Sequence[int]) -> str:
    """Measure the processor time of the command on a file of lines, without its start.

    Parameters
    ----------
    early : EarlyClassifier
        Fitted estimator.
    numbers : sequence of int
        Numbers of series, whose points are interleaved.

    Returns
    -------
    str
        Markdown table.
    """
    lines = ["| series | lines a second |", "|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        model, path = Path(folder) / "early.zip", Path(folder) / "points.jsonl"
        early.save(model)

        def seconds(content: str) -> float:
            path.write_text(content)
            with path.open() as file:
                start = children()
                command = [sys.executable, "-m", "skgdpd", "stream", str(model)]
                subprocess.run(command, stdin=file, capture_output=True, check=True)
                return children() - start

        empty = min(seconds("") for _ in range(3))
        for n in numbers:
            X, repeats = series(n), max(1000 // n, 1)
            content = "".join(
                json.dumps({"id": f"{r}-{i}", "t": t, "values": [X[i, 0, t]]}) + "\n"
                for r in range(repeats)
                for t in range(LENGTH)
                for i in range(n)
            )
            rate = repeats * n * LENGTH / (seconds(content) - empty)
            lines.append(f"| {n} | {rate:,.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, nargs="+", default=[1, 100, 10_000])
    parser.add_argument(
        "--points", type=int, default=1_000_000, help="points in the table of memory"
    )
    options = parser.parse_args()
    early = fitted()
    session = early.start(1)
    session.push(series(1))  # loads the compiled code
    print(
        growth_table(early, options.points), flush=True
    )  # first: memory that is free hides growth
    print(f"\n{push_table(early, options.series)}", flush=True)
    print(f"\n{command_table(early, options.series)}")


if __name__ == "__main__":
    main()

"""Measure the size of saved students, and the times of saving and of loading them.

    python benchmarks/saving.py

Each student is fitted on GunPoint at 30 % for one epoch. Times are processor times, medians of
repeats in which the students take turns.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import skgdpd
from ratios import alternate
from skgdpd import PrefixClassifier
from skgdpd.datasets import load_gunpoint

STUDENTS = ("lstm1-8", "fcn24", "fcn", "inception", "tcn", "rocket", "rocket-quant", "mixed")


def saving_table(students: Sequence[str], repeats: int) -> str:
    """Return a Markdown table of file sizes and times."""
    X, y, _, _ = load_gunpoint()
    fitted = [
        PrefixClassifier(name, earliness=0.3, max_epochs=1, random_state=0).fit(X, y)
        for name in students
    ]
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{name}.zip") for name in students]
        savers = [lambda c=c, p=p: c.save(p) for c, p in zip(fitted, paths, strict=True)]
        loaders = [lambda p=p: skgdpd.load(p, device="cpu") for p in paths]
        saved = alternate(savers, repeats, time.process_time)
        loaded = alternate(loaders, repeats, time.process_time)
        sizes = [path.stat().st_size for path in paths]
    lines = ["| Student | File (kB) | Save (ms) | Load (ms) |", "|---|---|---|---|"]
    for name, size, *times in zip(students, sizes, saved, loaded, strict=True):
        save, load = (1e3 * statistics.median(each) for each in times)
        lines.append(f"| `{name}` | {size / 1e3:.0f} | {save:.1f} | {load:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", nargs="+", default=STUDENTS, metavar="NAME")
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    print(saving_table(options.students, options.repeats))


if __name__ == "__main__":
    main()

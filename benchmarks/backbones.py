"""Score every student that learns from labels alone, for the table of ``docs/choosing.md``.

    python benchmarks/backbones.py

The program prints the accuracy of each student and the processor seconds of its fit, as means over
three seeds.
"""

from __future__ import annotations

import time

import numpy as np

from skgdpd import PrefixClassifier
from skgdpd.datasets import TrainTest, load_gunpoint, load_italy_power_demand

STUDENTS = (
    "inception",
    "rocket",
    "rocket-quant",
    "mixed",
    "hybrid",
    "fcn",
    "fcn24",
    "resnet",
    "tcn",
    "lstm",
    "lstm2-32",
    "lstm1-8",
)
N_SEEDS = 3


def main() -> None:
    """Print a line for each student."""
    problems = [(load_gunpoint(), 0.3), (load_italy_power_demand(), 0.4)]
    for student in STUDENTS:
        cells = [cell(student, data, earliness) for data, earliness in problems]
        print(f"{student:12}", *cells, sep="  ", flush=True)


def cell(student: str, data: TrainTest, earliness: float) -> str:
    """Return mean and spread of a student's accuracy, and the seconds of a fit.

    Parameters
    ----------
    student : str
        Name of the backbone.
    data : TrainTest
        The data set.
    earliness : float
        The part of each series that the student sees.

    Returns
    -------
    str
    """
    start = time.process_time()
    scores = [
        PrefixClassifier(student, earliness=earliness, random_state=seed)
        .fit(data.X, data.y)
        .score(data.X_test, data.y_test)
        for seed in range(N_SEEDS)
    ]
    seconds = (time.process_time() - start) / N_SEEDS
    return f"{np.mean(scores):.3f} ± {np.std(scores):.3f}, {seconds:.1f} s"


if __name__ == "__main__":
    main()

"""The table of ``choosing.md``: accuracy and seconds of each student, labels only."""

import time

import numpy as np

from skgdpd import PrefixClassifier
from skgdpd.datasets import load_gunpoint, load_italy_power_demand

STUDENTS = [
    "inception",
    "rocket",
    "rocket-quant",
    "hybrid",
    "fcn",
    "fcn24",
    "resnet",
    "lstm",
    "lstm2-32",
    "lstm1-8",
]
PROBLEMS = [(load_gunpoint(), 0.3), (load_italy_power_demand(), 0.4)]

for student in STUDENTS:
    line = [f"{student:10}"]
    for data, part in PROBLEMS:
        start = time.process_time()
        scores = [
            PrefixClassifier(student, earliness=part, random_state=seed)
            .fit(data.X, data.y)
            .score(data.X_test, data.y_test)
            for seed in range(3)
        ]
        seconds = (time.process_time() - start) / 3
        line.append(f"{np.mean(scores):.3f} ± {np.std(scores):.3f}, {seconds:.1f} s")
    print(*line, sep="  ", flush=True)

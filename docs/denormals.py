"""Processor seconds of a penalised fit with and without numbers below the normal ones."""

import contextlib
import time
from unittest import mock

from sktime.datasets import load_gunpoint

from skgdpd import PrefixClassifier

PENALTIES = (1e-5, 1e-2, 1e-1)


def seconds(weight_decay: float, flushed: bool) -> float:
    """Of a fit to GunPoint's first half."""
    X, y = load_gunpoint("train", return_type="numpy3d")
    clf = PrefixClassifier(
        "lstm2-32", earliness=0.5, optimizer="adam", weight_decay=weight_decay, lr=0.01,
        lr_schedule="halving", weight_averaging=0, max_epochs=300, random_state=0,
    )  # fmt: skip
    kept = mock.patch("skgdpd.training.fitting.flushed_denormals", contextlib.nullcontext)
    with contextlib.nullcontext() if flushed else kept:
        start = time.process_time()
        clf.fit(X, y)
        return time.process_time() - start


if __name__ == "__main__":
    print("| penalty | kept (s) | taken as zero (s) |\n|---|---|---|")
    for penalty in PENALTIES:
        kept, flushed = (seconds(penalty, flag) for flag in (False, True))
        print(f"| {penalty:g} | {kept:.1f} | {flushed:.1f} |")

"""Time a fit with a strong penalty, with denormal numbers and with denormal numbers set to zero.

    python benchmarks/denormals.py

The program prints the processor seconds of fits to the first half of GunPoint's series.
"""

from __future__ import annotations

import contextlib
import time
from unittest import mock

from skgdpd import PrefixClassifier, TrainingOptions
from skgdpd.datasets import load_gunpoint

PENALTIES = (1e-5, 1e-2, 1e-1)


def main() -> None:
    """Print a row for each penalty."""
    print("| penalty | kept (s) | taken as zero (s) |\n|---|---|---|")
    for penalty in PENALTIES:
        kept, flushed = (seconds(penalty, flag) for flag in (False, True))
        print(f"| {penalty:g} | {kept:.1f} | {flushed:.1f} |")


def seconds(weight_decay: float, flushed: bool) -> float:
    """Return the processor seconds of a fit.

    Parameters
    ----------
    weight_decay : float
        Adam's L2 penalty.
    flushed : bool
        Whether denormal numbers are taken as zero.

    Returns
    -------
    float
    """
    data = load_gunpoint()
    clf = PrefixClassifier(
        "lstm2-32",
        earliness=0.5,
        lr=0.01,
        max_epochs=300,
        training=TrainingOptions(
            optimizer="adam",
            weight_decay=weight_decay,
            lr_schedule="halving",
            weight_averaging=0,
        ),
        random_state=0,
    )
    kept = mock.patch("skgdpd.training.fitting.flushed_denormals", contextlib.nullcontext)
    with contextlib.nullcontext() if flushed else kept:
        start = time.process_time()
        clf.fit(data.X, data.y)
        return time.process_time() - start


if __name__ == "__main__":
    main()

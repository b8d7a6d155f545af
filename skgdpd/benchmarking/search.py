"""What it takes to train the students of a grid together, against one after the other.

Teachers and priors are fitted once a fold in both, and left out of the times. Times are those of
the processor on a CPU, which other programs on the machine disturb least.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from .._deferred import OnceInMemory, put_off, train_alone
from .._gdpd import GDPDClassifier, default_prior
from ..datasets import make_bumps
from ..distillers.batched import train_batched
from ..distillers.batching import is_faster

LENGTH, N_BATCHES = 100, 3
N_EPOCHS = {"cpu": 12, "cuda": 40}
"""On CUDA a graph has to be captured first, as in any training."""


def search_table(
    backbones: Sequence[str],
    members: Sequence[int],
    batch_sizes: Sequence[int],
    repeats: int,
    device: str,
) -> str:
    """Time the students of a grid of lambda_kd, warm-ups and folds.

    Parameters
    ----------
    backbones : sequence of str
        Names.
    members : sequence of int
        Numbers of students; six on each fold.
    batch_sizes : sequence of int
        Series a step; the prefix has 30 time points.
    repeats : int
        Pairs of runs.
    device : str
        Where to run.

    Returns
    -------
    str
        A Markdown table: milliseconds that a student's step takes alone, how many times faster
        students are together, what ``together="auto"`` chooses, and how many students together
        cost in trainings of one.
    """
    lines = [
        "| student | batch | students | alone, ms a step | times faster | auto | single fits |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in backbones:
        for batch_size in batch_sizes:
            for n_members in members:
                alone, ratio, chosen = compare(name, batch_size, n_members, repeats, device)
                lines.append(
                    f"| `{name}` | {batch_size} | {n_members} | {alone:.1f} | {ratio:.2f} | "
                    f"{'together' if chosen else 'alone'} | {n_members / ratio:.1f} |"
                )
    return "\n".join(lines)


def compare(
    backbone: str, batch_size: int, n_members: int, repeats: int, device: str
) -> tuple[float, float, bool]:
    """Milliseconds of a student's step alone, times faster together, and whether auto does so."""
    memory = OnceInMemory()
    clock = time.perf_counter if torch.device(device).type == "cuda" else time.process_time

    def students() -> list[Any]:
        return _students(backbone, batch_size, n_members, device, memory)

    chosen = is_faster([student.run_ for student in students()])
    alone: list[float] = []
    together: list[float] = []
    for repeat in range(repeats + 1):
        pair = [
            _seconds(clock, _train_each, students()),
            _seconds(clock, _train_together, students()),
        ]
        if repeat:  # the first warms up
            alone.append(pair[0])
            together.append(pair[1])
    n_steps = n_members * N_EPOCHS[torch.device(device).type] * N_BATCHES
    ratios = [a / b for a, b in zip(alone, together, strict=True)]
    return 1e3 * statistics.median(alone) / n_steps, statistics.median(ratios), chosen


def _students(
    backbone: str, batch_size: int, n_members: int, device: str, memory: OnceInMemory
) -> list[Any]:
    X, y = make_bumps(N_BATCHES * batch_size * 5 // 4, LENGTH, random_state=0)
    prior = default_prior(max_epochs=1)
    n_epochs = N_EPOCHS[torch.device(device).type]
    warmups = (n_epochs // 2 - 1, n_epochs // 2 + 1)
    grid = [(lambda_kd, warmup) for lambda_kd in (0.1, 1.0, 10.0) for warmup in warmups]
    ready = []
    for i in range(n_members):
        lambda_kd, warmup = grid[i % len(grid)]
        classifier = GDPDClassifier(
            "lstm1-8",
            student=backbone,
            prior=prior,
            lambda_kd=lambda_kd,
            warmup_epochs=warmup,
            max_epochs=n_epochs,
            batch_size=batch_size,
            memory=memory,
            random_state=i // len(grid),
            device=device,
        )
        ready.append(put_off(classifier, memory).fit(X, y))
    return ready


def _train_each(ready: list[Any]) -> None:
    for student in ready:
        train_alone(student)


def _train_together(ready: list[Any]) -> None:
    train_batched([student.run_ for student in ready])


def _seconds(
    clock: Callable[[], float], program: Callable[[list[Any]], None], ready: list[Any]
) -> float:
    start = clock()
    program(ready)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - start

"""Time the students of a grid that are trained together, against training one after the other.

Teachers and priors are fitted once for each fold in both cases, and the times do not include them.
On a CPU, processor time is measured, because other programs on the machine affect it least.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from tempfile import TemporaryDirectory

import torch

from skgdpd import GDPDClassifier
from skgdpd._estimators.gdpd import default_prior
from skgdpd._fitting.preparation import Preparation, train
from skgdpd._model_selection.batched.groups import is_faster
from skgdpd._model_selection.batched.runs import run_of
from skgdpd._model_selection.batched.students import train_batched
from skgdpd.datasets import make_bumps
from skgdpd.training import Progress

LENGTH, N_BATCHES = 100, 3
N_EPOCHS = {"cpu": 12, "cuda": 40}
"""Number of epochs. On CUDA there are more of them, since a graph has to be captured first."""


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
        Names of the students' backbones.
    members : sequence of int
        Numbers of students. Six of them have the same fold.
    batch_sizes : sequence of int
        Numbers of series a step. The prefixes have 30 time points.
    repeats : int
        Number of pairs of runs; the median counts.
    device : str
        The device of the networks.

    Returns
    -------
    str
        A Markdown table: the milliseconds of a step of one student alone; how many times faster
        the students are together; what ``together="auto"`` chooses; and the cost of all students
        together, in trainings of a single one.
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
    """Time the students of one grid.

    Parameters
    ----------
    backbone : str
        Name of the students' backbone.
    batch_size : int
        Number of series a step.
    n_members : int
        Number of students.
    repeats : int
        Number of pairs of runs.
    device : str
        The device of the networks.

    Returns
    -------
    alone : float
        Milliseconds of a step of one student alone.
    ratio : float
        How many times faster the students are together.
    chosen : bool
        Whether ``together="auto"`` trains them together.
    """
    clock = time.perf_counter if torch.device(device).type == "cuda" else time.process_time

    with TemporaryDirectory() as folder:

        def students() -> list[Preparation]:
            return _students(backbone, batch_size, n_members, device, folder)

        return _compare(students, clock, n_members, repeats, device)


def _compare(
    students: Callable[[], list[Preparation]],
    clock: Callable[[], float],
    n_members: int,
    repeats: int,
    device: str,
) -> tuple[float, float, bool]:
    chosen = is_faster([run_of(student) for student in students()])
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
    backbone: str, batch_size: int, n_members: int, device: str, folder: str
) -> list[Preparation]:
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
            memory=folder,
            random_state=i // len(grid),
            device=device,
        )
        data = classifier._read_fit(X, y)
        ready.append(classifier._prepare(data, Progress(1, visible=False)).student)
    return ready


def _train_each(ready: list[Preparation]) -> None:
    for student in ready:
        train(student)


def _train_together(ready: list[Preparation]) -> None:
    train_batched([run_of(student) for student in ready])


def _seconds(
    clock: Callable[[], float],
    program: Callable[[list[Preparation]], None],
    ready: list[Preparation],
) -> float:
    start = clock()
    program(ready)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - start

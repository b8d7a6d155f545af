"""What training costs beyond its mathematics.

Each figure is a ratio of two programs in the same run, taken in turn and as a median, because
single times of small networks mean little on a machine that does other things too.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from .._gdpd import default_prior
from .._network import fit_fixed_part
from ..distillers import GDPD, Lesson, StudentObjective
from ..distillers.base import Distillation
from ..distillers.gdpd import GDPDDistillation
from ..nets import make_backbone
from ..nets.student import StudentNet
from ..training import (
    SILENT,
    RowBatches,
    Rows,
    TrainingConfig,
    cuda_graphs,
    isolated_random_state,
)
from ..training.net import TermNet
from ._ratios import alternate

N_ROWS, BATCH_SIZE, LENGTH, N_CLASSES, N_EPOCHS = 256, 64, 100, 4, 2


def training_step_table(backbones: Sequence[str], repeats: int, device: str) -> str:
    """Time training steps of students against a plain torch loop with the same mathematics.

    Parameters
    ----------
    backbones : sequence of str
        Names.
    repeats : int
        Pairs of runs.
    device : str
        Where to run.

    Returns
    -------
    str
        A Markdown table: milliseconds a step of the plain loop, and the package's time over it,
        for labels alone and for GDPD after its warm-up. On CUDA the ratio is that of steps that
        are not captured, and another column says how many times faster captured ones are.
    """
    on_cuda = torch.device(device).type == "cuda"
    titles = ["backbone"]
    for task in ("labels", "GDPD"):
        titles += [f"plain, {task} (ms)", *(["eager", "graph faster"] if on_cuda else ["ratio"])]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for name in backbones:
        cells = [f"`{name}`"]
        for taught in (False, True):
            step = compare_step(name, taught, repeats, torch.device(device))
            cells += [f"{step.plain:.3g}" if on_cuda else f"{step.plain:.1f}", f"{step.ratio:.2f}"]
            if step.faster is not None:
                cells.append(f"{step.faster:.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


class StepTimes(NamedTuple):
    """Medians of what a step takes.

    Attributes
    ----------
    plain : float
        Milliseconds of the plain loop.
    ratio : float
        The package's time, without graphs, over it.
    faster : float or None
        How many times faster the package is with graphs; None where there are none.
    """

    plain: float
    ratio: float
    faster: float | None


def compare_step(backbone: str, taught: bool, repeats: int, device: torch.device) -> StepTimes:
    """Time a plain loop and the package in turn."""
    programs = [
        _plain_program(backbone, taught, device),
        _package_program(backbone, taught, device, False),
    ]
    if device.type == "cuda":
        programs.append(_package_program(backbone, taught, device, True))
    times = alternate([_awaited(p, device) for p in programs], repeats, n_warm=1)
    n_steps = N_EPOCHS * (N_ROWS // BATCH_SIZE)
    return StepTimes(
        1e3 * statistics.median(times[0]) / n_steps,
        _median_ratio(times[1], times[0]),
        _median_ratio(times[1], times[2]) if len(times) > 2 else None,
    )


def _median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def _awaited(program: Callable[[], None], device: torch.device) -> Callable[[], None]:
    def run() -> None:
        program()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return run


def _setting(
    backbone: str, taught: bool, device: torch.device
) -> tuple[Rows, StudentNet, GDPDDistillation | None]:
    rng = np.random.default_rng(0)
    y = np.arange(N_ROWS) % N_CLASSES
    with isolated_random_state(0, device):
        student = StudentNet(make_backbone(backbone, 1, LENGTH), N_CLASSES).to(device)
        known = {
            "x": torch.from_numpy(rng.normal(size=(N_ROWS, 1, LENGTH)).astype(np.float32)),
            "y": torch.from_numpy(y),
        }
        if taught:
            features = rng.normal(size=(N_ROWS, 128)).astype(np.float32)
            known["teacher_features"] = torch.from_numpy(features)
            known["teacher_logits"] = torch.zeros(N_ROWS, N_CLASSES)
        rows = fit_fixed_part(student, Rows(**known).to(device), 0)
        if not taught:
            return rows, student, None
        prior = default_prior(max_epochs=1, random_state=0)
        lesson = Lesson(
            rows, student.head.in_features, N_CLASSES, N_EPOCHS, 0, _NoMemory(), SILENT
        )
        distillation = GDPD(prior, warmup_epochs=0).prepare(lesson)
    return rows, student, distillation


class _NoMemory:
    def cache(self, function: Callable[..., object], ignore: Sequence[str] = ()) -> object:
        return function


def _plain_program(backbone: str, taught: bool, device: torch.device) -> Callable[[], None]:
    """A loop as one would write it by hand, tuned: tensors on the device, no loader, no sync."""
    rows, student, distillation = _setting(backbone, taught, device)
    parameters = [*student.parameters()]
    if distillation is not None:
        parameters += distillation.parameters()
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-2, fused=True)
    x, y, fixed = rows.tensors["x"], rows.tensors["y"], rows.tensors.get("fixed")
    noise = torch.Generator(device).manual_seed(0)
    shuffle = torch.Generator().manual_seed(0)

    def program() -> None:
        student.train()
        for _ in range(N_EPOCHS):
            order = torch.randperm(N_ROWS, generator=shuffle).to(device)
            total = torch.zeros((), device=device)
            for index in order.split(BATCH_SIZE):
                optimizer.zero_grad()
                known = None if fixed is None else fixed[index]
                features = student.features(x[index], None, known)
                labels = y[index]
                loss = F.cross_entropy(student.head(features), labels)
                if distillation is not None:
                    draws = distillation.degradation.draw(features, 1, noise)[0]
                    restored = distillation.projection(draws)
                    loss = loss + F.cross_entropy(student.head(restored), labels)
                loss.backward()
                optimizer.step()
                total += loss.detach()
            total.item()

    return program


def _package_program(
    backbone: str, taught: bool, device: torch.device, graph: bool
) -> Callable[[], None]:
    rows, student, distillation = _setting(backbone, taught, device)
    config = TrainingConfig(max_epochs=N_EPOCHS, batch_size=BATCH_SIZE)
    batches = RowBatches(rows, BATCH_SIZE, torch.Generator().manual_seed(0))
    term: Distillation | None = distillation
    net = TermNet(
        student,
        StudentObjective(term).to(device),
        train_batches=batches,
        max_epochs=N_EPOCHS,
        optimizer=torch.optim.AdamW,
        optimizer__fused=True,
        optimizer__weight_decay=config.weight_decay,
        lr=config.rate,
        device=None,
        verbose=0,
    ).initialize()
    with cuda_graphs(graph):
        net.notify("on_train_begin", X=rows, y=None)
        net.begin(rows)

    def program() -> None:
        with cuda_graphs(graph):
            for _ in range(N_EPOCHS):
                net.next_epoch(rows)

    return program

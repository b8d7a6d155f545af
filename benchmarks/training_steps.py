"""Time training steps against a plain torch loop that computes the same."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from ratios import alternate, median_ratio
from skgdpd import DiffusionFeaturePrior, config_context
from skgdpd._estimators.gdpd import default_prior
from skgdpd._fitting.rows import fit_fixed_part
from skgdpd.distillers import GDPD, DistillationContext, SeriesObjective
from skgdpd.distillers.base import Distillation
from skgdpd.distillers.gdpd import GDPDDistillation
from skgdpd.nets import make_backbone
from skgdpd.nets.student import SeriesNet
from skgdpd.training import Rows, TrainingConfig
from skgdpd.training.batches import RowBatches
from skgdpd.training.fitting import isolated_random_state
from skgdpd.training.net import TermNet
from skgdpd.training.progress import SILENT

N_ROWS, BATCH_SIZE, LENGTH, N_CLASSES, N_EPOCHS = 256, 64, 100, 4, 2
N_STEPS = N_EPOCHS * (N_ROWS // BATCH_SIZE)
"""Number of training steps of a program."""
QUICKLY_FITTED: dict[str, Any] = {"max_epochs": 1, "random_state": 0}
"""Settings of a prior whose quality does not matter."""


def training_step_table(backbones: Sequence[str], repeats: int, device: str) -> str:
    """Time training steps of students against a plain torch loop.

    Parameters
    ----------
    backbones : sequence of str
        Names of the students' backbones.
    repeats : int
        Number of pairs of runs; the median counts.
    device : str
        The device of the networks.

    Returns
    -------
    str
        A Markdown table: the milliseconds of a step of the plain loop, and the package's time over
        it, for labels alone and for GDPD after its warm-up. On CUDA this is the ratio of steps
        that are not captured in a graph, and another column has how many times faster captured
        steps are.
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
    """Median times of a training step.

    Attributes
    ----------
    plain : float
        The milliseconds of the plain loop.
    ratio : float
        The package's time without graphs, over the plain loop's.
    faster : float or None
        How many times faster the package is with graphs; None off CUDA, where there are none.
    """

    plain: float
    ratio: float
    faster: float | None


def compare_step(backbone: str, taught: bool, repeats: int, device: torch.device) -> StepTimes:
    """Time a plain loop and the package in turn.

    Parameters
    ----------
    backbone : str
        Name of the student's backbone.
    taught : bool
        Whether the loss has GDPD's term, or that of labels alone.
    repeats : int
        Number of pairs of runs.
    device : torch.device
        The device of the networks.

    Returns
    -------
    StepTimes
    """
    prior = default_prior(**QUICKLY_FITTED) if taught else None
    programs = [
        _plain_program(backbone, prior, device),
        package_program(backbone, prior, device, False),
    ]
    if device.type == "cuda":
        programs.append(package_program(backbone, prior, device, True))
    times = alternate([_awaited(p, device) for p in programs], repeats, n_warm=1)
    return StepTimes(
        1e3 * statistics.median(times[0]) / N_STEPS,
        median_ratio(times[1], times[0]),
        median_ratio(times[1], times[2]) if len(times) > 2 else None,
    )


def _awaited(program: Callable[[], None], device: torch.device) -> Callable[[], None]:
    def run() -> None:
        program()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return run


def _setting(
    backbone: str, prior: DiffusionFeaturePrior | None, device: torch.device
) -> tuple[Rows, SeriesNet, GDPDDistillation | None]:
    rng = np.random.default_rng(0)
    y = np.arange(N_ROWS) % N_CLASSES
    with isolated_random_state(0, device):
        student = SeriesNet(make_backbone(backbone, 1, LENGTH), N_CLASSES).to(device)
        known = {
            "x": torch.from_numpy(rng.normal(size=(N_ROWS, 1, LENGTH)).astype(np.float32)),
            "y": torch.from_numpy(y),
        }
        if prior is not None:
            features = rng.normal(size=(N_ROWS, 128)).astype(np.float32)
            known["teacher_features"] = torch.from_numpy(features)
            known["teacher_logits"] = torch.zeros(N_ROWS, N_CLASSES)
        rows, _ = fit_fixed_part(student, Rows(**known).to(device), 0)
        if prior is None:
            return rows, student, None
        context = DistillationContext(
            rows, student.head.in_features, N_CLASSES, N_EPOCHS, 0, _NoMemory(), SILENT
        )
        distillation = GDPD(prior, warmup_epochs=0).prepare(context)
    return rows, student, distillation


class _NoMemory:
    def cache(self, function: Callable[..., object], ignore: Sequence[str] = ()) -> object:
        return function


def _plain_program(
    backbone: str, prior: DiffusionFeaturePrior | None, device: torch.device
) -> Callable[[], None]:
    """Make a tuned loop as one would write it by hand: no loader, no synchronisation."""
    rows, student, distillation = _setting(backbone, prior, device)
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


def package_program(
    backbone: str, prior: DiffusionFeaturePrior | None, device: torch.device, graph: bool
) -> Callable[[], None]:
    """Return a program that makes :data:`N_STEPS` training steps of the package.

    Parameters
    ----------
    backbone : str
        Name of the student's backbone.
    prior : DiffusionFeaturePrior or None
        Prior of GDPD, which teaches from the first step on. None means labels alone.
    device : torch.device
        Device of the networks.
    graph : bool
        Whether steps are captured in CUDA graphs.

    Returns
    -------
    callable
    """
    rows, student, distillation = _setting(backbone, prior, device)
    config = TrainingConfig(max_epochs=N_EPOCHS, batch_size=BATCH_SIZE)
    batches = RowBatches(rows, BATCH_SIZE, torch.Generator().manual_seed(0))
    term: Distillation | None = distillation
    net = TermNet(
        student,
        SeriesObjective(term).to(device),
        train_batches=batches,
        max_epochs=N_EPOCHS,
        optimizer=torch.optim.AdamW,
        optimizer__fused=True,
        optimizer__weight_decay=config.weight_decay,
        lr=config.rate,
        device=None,
        verbose=0,
    ).initialize()
    with config_context(cuda_graphs=graph):
        net.notify("on_train_begin", X=rows, y=None)
        net.begin(rows)

    def program() -> None:
        with config_context(cuda_graphs=graph):
            for _ in range(N_EPOCHS):
                net.next_epoch(rows)

    return program

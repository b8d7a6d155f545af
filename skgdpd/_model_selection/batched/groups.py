"""Rules for which students can be trained together, and for which this is faster."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import fields, replace
from typing import cast

import torch
from torch import Tensor, nn

from ...distillers.base import SeriesObjective
from ...distillers.gdpd import GDPDDistillation
from ...nets.fixed import copy_trained
from ...nets.lstm import LSTM
from ...nets.protocols import trains_one_projection
from ...nets.student import SeriesNet
from ...training.fitting import resolve_batch_size
from .runs import Run
from .stacked_draws import is_stackable

NEVER = 2**31
MIN_MEMBERS, MIN_FUSED_MEMBERS = 4, 8
COMPUTED = {
    "max_epochs", "batch_size", "lr", "weight_decay", "optimizer", "lr_schedule",
    "averaging_epochs", "patience", "precision",
}  # fmt: skip
"""Fields of the training configuration that a batched training supports."""


def batch_key(run: Run) -> Hashable | None:
    """Return a key that is equal for trainings that can be batched; None if a run can't be."""
    objective = run.objective
    if type(objective) is not SeriesObjective or not isinstance(run.module, SeriesNet):
        return None
    series = run.rows.tensors.get("x", run.rows.tensors.get("fixed"))
    if run.module.precision != "float32" or series is None or series.dtype != torch.float32:
        return None
    if {field.name for field in fields(run.config)} - COMPUTED or not _is_deterministic(run):
        return None
    distillation = objective.distillation
    taught: Hashable = None
    if distillation is not None:
        if type(distillation) is not GDPDDistillation or distillation.distiller.prior_trainable:
            return None
        degradation, distiller = distillation.degradation, distillation.distiller
        if not is_stackable(degradation):
            return None
        taught = (
            _shapes(distillation),
            _shapes(degradation.latent),
            type(degradation),
            type(degradation.latent.denoiser),
            tuple(degradation.latent.schedule._levels),
            degradation.n_steps,
            distiller.objective,
            distiller.n_posterior_samples,
            distiller.recalibrate_every,
            distiller.hinton_temperature,
        )
    return (
        replace(run.config, lr=1.0, weight_decay=0.0),
        str(run.module),
        _shapes(run.module),
        tuple(sorted(run.trainable)),
        tuple((k, tuple(v.shape), v.dtype, v.device) for k, v in run.rows.tensors.items()),
        run.valid_rows is None,
        taught,
    )


def is_faster(runs: Sequence[Run]) -> bool:
    """Return whether runs are expected to be faster together, according to measurements.

    On a CPU, this holds for four or more narrow LSTMs with small batches, whose steps consist
    mostly of small operations. Wider LSTMs and convolutions are not faster together, because the
    memory of all members does not fit the caches.

    Parameters
    ----------
    runs : sequence of Run
        Trainings with the same :func:`batch_key`.

    Returns
    -------
    bool
        True if the runs should be trained together.
    """
    if runs[0].rows.device.type != "cpu" or trains_one_projection(_backbone(runs[0])):
        return len(runs) > 1
    return len(runs) >= MIN_MEMBERS and _is_narrow(runs[0])


def _is_narrow(run: Run) -> bool:
    """Return whether the operations of an LSTM take less time than the calls that start them."""
    backbone = _backbone(run)
    if type(backbone) is not LSTM:
        return False
    units = backbone.lstm.hidden_size
    rows = resolve_batch_size(run.config.batch_size, len(run.rows))
    return units <= 32 and units * min(rows, len(run.rows)) <= 1024


def _backbone(run: Run) -> nn.Module:
    return cast(SeriesNet, run.module).backbone


def _shapes(module: nn.Module) -> Hashable:
    return tuple((name, tuple(t.shape)) for name, t in module.state_dict().items())


def _is_deterministic(run: Run) -> bool:
    """Return whether a student's forward pass is deterministic in training, without dropout."""
    outputs = []
    batch = _two_rows(run)
    device = run.rows.device
    for seed in (0, 1):
        module = copy_trained(cast(SeriesNet, run.module)).train()
        cuda = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=cuda), torch.no_grad():
            torch.manual_seed(seed)
            outputs.append(module.read(batch).logits)
    first, second = outputs
    return torch.allclose(first, second) if first.is_cuda else torch.equal(first, second)


def is_fused(runs: Sequence[Run]) -> bool:
    """Return whether one pass for all members is faster than a pass for each member.

    On CUDA, this always holds for LSTMs, because kernels are launched one after another.

    Parameters
    ----------
    runs : sequence of Run
        Trainings with the same :func:`batch_key`.

    Returns
    -------
    bool
        Whether to run the backbones in one pass.
    """
    backbone = _backbone(runs[0])
    if trains_one_projection(backbone):
        return True
    if runs[0].rows.device.type != "cpu":
        return type(backbone) is LSTM
    return len(runs) >= MIN_FUSED_MEMBERS and _is_narrow(runs[0])


def gdpd_of(run: Run) -> GDPDDistillation:
    """Return the distillation of a run that uses GDPD."""
    return cast(GDPDDistillation, cast(SeriesObjective, run.objective).distillation)


def hinton_weight(run: Run) -> float:
    """Return the weight of a run's Hinton term."""
    distillation = cast(SeriesObjective, run.objective).distillation
    return 0.0 if distillation is None else gdpd_of(run).distiller.hinton_weight


def first_epoch(run: Run) -> int:
    """Return the first epoch of distillation; ``NEVER`` if distillation has no effect."""
    if cast(SeriesObjective, run.objective).distillation is None:
        return NEVER
    distillation = gdpd_of(run)
    return distillation.warmup_epochs if distillation.distiller.lambda_kd else NEVER


def reached(run: Run) -> list[str]:
    """Return the names of the trainable parameters that affect the loss."""
    module = copy_trained(cast(SeriesNet, run.module)).train()
    module.read(_two_rows(run)).logits.sum().backward()
    return [name for name, p in module.named_parameters() if p.grad is not None]


def _two_rows(run: Run) -> dict[str, Tensor]:
    return {name: tensor[:2] for name, tensor in run.rows.tensors.items()}

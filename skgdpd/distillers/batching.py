"""Which students can be trained together, and which are worth it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from ..diffusion.stacked import is_stackable
from ..nets.lstm import LSTM
from ..nets.rocket import copy_trained
from ..nets.rocket_quant import PROJECTIONS
from ..nets.student import StudentNet
from ..training import resolve_batch_size
from ..training.batched import Run
from .base import StudentObjective
from .gdpd import GDPDDistillation

NEVER = 2**31
MIN_MEMBERS, MIN_FUSED_MEMBERS = 4, 8


def batch_key(run: Run) -> Hashable | None:
    """What trainings must have in common to be one batch; None for those that can't be in one."""
    objective = run.objective
    if type(objective) is not StudentObjective or not isinstance(run.module, StudentNet):
        return None
    series = run.rows.tensors.get("x", run.rows.tensors.get("fixed"))
    if run.module.precision != "float32" or series is None or series.dtype != torch.float32:
        return None
    if not _is_deterministic(run):
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
    """Whether training together takes less time than one after the other, by measurement.

    On a CPU: for four or more narrow LSTMs with small batches, whose steps are mostly small
    operations. Wider ones and convolutions take as long in a batch as alone, or longer, for the
    memory of all members no longer fits the caches.
    """
    if runs[0].rows.device.type != "cpu" or type(_backbone(runs[0])) in PROJECTIONS:
        return len(runs) > 1
    return len(runs) >= MIN_MEMBERS and _is_narrow(runs[0])


def _is_narrow(run: Run) -> bool:
    """Whether an LSTM's own operations are too small to be worth their calls."""
    backbone = _backbone(run)
    if type(backbone) is not LSTM:
        return False
    units = backbone.lstm.hidden_size
    rows = resolve_batch_size(run.config.batch_size, len(run.rows))
    return units <= 32 and units * min(rows, len(run.rows)) <= 1024


def _backbone(run: Run) -> nn.Module:
    return cast(StudentNet, run.module).backbone


def _shapes(module: nn.Module) -> Hashable:
    return tuple((name, tuple(t.shape)) for name, t in module.state_dict().items())


def _is_deterministic(run: Run) -> bool:
    """Whether a student's forward is the same twice, in training mode too: no dropout."""
    outputs = []
    batch = _two_rows(run)
    device = run.rows.device
    for seed in (0, 1):
        module = copy_trained(cast(StudentNet, run.module)).train()
        cuda = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=cuda), torch.no_grad():
            torch.manual_seed(seed)
            outputs.append(module.read(batch).logits)
    first, second = outputs
    return torch.allclose(first, second) if first.is_cuda else torch.equal(first, second)


def is_fused(runs: Sequence[Run]) -> bool:
    """Whether one pass for all members beats each member's own.

    CUDA starts kernels one after the other, so for LSTMs it always does there.
    """
    backbone = _backbone(runs[0])
    if type(backbone) in PROJECTIONS:
        return True
    if runs[0].rows.device.type != "cpu":
        return type(backbone) is LSTM
    return len(runs) >= MIN_FUSED_MEMBERS and _is_narrow(runs[0])


def gdpd_of(run: Run) -> GDPDDistillation:
    """The distillation of a run that has one."""
    return cast(GDPDDistillation, cast(StudentObjective, run.objective).distillation)


def hinton_weight(run: Run) -> float:
    """Weight of the run's Hinton term."""
    distillation = cast(StudentObjective, run.objective).distillation
    return 0.0 if distillation is None else gdpd_of(run).distiller.hinton_weight


def first_epoch(run: Run) -> int:
    """First epoch of the distillation; never without one, or without a weight."""
    if cast(StudentObjective, run.objective).distillation is None:
        return NEVER
    distillation = gdpd_of(run)
    return distillation.warmup_epochs if distillation.distiller.lambda_kd else NEVER


def reached(run: Run) -> list[str]:
    """Trainable parameters that the loss depends on; an optimizer leaves the others alone."""
    module = copy_trained(cast(StudentNet, run.module)).train()
    module.read(_two_rows(run)).logits.sum().backward()
    return [name for name, p in module.named_parameters() if p.grad is not None]


def _two_rows(run: Run) -> dict[str, Tensor]:
    return {name: tensor[:2] for name, tensor in run.rows.tensors.items()}

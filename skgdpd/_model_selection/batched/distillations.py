"""The distillations of many students by GDPD, computed together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import vmap

from ...distillers.gdpd import expected_cross_entropy
from ...nets.fixed import statistics
from ...nets.student import SeriesNet
from ...training import Batch, Step
from .groups import gdpd_of
from .runs import BatchedAdam, Run, StackedState, bind
from .stacked_draws import StackedDraws, linear

RUNNING = ["projection.1.running_mean", "projection.1.running_var"]


class StackedDistillations:
    """Parameters, draws and features of M distillations of one shape.

    Members are sorted by the end of their warm-up, so that the members that distil come first.

    Parameters
    ----------
    runs : sequence of Run
        M trainings.
    weight_decay : Tensor of shape (M, 1)
        Weight decay of each member.
    decoupled : bool
        Whether the weight decay is decoupled (AdamW); otherwise it is an L2 penalty.
    """

    def __init__(self, runs: Sequence[Run], weight_decay: Tensor, decoupled: bool) -> None:
        taught = [gdpd_of(run) for run in runs]
        first = taught[0]
        self.distiller = first.distiller
        trained = [name for name, p in first.named_parameters() if p.requires_grad]
        changing = [n for n in statistics(first) if n.startswith("projection.")]
        self.state = StackedState(taught, trained, changing)
        self.optimizer = BatchedAdam(self.state.parameters, weight_decay, decoupled)
        self.norm = cast(nn.BatchNorm1d, first.projection[1])
        self.seen: Tensor | None = None
        if first.degradation.needs_measurement:
            self.seen = torch.stack([distillation.seen for distillation in taught])
        self.lambdas = torch.tensor(
            [distillation.distiller.lambda_kd for distillation in taught],
            device=runs[0].rows.device,
        )
        self._bind(runs)

    def _bind(self, runs: Sequence[Run]) -> None:
        for i, run in enumerate(runs):
            bind(gdpd_of(run), self.state, self.state.values[i], None)
        self.draws = StackedDraws([gdpd_of(run).degradation for run in runs])

    def start_epoch(
        self, epoch: int, runs: Sequence[Run], noise: Sequence[torch.Generator]
    ) -> None:
        """Prepare the distillations of the first members, whose runs are given, for an epoch."""
        if self.seen is not None:
            for i, run in enumerate(runs):
                distillation = gdpd_of(run)
                distillation.seen = self.seen[i]
                step = Step(epoch, noise[i])
                distillation.start_epoch(cast(SeriesNet, run.module), run.rows, step)
        self.draws.arrange(len(runs))

    def note_features(self, rows: Tensor, features: Tensor) -> None:
        """Store the features ``(M, n, dS)`` of rows ``(M, n)`` for the next calibration."""
        if self.seen is not None:
            with torch.no_grad():
                index = rows.unsqueeze(2).expand(-1, -1, features.shape[2])
                self.seen.scatter_(1, index, features.detach())

    def leaf(self, n_active: int) -> Tensor:
        """Return a differentiable copy of the parameters of the first members."""
        # Running statistics in the same tensor change before the backward pass.
        return self.state.parameters[:n_active].clone().requires_grad_()

    def step(self, gradient: Tensor, lr: Tensor, beta1: float) -> None:
        """Update the parameters of the first members, one for each row of the gradient."""
        parameters = self.state.parameters[: len(gradient)]
        self.optimizer.step(parameters, gradient, lr[: len(gradient)], beta1)

    def loss(
        self,
        features: Tensor,
        head: dict[str, Tensor],
        leaf: Tensor,
        batch: Batch,
        noise: Sequence[torch.Generator],
    ) -> Tensor:
        """Return the weighted losses ``(a,)`` of the restored features of the first a members."""
        a = len(leaf)
        n_draws, expectation = self.distiller.n_posterior_samples, self.distiller.objective
        weights = self.state.split(leaf, self.state.parameter_names)
        inner = {k.removeprefix("degradation."): v for k, v in weights.items()}
        draws = self.draws.draw(features[:a], n_draws, inner, noise)
        projected = linear(draws, weights["projection.0.weight"], weights["projection.0.bias"])
        restored = self._normalised(projected, weights)
        logits = linear(restored, head["head.weight"][:a], head["head.bias"][:a])
        logits = logits.unflatten(1, (n_draws, features.shape[1]))
        needed = {k: v[:a] for k, v in batch.items() if k in ("y", "target", "target_weight")}
        losses = vmap(partial(expected_cross_entropy, expectation=expectation))(logits, needed)
        return self.lambdas[:a] * losses

    def _normalised(self, x: Tensor, weights: dict[str, Tensor]) -> Tensor:
        """Return ``x (a, n, d)`` batch-normalised as by the projections of the first a members."""
        a, n, d = x.shape
        values = self.state.values[:a, self.state.columns(RUNNING)]
        mean, var = (part.flatten().clone() for part in self.state.split(values, RUNNING).values())
        normalised = F.batch_norm(
            x.transpose(0, 1).reshape(n, a * d),
            mean,
            var,
            weights["projection.1.weight"].flatten(),
            weights["projection.1.bias"].flatten(),
            training=n > 1,
            momentum=self.norm.momentum or 0.0,
            eps=self.norm.eps,
        )
        values.copy_(torch.cat([mean.view(a, d), var.view(a, d)], 1))
        return normalised.view(n, a, d).transpose(0, 1)

    def keep(self, members: Tensor, runs: Sequence[Run]) -> None:
        """Keep these members only, whose runs are given."""
        self.state.keep(members)
        self.optimizer.keep(members)
        self.lambdas = self.lambdas[members]
        if self.seen is not None:
            self.seen = self.seen[members]
        self._bind(runs)

    def finish(self, i: int, run: Run) -> None:
        """Copy the parameters of a member to separate memory."""
        distillation = gdpd_of(run)
        bind(distillation, self.state, self.state.values[i].clone(), None)
        if self.seen is not None:
            distillation.seen = self.seen[i].clone()

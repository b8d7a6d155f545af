"""Many students of one shape trained at once, on labels alone or with GDPD.

Each member keeps its own rows, order, initial weights, noise, learning rate, weight decay,
lambda_KD, warm-up, early stopping and best epoch, and draws from the generators that a training
of its own would draw from, so that it learns what it would learn alone. Backbones run one after
the other, on their own kernels; all that is small and frequent runs for all members in one piece:
heads, losses, draws from the prior, optimizer, averages.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import vmap

from .._denormals import flushed_denormals
from ..diffusion.stacked import StackedDraws, linear
from ..nets.lstm import LSTM
from ..nets.rocket import copy_trained, statistics
from ..nets.rocket_quant import PROJECTIONS
from ..nets.stacked import stacked_lstm
from ..nets.student import StudentNet
from ..training import (
    Batch,
    RowBatches,
    Rows,
    Step,
    resolve_batch_size,
    weighted_cross_entropy,
)
from ..training.batched import (
    BatchedAdam,
    BestRows,
    RowAverages,
    Run,
    StackedState,
    bind,
    learning_rates,
    stacked_numbers,
)
from ..training.graphs import replayed_steps
from .batching import (
    NEVER,
    first_epoch,
    gdpd_of,
    hinton_weight,
    is_fused,
    reached,
)
from .gdpd import expected_cross_entropy
from .logits import hinton_loss

HEAD = ["head.weight", "head.bias"]
SERIES = ("x", "lengths", "fixed")


def train_batched(runs: Sequence[Run]) -> None:
    """Train the students of runs with the same :func:`batch_key`, in place.

    Parameters
    ----------
    runs : sequence of Run
        Their modules end as :func:`~skgdpd.training.train` would leave them, and their histories
        are filled.
    """
    with flushed_denormals():
        BatchedStudents(runs).train()


class BatchedStudents:
    """The state of a batched training; see :func:`train_batched`.

    Parameters
    ----------
    runs : sequence of Run
        What is trained.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        # Those that distil first come first, so that they are always a slice.
        self.runs = sorted(runs, key=first_epoch)
        self.starts = [first_epoch(run) for run in self.runs]
        first = self.runs[0]
        self.config = first.config
        self.device = first.rows.device
        self.epoch = self.n_steps = 0
        self.sizes_of_batches: list[int] = []
        self._stack_rows()
        self._stack_students()
        if self.starts[0] < NEVER:
            self._stack_distillations()
        for run in self.runs:
            run.history.terms = {}
        self.lr = torch.tensor([[run.config.rate] for run in self.runs], dtype=torch.float64)
        generators = [torch.Generator(self.device) for _ in self.runs]
        self.noise = [
            generator.manual_seed(run.noise_seed)
            for generator, run in zip(generators, self.runs, strict=True)
        ]
        self._prepare_steps()

    def _stack_rows(self) -> None:
        unique = {id(run.rows): run.rows for run in self.runs}
        starts = {key: i * len(rows) for i, (key, rows) in enumerate(unique.items())}
        self.offsets = [starts[id(run.rows)] for run in self.runs]
        names = [*SERIES, "y", "weight", "target", "target_weight"]
        if any(hinton_weight(run) for run in self.runs):
            names.append("teacher_logits")
        self.data = {
            name: torch.cat([rows.tensors[name] for rows in unique.values()])
            for name in names
            if name in self.runs[0].rows.tensors
        }
        batch_size = resolve_batch_size(self.config.batch_size, len(self.runs[0].rows))
        self.batches = []
        for run in self.runs:
            shuffle = torch.Generator().manual_seed(run.shuffle_seed)
            order = Rows(row=torch.arange(len(run.rows)))
            self.batches.append(RowBatches(order, batch_size, shuffle))
        self.rates = learning_rates(self.config, len(self.batches[0]))

    def _stack_students(self) -> None:
        modules = [cast(StudentNet, run.module) for run in self.runs]
        for run in self.runs:
            for name, parameter in run.module.named_parameters():
                parameter.requires_grad_(name in run.trainable)
            run.module.train()
        self.modules = modules
        self.state = StackedState(modules, reached(self.runs[0]), list(statistics(modules[0])))
        self.gradient = torch.zeros_like(self.state.parameters)
        steps = self.config.averaging_epochs * len(self.batches[0])
        self.average = RowAverages(self.state.values, steps) if steps else None
        self.evaluated = modules
        if self.average is not None:
            self.evaluated = [copy_trained(m).requires_grad_(False).eval() for m in modules]
        self._bind_students()
        self.fused = is_fused(self.runs)
        decay = torch.tensor([[r.config.weight_decay] for r in self.runs], dtype=torch.float64)
        self.optimizer = BatchedAdam(
            self.state.parameters, decay, self.config.optimizer == "adamw"
        )
        self.best = BestRows([run.first_selected_epoch for run in self.runs])

    def _bind_students(self) -> None:
        for i, module in enumerate(self.modules):
            bind(module, self.state, self.state.values[i], self.gradient[i])
            if self.average is not None:
                bind(self.evaluated[i], self.state, self.average.values[i], None)

    def _stack_distillations(self) -> None:
        taught = [gdpd_of(run) for run in self.runs]
        first = taught[0]
        trained = [name for name, p in first.named_parameters() if p.requires_grad]
        changing = [n for n in statistics(first) if n.startswith("projection.")]
        self.taught_state = StackedState(taught, trained, changing)
        decay = self.optimizer.weight_decay
        self.taught_optimizer = BatchedAdam(
            self.taught_state.parameters, decay, self.config.optimizer == "adamw"
        )
        self.needs_measurement = first.degradation.needs_measurement
        self._bind_distillations()
        self.seen: Tensor | None = None
        if self.needs_measurement:
            self.seen = torch.stack([d.seen for d in taught])
        self.lambdas = torch.tensor(
            [gdpd_of(run).distiller.lambda_kd for run in self.runs], device=self.device
        )
        self.draws = StackedDraws([d.degradation for d in taught])

    def _bind_distillations(self) -> None:
        for i, run in enumerate(self.runs):
            bind(gdpd_of(run), self.taught_state, self.taught_state.values[i], None)

    def train(self) -> None:
        """Run the epochs."""
        for epoch in range(self.config.max_epochs):
            self.epoch = epoch
            self._run_epoch()
            if not self.runs:
                break
        self._finish(range(len(self.runs)))
        # They refer to this object, which would outlive its use.
        del self._make_gradients, self._make_losses

    @property
    def n_active(self) -> int:
        """How many members distil in this epoch."""
        return sum(start <= self.epoch for start in self.starts)

    def _run_epoch(self) -> None:
        self._start_epoch()
        totals: dict[str, Tensor] = {}
        n_rows = len(self.runs[0].rows)
        for rows in stacked_numbers(self.batches, self.device):
            for name, values in self._step(rows).items():
                share = values * (rows.shape[1] / n_rows)
                totals[name] = totals[name] + share if name in totals else share
        if self.config.averaging_epochs == 0:
            for module in self.modules:
                module.eval()
        if self.runs[0].valid_rows is not None:
            totals["valid_loss"] = self._make_losses()
        numbers = {name: total.tolist() for name, total in totals.items()}
        for i, run in enumerate(self.runs):
            for name, row in numbers.items():
                if i < len(row) and not (name == "hinton" and not hinton_weight(run)):
                    past = run.history.terms.get(name, np.zeros(self.epoch))
                    run.history.terms[name] = np.append(past, row[i])
        if "valid_loss" in numbers:
            now = self.state.values if self.average is None else self.average.values
            self.best.update(self.epoch, np.array(numbers["valid_loss"]), now)
            self._stop()

    def _start_epoch(self) -> None:
        if self.n_active != self._n_active_before:
            self._prepare_steps()
        if self.average is None:
            for module in self.modules:
                module.train()
        if not self.n_active:
            return
        for i in range(self.n_active if self.needs_measurement else 0):
            run, distillation = self.runs[i], gdpd_of(self.runs[i])
            assert self.seen is not None
            distillation.seen = self.seen[i]
            step = Step(self.epoch, self.noise[i])
            distillation.start_epoch(cast(StudentNet, run.module), run.rows, step)
        self.draws.arrange(self.n_active)

    def _prepare_steps(self) -> None:
        """Begin anew with captures: what a step computes, or where, is no longer the same."""
        self._n_active_before = self.n_active
        self._offsets = torch.tensor(self.offsets, device=self.device)[:, None]
        weights = [hinton_weight(run) for run in self.runs]
        self._hinton_weights = torch.tensor(weights, device=self.device)
        rows, batches = self.runs[0].rows, self.batches[0]
        self._make_gradients, self._make_losses = replayed_steps(
            self._gradients, self._validate, self.modules, rows, batches, self.noise
        )

    def _step(self, rows: Tensor) -> dict[str, Tensor]:
        rate, beta1 = self.rates[self.n_steps]
        self.n_steps += 1
        terms, taught = self._make_gradients(rows)
        lr = self.lr * rate
        self.optimizer.step(self.state.parameters, self.gradient, lr, beta1)
        if taught is not None:
            parameters = self.taught_state.parameters[: len(taught)]
            self.taught_optimizer.step(parameters, taught, lr[: len(taught)], beta1)
        if self.average is not None:
            self.average.update(self.state.values)
        return terms

    def _gradients(self, rows: Tensor) -> tuple[dict[str, Tensor], Tensor | None]:
        """Terms of a batch, the students' gradients in place, and those of the distillations."""
        flat = (rows + self._offsets).flatten()
        batch = {
            name: tensor.index_select(0, flat).unflatten(0, rows.shape)
            for name, tensor in self.data.items()
        }
        features, head, leaf = self._features(batch)
        logits = linear(features, head["head.weight"], head["head.bias"])
        terms = {"ce": _each(weighted_cross_entropy, logits, batch["y"], batch.get("weight"))}
        if self.starts[0] < NEVER and self.seen is not None:
            with torch.no_grad():
                width = features.shape[2]
                index = rows.unsqueeze(2).expand(-1, -1, width)
                self.seen.scatter_(1, index, features.detach())
        active, taught = self.n_active, None
        if active:
            # A copy, for the running statistics beside it change before the backward pass.
            taught = self.taught_state.parameters[:active].clone().requires_grad_()
            terms["gdpd"] = self._restored_loss(features, head, taught, batch)
        if "teacher_logits" in batch:
            terms["hinton"] = self._hinton(logits, batch)
        sum(values.sum() for values in terms.values()).backward()  # type: ignore[union-attr]
        assert leaf.grad is not None
        self.gradient[:, -leaf.shape[1] :] = leaf.grad
        terms = {name: values.detach() for name, values in terms.items()}
        loss = terms["ce"].clone()
        for name, values in terms.items():
            if name != "ce":
                loss[: len(values)] += values
        return {**terms, "loss": loss}, None if taught is None else taught.grad

    def _features(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Features ``(M, n, dS)``, the heads' parameters, and the leaf that these are part of.

        The gradients of parameters outside the leaf are added to ``gradient`` directly.
        """
        if self.fused:
            leaf = self.state.parameters.detach().requires_grad_()
            return *self._fused_features(leaf, batch), leaf
        self.gradient.zero_()
        unbound = {name: batch[name].unbind(0) for name in SERIES if name in batch}
        features = [
            module.features(**{name: tensors[i] for name, tensors in unbound.items()})
            for i, module in enumerate(self.modules)
        ]
        leaf = self.state.values[:, self.state.columns(HEAD)].detach().requires_grad_()
        return torch.stack(features), self.state.split(leaf, HEAD), leaf

    def _fused_features(self, weights: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        views = self.state.split(weights, self.state.parameter_names)
        if type(self.modules[0].backbone) in PROJECTIONS:
            weight, bias = views["backbone.projection.weight"], views["backbone.projection.bias"]
            return linear(batch["fixed"], weight, bias), views
        own = {name.removeprefix("backbone."): value for name, value in views.items()}
        backbone = cast(LSTM, self.modules[0].backbone)
        return stacked_lstm(backbone, own, batch["x"], batch.get("lengths")), views

    def _restored_loss(
        self, features: Tensor, head: dict[str, Tensor], taught: Tensor, batch: Batch
    ) -> Tensor:
        """Weighted loss of the restored features, of the members that distil by now."""
        a, state = len(taught), self.taught_state
        distiller = gdpd_of(self.runs[0]).distiller
        n_draws, expectation = distiller.n_posterior_samples, distiller.objective
        weights = state.split(taught, state.parameter_names)
        inner = {k.removeprefix("degradation."): v for k, v in weights.items()}
        draws = self.draws.draw(features[:a], n_draws, inner, self.noise)
        projected = linear(draws, weights["projection.0.weight"], weights["projection.0.bias"])
        restored = self._normalised(projected, weights)
        logits = linear(restored, head["head.weight"][:a], head["head.bias"][:a])
        logits = logits.unflatten(1, (n_draws, features.shape[1]))
        needed = {k: v[:a] for k, v in batch.items() if k in ("y", "target", "target_weight")}
        losses = vmap(partial(expected_cross_entropy, expectation=expectation))(logits, needed)
        return self.lambdas[:a] * losses

    def _normalised(self, x: Tensor, weights: dict[str, Tensor]) -> Tensor:
        """The projections' batch normalisation of ``(a, n, d)``: members are channels."""
        a, n, d = x.shape
        state = self.taught_state
        norm = cast(nn.BatchNorm1d, gdpd_of(self.runs[0]).projection[1])
        names = ["projection.1.running_mean", "projection.1.running_var"]
        values = state.values[:a, state.columns(names)]
        mean, var = (part.flatten().clone() for part in state.split(values, names).values())
        normalised = F.batch_norm(
            x.transpose(0, 1).reshape(n, a * d),
            mean,
            var,
            weights["projection.1.weight"].flatten(),
            weights["projection.1.bias"].flatten(),
            training=n > 1,
            momentum=norm.momentum or 0.0,
            eps=norm.eps,
        )
        values.copy_(torch.cat([mean.view(a, d), var.view(a, d)], 1))
        return normalised.view(n, a, d).transpose(0, 1)

    def _hinton(self, logits: Tensor, batch: Batch) -> Tensor:
        temperature = gdpd_of(self.runs[0]).distiller.hinton_temperature

        def loss(logits: Tensor, teacher_logits: Tensor, weight: Tensor | None) -> Tensor:
            return hinton_loss(logits, teacher_logits, temperature, weight)

        losses = _each(loss, logits, batch["teacher_logits"], batch.get("target_weight"))
        return self._hinton_weights * losses

    def _validate(self) -> Tensor:
        valid = [run.valid_rows.tensors for run in self.runs if run.valid_rows is not None]
        with torch.no_grad():
            if self.fused and len({len(tensors["y"]) for tensors in valid}) == 1:
                batch = {k: torch.stack([v[k] for v in valid]) for k in valid[0]}
                now = self.state if self.average is None else self.average
                weights = now.values[:, : self.state.n_parameters]
                features, head = self._fused_features(weights, batch)
                logits = linear(features, head["head.weight"], head["head.bias"])
                return _each(weighted_cross_entropy, logits, batch["y"], batch.get("weight"))
            losses = [
                run.objective.validation_terms(module, tensors)["loss"]
                for run, module, tensors in zip(self.runs, self.evaluated, valid, strict=True)
            ]
        return torch.stack(losses)

    def _stop(self) -> None:
        """Let those go that have waited too long for a better epoch."""
        if self.config.patience is None:
            return
        over = self.best.patience_over(self.epoch, self.config.patience)
        if not over.any():
            return
        self._finish(np.flatnonzero(over).tolist())
        kept = np.flatnonzero(~over)
        self.runs = [self.runs[i] for i in kept]
        if self.runs:
            self._keep(kept)

    def _keep(self, kept: np.ndarray) -> None:
        for name in ("starts", "offsets", "batches", "noise", "modules", "evaluated"):
            setattr(self, name, [getattr(self, name)[i] for i in kept])
        members = torch.from_numpy(kept).to(self.device)
        self.lr = self.lr[torch.from_numpy(kept)]
        self.state.keep(members)
        self.gradient = self.gradient[members]
        self.optimizer.keep(members)
        self.best.keep(members)
        if self.average is not None:
            self.average.values = self.average.values[members]
        self._bind_students()
        if hasattr(self, "taught_state"):
            self.taught_state.keep(members)
            self.taught_optimizer.keep(members)
            self.lambdas = self.lambdas[members]
            if self.seen is not None:
                self.seen = self.seen[members]
            self._bind_distillations()
            self.draws = StackedDraws([gdpd_of(run).degradation for run in self.runs])
        self._prepare_steps()

    def _finish(self, members: Sequence[int]) -> None:
        """Give members their final weights, in memory of their own."""
        n_epochs = self.epoch + 1
        for i in members:
            run = self.runs[i]
            for name, values in run.history.terms.items():
                missing = n_epochs - len(values)
                run.history.terms[name] = np.append(values, np.zeros(missing))
            row = self.state.values[i] if self.average is None else self.average.values[i]
            if self.best.epochs[i] >= 0:
                run.history.best_epoch = int(self.best.epochs[i])
                assert self.best.values is not None
                row = self.best.values[i]
            run.history.n_validation = 0 if run.valid_rows is None else len(run.valid_rows)
            bind(run.module, self.state, row.clone(), None)
            cast(StudentNet, run.module).fold()
            run.module.eval().requires_grad_(False)
            for parameter in run.module.parameters():
                parameter.grad = None
            if hasattr(self, "taught_state"):
                distillation = gdpd_of(run)
                bind(distillation, self.taught_state, self.taught_state.values[i].clone(), None)
                if self.seen is not None:
                    distillation.seen = self.seen[i].clone()


def _each(function: Any, logits: Tensor, labels: Tensor, weight: Tensor | None) -> Tensor:
    """A loss of each member, ``(M,)``."""
    if weight is None:
        return vmap(lambda a, b: function(a, b, None))(logits, labels)
    return vmap(function)(logits, labels, weight)

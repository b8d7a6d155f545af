"""Training of many students of one shape at once, on labels alone or with GDPD.

Each member has its own rows, order, initial weights, noise, learning rate, weight decay,
lambda_KD, warm-up, early stopping and best epoch. It draws from the same generators as in a
separate training, so that its result is the same up to rounding. Backbones run one after another.
Small and frequent operations run for all members at once: heads, losses, draws from the prior,
optimiser and averages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.func import vmap

from ..._runtime.denormals import flushed_denormals
from ...distillers.logits import hinton_loss
from ...nets.fixed import copy_trained, statistics
from ...nets.lstm import LSTM
from ...nets.protocols import trains_one_projection
from ...nets.student import SeriesNet
from ...training import Batch, Rows, weighted_cross_entropy
from ...training.batches import RowBatches
from ...training.divergence import check_terms
from ...training.fitting import resolve_batch_size
from ...training.graphs import replayed_steps
from .distillations import StackedDistillations
from .groups import NEVER, first_epoch, gdpd_of, hinton_weight, is_fused, reached
from .runs import (
    BatchedAdam,
    BestRows,
    RowAverages,
    Run,
    StackedState,
    bind,
    learning_rates,
    stacked_numbers,
)
from .stacked_draws import linear
from .stacked_lstm import stacked_lstm

HEAD = ["head.weight", "head.bias"]
SERIES = ("x", "lengths", "fixed")


def train_batched(runs: Sequence[Run]) -> None:
    """Train the students of runs with the same :func:`batch_key`, in place.

    Parameters
    ----------
    runs : sequence of Run
        Trainings. Their modules are trained as by :func:`~skgdpd.training.train`, and their
        histories are filled in. If a training diverges, its ``error`` is set, and the others
        continue.
    """
    with flushed_denormals():
        BatchedStudents(runs).train()


class BatchedStudents:
    """State of a training of many students; see :func:`train_batched`.

    Parameters
    ----------
    runs : sequence of Run
        Trainings.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        # Sorted by the first epoch of distillation, so that the members that distil are a slice.
        self.runs = sorted(runs, key=first_epoch)
        self.starts = [first_epoch(run) for run in self.runs]
        first = self.runs[0]
        self.config = first.config
        self.device = first.rows.device
        self.epoch = self.n_steps = 0
        self.sizes_of_batches: list[int] = []
        self._stack_rows()
        self._stack_students()
        self.taught: StackedDistillations | None = None
        if self.starts[0] < NEVER:
            self.taught = StackedDistillations(
                self.runs, self.optimizer.weight_decay, self.optimizer.decoupled
            )
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
        modules = [cast(SeriesNet, run.module) for run in self.runs]
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

    def train(self) -> None:
        """Run all epochs."""
        for epoch in range(self.config.max_epochs):
            self.epoch = epoch
            self._run_epoch()
            if not self.runs:
                break
        self._finish(range(len(self.runs)))
        # They refer to this object, which would otherwise not be freed after its use.
        del self._make_gradients, self._make_losses

    @property
    def n_active(self) -> int:
        """Number of members that distil in this epoch."""
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
        n = self.n_active
        if n and self.taught is not None:
            self.taught.start_epoch(self.epoch, self.runs[:n], self.noise)

    def _prepare_steps(self) -> None:
        """Discard captured steps after a change of the computation or its memory."""
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
        if taught is not None and self.taught is not None:
            self.taught.step(taught, lr, beta1)
        if self.average is not None:
            self.average.update(self.state.values)
        return terms

    def _gradients(self, rows: Tensor) -> tuple[dict[str, Tensor], Tensor | None]:
        """Return terms and gradients of distillations; set the gradients of students in place."""
        flat = (rows + self._offsets).flatten()
        batch = {
            name: tensor.index_select(0, flat).unflatten(0, rows.shape)
            for name, tensor in self.data.items()
        }
        features, head, leaf = self._features(batch)
        logits = linear(features, head["head.weight"], head["head.bias"])
        terms = {"ce": _each(weighted_cross_entropy, logits, batch["y"], batch.get("weight"))}
        leaf_of_taught = None
        if self.taught is not None:
            self.taught.note_features(rows, features)
            if self.n_active:
                leaf_of_taught = self.taught.leaf(self.n_active)
                terms["gdpd"] = self.taught.loss(features, head, leaf_of_taught, batch, self.noise)
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
        return {**terms, "loss": loss}, None if leaf_of_taught is None else leaf_of_taught.grad

    def _features(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Return features ``(M, n, dS)``, parameters of the heads, and the leaf that holds them.

        The gradients of parameters outside the leaf are added to ``gradient`` directly.
        """
        if self.fused:
            leaf = self.state.parameters.detach().requires_grad_()
            return *self._fused_features(leaf, batch), leaf
        self.gradient.zero_()
        unbound: dict[str, Any] = {name: batch[name].unbind(0) for name in SERIES if name in batch}
        features = [
            module.features(**{name: tensors[i] for name, tensors in unbound.items()})
            for i, module in enumerate(self.modules)
        ]
        leaf = self.state.values[:, self.state.columns(HEAD)].detach().requires_grad_()
        return torch.stack(features), self.state.split(leaf, HEAD), leaf

    def _fused_features(self, weights: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        views = self.state.split(weights, self.state.parameter_names)
        if trains_one_projection(self.modules[0].backbone):
            weight, bias = views["backbone.projection.weight"], views["backbone.projection.bias"]
            return linear(batch["fixed"], weight, bias), views
        own = {name.removeprefix("backbone."): value for name, value in views.items()}
        backbone = cast(LSTM, self.modules[0].backbone)
        return stacked_lstm(backbone, own, batch["x"], batch.get("lengths")), views

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
        """Remove the members that diverged and those that stop early."""
        diverged = np.array([_diverged(run, self.epoch) for run in self.runs])
        over = np.zeros_like(diverged)
        if self.config.patience is not None:
            over = self.best.patience_over(self.epoch, self.config.patience) & ~diverged
        if not (over | diverged).any():
            return
        self._finish(np.flatnonzero(over).tolist())
        kept = np.flatnonzero(~(over | diverged))
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
        if self.taught is not None:
            self.taught.keep(members, self.runs)
        self._prepare_steps()

    def _finish(self, members: Sequence[int]) -> None:
        """Set the final weights of members, in separate memory."""
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
            run.module.eval().requires_grad_(False)
            for parameter in run.module.parameters():
                parameter.grad = None
            if self.taught is not None:
                self.taught.finish(i, run)


def _each(function: Any, logits: Tensor, labels: Tensor, weight: Tensor | None) -> Tensor:
    """Return a loss of each member, ``(M,)``."""
    if weight is None:
        return vmap(lambda a, b: function(a, b, None))(logits, labels)
    return vmap(function)(logits, labels, weight)


def _diverged(run: Run, epoch: int) -> bool:
    """Return whether the loss of a run in an epoch is not finite; if so, set its error."""
    now = {name: float(terms[-1]) for name, terms in run.history.terms.items()}
    try:
        check_terms(now, "student", epoch, run.config.rate, run.config.weight_decay)
    except FloatingPointError as error:
        run.error = error
    return run.error is not None

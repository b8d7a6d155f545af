"""The skorch net that trains all networks of this package: students, teachers and priors."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from skorch import NeuralNet
from torch import Tensor

from .._runtime import workers
from .averaging import WeightAverage
from .batches import Batch, RowBatches, Rows
from .callbacks import StopTraining
from .divergence import check_terms
from .graphs import StepGraphs, make_step_graphs, phase_of
from .objective import Objective, Step, Terms

VALIDATION_BATCH = 2048
"""Maximum number of validation rows in a batch."""


class TermNet(NeuralNet):
    """A skorch net whose batches are slices of tensors and whose loss is a dict of terms.

    :class:`skorch.NeuralNet` has overheads that exceed the computation of a small network, and it
    catches interrupts. This class differs from it in these points:

    - ``fit`` takes :class:`~skgdpd.training.Rows`, and the batches are an argument.
    - Callbacks are called for epochs, not for batches.
    - Losses are summed on the device and fetched once per epoch.
    - On CUDA, steps are captured and replayed if possible.
    - A loss that is not finite ends training with a FloatingPointError.
    - A KeyboardInterrupt reaches the caller.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    criterion : Objective
        The loss. Its parameters are trained, too.
    train_batches : iterable of Batch
        Training batches of one epoch. Each iteration over them is a new epoch.
    valid_rows : Rows or None
        Validation rows. Their loss terms are computed after each epoch.
    scheduler : callable, optional
        Function that makes a learning-rate scheduler for the optimizer.
    scheduler_steps : {"batch", "epoch"}, default="epoch"
        Event after which the scheduler steps.
    noise_seed : int, default=0
        Seed of the generator of the objective.
    averaging_steps : float, default=0
        Number of steps over which weights are averaged. The averaged weights are validated, and
        they are the result of training. 0 means no averaging.
    role : str, default="network"
        Name of the trained network for errors, such as "student".
    **kwargs
        Further parameters of :class:`skorch.NeuralNet`.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        criterion: Objective,
        *,
        train_batches: Iterable[Batch],
        valid_rows: Rows | None = None,
        scheduler: Any = None,
        scheduler_steps: str = "epoch",
        noise_seed: int = 0,
        averaging_steps: float = 0,
        role: str = "network",
        **kwargs: Any,
    ) -> None:
        super().__init__(module, criterion, train_split=None, **kwargs)
        self.train_batches = train_batches
        self.valid_rows = valid_rows
        self.scheduler = scheduler
        self.scheduler_steps = scheduler_steps
        self.noise_seed = noise_seed
        self.averaging_steps = averaging_steps
        self.role = role

    @property
    def _default_callbacks(self) -> list[Any]:
        return []

    def initialize_optimizer(self, triggered_directly: bool | None = None) -> TermNet:
        super().initialize_optimizer(triggered_directly)
        self.scheduler_ = self.scheduler(self.optimizer_) if self.scheduler else None
        return self

    def partial_fit(
        self, X: Rows, y: Any = None, classes: Any = None, **fit_params: Any
    ) -> TermNet:
        """Train on ``X``. Unlike in skorch, a KeyboardInterrupt reaches the caller."""
        if not self.initialized_:
            self.initialize()
        self.notify("on_train_begin", X=X, y=y)
        try:
            self.fit_loop(X)
        except StopTraining:
            pass
        self.close_graphs()
        self.notify("on_train_end", X=X, y=y)
        return self

    @property
    def evaluated_module(self) -> torch.nn.Module:
        """Module whose weights are validated and kept: the average, if weights are averaged."""
        return self.module_ if self.average_ is None else self.average_.module

    def fit_loop(
        self, X: Rows, y: Any = None, epochs: int | None = None, **kwargs: Any
    ) -> TermNet:
        """Run the epochs."""
        self.begin(X)
        for _ in range(self.max_epochs if epochs is None else epochs):
            self.next_epoch(X)
        return self

    def begin(self, X: Rows) -> None:
        """Create the generator, the average and the graphs before the first epoch."""
        generator = torch.Generator(X.device)
        generator.manual_seed(self.noise_seed + workers.rank())
        self.step_ = Step(epoch=0, generator=generator)
        self.term_names_: list[str] = []
        steps = self.averaging_steps
        self.average_ = WeightAverage(self.module_, steps) if steps else None
        self.epoch_ = 0
        self.graphs_: StepGraphs | None = make_step_graphs(
            self._make_gradients,
            [self.module_, self.criterion_],
            X,
            self.train_batches,
            self._parameters(),
            [generator],
        )

    def close_graphs(self) -> None:
        """Free the memory of captured steps."""
        if self.graphs_ is not None:
            self.graphs_.close()
            self.graphs_ = None

    def next_epoch(self, X: Rows) -> None:
        """Run one epoch and increase ``epoch_``, the number of finished epochs."""
        self.step_.epoch = self.epoch_
        self.notify("on_epoch_begin", dataset_train=X, dataset_valid=self.valid_rows)
        self._run_epoch(X)
        self.epoch_ += 1
        self.notify("on_epoch_end", dataset_train=X, dataset_valid=self.valid_rows)

    def train_step(self, batch: Batch, **fit_params: Any) -> Terms:
        """Run one optimisation step; return the loss terms without waiting for the device."""
        terms = self._make_gradients(batch)
        self._follow_gradients()
        return terms

    def _make_gradients(self, batch: Batch) -> Terms:
        self.optimizer_.zero_grad(set_to_none=True)
        terms = self.criterion_.terms(self.module_, batch, self.step_)
        loss = sum_terms(terms)
        self._backward(loss, len(batch["index"]))
        return {**terms, "loss": loss}

    def _follow_gradients(self) -> None:
        self.optimizer_.step()
        if self.average_ is not None:
            self.average_.update()
        if self.scheduler_ is not None and self.scheduler_steps == "batch":
            self.scheduler_.step()

    def _parameters(self) -> list[Tensor]:
        return [p for group in self.optimizer_.param_groups for p in group["params"]]

    def _backward(self, loss: Tensor, n_rows: int) -> None:
        if not workers.is_shared():
            loss.backward()
            return
        (loss * workers.share(n_rows, loss.device)).backward()
        workers.sum_gradients(self._parameters())

    def validation_step(self, batch: Batch, **fit_params: Any) -> Terms:
        """Return the loss terms of a batch of validation rows."""
        with torch.no_grad():
            return self.criterion_.validation_terms(self.evaluated_module, batch)

    def _run_epoch(self, rows: Rows) -> None:
        self._set_training(True)
        self.criterion_.start_epoch(self.module_, rows, self.step_)
        totals, n_rows = self._run_steps()
        if self.scheduler_ is not None and self.scheduler_steps == "epoch":
            self.scheduler_.step()
        if workers.is_shared():
            n_rows = workers.total(torch.tensor(float(n_rows), device=rows.device))
            totals = {name: workers.total(value) for name, value in totals.items()}
        epoch_terms = {name: value / n_rows for name, value in totals.items()}
        if self.valid_rows is not None:
            self._set_training(False)
            valid = self._validate(self.valid_rows)
            epoch_terms.update({f"valid_{name}": value for name, value in valid.items()})
        # Nothing else in an epoch waits for the device.
        numbers = torch.stack([value.float() for value in epoch_terms.values()]).tolist()
        for name, number in zip(epoch_terms, numbers, strict=True):
            self.history.record(name, number)
            if name not in self.term_names_:
                self.term_names_.append(name)
        terms = dict(zip(epoch_terms, numbers, strict=True))
        check_terms(terms, self.role, self.epoch_, self.lr, self.optimizer__weight_decay)

    def _run_steps(self) -> tuple[Terms, int | Tensor]:
        """Run the steps of an epoch; return the sum of each term, and the number of rows."""
        graphs, batches = self.graphs_, self.train_batches
        if graphs is not None and graphs.start_epoch(phase_of(self.criterion_, self.step_)):
            assert isinstance(batches, RowBatches)
            for index in batches.numbers():
                graphs.step(index)
                self._follow_gradients()
            return graphs.totals(), len(batches.rows)
        totals: Terms = {}
        n_rows = 0
        for batch in batches:
            size = len(batch["index"])
            n_rows += size
            for name, value in self.train_step(batch).items():
                if name in totals:
                    totals[name].add_(value.detach(), alpha=size)
                else:
                    totals[name] = value.detach() * size
        return totals, n_rows

    def _validate(self, rows: Rows) -> Terms:
        """Return the mean terms of the validation rows, computed in batches to limit memory."""
        batches = RowBatches(rows, VALIDATION_BATCH)
        if len(batches) == 1:
            if self.graphs_ is not None and self.graphs_.reason is None:
                return self.graphs_.validate(partial(self.validation_step, rows.everything()))
            return self.validation_step(rows.everything())
        totals: Terms = {}
        for batch in batches:
            share = len(batch["index"]) / (len(rows) * rows.n_moments)
            for name, value in self.validation_step(batch).items():
                totals[name] = totals.get(name, 0.0) + share * value
        return totals


def sum_terms(terms: Terms) -> Tensor:
    """Return the training loss, which is the sum of its terms.

    Parameters
    ----------
    terms : dict of str to Tensor of shape ()
        The terms by name, already multiplied by their weights.

    Returns
    -------
    Tensor of shape ()
    """
    values = iter(terms.values())
    total = next(values)
    for value in values:
        total = total + value
    return total

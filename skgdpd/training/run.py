"""Trainings that can stop after any epoch and continue later with the same result bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import torch

from .batches import Rows
from .callbacks import BestWeights, Patience, ShowProgress, StopTraining
from .net import TermNet
from .state import TrainingState, copies, plain

SCHEDULER_FACTS = ("last_epoch", "_step_count", "_last_lr")
"""Attributes of torch's schedulers that change during training; the others are settings."""


class TrainingRun:
    """A training whose epochs are run in several calls.

    Parameters
    ----------
    net : TermNet
        The uninitialised net, with the callbacks ``best``, ``show`` and ``patience``.
    rows : Rows
        Training rows.
    shuffle : torch.Generator
        Source of the random order of rows.
    best : BestWeights
        The callback that keeps the best weights.
    show : ShowProgress
        The callback that shows progress.
    patience : Patience or None
        The callback for early stopping, if there is one.

    Attributes
    ----------
    stopped : bool
        Whether the training ended before its last epoch.
    after_epoch : callable or None
        Function that is called with the run after each epoch.
    """

    def __init__(
        self,
        net: TermNet,
        rows: Rows,
        shuffle: torch.Generator,
        best: BestWeights,
        show: ShowProgress,
        patience: Patience | None,
    ) -> None:
        self.net, self.rows, self.shuffle = net, rows, shuffle
        self.best, self.show, self.patience = best, show, patience
        self.stopped = False
        self.after_epoch: Callable[[TrainingRun], None] | None = None
        net.initialize()
        net.notify("on_train_begin", X=rows, y=None)
        net.begin(rows)

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return self.net.epoch_

    @property
    def is_over(self) -> bool:
        """Whether no epoch is left."""
        return self.stopped or self.epoch >= self.net.max_epochs

    def advance(self, n_epochs: int) -> None:
        """Run epochs until ``n_epochs`` are finished in total, or training stops."""
        while self.epoch < n_epochs and not self.stopped:
            try:
                self.net.next_epoch(self.rows)
            except StopTraining:
                self.stopped = True
            if self.after_epoch is not None:
                self.after_epoch(self)

    def finish(self) -> None:
        """End training and load the weights that are kept into the module."""
        self.net.close_graphs()
        self.net.notify("on_train_end", X=self.rows, y=None)

    def state(self, objective: Collection[str] | None = None) -> TrainingState:
        """Return the state of the training.

        Parameters
        ----------
        objective : collection of str, optional
            Names of the tensors of the objective that belong to the state; None means all.

        Returns
        -------
        TrainingState
            Copies of everything that affects the rest of training.
        """
        net, best, average = self.net, self.best, self.net.average_
        optimizer = net.optimizer_.state_dict()
        kept = net.criterion_.state_dict()
        if objective is not None:
            kept = {name: kept[name] for name in objective}
        tensors = {
            **copies("module", net.module_.state_dict()),
            **copies("objective", kept),
            **copies("average", {} if average is None else average.module.state_dict()),
            **copies("best", best.best_weights_ or {}),
            **copies("generator", self._generators()),
        }
        for index, moments in optimizer["state"].items():
            tensors.update(copies(f"optimizer.{index}", moments))
        scheduler = {} if net.scheduler_ is None else net.scheduler_.state_dict()
        facts = {
            "epoch": net.epoch_,
            "history": [{k: v for k, v in row.items() if k != "batches"} for row in net.history],
            "terms": net.term_names_,
            "updates": 0 if average is None else average.n_updates,
            "best": (best.best_epoch_, best.best_loss_),
            "groups": [
                {k: v for k, v in group.items() if k != "params"}
                for group in optimizer["param_groups"]
            ],
            "scheduler": {k: scheduler[k] for k in SCHEDULER_FACTS if k in scheduler},
        }
        return TrainingState(tensors, plain(facts))

    def restore(self, state: TrainingState) -> None:
        """Continue from the state of a training that started in the same way."""
        net, best, facts = self.net, self.best, state.facts
        n_skipped = facts["epoch"] - net.epoch_
        net.epoch_ = facts["epoch"]
        net.term_names_ = list(facts["terms"])
        net.history.clear()
        net.history.extend({"batches": [], **row} for row in facts["history"])
        net.module_.load_state_dict(state.part("module"))
        # Not strict: a warm-up's state has some of the tensors only, and those that are made anew
        # have other shapes.
        net.criterion_.load_state_dict(state.part("objective"), strict=False)
        if net.average_ is not None:
            net.average_.module.load_state_dict(state.part("average"))
            net.average_.n_updates = facts["updates"]
        best.best_epoch_, best.best_loss_ = facts["best"]
        weights = net.evaluated_module.state_dict()
        best.best_weights_ = {
            name: tensor.to(weights[name].device) for name, tensor in state.part("best").items()
        } or None
        self._restore_optimizer(state)
        if net.scheduler_ is not None:
            net.scheduler_.load_state_dict(facts["scheduler"])
        self._set_generators(state.part("generator"))
        net.step_.epoch = net.epoch_ - 1
        net.criterion_.resume(net.step_)
        self.stopped = self.patience is not None and self.patience.is_over(net)
        self.show.skip(n_skipped)

    def _restore_optimizer(self, state: TrainingState) -> None:
        optimizer = self.net.optimizer_
        groups = [
            {**saved, "params": group["params"]}
            for saved, group in zip(
                state.facts["groups"], optimizer.state_dict()["param_groups"], strict=True
            )
        ]
        moments: dict[int, dict[str, Any]] = {}
        for name, tensor in state.part("optimizer").items():
            index, key = name.split(".", 1)
            moments.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({"state": moments, "param_groups": groups})

    def _generators(self) -> dict[str, torch.Tensor]:
        states = {
            "shuffle": self.shuffle.get_state(),
            "noise": self.net.step_.generator.get_state(),
            "global": torch.get_rng_state(),
        }
        if self.rows.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.rows.device)
        return states

    def _set_generators(self, states: dict[str, torch.Tensor]) -> None:
        self.shuffle.set_state(states["shuffle"])
        self.net.step_.generator.set_state(states["noise"])
        torch.set_rng_state(states["global"])
        if self.rows.device.type == "cuda":
            torch.cuda.set_rng_state(states["cuda"], self.rows.device)

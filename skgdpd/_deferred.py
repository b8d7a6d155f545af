"""Fits whose last step, the student's training, is put off, so that many can be done at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import joblib
import torch

from ._base import BasePrefixClassifier
from ._network import fit_fixed_part, with_fixed
from .nets.rocket import Rocket, copy_trained
from .nets.rocket_quant import PROJECTIONS
from .nets.student import StudentNet
from .training import History, Rows, train
from .training.batched import Run

FITTED_ON = {"x", "lengths", "y", "weight", "target", "target_weight"}
"""Of the training rows, what the fixed part of a network depends on."""


class OnceInMemory:
    """A cache like joblib's that lasts as long as a search and writes no files."""

    def __init__(self) -> None:
        self._results: dict[str, Any] = {}

    def cache(
        self, function: Callable[..., Any], ignore: Sequence[str] = (), **_: Any
    ) -> Callable[..., Any]:
        """The function, which computes nothing twice."""
        names = function.__code__.co_varnames

        def remembered(*args: Any) -> Any:
            known = [a for name, a in zip(names, args, strict=False) if name not in ignore]
            key = joblib.hash([function.__qualname__, known])
            if key not in self._results:
                self._results[key] = function(*args)
            return self._results[key]

        return remembered

    def __deepcopy__(self, memo: dict[int, Any]) -> OnceInMemory:
        return self  # clones of an estimator share it


class PutOff:
    """Mixin that makes of a classifier's training a :class:`Run`, to be trained later."""

    run_: Run | None
    _needs_student: bool
    _memory: OnceInMemory
    random_states_: list[torch.Tensor]

    def _train(
        self, module: Any, objective: Any, rows: Rows, config: Any, **settings: Any
    ) -> History:
        if self._needs_student:
            self.run_, self.random_states_ = None, []
            return super()._train(module, objective, rows, config, **settings)  # type: ignore[misc]
        # Members share warm-ups by being trained together, and are done at once or not at all.
        for name in ("progress", "memory", "checkpoints"):
            settings.pop(name, None)
        trainable = {name for name, p in module.named_parameters() if p.requires_grad}
        config = config.for_network(module)
        run = Run(module, objective, rows, config, trainable=trainable, **settings)
        self.random_states_ = _random_states(rows.device)
        self.run_ = run
        return run.history

    def _after_training(self, *args: Any) -> None:
        if self.run_ is None:
            super()._after_training(*args)  # type: ignore[misc]

    def _fit_fixed(self, module: StudentNet, rows: Rows, seed: int) -> Rows:
        if type(module.backbone) not in PROJECTIONS:
            return fit_fixed_part(module, rows, seed)
        known = {n: t.cpu().numpy() for n, t in rows.tensors.items() if n in FITTED_ON}
        settings = (*cast(Rocket, module.backbone).settings, module.head.out_features)
        start = self._memory.cache(_fit_rocket, ignore=["module", "rows"])
        fitted, fixed = start(settings, known, seed, module, rows)
        # Candidates differ in how they go on from here, not in where they start.
        own = copy_trained(fitted)
        module.backbone, module.head = own.backbone, own.head
        return with_fixed(module, rows, fixed)


def _fit_rocket(
    settings: Any, known: Any, seed: int, module: StudentNet, rows: Rows
) -> tuple[StudentNet, torch.Tensor]:
    fixed = fit_fixed_part(module, rows, seed).tensors["fixed"]
    return copy_trained(module), fixed


def put_off(estimator: BasePrefixClassifier, memory: OnceInMemory) -> Any:
    """A classifier with the same parameters whose ``fit`` leaves the student's training out."""
    kind = type(estimator)
    late = type(kind.__name__, (PutOff, kind), {"_memory": memory})
    return late(**estimator.get_params(deep=False))


def train_alone(estimator: Any) -> None:
    """Train a student whose training was put off, as its ``fit`` would have done."""
    run: Run = estimator.run_
    for name, parameter in run.module.named_parameters():
        parameter.requires_grad_(name in run.trainable)
    cuda = [run.rows.device] if run.rows.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        _set_random_states(estimator.random_states_, run.rows.device)
        history = train(
            run.module,
            run.objective.to(run.rows.device),
            run.rows,
            run.config,
            valid_rows=run.valid_rows,
            shuffle_seed=run.shuffle_seed,
            noise_seed=run.noise_seed,
            first_selected_epoch=run.first_selected_epoch,
        )
    run.history.terms, run.history.best_epoch = history.terms, history.best_epoch
    run.history.n_validation = history.n_validation
    cast(StudentNet, run.module).fold()
    run.module.requires_grad_(False)


def _random_states(device: torch.device) -> list[torch.Tensor]:
    cuda = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *cuda]


def _set_random_states(states: list[torch.Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state(states[1], device)

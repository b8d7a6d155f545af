"""Training that continues with each chunk of a stream."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np

from .._runtime.denormals import flushed_denormals
from .._runtime.random import Seeds
from ..distillers.base import Distillation, SeriesObjective
from ..training import History, Rows, TrainingConfig
from ..training.fitting import isolated_random_state, make_run
from ..training.state import TrainingState
from .network import SeriesNetwork, check_network


def train_on_chunk(
    network: SeriesNetwork,
    rows: Rows,
    config: TrainingConfig,
    history: History,
    state: TrainingState | None,
    seeds: Seeds,
    distillation: Distillation | None = None,
) -> TrainingState:
    """Train a network in place, in one pass over a chunk.

    The learning rate is constant, because a schedule would need the length of the stream. The
    network receives the average of the weights over about ``config.averaging_epochs`` chunks.

    Parameters
    ----------
    network : SeriesNetwork
        Network that predicts. Its weights are replaced.
    rows : Rows
        Training rows of the chunk, on the network's device.
    config : TrainingConfig
        Optimiser, learning rate and batch size.
    history : History
        History of the stream. One number is added to each term.
    state : TrainingState or None
        State after the previous chunk; None starts a stream.
    seeds : Seeds
        Seeds by name. They have an effect on the first chunk of a stream only.
    distillation : Distillation, optional
        Distillation whose parameters are trained together with the network.

    Returns
    -------
    TrainingState
        State from which the next chunk continues.
    """
    # A chunk counts as the epoch after the last one, since a stream has no warm-up or schedule.
    n_before = config.max_epochs
    config = replace(config, max_epochs=n_before + 1, lr_schedule="constant", patience=None)
    module = copy.deepcopy(network.module).requires_grad_(True)
    objective = SeriesObjective(distillation).to(network.device)
    with isolated_random_state(seeds("training"), network.device), flushed_denormals():
        run = make_run(
            module,
            objective,
            rows,
            config,
            shuffle_seed=seeds("shuffle"),
            noise_seed=seeds("noise"),
            role="student on this chunk",
        )
        if state is not None:
            groups = run.net.optimizer_.param_groups
            own = [{k: v for k, v in group.items() if k != "params"} for group in groups]
            run.restore(state)
            # Settings such as the learning rate come from this chunk, not from the previous one.
            for group, settings in zip(run.net.optimizer_.param_groups, own, strict=True):
                group.update(settings)
        run.net.epoch_ = n_before
        run.net.history.clear()
        run.advance(n_before + 1)
        after = run.state()
        run.finish()
        module.eval()
        check_network(module, rows, config, "student on this chunk")
    network.module.load_state_dict(module.state_dict())
    objective.eval()
    _record(history, run.net.history[-1], run.net.term_names_)
    return after


def _record(history: History, row: dict[str, float], names: list[str]) -> None:
    """Append a chunk's terms to a history, with 0 for terms that are missing before or now."""
    n = history.n_epochs
    for name in {**history.terms, **dict.fromkeys(names)}:
        before = history.terms.get(name, np.zeros(n))
        history.terms[name] = np.append(before, row.get(name, 0.0))

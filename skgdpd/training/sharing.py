"""Warm-ups that several trainings have in common, run once and remembered."""

from __future__ import annotations

from collections.abc import Collection

from joblib import Memory

from .run import TrainingRun
from .state import TrainingState

N_STOPS = 10
"""States are kept at these parts of a training: warm-ups are mostly asked for in tenths, and those
asked for in other numbers, in any order, start close before."""


def share_warmup(
    run: TrainingRun,
    n_epochs: int,
    key: str,
    memory: Memory,
    *,
    leaves: Collection[str] = (),
    max_epochs: int,
) -> None:
    """Bring a run to the end of its warm-up, starting from the latest remembered state.

    Parameters
    ----------
    run : TrainingRun
        The run.
    n_epochs : int
        Length of its warm-up.
    key : str
        Fingerprint of all that the warm-up depends on, its length aside.
    memory : joblib.Memory
        Remembers states by key and epoch.
    leaves : collection of str
        The objective's tensors that a warm-up changes.
    max_epochs : int
        Length of the training.
    """
    cached = memory.cache(_state_after, ignore=["run", "leaves"])
    stored = getattr(cached, "check_call_in_cache", lambda *_: False)
    earlier = range(n_epochs, run.epoch, -1)
    known = next((e for e in earlier if stored(key, e, run, leaves)), 0)
    tenths = [round(part / N_STOPS * max_epochs) for part in range(1, N_STOPS)]
    for stop in sorted({known, n_epochs, *(e for e in tenths if known < e < n_epochs)}):
        if stop > run.epoch:
            content = cached(key, stop, run, leaves)
            if run.epoch != stop:
                run.restore(TrainingState.from_bytes(content))


def _state_after(key: str, epoch: int, run: TrainingRun, leaves: Collection[str]) -> bytes:
    run.show.may_stop = False
    try:
        run.advance(epoch)
    finally:
        run.show.may_stop = True
    return run.state(leaves).to_bytes()

"""Warm-ups that several trainings share, which are run once and cached."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from joblib import Memory

from .._runtime.caching import call_cached
from .run import TrainingRun
from .state import TrainingState

N_STOPS = 10
"""Number of equal parts of a training after each of which its state is cached. Most warm-ups are
multiples of a tenth of a training. A warm-up of another length starts from the latest cached
state."""


IGNORED = ("run", "leaves")
"""Arguments of :func:`_state_after` that are not hashed, because the key determines them."""


def share_warmup(
    run: TrainingRun,
    n_epochs: int,
    key: str,
    memory: Memory,
    *,
    leaves: Collection[str] = (),
    max_epochs: int,
) -> None:
    """Bring a run to the end of its warm-up, starting from the latest cached state.

    Parameters
    ----------
    run : TrainingRun
        The run of the training.
    n_epochs : int
        Number of epochs in its warm-up.
    key : str
        Fingerprint of everything that affects the warm-up, except its length.
    memory : joblib.Memory
        Cache of states by key and epoch.
    leaves : collection of str
        Names of the tensors of the objective that a warm-up changes.
    max_epochs : int
        Number of epochs of the whole training.
    """
    earlier = range(n_epochs, run.epoch, -1)
    known = _latest_stored(memory, earlier, key, run, leaves)
    tenths = [round(part / N_STOPS * max_epochs) for part in range(1, N_STOPS)]
    for stop in sorted({known, n_epochs, *(e for e in tenths if known < e < n_epochs)}):
        if stop > run.epoch:
            content = call_cached(memory, _state_after, key, stop, run, leaves, ignore=IGNORED)
            if run.epoch != stop:
                run.restore(TrainingState.from_bytes(content))


def _latest_stored(
    memory: Memory, epochs: Sequence[int], key: str, run: TrainingRun, leaves: Collection[str]
) -> int:
    """Return the first of ``epochs`` whose state is in the cache; 0 if there is none."""
    try:
        cached = memory.cache(_state_after, ignore=list(IGNORED))
        is_stored = getattr(cached, "check_call_in_cache", lambda *_: False)
        return next((epoch for epoch in epochs if is_stored(key, epoch, run, leaves)), 0)
    except OSError:  # the cache can't be written; the first call says so
        return 0


def _state_after(key: str, epoch: int, run: TrainingRun, leaves: Collection[str]) -> bytes:
    run.show.may_stop = False
    try:
        run.advance(epoch)
    finally:
        run.show.may_stop = True
    return run.state(leaves).to_bytes()

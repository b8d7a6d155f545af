"""Outputs of a teacher that a distiller passes on to the student."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from ..distillers import Distiller
from .teacher import TeacherOutputs


def told(
    distiller: Distiller, outputs: TeacherOutputs, seed: Callable[[str], int]
) -> TeacherOutputs:
    """Return the outputs of a teacher that the student learns from.

    Parameters
    ----------
    distiller : Distiller
        Distiller, whose ``teacher_answers`` may change the logits.
    outputs : TeacherOutputs
        Outputs of the teacher.
    seed : callable
        Function from a name to a seed. It is called only if the distiller changes the logits.

    Returns
    -------
    TeacherOutputs
        The same outputs. If the distiller changes the logits, these replace all outputs, and the
        teacher is None.
    """

    def answer(state: str, logits: NDArray[Any]) -> Any:
        return distiller.teacher_answers(logits, lambda: seed(f"answers{state}"))

    logits = answer("", outputs.logits)
    if logits is None:
        return outputs
    earlier = {k: answer(f"-{k}", found) for k, (_, found) in outputs.earlier.items()}
    return replace(
        outputs,
        teacher=None,
        features=logits,
        logits=logits,
        own_logits=None,
        earlier={k: (found, found) for k, found in earlier.items()},
    )

"""What a distiller is told of a teacher's outputs."""

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
    """Return the outputs of a teacher as a distiller tells them to the student.

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
        The same outputs, or the changed logits in place of all outputs, without the teacher.
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

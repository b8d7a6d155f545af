"""Training of networks: the public part, for authors of distillers.

The loss functions of a distiller take a :data:`Batch` and a :class:`Step`, and return
:data:`Terms`. A distiller may train another network before the student. It then calls
:func:`train` with an :class:`Objective`, :class:`Rows` and a :class:`TrainingConfig`.
"""

from .batches import Batch, Rows
from .fitting import TrainingConfig, train
from .history import History
from .objective import Objective, Step, Terms, Warmup, soft_cross_entropy, weighted_cross_entropy
from .progress import Progress

__all__ = [
    "Batch",
    "History",
    "Objective",
    "Progress",
    "Rows",
    "Step",
    "Terms",
    "TrainingConfig",
    "Warmup",
    "soft_cross_entropy",
    "train",
    "weighted_cross_entropy",
]

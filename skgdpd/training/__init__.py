"""Training of networks, as far as authors of distillers need it.

A distiller's losses are made of a :data:`Batch` and a :class:`Step`, and are :data:`Terms`. A
distiller that trains a network of its own before the student's training gives :func:`train` an
:class:`Objective`, :class:`Rows` and a :class:`TrainingConfig`.
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

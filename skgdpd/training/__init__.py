"""Training of networks: batches, losses by name, history, progress."""

from .._thread_choice import keep_threads
from .._workers import data_parallel
from .averaging import WeightAverage
from .batches import Batch, RowBatches, Rows, StreamedRows
from .checkpoint import Checkpoints
from .fitting import (
    TrainingConfig,
    isolated_random_state,
    resolve_batch_size,
    resolve_epochs,
    resolve_lr,
    train,
)
from .fused import fused_adam
from .graphs import cuda_graphs
from .history import History
from .net import sum_terms
from .objective import (
    Objective,
    Step,
    Terms,
    Warmup,
    soft_cross_entropy,
    weighted_cross_entropy,
)
from .progress import SILENT, PartOfProgress, Progress

__all__ = [
    "SILENT",
    "Batch",
    "Checkpoints",
    "History",
    "Objective",
    "PartOfProgress",
    "Progress",
    "RowBatches",
    "Rows",
    "Step",
    "StreamedRows",
    "Terms",
    "TrainingConfig",
    "Warmup",
    "WeightAverage",
    "cuda_graphs",
    "data_parallel",
    "fused_adam",
    "isolated_random_state",
    "keep_threads",
    "resolve_batch_size",
    "resolve_epochs",
    "resolve_lr",
    "soft_cross_entropy",
    "sum_terms",
    "train",
    "weighted_cross_entropy",
]

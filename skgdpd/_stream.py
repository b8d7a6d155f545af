"""Training that goes on with each chunk of a stream."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call
from sklearn.utils.validation import _check_sample_weight
from torch import nn

from ._base import BasePrefixClassifier, Task
from ._device import resolve_device
from ._network import SeriesNetwork, make_rows
from ._panel import Panel, read_panel
from ._random import Seeds
from ._teacher import EstimatorTeacher, NetworkTeacher, in_order
from ._teacher_maps import taught_maps
from .distillers.base import Distillation, StudentObjective
from .nets import starts_fitted
from .training import (
    History,
    RowBatches,
    Rows,
    Step,
    TrainingConfig,
    WeightAverage,
    isolated_random_state,
    resolve_batch_size,
    sum_terms,
)
from .training.fused import fused_setting

State = dict[str, Any]


@dataclass
class Stream:
    """What one chunk's training leaves to the next; on the CPU, so that it can be pickled.

    Attributes
    ----------
    seed : int
        Of the order of rows and of noise.
    n_chunks : int
        Chunks so far.
    n_updates : int
        Steps that the average of the weights has seen.
    weights, optimizer : dict or None
        The trained weights, which the network's are an average of, and the optimizer's state.
    """

    seed: int
    n_chunks: int = 0
    n_updates: int = 0
    weights: State | None = None
    optimizer: State | None = field(default=None, repr=False)


def can_stream(clf: Any) -> bool:
    """Whether a classifier's student can learn from chunks; raises AttributeError if not."""
    if starts_fitted(clf.student):
        raise AttributeError(
            f"student={clf.student!r} is fitted on all series at once and can't learn from a "
            f"stream; choose another for partial_fit, such as 'fcn' or 'lstm1-8'"
        )
    return True


class StreamMixin(BasePrefixClassifier):
    """What ``partial_fit`` needs of a classifier of prefixes."""

    _stream: Stream

    def _read_chunk(
        self, X: Any, y: ArrayLike, classes: ArrayLike | None, sample_weight: Any
    ) -> tuple[Panel, NDArray[np.int64], NDArray[np.float32] | None]:
        """Checked series, class numbers and weights of a chunk."""
        self._validate_params()
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight={self.class_weight!r} can't be known from a part of a stream; give "
                f"partial_fit a dict, or sample_weight"
            )
        first = _check_partial_fit_first_call(self, classes)
        panel = read_panel(X)
        if first:
            panel = self._measure(panel, X)
        else:
            self._read(X)
            panel = self._checked(panel, "X")
        labels = self._encode_known(y, len(panel))
        if sample_weight is None and self.class_weight is None:
            return panel, labels, None
        weight = _check_sample_weight(
            sample_weight, labels, dtype=np.float32, ensure_non_negative=True
        )
        if self.class_weight is not None:
            by_class = [self.class_weight.get(label, 1.0) for label in self.classes_.tolist()]
            weight = weight * np.array(by_class, dtype=np.float32)[labels]
        return panel, labels, weight

    def _encode_known(self, y: ArrayLike, n: int) -> NDArray[np.int64]:
        column: NDArray[Any] = column_or_1d(y, warn=True)
        if len(column) != n:
            raise ValueError(
                f"X has {n} series and y {len(column)} labels; they must be equally many"
            )
        unknown = np.setdiff1d(column, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y has the labels {unknown.tolist()}, which are not among the classes "
                f"{self.classes_.tolist()} of the first call; name all labels that will ever come "
                f"in its classes"
            )
        return np.searchsorted(self.classes_, column)

    def _start_stream(self, panel: Panel, labels: NDArray[np.int64]) -> None:
        """Before the first chunk, make a view and a network; before others, update the view."""
        fitted = "network_" in vars(self)
        if "_stream" not in vars(self):
            seeds = Seeds(self.random_state)
            self._stream = Stream(seeds("shuffle"))
        if fitted:
            self.network_.view.learn_statistics(panel)
            return
        device = resolve_device(self.device)
        rows = np.arange(len(panel))
        task = Task(
            panel=panel,
            whole=panel,
            y=labels,
            weight=None,
            class_weight=None,
            train=rows,
            valid=rows[:0],
            pool=None,
            whole_pool=None,
            cut=False,
            seeds=seeds,
            device=device,
        )
        with isolated_random_state(seeds("student"), device):
            view, module = self._make_student(task)
        if module.has_fixed_part:
            raise ValueError(
                f"student={self.student!r} is fitted on all series at once and can't learn from a "
                f"stream; choose another for partial_fit"
            )
        self.network_ = SeriesNetwork(view, module, device, self.predict_batch_size)
        self.history_ = History()

    def _train_on(self, rows: Rows, distillation: Distillation | None = None) -> None:
        train_on_chunk(
            self._stream,
            self.network_,
            rows.to(self.network_.device),
            self._training_config(),
            self.history_,
            distillation,
        )
        self.history_.n_labeled += len(rows)


class TaughtStreamMixin(StreamMixin):
    """The ``partial_fit`` of students with a teacher."""

    fit: Callable[..., Any]
    teacher_: NetworkTeacher | EstimatorTeacher
    distillation_: Distillation

    @available_if(can_stream)
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> TaughtStreamMixin:
        """Learn from the next chunk of a stream, with the teacher that the first call fitted.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Whole series, as for :meth:`fit`.
        y : array-like of shape (n_samples,)
            Their labels.
        classes : array-like of shape (n_classes,), optional
            All labels that will ever come; needed in the first call.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each series in the loss, as it is: weights aren't brought to a mean of 1.

        Returns
        -------
        TaughtStreamMixin
            Itself.

        Notes
        -----
        The first call is :meth:`fit` on its chunk, which must hold every class: it fits teacher,
        prior and student. From then on teacher and prior stay as they are, are asked about each
        chunk, and the student goes on learning from labels and from them, without a warm-up.

        Each call trains once on each series of the chunk, at a constant learning rate ``lr``;
        the weights that predict are averaged over about ``weight_averaging`` chunks. Nothing is
        kept for validation, and ``max_epochs``, ``lr_schedule`` and ``early_stopping`` do nothing.
        The statistics of ``normalize="train"`` are of all chunks so far; lengths are the first
        chunk's. After :meth:`fit`, it goes on from there. ``history_`` gets a number a chunk.
        """
        if "network_" not in vars(self):
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            missing = np.setdiff1d(classes, y)
            if len(missing):
                raise ValueError(
                    f"the first chunk has no series of the classes {missing.tolist()}; the "
                    f"teacher is fitted on it, so it must have some of every class"
                )
            return self.fit(X, y, sample_weight=sample_weight)
        panel, labels, weight = self._read_chunk(X, y, classes, sample_weight)
        view = self.network_.view
        if panel.n_timepoints != self.n_timepoints_in_ and not view.ragged_:
            raise ValueError(
                f"X has series of {panel.n_timepoints} time points; the teacher needs whole ones, "
                f"of {self.n_timepoints_in_}"
            )
        self._start_stream(panel, labels)
        features, logits = self.teacher_.run(np.asarray(panel.values))
        _, constants = taught_maps(
            self.distillation_,
            self.network_.module,
            view,
            self.teacher_,
            lambda: (panel, panel),
        )
        rows = make_rows(
            view,
            panel,
            y=labels,
            weight=weight,
            target_weight=weight,
            teacher_features=features,
            teacher_logits=in_order(logits, self.teacher_.classes_, self.classes_),
            **constants,
        )
        self.distillation_.calibrating = False
        self._train_on(rows, self.distillation_)
        self.distillation_.cpu()
        return self


def train_on_chunk(
    stream: Stream,
    network: SeriesNetwork,
    rows: Rows,
    config: TrainingConfig,
    history: History,
    distillation: Distillation | None = None,
) -> None:
    """Train a network once on each row of a chunk, in place.

    The learning rate is constant, as nobody knows where a stream ends. The network gets the
    average of the weights, over ``config.averaging_epochs`` chunks.

    Parameters
    ----------
    stream : Stream
        Where the training stands; moved on.
    network : SeriesNetwork
        What predicts; its weights are replaced.
    rows : Rows
        The chunk, on the network's device.
    config : TrainingConfig
        Optimizer, learning rate, batch size.
    history : History
        Gets one more number for each term.
    distillation : Distillation, optional
        Trained along.
    """
    seed = (stream.seed + stream.n_chunks) % 2**31
    shuffle = torch.Generator().manual_seed(seed)
    batches = RowBatches(rows, resolve_batch_size(config.batch_size, len(rows)), shuffle)
    module = copy.deepcopy(network.module).requires_grad_(True).train()
    if stream.weights is not None:
        module.load_state_dict(stream.weights)
    objective = StudentObjective(distillation).to(network.device).train()
    optimizer = _make_optimizer(config, module, objective)
    if stream.optimizer is not None:
        optimizer.load_state_dict(stream.optimizer)
    horizon = config.averaging_epochs * len(batches)
    average = WeightAverage(module, horizon) if horizon else None
    if average is not None:
        average.module.load_state_dict(network.module.state_dict())
        average.n_updates = stream.n_updates
    noise = torch.Generator(network.device)
    noise.manual_seed(seed)
    step = Step(epoch=config.max_epochs, generator=noise)
    totals: dict[str, torch.Tensor] = {}
    with isolated_random_state(seed, network.device):
        for batch in batches:
            optimizer.zero_grad(set_to_none=True)
            terms = objective.terms(module, batch, step)
            loss = sum_terms(terms)
            loss.backward()
            optimizer.step()
            if average is not None:
                average.update()
            share = len(batch["index"]) / len(rows)
            for name, value in {**terms, "loss": loss}.items():
                part = share * value.detach()
                totals[name] = totals[name] + part if name in totals else part
    objective.eval()
    kept = module if average is None else average.module
    network.module.load_state_dict(kept.state_dict())
    stream.n_chunks += 1
    stream.n_updates = 0 if average is None else average.n_updates
    stream.weights = {k: v.cpu() for k, v in module.state_dict().items()}
    stream.optimizer = _on_cpu(optimizer.state_dict())
    _record(history, {name: float(total) for name, total in totals.items()})


def _make_optimizer(
    config: TrainingConfig, module: nn.Module, objective: nn.Module
) -> torch.optim.Optimizer:
    parameters = [p for part in (module, objective) for p in part.parameters() if p.requires_grad]
    config = config.for_network(module)
    settings: dict[str, Any] = {"lr": config.rate, "weight_decay": config.weight_decay}
    return config.optimizer_class(parameters, fused=fused_setting(), **settings)


def _on_cpu(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {k: _on_cpu(v) for k, v in value.items()}
    return [_on_cpu(v) for v in value] if isinstance(value, (list, tuple)) else value


def _record(history: History, terms: dict[str, float]) -> None:
    n = history.n_epochs
    for name in {**history.terms, **terms}:
        before = history.terms.get(name, np.zeros(n))
        history.terms[name] = np.append(before, terms.get(name, 0.0))

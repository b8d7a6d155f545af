"""What scikit-learn's callbacks (1.9 and later) hear of a fit: its stages and epochs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Any

from sklearn.utils import _safe_indexing
from skorch import NeuralNet

from ._unlabeled import split_marked
from .training import Progress

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9 has none

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing."""

    def with_callbacks(method: Any) -> Any:
        """The method as it is."""
        return method


__all__ = ["CallbackSupportMixin", "FitProgress", "fit_tasks", "with_callbacks"]


class FitProgress(Progress):
    """Progress of a classifier's fit, on a bar and for scikit-learn's callbacks.

    The tree of tasks is ``fit``, below it the stages, below these ``epoch``; a fit of one stage
    has its epochs right below. After an epoch of the student, callbacks that ask for it get the
    classifier with the weights of that epoch, and may end the training. They can't end a
    teacher's, which other fits may find in a cache.

    Parameters
    ----------
    estimator : BasePrefixClassifier
        What is fitted.
    total : float
        Units in all.
    stages : mapping of str to int or None
        Epochs of each stage by name, None if not known; the last is the student's.
    X, y, sample_weight
        As ``fit`` got them.
    """

    def __init__(
        self,
        estimator: Any,
        total: float,
        stages: Mapping[str, int | None],
        X: Any,
        y: Any,
        sample_weight: Any = None,
    ) -> None:
        super().__init__(total, visible=bool(estimator.verbose))
        self._estimator = estimator
        self._stages = stages
        self._data = _labelled(X, y, sample_weight, getattr(estimator, "unlabeled", None))
        self._tasks: list[Any] = []  # the open ones, from the root down
        self._stage = ""
        self._heard = hasattr(estimator, "_skl_callbacks")
        self._net: NeuralNet | None = None
        self._n_epochs = self._first = 0
        self.reconstruct: Callable[[Any], Any] | None = None
        """From a network's module to ``network_``; set while the student trains."""

    def __enter__(self) -> FitProgress:
        if hasattr(self._estimator, "_init_callback_context"):
            alone = len(self._stages) == 1
            n_tasks = next(iter(self._stages.values())) if alone else len(self._stages)
            self._begin(self._estimator._init_callback_context(max_subtasks=n_tasks))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        if error is None:
            while len(self._tasks) > 1:
                self._end()
            if self._tasks:
                self._end({})

    def stage(self, name: str) -> None:
        super().stage(name)
        new = name in self._stages and name != self._stage
        if not self._heard or len(self._stages) == 1 or not new:
            return
        self._stage = name
        while len(self._tasks) > 1:
            self._end()
        n_epochs = self._stages[name]
        self._begin(self._tasks[-1].subcontext(task_name=name, max_subtasks=n_epochs))
        self._net, self._n_epochs = None, 0

    def begin_epoch(self, net: NeuralNet) -> None:
        if not self._heard:
            return
        if net is not self._net:
            self._net, self._first = net, self._n_epochs
        while self._n_epochs < self._first + net.epoch_:  # done in an earlier fit
            self._tasks[-1].subcontext(task_name="epoch")
            self._n_epochs += 1
        self._n_epochs += 1
        self._begin(self._tasks[-1].subcontext(task_name="epoch"))

    def end_epoch(self, net: NeuralNet, units: float, values: Mapping[str, float]) -> bool:
        self.advance(units, values)
        if not self._heard:
            return False
        if self.reconstruct is None:
            self._end()
            return False
        return self._end(lambda: {"network_": self.reconstruct(net.evaluated_module)})

    def _begin(self, context: Any) -> None:
        self._tasks.append(context.call_on_fit_task_begin(estimator=self._estimator, **self._data))

    def _end(self, attributes: Any = None) -> bool:
        return self._tasks.pop().call_on_fit_task_end(
            estimator=self._estimator, reconstruction_attributes=attributes, **self._data
        )


@contextmanager
def fit_tasks(
    estimator: Any, n_tasks: int, X: Any, y: Any
) -> Iterator[Callable[[str], AbstractContextManager[None]]]:
    """Tell an estimator's callbacks of its fit, the block, and of tasks in it.

    Parameters
    ----------
    estimator : estimator
        What is fitted.
    n_tasks : int
        Number of tasks.
    X, y
        As ``fit`` got them.

    Yields
    ------
    callable
        Makes of a task's name a context manager to do it in.
    """
    if not hasattr(estimator, "_init_callback_context"):
        yield lambda name: nullcontext()
        return
    data = {"estimator": estimator, "X": X, "y": y}
    root = estimator._init_callback_context(max_subtasks=n_tasks).call_on_fit_task_begin(**data)

    @contextmanager
    def task(name: str) -> Iterator[None]:
        own = root.subcontext(task_name=name).call_on_fit_task_begin(**data)
        yield
        own.call_on_fit_task_end(**data)

    yield task
    root.call_on_fit_task_end(**data)


def _labelled(X: Any, y: Any, sample_weight: Any, marker: Any) -> dict[str, Any]:
    """What callbacks are given: the series with a label, made when asked for."""

    def only(values: Any) -> Any:
        if marker is None:
            return values
        mask = split_marked(y, marker)[1]
        return values if not mask.any() else _safe_indexing(values, (~mask).nonzero()[0])

    data: dict[str, Any] = {"X": lambda: only(X), "y": lambda: only(y)}
    if sample_weight is not None:
        data["metadata"] = lambda: {"sample_weight": only(sample_weight)}
    return data

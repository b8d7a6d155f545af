"""Calls of scikit-learn's callbacks (1.9 and later) in the stages and epochs of a fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Any

from sklearn.utils import _safe_indexing
from skorch import NeuralNet

from .._series.unlabeled import split_marked
from ..training import Progress

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9 has no callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand-in without methods for scikit-learn's mixin."""

    def with_callbacks(method: Any) -> Any:
        """Return the method unchanged."""
        return method


__all__ = ["CallbackSupportMixin", "FitProgress", "fit_tasks", "with_callbacks"]


class FitProgress(Progress):
    """Progress of a classifier's fit, on a bar and for scikit-learn's callbacks.

    The root of the tree of tasks is ``fit``. Its children are the stages, and the children of a
    stage are its epochs. If there is only one stage, its epochs are the children of the root.
    After each epoch of the student, callbacks that require it receive the classifier with the
    weights of that epoch, and may stop the training. They can't stop the training of a teacher,
    because other fits may load that teacher from a cache.

    Parameters
    ----------
    estimator : BasePrefixClassifier
        Estimator that is fitted.
    total : float
        Number of units on the bar.
    stages : mapping of str to int or None
        Number of epochs of each stage by name; None if it is unknown.
    X, y, sample_weight : object
        Arguments of ``fit``.
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
        self._data = _labelled(X, y, sample_weight, estimator)
        self._tasks: list[Any] = []  # open tasks, from the root down
        self._stage = ""
        self._heard = hasattr(estimator, "_skl_callbacks")
        self._net: NeuralNet | None = None
        self._n_epochs = self._first = 0
        self.reconstruct: Callable[[Any], Any] | None = None
        """Function from the student's module to fitted attributes; None outside its training."""

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
        self._stage, self.reconstruct = name, None
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
        return self._end(lambda: self.reconstruct(net.evaluated_module))

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
    """Call an estimator's callbacks around a block that fits it, and around tasks in the block.

    Parameters
    ----------
    estimator : estimator
        Estimator that is fitted.
    n_tasks : int
        Number of tasks.
    X, y : object
        Arguments of ``fit``.

    Yields
    ------
    callable
        Function that maps the name of a task to the context manager in which the task runs.
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


def _labelled(X: Any, y: Any, sample_weight: Any, estimator: Any) -> dict[str, Any]:
    """Return functions that give callbacks the labelled series on request."""

    def only(values: Any) -> Any:
        if not hasattr(estimator, "teacher"):
            return values
        mask = split_marked(y, estimator.unlabeled)[1]
        return values if not mask.any() else _safe_indexing(values, (~mask).nonzero()[0])

    data: dict[str, Any] = {"X": lambda: only(X), "y": lambda: only(y)}
    if sample_weight is not None:
        data["metadata"] = lambda: {"sample_weight": only(sample_weight)}
    return data

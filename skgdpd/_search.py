"""A grid search that trains its candidates together."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, ParameterGrid, check_cv
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_method_params, indexable

from ._base import BasePrefixClassifier
from ._callbacks import fit_tasks, with_callbacks
from ._deferred import OnceInMemory, put_off, train_alone
from ._docs import LinksToDocs
from .distillers.batched import train_batched
from .distillers.batching import batch_key, is_faster
from .training import Rows
from .training.batched import Run

WHOLE = ("X_unlabeled", "X_unlabeled_full")
"""Arguments of ``fit`` that a fold has all of."""


class Retrieved:
    """Mixin that makes of a classifier's ``fit`` the taking over of one fitted before."""

    _fits: Iterator[Fit]
    _kind: type[BasePrefixClassifier]

    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Take over the next fit; fit anew when there is no more."""
        fit = next(self._fits, None)
        self.__class__ = self._kind
        if fit is None:
            return self.fit(X, y, **params)
        if fit.error is not None:
            raise fit.error
        parameters = self.get_params(deep=False)  # type: ignore[attr-defined]
        vars(self).update(vars(fit.estimator))
        vars(self).update(parameters)
        return self


@dataclass
class Fit:
    """One candidate on one fold."""

    estimator: Any
    seconds: float = 0.0
    error: Exception | None = None
    key: Hashable | None = None


class GDPDSearchCV(LinksToDocs, GridSearchCV):
    """Grid search over a classifier of prefixes, with many students in one training.

    Does what :class:`sklearn.model_selection.GridSearchCV` does, and gives what it gives, in less
    time: within a fold teacher and prior are fitted once, and students of one shape are trained
    together, each with its own ``lambda_kd``, ``warmup_epochs``, ``hinton_weight``, ``lr``,
    ``weight_decay``, ``random_state``, rows and early stopping. Other parameters make groups.
    What can't be trained together, or would not be faster so, is trained one after the other.

    Parameters
    ----------
    estimator : GDPDClassifier, DistilledPrefixClassifier or PrefixClassifier
        The classifier.
    param_grid : dict or list of dicts
        Candidates, as for GridSearchCV.
    scoring : str, callable, list, tuple or dict, default=None
        As for GridSearchCV; None is accuracy.
    refit : bool, str or callable, default=True
        As for GridSearchCV.
    cv : int, splitter or iterable, default=None
        As for GridSearchCV; None is five stratified folds.
    verbose : int, default=0
        1 says how many trainings there are, and how many of them go together.
    error_score : "raise" or number, default=np.nan
        Score of a candidate whose fit fails.
    return_train_score : bool, default=False
        Whether to score the training parts too.
    together : bool or "auto", default="auto"
        Train students together: where that is faster by measurement ("auto"), wherever it is
        possible (True), or never (False).
    max_together : int, default=64
        Most students in one training; bounds the memory.

    Attributes
    ----------
    cv_results_, best_estimator_, best_params_, best_score_, best_index_, n_splits_, scorer_
        As of GridSearchCV. ``fit_time`` of students trained together is their common time
        divided by their number.
    n_together_ : int
        How many of the fits were trained in groups.
    histories_ : list of list of History
        Of each candidate's students, by fold.

    Notes
    -----
    With ``random_state=None`` all fits of one search share one random seed, so that teachers can
    be shared; GridSearchCV would draw one for each.

    Students trained together agree with those trained alone but for rounding; see
    ``docs/grid-search.md`` for how far that goes. Students trained alone agree to the bit.

    Examples
    --------
    >>> from skgdpd import DiffusionFeaturePrior, GDPDClassifier, GDPDSearchCV
    >>> from skgdpd.datasets import make_bumps
    >>> X, y = make_bumps(n_samples=60, random_state=0)
    >>> prior = DiffusionFeaturePrior(degradation="learned-alpha", max_epochs=2)
    >>> clf = GDPDClassifier(
    ...     "lstm1-8", student="lstm1-8", prior=prior, max_epochs=4, random_state=0)
    >>> search = GDPDSearchCV(clf, {"lambda_kd": [0.1, 1.0], "warmup_epochs": [0.25, 0.5]}, cv=2)
    >>> search.fit(X, y).n_together_
    8
    """

    def __init__(
        self,
        estimator: BasePrefixClassifier,
        param_grid: Any,
        *,
        scoring: Any = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        together: bool | str = "auto",
        max_together: int = 64,
    ) -> None:
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            refit=refit,
            cv=cv,
            verbose=verbose,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.together = together
        self.max_together = max_together

    _parameter_constraints = {
        **{
            name: allowed
            for name, allowed in GridSearchCV._parameter_constraints.items()
            if name not in ("n_jobs", "pre_dispatch")
        },
        "together": ["boolean", StrOptions({"auto"})],
        "max_together": [Interval(Integral, 1, None, closed="left")],
    }

    @with_callbacks
    def fit(self, X: Any, y: ArrayLike | None = None, **params: Any) -> GDPDSearchCV:
        """Train all candidates on all folds, and the best one on everything.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Whole series, in any form that can be indexed by rows.
        y : array-like of shape (n_samples,)
            Labels.
        **params
            For the classifier's ``fit``; ``groups`` for the splitter. What has a row for each
            series is split with them, but ``X_unlabeled`` is given to each fold whole.

        Returns
        -------
        GDPDSearchCV
            Itself.
        """
        self._validate_params()
        if not isinstance(self.estimator, BasePrefixClassifier):
            raise TypeError(
                f"estimator={self.estimator!r} must be a GDPDClassifier, "
                f"DistilledPrefixClassifier or PrefixClassifier; for others there is "
                f"sklearn.model_selection.GridSearchCV"
            )
        X, y = indexable(X, y)
        groups = params.get("groups")
        splitter = check_cv(self.cv, y, classifier=True)
        splits = list(splitter.split(X, y, groups))
        candidates = list(ParameterGrid(self.param_grid))
        fit_params = {name: value for name, value in params.items() if name != "groups"}
        fits: list[Fit] = []
        with fit_tasks(self, len(splits) + 2, X, y) as task:
            prepared = self._prepare(candidates, splits, X, y, fit_params)
            for _ in splits:
                with task("prepare-fold"):
                    fits += next(prepared)
            with task("train-students"):
                self._train_all(fits)
            with task("score-and-refit"):
                self._score(fits, candidates, splits, X, y, fit_params)
        return self

    def _score(
        self,
        fits: list[Fit],
        candidates: Sequence[dict[str, Any]],
        splits: Sequence[tuple[NDArray[Any], NDArray[Any]]],
        X: Any,
        y: Any,
        fit_params: dict[str, Any],
    ) -> None:
        """Score all candidates, and fit the best one on everything."""
        by_fold = np.arange(len(fits)).reshape(len(splits), len(candidates))
        fits = [fits[i] for i in by_fold.T.ravel()]
        kind = type(self.estimator)
        retrieving = type(kind.__name__, (Retrieved, kind), {"_fits": iter(fits), "_kind": kind})
        search = GridSearchCV(
            retrieving(**self.estimator.get_params(deep=False)),
            self.param_grid,
            scoring=self.scoring,
            n_jobs=1,
            refit=self.refit,
            cv=splits,
            verbose=0,
            error_score=self.error_score,
            return_train_score=self.return_train_score,
        ).fit(X, y, **fit_params)
        for name, value in vars(search).items():
            if name.endswith("_") and not name.startswith("_"):
                setattr(self, name, value)
        seconds = np.array([fit.seconds for fit in fits]).reshape(len(candidates), -1)
        self.cv_results_["mean_fit_time"] = seconds.mean(1)
        self.cv_results_["std_fit_time"] = seconds.std(1)
        histories = [getattr(fit.estimator, "history_", None) for fit in fits]
        n = len(splits)
        self.histories_ = [histories[i : i + n] for i in range(0, len(histories), n)]

    def _prepare(
        self,
        candidates: Sequence[dict[str, Any]],
        splits: Sequence[tuple[NDArray[Any], NDArray[Any]]],
        X: Any,
        y: Any,
        fit_params: dict[str, Any],
    ) -> Iterator[list[Fit]]:
        """Do all of each fit but the student's training, fold by fold."""
        memory = OnceInMemory()
        seed = None
        for train_rows, _ in splits:
            X_train, y_train = _safe_indexing(X, train_rows), _safe_indexing(y, train_rows)
            split = _check_method_params(X, fit_params, train_rows)
            split.update({name: fit_params[name] for name in WHOLE if name in fit_params})
            known: list[Rows] = []
            fold = []
            for candidate in candidates:
                estimator = clone(self.estimator).set_params(**clone(candidate, safe=False))
                if not isinstance(estimator.random_state, (int, np.integer)):
                    if seed is None:
                        random = check_random_state(estimator.random_state)
                        seed = int(random.randint(2**31 - 1))
                    estimator.set_params(random_state=seed)
                own_memory = getattr(estimator, "memory", memory)
                if own_memory is None:
                    estimator.set_params(memory=memory)
                fold.append(self._put_off(estimator, memory, X_train, y_train, split))
                if own_memory is None:
                    fold[-1].estimator.memory = None
                if fold[-1].error is None and fold[-1].estimator.run_ is not None:
                    run = fold[-1].estimator.run_
                    run.rows = _known_rows(run.rows, known)
            yield fold

    def _put_off(
        self, estimator: Any, memory: OnceInMemory, X: Any, y: Any, params: dict[str, Any]
    ) -> Fit:
        late = put_off(estimator, memory)
        fit, start = Fit(late), time.perf_counter()
        try:
            late.fit(X, y, **params)
            fit.key = batch_key(late.run_) if self.together and late.run_ is not None else None
        except Exception as error:
            if isinstance(self.error_score, str):
                raise
            fit.error = error
        fit.seconds = time.perf_counter() - start
        return fit

    def _train_all(self, fits: Sequence[Fit]) -> None:
        groups: dict[Hashable, list[Fit]] = defaultdict(list)
        for i, fit in enumerate(fits):
            if fit.error is None:
                groups[i if fit.key is None else fit.key].append(fit)
        self.n_together_ = 0
        for group in groups.values():
            n_parts = -(-len(group) // self.max_together)
            for part in np.array_split(np.arange(len(group)), n_parts):
                self._train_group([group[i] for i in part])
        if self.verbose:
            print(f"{self.n_together_} of {len(fits)} students were trained together")

    def _train_group(self, fits: list[Fit]) -> None:
        if fits[0].estimator.run_ is None:  # trained already
            del fits[0].estimator.run_, fits[0].estimator.random_states_
            return
        runs: list[Run] = [fit.estimator.run_ for fit in fits]
        together = len(fits) > 1 and (self.together is True or is_faster(runs))
        start = time.perf_counter()
        try:
            if together:
                train_batched(runs)
                self.n_together_ += len(fits)
                for fit in fits:
                    fit.seconds += (time.perf_counter() - start) / len(fits)
            else:
                for fit in fits:
                    start = time.perf_counter()
                    train_alone(fit.estimator)
                    fit.seconds += time.perf_counter() - start
        except Exception as error:
            if isinstance(self.error_score, str):
                raise
            for fit in fits:
                fit.error = error
        for fit in fits:
            fit.estimator.distillation_ = fit.estimator.run_.objective.cpu().distillation
            del fit.estimator.run_, fit.estimator.random_states_


def _known_rows(rows: Rows, known: list[Rows]) -> Rows:
    """The same rows, if a candidate of this fold had them before; memory is kept once."""
    for other in known:
        if rows.tensors.keys() == other.tensors.keys() and all(
            value.shape == other.tensors[name].shape and torch.equal(value, other.tensors[name])
            for name, value in rows.tensors.items()
        ):
            return other
    known.append(rows)
    return rows

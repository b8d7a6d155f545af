"""A grid search that shares teachers and priors, and trains its candidates together."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from numbers import Integral
from traceback import format_exc
from typing import Any

import joblib
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, ParameterGrid
from sklearn.model_selection._validation import (
    _insert_error_scores,
    _score,
    _warn_or_raise_about_fit_failures,
)
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_method_params, _num_samples, indexable

from .._estimators.base import BasePrefixClassifier, PreparedFit
from .._estimators.callbacks import fit_tasks, with_callbacks
from .._fitting.data import encode
from .._fitting.preparation import train
from .._fitting.rows import fit_fixed_part
from .._runtime.arguments import about
from .._runtime.doc_links import LinksToDocs
from .._runtime.parameters import PlainNumbers
from .._runtime.threads import one_thread_in_workers
from .._series.panel import read_panel
from .._series.unlabeled import check_equally_many, refuse_marked, split_marked
from .._series.weights import checked_weights
from ..nets.student import SeriesNet
from ..training import History, Progress, Rows
from .batched.groups import batch_key, is_faster
from .batched.runs import Run, run_of
from .batched.starts import fit_once
from .batched.students import train_batched
from .folds import split_rows

Split = tuple[NDArray[Any], NDArray[Any]]


class OnceInMemory:
    """In-memory cache with the interface of joblib, for the duration of one search."""

    def __init__(self) -> None:
        self._results: dict[str, Any] = {}

    def cache(
        self, function: Callable[..., Any], ignore: Sequence[str] = (), **_: Any
    ) -> Callable[..., Any]:
        """Return a function that computes each result once, and then returns it from memory."""
        names = function.__code__.co_varnames

        def remembered(*args: Any) -> Any:
            known = [a for name, a in zip(names, args, strict=False) if name not in ignore]
            key = joblib.hash([function.__qualname__, known])
            if key not in self._results:
                self._results[key] = function(*args)
            return self._results[key]

        return remembered


@dataclass
class Fit:
    """Fit of one candidate on one fold.

    Attributes
    ----------
    estimator : BasePrefixClassifier
        The candidate. It is fitted at the end.
    prepared : PreparedFit or None
        State of the fit; None after the fit is finished.
    run : Run or None
        Training of the student; None after training.
    history : History or None
        Loss terms of the training of the student; None before training.
    seconds : float
        Duration of the fit in seconds.
    error : Exception or None
        Error of the fit; None if there was none.
    trace : str or None
        Traceback of the error as text; None if there was no error.
    """

    estimator: Any
    prepared: PreparedFit | None = None
    run: Run | None = None
    history: History | None = None
    seconds: float = 0.0
    error: Exception | None = None
    trace: str | None = None
    key: Hashable | None = field(default=None, repr=False)


class SharedGridSearchCV(LinksToDocs, PlainNumbers, GridSearchCV):
    """Grid search over a classifier of prefixes that fits teacher and prior once per fold.

    The search gives the results of :class:`sklearn.model_selection.GridSearchCV` in less time, up
    to rounding. Students of the same shape are trained together. They may differ in
    ``lambda_kd``, ``warmup_epochs``, ``hinton_weight``, ``lr``, ``training__weight_decay``,
    ``random_state`` and rows. Candidates that differ in other parameters form separate groups.
    Students that can't be trained together, or would not be faster together, are trained one
    after another.

    Parameters
    ----------
    estimator : GDPDClassifier, DistilledPrefixClassifier or PrefixClassifier
        Classifier whose parameters are searched.
    param_grid : dict or list of dicts
        Candidates, as in GridSearchCV.
    scoring : str, callable, list, tuple or dict, default=None
        Scores of the candidates, as in GridSearchCV. None means accuracy.
    refit : bool, str or callable, default=True
        Criterion of the best candidate, which is then fitted to all series, as in GridSearchCV.
        False means no such fit.
    cv : int, splitter or iterable, default=None
        Folds, as in GridSearchCV. None means five stratified folds.
    verbose : int, default=0
        Verbosity. 1 prints the number of trainings, and how many of them are run together.
    error_score : "raise" or number, default=np.nan
        Score of a candidate whose fit fails. "raise" raises the error instead.
    return_train_score : bool, default=False
        Whether to score the training parts, too.
    together : bool or "auto", default="auto"
        Whether to train students together. "auto" does so in the cases that were faster in
        measurements. True does so whenever it is possible, and False never.
    max_together : int, default=64
        Maximum number of students that are trained together. It limits memory.

    Attributes
    ----------
    cv_results_, best_estimator_, best_params_, best_score_, best_index_, n_splits_, scorer_ : \
object
        Attributes of GridSearchCV. For students that were trained together, ``fit_time`` is
        their common time divided by their number.
    n_together_ : int
        Number of fits whose students were trained together with others.
    histories_ : list of list of History
        Training history of each candidate on each fold.

    Notes
    -----
    With ``random_state=None``, all fits of a search use the same random seed, so that they can
    share teachers. GridSearchCV would draw a seed for each fit.

    Students that are trained together agree with separately trained ones up to rounding; see
    docs/grid-search.md for the size of the differences. Students that are trained alone agree
    with those of GridSearchCV bit for bit.

    Examples
    --------
    >>> from skgdpd import DiffusionFeaturePrior, GDPDClassifier, SharedGridSearchCV
    >>> from skgdpd.datasets import make_bumps
    >>> X, y = make_bumps(n_samples=60, random_state=0)
    >>> prior = DiffusionFeaturePrior(degradation="learned-alpha", max_epochs=2)
    >>> clf = GDPDClassifier(
    ...     "lstm1-8", student="lstm1-8", prior=prior, max_epochs=4, random_state=0)
    >>> grid = {"lambda_kd": [0.1, 1.0], "warmup_epochs": [0.25, 0.5]}
    >>> search = SharedGridSearchCV(clf, grid, cv=2)
    >>> search.fit(X, y).n_together_
    8
    """

    _parameter_constraints = {
        **{
            name: allowed
            for name, allowed in GridSearchCV._parameter_constraints.items()
            if name not in ("n_jobs", "pre_dispatch")
        },
        "together": ["boolean", StrOptions({"auto"})],
        "max_together": [Interval(Integral, 1, None, closed="left")],
    }

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

    @with_callbacks
    @one_thread_in_workers()
    def fit(self, X: Any, y: Any = None, **params: Any) -> SharedGridSearchCV:
        """Fit all candidates on all folds, and the best one on all series.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Whole series, in any format that has a row for each series. A long frame has a row for
            each time point and is refused; :func:`skgdpd.datasets.from_long` makes an array of it.
        y : array-like of shape (n_samples,)
            Labels. If y marks unlabelled series, use :class:`skgdpd.LabeledFolds` as ``cv``,
            which keeps these series out of the test folds.
        **params
            Further arguments of the classifier's ``fit``. They are split by rows like X.
            ``groups`` is passed to the splitter.

        Returns
        -------
        SharedGridSearchCV
            The estimator itself.

        Raises
        ------
        TypeError
            If ``estimator`` is not a classifier of prefixes.
        ValueError
            If a test fold has unlabelled series, or if ``X_unlabeled`` is given.
        """
        self._validate_params()
        if not isinstance(self.estimator, BasePrefixClassifier):
            raise TypeError(
                f"estimator={self.estimator!r} must be a GDPDClassifier, "
                f"DistilledPrefixClassifier or PrefixClassifier; for others there is "
                f"sklearn.model_selection.GridSearchCV"
            )
        if params.get("X_unlabeled") is not None:
            raise ValueError(
                "X_unlabeled can't be given to a search, whose folds are rows of X; append the "
                "unlabelled series to X, mark their rows in y, and take cv=LabeledFolds()"
            )
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        marker = getattr(self.estimator, "unlabeled", None)
        _check_rows(X, y, marker)
        X, y = indexable(X, y)
        params = _check_method_params(X, params=params)
        if params.get("sample_weight") is not None:
            checked_weights(params["sample_weight"], len(y))
        routed = self._get_routed_params_for_fit(params)
        with about("scoring"):
            scorers, refit_metric = self._get_scorers()
        if self.cv is None or isinstance(self.cv, Integral):
            refuse_marked(y, marker)  # every row is in a test part
        splits = split_rows(self.cv, X, y, **routed.splitter.split)
        for _, test in splits:
            refuse_marked(_safe_indexing(y, test), marker)
        candidates = self._candidates()
        fits: list[Fit] = []  # by fold, then by candidate
        with fit_tasks(self, len(splits) + 2, X, y) as task:
            once, seed = OnceInMemory(), self._common_seed(candidates)
            for rows, _ in splits:
                with task("prepare-fold"):
                    own = _check_method_params(X, routed.estimator.fit, rows)
                    parts = _safe_indexing(X, rows), _safe_indexing(y, rows)
                    fits += self._prepare(candidates, *parts, own, once, seed)
            with task("train-students"):
                self._train_all(fits)
            with task("score-and-refit"):
                by_candidate = np.arange(len(fits)).reshape(len(splits), -1).T.ravel()
                fits = [fits[i] for i in by_candidate]
                out = self._scores(fits, splits, X, y, scorers, routed.scorer.score)
                self._choose(candidates, out, len(splits), refit_metric)
                if self.refit:
                    self._refit(X, y, routed.estimator.fit)
        self.scorer_ = getattr(scorers, "_scorers", scorers)
        self.n_splits_ = len(splits)
        histories = [getattr(fit.estimator, "history_", None) for fit in fits]
        n = len(splits)
        self.histories_ = [histories[i : i + n] for i in range(0, len(histories), n)]
        return self

    def _candidates(self) -> list[dict[str, Any]]:
        """Return the parameters of each candidate, after a check that the estimator has them."""
        with about("param_grid"):
            candidates = list(ParameterGrid(self.param_grid))
            for candidate in candidates:
                clone(self.estimator).set_params(**clone(candidate, safe=False))
        if not candidates:
            raise ValueError(f"param_grid={self.param_grid!r} has no candidates")
        return candidates

    def _common_seed(self, candidates: Sequence[dict[str, Any]]) -> int:
        """Return the seed of all fits whose ``random_state`` is not an int."""
        own = self.estimator.random_state
        states = [candidate.get("random_state", own) for candidate in candidates]
        drawn_from = [state for state in states if not isinstance(state, (int, np.integer))]
        state = clone(drawn_from[0], safe=False) if drawn_from else 0
        return int(check_random_state(state).randint(2**31 - 1))

    def _prepare(
        self,
        candidates: Sequence[dict[str, Any]],
        X: Any,
        y: Any,
        fit_params: dict[str, Any],
        once: OnceInMemory,
        seed: int,
    ) -> Iterator[Fit]:
        """Prepare the fit of each candidate on a fold, up to the training of the student.

        ``seed`` is the seed of all fits whose ``random_state`` is not an int.
        """
        known: list[Rows] = []
        for candidate in candidates:
            estimator = clone(self.estimator).set_params(**clone(candidate, safe=False))
            if not isinstance(estimator.random_state, (int, np.integer)):
                estimator.set_params(random_state=seed)
            fit, start = Fit(estimator), time.perf_counter()
            with self._noted(fit):
                data = estimator._read_fit(X, y, **fit_params)
                memory = once if getattr(estimator, "memory", once) is None else None

                def fit_fixed(module: SeriesNet, rows: Rows, seed: int) -> Any:
                    return fit_once(once, fit_fixed_part, module, rows, seed)

                silent = Progress(1, visible=False)
                fit.prepared = estimator._prepare(data, silent, memory, fit_fixed)
                student = fit.prepared.student
                student.rows = _known_rows(student.rows, known)
                fit.run = run_of(student)
                fit.key = batch_key(fit.run) if self.together else None
            fit.seconds = time.perf_counter() - start
            yield fit

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
        """Train and finish some candidates, together if this is faster."""
        runs = [fit.run for fit in fits if fit.run is not None]
        start = time.perf_counter()
        if len(runs) > 1 and (self.together is True or is_faster(runs)):
            with self._noted(*fits):
                train_batched(runs)
                self.n_together_ += len(fits)
                for fit, run in zip(fits, runs, strict=True):
                    assert fit.prepared is not None
                    fit.history = fit.prepared.student.described(run.history)
                    fit.seconds += (time.perf_counter() - start) / len(fits)
        for fit in fits:
            start = time.perf_counter()
            with self._noted(fit):
                if fit.error is None and fit.run is not None and fit.run.error is not None:
                    raise fit.run.error
                if fit.error is None and fit.prepared is not None:
                    history = fit.history or train(fit.prepared.student)
                    silent = Progress(1, visible=False)
                    fit.estimator._finish(fit.prepared, history, silent)
            fit.prepared = fit.run = None
            fit.seconds += time.perf_counter() - start

    @contextmanager
    def _noted(self, *fits: Fit) -> Iterator[None]:
        """Record an error in the block as the error of the fits, unless it must be raised."""
        try:
            yield
        except Exception as error:
            if isinstance(self.error_score, str):
                raise
            for fit in fits:
                fit.error, fit.trace = error, format_exc()

    def _scores(
        self,
        fits: Sequence[Fit],
        splits: Sequence[Split],
        X: Any,
        y: Any,
        scorers: Any,
        score_params: dict[str, Any],
    ) -> list[dict[str, Any]]:
        """Return the scores and times of each fit, for ``cv_results_``."""
        out = []
        for i, fit in enumerate(fits):
            train_rows, test_rows = splits[i % len(splits)]
            found: dict[str, Any] = {
                "fit_error": fit.trace,
                "fit_time": fit.seconds,
                "n_test_samples": len(test_rows),
                "score_time": 0.0,
            }
            parts = {"test_scores": test_rows}
            if self.return_train_score:
                parts["train_scores"] = train_rows
            start = time.perf_counter()
            for name, rows in parts.items():
                if fit.error is not None:
                    metrics = getattr(scorers, "_scorers", None)
                    found[name] = (
                        self.error_score
                        if metrics is None
                        else dict.fromkeys(metrics, self.error_score)
                    )
                    continue
                own = _check_method_params(X, score_params, rows)
                found[name] = _score(
                    fit.estimator,
                    _safe_indexing(X, rows),
                    _safe_indexing(y, rows),
                    scorers,
                    own,
                    self.error_score,
                )
                if name == "test_scores":
                    found["score_time"] = time.perf_counter() - start
            out.append(found)
        _warn_or_raise_about_fit_failures(out, self.error_score)
        if callable(self.scoring):
            _insert_error_scores(out, self.error_score)
        return out

    def _choose(
        self,
        candidates: list[dict[str, Any]],
        out: list[dict[str, Any]],
        n_splits: int,
        refit_metric: str,
    ) -> None:
        """Set the attributes of the results and the best candidate."""
        self.cv_results_ = results = self._format_results(candidates, n_splits, out)
        first = out[0]["test_scores"]
        self.multimetric_ = isinstance(first, dict)
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(first)
            refit_metric = self.refit
        if self.refit or not self.multimetric_:
            self.best_index_ = self._select_best_index(self.refit, refit_metric, results)
            if not callable(self.refit):
                self.best_score_ = results[f"mean_test_{refit_metric}"][self.best_index_]
            self.best_params_ = results["params"][self.best_index_]

    def _refit(self, X: Any, y: Any, fit_params: dict[str, Any]) -> None:
        """Fit the best candidate on all series."""
        best = clone(self.best_params_, safe=False)
        self.best_estimator_ = clone(self.estimator).set_params(**best)
        start = time.perf_counter()
        self.best_estimator_.fit(X, y, **fit_params)
        self.refit_time_ = time.perf_counter() - start


def _check_rows(X: Any, y: Any, marker: Any) -> None:
    """Raise an error, before any fit, if series or labels can't be divided into folds by rows."""
    n = len(read_panel(X))
    labels, missing = split_marked(y, marker)
    encode(labels)
    check_equally_many(missing, n)
    if _num_samples(X) != n:
        raise ValueError(
            f"X has {_num_samples(X)} rows for {n} series, and a search divides X by its rows; "
            f"give a row for each series: a 3-D array, a list of frames, or what "
            f"skgdpd.datasets.from_long makes of a long frame"
        )


def _known_rows(rows: Rows, known: list[Rows]) -> Rows:
    """Return equal rows of another candidate of the fold, if there are any, to save memory."""
    for other in known:
        if rows.tensors.keys() == other.tensors.keys() and all(
            value.shape == other.tensors[name].shape and torch.equal(value, other.tensors[name])
            for name, value in rows.tensors.items()
        ):
            return other
    known.append(rows)
    return rows

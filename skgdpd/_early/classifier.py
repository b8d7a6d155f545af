"""EarlyClassifier: a classifier joined with a stopping rule."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import Tags, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._fitting.data import check_pairs, encode
from .._persistence import Saveable
from .._runtime.arguments import about
from .._runtime.doc_links import LinksToDocs
from .._runtime.log_probabilities import log_probabilities
from .._runtime.parameters import PlainNumbers
from .._runtime.random import RandomState, Seeds
from .._runtime.worker_config import CarriesConfig, in_worker_settings
from .._series.frames import aligned, check_fitted_names, set_names
from .._series.panel import (
    Panel,
    check_channels,
    check_values,
    own_lengths,
    read_paired,
    read_panel,
)
from .._series.truncation import MIN_LENGTH, check_reached, moments_of
from .._series.unlabeled import check_equally_many, marker_of, refuse_marked, split_marked
from .._series.weights import checked_weights, of_usual_size
from ..training.progress import Progress
from .clones import MomentClones, allows_missing, check_clones
from .costs import DelayCost, Floats, Integers, MisclassificationCost, decision_cost
from .left_out import Fold, cross_fitted_path, left_out_folds, rows_of, series_of, splitter
from .models import (
    check_has_teacher,
    gaps_named_from_outside,
    knows_left_out,
    labelled_only,
    unfitted_model,
)
from .paths import checked_groups, group_numbers
from .reading import path_of, reader_of
from .rule import Rule
from .selection import RULES, check_rule, check_rule_data, select_rule
from .session import AfterAnswer, EarlySession, OnIdle, SessionOptions


@dataclass(frozen=True, eq=False)
class EarlyDecisions:
    """Answers to series, and the moments at which the series were answered.

    Attributes
    ----------
    labels : ndarray of shape (n,)
        Labels of the answers.
    probabilities : ndarray of shape (n, n_classes)
        Class probabilities at the moment of the answer.
    n_seen : ndarray of shape (n,)
        Number of time points that were seen before the answer.
    share_seen : ndarray of shape (n,)
        ``n_seen`` as a share of the length of the training series.
    forced : ndarray of bool of shape (n,)
        True if the series ended before the stopping rule had seen enough.
    cost : ndarray of shape (n,) or None
        Cost of each answer: the cost of waiting plus the cost of an error. None if no labels were
        given.
    """

    labels: NDArray[Any]
    probabilities: Floats
    n_seen: Integers
    share_seen: Floats
    forced: NDArray[np.bool_]
    cost: Floats | None = None

    def __len__(self) -> int:
        return len(self.labels)


class EarlyClassifier(
    CarriesConfig,
    LinksToDocs,
    Saveable,
    PlainNumbers,
    ClassifierMixin,
    BaseEstimator,
):
    """Early classifier (ECTS) that answers as soon as it has seen enough of a series.

    A classifier gives the class probabilities of a series at several moments. A stopping rule
    decides at each moment to answer or to wait. It weighs the cost of waiting against the cost of
    errors.

    Parameters
    ----------
    classifier : classifier, default=None
        Classifier of series. A classifier of skgdpd needs several moments, ``earliness=[...]``.
        A classifier of scikit-learn, sktime or aeon is cloned, and a clone is fitted for each
        moment. None means ``PrefixClassifier``.
    rule : {"auto", "fixed", "threshold", "stopping_rule", "teaser", "ecec", "economy", \
"calimera", "accuracy_gap"} or rule, default="auto"
        Stopping rule; see :mod:`skgdpd.stopping`. "auto" takes the rule with the least cost on
        left-out series among the rules whose fit is quick. If the rule is an object, its
        parameters are searched as ``rule__...``.
    delay_cost : float, callable or array-like of shape (n_moments,), default=0.25
        Cost of waiting. A number c means that an answer at time t of T costs c * t / T. A
        callable maps the share t / T to the cost. An array has a cost for each moment. The
        default corresponds to the customary weights of 0.8 for errors and 0.2 for delay.
    misclassification_cost : array-like of shape (n_classes, n_classes), dict or None, default=None
        Cost of errors. With None, each error costs 1. A matrix is ``[true, predicted]``, in the
        order of ``classes_``. The keys of a dict are true classes. A value is the cost of any
        error on the class, or a dict of costs by predicted class. For example,
        ``{"failure": 20}`` means that a missed failure costs as much as 20 false alarms. The
        answer is always the class with the least expected cost.
    earliness : sequence of float or int, default=None
        Ascending moments, as shares of the length or as numbers of time points. Only for a
        classifier that is None or not of skgdpd. None means every twentieth of the length.
    cv : int or splitter, default=5
        Folds of the cross-validation that gives the left-out probabilities for the fit of the
        rule. It has no effect if the classifier gives them in closed form.
    held_out_fraction : float, default=0.5
        Share of the labelled series that are held out from the fit of the classifier, at most one
        half. It is rounded to 1/2, 1/3, 1/4 and so on. Only ``"accuracy_gap"`` needs held-out
        series, because its promise is about the fitted classifier itself. Other rules hold none
        out.
    n_jobs : int, default=None
        Number of processes for clones and folds. None means one.
    random_state : int, RandomState instance or None, default=None
        Source of all seeds: of folds, of held-out series, of the choice of a rule, and of the
        classifier if ``classifier`` is None.
    verbose : int, default=0
        Whether to show a progress bar. It counts clones and folds during a fit, and series during
        predictions. The fit of a classifier with all moments counts as one step. A classifier of
        skgdpd then shows no bar of its own; without it, the classifier's own ``verbose`` counts.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels in ascending order.
    classifier_ : classifier
        Fitted classifier with a method ``predict_proba_path``.
    rule_ : rule
        Fitted stopping rule.
    rule_table_ : dict of str to (float, float)
        Mean cost and standard error of each compared rule on left-out series. The costs serve
        to choose a rule. They are too low as estimates of the cost on new series, which
        :meth:`score` measures on a test part. Empty if a rule was given.
    time_points_ : ndarray of shape (n_moments,)
        Number of time points at each moment.
    cost_ : DecisionCost
        Costs of waiting at each moment, and of errors.
    left_out_path_ : ndarray of shape (n_samples, n_moments, n_classes)
        Class probabilities of the training series, by models that were fitted without them. The
        rule was fitted to them. NaN for series without a label, for series to which the rule was
        not fitted, and at moments that a series has not reached.
    left_out_y_ : ndarray of shape (n_samples,)
        Class numbers of the training series; -1 for series without a label.
    left_out_weight_, left_out_group_ : ndarray of shape (n_samples,) or None
        Weights and group numbers of the training series. None if ``fit`` was given none.
    n_features_in_ : int
        Number of channels after a fit on 3-D series; number of time points after a fit on 2-D
        series.
    feature_names_in_ : ndarray of shape (n_names,)
        Names of the columns of X, which later frames must have too. Only exists after a fit on a
        frame whose column names are all strings.
    sampling_step_ : tuple of (float, bool)
        Time from point to point, and whether times are dates; the time is in seconds then. Only
        exists after a fit on the command line to a table with times.
    series_digests_ : ndarray of shape (n_digests,)
        Digests of the training series, by which ``skgdpd evaluate`` finds series that the model
        was fitted to. They exist only after a fit on the command line.
    n_channels_in_, n_timepoints_in_ : int
        Numbers of channels and of time points of the whole series.

    Examples
    --------
    >>> from skgdpd import EarlyClassifier
    >>> from skgdpd.datasets import make_bumps
    >>> X, y = make_bumps(n_samples=80, random_state=0)
    >>> early = EarlyClassifier(delay_cost=0.5, random_state=0).fit(X[:60], y[:60])
    >>> answers = early.decide(X[60:])
    >>> answers.labels.shape, bool((answers.share_seen <= 1).all())
    ((20,), True)
    """

    _parameter_constraints: dict[str, Any] = {
        "classifier": [HasMethods(["fit", "predict_proba"]), None],
        "rule": [StrOptions({"auto", *RULES}), Rule],
        "delay_cost": [Interval(Real, 0, None, closed="left"), callable, "array-like"],
        "misclassification_cost": "no_validation",  # decision_cost checks it
        "earliness": ["array-like", None],
        "cv": [Interval(Integral, 2, None, closed="left"), HasMethods(["split", "get_n_splits"])],
        "held_out_fraction": [Interval(Real, 0, 0.5, closed="right")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        classifier: Any = None,
        *,
        rule: str | Rule = "auto",
        delay_cost: DelayCost = 0.25,
        misclassification_cost: MisclassificationCost = None,
        earliness: Sequence[float] | None = None,
        cv: Any = 5,
        held_out_fraction: float = 0.5,
        n_jobs: int | None = None,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.classifier = classifier
        self.rule = rule
        self.delay_cost = delay_cost
        self.misclassification_cost = misclassification_cost
        self.earliness = earliness
        self.cv = cv
        self.held_out_fraction = held_out_fraction
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        if self.classifier is not None:
            tags.input_tags.allow_nan = allows_missing(self.classifier)
        return tags

    @in_worker_settings
    @gaps_named_from_outside
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        **fit_params: Any,
    ) -> EarlyClassifier:
        """Fit the classifier, and then the stopping rule to left-out probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Whole series, in any form that skgdpd's classifiers allow.
        y : array-like of shape (n_samples,)
            Labels. If the classifier has a teacher, some labels may be missing.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each series in the fit of the classifier and of the rule.
        groups : array-like of shape (n_samples,), optional
            Group of each series, such as a patient. Series of a group are left out together.
        **fit_params
            Further arguments of the classifier's ``fit``, such as ``X_unlabeled``.

        Returns
        -------
        EarlyClassifier
            The estimator itself.
        """
        # If this fit fails, no attribute of an earlier fit may answer.
        for name in [n for n in vars(self) if n.endswith("_") and not n.startswith("_")]:
            delattr(self, name)
        check_rule(self.rule)
        self._validate_params()
        check_has_teacher(self.classifier, fit_params)
        seeds = Seeds(self.random_state)
        panel = read_panel(X)
        y, sample_weight = aligned(X, y, "y"), aligned(X, sample_weight, "sample_weight")
        groups = aligned(X, groups, "groups")
        column, self.classes_, numbers = _read_labels(
            y, len(panel), self.classifier, marker_of(self)
        )
        weight = None
        if sample_weight is not None:
            weight = checked_weights(sample_weight, len(panel))
            fit_params = {**fit_params, "sample_weight": weight}
        if fit_params.get("X_teacher") is not None:
            whole = read_paired(X, fit_params["X_teacher"], "X_teacher")
            check_pairs(panel, whole)
            fit_params = {**fit_params, "X_teacher": series_of(whole)}
        own_groups = None if groups is None else checked_groups(groups, len(panel))
        model = unfitted_model(
            self.classifier, self.earliness, self.n_jobs, seeds("classifier"),
            silent=bool(self.verbose),
        )  # fmt: skip
        self.n_timepoints_in_, self.time_points_ = moments_in(panel, model.earliness)
        self.cost_ = decision_cost(
            self.delay_cost,
            self.misclassification_cost,
            self.time_points_.tolist(),
            self.n_timepoints_in_,
            self.classes_,
        )
        rows = np.arange(len(panel))
        folds = None
        if isinstance(model, MomentClones):
            check_clones(model.estimator, panel.first(int(self.time_points_[-1])), fit_params)
        # All moments of short series may fall on one, and the model then has no left-out path.
        knows = own_groups is None and len(self.time_points_) > 1 and knows_left_out(model)
        if not (self._holds_out or knows):
            folds = left_out_folds(self.cv, numbers, self.classes_, own_groups, seeds("folds"))
        if self._holds_out:
            fraction, seed = self.held_out_fraction, seeds("held out")
            rows = learning_rows(numbers, self.classes_, own_groups, fraction, seed)
        judged = np.setdiff1d(np.flatnonzero(numbers >= 0), rows if self._holds_out else [])
        check_rule_data(
            self.rule,
            len(self.time_points_),
            judged if own_groups is None else own_groups[judged],
            None if weight is None else weight[judged],
        )
        with Progress(n_steps(model, folds), bool(self.verbose)) as progress:
            taken = series_of(panel.take(rows)), column[rows]
            fit_model(model, progress, *taken, **rows_of(fit_params, rows))
            self.n_channels_in_ = panel.n_channels
            self.n_features_in_ = panel.n_timepoints if panel.flat else panel.n_channels
            set_names(self, X, flat=False)
            path = self._left_out(model, panel, column, rows, folds, fit_params, progress)
            progress.stage("rule")
            self._fit_rule(path, numbers, weight, own_groups, seeds)
            progress.advance(1)
        self.classifier_, self.left_out_path_ = model, path
        self.left_out_y_, self.left_out_weight_ = numbers, weight
        self.left_out_group_ = None if own_groups is None else group_numbers(own_groups)
        return self

    # The parts of a fit

    @property
    def _holds_out(self) -> bool:
        if isinstance(self.rule, Rule):
            return self.rule.needs_held_out
        return self.rule != "auto" and RULES[self.rule].needs_held_out

    def _left_out(
        self,
        model: Any,
        panel: Panel,
        column: NDArray[Any],
        rows: NDArray[np.int64],
        folds: Sequence[Fold] | None,
        fit_params: dict[str, Any],
        progress: Progress,
    ) -> Floats:
        """Return the probabilities of labelled series by models that were fitted without them."""
        if len(rows) < len(panel):
            held_out = np.setdiff1d(np.arange(len(panel)), rows)
            own = reader_of(model).path(panel.take(held_out))
            path = np.full((len(panel), *own.shape[1:]), np.nan)
            path[held_out] = own
            return path
        if folds is None:
            return np.asarray(model.left_out_path_)
        return cross_fitted_path(
            model, panel, column, folds, self.classes_, fit_params=fit_params,
            n_jobs=self.n_jobs, progress=progress,
        )  # fmt: skip

    def _fit_rule(
        self,
        path: Floats,
        numbers: Integers,
        weight: NDArray[Any] | None,
        groups: NDArray[Any] | None,
        seeds: Seeds,
    ) -> None:
        rows = np.flatnonzero(~np.isnan(path[:, 0, 0]) & (numbers >= 0))
        data: dict[str, Any] = {
            "time_points": self.time_points_.tolist(),
            "n_timepoints": self.n_timepoints_in_,
            "sample_weight": None if weight is None else weight[rows],
            "groups": None if groups is None else groups[rows],
        }
        self.rule_table_: dict[str, tuple[float, float]] = {}
        if isinstance(self.rule, str) and self.rule == "auto":
            choice = select_rule(
                path[rows], numbers[rows], self.cost_, **data, random_state=seeds("rule")
            )
            self.rule_, self.rule_table_ = choice.rule, choice.costs
            return
        rule = RULES[self.rule]() if isinstance(self.rule, str) else clone(self.rule)
        self.rule_ = rule.fit(path[rows], numbers[rows], self.cost_, **data)

    # Answers

    @in_worker_settings
    @gaps_named_from_outside
    def decide(self, X: Any, y: ArrayLike | None = None) -> EarlyDecisions:
        """Answer each series at its own moment.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            Series of at least ``time_points_[0]`` time points. Points after the answer to a
            series do not affect it. All values up to the last moment are checked, even after an
            answer: a NaN that the classifier does not allow is refused.
        y : array-like of shape (n_samples,), optional
            True labels. If given, the cost of each answer is computed.

        Returns
        -------
        EarlyDecisions
            Labels, probabilities, moments and costs of the answers.
        """
        check_is_fitted(self, "classifier_")
        panel = self._read(X)
        path = self._path(panel)
        moments, forced = self.rule_.decide(path)
        rows = np.arange(len(panel))
        proba = path[rows, moments]
        answers = self.cost_.labels(proba)
        cost = None
        if y is not None:
            given = aligned(X, y, "y")
            true = class_numbers(given, len(panel), self.classes_, marker_of(self))
            cost = self.cost_.misclassification[true, answers] + self.cost_.delay[moments]
        n_seen = self.time_points_[moments]
        return EarlyDecisions(
            labels=self.classes_[answers],
            probabilities=proba,
            n_seen=n_seen,
            share_seen=n_seen / self.n_timepoints_in_,
            forced=forced,
            cost=cost,
        )

    def start(
        self,
        ids: int | Iterable[Hashable] = (),
        *,
        join: bool = False,
        after_answer: AfterAnswer = "ignore",
        max_open: int | None = None,
        idle_timeout: float | None = None,
        on_idle: OnIdle = "force",
    ) -> EarlySession:
        """Start a session for series whose points arrive over time.

        Parameters
        ----------
        ids : int or iterable of hashable, default=()
            Ids of the series. A number n stands for the ids 0 to n - 1.
        join : bool, default=False
            Whether points of an unknown id begin a new series. By default they are refused,
            because an unknown id is often a mistake.
        after_answer : {"ignore", "refuse", "restart"}, default="ignore"
            Treatment of points that arrive after their series has been answered. "ignore" counts
            them, and "refuse" raises an error. "restart" begins a new series under the same id,
            for sensors that never end.
        max_open : int, default=None
            Largest number of series that may wait for an answer at the same time. Further series
            are refused. None means no limit.
        idle_timeout : float, default=None
            Time without points after which a series is given up, in the unit of the ``time`` of
            :meth:`EarlySession.push`. None means that a series is never given up.
        on_idle : {"force", "drop"}, default="force"
            What to do with a series that is given up. "force" answers it from its latest moment,
            and "drop" forgets it.

        Returns
        -------
        EarlySession
            New session, which has read no points yet.
        """
        check_is_fitted(self, "classifier_")
        options = SessionOptions(join, after_answer, max_open, idle_timeout, on_idle)
        return EarlySession(self, ids, options)

    def resume(self, path: str | os.PathLike[str]) -> EarlySession:
        """Resume a session from a file that :meth:`EarlySession.save` wrote.

        Parameters
        ----------
        path : str or path
            Name of the file.

        Returns
        -------
        EarlySession
            Session that gives the same answers as the saved session would have given.

        Raises
        ------
        FileNotFoundError
            If the file does not exist.
        ModelFileError
            If the file does not hold a session, or holds a session of another classifier.
        """
        check_is_fitted(self, "classifier_")
        return EarlySession.opened(self, path)

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the logarithms of the class probabilities at the moments of the answers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            As in :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Natural logarithms of the result of ``predict_proba``, in the order of ``classes_``.
            The logarithm of a probability of 0 is minus infinity.
        """
        return log_probabilities(self.predict_proba(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the labels of series, each answered at its own moment.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            As in :meth:`decide`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels with the least expected cost.
        """
        return self.decide(X).labels

    def predict_proba(self, X: Any) -> Floats:
        """Return the class probabilities of series, each at the moment of its answer.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            As in :meth:`decide`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        return self.decide(X).probabilities

    @in_worker_settings
    @gaps_named_from_outside
    def predict_proba_path(self, X: Any) -> Floats:
        """Return the class probabilities of series at all moments.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            As in :meth:`decide`.

        Returns
        -------
        ndarray of shape (n_samples, n_moments, n_classes)
            Class probabilities in the order of ``classes_``; NaN at the moments that a series has
            not reached.
        """
        check_is_fitted(self, "classifier_")
        return self._path(self._read(X))

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return minus the mean cost, so that a higher score is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_channels, n_timepoints)
            As in :meth:`decide`.
        y : array-like of shape (n_samples,)
            True labels.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the series.

        Returns
        -------
        float
        """
        if y is None:
            raise ValueError("y is None; a score needs the true labels")
        cost: Any = self.decide(X, y).cost
        return -weighted_mean(cost, aligned(X, sample_weight, "sample_weight"))

    def _path(self, panel: Panel) -> Floats:
        with Progress(len(panel), bool(self.verbose)) as progress:
            progress.stage("series")
            return path_of(self.classifier_, panel, progress)

    def _read(self, X: Any) -> Panel:
        """Return the series as a panel, after checks of channels, names, lengths and values."""
        panel = read_panel(X)
        check_channels(panel, self.n_channels_in_, self)
        check_fitted_names(self, X, panel.flat)
        lengths = own_lengths(np.isnan(np.asarray(panel.values)))
        check_reached(lengths, int(self.time_points_[0]), "X")
        # A check in the classifier would count the series of a part of X, and name a wrong one.
        read = np.asarray(panel.first(int(self.time_points_[-1])).values)
        check_values(read, gaps=bool(get_tags(self).input_tags.allow_nan))
        return panel


def n_steps(model: Any, folds: Sequence[Fold] | None) -> int:
    """Return the number of progress steps of a fit: each model, each fold, and the rule."""
    n_models = len(model.earliness) if isinstance(model, MomentClones) else 1
    return n_models + (0 if folds is None else len(folds)) + 1


def fit_model(model: Any, progress: Progress, X: Any, y: Any, **fit_params: Any) -> None:
    """Fit a classifier of several moments, and advance the progress by its steps."""
    if isinstance(model, MomentClones):
        model.fit_shown(progress, X, y, **fit_params)
        return
    progress.stage("classifier")
    model.fit(X, y, **fit_params)
    progress.advance(1)


def moments_in(panel: Panel, earliness: Any) -> tuple[int, Integers]:
    """Return the length of the whole series and the moments, after a check that they fit.

    Parameters
    ----------
    panel : Panel
        Training series.
    earliness : object
        Moments of the classifier, as shares of the length or numbers of time points.

    Returns
    -------
    n_timepoints : int
        Number of time points of the longest series.
    time_points : ndarray of shape (n_moments,)
        Number of time points at each moment.

    Raises
    ------
    ValueError
        If all series are too short, or if a moment is after the end of the longest one.
    """
    n_timepoints = int(own_lengths(np.isnan(np.asarray(panel.values))).max())
    if n_timepoints < MIN_LENGTH:
        advice = (
            f". It has {panel.n_channels} channels; if these are time points, take "
            f"X.transpose(0, 2, 1), as X is (n_samples, n_channels, n_timepoints)"
            if panel.n_channels > 1
            else ""
        )
        raise ValueError(
            f"X has series of {n_timepoints} time point(s); at least {MIN_LENGTH} are needed"
            f"{advice}"
        )
    times = moments_of(earliness, n_timepoints)
    if times[-1] > n_timepoints:
        raise ValueError(
            f"earliness={earliness!r} has a moment of {times[-1]} time points; the series have "
            f"{n_timepoints}"
        )
    return n_timepoints, np.array(times)


def _read_labels(
    y: Any, n: int, classifier: Any, marker: Any
) -> tuple[NDArray[Any], NDArray[Any], Integers]:
    """Return y as a column, the classes, and class numbers (-1 for a missing label)."""
    if y is None:
        raise ValueError("EarlyClassifier requires y to be passed, but the target y is None")
    if hasattr(classifier, "teacher"):
        labels, missing = split_marked(y, marker)
    else:
        labels = refuse_marked(y, marker, labelled_only(classifier))
        missing = np.zeros(len(y), dtype=bool)
    check_equally_many(missing, n)
    classes, codes = encode(labels)
    if not missing.any():
        return labels, classes, codes
    column, numbers = np.full(n, None, dtype=object), np.full(n, -1)
    column[~missing], numbers[~missing] = labels, codes
    return column, classes, numbers


def learning_rows(
    numbers: Integers,
    classes: NDArray[Any],
    groups: NDArray[Any] | None,
    held_out_fraction: float,
    seed: int,
) -> NDArray[np.int64]:
    """Return the training rows of a classifier if the other rows are held out for the rule.

    Parameters
    ----------
    numbers : ndarray of shape (n,)
        Class numbers; -1 for series without a label, which are never held out.
    classes : ndarray of shape (n_classes,)
        Labels by class number, for error messages.
    groups : ndarray of shape (n,) or None
        Group of each series. Series of a group stay together.
    held_out_fraction : float
        Approximate share of the labelled series that are held out, at most one half.
    seed : int
        Seed of the choice.

    Returns
    -------
    ndarray of int
        Row numbers of the training series, in ascending order.

    Raises
    ------
    ValueError
        If a class has only one series or one group, or if all of its groups are held out.
    """
    known = np.flatnonzero(numbers >= 0)
    own = None if groups is None else groups[known]
    n_folds = round(1 / held_out_fraction)
    split = splitter(n_folds, numbers[known], classes, own, seed)
    learning, held_out = next(split.split(known, numbers[known], own))
    lost = np.setdiff1d(numbers[known], numbers[known[learning]])
    if len(lost):
        raise ValueError(
            f"held_out_fraction={held_out_fraction} leaves no series of the class "
            f"{classes.tolist()[lost[0]]!r} to fit the classifier to, since groups are held out "
            f"together; give more groups that have the class, or a smaller fraction"
        )
    return np.setdiff1d(np.arange(len(numbers)), known[held_out])


def weighted_mean(values: Floats, sample_weight: Any) -> float:
    """Return the mean of values, weighted if ``sample_weight`` is given."""
    if sample_weight is None:
        return float(values.mean())
    weight = of_usual_size(checked_weights(sample_weight, len(values)))
    return float(np.average(values, weights=weight))


def class_numbers(y: Any, n: int, classes: NDArray[Any], marker: Any) -> Integers:
    """Return the class numbers of labels; refuse labels that are not among the classes.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels.
    n : int
        Number of series.
    classes : ndarray of shape (n_classes,)
        Labels by class number.
    marker : object
        Value that marks a missing label.

    Returns
    -------
    ndarray of shape (n,)
    """
    labels = refuse_marked(y, marker)
    check_equally_many(labels, n)
    with about("y"):
        unknown = np.setdiff1d(labels, classes)
    if len(unknown):
        raise ValueError(
            f"y has the labels {unknown.tolist()}, for which no cost is known; the classes are "
            f"{classes.tolist()}"
        )
    return np.searchsorted(classes, labels)

"""What the early classifier refuses, and what it says then."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit
from sklearn.neighbors import KNeighborsClassifier

from skgdpd import DistilledPrefixClassifier, EarlyClassifier, PrefixClassifier
from skgdpd._early.classifier import learning_rows
from skgdpd._series.truncation import parts_of
from skgdpd.stopping import (
    RULES,
    AccuracyGap,
    Calimera,
    FixedTime,
    decision_cost,
    select_rule,
)

SHARES = [0.2, 0.5, 1.0]


class Stumbles(ClassifierMixin, BaseEstimator):
    """Classifier that raises an error at one length, in its fit or in its predictions."""

    def __init__(self, error, length, where="fit"):
        self.error, self.length, self.where = error, length, where

    def fit(self, X, y):
        if self.where == "fit" and X.shape[1] == self.length:
            raise self.error("too hard")
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        if self.where == "predict" and X.shape[1] == self.length:
            raise self.error("too hard")
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


# The list of moments


@pytest.mark.parametrize("make", [tuple, np.array, "Series", "Index"], ids=str)
@pytest.mark.parametrize("shares", [SHARES, [0.5]], ids=str)
def test_a_column_of_moments_is_a_list(make, shares, bumps):
    if isinstance(make, str):
        make = getattr(pytest.importorskip("pandas"), make)
    X, y = bumps
    times = [int(40 * share) for share in shares]
    early = EarlyClassifier(LogisticRegression(), earliness=make(shares), cv=2, rule="fixed")
    assert early.fit(X, y).time_points_.tolist() == times
    one = PrefixClassifier("rocket", earliness=make(shares), random_state=0).fit(X, y)
    two = PrefixClassifier("rocket", earliness=shares, random_state=0).fit(X, y)
    assert one.time_points_.tolist() == times
    assert np.array_equal(one.predict_proba(X), two.predict_proba(X))


def test_the_index_of_a_column_has_no_effect():
    pandas = pytest.importorskip("pandas")
    assert parts_of(pandas.Series(SHARES, index=[7, 3, 5])) == SHARES


@pytest.mark.parametrize("one", [1, np.int64(1)], ids=["int", "numpy"])
@pytest.mark.parametrize("make", [list, tuple, lambda parts: np.array(parts, dtype=object)])
def test_the_whole_number_1_among_shares_is_the_share(make, one, bumps):
    X, y = bumps
    parts = make([0.1, 0.5, one])
    early = EarlyClassifier(LogisticRegression(), earliness=parts, cv=2, rule="fixed")
    assert early.fit(X, y).time_points_.tolist() == [4, 20, 40]
    clf = PrefixClassifier("rocket", earliness=parts, random_state=0).fit(X, y)
    assert clf.time_points_.tolist() == [4, 20, 40]


@pytest.mark.parametrize(
    ("inside", "advice"),
    [([8, 20, 40], r"earliness=\[8, 20, 40\]$"), (0.3, r"earliness=\[0.1, 0.2, 0.5, 1.0\]$")],
    ids=str,
)
def test_a_wrapped_classifier_must_see_all_points_up_to_a_moment(inside, advice, bumps):
    wrapped = CalibratedClassifierCV(PrefixClassifier("rocket", earliness=inside), cv=2)
    message = rf"CalibratedClassifierCV, whose estimator has .*earliness=1.0 inside.*{advice}"
    with pytest.raises(ValueError, match=message):
        EarlyClassifier(wrapped, earliness=[8, 20]).fit(*bumps)


def test_a_calibrated_classifier_answers_early(bumps):
    X, y = bumps
    inside = PrefixClassifier("rocket", earliness=1.0, random_state=0)
    wrapped = CalibratedClassifierCV(inside, cv=2)
    early = EarlyClassifier(wrapped, earliness=[8, 20], cv=2, rule="fixed").fit(X, y)
    assert early.time_points_.tolist() == [8, 20]
    moment = early.rule_.moment_
    own = early.classifier_.estimators_[moment].predict_proba(X[:, :, : [8, 20][moment]])
    assert early.predict_proba(X) == pytest.approx(own, abs=1e-6)


@pytest.mark.parametrize(
    ("classifier", "advice"),
    [
        (None, r"give classifier=PrefixClassifier\(earliness=.*missing_values='interpolate'\)\)"),
        (
            PrefixClassifier("rocket", earliness=SHARES),
            "set classifier__series__missing_values='interpolate' or 'mask' before the fit",
        ),
        (LogisticRegression(), "fill them, as the classifier LogisticRegression takes none"),
    ],
    ids=["none", "own", "other"],
)
def test_errors_of_missing_values_name_a_parameter_that_exists(classifier, advice, bumps):
    X, y = bumps
    gaps = X.copy()
    gaps[3, 0, 5] = np.nan
    early = EarlyClassifier(classifier, rule="fixed", cv=2, random_state=0)
    with pytest.raises(ValueError, match=advice):
        early.fit(gaps, y)
    early.fit(X, y)
    for predict in (early.decide, early.predict_proba_path, early.predict):
        with pytest.raises(ValueError, match=advice):
            predict(gaps)
    with pytest.raises(ValueError, match=r"there is nan\. Missing values are taken by"):
        early.start(1).push([[np.nan]])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"rule": Calimera}, r"rule=Calimera is a class; give an object, Calimera\(\)"),
        (
            {"rule": "calimero"},
            r"rule='calimero' must be one of 'auto', 'fixed', .*'accuracy_gap'",
        ),
        ({"rule": 3}, "rule=3 must be one of"),
        (
            {"misclassification_cost": 10},
            r"misclassification_cost=10 is one number; give a dict, such as \{'no': 10\}",
        ),
        (
            {"misclassification_cost": "high"},
            r"='high' must be a dict of costs by class, such as \{'no': 20\}, a matrix .* or None",
        ),
    ],
    ids=str,
)
def test_parameters_that_are_nearly_right_are_told_what_is_right(params, message, bumps):
    with pytest.raises(ValueError, match=message):
        EarlyClassifier(**params).fit(*bumps)


@pytest.mark.parametrize("name", ["sample_weight", "X_unlabeled", "colour"])
def test_arguments_that_a_clone_does_not_take_are_refused_before_a_fit(name, bumps, monkeypatch):
    def fit(self, X, y):
        raise AssertionError("fitted")

    monkeypatch.setattr(KNeighborsClassifier, "fit", fit)
    X, y = bumps
    early = EarlyClassifier(KNeighborsClassifier(), earliness=SHARES)
    words = f"{name} is given, but the fit of the classifier KNeighborsClassifier does not take it"
    with pytest.raises(TypeError, match=words):
        early.fit(X, y, **{name: np.ones(len(y))})


def test_a_transposed_array_is_recognised(bumps):
    X, y = bumps
    with pytest.raises(ValueError, match=r"1 time point\(s\).* 40 channels; .*X.transpose"):
        EarlyClassifier().fit(X.transpose(0, 2, 1), y)


class Unfitted(LogisticRegression):
    """Classifier whose fit must not begin."""

    def fit(self, X, y, sample_weight=None):
        raise AssertionError("fitted")


def few(y):
    """Return the weights of 3 series of each class; the others have none."""
    return np.isin(np.arange(len(y)), np.concatenate([np.flatnonzero(y == k)[:3] for k in set(y)]))


@pytest.mark.parametrize(
    ("rule", "how", "message"),
    [
        (FixedTime(True), {}, "moment=True must not be True or False"),
        (FixedTime(3), {}, "moment=3 must be from -3 to 2, as there are 3 moments"),
        (FixedTime(-4), {}, "moment=-4 must be from -3 to 2"),
        ("accuracy_gap", {}, "AccuracyGap has 15 of 30 series or groups .* it needs 59 at least"),
        (AccuracyGap(0.5, 0.5, 0.999), {}, "AccuracyGap has 30 of 30 series or groups"),
        (AccuracyGap(0.2, 0.2), {"groups": np.arange(60) // 10}, "AccuracyGap has 2 of 3 series"),
        (AccuracyGap(0.2, 0.2), {"sample_weight": few}, r"AccuracyGap has \d of \d series"),
    ],
)
def test_data_that_a_rule_cannot_be_fitted_to_is_refused_before_a_fit(rule, how, message, bumps):
    X, y = bumps
    fit = {name: value(y) if callable(value) else value for name, value in how.items()}
    early = EarlyClassifier(Unfitted(), earliness=SHARES, rule=rule, cv=2, random_state=0)
    with pytest.raises(ValueError, match=message):
        early.fit(X, y, **fit)


@pytest.mark.parametrize(
    ("rule", "message"),
    [("auto", "needs two series or groups"), ("calimera", "sample_weight is zero for all")],
)
def test_weights_of_zero_are_counted_before_a_fit(rule, message, bumps):
    X, y = bumps
    labels = y.astype(object)
    labels[8:] = None
    taught = DistilledPrefixClassifier(student="lstm1-8", earliness=SHARES, teacher=Unfitted())
    weight = np.array([label is None for label in labels])
    weight[0] = rule == "auto"
    with pytest.raises(ValueError, match=message):
        EarlyClassifier(taught, rule=rule, cv=2).fit(X, labels, sample_weight=weight)


def test_a_part_that_lacks_classes_is_refused_before_a_fit(bumps):
    X, y = bumps
    of_one = np.flatnonzero(y == y[0])[::2]
    cv = PredefinedSplit(np.isin(np.arange(60), of_one))
    early = EarlyClassifier(Unfitted(), earliness=SHARES, rule="fixed", cv=cv)
    with pytest.raises(ValueError, match=rf"fits the classifier to the class '{y[0]}' alone"):
        early.fit(X, y)
    # The other classes are balanced best if both groups of the rare one are in one part.
    numbers = np.array([0, 0, 1, 0, 0, 2, 1, 1, 2, 3, 0, 3, 0])
    groups = np.array([2, 3, 3, 3, 2, 1, 1, 3, 0, 1, 1, 2, 3])
    classes = np.array(["a", "b", "c", "rare"])
    with pytest.raises(ValueError, match="leaves no series of the class"):
        _ = [learning_rows(numbers, classes, groups, 0.5, seed) for seed in range(20)]


@pytest.mark.parametrize(
    "earliness",
    [
        [0.5, 1, 2],
        [1],
        [0.5, True],
        [1, 0.5],
        {0.2, 0.5},
        {0.2: 1, 0.5: 2},
        np.array(0.5),
        [[0.2, 0.5]],
        [[0.2], [0.5, 1.0]],
        [2.5],
        [np.nan],
        [True],
        b"every",
    ],
    ids=str,
)
def test_what_is_no_list_of_moments_is_refused_before_a_fit(earliness, bumps):
    taught = DistilledPrefixClassifier(student="lstm1-8", earliness=earliness)
    for early in (
        EarlyClassifier(earliness=earliness),
        EarlyClassifier(Unfitted(), earliness=earliness),
        EarlyClassifier(PrefixClassifier("rocket", earliness=earliness)),
        PrefixClassifier("rocket", earliness=earliness),
        taught,
    ):
        with pytest.raises(ValueError, match="earliness"):
            early.fit(*bumps)


# Errors of other packages' classifiers


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError, ValueError),
        (UnicodeError, ValueError),
        (TypeError, TypeError),
        (KeyError, RuntimeError),
    ],
)
def test_an_error_in_a_clone_names_its_moment(error, kind, bumps):
    early = EarlyClassifier(Stumbles(error, 20), earliness=SHARES, cv=2)
    words = "Stumbles could not be fitted to series of 20 time points: .*too hard"
    with pytest.raises(kind, match=words) as caught:
        early.fit(*bumps)
    assert isinstance(caught.value.__cause__, error)
    early = EarlyClassifier(Stumbles(error, 20, "predict"), earliness=SHARES, cv=2)
    words = "Stumbles could not predict series of 20 time points: .*too hard"
    with pytest.raises(kind, match=words) as caught:
        early.fit(*bumps)
    assert isinstance(caught.value.__cause__, error)


@pytest.mark.parametrize("where", ["fit", "predict"])
def test_an_interrupt_in_a_clone_passes(where, bumps):
    early = EarlyClassifier(Stumbles(KeyboardInterrupt, 20, where), earliness=SHARES, cv=2)
    with pytest.raises(KeyboardInterrupt, match=r"^too hard$"):
        early.fit(*bumps)


# Series


class Unsure(Stumbles):
    """Classifier whose probabilities are missing."""

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), np.nan)


@pytest.mark.parametrize("classifier", [None, LogisticRegression()], ids=str)
def test_a_bad_value_is_named_by_its_series(classifier, bumps):
    """Series are read in parts, whose own numbers would be others."""
    X = bumps[0].copy()
    early = EarlyClassifier(classifier, earliness=SHARES, cv=2, rule="fixed", random_state=0)
    early.fit(*bumps)
    X[50, 0, 13] = np.nan
    with pytest.raises(ValueError, match=r"X contains NaN: .* series 50, .* time point 13"):
        early.decide(X)
    X[50, 0, 13] = np.inf
    with pytest.raises(ValueError, match=r"X contains infinity .* series 50, .* time point 13"):
        early.predict_proba_path(X)


@pytest.mark.parametrize("student", ["rocket", "lstm1-8", "mixed"])
def test_a_value_beyond_single_precision_names_the_series_of_x(student, bumps):
    X, y = bumps
    clf = PrefixClassifier(student, earliness=SHARES, max_epochs=1, random_state=0)
    early = EarlyClassifier(clf, rule="fixed", cv=2, random_state=0).fit(X, y)
    far = X.copy()
    far[37, 0, 12] = 1e30
    for read in (early.decide, early.predict_proba_path):
        with pytest.raises(ValueError, match=r"X has a value of 1e\+30 in series 37, channel 0"):
            read(far)
    early.rule_.moment_ = 2
    session = early.start([f"run {i}" for i in range(len(far))])
    with pytest.raises(ValueError, match="points of id 'run 37', here series 0, can't be read"):
        session.push(far)


def test_series_without_points_and_masks_are_refused(bumps):
    X, y = bumps
    early = EarlyClassifier(LogisticRegression(), earliness=SHARES, cv=2, rule="fixed").fit(X, y)
    with pytest.raises(ValueError, match="X has series of 0 time point"):
        EarlyClassifier(earliness=SHARES).fit(X[:, :, :0], y)
    with pytest.raises(ValueError, match="a series of 0 time points, series 0"):
        early.decide(X[:, :, :0])
    for read in (early.decide, lambda X: early.fit(X, y)):
        with pytest.raises(ValueError, match="X has a mask, which is not read"):
            read(np.ma.masked_array(X, X > 1))


def test_a_score_needs_labels_and_a_rare_class_is_named_by_its_label(bumps):
    X, y = bumps
    early = EarlyClassifier(LogisticRegression(), earliness=SHARES, cv=2, rule="fixed").fit(X, y)
    with pytest.raises(ValueError, match="y is None"):
        early.score(X, None)
    with pytest.raises(ValueError, match="y has one group of the class 'no';"):
        early.fit(X, y, groups=y)


def test_missing_probabilities_are_refused_in_arrays_and_in_sessions(bumps):
    X, y = bumps
    early = EarlyClassifier(Stumbles(ValueError, -1), earliness=SHARES, cv=2, rule="fixed")
    early.fit(X, y)
    early.classifier_.estimators_[0] = Unsure(ValueError, -1).fit(X[:, 0], y)
    for read in (early.decide, early.start(60).push):
        with pytest.raises(ValueError, match="a Unsure, must have probabilities"):
            read(X)


# Rules and costs

PATH = np.random.default_rng(0).dirichlet([1, 1], (200, 3))
Y = np.arange(200) % 2
TIMES = {"time_points": [1, 2, 3], "n_timepoints": 3}
COST = decision_cost(0.2, None, **TIMES, classes=["no", "yes"])


@pytest.mark.parametrize("name", RULES)
def test_a_rule_refuses_what_is_no_step(name):
    rule = RULES[name]().fit(PATH, Y, COST, **TIMES)
    half = [[0.5, 0.5]] * 2
    for probabilities in ([[np.nan, np.nan]] * 2, [[5, -4]] * 2, [[0.5, 0.1]] * 2, [["a", "b"]]):
        with pytest.raises(ValueError, match="probabilities must"):
            rule.step(rule.start(2), 0, probabilities)
    with pytest.raises(ValueError, match=r"state has shape \(2, 9\)"):
        rule.step(np.zeros((2, 9)), 0, half)
    with pytest.raises(ValueError, match="moment must be from 0 to 2, got True"):
        rule.step(rule.start(2), True, half)
    for n in (-1, 2.5, "2"):
        with pytest.raises(ValueError, match=r"n=.* must be the number of series"):
            rule.start(n)


def test_a_rule_whose_fit_fails_has_none():
    rule = AccuracyGap().fit(PATH, Y, COST, **TIMES)
    with pytest.raises(ValueError, match="needs 59 at least"):
        rule.fit(PATH[:30], Y[:30], COST, **TIMES)
    with pytest.raises(NotFittedError):
        rule.decide(PATH)


@pytest.mark.parametrize(
    "rules", [{}, ["fixed"], {"fixed": "fixed"}, {"fixed": FixedTime}], ids=str
)
def test_only_rules_are_compared(rules):
    with pytest.raises(ValueError, match=r"^rules"):
        select_rule(PATH, Y, COST, **TIMES, rules=rules)


def test_costs_of_what_is_no_answer_are_refused():
    first = np.zeros(200, dtype=int)
    for y in (Y - 1, Y + 1, Y + 0.0):
        with pytest.raises(ValueError, match="y must have class numbers from 0 to 1"):
            COST.average(PATH, y, first)
        with pytest.raises(ValueError, match="y must have class numbers from 0 to 1"):
            COST.floor(PATH, y)
    for moments in (first - 1, first + 3, first + 0.0):
        with pytest.raises(ValueError, match="moments must be whole numbers from 0 to 2"):
            COST.average(PATH, Y, moments)
    assert COST.floor(PATH.tolist(), Y.tolist()) == COST.floor(PATH, Y)


@pytest.mark.parametrize("classes", [[], ["a", "a"], "ab", None, [["a"], ["b"]]], ids=str)
def test_classes_of_costs_are_distinct(classes):
    with pytest.raises(ValueError, match=r"classes=.* must be a list of distinct labels"):
        decision_cost(0.2, None, **TIMES, classes=classes)


LABELLED_ONLY = r"PrefixClassifier learns from labelled series only.*GDPDClassifier\(earliness="


@pytest.mark.parametrize("classifier", [None, PrefixClassifier(earliness=[0.5, 1.0])])
def test_unlabelled_series_need_a_teacher(classifier, bumps):
    X, y = bumps
    early = EarlyClassifier(classifier)
    some = y.astype(object)
    some[::3] = None
    with pytest.raises(ValueError, match=f"y has missing labels.*{LABELLED_ONLY}"):
        early.fit(X, some)
    with pytest.raises(TypeError, match=f"X_unlabeled is given, but {LABELLED_ONLY}"):
        early.fit(X, y, X_unlabeled=X)
    with pytest.raises(TypeError, match=f"X_teacher is given, but {LABELLED_ONLY}"):
        early.fit(X, y, X_teacher=X)

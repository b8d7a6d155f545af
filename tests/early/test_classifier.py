"""The estimator that says what and when."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import get_tags

from skgdpd import DistilledPrefixClassifier, EarlyClassifier, PrefixClassifier, load
from skgdpd._early.clones import MomentClones
from skgdpd.datasets import make_bumps
from skgdpd.stopping import RULES, FixedTime, ProbabilityThreshold, decision_cost

MOMENTS = [0.2, 0.5, 0.75, 1.0]
PATHS = PrefixClassifier("rocket", earliness=MOMENTS, random_state=0)


@pytest.fixture(scope="module")
def series():
    """150 series of two classes, 40 time points, not easy before half of them are seen."""
    X, y = make_bumps(150, 40, noise=0.8, random_state=0)
    return X, np.array(["no", "yes"])[y]


@pytest.fixture(scope="module")
def fitted(series):
    return EarlyClassifier(PATHS, random_state=0).fit(series[0][:100], series[1][:100])


# What is decided


def test_an_answer_is_that_of_its_moment(fitted, series):
    X, y = series[0][100:], series[1][100:]
    answers = fitted.decide(X, y)
    path = fitted.predict_proba_path(X)
    places = np.searchsorted(fitted.time_points_, answers.n_seen)
    assert np.array_equal(answers.probabilities, path[np.arange(50), places])
    assert np.array_equal(answers.share_seen, answers.n_seen / 40)
    assert (answers.labels == fitted.classes_[answers.probabilities.argmax(1)]).all()
    assert np.array_equal(fitted.predict(X), answers.labels)
    assert np.array_equal(fitted.predict_proba(X), answers.probabilities)
    expected = (answers.labels != y) + 0.25 * answers.share_seen
    assert answers.cost == pytest.approx(expected)
    assert fitted.score(X, y) == pytest.approx(-expected.mean())
    weight = np.arange(50.0)
    assert fitted.score(X, y, weight) == pytest.approx(-np.average(expected, weights=weight))


def test_nothing_after_an_answer_has_an_effect(fitted, series):
    X = series[0][100:]
    answers = fitted.decide(X)
    changed = X.copy()
    for row, n_seen in zip(changed, answers.n_seen, strict=True):
        row[:, n_seen:] = 1e6
    again = fitted.decide(changed)
    assert np.array_equal(again.probabilities, answers.probabilities)
    assert np.array_equal(again.n_seen, answers.n_seen)


def test_a_rule_beats_each_fixed_moment_on_what_it_was_fitted_to(fitted, series):
    table = fitted.rule_table_
    assert set(table) == {"fixed", "threshold", "stopping_rule", "economy", "calimera"}
    least = min(table, key=lambda name: table[name][0])
    assert isinstance(fitted.rule_, RULES[least])
    assert table[least][0] <= table["fixed"][0]


def test_waiting_is_free_and_answers_are_late_or_dear_and_early(series):
    X, y = series[0][:100], series[1][:100]
    free = EarlyClassifier(PATHS, delay_cost=0.0, random_state=0).fit(X, y)
    dear = EarlyClassifier(PATHS, delay_cost=100.0, random_state=0).fit(X, y)
    assert free.decide(X).share_seen.mean() > 0.7
    assert (dear.decide(X).n_seen == 8).all()


def test_a_series_that_ends_is_answered(fitted, series):
    X = [series[0][i, :, : 10 + i] for i in range(30)]
    answers = fitted.decide(X)
    reached = np.array([sum(x.shape[1] >= t for t in fitted.time_points_) - 1 for x in X])
    assert (answers.n_seen <= fitted.time_points_[reached]).all()
    assert (answers.n_seen[answers.forced] == fitted.time_points_[reached[answers.forced]]).all()
    with pytest.raises(ValueError, match=r"7 time points, series 0.*from 8 time points on"):
        fitted.decide([series[0][0, :, :7]])


def test_errors_that_cost_more_move_the_labels(series):
    X, y = series[0][:100], series[1][:100]
    cost = {"yes": 20}
    early = EarlyClassifier(PATHS, misclassification_cost=cost, random_state=0).fit(X, y)
    assert early.cost_.misclassification.tolist() == [[0, 1], [20, 0]]
    answers = early.decide(X)
    assert (
        answers.labels
        == np.where(20 * answers.probabilities[:, 1] > answers.probabilities[:, 0], "yes", "no")
    ).all()
    plain = EarlyClassifier(PATHS, random_state=0).fit(X, y)
    missed = [np.mean(e.predict(X)[y == "yes"] == "no") for e in (early, plain)]
    assert missed[0] <= missed[1]


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_may_be_used(rule, tmp_path):
    X, y = make_bumps(260, 40, noise=0.5, random_state=0)
    early = EarlyClassifier(PATHS, rule=rule, random_state=0).fit(X[:240], y[:240])
    assert isinstance(early.rule_, RULES[rule])
    assert early.rule_table_ == {}
    early.save(tmp_path / "early.skgdpd")
    for other in (load(tmp_path / "early.skgdpd"), pickle.loads(pickle.dumps(early))):
        answers, again = early.decide(X[240:]), other.decide(X[240:])
        assert np.array_equal(answers.probabilities, again.probabilities)
        assert np.array_equal(answers.n_seen, again.n_seen)


# What is shown


@pytest.mark.parametrize("classifier", [None, LogisticRegression()], ids=["one", "clones"])
def test_progress_is_shown_if_asked(classifier, series, capsys):
    X, y = series[0][:40], series[1][:40]
    early = EarlyClassifier(
        classifier, earliness=[0.5, 1.0], rule="fixed", cv=2, random_state=0
    ).fit(X, y)
    early.predict(X)
    assert capsys.readouterr().err == ""
    shown = clone(early).set_params(verbose=1).fit(X, y)
    assert "rule 100%" in capsys.readouterr().err
    path = shown.predict_proba_path(X)
    assert "series 100%" in capsys.readouterr().err
    assert np.array_equal(path, early.predict_proba_path(X))
    assert np.array_equal(shown.left_out_path_, early.left_out_path_)


# What is kept


def test_what_was_learned_from_may_be_dropped_before_a_save(series, tmp_path):
    """As docs/saving.md says."""
    X, y = series
    early = EarlyClassifier(PATHS, random_state=0).fit(X[:60], y[:60], sample_weight=np.ones(60))
    expected = early.decide(X[60:])
    for name in ("left_out_path_", "left_out_y_", "left_out_weight_", "left_out_group_"):
        vars(early).pop(name, None)
    del early.classifier_.left_out_path_
    early.save(tmp_path / "early.zip")
    found = load(tmp_path / "early.zip")
    assert not [name for name in vars(found) if name.startswith("left_out")]
    assert np.array_equal(found.decide(X[60:]).probabilities, expected.probabilities)
    assert found.start(1).push(X[60:61])[0].label == expected.labels[0]


# To what the rule is fitted


def test_closed_forms_are_left_out_without_a_further_fit(fitted):
    assert np.array_equal(fitted.left_out_path_, fitted.classifier_.left_out_path_)


def test_a_promise_is_kept_on_series_that_the_classifier_has_not_seen():
    X, y = make_bumps(260, 40, random_state=0)
    early = EarlyClassifier(PATHS, rule="accuracy_gap", random_state=0).fit(X, y)
    held_out = ~np.isnan(early.left_out_path_[:, 0, 0])
    assert 125 <= held_out.sum() <= 135
    assert early.classifier_.history_.n_labeled == 260 - held_out.sum()
    assert np.array_equal(
        early.left_out_path_[held_out], early.classifier_.predict_proba_path(X[held_out])
    )


def test_groups_are_left_out_together():
    """Rows that occur twice would tell their labels, unless they are left out together."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 1, 20)), rng.integers(2, size=60)
    twice, labels, groups = np.concatenate([X, X]), np.tile(y, 2), np.tile(np.arange(60), 2)
    clf = PrefixClassifier("rocket", earliness=[0.5, 1.0], random_state=0)
    right = {}
    for name, own in (("alone", None), ("together", groups)):
        early = EarlyClassifier(clf, rule="fixed", random_state=0).fit(twice, labels, groups=own)
        right[name] = (early.left_out_path_.argmax(2) == labels[:, None]).mean()
    assert right["alone"] > 0.95
    assert abs(right["together"] - 0.5) < 0.2


def test_networks_are_cross_fitted():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 1, 10)), rng.integers(2, size=60)
    network = PrefixClassifier("fcn24", earliness=[0.5, 1.0], max_epochs=60, random_state=0)
    early = EarlyClassifier(network, rule="fixed", cv=3, random_state=0).fit(X, y)
    assert np.isfinite(early.left_out_path_).all()
    assert abs((early.left_out_path_.argmax(2) == y[:, None]).mean() - 0.5) < 0.2


def test_unlabelled_series_teach_and_are_not_judged(series):
    X, y = series
    some = y.astype(object)
    some[40:] = None
    taught = DistilledPrefixClassifier(
        teacher="lstm1-8", student="rocket", earliness=[0.5, 1.0], max_epochs=2, random_state=0
    )
    early = EarlyClassifier(taught, rule="threshold", cv=2, random_state=0).fit(X, some)
    assert early.classifier_.history_.n_unlabeled == 110
    assert np.isnan(early.left_out_path_[40:]).all()
    assert np.isfinite(early.left_out_path_[:40]).all()
    assert early.classes_.tolist() == ["no", "yes"]
    with pytest.raises(ValueError, match="missing labels"):
        early.score(X, some)


def test_weights_reach_classifier_and_rule(series):
    X, y = series
    weight = np.where(y == "yes", 50.0, 1.0)
    early = EarlyClassifier(PATHS, rule="threshold", random_state=0)
    assert (early.fit(X, y, weight).predict(X) == "yes").mean() > 0.6
    ours = clone(early).fit(X, y, weight)
    scaled = clone(early).fit(X, y, 3 * weight)
    assert np.array_equal(ours.decide(X).n_seen, scaled.decide(X).n_seen)


# Other classifiers


def test_a_classifier_of_scikit_learn_has_a_clone_for_each_moment(series):
    X, y = series
    early = EarlyClassifier(LogisticRegression(), earliness=[10, 40], rule="fixed", random_state=0)
    early.fit(X[:100], y[:100])
    assert isinstance(early.classifier_, MomentClones)
    rows = X[:, 0, :10].astype(float)
    half = LogisticRegression().fit(rows[:100], y[:100])
    path = early.predict_proba_path(X[100:])
    assert path[:, 0] == pytest.approx(half.predict_proba(rows[100:]))
    assert early.time_points_.tolist() == [10, 40]


def test_a_pipeline_of_scikit_learn_is_a_classifier_of_rows(series):
    X, y = series
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    early = EarlyClassifier(pipeline, earliness=[10, 40], rule="threshold").fit(X, y)
    assert early.decide(X, y).cost.shape == (150,)


def test_channels_follow_one_another_in_a_row():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3, 8)), np.arange(40) % 2
    clones = MomentClones(LogisticRegression(), [4, 8]).fit(X, y)
    plain = LogisticRegression().fit(X[:, :, :4].reshape(40, 12), y)
    assert clones.predict_proba_path(X)[:, 0] == pytest.approx(
        plain.predict_proba(X[:, :, :4].reshape(40, 12))
    )


def test_none_is_our_classifier_at_every_twentieth(series):
    X, y = series[0][:40], series[1][:40]
    early = EarlyClassifier(rule="fixed", random_state=0).fit(X, y)
    assert type(early.classifier_) is PrefixClassifier
    assert early.time_points_.tolist() == list(range(2, 41, 2))


# Life with scikit-learn


def test_rules_and_costs_are_searched(series):
    X, y = series
    early = EarlyClassifier(PATHS, rule=ProbabilityThreshold(), random_state=0)
    grid = {"rule__objective": ["cost", "harmonic_mean"], "delay_cost": [0.1, 0.5]}
    search = GridSearchCV(early, grid, cv=2, error_score="raise").fit(X, y)
    assert (search.cv_results_["mean_test_score"] < 0).all()
    rules = GridSearchCV(early, {"rule": ["fixed", FixedTime(0)]}, cv=2).fit(X, y)
    assert np.isfinite(rules.cv_results_["mean_test_score"]).all()


def test_several_scorers_at_once(series):
    found = cross_validate(
        make_pipeline(FunctionTransformer(), EarlyClassifier(PATHS, rule="fixed", random_state=0)),
        *series,
        cv=2,
        scoring=["accuracy", "neg_log_loss"],
    )
    assert np.isfinite(found["test_accuracy"] * found["test_neg_log_loss"]).all()


def test_fits_are_repeated(series):
    X, y = series
    first, second = (EarlyClassifier(PATHS, random_state=0).fit(X, y) for _ in range(2))
    assert np.array_equal(first.decide(X).probabilities, second.decide(X).probabilities)
    assert first.rule_table_ == second.rule_table_


def test_a_function_of_one_s_own_is_refused_by_save(series, tmp_path):
    def delay(share):
        return share**2

    early = EarlyClassifier(PATHS, delay_cost=delay, rule="fixed").fit(*series)
    assert early.cost_.delay == pytest.approx((early.time_points_ / 40) ** 2)
    with pytest.raises(ValueError, match=r"delay_cost=.*omit=\('delay_cost',\)"):
        early.save(tmp_path / "early.skgdpd")
    early.save(tmp_path / "early.skgdpd", omit=("delay_cost",))
    opened = load(tmp_path / "early.skgdpd")
    assert np.array_equal(opened.cost_.delay, early.cost_.delay)


def test_a_classifier_of_another_package_can_t_be_saved_in_any_way(series, tmp_path):
    early = EarlyClassifier(LogisticRegression(), earliness=[0.5, 1.0], rule="fixed", cv=2)
    early.fit(*series)
    for omit in ((), ("classifier",)):
        with pytest.raises(ValueError, match=r"classifier.*Use joblib\.dump") as caught:
            early.save(tmp_path / "early.zip", omit=omit)
        assert "omit" not in str(caught.value)


def test_arrays_are_checked_up_to_the_last_moment_wherever_answers_fall(series):
    X, y = series
    moments = [0.2, 0.5, 0.75]
    paths = PrefixClassifier("rocket", earliness=moments, random_state=0)
    for early in (
        EarlyClassifier(paths, rule=FixedTime(0)).fit(X, y),
        EarlyClassifier(LogisticRegression(), earliness=moments, rule=FixedTime(0), cv=2).fit(
            X, y
        ),
    ):
        changed = X[:3].copy()
        changed[1, 0, 35] = np.nan  # after the last moment, at 30 points
        assert np.array_equal(early.decide(changed).probabilities, early.predict_proba(X[:3]))
        changed[1, 0, 25] = np.nan
        with pytest.raises(ValueError, match="NaN"):
            early.decide(changed)
        session = early.start(3)
        assert len(session.push(X[:3, :, :8])) == 3
        with pytest.raises(ValueError, match=r"points of id .* must be finite"):
            session.push(changed[:, :, 8:])


def test_costs_are_those_of_the_public_function(fitted):
    own = decision_cost(0.25, None, fitted.time_points_.tolist(), 40, fitted.classes_)
    assert np.array_equal(own.delay, fitted.cost_.delay)


# Refusals


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classifier": PrefixClassifier("rocket", earliness=0.5)}, "answers at one moment"),
        ({"earliness": [0.5, 0.2]}, "ascending"),
        ({"rule": "best"}, "rule"),
        ({"delay_cost": -1.0}, "delay_cost"),
        ({"delay_cost": [0.1, 0.2]}, "delay_cost"),
        ({"misclassification_cost": [[0, 1, 1], [1, 0, 1]]}, "misclassification_cost"),
        ({"misclassification_cost": {"maybe": 3}}, "maybe"),
        ({"cv": 1}, "cv"),
        ({"held_out_fraction": 1.5}, "held_out_fraction"),
        ({"held_out_fraction": 0.7}, "held_out_fraction"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_parameters_are_refused(settings, message, series):
    with pytest.raises(ValueError, match=message):
        EarlyClassifier(**{"classifier": PATHS, **settings}).fit(*series)


@pytest.mark.parametrize("own", [8, 0.3, [8, 40], "every"])
def test_moments_beside_a_classifier_of_ours_are_sent_into_it(own, series):
    early = EarlyClassifier(PrefixClassifier(earliness=own), earliness=np.array([8, 16]))
    wanted = r"PrefixClassifier\(earliness=\[8, 16\]\), and leave earliness of EarlyClassifier out"
    with pytest.raises(ValueError, match=wanted):
        early.fit(*series)


def test_costs_are_checked_before_any_fit(series):
    class Watched(PrefixClassifier):
        def fit(self, X, y, sample_weight=None):
            raise AssertionError("fitted")

    watched = Watched("rocket", earliness=MOMENTS)
    for settings in ({"delay_cost": [1.0]}, {"misclassification_cost": {"maybe": 1}}):
        with pytest.raises(ValueError, match="cost"):
            EarlyClassifier(watched, **settings).fit(*series)


def test_labels_without_a_cost_are_refused(fitted, series):
    with pytest.raises(ValueError, match=r"'maybe'.*no cost is known"):
        fitted.score(series[0][:2], ["maybe", "no"])


def test_a_class_of_one_series_can_t_be_left_out(series):
    X, y = series
    rare = y.copy()
    rare[0] = "rare"
    early = EarlyClassifier(LogisticRegression(), earliness=[0.5, 1.0])
    with pytest.raises(ValueError, match="one series of the class"):
        early.fit(X, rare)


def test_a_classifier_of_sktimes_has_tags(series):
    """scikit-learn reads tags before it does anything; sktime's classifiers have others."""
    interval_based = pytest.importorskip("sktime.classification.interval_based")
    X, y = series
    forest = interval_based.TimeSeriesForestClassifier(n_estimators=2, random_state=0)
    early = EarlyClassifier(forest, earliness=[10, 40], rule="threshold", cv=2, random_state=0)
    assert not get_tags(early).input_tags.allow_nan
    assert len(cross_validate(early, X, y, cv=2, error_score="raise")["test_score"]) == 2


def test_moments_that_are_one_in_short_series_are_answered():
    X, y = make_bumps(24, 20, random_state=0)
    for earliness in ([0.5, 1.0], [0.9, 1.0]):
        early = EarlyClassifier(
            PrefixClassifier("rocket", earliness=earliness, random_state=0), cv=2, random_state=0
        )
        early.fit(X[:, :, 8:10], y)
        assert early.time_points_.tolist() == [2]
        assert early.left_out_path_.shape == (24, 1, 2)
        assert early.decide(X[:, :, 8:10]).n_seen.tolist() == [2] * 24


def test_one_progress_bar_also_around_a_classifier_that_shows_its_own(bumps, capsys):
    X, y = bumps
    own = PrefixClassifier(
        "lstm1-8", max_epochs=1, earliness=[0.2, 0.5], random_state=0, verbose=1
    )
    EarlyClassifier(own, rule="fixed", cv=2, random_state=0, verbose=1).fit(X[:20], y[:20])
    shown = capsys.readouterr().err
    assert "rule 100%" in shown
    assert "student" not in shown
    assert own.verbose == 1

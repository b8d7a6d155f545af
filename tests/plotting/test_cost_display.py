"""CostDisplay: costs counted by hand, truths of optima, and rules that are fitted again."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skgdpd import DistilledPrefixClassifier, EarlyClassifier, PrefixClassifier, load
from skgdpd.plotting import CostDisplay
from skgdpd.stopping import AccuracyGap

# Probability of "a" at two moments; the last series ends after the first.
OF_A = np.array([[0.6, 0.9], [0.4, 1.0], [0.5, 0.3], [0.3, np.nan]])
PATH = np.stack([OF_A, 1 - OF_A], axis=2)
LABELS = ["a", "a", "b", "b"]
MOMENTS = [[1, 1, 1, 0], [0, 0, 0, 0]]
DELAYS = [0.2, 0.4]


def drawn(**options):
    given = {
        "paths": {"m": PATH}, "moments": {"m": MOMENTS}, "y": LABELS, "delay_costs": DELAYS,
        "time_points": [10, 20], "n_timepoints": 20, **options,
    }  # fmt: skip
    return CostDisplay.from_predictions(**given)


def lines(display):
    return {
        line.get_label(): line
        for line in display.ax_.lines
        if not line.get_label().startswith("_")
    }


def test_costs_are_those_counted_by_hand():
    display = drawn()
    result = display.curves["m"]
    # At once: "a" is right, "b" is wrong, "a" (a tie) is wrong, "b" is right.
    np.testing.assert_allclose(result.accuracy, [1.0, 0.5])
    np.testing.assert_allclose(result.share_seen, [(3 * 1 + 0.5) / 4, 0.5])
    np.testing.assert_allclose(result.cost, [0.2 * 3.5 / 4, 0.5 + 0.4 * 0.5])
    np.testing.assert_allclose(result.error[1], np.std([0, 1, 1, 0]) / 2)
    floor = display.floors["optimum in hindsight"]
    np.testing.assert_allclose(floor.cost, [(2 * 0.1 + 2 * 0.2) / 4, (2 * 0.2 + 2 * 0.4) / 4])
    np.testing.assert_allclose(floor.accuracy, [1, 1])
    np.testing.assert_allclose(floor.share_seen, [0.75, 0.75])


def test_both_views_are_of_the_same_results():
    display = drawn()
    result, floor = display.curves["m"], display.floors["optimum in hindsight"]
    found = lines(display)
    assert list(found) == ["m", "optimum in hindsight"]
    for name, own in [("m", result), ("optimum in hindsight", floor)]:
        np.testing.assert_array_equal(found[name].get_xdata(), DELAYS)
        np.testing.assert_array_equal(found[name].get_ydata(), own.cost)
    band = display.ax_.collections[0].get_paths()[0].vertices
    corners = {(round(a, 6), round(b, 6)) for a, b in band}
    expected = {
        (c, round(mean + sign * error, 6))
        for c, mean, error in zip(DELAYS, result.cost, result.error, strict=True)
        for sign in (-1, 1)
    }
    assert corners == expected
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["0.2", "0.4"]
    assert display.plot(kind="accuracy") is display
    for name, own in [("m", result), ("optimum in hindsight", floor)]:
        line = lines(display)[name]
        np.testing.assert_array_equal(line.get_xdata(), 100 * own.share_seen)
        np.testing.assert_array_equal(line.get_ydata(), own.accuracy)
    (large,) = [
        line for line in display.ax_.lines
        if line.get_linestyle() == "None" and line.get_color() == lines(display)["m"].get_color()
    ]  # fmt: skip
    np.testing.assert_array_equal(large.get_ydata(), result.accuracy[-1:])
    title = display.ax_.get_legend().get_title().get_text()
    assert title == "cost of waiting from 0.2\nto 0.4 (large marker)"


def test_waiting_may_be_free():
    display = drawn(delay_costs=[0, 0.4])
    assert display.ax_.get_xscale() == "linear"
    assert display.curves["m"].cost[0] == 0
    assert drawn().ax_.get_xscale() == "log"


def test_labels_of_costs_that_are_close_do_not_overlap():
    delays = [0.1, 0.101, 0.11, 0.2, 0.21, 1]
    display = drawn(delay_costs=delays, moments={"m": np.zeros((6, 4), int)})
    labels = display.ax_.get_xticklabels()
    assert [label.get_text() for label in labels] == ["0.1", "0.2", "1"]
    display.figure_.canvas.draw()
    ends = [label.get_window_extent() for label in labels]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(ends))


def test_methods_of_the_same_probabilities_share_an_optimum():
    paths = {"m": PATH, "n": PATH, "other": PATH[::-1]}
    moments = {"m": MOMENTS, "n": np.zeros((2, 4), int), "other": np.zeros((2, 4), int)}
    display = drawn(paths=paths, moments=moments)
    assert list(display.floors) == ["optimum in hindsight (m, n)", "optimum in hindsight (other)"]
    alike = {name: moments[name] for name in ("m", "n")}
    display = drawn(paths={"m": PATH, "n": PATH}, moments=alike)
    assert list(display.floors) == ["optimum in hindsight"]


@given(st.integers(0, 200), st.integers(1, 5), st.integers(2, 4))
def test_optima_are_least_and_concave_and_a_fixed_moment_is_a_line(seed, n_moments, n_classes):
    rng = np.random.default_rng(seed)
    path = rng.dirichlet(np.ones(n_classes), size=(12, n_moments))
    y = np.concatenate([np.arange(n_classes), rng.integers(n_classes, size=12 - n_classes)])
    delays = [0.0, 0.3, 0.6, 0.9]
    ways = {"any": rng.integers(n_moments, size=(4, 12)), "last": np.full((4, 12), n_moments - 1)}
    display = CostDisplay.from_predictions(
        dict.fromkeys(ways, path),
        ways,
        y,
        delay_costs=delays,
        time_points=list(range(1, n_moments + 1)),
        misclassification_cost=rng.uniform(0.5, 3, (n_classes, n_classes))
        * (1 - np.eye(n_classes)),
        ax=Figure().subplots(),
    )
    (floor,) = display.floors.values()
    for own in display.curves.values():
        assert (floor.cost <= own.cost + 1e-12).all()
    assert (np.diff(floor.cost) >= 0).all()
    assert (np.diff(floor.cost, 2) <= 1e-12).all()
    np.testing.assert_allclose(np.diff(display.curves["last"].cost), 0.3)
    np.testing.assert_allclose(np.diff(display.curves["last"].accuracy), 0)


@pytest.mark.parametrize("rule", ["auto", "fixed", "threshold", "calimera"])
def test_at_its_own_cost_a_classifier_pays_what_it_pays(bumps, rule):
    X, y = bumps
    early = EarlyClassifier(
        rule=rule, earliness=[0.2, 0.6, 1.0], delay_cost=0.3, misclassification_cost={"yes": 3},
        random_state=1,
    ).fit(X, y)  # fmt: skip
    display = CostDisplay.from_estimators({"early": early}, X, y, delay_costs=[0.1, 0.3])
    answers = early.decide(X, y)
    result = display.curves["early"]
    np.testing.assert_allclose(result.cost[1], answers.cost.mean())
    np.testing.assert_allclose(result.accuracy[1], (answers.labels == y).mean())
    np.testing.assert_allclose(result.share_seen[1], answers.share_seen.mean())


def test_only_the_rule_is_fitted_again(bumps, early, monkeypatch):
    X, y = bumps
    anew = clone(early).set_params(delay_cost=2.0).fit(X, y)
    rule, before = early.rule_, early.decide(X).n_seen

    def refuse(*args, **kwargs):
        raise AssertionError("the classifier is fitted again")

    monkeypatch.setattr(type(early.classifier_), "fit", refuse)
    monkeypatch.setattr(EarlyClassifier, "fit", refuse)
    display = CostDisplay.from_estimators({"a": early}, X, y, delay_costs=[2.0])
    np.testing.assert_allclose(display.curves["a"].cost, anew.decide(X, y).cost.mean())
    assert early.rule_ is rule
    np.testing.assert_array_equal(early.decide(X).n_seen, before)


def test_weights_and_groups_are_those_of_the_fit(bumps):
    X, y = bumps
    weight = np.where(y == "yes", 4.0, 0.5)
    groups = np.arange(len(y)) // 3
    early = EarlyClassifier(earliness=[0.2, 1.0], rule="threshold", delay_cost=0.4, random_state=0)
    early.fit(X, y, sample_weight=weight, groups=groups)
    display = CostDisplay.from_estimators({"a": early}, X, y, delay_costs=[0.4])
    np.testing.assert_allclose(display.curves["a"].cost, early.decide(X, y).cost.mean())


@pytest.mark.parametrize(
    "rule",
    [*(pytest.param(name, marks=pytest.mark.slow) for name in ("economy", "threshold")), "auto"],
)
def test_a_saved_classifier_knows_what_its_rule_was_fitted_to(rule, bumps, tmp_path):
    X, y = bumps
    groups = np.array([f"patient {i // 2}" for i in range(60)])
    options = {"earliness": [0.2, 0.6, 1.0], "rule": rule, "delay_cost": 0.3, "random_state": 0}
    early = EarlyClassifier(**options).fit(X, y, sample_weight=np.arange(60.0), groups=groups)
    early.save(tmp_path / "early.zip")
    opened = load(tmp_path / "early.zip")
    display = CostDisplay.from_estimators({"a": opened}, X, y, delay_costs=[0.1, 0.3])
    np.testing.assert_allclose(display.curves["a"].cost[1], early.decide(X, y).cost.mean())
    del opened.left_out_y_
    with pytest.raises(ValueError, match=r"\['a'\] does not know the labels .* fit it again"):
        CostDisplay.from_estimators({"a": opened}, X, y, delay_costs=[0.1, 0.3])


def test_series_without_a_label_are_left_out_of_the_rule(bumps):
    X, y = bumps
    marked = np.where(np.arange(60) < 50, y, "?")
    taught = DistilledPrefixClassifier(
        student="lstm1-8", earliness=[0.5, 1.0], max_epochs=2, unlabeled="?", random_state=0
    )
    early = EarlyClassifier(taught, rule="fixed", delay_cost=0.3, cv=2, random_state=0)
    early.fit(X, marked)
    assert (early.left_out_y_[50:] == -1).all()
    display = CostDisplay.from_estimators({"a": early}, X, y, delay_costs=[0.1, 0.3])
    np.testing.assert_allclose(display.curves["a"].cost[1], early.decide(X, y).cost.mean())


def test_series_that_were_held_out_are_those_of_the_rule(bumps):
    X, y = bumps
    rule = AccuracyGap(max_gap=0.4, delta=0.4)
    early = EarlyClassifier(earliness=[0.2, 1.0], rule=rule, random_state=0).fit(X, y)
    assert np.isnan(early.left_out_path_[:, 0, 0]).any()
    display = CostDisplay.from_estimators({"a": early}, X, y, delay_costs=[0.25, 1.0])
    np.testing.assert_allclose(display.curves["a"].cost[0], early.decide(X, y).cost.mean())
    assert np.ptp(display.curves["a"].share_seen) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delay_costs": [0.4, 0.2]}, "delay_costs must be a list of numbers that ascend"),
        ({"delay_costs": [-1, 0.2]}, "delay_costs must be a list of numbers that ascend"),
        ({"delay_costs": []}, "delay_costs must be a list of numbers that ascend"),
        ({"delay_costs": ["dear", "cheap"]}, "delay_costs must be numbers"),
        ({"delay_costs": [0.2]}, r"with 1 delay costs and 4 series .* of shape \(1, 4\)"),
        ({"kind": "both"}, "kind='both' must be 'cost' or 'accuracy'"),
        ({"moments": {"m": [[0, 0, 0, 1]] * 2}}, r"\['m'\] has 1 for series 3, .* 0 to 0"),
        ({"moments": {"m": np.zeros((2, 4))}}, "must have whole numbers"),
        ({"moments": {"n": MOMENTS}}, r"paths names \['m'\] and moments \['n'\]"),
        ({"paths": {}, "moments": {}}, "there must be at least one name"),
        ({"time_points": [10]}, "time_points has 1 entries for 'm'; its path has 2"),
        ({"y": ["a", "b"]}, r"y has shape \(2,\)"),
        ({"classes": ["a", "c"]}, r"y has the labels \['b'\]"),
        ({"misclassification_cost": {"c": 2}}, "misclassification_cost names the class 'c'"),
        ({"paths": {"m": PATH + 1}}, r"paths\['m'\] must have probabilities"),
        ({"paths": {"m": "abc"}}, r"paths\['m'\] must be an array of numbers"),
        ({"paths": PATH}, "paths must be a dict by names"),
        ({"moments": MOMENTS}, "moments must be a dict by names"),
        ({"moments": {"m": [[0], [1, 1]]}}, r"moments\['m'\] has shape \(\)"),
        ({"time_points": ["a", "b"]}, "time_points must be a list of whole numbers"),
        ({"n_timepoints": 40.5}, "n_timepoints=40.5 must be a whole number"),
        ({"y": None}, "y=None must be a list of 4 labels"),
    ],
)
def test_bad_input_is_refused_before_anything_is_drawn(options, message):
    with pytest.raises(ValueError, match=message):
        drawn(**options)
    assert not plt.get_fignums()


def test_bad_estimators_are_refused_before_anything_is_drawn(bumps, early, base):
    X, y = bumps
    options = {"delay_costs": [0.1]}
    with pytest.raises(TypeError, match="PrefixClassifier has no rule of when to answer"):
        CostDisplay.from_estimators({"a": base}, X, y, **options)
    with pytest.raises(NotFittedError):
        CostDisplay.from_estimators({"a": early, "b": EarlyClassifier()}, X, y, **options)
    for estimators in ({}, None, [early], early, "early"):
        with pytest.raises(ValueError, match=r"^estimators"):
            CostDisplay.from_estimators(estimators, X, y, **options)
    dearer = EarlyClassifier(
        PrefixClassifier(earliness=[0.5, 1.0]), misclassification_cost={"yes": 2}, random_state=0
    ).fit(X, y)
    with pytest.raises(ValueError, match=r"\['b'\] has the classes .* costs of errors .*2.0"):
        CostDisplay.from_estimators({"a": early, "b": dearer}, X, y, **options)
    for wrong, message in [
        ({"delay_costs": 0.5}, "delay_costs must be a list"),
        ({"kind": "gain"}, "kind='gain'"),
    ]:
        with pytest.raises(ValueError, match=message):
            CostDisplay.from_estimators({"a": early}, X, y, **{**options, **wrong})
    with pytest.raises(ValueError, match=r"y has shape \(3,\)"):
        CostDisplay.from_estimators({"a": early}, X, y[:3], **options)
    assert not plt.get_fignums()

"""Rules against the best that can be done, where that is known, and against search by hand."""

import numpy as np
import pytest
from early_paths import gaussian_paths, ragged, random_errors, setting
from hypothesis import given, settings
from hypothesis import strategies as st

from skgdpd.metrics import harmonic_mean
from skgdpd.stopping import (
    ECEC,
    Calimera,
    Economy,
    FixedTime,
    ProbabilityThreshold,
    StoppingRule,
    decision_cost,
    select_rule,
)

HORIZON = 12
HEADS = 0.7
"""Two coins show heads with probabilities 0.7 and 0.3; after each toss one may name the coin."""


def coin_probability(net):
    """Probability of the first coin after so many more heads than tails."""
    return 1 / (1 + (0.3 / 0.7) ** net)


def coin_paths(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    heads = rng.random((n, HORIZON)) < np.where(y == 0, HEADS, 1 - HEADS)[:, None]
    p = coin_probability(np.cumsum(2 * heads - 1, axis=1))
    return np.stack([p, 1 - p], 2), y


def coin_setting(delay):
    points = list(range(1, HORIZON + 1))
    cost = decision_cost(delay, None, points, HORIZON, [0, 1])
    return cost, {"time_points": points, "n_timepoints": HORIZON}


def now(net, m, cost):
    p = coin_probability(net)
    return np.minimum(p, 1 - p) + cost.delay[m]


NET = np.arange(-HORIZON - 1, HORIZON + 2)
"""Heads less tails; one more on both sides, which is never reached before the horizon's end."""


def expected_cost(stops, cost):
    """Expected cost of a rule that stops where told, ``(HORIZON, len(NET))``, exactly."""
    up = coin_probability(NET) * HEADS + (1 - coin_probability(NET)) * (1 - HEADS)
    value = now(NET, HORIZON - 1, cost)
    for m in reversed(range(HORIZON - 1)):
        value = np.where(stops[m], now(NET, m, cost), after(value, up))
    return after(value, up)[HORIZON + 1]


def after(value, up):
    """Expected value after one toss more."""
    return up * np.append(value[1:], value[-1]) + (1 - up) * np.append(value[0], value[:-1])


def bellman(cost):
    up = coin_probability(NET) * HEADS + (1 - coin_probability(NET)) * (1 - HEADS)
    value = now(NET, HORIZON - 1, cost)
    for m in reversed(range(HORIZON - 1)):
        value = np.minimum(now(NET, m, cost), after(value, up))
    return after(value, up)[HORIZON + 1]


def region(rule):
    p = coin_probability(NET)
    path = np.column_stack([p, 1 - p])
    return np.array([rule.step(rule.start(len(p)), m, path) for m in range(HORIZON)])


@pytest.mark.parametrize("delay", [0.1, 0.3, 1.0])
@pytest.mark.parametrize(
    "rule",
    [Calimera(), Economy()],
    ids=lambda rule: type(rule).__name__,
)
def test_the_cost_is_nearly_that_of_bellmans_equation(rule, delay):
    cost, how = coin_setting(delay)
    path, y = coin_paths(4000, seed=0)
    found = expected_cost(region(rule.fit(path, y, cost, **how)), cost)
    best = bellman(cost)
    assert best - 1e-12 <= found <= 1.02 * best


def test_an_open_loop_is_no_better_than_bellmans_equation():
    cost, how = coin_setting(0.1)
    path, y = coin_paths(4000, seed=0)
    costs = [
        expected_cost(region(Economy(loop).fit(path, y, cost, **how)), cost)
        for loop in ("closed", "open")
    ]
    assert bellman(cost) <= costs[0] < costs[1]


def test_the_expected_cost_of_a_fixed_moment_is_that_of_its_paths():
    """A check of the exact costs above, by drawing."""
    cost, how = coin_setting(0.3)
    path, y = coin_paths(40000, seed=1)
    rule = FixedTime(4).fit(path, y, cost, **how)
    drawn = cost.average(path, y, rule.decide(path).moment)
    assert expected_cost(region(rule), cost) == pytest.approx(drawn, abs=0.01)


# Fixed moments and thresholds, by hand


def test_the_fixed_moment_is_the_cheapest_column():
    path, y = gaussian_paths(50)
    cost, how = setting()
    rule = FixedTime().fit(path, y, cost, **how)
    means = cost.of_answers(path, y).mean(0)
    np.testing.assert_allclose(rule.mean_costs_, means)
    assert rule.moment_ == means.argmin()
    assert (rule.decide(path).moment == means.argmin()).all()


@pytest.mark.parametrize(("delay", "moment"), [(0.0, 5), (1e6, 0)])
def test_time_that_costs_nothing_or_all(delay, moment):
    path, y = gaussian_paths(3000, shift=1.5)
    cost, how = setting(delay=delay)
    assert FixedTime().fit(path, y, cost, **how).moment_ == moment


@pytest.mark.parametrize("moment", [0, 2, 5, -1, -6])
def test_a_moment_that_is_given(moment):
    path, y = gaussian_paths(20)
    cost, how = setting()
    decided = FixedTime(moment).fit(path, y, cost, **how).decide(path)
    assert (decided.moment == moment % 6).all()
    assert not decided.forced.any()


@pytest.mark.parametrize("moment", [True, False, np.True_])
def test_a_truth_value_is_no_moment(moment):
    path, y = gaussian_paths(20)
    cost, how = setting()
    with pytest.raises(ValueError, match="moment"):
        FixedTime(moment).fit(path, y, cost, **how)


@pytest.mark.parametrize("moment", [6, -7])
def test_a_moment_that_there_is_not(moment):
    path, y = gaussian_paths(20)
    cost, how = setting()
    with pytest.raises(ValueError, match=f"moment={moment} must be from -6 to 5"):
        FixedTime(moment).fit(path, y, cost, **how)


def answered_by_hand(scores, last, threshold):
    """First moment at which a score reaches the threshold, or the last one."""
    moments = []
    for row, end in zip(scores, last, strict=True):
        crossed = [m for m in range(end + 1) if row[m] >= threshold]
        moments.append(crossed[0] if crossed else end)
    return np.array(moments)


def case(seed, decimals):
    rng = np.random.default_rng(seed)
    path, y = gaussian_paths(25, seed=seed, shift=0.4)
    if decimals:  # Many equal values.
        path = path.round(1)
        path[:, :, 0] += 1 - path.sum(2)
        path = np.abs(path) / np.abs(path).sum(2, keepdims=True)
    path = ragged(path, seed) if rng.random() < 0.5 else path
    weight = rng.integers(1, 4, size=25).astype(float)
    cost, how = setting(delay=rng.uniform(0, 1), errors=random_errors(rng, 2))
    last = (~np.isnan(path[:, :, 0])).sum(1) - 1
    return path, y, weight, cost, how, last


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.booleans())
def test_the_threshold_is_that_of_a_search_over_all(seed, decimals):
    path, y, weight, cost, how, last = case(seed, decimals)
    rule = ProbabilityThreshold().fit(path, y, cost, **how, sample_weight=weight)
    sure = -cost.expected(path)

    def loss(moments):
        return cost.average(path, y, moments, weight)

    values = np.unique(sure[~np.isnan(sure)])
    best = min(loss(answered_by_hand(sure, last, v)) for v in [*values, np.inf])
    decided = rule.decide(path)
    assert loss(decided.moment) == pytest.approx(best)
    by_hand = answered_by_hand(sure, last, -rule.largest_risk_)
    np.testing.assert_array_equal(decided.moment, by_hand)


def test_with_equal_errors_the_threshold_is_one_on_the_largest_probability():
    path, y = gaussian_paths(200)
    cost, how = setting()
    rule = ProbabilityThreshold().fit(path, y, cost, **how)
    last = np.full(200, 5)
    by_hand = answered_by_hand(path.max(2), last, 1 - rule.largest_risk_)
    np.testing.assert_array_equal(rule.decide(path).moment, by_hand)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_the_harmonic_mean_is_the_best_of_all_thresholds(seed):
    path, y, weight, cost, how, last = case(seed, False)
    rule = ProbabilityThreshold("harmonic_mean").fit(path, y, cost, **how, sample_weight=weight)
    sure, labels = -cost.expected(path), cost.labels(path)

    def score(moments):
        accuracy = np.average(labels[np.arange(25), moments] == y, weights=weight)
        share = np.average((moments + 1) / 6, weights=weight)
        return harmonic_mean(accuracy, share)

    values = np.unique(sure[~np.isnan(sure)])
    best = max(score(answered_by_hand(sure, last, v)) for v in [*values, np.inf])
    assert score(rule.decide(path).moment) == pytest.approx(best)


def test_forced_answers_count():
    """Nine series get sure too late; that they are answered wrongly at the end is not left out."""
    sure, unsure = [0.9, 0.1], [0.4, 0.6]
    path = np.array([[unsure, sure]] + [[unsure, unsure]] * 9)
    y = np.array([0] + [1] * 9)
    cost = decision_cost([0, 0.5], None, [1, 2], 2, [0, 1])
    how = {"time_points": [1, 2], "n_timepoints": 2}
    # To wait saves one error in ten, and costs 0.5 for each series.
    for rule in (ProbabilityThreshold(), StoppingRule(), ECEC(), FixedTime()):
        assert not rule.fit(path, y, cost, **how).decide(path).moment.any()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_the_stopping_rule_is_no_worse_than_a_threshold_on_any_of_its_directions(seed):
    path, y, weight, cost, how, last = case(seed, False)
    rule = StoppingRule(n_directions=4).fit(path, y, cost, **how, sample_weight=weight)
    ordered = np.sort(path, axis=2)
    shares = np.arange(1, 7) / 6
    losses = []
    for score in (ordered[:, :, 2], -ordered[:, :, 2]):
        values = np.unique((score / shares)[~np.isnan(score)])
        losses += [
            cost.average(path, y, answered_by_hand(score / shares, last, v), weight)
            for v in [*values, np.inf]
        ]
    assert cost.average(path, y, rule.decide(path).moment, weight) <= min(losses) + 1e-9


def test_the_choice_is_of_the_least_cost_on_series_held_out():
    path, y = gaussian_paths(400, n_moments=10, shift=0.8)
    cost, how = setting(n_moments=10, delay=0.3)
    chosen = select_rule(path, y, cost, **how)
    assert chosen.name == min(chosen.costs, key=lambda name: chosen.costs[name][0])
    assert set(chosen.costs) == {"fixed", "threshold", "stopping_rule", "economy", "calimera"}
    assert chosen.name != "fixed"
    own = type(chosen.rule)().fit(path, y, cost, **how)
    np.testing.assert_array_equal(own.decide(path).moment, chosen.rule.decide(path).moment)


def test_the_choice_among_rules_of_ones_own():
    path, y = gaussian_paths(60)
    cost, how = setting(delay=0.0)
    rules = {"late": FixedTime(-1), "early": FixedTime(0)}
    chosen = select_rule(path, y, cost, **how, rules=rules)
    assert chosen.name == "late"
    assert not hasattr(rules["late"], "moment_")
    costs = cost.of_answers(path, y)
    mean, error = chosen.costs["early"]
    assert mean == pytest.approx(costs[:, 0].mean())
    assert error == pytest.approx(costs[:, 0].std() / np.sqrt(60))


def test_the_choice_needs_two_groups():
    path, y = gaussian_paths(60)
    cost, how = setting()
    with pytest.raises(ValueError, match="two series or groups"):
        select_rule(path, y, cost, **how, groups=np.zeros(60))

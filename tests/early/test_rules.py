"""What is true of every rule: forms, ends, invariances, weights, groups, errors."""

import numpy as np
import pytest
from early_paths import gaussian_paths, ragged, setting
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skgdpd.stopping import (
    ECEC,
    RULES,
    AccuracyGap,
    Calimera,
    Economy,
    FixedTime,
    ProbabilityThreshold,
    Rule,
    StoppingRule,
    Teaser,
    decision_cost,
)

OF_EACH = [
    FixedTime(),
    FixedTime(3),
    ProbabilityThreshold(),
    ProbabilityThreshold("harmonic_mean"),
    StoppingRule(n_directions=8),
    Teaser(n_folds=2),
    Teaser("harmonic_mean", n_folds=2),
    ECEC(),
    Economy(),
    Economy("open"),
    Calimera(n_centres=20),
    AccuracyGap(max_gap=0.2, delta=0.2),
]
N = 120


def names(rule):
    return repr(rule)


@pytest.fixture(params=OF_EACH, ids=names)
def rule(request):
    return clone(request.param)


def fitted(rule, *, rag=False, seed=0, **more):
    path, y = gaussian_paths(N, seed=seed)
    cost, how = setting(**more)
    return rule.fit(ragged(path) if rag else path, y, cost, **how)


def by_steps(rule, path):
    """Decide as a stream does: point by point, and by force where a series ends."""
    n, n_moments = path.shape[:2]
    state = rule.start(n)
    moment = np.full(n, -1)
    forced = np.zeros(n, dtype=bool)
    for m in range(n_moments):
        reads = ~np.isnan(path[:, m, 0]) & (moment < 0)
        own = state[reads]
        answers = rule.step(own, m, path[reads, m])
        state[reads] = own
        moment[np.flatnonzero(reads)[answers]] = m
        at_end = np.isnan(path[:, m + 1, 0]) if m + 1 < n_moments else np.ones(n, dtype=bool)
        ends = reads & at_end & (moment < 0)
        moment[ends], forced[ends] = m, True
    return moment, forced


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 30), st.booleans(), st.integers(1, 7))
def test_streams_and_arrays_are_answered_alike(seed, n, rag, chunk):
    path, _ = gaussian_paths(n, seed=seed)
    path = ragged(path, seed) if rag else path
    for rule in STEPPED:
        moment, forced = rule.decide(path)
        np.testing.assert_array_equal((moment, forced), by_steps(rule, path))
        parts = [rule.decide(path[i : i + chunk]) for i in range(0, n, chunk)]
        np.testing.assert_array_equal(moment, np.concatenate([part.moment for part in parts]))
        np.testing.assert_array_equal(forced, np.concatenate([part.forced for part in parts]))


STEPPED = [fitted(clone(rule), rag=True) for rule in OF_EACH[:-1]] + [fitted(clone(OF_EACH[-1]))]


def test_chunks_give_the_same_bits_at_the_edge():
    """What is compared is a sum of kernels; its last digit must not depend on the other rows."""
    rule = fitted(Calimera())
    path, _ = gaussian_paths(500, seed=5)
    all_at_once = rule._change(0, path[:, 0])
    one_by_one = np.concatenate([rule._change(0, row[None]) for row in path[:, 0]])
    np.testing.assert_array_equal(all_at_once, one_by_one)


def test_every_rule_has_a_name():
    assert {type(rule) for rule in OF_EACH} == set(RULES.values())


def test_a_series_is_answered_while_it_lasts(rule):
    fitted(rule)
    path, _ = gaussian_paths(60, seed=1)
    path = ragged(path)
    moment, forced = rule.decide(path)
    last = (~np.isnan(path[:, :, 0])).sum(1) - 1
    assert (moment <= last).all()
    assert (moment[forced] == last[forced]).all()


def test_what_follows_an_answer_has_no_effect(rule):
    fitted(rule)
    path, _ = gaussian_paths(60, seed=1)
    moment, _ = rule.decide(path)
    other = np.where(np.arange(6)[:, None] > moment[:, None, None], 1 / 3, path)
    np.testing.assert_array_equal(rule.decide(other).moment, moment)


def test_no_series(rule):
    moment, forced = fitted(rule).decide(np.empty((0, 6, 3)))
    assert moment.shape == forced.shape == (0,)


def test_single_precision_is_read(rule):
    path, _ = gaussian_paths(60, seed=1)
    single = path.astype(np.float32)
    fitted(rule)
    np.testing.assert_array_equal(
        rule.decide(single).moment, rule.decide(single.astype(np.float64)).moment
    )


def test_one_moment_leaves_nothing_to_decide(rule):
    path, y = gaussian_paths(N, n_moments=1)
    cost, how = setting(n_moments=1)
    moment, _ = (
        (FixedTime() if rule.get_params().get("moment") else rule)
        .fit(path, y, cost, **how)
        .decide(path)
    )
    assert not moment.any()


def test_one_class(rule):
    """Nothing can go wrong, so a rule that minds costs answers at once."""
    path, y = np.ones((N, 6, 1)), np.zeros(N, dtype=int)
    cost, how = setting(n_classes=1)
    moment, _ = rule.fit(path, y, cost, **how).decide(path)
    if not isinstance(rule, Teaser) and rule.get_params().get("moment") is None:
        assert not moment.any()


def test_a_fit_is_repeated_bit_by_bit(rule):
    first = {k: v for k, v in vars(fitted(clone(rule))).items() if k.endswith("_")}
    again = {k: v for k, v in vars(fitted(rule)).items() if k.endswith("_")}
    assert first.keys() == again.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])


def test_what_is_fitted_is_numbers_and_arrays(rule):
    own = [name for name in vars(fitted(rule)) if name not in rule.get_params()]
    assert own
    for name in own:
        value = getattr(rule, name)
        assert name.endswith("_")
        assert isinstance(value, int | float | np.ndarray | np.number), name
        if isinstance(value, np.ndarray):
            assert value.dtype.kind in "bif", name


def test_a_fit_leaves_its_input_and_the_random_state(rule):
    path, y = gaussian_paths(N)
    cost, how = setting()
    before = path.copy(), y.copy(), np.random.get_state()[1].copy()  # noqa: NPY002
    rule.fit(path, y, cost, **how).decide(path)
    np.testing.assert_array_equal(path, before[0])
    np.testing.assert_array_equal(y, before[1])
    np.testing.assert_array_equal(np.random.get_state()[1], before[2])  # noqa: NPY002


def test_the_order_of_classes_has_no_effect(rule):
    path, y = gaussian_paths(N)
    new, _ = gaussian_paths(200, seed=1)
    order = np.array([2, 0, 1])
    place = np.argsort(order)
    errors = np.array([[0, 3, 1], [2, 0, 1], [1, 4, 0.0]])
    cost, how = setting(errors=errors)
    renamed, _ = setting(errors=errors[np.ix_(order, order)])
    moment = clone(rule).fit(path, y, cost, **how).decide(new).moment
    other = rule.fit(path[:, :, order], place[y], renamed, **how).decide(new[:, :, order]).moment
    # Folds and draws spread classes in their order; other rows are drawn.
    differing = 0.15 if isinstance(rule, Economy | Teaser) else 0.0
    assert (moment != other).mean() <= differing


@pytest.mark.parametrize("unit", [8.0, 1e-3])
def test_the_unit_of_cost_has_no_effect(rule, unit):
    path, y = gaussian_paths(N)
    errors = np.array([[0, 3, 1], [2, 0, 1], [1, 4, 0.0]])
    cost, how = setting(delay=0.7, errors=errors)
    scaled, _ = setting(delay=0.7 * unit, errors=errors * unit)
    moment = clone(rule).fit(path, y, cost, **how).decide(path).moment
    np.testing.assert_array_equal(rule.fit(path, y, scaled, **how).decide(path).moment, moment)


def test_the_unit_of_weights_has_no_effect(rule):
    path, y = gaussian_paths(N)
    cost, how = setting()
    moment = clone(rule).fit(path, y, cost, **how).decide(path).moment
    rule.fit(path, y, cost, **how, sample_weight=np.full(N, 4.0))
    np.testing.assert_array_equal(rule.decide(path).moment, moment)


def test_a_row_of_no_weight_is_as_good_as_absent(rule):
    path, y = gaussian_paths(N + 40)
    weight = np.random.default_rng(0).uniform(0.5, 2, size=N + 40)
    weight[10:50] = 0
    kept = weight > 0
    cost, how = setting()
    moment = (
        clone(rule)
        .fit(path[kept], y[kept], cost, **how, sample_weight=weight[kept])
        .decide(path)
        .moment
    )
    rule.fit(path, y, cost, **how, sample_weight=weight)
    np.testing.assert_array_equal(rule.decide(path).moment, moment)


@pytest.mark.parametrize(
    "rule",
    [FixedTime(), ProbabilityThreshold(), StoppingRule(), Calimera(n_centres=1000)],
    ids=names,
)
def test_a_row_of_weight_two_counts_as_two(rule):
    path, y = gaussian_paths(N)
    twice = np.concatenate([np.arange(N), np.arange(0, N, 3)])
    weight = np.where(np.arange(N) % 3 == 0, 2.0, 1.0)
    cost, how = setting()
    moment = clone(rule).fit(path, y, cost, **how, sample_weight=weight).decide(path).moment
    rule.fit(path[twice], y[twice], cost, **how, groups=twice)
    np.testing.assert_array_equal(rule.decide(path).moment, moment)


@pytest.mark.parametrize(
    "rule",
    [FixedTime(), ProbabilityThreshold(), StoppingRule(), Teaser(), ECEC(), Economy(), Calimera()],
    ids=names,
)
def test_weights_decide(rule):
    """All weight on series that are plain at once, or on such as are plain at the end only."""
    early = np.full((N, 6, 3), 0.01)
    early[:, :, 0] = 0.98
    late = np.full((N, 6, 3), [0.3, 0.36, 0.34])
    late[:, 5] = [0.98, 0.01, 0.01]
    path = np.concatenate([early, late])
    y = np.zeros(2 * N, dtype=int)
    cost, how = setting(delay=0.4)
    of_late = np.repeat([1e-6, 1.0], N)
    own = rule.fit(path, y, cost, **how, sample_weight=of_late).decide(late).moment
    assert cost.average(late, y[:N], own) == pytest.approx(0.4)
    own = rule.fit(path, y, cost, **how, sample_weight=of_late[::-1]).decide(early).moment
    # A streak may be more than one long where that costs nothing on series of no weight.
    assert isinstance(rule, Teaser) or cost.average(early, y[:N], own) == pytest.approx(0.4 / 6)


@pytest.mark.parametrize("rule", [Teaser(), Economy(), Calimera()], ids=names)
def test_groups_are_held_out_together(rule):
    """Whole groups differ from one another, so that leaving out single rows is of no use."""
    path, y = gaussian_paths(N)
    cost, how = setting()
    rule.fit(path, y, cost, **how, groups=np.arange(N) // 10)
    assert (rule.decide(path).moment < 6).all()
    rule.fit(path, y, cost, **how, groups=np.zeros(N))  # One group: nothing can be held out.
    assert (rule.decide(path).moment < 6).all()


# Errors


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path[:, :, 0], "path has shape"),
        (lambda path: path[:, :5], r"cost has \(6,\) delays"),
        (lambda path: path * 0.9, "sum to 1"),
        (lambda path: path * 2 - path[:, :, ::-1] * 1, "not negative"),
        (lambda path: path[:0], "no series"),
        (lambda path: np.where(np.arange(6)[:, None] == 2, np.nan, path), "NaN may only follow"),
        (lambda path: np.where(np.arange(3) == 1, np.nan, path), "NaN may only follow"),
        (lambda path: np.full_like(path, np.nan), "at the first moment in rows"),
    ],
)
def test_paths_that_are_refused(rule, change, words):
    path, y = gaussian_paths(N)
    cost, how = setting()
    bad = change(path)
    with pytest.raises(ValueError, match=words):
        rule.fit(bad, y[: len(bad)], cost, **how)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("y", np.zeros(N), "class numbers"),
        ("y", np.full(N, 3), "from 0 to 2"),
        ("y", np.full(N, "a"), "class numbers"),
        ("y", np.zeros(N - 1, dtype=int), "class numbers"),
        ("time_points", [1, 2, 3], "time_points has 3 entries; path has 6"),
        ("time_points", [1, 2, 3, 4, 5, 50], "time_points must ascend"),
        ("sample_weight", np.ones(3), r"shape \(3,\)"),
        ("sample_weight", -np.ones(N), "not negative"),
        ("sample_weight", np.zeros(N), "zero throughout"),
        ("groups", np.zeros((N, 1)), r"shape \(120, 1\)"),
        ("cost", decision_cost(1, None, [1, 2], 2, ["a", "b"]), "cost has"),
    ],
)
def test_arguments_that_are_refused(rule, name, value, words):
    path, y = gaussian_paths(N)
    cost, how = setting()
    arguments = {"path": path, "y": y, "cost": cost, **how, name: value}
    with pytest.raises(ValueError, match=words):
        rule.fit(**arguments)


def test_costs_of_another_type_are_refused(rule):
    path, y = gaussian_paths(N)
    with pytest.raises(TypeError, match="DecisionCost"):
        rule.fit(path, y, 0.5, **setting()[1])


def test_decisions_check_their_input(rule):
    path, _ = gaussian_paths(10)
    with pytest.raises(NotFittedError):
        rule.decide(path)
    with pytest.raises(NotFittedError):
        rule.start(3)
    fitted(rule)
    with pytest.raises(ValueError, match=r"must be \(n, 6, 3\)"):
        rule.decide(path[:, :5])
    with pytest.raises(ValueError, match=r"must be \(2, 3\)"):
        rule.step(rule.start(2), 0, path[:, 0])
    with pytest.raises(ValueError, match="moment must be from 0 to 5, got 6"):
        rule.step(rule.start(10), 6, path[:, 0])


def test_parameters_are_checked_and_described(rule):
    assert set(rule._parameter_constraints) == set(rule.get_params())
    for name in rule.get_params():
        with pytest.raises(ValueError, match=name):
            fitted(clone(rule).set_params(**{name: "of another type"}))


class Own(Rule):
    """A rule whose step answers what a test wants."""

    def __init__(self, answer=None):
        self.answer = answer

    def _fit(self, data):
        pass

    def _step(self, state, moment, probabilities):
        return self.answer(len(state))


@pytest.mark.parametrize(
    "answer",
    [
        lambda n: True,
        lambda n: np.ones(n),
        lambda n: np.ones((n, 1), dtype=bool),
        lambda n: np.ones(n + 1, dtype=bool),
        lambda n: None,
    ],
)
def test_a_rule_of_ones_own_must_answer_each_series(answer):
    rule, (path, _) = fitted(Own(answer)), gaussian_paths(10)
    with pytest.raises(TypeError, match=r"Own\._step returned .* array of True and False"):
        rule.decide(path)
    with pytest.raises(TypeError, match=r"Own\._step returned"):
        rule.step(rule.start(len(path)), 0, path[:, 0])


def test_a_rule_of_ones_own_may_answer_by_a_list():
    rule, (path, _) = fitted(Own(lambda n: [True] * n)), gaussian_paths(10)
    assert not rule.decide(path).moment.any()


def test_a_rule_of_ones_own_without_a_method_says_which():
    class WithoutFit(Rule):
        pass

    class WithoutStep(Rule):
        def _fit(self, data):
            pass

    with pytest.raises(NotImplementedError, match=r"WithoutFit must define _fit\(data\)"):
        fitted(WithoutFit())
    rule, (path, _) = fitted(WithoutStep()), gaussian_paths(10)
    with pytest.raises(NotImplementedError, match=r"WithoutStep must define _step\("):
        rule.decide(path)

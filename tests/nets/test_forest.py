"""Forests as tensors: equal to scikit-learn's, and honest about training rows."""

import copy
import pickle

import joblib
import numpy as np
import pytest
import sklearn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.ensemble import ExtraTreesRegressor

from skgdpd.nets.forest import Forest, _rounded_down


def problem(n=60, p=8, k=3, seed=0):
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(n, p, generator=rng)
    y = (x[:, 0] > 0).long() + (x[:, 1] > 0.5).long()
    return x, torch.nn.functional.one_hot(y % k, k).float()


@pytest.mark.parametrize("soft", [False, True])
def test_predictions_are_scikit_learns(soft):
    x, target = problem()
    target = 0.7 * target + 0.1 if soft else target
    forest = Forest(150)
    seen = forest.fit(x, target, None, seed=3)
    theirs = ExtraTreesRegressor(
        150, max_features=0.1, bootstrap=True, oob_score=True, random_state=3
    ).fit(x.numpy(), target.numpy())
    other = problem(500, seed=1)[0]
    np.testing.assert_allclose(forest(other), theirs.predict(other.numpy()), atol=1e-6)
    np.testing.assert_allclose(forest(x), theirs.predict(x.numpy()), atol=1e-6)
    np.testing.assert_allclose(seen, theirs.oob_prediction_, atol=1e-6)
    np.testing.assert_allclose(forest(other).sum(1), 1, atol=1e-5)


# weights


def imbalanced(n=200, rare=10, seed=0):
    """Rows of two overlapping classes, the second one rare."""
    rng = torch.Generator().manual_seed(seed)
    y = (torch.arange(n) >= n - rare).long()
    x = torch.randn(n, 8, generator=rng) + y[:, None]
    return x, torch.nn.functional.one_hot(y, 2).float()


def balance(target):
    return (target @ (1 / target.sum(0))) * len(target) / target.shape[1]


def test_a_heavy_row_is_out_of_bag_as_often_as_others():
    x, target = imbalanced()
    weight = torch.ones(200)
    weight[7] = 1e4
    for own_weight in (weight, 20 * target[:, 1] + target[:, 0], balance(target)):
        changed = target.clone()
        rows = [7, 199]
        changed[rows] = target[rows].roll(1, 1)
        for row in rows:
            alone = target.clone()
            alone[row] = changed[row]
            before = Forest(60).fit(x, target, own_weight, 0)
            after = Forest(60).fit(x, alone, own_weight, 0)
            np.testing.assert_array_equal(after[row], before[row])
            assert not torch.equal(after, before)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_out_of_bag_is_as_good_as_on_new_rows_under_weights_too(seed):
    x, target = imbalanced(seed=seed)
    weight = balance(target)
    forest = Forest(200)
    rare = target[:, 1] > 0
    plain = Forest(200).fit(x, target, None, seed)[rare, 1].mean()
    out_of_bag = forest.fit(x, target, weight, seed)[rare, 1].mean()
    other, its = imbalanced(4000, 200, seed + 10)
    new = forest(other)[its[:, 1] > 0, 1].mean()
    assert out_of_bag > 2 * plain
    assert abs(out_of_bag - new) < 0.15
    assert forest(x)[rare, 1].mean() > new + 0.15, "trees that know a row answer otherwise"


def test_odds_shift_by_the_weights_of_the_classes():
    # Where all rows are alike, no tree can split, and the shares of weight are all there is.
    x = torch.zeros(400, 3)
    target = torch.nn.functional.one_hot((torch.arange(400) % 20 == 0).long(), 2).float()
    forest = Forest(200)
    for unseen in (forest.fit(x, target, balance(target), 0), forest(x)):
        np.testing.assert_allclose(unseen, 0.5, atol=0.03)


def test_the_scale_of_weights_is_no_matter_and_equal_ones_are_none():
    x, target = imbalanced()
    weight = balance(target)
    # Powers of two, as ties between splits are decided by the last bits.
    found = [Forest(30).fit(x, target, w, 0) for w in (weight, 1024 * weight, weight / 1024)]
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])
    plain, equal = Forest(30), Forest(30)
    np.testing.assert_array_equal(
        plain.fit(x, target, None, 0), equal.fit(x, target, torch.full((200,), 2.0), 0)
    )
    np.testing.assert_array_equal(plain(x), equal(x))


def test_rows_of_no_weight_are_as_good_as_absent_and_get_the_mean_of_all_trees():
    x, target = problem()
    weight = torch.ones(60)
    weight[::3] = 0
    with_them, without = Forest(40), Forest(40)
    unseen = with_them.fit(x, target, weight, 0)
    kept = without.fit(x[weight > 0], target[weight > 0], None, 0)
    np.testing.assert_array_equal(unseen[weight > 0], kept)
    np.testing.assert_allclose(unseen[weight == 0], without(x[weight == 0]), atol=1e-6)
    np.testing.assert_array_equal(with_them(x), without(x))


def test_a_row_in_every_sample_gets_the_class_shares_of_the_others():
    x, target = problem(6, 8, 3)
    weight = torch.tensor([1.0, 2, 3, 4, 5, 6])
    for own in (None, weight):
        w = torch.ones(6) if own is None else own
        hit = False
        for seed in range(8):
            unseen = Forest(1).fit(x, target, own, seed)
            drawn = np.random.RandomState(seed).randint(np.iinfo(np.int32).max)
            inside = np.unique(np.random.RandomState(drawn).randint(0, 6, 6))
            for row in inside:
                others = torch.arange(6) != row
                expected = (w[others] @ target[others]) / w[others].sum()
                np.testing.assert_allclose(unseen[row], expected, atol=1e-6)
                hit = True
        assert hit
    np.testing.assert_array_equal(Forest(3).fit(x[:1], target[:1], None, 0), torch.ones(1, 3) / 3)


@pytest.mark.parametrize("weight", [[1e-30, 1, 1, 1e30], [0, 0, 0, 1], [1e-38, 1e-38, 1, 1]])
def test_extreme_weights_give_probabilities(weight):
    x, target = problem(4, 3, 2)
    forest = Forest(20)
    for found in (forest.fit(x, target, torch.tensor(weight), 0), forest(x)):
        assert torch.isfinite(found).all()
        np.testing.assert_allclose(found.sum(1), 1, atol=1e-4)


def test_weighted_forests_are_copied_saved_and_evaluated_the_same_way():
    x, target = imbalanced()
    forest = Forest(10)
    forest.fit(x, target, balance(target), 0)
    expected = forest(x)
    np.testing.assert_allclose(expected.sum(1), 1, atol=1e-5)
    fresh = Forest(10)
    fresh.load_state_dict(forest.state_dict())
    for other in (fresh, copy.deepcopy(forest), pickle.loads(pickle.dumps(forest))):
        np.testing.assert_array_equal(other(x), expected)
    np.testing.assert_array_equal(forest(x[3:4]), expected[3:4])


# training rows


def test_what_is_said_of_a_training_row_does_not_depend_on_its_label():
    x, target = problem()
    one, other = Forest(40), Forest(40)
    before = one.fit(x, target, None, 0)
    changed = target.clone()
    changed[7] = target[7].roll(1)
    after = other.fit(x, changed, None, 0)
    np.testing.assert_array_equal(after[7], before[7])
    assert not torch.equal(after, before)
    assert not torch.equal(one(x)[7], other(x)[7])


def test_what_is_said_of_training_rows_is_as_good_as_of_others_and_no_better():
    x, _ = problem(200)
    nothing = torch.eye(2)[torch.arange(200) % 2]
    forest = Forest(100)
    unseen = forest.fit(x, nothing, None, 0)
    assert (unseen.argmax(1) == nothing.argmax(1)).float().mean() < 0.65
    assert (forest(x).argmax(1) == nothing.argmax(1)).all()


@given(arrays(np.float64, 20, elements=st.floats(-1e30, 1e30)))
def test_a_threshold_rounded_down_has_the_same_single_precision_numbers_below(numbers):
    found = _rounded_down(numbers)
    assert (found <= numbers).all()
    assert (np.nextafter(found, np.float32(np.inf)) > numbers).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(1, 3), st.integers(2, 4))
def test_few_rows_and_equal_rows_will_do(n, p, k):
    target = torch.eye(k)[torch.arange(n) % k]
    for x in (torch.zeros(n, p), torch.arange(n * p).view(n, p).float()):
        forest = Forest(5)
        unseen = forest.fit(x, target, None, 0)
        for found in (unseen, forest(x)):
            assert found.shape == (n, k)
            np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)


def test_the_seed_decides_and_global_generators_are_left_alone():
    x, target = problem()
    before = str(np.random.get_state()), torch.random.get_rng_state().tolist()  # noqa: NPY002
    a, b, other = (Forest(10).fit(x, target, None, seed) for seed in (0, 0, 1))
    after = str(np.random.get_state()), torch.random.get_rng_state().tolist()  # noqa: NPY002
    assert before == after
    np.testing.assert_array_equal(a, b)
    assert not torch.equal(a, other)


def test_threads_grow_the_same_trees_and_scikit_learns_settings_are_left_alone():
    x, target = problem()
    before = sklearn.get_config()
    alone = Forest(25).fit(x, target, None, 0)
    with joblib.parallel_config(n_jobs=2):
        together = Forest(25).fit(x, target, None, 0)
    np.testing.assert_array_equal(alone, together)
    assert sklearn.get_config() == before


def test_one_row_has_the_bits_of_many():
    x, target = problem()
    forest = Forest(50)
    forest.fit(x, target, None, 0)
    whole = forest(x)
    for i in (0, 31):
        np.testing.assert_array_equal(forest(x[i : i + 1])[0], whole[i])


def test_copies_pickles_and_states_say_the_same():
    x, target = problem()
    forest = Forest(10)
    forest.fit(x, target, None, 0)
    fresh = Forest(10)
    fresh.load_state_dict(forest.state_dict())
    for other in (fresh, copy.deepcopy(forest), pickle.loads(pickle.dumps(forest))):
        np.testing.assert_array_equal(other(x), forest(x))
        assert other.n_levels == forest.n_levels
    with pytest.raises(RuntimeError, match="Missing key"):
        Forest(10).load_state_dict({"value": torch.ones(1, 2)})


def test_unfitted_it_knows_one_class():
    np.testing.assert_array_equal(Forest()(torch.zeros(3, 5)), np.zeros((3, 1)))

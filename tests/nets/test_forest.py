"""Forests as tensors: equal to scikit-learn's, and honest about training rows."""

import copy
import pickle

import numpy as np
import pytest
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


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("soft", [False, True])
def test_predictions_are_scikit_learns(weighted, soft):
    x, target = problem()
    target = 0.7 * target + 0.1 if soft else target
    weight = torch.linspace(0, 2, 60) if weighted else None
    forest = Forest(150)
    seen = forest.fit(x, target, weight, seed=3)
    theirs = ExtraTreesRegressor(
        150, max_features=0.1, bootstrap=True, oob_score=True, random_state=3
    ).fit(x.numpy(), target.numpy(), None if weight is None else weight.numpy())
    other = problem(500, seed=1)[0]
    np.testing.assert_allclose(forest(other), theirs.predict(other.numpy()), atol=1e-6)
    np.testing.assert_allclose(forest(x), theirs.predict(x.numpy()), atol=1e-6)
    np.testing.assert_allclose(seen, theirs.oob_prediction_, atol=1e-6)
    np.testing.assert_allclose(forest(other).sum(1), 1, atol=1e-5)


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


def test_a_row_of_no_weight_teaches_nothing():
    x, target = problem()
    weight = torch.ones(60)
    weight[:20] = 0
    changed = target.clone()
    changed[:20] = target[:20].roll(1, 1)
    found = []
    for own in (target, changed):
        forest = Forest(20)
        forest.fit(x, own, weight, 0)
        found.append(forest(x))
    np.testing.assert_allclose(*found, atol=1e-6)


def test_the_seed_decides_and_global_generators_are_left_alone():
    x, target = problem()
    before = str(np.random.get_state()), torch.random.get_rng_state().tolist()  # noqa: NPY002
    a, b, other = (Forest(10).fit(x, target, None, seed) for seed in (0, 0, 1))
    after = str(np.random.get_state()), torch.random.get_rng_state().tolist()  # noqa: NPY002
    assert before == after
    np.testing.assert_array_equal(a, b)
    assert not torch.equal(a, other)


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

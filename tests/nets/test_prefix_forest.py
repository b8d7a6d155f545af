"""A forest over moments: what it predicts, and honesty about training series at all moments."""

import numpy as np
import pytest
import torch

from skgdpd.nets import prefix_forest
from skgdpd.nets.forest import multiplicities, tree_seeds
from skgdpd.nets.moment_forests import MomentForests
from skgdpd.nets.prefix_forest import MOMENTS_PER_TREE, PrefixForest

MOMENTS = [2, 5, 10, 15, 20, 30, 40]


def problem(n=60, c=1, t=40, seed=0):
    """Series whose class shows in their level from point 10 on, and nothing before."""
    rng = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 2
    x = torch.randn(n, c, t, generator=rng)
    x[:, 0, 10:] += 2 * y[:, None]
    return x, torch.nn.functional.one_hot(y, 2).float()


def fitted(x, target, weight=None, n_trees=60, seed=0):
    forest = PrefixForest(x.shape[1], x.shape[2], MOMENTS, n_trees)
    return forest, forest.fit(x, target, weight, seed)


def accuracy(chances, target):
    return (chances.argmax(-1) == target.argmax(1)[:, None]).float().mean(0)


def test_it_is_right_once_the_class_shows_and_not_before():
    x, target = problem(120)
    forest, left_out = fitted(x, target)
    other, its = problem(400, seed=1)
    path = forest.path(other)
    assert left_out.shape == (120, 7, 2)
    assert path.shape == (400, 7, 2)
    torch.testing.assert_close(path.sum(2), torch.ones(400, 7))
    torch.testing.assert_close(left_out.sum(2), torch.ones(120, 7))
    for right in (accuracy(path, its), accuracy(left_out, target)):
        assert right[:3].max() < 0.7
        assert right[3:].min() > 0.9


def test_left_out_predictions_of_a_series_do_not_know_its_label():
    x, target = problem()
    before = fitted(x, target)[1]
    changed = target.clone()
    changed[7] = target[7].flip(0)
    after = fitted(x, changed)[1]
    assert torch.equal(after[7], before[7])
    assert not torch.equal(after, before)


def test_left_out_predictions_promise_no_more_than_new_series_get():
    x, target = problem(200)
    target = target[torch.randperm(200, generator=torch.Generator().manual_seed(0))]
    left_out = fitted(x, target, n_trees=200)[1]
    np.testing.assert_allclose(accuracy(left_out, target), 0.5, atol=0.12)


@pytest.mark.parametrize(("n", "n_chosen"), [(50, 20), (100, 10), (400, MOMENTS_PER_TREE)])
def test_a_sample_has_a_series_at_a_few_moments_or_at_none(n, n_chosen):
    (seed,) = tree_seeds(1, 0)
    sample = multiplicities(n, seed)
    drawn = prefix_forest._at_moments(sample, seed, 20).reshape(n, 20)
    np.testing.assert_array_equal((drawn > 0).sum(1), n_chosen * (sample > 0))
    np.testing.assert_array_equal(drawn.max(1), sample)
    every = prefix_forest._at_moments(sample, seed, 2).reshape(n, 2)
    np.testing.assert_array_equal(every, sample[:, None].repeat(2, 1))


def test_what_comes_later_changes_nothing():
    x, target = problem(c=2)
    forest, _ = fitted(x, target)
    changed = x.clone()
    changed[:, :, 20:] = torch.nan
    path = forest.path(x)
    assert torch.equal(forest.path(changed)[:, :5], path[:, :5])
    assert torch.equal(forest.path(x[:, :, :33]), path[:, :6])
    assert torch.equal(forest.path([x[:, :, :t] for t in MOMENTS]), path)


def test_a_state_predicts_as_the_path_does():
    x, target = problem(c=2)
    forest, _ = fitted(x, target)
    path, state, done = forest.path(x), forest.start(60), 0
    for m, t in enumerate(MOMENTS):
        state = forest.step(state, x[:, :, done:t])
        assert torch.equal(forest.proba(state), path[:, m])
        done = t


def test_prefixes_are_fitted_as_the_series_are():
    x, target = problem()
    one, left_out = fitted(x, target)
    other = PrefixForest(1, 40, MOMENTS, 60)
    assert torch.equal(other.fit([x[:, :, :t] for t in MOMENTS], target, None, 0), left_out)
    assert torch.equal(other.path(x), one.path(x))


def test_a_series_of_no_weight_is_as_good_as_absent():
    x, target = problem()
    weight = torch.ones(60)
    weight[50:] = 0
    forest, left_out = fitted(x, target, weight)
    alone, its = fitted(x[:50], target[:50], torch.ones(50))
    assert torch.equal(forest.path(x), alone.path(x))
    assert torch.equal(left_out[:50], its)
    torch.testing.assert_close(left_out[50:], alone.path(x[50:]))


def test_weights_count_by_their_ratios():
    x, target = problem()
    weight = torch.rand(60, generator=torch.Generator().manual_seed(0)) + 0.5
    torch.testing.assert_close(fitted(x, target, weight)[1], fitted(x, target, 8 * weight)[1])
    same = fitted(x, target, torch.full((60,), 3.0))[1]
    torch.testing.assert_close(same, fitted(x, target)[1])


def test_a_series_in_every_sample_gets_the_shares_of_the_others():
    x, target = problem(5)
    _, left_out = fitted(x, target, n_trees=1)
    (seed,) = tree_seeds(1, 0)
    inside = np.flatnonzero(multiplicities(5, seed))
    for row in inside:
        others = (target.sum(0) - target[row]) / 4
        torch.testing.assert_close(left_out[row], others.expand(7, 2))


@pytest.mark.parametrize("name", ["MAX_SERIES", "MAX_VALUES"])
def test_trees_grow_on_some_series_if_there_are_many(monkeypatch, name):
    x, target = problem(100)
    n_values = 7 * PrefixForest(1, 40, MOMENTS).quantiles.n_features
    monkeypatch.setattr(prefix_forest, name, 40 if name == "MAX_SERIES" else 40 * n_values)
    forest, left_out = fitted(x, target)
    apart = (left_out - forest.path(x)).abs().amax((1, 2)) > 1e-6
    assert 30 <= apart.sum() <= 40
    assert accuracy(left_out, target)[-1] > 0.8


def test_rounding_errors_are_no_features():
    rng = torch.Generator().manual_seed(0)
    y = torch.arange(40) % 2
    x = torch.ones(40, 1, 40) + 3e-7 * (2 * y - 1)[:, None, None]
    x[:, :, 20:] += torch.randn(40, 1, 20, generator=rng)
    left_out = fitted(x, torch.nn.functional.one_hot(y, 2).float())[1]
    assert (left_out[:, :4] - 0.5).abs().max() < 0.35


def test_it_is_loaded_from_numbers_alone():
    x, target = problem()
    forest, _ = fitted(x, target)
    state = forest.state_dict()
    assert all(isinstance(own, torch.Tensor) and own.isfinite().all() for own in state.values())
    other = PrefixForest(1, 40, MOMENTS, 60)
    other.load_state_dict(state)
    assert torch.equal(other.path(x), forest.path(x))


def test_global_random_state_is_left_alone_and_seeds_count():
    x, target = problem()
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    one, same, other = (fitted(x, target, seed=seed)[1] for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


# A forest for each moment


def test_forests_of_each_moment_have_the_same_face():
    x, target = problem(80, c=2)
    forests = MomentForests(2, 40, MOMENTS)
    left_out = forests.fit(x, target, None, 0)
    other, its = problem(200, c=2, seed=1)
    path, state, done = forests.path(other), forests.start(200), 0
    for right in (accuracy(path, its), accuracy(left_out, target)):
        assert right[:3].max() < 0.75
        assert right[3:].min() > 0.85
    for m, t in enumerate(MOMENTS):
        state = forests.step(state, other[:, :, done:t])
        assert torch.equal(forests.proba(state), path[:, m])
        done = t
    changed = other.clone()
    changed[:, :, 20:] = torch.nan
    assert torch.equal(forests.path(changed[:, :, :20]), path[:, :5])
    prefixes = [x[:, :, :t] for t in MOMENTS]
    again = MomentForests(2, 40, MOMENTS)
    assert torch.equal(again.fit(prefixes, target, None, 0), left_out)
    loaded = MomentForests(2, 40, MOMENTS)
    loaded.load_state_dict(forests.state_dict())
    assert torch.equal(loaded.path(other), path)
    with pytest.raises(ValueError, match="got 0 points"):
        forests.proba(forests.start(2))
    with pytest.raises(ValueError, match="must have lengths"):
        forests.path(prefixes[1:])


def test_left_out_predictions_of_each_moment_do_not_know_the_label():
    x, target = problem()
    before = MomentForests(1, 40, MOMENTS).fit(x, target, None, 0)
    target[7] = target[7].flip(0)
    after = MomentForests(1, 40, MOMENTS).fit(x, target, None, 0)
    assert torch.equal(after[7], before[7])
    assert not torch.equal(after, before)

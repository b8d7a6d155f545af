"""Soft-DTW against all paths, its limits, and the divergence made of it."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skgdpd.distillers.soft_dtw import open_end_divergence, soft_dtw_table, squared_distances

SEEDS = st.integers(0, 10**6)
SIZES = st.integers(1, 4)


def normal(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def paths(p, q):
    """All paths from (0, 0) to (p - 1, q - 1)."""
    if p == q == 1:
        yield [(0, 0)]
        return
    for a, b in ((1, 0), (0, 1), (1, 1)):
        if p - a >= 1 and q - b >= 1:
            for path in paths(p - a, q - b):
                yield [*path, (p - 1, q - 1)]


def costs_of_paths(cost):
    p, q = cost.shape
    return np.array([sum(cost[i, j].item() for i, j in path) for path in paths(p, q)])


@settings(deadline=None, max_examples=30)
@given(SEEDS, SIZES, SIZES, st.sampled_from([0.1, 1.2, 10.0]))
def test_each_cell_is_the_soft_minimum_over_all_paths_to_it(seed, p, q, gamma):
    cost = normal(seed, 2, p, q)
    table = soft_dtw_table(cost, gamma)
    for k, i, j in itertools.product(range(2), range(p), range(q)):
        sums = costs_of_paths(cost[k, : i + 1, : j + 1])
        expected = -gamma * np.logaddexp.reduce(-sums / gamma)
        assert table[k, i, j].item() == pytest.approx(expected, abs=1e-9)


def test_numbers_of_paths_are_delannoys():
    table = soft_dtw_table(torch.zeros(1, 4, 4, dtype=torch.float64), 1.0)
    counts = (-table).exp()[0].diagonal()
    torch.testing.assert_close(counts, torch.tensor([1.0, 3, 13, 63], dtype=torch.float64))


@settings(deadline=None, max_examples=20)
@given(SEEDS, SIZES, SIZES)
def test_with_little_softness_it_is_dtw(seed, p, q):
    cost = normal(seed, 1, p, q).abs()
    found = soft_dtw_table(cost, 1e-4)[0, -1, -1].item()
    assert found == pytest.approx(costs_of_paths(cost[0]).min(), abs=1e-3)


@pytest.mark.parametrize("shape", [(2, 3, 5), (1, 4, 2), (2, 1, 3), (2, 3, 1), (1, 1, 1)])
@pytest.mark.parametrize("gamma", [0.05, 1.2])
def test_gradients_are_those_of_finite_differences(shape, gamma):
    cost = normal(0, *shape).requires_grad_()
    assert torch.autograd.gradcheck(lambda c: soft_dtw_table(c, gamma), cost)


def test_the_gradient_is_the_expected_number_of_visits():
    # Of a pair, over paths drawn by their shares: each path visits both corners.
    cost = normal(1, 3, 4, 5).requires_grad_()
    (visits,) = torch.autograd.grad(soft_dtw_table(cost, 1.0)[:, -1, -1].sum(), cost)
    torch.testing.assert_close(visits[:, 0, 0], torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(visits[:, -1, -1], torch.ones(3, dtype=torch.float64))
    assert ((visits > 0) & (visits < 1 + 1e-9)).all()


def test_single_precision_stays_finite_at_large_costs():
    cost = (1e4 * normal(2, 4, 9, 7).abs()).float().requires_grad_()
    soft_dtw_table(cost, 0.1)[:, -1, -1].sum().backward()
    assert torch.isfinite(cost.grad).all()
    torch.testing.assert_close(cost.grad[:, 0, 0], torch.ones(4))


def test_distances_are_means_over_channels():
    x, y = normal(3, 2, 3, 4), normal(4, 2, 5, 4)
    expected = (x[:, :, None] - y[:, None]).square().mean(-1)
    torch.testing.assert_close(squared_distances(x, y), expected)
    wider = squared_distances(x.repeat(1, 1, 3), y.repeat(1, 1, 3))
    torch.testing.assert_close(wider, expected)


@pytest.mark.parametrize("gamma", [0.1, 1.2])
@pytest.mark.parametrize("p", [1, 3, 6])
def test_a_beginning_is_at_no_distance_and_a_least_one(p, gamma):
    y = normal(5, 4, 6, 3)
    x = y[:, :p].clone().requires_grad_()
    found = open_end_divergence(x, y, gamma)
    torch.testing.assert_close(found, torch.zeros_like(found), atol=1e-9, rtol=0)
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert gradient.abs().max() < 1e-9


@settings(deadline=None, max_examples=60)
@given(SEEDS, SIZES, SIZES, st.sampled_from([0.1, 1.2]))
def test_it_is_not_below_zero(seed, p, q, gamma):
    assert (
        open_end_divergence(normal(seed, 5, p, 2), normal(seed + 1, 5, q, 2), gamma) > -1e-9
    ).all()


def test_it_is_the_least_over_ordinary_ends():
    x, y, gamma = normal(6, 3, 4, 2), normal(7, 3, 6, 2), 0.7

    def d(a, b):
        return soft_dtw_table(squared_distances(a, b), gamma)[:, -1, -1]

    ends = [d(x, y[:, :j]) - d(x, x) / 2 - d(y[:, :j], y[:, :j]) / 2 for j in range(1, 7)]
    torch.testing.assert_close(open_end_divergence(x, y, gamma), torch.stack(ends).amin(0))


def test_steps_that_are_repeated_cost_nothing_without_softness():
    y = normal(8, 2, 4, 3)
    x = y[:, :3].repeat_interleave(2, 1)
    assert open_end_divergence(x, y, 1e-4).abs().max() < 1e-2


def test_what_stands_beyond_the_end_has_no_influence():
    x, y = normal(9, 3, 5, 2), normal(10, 3, 7, 2)
    n_x, n_y = torch.tensor([2, 5, 1]), torch.tensor([3, 1, 7])
    found = open_end_divergence(x.clone().requires_grad_(), y, 1.2, n_x, n_y)
    for k in range(3):
        own = open_end_divergence(x[k : k + 1, : n_x[k]], y[k : k + 1, : n_y[k]], 1.2)
        torch.testing.assert_close(found[k : k + 1], own)


def test_gradients_of_the_divergence():
    x, y = normal(11, 2, 3, 2).requires_grad_(), normal(12, 2, 4, 2)
    n_x = torch.tensor([3, 2])
    assert torch.autograd.gradcheck(lambda z: open_end_divergence(z, y, 1.2, n_x), x)


def test_of_equal_steps_only_the_numbers_of_paths_are_left():
    def counted(i, j):
        return sum(1 for _ in paths(i, j))

    x, y = torch.zeros(1, 5, 2).double(), torch.zeros(1, 3, 2).double()
    assert open_end_divergence(y, x, 1.0).item() == pytest.approx(0, abs=1e-12)
    ends = [-math.log(counted(5, j) / math.sqrt(counted(5, 5) * counted(j, j))) for j in (1, 2, 3)]
    assert open_end_divergence(x, y, 1.0).item() == pytest.approx(min(ends))

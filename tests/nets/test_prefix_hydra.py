"""Hydra features of all prefixes: their definition, one pass, both engines, and a state."""

import copy
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skgdpd.nets import causal, prefix_hydra
from skgdpd.nets.prefix_hydra import LANES, PrefixHydra

needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")
ENGINES = ["torch", pytest.param("numba", marks=needs_numba)]


def series(n=5, c=1, t=40, seed=0):
    return torch.randn(n, c, t, generator=torch.Generator().manual_seed(seed))


def fitted(x, moments, engine="torch", seed=0, n_groups=32, n_kernels=8):
    hydra = PrefixHydra(x.shape[1], x.shape[2], moments, n_groups, n_kernels, engine)
    return hydra.fit(x, seed)


def whole_path(hydra, x, block=None):
    return torch.cat(list(hydra.path(x, block)))


def slow_means(hydra, x):
    """The definition, group by group and point by point: means of wins, shares of losses."""
    x = x.double().numpy()
    n, c, n_timepoints = x.shape
    difference = np.diff(x, axis=2, prepend=x[:, :, :1])
    found = np.zeros((n, len(hydra.units), 2, hydra.n_kernels, LANES))
    for b, d in enumerate(hydra.dilations):
        own = difference if hydra.of_difference[b] else x
        for g in range(LANES):
            used = [k for k in hydra.channels[b, g].tolist() if k < c]
            summed = own[:, used].sum(1)
            weights = hydra.weights[b, :, :, g].double().numpy()
            for i in range(n):
                for t in range(n_timepoints):
                    taps = [
                        summed[i, t - (8 - j) * d] if t >= (8 - j) * d else 0 for j in range(9)
                    ]
                    outputs = np.array(taps) @ weights
                    found[i, b, 0, outputs.argmax(), g] += outputs.max() / n_timepoints
                    found[i, b, 1, outputs.argmin(), g] += 1 / n_timepoints
    return torch.from_numpy(found).flatten(1)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("c", "t"), [(1, 20), (3, 11), (1, 2)])
def test_features_are_roots_of_mean_wins_and_shares_of_losses(engine, c, t):
    x = series(2, c, t)
    hydra = fitted(x, [t], engine)
    expected = slow_means(hydra, x)
    # The first difference begins with a tie: all outputs are zero, and the first kernel wins.
    got = hydra.transform(x).double().square()
    torch.testing.assert_close(got, expected.clamp(min=0), atol=2e-3, rtol=0)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("c", "moments"), [(1, [1]), (1, [2, 3]), (3, [2, 8, 9, 17]), (12, [31, 33]), (1, [10, 150])]
)
def test_one_pass_gives_the_features_of_every_prefix(engine, c, moments):
    x = series(5, c, moments[-1] + 7)
    hydra = fitted(x, moments, engine)
    path = whole_path(hydra, x, 2)
    assert path.shape == (5, len(moments), hydra.n_features)
    assert path.dtype == torch.float32
    for m, t in enumerate(moments):
        assert torch.equal(path[:, m], hydra.transform(x[:, :, :t]))
    assert torch.equal(hydra(x), hydra.transform(x))


@needs_numba
@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(1, 90), st.integers(0, 9), st.integers(2, 9), st.data())
def test_engines_agree_bit_for_bit(c, t, seed, n_kernels, data):
    moments = sorted(data.draw(st.sets(st.integers(1, t), min_size=1, max_size=6)))
    x = series(3, c, t, seed)
    x[0, 0, 0] = data.draw(st.sampled_from([0.0, -0.0, 1e30, 1e-42, float("inf"), float("nan")]))
    one = fitted(x[1:], moments, seed=seed, n_kernels=n_kernels)
    other = copy.deepcopy(one)
    other.engine = "numba"
    assert torch.equal(whole_path(one, x), whole_path(other, x))


@pytest.mark.parametrize("engine", ENGINES)
def test_what_comes_later_changes_nothing(engine):
    x = series(4, 2, 90)
    hydra = fitted(x, [5, 20, 45, 90], engine)
    changed = x.clone()
    changed[:, :, 45:] = torch.nan
    before, after = whole_path(hydra, x), whole_path(hydra, changed)
    assert torch.equal(before[:, :3], after[:, :3])
    assert torch.equal(whole_path(hydra, x[:, :, :60]), before[:, :3])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("c", [1, 3, 12])
@settings(max_examples=8, deadline=None)
@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_a_state_fed_in_any_chunks_counts_as_a_pass_does(engine, c, sizes):
    x = series(3, c, sum(sizes))
    hydra = fitted(x, [sum(sizes)], engine)
    state = hydra.start(3)
    size = state.recent.numel()
    stop = 0
    for points in sizes:
        hydra.step(state, x[:, :, stop : stop + points])
        stop += points
        assert torch.equal(hydra.features(state), hydra.transform(x[:, :, :stop]))
    assert state.n_read == stop
    assert state.recent.numel() == size == 3 * 2 * c * 8 * max(hydra.dilations)


def test_a_copy_of_a_state_goes_on_by_itself():
    x = series(3, 1, 40)
    hydra = fitted(x, [40], "auto")
    state = hydra.start(3)
    for t in range(10):
        assert hydra.step(state, x[:, :, t]) is state
    kept = state.copy()
    hydra.step(state, x[:, :, 10:])
    assert torch.equal(hydra.features(kept), hydra.transform(x[:, :, :10]))


@needs_numba
def test_engines_may_take_turns_on_a_state():
    x = series(2, 1, 50)
    hydra = fitted(x, [50])
    state = hydra.start(2)
    for t in range(50):
        hydra.engine = ("torch", "numba")[t % 2]
        hydra.step(state, x[:, :, t])
    hydra.engine = "torch"
    assert torch.equal(hydra.features(state), hydra.transform(x))


@pytest.mark.parametrize("engine", ENGINES)
def test_losses_sum_to_one_in_each_group(engine):
    x = series(4, 1, 33)
    hydra = fitted(x, [3, 33], engine)
    shares = whole_path(hydra, x).square().unflatten(2, (-1, 2, 8, LANES))[:, :, :, 1].sum(3)
    torch.testing.assert_close(shares, torch.ones_like(shares))


@settings(max_examples=10, deadline=None)
@given(st.integers(-8, 8))
def test_a_power_of_two_scales_sums_and_leaves_counts(exponent):
    x = series(4, 2, 30)
    one, other = fitted(x, [30]), fitted(x * 2.0**exponent, [30])
    features = one.transform(x).unflatten(1, (-1, 2, 8 * LANES))
    scaled = other.transform(x * 2.0**exponent).unflatten(1, (-1, 2, 8 * LANES))
    assert torch.equal(scaled[:, :, 1], features[:, :, 1])
    torch.testing.assert_close(scaled[:, :, 0], features[:, :, 0] * 2 ** (exponent / 2))


def test_half_of_the_blocks_take_no_notice_of_a_level():
    x = series(4, 1, 60)
    hydra = fitted(x, [60])
    of_difference = torch.from_numpy(hydra.of_difference == 1)
    parts = [hydra.transform(own).unflatten(1, (len(of_difference), -1)) for own in (x, x + 8)]
    torch.testing.assert_close(*(part[:, of_difference] for part in parts), atol=0.05, rtol=0)
    assert not torch.allclose(*(part[:, ~of_difference] for part in parts), atol=0.05)


@pytest.mark.parametrize("engine", ENGINES)
def test_constant_series_have_finite_features(engine):
    x = torch.ones(3, 2, 25)
    assert whole_path(fitted(x, [2, 25], engine), x).isfinite().all()


@pytest.mark.parametrize(("t", "largest"), [(2, 1), (9, 1), (16, 1), (17, 2), (100, 8), (500, 32)])
def test_dilations_are_powers_of_two_that_fit_the_longest_prefix(t, largest):
    hydra = PrefixHydra(1, t, [t], 96)
    expected = [2**i for i in range(int(np.log2(largest)) + 1)]
    assert sorted(set(hydra.dilations.tolist())) == expected
    assert hydra.n_features == len(expected) * 96 * 8 * 2


def test_kernels_have_mean_zero_and_unit_length_and_own_channels():
    hydra = fitted(series(4, 12, 50), [50])
    torch.testing.assert_close(hydra.weights.sum(1), torch.zeros_like(hydra.weights.sum(1)))
    length = hydra.weights.abs().sum(1)
    torch.testing.assert_close(length, torch.ones_like(length))
    assert len(hydra.channels.flatten(0, 1).unique(dim=0)) > 10


def test_fits_depend_on_the_seed_alone():
    x = series(9, 3, 40)
    state = torch.get_rng_state()
    one, two, other = (fitted(x, [20, 40], seed=seed) for seed in (1, 1, 2))
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name])
    assert not torch.equal(one.weights, other.weights)
    assert torch.equal(torch.get_rng_state(), state)


def test_points_beyond_a_series_own_length_set_no_unit():
    x = series(8, 1, 50)
    lengths = torch.tensor([3, 10, 20, 50, 50, 50, 12, 7])
    padded = torch.where(torch.arange(50) < lengths[:, None, None], x, 1e6)
    hydra = PrefixHydra(1, 50, [50], 32).fit(padded, 0, lengths)
    assert hydra.units.max() < 1


def test_a_copy_and_its_state_dict_give_the_same():
    x = series(4, 2, 40)
    hydra = fitted(x, [10, 40])
    again = PrefixHydra(2, 40, [10, 40], 32, engine="torch")
    again.load_state_dict(hydra.state_dict())
    for other in (again, copy.deepcopy(hydra)):
        assert torch.equal(other.transform(x), hydra.transform(x))


@pytest.mark.parametrize("moments", [[], [3, 3], [5, 4], [0, 4], [4, 41]])
def test_moments_ascend_within_the_series(moments):
    with pytest.raises(ValueError, match="time_points"):
        PrefixHydra(1, 40, moments)


def test_what_can_not_be_counted_is_refused():
    with pytest.raises(ValueError, match="n_kernels must be 2 or more"):
        PrefixHydra(1, 40, [40], n_kernels=1)
    with pytest.raises(ValueError, match="65535 points at most, got 65536"):
        PrefixHydra(1, 65536, [40])
    hydra = PrefixHydra(1, 40, [40], 32)
    state = hydra.start(1)
    state.n_read = 65530
    with pytest.raises(ValueError, match="65535 points at most, got 65536"):
        hydra.step(state, torch.zeros(1, 1, 6))


def test_blocks_bound_the_memory():
    x = series(50, 1, 20)
    hydra = fitted(x, list(range(1, 21)), "auto")
    sizes = [block.numel() * 4 for block in hydra.path(x)]
    assert max(sizes) <= causal.BLOCK_BYTES
    assert [len(block) for block in hydra.path(x, 20)] == [20, 20, 10]
    assert next(hydra.path(x, 20))[:, 3].is_contiguous()


def test_parts_of_a_block_are_those_of_the_whole(monkeypatch):
    x = series(7, 1, 20)
    hydra = fitted(x, [10, 20])
    whole = whole_path(hydra, x)
    monkeypatch.setattr(prefix_hydra, "TORCH_BYTES", 1)
    assert torch.equal(whole_path(hydra, x), whole)


def test_double_precision_and_gradients_are_no_obstacle():
    x = series(3, 1, 30)
    hydra = fitted(x, [30], "auto")
    expected = hydra.transform(x)
    assert torch.equal(hydra.transform(x.clone().requires_grad_()), expected)
    torch.testing.assert_close(hydra.transform(x.double()).float(), expected, atol=0.05, rtol=0)


@pytest.mark.slow
def test_an_exported_graph_gives_the_same():
    x = series(3, 2, 30)
    hydra = fitted(x, [30], "auto")
    any_number = {"x": {0: torch.export.Dim("n")}}
    graph = torch.export.export(hydra, (x,), dynamic_shapes=any_number).module()
    more = series(5, 2, 30, seed=1)
    torch.testing.assert_close(graph(more), hydra.transform(more))


@needs_numba
def test_several_threads_give_the_same(monkeypatch):
    from skgdpd.nets import prefix_hydra_numba

    x = series(7, 1, 30)
    hydra = fitted(x, [10, 30], "numba")
    alone, state = whole_path(hydra, x), hydra.step(hydra.start(7), x)
    found = torch.get_num_threads()
    monkeypatch.setattr(prefix_hydra_numba, "SHARED", 1)
    torch.set_num_threads(3)
    try:
        assert torch.equal(whole_path(hydra, x), alone)
        assert torch.equal(hydra.step(hydra.start(7), x).counts, state.counts)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(found)


def test_without_numba_torch_does_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "skgdpd.nets.prefix_hydra_numba", None)
    causal.has_module.cache_clear()
    try:
        x = series(3, 1, 30)
        hydra = fitted(x, [30], "auto")
        assert not causal.takes_numba("auto", x, "prefix_hydra_numba")
        assert hydra.transform(x).shape == (3, hydra.n_features)
    finally:
        causal.has_module.cache_clear()

"""Dilated shapelets of all prefixes: their definition, one pass, both engines, and a state."""

import copy
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skgdpd.nets import causal, prefix_shapelets
from skgdpd.nets.prefix_shapelets import FLOOR, LANES, PrefixShapelets, shapelet_shapes

needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")
ENGINES = ["torch", pytest.param("numba", marks=needs_numba)]


def series(n=5, c=1, t=40, seed=0):
    return torch.randn(n, c, t, generator=torch.Generator().manual_seed(seed))


def fitted(x, moments, engine="torch", seed=0, n_shapelets=128):
    shapelets = PrefixShapelets(x.shape[1], x.shape[2], moments, n_shapelets, engine)
    return shapelets.fit(x, seed)


def whole_path(shapelets, x, block=None):
    return torch.cat(list(shapelets.path(x, block)))


def by_kind(features):
    return features.unflatten(-1, (-1, 2, LANES)).unbind(-2)


def slow_features(shapelets, x):
    """The definition, shapelet by shapelet and output by output."""
    x = x.double().numpy()
    n, _, n_timepoints = x.shape
    found = np.zeros((n, len(shapelets.starts), 2, LANES))
    for b, start in enumerate(shapelets.starts):
        length, d = shapelets.lengths[b], shapelets.dilations[b]
        used = shapelets.channels[b, : shapelets.n_compared[b]].tolist()
        values = shapelets.values[b, : len(used) * length].double().numpy()
        thresholds = shapelets.thresholds[b].numpy()
        for i in range(n):
            distances = []
            for t in range(start, n_timepoints):
                points = x[i, used, t - start : t + 1 : d]
                if shapelets.normalized[b]:
                    floors = shapelets.floors[used].double().numpy()[:, None]
                    deviation = points.std(1, keepdims=True)
                    points = (points - points.mean(1, keepdims=True)) / (deviation + floors)
                distances.append(np.abs(points.reshape(-1, 1) - values).mean(0))
            if distances:
                found[i, b, 0] = np.min(distances, 0)
                found[i, b, 1] = np.mean(distances < thresholds, 0)
    return torch.from_numpy(found).float().flatten(1)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("c", "t"), [(1, 40), (3, 21), (1, 2), (2, 11)])
def test_features_are_smallest_distances_and_shares_below_a_threshold(engine, c, t):
    x = series(3, c, t)
    shapelets = fitted(x, sorted({2, t}), engine)
    # Half a unit of the last place can decide where a threshold is a distance itself.
    shapelets.thresholds += 1e-3
    torch.testing.assert_close(shapelets.transform(x), slow_features(shapelets, x))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("c", "moments"), [(1, [1]), (1, [2, 3]), (3, [2, 8, 9, 17]), (12, [31, 33]), (1, [10, 150])]
)
def test_one_pass_gives_the_features_of_every_prefix(engine, c, moments):
    x = series(5, c, moments[-1] + 7)
    shapelets = fitted(x, moments, engine)
    path = whole_path(shapelets, x, 2)
    assert path.shape == (5, len(moments), shapelets.n_features)
    assert path.dtype == torch.float32
    for m, t in enumerate(moments):
        assert torch.equal(path[:, m], shapelets.transform(x[:, :, :t]))
    assert torch.equal(shapelets(x), shapelets.transform(x))


@needs_numba
@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(1, 90), st.integers(0, 9), st.data())
def test_engines_agree_bit_for_bit(c, t, seed, data):
    moments = sorted(data.draw(st.sets(st.integers(1, t), min_size=1, max_size=6)))
    x = series(3, c, t, seed)
    x[0, 0, 0] = data.draw(st.sampled_from([0.0, -0.0, 1e30, 1e-42, float("inf"), float("nan")]))
    one = fitted(x[1:], moments, seed=seed)
    other = copy.deepcopy(one)
    other.engine = "numba"
    assert torch.equal(whole_path(one, x), whole_path(other, x))


@pytest.mark.parametrize("engine", ENGINES)
def test_what_comes_later_changes_nothing(engine):
    x = series(4, 2, 90)
    shapelets = fitted(x, [5, 20, 45, 90], engine)
    changed = x.clone()
    changed[:, :, 45:] = torch.nan
    before, after = whole_path(shapelets, x), whole_path(shapelets, changed)
    assert torch.equal(before[:, :3], after[:, :3])
    assert after.isfinite().all()
    assert torch.equal(whole_path(shapelets, x[:, :, :60]), before[:, :3])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("c", [1, 3, 12])
@settings(max_examples=8, deadline=None)
@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_a_state_fed_in_any_chunks_is_as_a_pass(engine, c, sizes):
    x = series(3, c, sum(sizes))
    shapelets = fitted(x, [sum(sizes)], engine)
    state = shapelets.start(3)
    size = state.recent.numel()
    stop = 0
    for points in sizes:
        shapelets.step(state, x[:, :, stop : stop + points])
        stop += points
        assert torch.equal(shapelets.features(state), shapelets.transform(x[:, :, :stop]))
    assert state.n_read == stop
    assert state.recent.numel() == size == 3 * c * max(shapelets.starts)


def test_a_copy_of_a_state_goes_on_by_itself():
    x = series(3, 1, 40)
    shapelets = fitted(x, [40], "auto")
    state = shapelets.start(3)
    for t in range(20):
        assert shapelets.step(state, x[:, :, t]) is state
    kept = state.copy()
    shapelets.step(state, x[:, :, 20:])
    assert torch.equal(shapelets.features(kept), shapelets.transform(x[:, :, :20]))


@needs_numba
def test_engines_may_take_turns_on_a_state():
    x = series(2, 1, 50)
    shapelets = fitted(x, [50])
    state = shapelets.start(2)
    for t in range(50):
        shapelets.engine = ("torch", "numba")[t % 2]
        shapelets.step(state, x[:, :, t])
    assert torch.equal(shapelets.features(state), shapelets.transform(x))


@settings(max_examples=10, deadline=None)
@given(st.integers(2, 60), st.integers(0, 9))
def test_smallest_distances_only_fall_and_counts_only_rise(t, seed):
    x = series(4, 2, t, seed)
    shapelets = fitted(x, list(range(1, t + 1)), seed=seed)
    state = shapelets.start(4)
    for point in x.unbind(2):
        minima, counts = state.minima.clone(), state.counts.clone()
        shapelets.step(state, point)
        assert (state.minima <= minima).all()
        assert (state.counts >= counts).all()
        assert (state.counts - counts <= 1).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_features_before_the_first_output_are_zero(engine):
    x = series(3, 1, 100)
    shapelets = fitted(x, [4, 100], engine)
    shapelets.thresholds.fill_(torch.inf)
    first, last = whole_path(shapelets, x).unbind(1)
    reached = torch.from_numpy(shapelets.starts < 4)[:, None].expand(3, -1, LANES)
    assert torch.equal(by_kind(first)[1], reached.float())
    assert torch.equal(by_kind(first)[0] > 0, reached)
    torch.testing.assert_close(by_kind(last)[1], torch.ones_like(by_kind(last)[1]))


def test_a_shapelet_is_at_no_distance_from_the_series_it_is_of():
    x = series(1, 2, 60)
    smallest, shares = by_kind(fitted(x, [20, 60]).transform(x))
    torch.testing.assert_close(smallest, torch.zeros_like(smallest))
    assert shares.gt(0).all()


def test_normalised_shapelets_take_no_notice_of_level_and_little_of_scale():
    x = series(4, 1, 60)
    shapelets = fitted(x, [60])
    of_normalized = torch.from_numpy(shapelets.normalized == 1)
    shapelets.floors.zero_()
    own, other = (by_kind(shapelets.transform(part))[0] for part in (x, 5 * x + 3))
    torch.testing.assert_close(
        own[:, of_normalized], other[:, of_normalized], atol=1e-4, rtol=1e-4
    )
    assert not torch.allclose(own[:, ~of_normalized], other[:, ~of_normalized], atol=0.1)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("level", [0.0, 0.1, 1e6])
def test_flat_series_stay_flat(engine, level):
    x = torch.full((3, 2, 25), level)
    x[0, 0, 3] += 1
    shapelets = fitted(x, [2, 25], engine)
    assert whole_path(shapelets, x).isfinite().all()
    assert shapelets.values.isfinite().all()


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(1, 4000), min_size=1, max_size=20), st.integers(1, 80))
def test_shapes_fit_the_longest_prefix_and_half_of_them_its_size(moments, n_blocks):
    moments = sorted(moments)
    lengths, dilations = shapelet_shapes(moments, n_blocks)
    assert lengths.min() >= 1
    assert lengths.max() <= 11
    assert dilations.min() >= 1
    spans = (lengths - 1) * dilations + 1
    assert (spans <= moments[-1]).all()
    own = [moments[-1] if b % 4 < 2 else moments[b // 2 % len(moments)] for b in range(n_blocks)]
    assert (spans <= own).all()


def test_thresholds_are_small_quantiles_of_distances():
    x = series(40, 1, 200)
    shapelets = fitted(x, [200])
    shares = by_kind(shapelets.transform(series(40, 1, 200, 1)))[1].mean()
    assert 0.05 < shares < 0.1


def test_blocks_compare_one_channel_or_several():
    shapelets = fitted(series(4, 12, 50), [50], n_shapelets=1024)
    assert shapelets.n_compared.min() == 1
    assert shapelets.n_compared.max() == 9
    for own, size in zip(shapelets.channels, shapelets.n_compared, strict=True):
        assert len(set(own[:size].tolist())) == size
    assert set(fitted(series(4, 1, 50), [50]).n_compared) == {1}


def test_fits_depend_on_the_seed_alone():
    x = series(9, 3, 40)
    state = torch.get_rng_state()
    one, two, other = (fitted(x, [20, 40], seed=seed) for seed in (1, 1, 2))
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name])
    assert not torch.equal(one.values, other.values)
    assert torch.equal(torch.get_rng_state(), state)


def test_points_beyond_a_series_own_length_are_in_no_shapelet():
    x = series(8, 1, 50)
    lengths = torch.tensor([3, 10, 20, 50, 50, 50, 12, 7])
    padded = torch.where(torch.arange(50) < lengths[:, None, None], x, 1e6)
    shapelets = PrefixShapelets(1, 50, [10, 50], 128).fit(padded, 0, lengths)
    assert shapelets.values.abs().max() < 100
    assert shapelets.thresholds.abs().max() < 100
    assert shapelets.floors.max() < 2 * FLOOR


def test_where_all_series_are_shorter_than_a_shapelet_it_stays_zero():
    x = series(4, 1, 50)
    shapelets = PrefixShapelets(1, 50, [50], 128).fit(x, 0, torch.full((4,), 15))
    long = torch.from_numpy(shapelets.starts >= 15)
    assert long.any()
    assert shapelets.values[long].eq(0).all()
    assert shapelets.values[~long].ne(0).any(1).all()


def test_a_copy_and_its_state_dict_give_the_same():
    x = series(4, 2, 40)
    shapelets = fitted(x, [10, 40])
    again = PrefixShapelets(2, 40, [10, 40], 128, engine="torch")
    again.load_state_dict(shapelets.state_dict())
    for other in (again, copy.deepcopy(shapelets)):
        assert torch.equal(other.transform(x), shapelets.transform(x))


@pytest.mark.parametrize("moments", [[], [3, 3], [5, 4], [0, 4], [4, 41]])
def test_moments_ascend_within_the_series(moments):
    with pytest.raises(ValueError, match="time_points"):
        PrefixShapelets(1, 40, moments)


def test_blocks_bound_the_memory():
    x = series(80, 1, 20)
    shapelets = fitted(x, list(range(1, 21)), "auto", n_shapelets=512)
    sizes = [block.numel() * 4 for block in shapelets.path(x)]
    assert len(sizes) > 1
    assert max(sizes) <= causal.BLOCK_BYTES
    assert [len(block) for block in shapelets.path(x, 30)] == [30, 30, 20]
    assert next(shapelets.path(x, 20))[:, 3].is_contiguous()


def test_parts_of_a_block_are_those_of_the_whole(monkeypatch):
    x = series(7, 1, 20)
    shapelets = fitted(x, [10, 20])
    whole = whole_path(shapelets, x)
    monkeypatch.setattr(prefix_shapelets, "TORCH_BYTES", 1)
    assert torch.equal(whole_path(shapelets, x), whole)


def test_double_precision_and_gradients_are_no_obstacle():
    x = series(3, 1, 30)
    shapelets = fitted(x, [30], "auto")
    expected = shapelets.transform(x)
    assert torch.equal(shapelets.transform(x.clone().requires_grad_()), expected)
    torch.testing.assert_close(
        shapelets.transform(x.double()).float(), expected, atol=0.05, rtol=0
    )


@pytest.mark.slow
def test_an_exported_graph_gives_the_same():
    x = series(3, 2, 30)
    shapelets = fitted(x, [30], "auto")
    any_number = {"x": {0: torch.export.Dim("n")}}
    graph = torch.export.export(shapelets, (x,), dynamic_shapes=any_number).module()
    more = series(5, 2, 30, seed=1)
    torch.testing.assert_close(graph(more), shapelets.transform(more))


@needs_numba
def test_several_threads_give_the_same(monkeypatch):
    from skgdpd.nets import prefix_shapelets_numba

    x = series(7, 1, 30)
    shapelets = fitted(x, [10, 30], "numba")
    alone, state = whole_path(shapelets, x), shapelets.step(shapelets.start(7), x)
    found = torch.get_num_threads()
    monkeypatch.setattr(prefix_shapelets_numba, "SHARED", 1)
    torch.set_num_threads(3)
    try:
        assert torch.equal(whole_path(shapelets, x), alone)
        again = shapelets.step(shapelets.start(7), x)
        assert torch.equal(again.counts, state.counts)
        assert torch.equal(again.minima, state.minima)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(found)


def test_without_numba_torch_does_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "skgdpd.nets.prefix_shapelets_numba", None)
    causal.has_module.cache_clear()
    try:
        x = series(3, 1, 30)
        shapelets = fitted(x, [30], "auto")
        assert not causal.takes_numba("auto", x, "prefix_shapelets_numba")
        assert shapelets.transform(x).shape == (3, shapelets.n_features)
    finally:
        causal.has_module.cache_clear()

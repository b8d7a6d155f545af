"""Features of all prefixes: their definition, one pass, both engines, and a state per point."""

import copy
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skgdpd.nets import causal, prefix_rocket
from skgdpd.nets.minirocket import HEAVY_TAPS, N_KERNELS, fit_dilations
from skgdpd.nets.prefix_rocket import GROUPS, ORDERS, PrefixRocket, prefix_dilations

needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")
ENGINES = ["torch", pytest.param("numba", marks=needs_numba)]


def series(n=5, c=1, t=40, seed=0):
    return torch.randn(n, c, t, generator=torch.Generator().manual_seed(seed))


def fitted(x, moments, n_features=420, engine="torch", seed=0):
    rocket = PrefixRocket(x.shape[1], x.shape[2], moments, n_features, engine=engine)
    return rocket.fit(x, seed)


def whole_path(rocket, x, block=None):
    return torch.cat(list(rocket.path(x, block)))


def slow_features(rocket, x):
    """The definition, kernel by kernel and point by point."""
    x = x.double().numpy()
    n, _, n_timepoints = x.shape
    shares, biases = [], iter(rocket.biases.split(N_KERNELS))
    for i, (d, count) in enumerate(zip(rocket.dilations, rocket.n_biases, strict=True)):
        for _ in range(count):
            own = next(biases).double().numpy()
            for k in range(N_KERNELS):
                weights = np.full(9, -1.0)
                weights[HEAVY_TAPS[ORDERS[i % 3][k]]] = 2
                used = [c for c in rocket.channels[i, k].tolist() if c < rocket.n_channels]
                start = 4 * d * GROUPS[k]
                outputs = [
                    sum(
                        weights[j] * x[:, used, t - (8 - j) * d].sum(1)
                        for j in range(9)
                        if t >= (8 - j) * d
                    )
                    for t in range(start, n_timepoints)
                ]
                above = np.array(outputs).reshape(-1, n) > own[k]
                shares.append(above.mean(0) if len(above) else np.zeros(n))
    return torch.from_numpy(np.stack(shares, 1)).float()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("c", "t"), [(1, 30), (3, 21), (1, 12)])
def test_features_are_shares_of_causal_outputs_above_a_bias(engine, c, t):
    x = series(2, c, t)
    rocket = fitted(x, [t // 2, t], 336, engine)
    # Half a unit of the last place can decide where a bias is an output of the same series.
    rocket.biases += 1e-3
    torch.testing.assert_close(rocket.transform(x), slow_features(rocket, x))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("c", "moments"),
    [
        (1, [1]),
        (1, [2, 3]),
        (2, [2, 8, 9, 17]),
        (12, [31, 32, 33, 63]),
        (1, [64]),
        (3, [64, 65, 128, 129]),
        (1, [10, 200]),
    ],
)
def test_one_pass_gives_the_features_of_every_prefix(engine, c, moments):
    x = series(5, c, moments[-1] + 7)
    rocket = fitted(x, moments, engine=engine)
    path = whole_path(rocket, x, 2)
    assert path.shape == (5, len(moments), rocket.n_features)
    assert path.dtype == torch.float32
    for m, t in enumerate(moments):
        assert torch.equal(path[:, m], rocket.transform(x[:, :, :t]))
    assert torch.equal(rocket(x), rocket.transform(x))


@needs_numba
@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(1, 150), st.integers(0, 9), st.data())
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
    moments = [5, 20, 45, 90]
    rocket = fitted(x, moments, engine=engine)
    changed = x.clone()
    changed[:, :, 45:] = torch.nan
    before, after = whole_path(rocket, x), whole_path(rocket, changed)
    assert torch.equal(before[:, :3], after[:, :3])
    assert torch.equal(whole_path(rocket, x[:, :, :60]), before[:, :3])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("c", [1, 4])
def test_a_state_counts_as_a_pass_does(engine, c):
    x = series(3, c, 75)
    rocket = fitted(x, [20, 75], engine=engine)
    state = rocket.start(3)
    size = state.recent.numel()
    for t in range(30):
        state = rocket.step(state, x[:, :, t])
        assert torch.equal(rocket.features(state), rocket.transform(x[:, :, : t + 1]))
    kept = state.copy()
    rocket.step(state, x[:, :, 30:])
    assert torch.equal(rocket.features(state), rocket.transform(x))
    assert state.n_read == 75
    assert state.recent.numel() == size == 3 * c * (8 * max(rocket.dilations) + 1)
    assert torch.equal(rocket.features(kept), rocket.transform(x[:, :, :30]))


@needs_numba
def test_engines_may_take_turns_on_a_state():
    x = series(2, 1, 50)
    rocket = fitted(x, [50])
    state = rocket.start(2)
    for t in range(50):
        rocket.engine = ("torch", "numba")[t % 2]
        rocket.step(state, x[:, :, t])
    assert torch.equal(rocket.features(state), rocket.transform(x))


def test_a_share_before_the_first_counted_output_is_zero():
    x = series(3, 1, 100)
    rocket = fitted(x, [4, 100])
    rocket.biases.fill_(-100)
    first, last = whole_path(rocket, x).unbind(1)
    starts = np.concatenate(
        [
            np.tile(4 * d * GROUPS, n)
            for d, n in zip(rocket.dilations, rocket.n_biases, strict=True)
        ]
    )
    assert torch.equal(first, torch.from_numpy(starts < 4).float().expand(3, -1))
    torch.testing.assert_close(last, torch.ones_like(last))


def test_no_feature_of_short_series_is_idle():
    x = series(6, 1, 7)
    assert whole_path(fitted(x, [7]), x).std(0).gt(0).float().mean() > 0.9


@pytest.mark.parametrize("t", [9, 24, 100, 500, 2000])
def test_one_moment_takes_the_dilations_of_minirocket(t):
    assert prefix_dilations([t], 9996) == fit_dilations(t, 9996, 32)


@settings(max_examples=40, deadline=None)
@given(
    st.sets(st.integers(1, 4000), min_size=1, max_size=20),
    st.sampled_from([84, 420, 2000, 9996]),
)
def test_dilations_are_few_and_fit_the_longest_prefix(moments, n_features):
    dilations, counts = prefix_dilations(sorted(moments), n_features)
    assert dilations == sorted(set(dilations))
    assert len(dilations) <= 40
    assert dilations[0] == 1
    assert 8 * dilations[-1] < max(*moments, 9)
    assert min(counts) >= 1
    assert sum(counts) == n_features // 84


def test_each_third_of_the_kernels_has_its_start():
    rocket = PrefixRocket(1, 100, [100])
    for order in ORDERS:
        assert sorted(order) == list(range(84))
    assert rocket.starts.tolist() == [[0, 4 * d, 8 * d] for d in rocket.dilations]


def test_biases_are_quantiles_of_prefixes():
    x = series(50, 1, 60)
    x[:, :, 30:] *= 1000
    rocket = fitted(x, [30])
    assert rocket.biases.abs().max() < 100
    assert fitted(x, [60]).biases.abs().max() > 1000
    shares = rocket.transform(x[:, :, :30]).mean(0)
    assert 0.4 < shares.mean() < 0.6


def test_fits_depend_on_the_seed_alone():
    x = series(9, 3, 40)
    state = torch.get_rng_state()
    one, two, other = (fitted(x, [20, 40], seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.biases, two.biases)
    assert torch.equal(one.channels, two.channels)
    assert not torch.equal(one.biases, other.biases)
    assert torch.equal(torch.get_rng_state(), state)


def test_points_beyond_a_series_own_length_give_no_bias():
    x = series(8, 1, 50)
    lengths = torch.tensor([3, 10, 20, 50, 50, 50, 12, 7])
    padded = torch.where(torch.arange(50) < lengths[:, None, None], x, 1e6)
    rocket = PrefixRocket(1, 50, [10, 50], 420, engine="torch").fit(padded, 0, lengths)
    assert rocket.biases.abs().max() < 100


def test_a_copy_and_its_state_dict_give_the_same():
    x = series(4, 2, 40)
    rocket = fitted(x, [10, 40])
    again = PrefixRocket(2, 40, [10, 40], 420, engine="torch")
    again.load_state_dict(rocket.state_dict())
    for other in (again, copy.deepcopy(rocket)):
        assert torch.equal(other.transform(x), rocket.transform(x))


@pytest.mark.parametrize("moments", [[], [3, 3], [5, 4], [0, 4], [4, 41]])
def test_moments_ascend_within_the_series(moments):
    with pytest.raises(ValueError, match="time_points"):
        PrefixRocket(1, 40, moments)


def test_blocks_bound_the_memory():
    x = series(50, 1, 20)
    rocket = fitted(x, list(range(1, 21)))
    sizes = [block.numel() * 4 for block in rocket.path(x)]
    assert max(sizes) <= causal.BLOCK_BYTES
    assert [len(block) for block in rocket.path(x, 20)] == [20, 20, 10]
    assert next(rocket.path(x, 20))[:, 3].is_contiguous()


def test_double_precision_and_gradients_are_no_obstacle():
    x = series(3, 1, 30)
    rocket = fitted(x, [30], engine="auto")
    expected = rocket.transform(x)
    assert torch.equal(rocket.transform(x.clone().requires_grad_()), expected)
    torch.testing.assert_close(rocket.transform(x.double()).float(), expected, atol=0.1, rtol=0)


@needs_numba
class TestThreads:
    def test_several_give_the_same_and_leave_their_numbers(self, monkeypatch):
        import numba

        from skgdpd.nets import prefix_rocket_numba

        x = series(7, 1, 30)
        rocket = fitted(x, [10, 30], engine="numba")
        alone, state = whole_path(rocket, x), rocket.step(rocket.start(7), x)
        found = torch.get_num_threads(), numba.get_num_threads()
        monkeypatch.setattr(prefix_rocket_numba, "SHARED", 1)
        torch.set_num_threads(3)
        try:
            assert torch.equal(whole_path(rocket, x), alone)
            assert torch.equal(rocket.step(rocket.start(7), x).counts, state.counts)
            assert (torch.get_num_threads(), numba.get_num_threads()) == (3, found[1])
        finally:
            torch.set_num_threads(found[0])


def test_without_numba_torch_does_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "skgdpd.nets.prefix_rocket_numba", None)
    prefix_rocket._has_numba.cache_clear()
    try:
        x = series(3, 1, 30)
        rocket = fitted(x, [30], engine="auto")
        assert not rocket._takes_numba(x)
        assert rocket.transform(x).shape == (3, 420)
    finally:
        prefix_rocket._has_numba.cache_clear()

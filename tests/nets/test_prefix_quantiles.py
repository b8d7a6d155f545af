"""Quantiles of all prefixes: their definition, what is final, both engines, and a state."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skgdpd.nets import prefix_quantiles
from skgdpd.nets.prefix_quantiles import MAX_FEATURES, PrefixQuantiles, representations
from skgdpd.nets.quantiles import dyadic_intervals

needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")
ENGINES = ["torch", pytest.param("numba", marks=needs_numba)]


def series(n=5, c=1, t=40, seed=0):
    return torch.randn(n, c, t, generator=torch.Generator().manual_seed(seed))


def made(x, moments, engine="torch"):
    return PrefixQuantiles(x.shape[1], x.shape[2], moments, engine)


def whole_path(quantiles, x, block=None):
    return torch.cat(list(quantiles.path(x, block)))


def by_interval(quantiles, features):
    """Features ``(..., n_channels, 3, n)`` of each interval, with its start and stop."""
    own = features[..., :-1].unflatten(-1, (quantiles.n_channels, 3, -1))
    for start, stop, first, last in quantiles.intervals.tolist():
        yield start, stop, own[..., first:last]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("c", "t"), [(1, 40), (3, 21), (1, 2), (2, 1)])
def test_quantiles_are_numpys_and_every_second_is_less_the_mean(engine, c, t):
    x = series(3, c, t)
    quantiles = made(x, [t], engine)
    seen = representations(x.double()).numpy()
    assert {tuple(own[:2]) for own in quantiles.intervals} == set(dyadic_intervals(t))
    for start, stop, found in by_interval(quantiles, quantiles(x)):
        part, count = seen[..., start:stop], found.shape[-1]
        levels = np.linspace(0, 1, count) if count > 1 else np.array([0.5])
        expected = np.moveaxis(np.quantile(part, levels, axis=-1), 0, -1)
        expected[..., 1::2] -= part.mean(-1, keepdims=True)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_slopes_are_means_of_the_last_five_differences():
    x = series(2, 2, 30).double()
    own, slopes, second = representations(x).unbind(2)
    assert torch.equal(own, x)
    for t in range(30):
        if t:
            mean = x.diff(dim=2)[:, :, max(t - 5, 0) : t].mean(2)
            torch.testing.assert_close(slopes[:, :, t], mean)
        if t > 1:
            torch.testing.assert_close(
                second[:, :, t], x[:, :, : t + 1].diff(n=2, dim=2)[:, :, -1]
            )
    assert not slopes[:, :, 0].any()
    assert not second[:, :, :2].any()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_line_has_one_slope_and_its_quantiles_are_even(engine):
    x = torch.arange(64.0)[None, None] * 0.5
    quantiles = made(x, [33, 64], engine)
    for start, stop, found in by_interval(quantiles, whole_path(quantiles, x)[0, 1, None]):
        count = found.shape[-1]
        ramp = (
            torch.linspace(start, stop - 1, count)
            if count > 1
            else torch.tensor([start + stop - 1]) / 2
        )
        ramp = 0.5 * ramp
        ramp[1::2] -= 0.25 * (start + stop - 1)
        torch.testing.assert_close(found[0, 0, 0], ramp)
        if start >= 2:
            flat = torch.where(torch.arange(count) % 2 == 0, 0.5, 0.0)
            torch.testing.assert_close(found[0, 0, 1], flat)
            assert not found[0, 0, 2].any()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("c", "moments"),
    [(1, [1]), (1, [2, 3]), (2, [2, 8, 9, 17]), (12, [31, 32, 33, 63]), (1, [10, 200])],
)
def test_one_pass_gives_the_features_of_every_prefix(engine, c, moments):
    x = series(5, c, moments[-1] + 7)
    quantiles = made(x, moments, engine)
    path = whole_path(quantiles, x, 2)
    assert path.shape == (5, len(moments), quantiles.n_features)
    assert path.dtype == torch.float32
    prefixes = [x[:, :, :t] for t in moments]
    for m, prefix in enumerate(prefixes):
        assert torch.equal(path[:, m], quantiles.transform(prefix))
        share = torch.full((5,), moments[m] / moments[-1])
        torch.testing.assert_close(path[:, m, -1], share)
    assert torch.equal(path, whole_path(quantiles, prefixes, 3))


@pytest.mark.parametrize("engine", ENGINES)
def test_what_comes_later_changes_nothing(engine):
    x = series(4, 2, 90)
    quantiles = made(x, [5, 20, 45, 90], engine)
    changed = x.clone()
    changed[:, :, 45:] = torch.nan
    before, after = whole_path(quantiles, x), whole_path(quantiles, changed)
    assert torch.equal(before[:, :3], after[:, :3])
    assert torch.equal(whole_path(quantiles, x[:, :, :60]), before[:, :3])


@pytest.mark.parametrize("engine", ENGINES)
def test_an_interval_is_nothing_before_it_begins_and_final_once_it_ends(engine):
    x = series(3, 2, 50)
    moments = list(range(1, 51))
    quantiles = made(x, moments, engine)
    path = whole_path(quantiles, x)
    for start, stop, found in by_interval(quantiles, path):
        assert not found[:, :start].any()
        final = found[:, stop - 1, None].expand(-1, 50 - stop + 1, -1, -1, -1)
        assert torch.equal(found[:, stop - 1 :], final)


@needs_numba
@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(1, 150), st.integers(0, 9), st.data())
def test_engines_agree(c, t, seed, data):
    moments = sorted(data.draw(st.sets(st.integers(1, t), min_size=1, max_size=6)))
    x = series(3, c, t, seed)
    x[0, 0, : t // 2] = data.draw(st.sampled_from([0.0, 1.0, 1e-30, 1e6]))
    one, other = made(x, moments), made(x, moments, "numba")
    torch.testing.assert_close(whole_path(one, x), whole_path(other, x), rtol=1e-6, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.floats(-50, 50), st.floats(0.01, 100), st.integers(0, 9))
def test_features_follow_shift_and_scale(t, shift, scale, seed):
    x = series(2, 1, t, seed).double()
    quantiles = made(x, [t])
    for (_, _, before), (_, _, after) in zip(
        by_interval(quantiles, quantiles(x)),
        by_interval(quantiles, quantiles(scale * x + shift)),
        strict=True,
    ):
        expected = scale * before
        expected[..., 0, 0::2] += shift
        torch.testing.assert_close(after, expected, rtol=1e-6, atol=1e-6 * (1 + scale))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("c", [1, 4])
def test_a_state_in_any_chunks_has_the_features_of_a_pass(engine, c):
    x = series(3, c, 75)
    quantiles = made(x, [20, 75], engine)
    state = quantiles.start(3)
    for t in range(30):
        state = quantiles.step(state, x[:, :, t])
        assert torch.equal(quantiles.features(state), quantiles.transform(x[:, :, : t + 1]))
    kept = state.copy()
    for part in x[:, :, 30:].split([1, 17, 27], 2):
        quantiles.step(state, part)
    assert torch.equal(quantiles.features(state), quantiles.transform(x))
    assert torch.equal(quantiles.features(kept), quantiles.transform(x[:, :, :30]))
    with pytest.raises(ValueError, match="75 points at most, got 76"):
        quantiles.step(state, x[:, :, 0])


def test_long_and_wide_series_have_fewer_quantiles_of_each_interval():
    assert PrefixQuantiles(1, 100, [100]).n_features < MAX_FEATURES
    assert PrefixQuantiles(1, 5000, [50, 5000]).n_features <= MAX_FEATURES
    few = PrefixQuantiles(100, 20, [20])
    assert few.n_features == 100 * 3 * len(dyadic_intervals(20)) + 1


def test_threads_share_the_series(monkeypatch):
    pytest.importorskip("numba")
    from skgdpd.nets import prefix_quantiles_numba

    x = series(5, 2, 60)
    quantiles = made(x, [7, 60], "numba")
    alone = whole_path(quantiles, x)
    monkeypatch.setattr(prefix_quantiles_numba, "SHARED", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert torch.equal(whole_path(quantiles, x), alone)


def test_torch_stands_in_where_numba_is_missing(monkeypatch):
    x = series(2, 1, 30)
    expected = made(x, [30])(x)
    monkeypatch.setitem(sys.modules, "skgdpd.nets.prefix_quantiles_numba", None)
    prefix_quantiles._has_numba.cache_clear()
    assert torch.equal(made(x, [30], "auto")(x), expected)
    monkeypatch.undo()
    prefix_quantiles._has_numba.cache_clear()


@pytest.mark.parametrize("time_points", [[], [0, 3], [3, 3], [5, 4], [-1]])
def test_moments_must_ascend_from_one(time_points):
    with pytest.raises(ValueError, match="positive and ascending"):
        PrefixQuantiles(1, 10, time_points)


def test_moments_and_prefixes_must_fit_the_series():
    with pytest.raises(ValueError, match="end at 11, series at 10"):
        PrefixQuantiles(1, 10, [5, 11])
    x = series(2, 1, 10)
    quantiles = made(x, [5, 10])
    with pytest.raises(ValueError, match=r"lengths \[5, 10\], got \[4, 10\]"):
        next(quantiles.path([x[:, :, :4], x]))

"""Quantiles of intervals: what is known of lines, shifts, scales and lengths."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skgdpd.nets.quantiles import (
    LEAST_FILLED,
    MAX_FEATURES,
    POINTS_PER_QUANTILE,
    Interval,
    IntervalQuantiles,
    Quantiles,
    by_length,
    dyadic_intervals,
    n_quantiles,
    placed_intervals,
)


def series(n=4, c=1, t=40, seed=0):
    return torch.randn(n, c, t, generator=torch.Generator().manual_seed(seed))


def count_of(interval):
    return n_quantiles(interval.length, POINTS_PER_QUANTILE)


def parts(transform, x):
    """Features of the series, its first and second differences and its spectrum."""
    t = transform.n_timepoints
    sizes = [
        sum(map(count_of, placed_intervals([size], POINTS_PER_QUANTILE)))
        for size in (t, t - 1, t - 2, t // 2 + 1)
    ]
    return transform(x).split(sizes, 1)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 400))
def test_intervals_are_different_and_lie_inside_and_each_level_is_a_partition(n):
    found = dyadic_intervals(n)
    assert len(set(found)) == len(found)
    assert all(0 <= start < stop <= n for start, stop in found)
    assert found[0] == (0, n)
    for size in (1, 2, 4, 8, 16, 32):
        if n % (2 * size) == 0:
            assert {(i * n // size, (i + 1) * n // size) for i in range(size)} <= set(found)


def test_six_levels_have_63_intervals_and_57_between():
    assert len(dyadic_intervals(64 * 5)) == 63 + 57


@pytest.mark.parametrize("length", [1, 2, 4, 5, 9, 16, 17, 100])
def test_quantiles_are_numpys_and_every_second_is_less_the_mean(length):
    x = series(3, 2, length + 3)
    first = 0
    intervals = []
    for start, own_length in ((0, length), (2, max(length - 1, 1)), (3, length)):
        intervals.append(Interval(start, start + own_length, first))
        first += count_of(intervals[-1])
    part = Quantiles(intervals, POINTS_PER_QUANTILE, beyond=length + 3)
    found = part(torch.nn.functional.pad(x.double(), (0, 1), value=torch.inf))
    found = found[:, :, part.places.argsort()]
    assert found.shape[2] == first
    for interval in intervals:
        count = count_of(interval)
        at = np.linspace(0, 1, count) if count > 1 else np.array([0.5])
        order = [*range(0, count, 2), *range(1, count, 2)]
        own = x[:, :, interval.start : interval.stop].double().numpy()
        expected = np.moveaxis(np.quantile(own, at, axis=2), 0, 2)
        expected[:, :, 1::2] -= own.mean(2, keepdims=True)
        place = slice(interval.first, interval.first + count)
        np.testing.assert_allclose(found[:, :, place], expected[:, :, order], atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=4), st.sampled_from([4, 8]))
def test_all_intervals_are_in_one_group_and_their_features_in_one_place(sizes, points):
    intervals = placed_intervals(sizes, points)
    groups = by_length(intervals)
    assert sorted(own for group in groups for own in group) == sorted(intervals)
    for group in groups:
        assert min(own.length for own in group) >= LEAST_FILLED * group[0].length
    places = torch.cat([Quantiles(group, points, sum(sizes)).places for group in groups])
    assert sorted(places.tolist()) == list(range(len(places)))
    assert len(dyadic_intervals(sizes[-1])) == sum(
        own.start >= sum(sizes[:-1]) for own in intervals
    )


def test_of_a_line_all_is_known():
    line = torch.arange(33.0)[None, None]
    transform = IntervalQuantiles(1, 33)
    values, first, second, spectrum = parts(transform, line)
    np.testing.assert_allclose(values[0, :9], [0, 8, 16, 24, 32, -12, -4, 4, 12])
    slopes = {round(float(value), 6) for value in first.flatten()}
    assert slopes == {0.0, 1.0}
    assert (second == 0).all()
    assert spectrum.max() == line.sum()


def test_a_level_is_seen_by_the_values_and_the_spectrums_origin_only():
    x = series()
    transform = IntervalQuantiles(1, 40)
    plain, raised = parts(transform, x), parts(transform, x + 3)
    for i in (1, 2):
        np.testing.assert_allclose(plain[i], raised[i], atol=1e-5)
    for own in placed_intervals([40], POINTS_PER_QUANTILE):
        change = raised[0] - plain[0]
        count = count_of(own)
        middle = own.first + (count + 1) // 2
        np.testing.assert_allclose(change[:, own.first : middle], 3, atol=1e-5)
        np.testing.assert_allclose(change[:, middle : own.first + count], 0, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 60), st.integers(1, 3), st.floats(0.01, 100))
def test_features_grow_with_the_series_and_are_finite_for_any_length(t, c, factor):
    x = series(3, c, t)
    transform = IntervalQuantiles(c, t)
    features = transform(x)
    assert features.shape == (3, transform.n_features)
    np.testing.assert_allclose(
        transform(x * factor), features * factor, atol=1e-4 * factor, rtol=1e-4
    )


def test_channels_come_one_after_the_other_and_know_nothing_of_one_another():
    x = series(4, 3, 30)
    together = IntervalQuantiles(3, 30)(x)
    apart = [IntervalQuantiles(1, 30)(x[:, i : i + 1]) for i in range(3)]
    np.testing.assert_array_equal(together, torch.cat(apart, 1))


def test_long_series_of_many_channels_have_fewer_quantiles():
    assert 8000 < IntervalQuantiles(1, 1000).n_features <= MAX_FEATURES
    for c, t in ((12, 2000), (40, 300)):
        assert 1000 < IntervalQuantiles(c, t).n_features <= MAX_FEATURES


def test_shorter_series_are_stretched():
    transform = IntervalQuantiles(1, 33)
    long, short = (torch.linspace(0, 1, n)[None, None] for n in (33, 12))
    np.testing.assert_allclose(transform(short), transform(long), atol=1e-6)


def test_each_has_the_same_bits_alone_in_company_and_padded():
    x = series(6, 2, 50)
    lengths = torch.tensor([50, 1, 20, 50, 2, 31])
    transform = IntervalQuantiles(2, 50)
    together = transform(x, lengths)
    for i, length in enumerate(lengths):
        np.testing.assert_array_equal(transform(x[i : i + 1, :, : int(length)])[0], together[i])
    longer = torch.cat([x, torch.full((6, 2, 7), 9.0)], 2)
    np.testing.assert_array_equal(transform(longer, lengths), together)
    whole = transform(x)
    np.testing.assert_array_equal(transform(x[2:3])[0], whole[2])


def test_there_is_nothing_to_save():
    assert not IntervalQuantiles(2, 50).state_dict()

"""Prefix lengths, and the transformer that cuts."""

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sktime.datatypes import convert_to

from skgdpd import PrefixTruncator
from skgdpd._series.truncation import MIN_LENGTH, as_numpy, prefix_length

FRACTIONS = st.floats(0, 1, exclude_min=True)
LENGTHS = st.integers(2, 5000)


@settings(deadline=None, max_examples=200)
@given(FRACTIONS, LENGTHS)
def test_a_fraction_is_the_floor_with_a_tolerance_and_two_at_least(fraction, length):
    k = prefix_length(fraction, length)
    assert k == max(math.floor(fraction * length + 1e-9), 2)
    assert 2 <= k <= length


@settings(deadline=None, max_examples=100)
@given(FRACTIONS, FRACTIONS, LENGTHS, LENGTHS)
def test_more_of_a_longer_series_is_never_less(one, other, short, long):
    (less, more), (short, long) = sorted([one, other]), sorted([short, long])
    assert prefix_length(less, short) <= prefix_length(more, short)
    assert prefix_length(less, short) <= prefix_length(less, long)


def test_a_fraction_of_k_points_is_k_points():
    for length in range(2, 501):
        for k in range(2, length + 1):
            assert prefix_length(k / length, length) == k


def test_percentages_lose_no_point_to_rounding():
    assert prefix_length(0.29, 100) == 29
    assert int(0.29 * 100) == 28  # what the tolerance is for
    for length in (50, 100, 150, 300, 1000):
        for percent in range(2, 101):
            exact = math.floor(Fraction(percent, 100) * length)
            assert prefix_length(percent / 100, length) == max(exact, 2)


@pytest.mark.parametrize("kind", [np.float32, np.float64, float])
def test_numpys_fractions_are_fractions(kind):
    assert prefix_length(kind(0.5), 20) == 10
    assert prefix_length(kind(1.0), 20) == 20


@pytest.mark.parametrize("kind", [int, np.int64, np.int32])
def test_an_int_is_a_number_of_points(kind):
    assert prefix_length(kind(7), 20) == 7


@pytest.fixture
def values():
    return np.random.default_rng(0).normal(size=(5, 2, 20))


def test_a_fraction_cuts_3d_and_2d_alike(values):
    truncator = PrefixTruncator(0.3)
    np.testing.assert_array_equal(truncator.transform(values), values[:, :, :6])
    np.testing.assert_array_equal(truncator.transform(values[:, 0]), values[:, 0, :6])


@pytest.mark.parametrize("kind", [int, np.int64])
def test_a_whole_number_is_a_number_of_time_points(kind, values):
    truncator = PrefixTruncator(kind(7))
    np.testing.assert_array_equal(truncator.transform(values), values[:, :, :7])
    np.testing.assert_array_equal(truncator.fit_transform(values[:, 0]), values[:, 0, :7])


def test_the_fraction_one_keeps_everything(values):
    np.testing.assert_array_equal(PrefixTruncator(1.0).transform(values), values)
    with pytest.raises(ValueError, match=r"earliness=1 keeps 1 time point; .* 1.0 is the whole"):
        PrefixTruncator(1).transform(values)


@pytest.mark.parametrize("mtype", ["pd-multiindex", "df-list", "nested_univ"])
def test_panels_of_every_form_are_cut_to_the_same_array(mtype, values):
    np.testing.assert_array_equal(
        PrefixTruncator(0.5).transform(convert_to(values, mtype)), values[:, :, :10]
    )
    np.testing.assert_array_equal(PrefixTruncator(0.5).transform(list(values)), values[:, :, :10])


def test_no_fit_is_needed_and_none_changes_anything(values):
    fresh = PrefixTruncator(0.4)
    expected = fresh.transform(values)
    assert not any(name.endswith("_") for name in vars(fresh))
    fitted = PrefixTruncator(0.4).fit(np.zeros((3, 2, 50)))
    # A fraction is of what is transformed, not of what was fitted.
    np.testing.assert_array_equal(fitted.transform(values), expected)


def test_the_result_is_a_copy(values):
    before = values.copy()
    PrefixTruncator(0.5).transform(values)[:] = 0
    PrefixTruncator(1.0).transform(values)[:] = 0
    np.testing.assert_array_equal(values, before)


def test_what_stands_after_the_cut_is_not_looked_at(values):
    expected = PrefixTruncator(0.5).transform(values)
    for rest in (np.nan, np.inf, 1e300):
        spoilt = values.copy()
        spoilt[:, :, 10:] = rest
        for form in (spoilt, list(spoilt), convert_to(spoilt, "pd-multiindex")):
            np.testing.assert_array_equal(PrefixTruncator(0.5).fit_transform(form), expected)
        np.testing.assert_array_equal(
            PrefixTruncator(0.5).fit_transform(spoilt[:, 0]), expected[:, 0]
        )


def test_a_gap_is_kept(values):
    values[0, 0, 1] = np.nan
    np.testing.assert_array_equal(PrefixTruncator(0.5).transform(values), values[:, :, :10])


@settings(deadline=None, max_examples=50)
@given(FRACTIONS, st.integers(2, 60))
def test_cutting_again_by_the_same_length_changes_nothing(fraction, length):
    values = np.arange(2.0 * length).reshape(2, 1, length)
    once = PrefixTruncator(fraction).transform(values)
    twice = PrefixTruncator(once.shape[2]).transform(once)
    np.testing.assert_array_equal(twice, once)


def test_clone_and_parameters():
    truncator = PrefixTruncator(9)
    twin = clone(truncator)
    assert twin is not truncator
    assert twin.get_params() == {"earliness": 9}
    assert PrefixTruncator().get_params() == {"earliness": 0.3}


@pytest.mark.parametrize("bad", [0, 0.0, -0.1, -3, 1.1, 2.5, np.nan, np.inf, "half", None])
def test_a_bad_part_is_named_with_what_is_allowed(bad, values):
    allowed = r"'earliness' parameter of PrefixTruncator.*\(0.*1.*\[2, inf\)"
    for act in (PrefixTruncator(bad).fit, PrefixTruncator(bad).transform):
        with pytest.raises(ValueError, match=allowed):
            act(values)


def test_a_length_beyond_the_series_is_refused_with_both_numbers(values):
    for form in (values, values[:, 0]):
        with pytest.raises(ValueError, match=r"earliness=21 keeps 21 .* more than the 20 of X"):
            PrefixTruncator(21).transform(form)
    np.testing.assert_array_equal(PrefixTruncator(20).transform(values), values)


def test_other_channels_than_fitted_are_refused_with_both_numbers(values):
    fitted = PrefixTruncator().fit(values)
    with pytest.raises(ValueError, match="X has 1 channels, but PrefixTruncator is expecting 2"):
        fitted.transform(values[:, :1])


def test_a_fraction_of_a_ragged_list_is_of_the_longest():
    cut = PrefixTruncator(0.5).transform([np.zeros((1, 4)), np.zeros((1, 10))])
    assert cut.shape == (2, 1, 5)
    assert np.isnan(cut).sum(2).tolist() == [[1], [0]]


def test_a_transformers_output_of_any_form_becomes_an_array(values):
    for form in (values, list(values), convert_to(values, "nested_univ")):
        np.testing.assert_array_equal(as_numpy(form), values)
    np.testing.assert_array_equal(as_numpy(pd.DataFrame(values[:, 0])), values[:, :1])
    with pytest.raises(ValueError, match="the transformed X has 4 dimensions"):
        as_numpy(values[None])


def test_two_points_are_the_least():
    assert MIN_LENGTH == 2
    assert prefix_length(1e-6, 10) == 2

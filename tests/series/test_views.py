"""What a network sees of a series: cut, then normalised, then resampled."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sktime.transformations.truncation import TruncationTransformer

from skgdpd import PrefixTruncator
from skgdpd._series.panel import Panel
from skgdpd._series.views import Normalizer, PrefixView, resample


@pytest.fixture
def whole():
    rng = np.random.default_rng(0)
    scale = np.array([1.0, 100.0, 1e-3])[:, None]
    return (rng.normal(size=(8, 3, 20)) * scale + 5 * scale).astype(np.float32)


def make_view(whole, earliness=0.5, normalize=None, resample_length=None):
    normalizer = Normalizer(normalize).fit(whole)
    return PrefixView(earliness, normalizer, resample_length).fit(Panel(whole))


# Normalisation


def test_train_normalisation_makes_training_channels_mean_0_and_variance_1(whole):
    normal = Normalizer("train").fit(whole)(whole).astype(float)
    np.testing.assert_allclose(normal.mean((0, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(normal.std((0, 2)), 1, atol=1e-5)


def test_train_normalisation_of_other_series_uses_training_statistics_alone(whole):
    normalizer = Normalizer("train").fit(whole)
    other = np.random.default_rng(1).normal(size=(4, 3, 20)).astype(np.float32) * 7 + 3
    mean = whole.astype(float).mean((0, 2))[:, None]
    deviation = whole.astype(float).std((0, 2))[:, None]
    np.testing.assert_allclose(normalizer(other), (other - mean) / deviation, rtol=1e-4, atol=1e-4)
    # One by one is the same as all at once.
    for i in range(len(other)):
        np.testing.assert_array_equal(normalizer(other[i : i + 1]), normalizer(other)[i : i + 1])


def test_train_normalisation_takes_each_channel_by_itself(whole):
    normal = Normalizer("train").fit(whole)(whole)
    for channel in range(whole.shape[1]):
        alone = whole[:, channel : channel + 1]
        np.testing.assert_array_equal(
            Normalizer("train").fit(alone)(alone), normal[:, channel : channel + 1]
        )


def test_prefix_normalisation_makes_each_series_mean_0_and_variance_1(whole):
    normal = Normalizer("prefix").fit(whole)(whole[:, :, :7]).astype(float)
    np.testing.assert_allclose(normal.mean(2), 0, atol=1e-5)
    np.testing.assert_allclose(normal.std(2), 1, atol=1e-4)


def test_prefix_normalisation_depends_on_the_prefix_alone(whole):
    prefixes = whole[:, :, :7]
    by_these = Normalizer("prefix").fit(whole)(prefixes)
    by_others = Normalizer("prefix").fit(whole * 100 + 3)(prefixes)
    np.testing.assert_array_equal(by_these, by_others)
    for i in range(len(whole)):
        np.testing.assert_array_equal(
            Normalizer("prefix")(prefixes[i : i + 1]), by_these[i : i + 1]
        )


def test_prefix_normalisation_scales_whole_series_by_their_prefixes(whole):
    prefixes = whole[:, :, :7]
    normal = Normalizer("prefix")(whole, prefixes)
    np.testing.assert_array_equal(normal[:, :, :7], Normalizer("prefix")(prefixes))
    mean, deviation = prefixes.mean(2, keepdims=True), prefixes.std(2, keepdims=True)
    np.testing.assert_allclose(normal, (whole - mean) / deviation, rtol=1e-4, atol=1e-4)


def test_other_normalisation_does_not_depend_on_the_prefixes(whole):
    for how in ("train", None):
        normalizer = Normalizer(how).fit(whole)
        np.testing.assert_array_equal(normalizer(whole, whole[:, :, :7]), normalizer(whole))


def test_no_normalisation_changes_nothing(whole):
    np.testing.assert_array_equal(Normalizer(None).fit(whole)(whole), whole)


@settings(deadline=None, max_examples=50)
@given(
    arrays(np.float32, (4, 2, 6), elements=st.floats(-100, 100, width=16)),
    st.sampled_from(["train", "prefix"]),
    st.integers(-10, 10),
)
def test_units_do_not_matter(values, how, exponent):
    # Powers of two, so that the change of units itself rounds nothing.
    scale = np.float32(2.0**exponent)
    one = Normalizer(how).fit(values)(values)
    other = Normalizer(how).fit(values * scale)(values * scale)
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("how", ["train", "prefix"])
@pytest.mark.parametrize("unit", [1e-13, 1e-20, 1e20])
def test_tiny_and_huge_units_do_not_matter(how, unit):
    # A magnetoencephalogram in tesla, as MNE gives it, is of the order of 1e-13.
    values = np.random.default_rng(0).normal(size=(4, 2, 30))
    scaled = (values * unit).astype(np.float32)
    np.testing.assert_allclose(
        Normalizer(how).fit(scaled)(scaled),
        Normalizer(how).fit(values)(values.astype(np.float32)),
        atol=1e-4,
    )


@pytest.mark.parametrize("how", ["train", "prefix"])
@pytest.mark.parametrize("level", [0.0, 1.0, -3.7, 1e-20, 1e6 / 3, 1e30, -3e38])
def test_constant_channels_become_zero(how, level):
    values = np.random.default_rng(0).normal(size=(4, 2, 30)).astype(np.float32)
    values[:, 1] = level
    normal = Normalizer(how).fit(values)(values)
    assert (normal[:, 1] == 0).all()
    assert normal[:, 0].std() == pytest.approx(1, rel=1e-3)


def test_a_series_that_is_constant_in_its_prefix_stays_finite(whole):
    whole[0, 0] = 4.0
    view = make_view(whole, 0.5, "prefix")
    seen = view(Panel(whole)).values
    assert np.isfinite(seen).all()
    assert (seen[0, 0] == 0).all()


# Resampling


@settings(deadline=None, max_examples=50)
@given(arrays(np.float32, (2, 2, 9), elements=st.floats(-10, 10, width=32)), st.integers(2, 40))
def test_resampling_aligns_first_and_last_points_and_stays_within_the_range(values, n_timepoints):
    out = resample(values, n_timepoints)
    assert out.shape == (2, 2, n_timepoints)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out[:, :, 0], values[:, :, 0])
    np.testing.assert_array_equal(out[:, :, -1], values[:, :, -1])
    assert (out <= values.max(2, keepdims=True) + 1e-5).all()
    assert (out >= values.min(2, keepdims=True) - 1e-5).all()


def test_resampling_to_the_same_length_is_the_identity(whole):
    np.testing.assert_array_equal(resample(whole, whole.shape[2]), whole)


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 50), st.integers(2, 50), st.floats(-10, 10), st.floats(-10, 10))
def test_resampling_is_exact_for_straight_lines(old, new, slope, start):
    ramp = (start + slope * np.linspace(0, 1, old)).astype(np.float32)[None, None]
    expected = start + slope * np.linspace(0, 1, new)
    np.testing.assert_allclose(resample(ramp, new)[0, 0], expected, atol=1e-5)


def test_resampling_agrees_with_numpys_interpolation():
    values = np.random.default_rng(0).normal(size=(3, 2, 17)).astype(np.float32)
    for new in (2, 5, 16, 18, 33, 100):
        places = np.linspace(0, 16, new)
        expected = [[np.interp(places, np.arange(17), c) for c in series] for series in values]
        np.testing.assert_allclose(resample(values, new), expected, atol=1e-5)


def test_resampling_keeps_every_point_when_it_doubles_the_density():
    values = np.random.default_rng(0).normal(size=(3, 2, 17)).astype(np.float32)
    np.testing.assert_allclose(resample(values, 33)[:, :, ::2], values, atol=1e-6)


# Views


@pytest.mark.parametrize(
    ("earliness", "n_seen"),
    [
        (0.5, 10),
        (0.29, 5),
        (1.0, 20),
        (1e-6, 2),
        (2, 2),
        (13, 13),
        (20, 20),
        (np.int64(4), 4),
        (np.float32(0.5), 10),
        (PrefixTruncator(0.4), 8),
        (PrefixTruncator(3), 3),
        (TruncationTransformer(upper=6), 6),
    ],
)
def test_a_view_is_the_first_part(earliness, n_seen, whole):
    view = make_view(whole, earliness)
    assert (view.n_whole_, view.n_seen_, view.n_out_) == (20, n_seen, n_seen)
    seen = view(Panel(whole)).values
    np.testing.assert_array_equal(seen, whole[:, :, :n_seen])
    assert seen.flags.c_contiguous
    assert seen.dtype == np.float32
    # The prefix alone is taken too.
    np.testing.assert_array_equal(view(Panel(whole[:, :, :n_seen])).values, seen)


def test_a_transformer_is_cloned(whole):
    transformer = TruncationTransformer(upper=6)
    view = make_view(whole, transformer)
    assert view.transformer_ is not transformer
    assert not transformer.is_fitted


def test_a_transformer_need_not_cut_at_the_end(whole):
    # Points 4 to 9: "any view", as the documentation has it.
    view = make_view(whole, TruncationTransformer(lower=4, upper=10))
    np.testing.assert_array_equal(view(Panel(whole)).values, whole[:, :, 4:10])


@pytest.mark.parametrize("earliness", [0.5, 7, PrefixTruncator(0.35), 1.0])
@pytest.mark.parametrize("normalize", ["train", "prefix", None])
@pytest.mark.parametrize("resample_length", [None, 5, 20, 1000])
def test_whatever_stands_after_the_prefix_the_view_has_the_same_bits(
    earliness, normalize, resample_length, whole
):
    view = make_view(whole, earliness, normalize, resample_length)
    expected = view(Panel(whole)).values
    n_seen = view.n_seen_
    np.testing.assert_array_equal(view(Panel(whole[:, :, :n_seen])).values, expected)
    noise = np.random.default_rng(5).normal(size=whole.shape).astype(np.float32)
    for rest in (noise, np.nan, np.inf, np.float32(1e30), -np.float32(3e38)):
        spoilt = np.broadcast_to(rest, whole.shape).copy()
        spoilt[:, :, :n_seen] = whole[:, :, :n_seen]
        np.testing.assert_array_equal(view(Panel(spoilt)).values, expected)
    # Rows, too, know nothing of each other.
    np.testing.assert_array_equal(view(Panel(whole[2:3])).values, expected[2:3])


def test_sktimes_truncation_lets_nothing_of_the_future_through(whole):
    view = make_view(whole, TruncationTransformer(upper=6), "prefix")
    spoilt = whole.copy()
    spoilt[:, :, 6:] = np.random.default_rng(5).normal(size=(8, 3, 14))
    np.testing.assert_array_equal(view(Panel(spoilt)).values, view(Panel(whole)).values)


@pytest.mark.parametrize(
    ("resample_length", "n_out"), [(None, 10), (2, 2), (5, 5), (10, 10), (15, 15), (20, 20)]
)
def test_a_view_is_resampled_to_the_length_asked_for(resample_length, n_out, whole):
    view = make_view(whole, 0.5, None, resample_length)
    assert view.n_out_ == n_out
    np.testing.assert_array_equal(view(Panel(whole)).values, resample(whole[:, :, :10], n_out))


def test_a_view_is_never_resampled_beyond_the_whole_length(whole):
    assert make_view(whole, 0.5, None, 1000).n_out_ == 20
    assert make_view(whole, 1.0, None, 1000).n_out_ == 20


def test_the_cut_comes_first_then_normalisation_then_resampling(whole):
    view = make_view(whole, 0.5, "prefix", 7)
    expected = resample(Normalizer("prefix")(whole[:, :, :10]), 7)
    np.testing.assert_array_equal(view(Panel(whole)).values, expected)


@pytest.mark.parametrize("n_timepoints", [2, 9])
def test_fewer_points_are_an_error_that_names_how_many_are_used(n_timepoints, whole):
    view = make_view(whole, 0.5)
    series = np.zeros((2, 3, n_timepoints), dtype=np.float32)
    with pytest.raises(
        ValueError, match=f"the_name has series of {n_timepoints} time points.*uses the first 10"
    ):
        view(Panel(series), "the_name")


@pytest.mark.parametrize("n_timepoints", [10, 11, 19, 21, 40])
def test_more_points_are_cut(n_timepoints, whole):
    view = make_view(whole, 0.5)
    longer = np.concatenate([whole, whole], 2)[:, :, :n_timepoints]
    np.testing.assert_array_equal(view(Panel(longer)).values, view(Panel(whole)).values)


@pytest.mark.parametrize(
    ("earliness", "n_left"), [(21, 21), (1000, 1000), (1, 1), (TruncationTransformer(upper=1), 1)]
)
def test_an_earliness_that_leaves_too_few_or_too_many_points_names_the_range(
    earliness, n_left, whole
):
    with pytest.raises(
        ValueError, match=f"earliness=.* leaves {n_left} time points of 20; .*between 2 and 20"
    ):
        make_view(whole, earliness)


def test_values_within_the_view_must_be_finite(whole):
    view = make_view(whole, 0.5)
    whole[3, 1, 4] = np.nan
    with pytest.raises(ValueError, match=r"X contains NaN.*series 3, channel 1, at time point 4"):
        view(Panel(whole))


@pytest.mark.parametrize("normalize", ["train", "prefix", None])
@pytest.mark.parametrize("earliness", [0.5, 1.0])
def test_views_of_read_only_series_can_be_written_to(normalize, earliness, whole):
    # loky hands large arrays over as read-only memory maps, and torch warns of these (once in a
    # process, so that a test can't wait for the warning).
    view = make_view(whole, earliness, normalize)
    expected = view(Panel(whole)).values.copy()
    whole.flags.writeable = False
    seen = view(Panel(whole)).values
    np.testing.assert_array_equal(seen, expected)
    assert seen.flags.writeable


@pytest.mark.parametrize("missing_values", ["interpolate", "mask"])
def test_the_view_of_a_series_of_one_value_does_not_depend_on_a_mate_with_gaps(missing_values):
    whole = np.random.default_rng(0).normal(size=(5, 1, 20))
    view = PrefixView([0.2, 1.0], Normalizer("train"), None, missing_values=missing_values)
    view.fit(Panel(whole))
    one, mate = np.full((1, 1, 8), np.nan), whole[:1, :, :8].copy()
    one[..., 0], mate[..., 3] = 1.0, np.nan
    alone, beside = view(Panel(one)), view(Panel(np.concatenate([one, mate])))
    assert alone.lengths is not None
    assert beside.lengths is not None
    assert alone.lengths[0] == beside.lengths[0]
    np.testing.assert_array_equal(alone.values[0], beside.values[0])

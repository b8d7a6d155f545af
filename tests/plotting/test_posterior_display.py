"""PosteriorDisplay: places and spreads against what is known of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skgdpd import DiffusionFeaturePrior
from skgdpd.plotting import PosteriorDisplay
from skgdpd.plotting.posterior import along_component
from skgdpd.plotting.restoration import restore


@given(st.integers(0, 30), st.floats(0.01, 2))
def test_the_spread_of_shrunk_features_is_their_shrinkage(seed, share):
    rng = np.random.default_rng(seed)
    features, centre = rng.normal(size=(40, 3)), rng.normal(size=3)
    _, _, spread = along_component(centre + share * features, features, features[0])
    np.testing.assert_allclose(spread, share)


def test_places_are_in_deviations_from_the_mean():
    rng = np.random.default_rng(0)
    features = np.column_stack([7 * rng.normal(size=500), 0.1 * rng.normal(size=500)])
    scale, mean = features[:, 0].std(), features.mean(0)
    draws = mean + np.array([[scale, 0], [0, 0], [-2 * scale, 0]])
    heights, own, _ = along_component(draws, features, mean + np.array([3 * scale, 0]))
    np.testing.assert_allclose(heights, [1, 0, -2], atol=1e-3)
    np.testing.assert_allclose(own, 3, atol=1e-3)


def test_the_own_feature_is_never_below_the_mean():
    features = np.random.default_rng(0).normal(size=(30, 2)) * [5, 1]
    one = along_component(features, features, features.mean(0) + np.array([4, 0]))
    other = along_component(features, features, features.mean(0) - np.array([4, 0]))
    assert one[1] == pytest.approx(other[1])
    assert one[1] > 0
    np.testing.assert_allclose(one[0], -other[0])


def test_draws_that_are_all_alike_have_no_spread():
    features = np.random.default_rng(0).normal(size=(30, 2))
    assert along_component(np.tile(features[:1], (9, 1)), features, features[0])[2] == 0


def test_columns_are_ordered_and_labelled(bumps):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 3))
    draws = [features[5] + s * rng.normal(size=(80, 3)) for s in (0.1, 1.0, 0.4)]
    display = PosteriorDisplay.from_draws([0.9, 0.1, 0.5], draws, features, features[5])
    assert display.parts == [0.1, 0.5, 0.9]
    assert (np.diff(display.spreads_) < 0).all()
    for i, place in enumerate((1, 2, 0)):
        expected = along_component(draws[place], features, features[5])
        np.testing.assert_array_equal(display.heights_[i], expected[0])
        assert display.own_[i] == expected[1]
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert labels == [
        f"{part} %\nspread {spread:.2f}"
        for part, spread in zip((10, 50, 90), display.spreads_, strict=True)
    ]
    dots = [line for line in display.ax_.lines if line.get_marker() == "."]
    assert len(dots) == 3
    for place, line in enumerate(dots):
        assert (np.abs(line.get_xdata() - place) <= 0.3).all()
        np.testing.assert_array_equal(line.get_ydata(), display.heights_[place])
    (teacher,) = [line for line in display.ax_.lines if line.get_marker() == "D"]
    np.testing.assert_array_equal(teacher.get_ydata(), display.own_)


def test_exact_draws_spread_as_the_posterior_does():
    """One Gaussian, seen through noise: the posterior's variance is s^2 / (1 + s^2)."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(4000, 2))
    noises, draws = (0.3, 1.0, 3.0), []
    for noise in noises:
        prior = DiffusionFeaturePrior("gmm", measurement_noise=noise, random_state=0).fit(Z)
        draws.append(prior.posterior_sample(Z[:1], n_samples=4000)[0])
    display = PosteriorDisplay.from_draws([0.9, 0.5, 0.1], draws, Z, Z[0])
    expected = [noise / np.sqrt(1 + noise**2) for noise in noises[::-1]]
    np.testing.assert_allclose(display.spreads_, expected, rtol=0.04)


def test_draws_of_a_classifier_are_its_priors_and_parts_what_it_sees(bumps, gdpd, fit_gdpd):
    X, _ = bumps
    later = fit_gdpd(earliness=0.8)
    display = PosteriorDisplay.from_estimators([later, gdpd], X, index=-3, n_draws=11)
    assert display.parts == [0.3, 0.8]
    seen = restore(gdpd, X, n_draws=11, index=57)
    assert seen.draws.shape[:2] == (1, 11)
    np.testing.assert_array_equal(display.draws[0], seen.draws[0])
    np.testing.assert_array_equal(display.own[0], seen.teacher[57])
    single = PosteriorDisplay.from_estimators(gdpd, X)
    assert len(single.heights_) == 1
    assert len(single.heights_[0]) == 200


def test_bad_input_is_refused(bumps, gdpd, base):
    X, _ = bumps
    features = np.zeros((5, 3))
    with pytest.raises(IndexError, match="index=60; X has the series 0 to 59"):
        PosteriorDisplay.from_estimators([gdpd], X, index=60)
    with pytest.raises(ValueError, match="estimator=PrefixClassifier has no diffusion prior"):
        PosteriorDisplay.from_estimators([base], X)
    with pytest.raises(ValueError, match="parts has 2 values and draws has 1"):
        PosteriorDisplay.from_draws([0.1, 0.2], [features], features, features[0])
    with pytest.raises(ValueError, match="parts has 0 values"):
        PosteriorDisplay.from_draws([], [], features, features[0])
    with pytest.raises(ValueError, match=r"draws has shape \(5, 2\), features \(5, 3\)"):
        PosteriorDisplay.from_draws([0.1], [np.zeros((5, 2))], features, features[0])

"""Estimates of class shares: what holds for a calibrated teacher, and what guards refuse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from share_estimates import (
    as_far_as_agreed,
    calibrate,
    calibrated,
    confusion_counts,
    confusion_shares,
    interval_end,
    likeliest_shares,
    p_certainty,
    p_likelihood_ratio,
    p_shares,
    share_bias,
)

MEANS = 2.0 * np.eye(3)
SHARES = np.array([0.5, 0.3, 0.2])


def series(shares, n, seed):
    """Points of three Gaussian classes, of which exact posteriors are known."""
    rng = np.random.default_rng(seed)
    y = rng.choice(3, n, p=shares)
    return MEANS[y] + rng.normal(size=(n, 3)), y


def posterior(x, shares):
    return softmax(x @ MEANS.T - (MEANS**2).sum(1) / 2 + np.log(shares), 1)


@pytest.mark.parametrize("others", [(0.2, 0.3, 0.5), (0.05, 0.05, 0.9), SHARES])
def test_em_finds_the_shares_for_a_calibrated_teacher(others):
    n = 4000
    x, _ = series(others, n, 0)
    found = likeliest_shares(posterior(x, SHARES), SHARES)
    # The classes overlap, which costs more than the sampling of the labels alone.
    assert np.abs(found - others).max() < 4 * np.sqrt(0.25 / n)


def test_corrected_probabilities_are_the_posterior_for_the_new_shares():
    others = np.array([0.1, 0.1, 0.8])
    x, _ = series(others, 50, 1)
    proba = posterior(x, SHARES)
    scale = 0.5
    logits = np.log(proba) / scale  # overconfident; the factor calibrates them
    corrected = softmax(scale * (logits + share_bias(SHARES, others, scale)), 1)
    np.testing.assert_allclose(corrected, posterior(x, others), rtol=1e-9)


def test_the_same_shares_change_nothing():
    x, _ = series(SHARES, 20, 2)
    assert not share_bias(SHARES, SHARES, 3.0).any()
    certain = np.eye(3)[np.repeat([0, 1, 2], [5, 3, 2])]
    np.testing.assert_allclose(likeliest_shares(certain, SHARES), SHARES)
    ratio = p_likelihood_ratio(posterior(x, SHARES), SHARES, SHARES)
    assert ratio == pytest.approx(1)


def test_a_teacher_that_knows_nothing_suggests_the_labelled_shares():
    blind = np.tile(SHARES, (100, 1))
    np.testing.assert_allclose(likeliest_shares(blind, SHARES), SHARES)
    same_rates = np.tile([5.0, 3.0, 2.0], (3, 1))
    found = confusion_shares(same_rates, np.array([90, 5, 5]), SHARES)
    np.testing.assert_allclose(found, SHARES)


@given(st.permutations(range(3)), st.floats(0, 2))
def test_renaming_classes_renames_the_shares(order, weight):
    order = list(order)
    x, y = series((0.2, 0.2, 0.6), 60, 3)
    proba = posterior(x, SHARES)
    found = likeliest_shares(proba, SHARES, weight)
    renamed = likeliest_shares(proba[:, order], SHARES[order], weight)
    np.testing.assert_allclose(renamed, found[order], atol=1e-9)
    counts = confusion_counts(proba.argmax(1), y, 3)
    names = np.argsort(order)
    other = confusion_counts(names[proba.argmax(1)], names[y], 3)
    np.testing.assert_allclose(other, counts[order][:, order])


@given(st.floats(0, 100))
def test_the_prior_draws_the_estimate_towards_the_labelled_shares(weight):
    x, _ = series((0.1, 0.1, 0.8), 200, 4)
    proba = posterior(x, SHARES)
    free, held = (likeliest_shares(proba, SHARES, own, tol=1e-9) for own in (0, weight))
    assert held.sum() == pytest.approx(1)
    assert np.abs(held - SHARES).sum() <= np.abs(free - SHARES).sum() + 1e-6
    assert (held >= SHARES * weight / (1 + weight) - 1e-9).all()


def test_calibration_undoes_a_factor_and_biases():
    x, y = series(SHARES, 5000, 5)
    exact = np.log(posterior(x, SHARES))
    bias = np.array([1.0, -0.5, -0.5])
    found = calibrate((exact - bias) / 0.4, y)
    assert found.scale == pytest.approx(0.4, rel=0.1)
    proba = calibrated((exact - bias) / 0.4, found)
    np.testing.assert_allclose(proba.mean(0), np.bincount(y) / len(y), atol=0.01)
    assert not calibrate(exact, y, biased=False).bias.any()


def test_confusions_give_the_shares_back():
    rates = np.array([[80.0, 10, 10], [20, 70, 10], [5, 5, 90]])
    others = np.array([0.2, 0.2, 0.6])
    predicted = 1e4 * others @ (rates / 100)
    found = confusion_shares(rates, predicted, SHARES)
    np.testing.assert_allclose(found, others, atol=1e-3)


def test_an_interval_ends_between_the_labelled_shares_and_the_estimate():
    predicted = np.array([10, 10, 80])
    sure, unsure = 100 * np.eye(3) + 5, np.full((3, 3), 1.0) + np.eye(3)
    near, far = (
        np.abs(interval_end(counts, predicted, SHARES) - SHARES).sum() for counts in (unsure, sure)
    )
    assert near < far <= np.abs(confusion_shares(sure, predicted, SHARES, 0.1) - SHARES).sum()


def test_estimates_that_disagree_are_given_up():
    one, other = np.array([0.9, 0.05, 0.05]), np.array([0.1, 0.5, 0.4])
    np.testing.assert_allclose(as_far_as_agreed(np.stack([one, one]), SHARES), one)
    np.testing.assert_allclose(as_far_as_agreed(np.stack([one, other]), SHARES), SHARES)
    np.testing.assert_allclose(as_far_as_agreed(one[None], SHARES), SHARES)


def test_tests_find_no_difference_where_there_is_none():
    assert p_shares(np.array([6, 3, 0]), np.array([60, 30, 0])) == pytest.approx(1)
    assert p_shares(np.array([6, 3, 1]), np.array([5, 30, 90])) < 1e-3
    assert p_shares(np.array([6, 0]), np.array([9, 0])) == 1
    assert p_certainty(np.array([0.7, 0.8]), np.array([0.7, 0.8])) == pytest.approx(1)
    assert p_certainty(np.ones(3), np.ones(4)) == 1
    assert p_certainty(np.ones(3), np.zeros(4)) == 0

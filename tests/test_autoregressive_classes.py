"""Classes with known probabilities, which are Bayes' rule, calibrated and a martingale."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from skgdpd.datasets import AutoregressiveClasses
from skgdpd.metrics import expected_calibration_error

SHARES = [0.5, 0.3, 0.2]
FACTORS = [0.9, 0.0, -0.6]


def three_classes(n_timepoints=6, scale=0.8):
    time = np.linspace(0, 1, n_timepoints)
    return AutoregressiveClasses([time, np.sin(5 * time), 1 - time], FACTORS, scale, SHARES)


@given(st.integers(1, 6), st.integers(0, 2**31 - 1), st.floats(0.3, 3))
@hypothesis_settings(max_examples=20)
def test_probabilities_are_bayes_rule_with_the_joint_densities(t, seed, scale):
    classes = three_classes(scale=scale)
    X, _ = classes.sample(3, random_state=seed)
    densities = []
    for mean, factor in zip(classes.means, FACTORS, strict=True):
        lag = np.arange(t)[:, None] - np.arange(t)
        root = scale * np.where(lag >= 0, float(factor) ** np.maximum(lag, 0), 0)
        density = multivariate_normal(mean[:t], root @ root.T)
        densities.append(np.atleast_1d(density.pdf(X[:, 0, :t].astype(float))))
    joint = np.stack(densities, 1) * SHARES
    expected = joint / joint.sum(1, keepdims=True)
    np.testing.assert_allclose(classes.predict_proba(X)[:, t - 1], expected, atol=1e-6)


def test_probabilities_of_a_first_part_are_the_first_of_the_whole():
    classes = three_classes()
    X, _ = classes.sample(5, random_state=0)
    whole = classes.predict_proba(X)
    assert whole.shape == (5, 6, 3)
    np.testing.assert_allclose(whole.sum(2), 1)
    np.testing.assert_allclose(classes.predict_proba(X[:, :, :2]), whole[:, :2])


def test_probabilities_are_calibrated_after_each_point():
    classes = three_classes()
    X, y = classes.sample(40_000, random_state=0)
    np.testing.assert_allclose(np.bincount(y) / len(y), SHARES, atol=0.01)
    for proba in classes.predict_proba(X).transpose(1, 0, 2):
        assert expected_calibration_error(y, proba) < 0.012
        # Gibbs: what a certain forecaster expects of its own log loss is what comes.
        own = -(proba * np.log(proba)).sum(1).mean()
        assert -np.log(proba[np.arange(len(y)), y]).mean() == pytest.approx(own, abs=0.015)


def test_probabilities_are_a_martingale_over_ways_to_complete_a_first_part():
    classes = three_classes()
    X, _ = classes.sample(4, random_state=0)
    short = X[:, :, :2]
    many, labels = classes.complete(np.repeat(short, 20_000, 0), random_state=1)
    np.testing.assert_array_equal(many[:, :, :2], np.repeat(short, 20_000, 0))
    later = classes.predict_proba(many).reshape(4, 20_000, 6, 3)
    known = classes.predict_proba(short)[:, -1]
    for point in range(1, 6):
        np.testing.assert_allclose(later[:, :, point].mean(1), known, atol=0.012)
    drawn = labels.reshape(4, -1, 1) == np.arange(3)
    np.testing.assert_allclose(drawn.mean(1), known, atol=0.012)


def test_completed_series_are_distributed_as_whole_ones():
    classes = three_classes()
    X, y = classes.sample(60_000, random_state=0)
    again, labels = classes.complete(X[:, :, :1], random_state=1)
    for k in range(3):
        ours, theirs = again[labels == k, 0], X[y == k, 0]
        np.testing.assert_allclose(ours.mean(0), theirs.mean(0), atol=0.07)
        np.testing.assert_allclose(np.cov(ours.T), np.cov(theirs.T), atol=0.12)


def test_a_whole_series_is_complete_and_is_left_as_it_is():
    classes = three_classes()
    X, _ = classes.sample(5, random_state=0)
    np.testing.assert_array_equal(classes.complete(X, random_state=0)[0], X)


def test_series_are_seeded():
    classes = three_classes()
    one, other = classes.sample(5, random_state=3), classes.sample(5, random_state=3)
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])
    assert (classes.sample(5, random_state=4)[0] != one[0]).any()


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"means": [1.0, 2.0]}, "means"),
        ({"means": [[1.0, 2.0]]}, "two classes"),
        ({"means": [[1.0], [np.nan]]}, "means.*finite"),
        ({"coefficients": [0.5]}, "coefficients.*2 classes"),
        ({"coefficients": 0.5}, "coefficients.*2 classes"),
        ({"scale": 0}, "scale=0.0 must be positive"),
        ({"shares": [0.5, 0.6]}, "shares.*sum"),
        ({"shares": [1.5, -0.5]}, "shares.*positive"),
    ],
)
def test_what_is_no_set_of_classes_is_refused_by_name(params, words):
    with pytest.raises(ValueError, match=words):
        AutoregressiveClasses(**{"means": [[0.0, 0.0], [0.0, 1.0]], **params})


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (np.zeros((2, 6)), r"shape \(2, 6\)"),
        (np.zeros((2, 2, 6)), r"shape \(2, 2, 6\)"),
        (np.zeros((2, 1, 7)), "1 to 6"),
        (np.zeros((2, 1, 0)), "1 to 6"),
        (np.full((2, 1, 6), np.nan), "not finite"),
    ],
)
@pytest.mark.parametrize("method", ["predict_proba", "complete"])
def test_series_that_have_no_probability_are_refused(method, X, words):
    with pytest.raises(ValueError, match=words):
        getattr(three_classes(), method)(X)

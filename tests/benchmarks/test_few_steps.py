"""The distance by which priors of few steps are compared."""

import numpy as np
import pytest

import few_steps


def test_the_sliced_distance_of_a_shift_is_its_length_on_the_lines():
    a = np.random.default_rng(0).normal(size=(50, 3))
    shift = np.array([0.3, -1.0, 2.0])
    lines = np.random.default_rng(0).normal(size=(3, 200))
    lines /= np.linalg.norm(lines, axis=0)
    expected = np.sqrt(np.square(shift @ lines).mean())
    found = few_steps.sliced_wasserstein(a, np.random.default_rng(1).permutation(a + shift))
    assert found == pytest.approx(expected)


def test_draws_of_the_mixture_have_its_moments():
    mixture = few_steps.Mixture(3, seed=0)
    Z = mixture.draw(100_000, np.random.default_rng(0))
    mean = mixture.weights @ mixture.means
    spread = mixture.means - mean
    covariance = np.einsum("k,ki,kj->ij", mixture.weights, spread, spread)
    covariance += np.einsum("k,kij->ij", mixture.weights, mixture.covariances)
    np.testing.assert_allclose(Z.mean(0), mean, atol=0.05)
    np.testing.assert_allclose(np.cov(Z.T), covariance, atol=0.1)

"""The Gaussian-mixture prior against Bayes' rule written out."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import chisquare, multivariate_normal
from sklearn.covariance import ledoit_wolf

from skgdpd.diffusion import (
    LatentDiffusion,
    LinearGaussian,
    MixtureDenoiser,
    MixturePosterior,
    NoiseSchedule,
    fit_mixture,
    mixture_log_density,
)
from skgdpd.diffusion.sampler import NoiseSource


def tensor(values):
    return torch.tensor(np.asarray(values), dtype=torch.float64)


def random_covariance(rng, d):
    root = rng.normal(size=(d, d))
    return root @ root.T / d + 0.2 * np.eye(d)


class Problem:
    """Features of a mixture of k Gaussians, seen as y = A z + b + n, n ~ N(0, R)."""

    def __init__(self, k=2, d=3, n_short=2, seed=0, A=None, R=None):
        rng = np.random.default_rng(seed)
        self.weights = rng.dirichlet(np.full(k, 5.0))
        self.means = 1.5 * rng.normal(size=(k, d))
        self.covariances = np.stack([random_covariance(rng, d) for _ in range(k)])
        self.A = rng.normal(size=(n_short, d)) if A is None else A
        self.b = rng.normal(size=len(self.A))
        self.R = 0.5 * random_covariance(rng, len(self.A)) if R is None else R

    def features(self, rng, n):
        component = rng.choice(len(self.weights), p=self.weights, size=n)
        roots = np.linalg.cholesky(self.covariances)[component]
        noise = rng.normal(size=(n, self.means.shape[1]))
        return self.means[component] + np.einsum("nij,nj->ni", roots, noise)

    def observe(self, rng, z):
        noise = rng.multivariate_normal(np.zeros(len(self.b)), self.R, size=len(z))
        return z @ self.A.T + self.b + noise

    def parts(self):
        return self.weights, self.means, self.covariances

    def posterior_draws(self):
        schedule = NoiseSchedule()
        denoiser = MixtureDenoiser(*(tensor(part) for part in self.parts()), schedule)
        latent = LatentDiffusion(denoiser, schedule, self.means.shape[1]).double()
        posterior = MixturePosterior(latent, 5)
        posterior.calibrate(LinearGaussian(self.A, self.b, self.R))
        return posterior

    def component_posteriors(self, y):
        """Bayes: probabilities (k,), means (k, d) and covariances (k, d, d) given y."""
        A, R, log_shares, means, covariances = self.A, self.R, [], [], []
        for weight, mean, S in zip(*self.parts(), strict=True):
            marginal = A @ S @ A.T + R
            density = multivariate_normal(A @ mean + self.b, marginal).logpdf(y)
            log_shares.append(np.log(weight) + density)
            C = np.linalg.inv(np.linalg.inv(S) + A.T @ np.linalg.inv(R) @ A)
            information = np.linalg.solve(S, mean) + A.T @ np.linalg.solve(R, y - self.b)
            means.append(C @ information)
            covariances.append(C)
        shares = np.exp(log_shares - logsumexp(log_shares))
        return shares, np.stack(means), np.stack(covariances)


class Quantiles(NoiseSource):
    """Uniform numbers evenly spaced on [0, 1), a normal vector of choice."""

    def __init__(self, normal=None):
        super().__init__()
        self.direction = normal

    def uniform(self, x):
        return ((torch.arange(len(x), dtype=x.dtype) + 0.5) / len(x))[:, None]

    def normal(self, x, width=None):
        if self.direction is None:
            return torch.zeros_like(x)
        return self.direction.expand_as(x)


# -- the fit -----------------------------------------------------------------------------------


def test_each_class_is_a_component_with_its_share_and_mean():
    rng = np.random.default_rng(0)
    y = np.array([0] * 10 + [1] * 30 + [2] * 60)
    u = rng.normal(size=(100, 3)) + y[:, None]
    weights, means, covariances = fit_mixture(u, y)
    np.testing.assert_allclose(weights, [0.1, 0.3, 0.6])
    np.testing.assert_allclose(means, [u[y == k].mean(0) for k in range(3)])
    assert covariances.shape == (3, 3, 3)


def test_many_features_give_the_classes_covariances_back():
    rng = np.random.default_rng(1)
    truth = np.stack([random_covariance(rng, 3) for _ in range(2)])
    u = np.concatenate([rng.multivariate_normal(np.zeros(3), S, size=50_000) for S in truth])
    covariances = fit_mixture(u, np.repeat([0, 1], 50_000))[2]
    np.testing.assert_allclose(covariances, truth, atol=0.05)


def test_without_labels_there_is_one_gaussian():
    u = np.random.default_rng(2).normal(size=(50, 3))
    weights, means, covariances = fit_mixture(u, None)
    np.testing.assert_array_equal(weights, [1.0])
    np.testing.assert_allclose(means, u.mean(0)[None])
    np.testing.assert_allclose(covariances[0], ledoit_wolf(u)[0], rtol=1e-5, atol=1e-6)


def test_rows_labelled_minus_one_are_left_out():
    rng = np.random.default_rng(3)
    u, y = rng.normal(size=(30, 2)), np.repeat([0, 1, -1], 10)
    u[20:] += 100
    for with_, without in zip(fit_mixture(u, y), fit_mixture(u[:20], y[:20]), strict=True):
        np.testing.assert_array_equal(with_, without)


def test_a_class_of_one_row_takes_the_pooled_covariance():
    rng = np.random.default_rng(4)
    u = rng.multivariate_normal([0, 0], [[2.0, 1.0], [1.0, 1.0]], size=401)
    weights, means, covariances = fit_mixture(u, np.array([0] * 400 + [7]))
    np.testing.assert_allclose(means[1], u[400])
    np.testing.assert_allclose(weights, [400 / 401, 1 / 401])
    # With one other class, the pooled covariance is that class's own, but for the shrinkage.
    np.testing.assert_allclose(covariances[1], covariances[0], rtol=0.05, atol=0.05)


@settings(deadline=None, max_examples=25)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=4).filter(lambda s: sum(s) > 1),
    d=st.integers(1, 6),
    seed=st.integers(0, 10_000),
)
def test_fitted_mixtures_are_mixtures_however_few_the_rows(sizes, d, seed):
    y = np.repeat(np.arange(len(sizes)), sizes)
    u = np.random.default_rng(seed).normal(size=(len(y), d))
    weights, means, covariances = fit_mixture(u, y)
    assert weights.sum() == pytest.approx(1)
    assert (weights > 0).all()
    assert (np.linalg.eigvalsh(covariances) > 0).all()
    assert np.isfinite(mixture_log_density(u, weights, means, covariances)).all()


def test_a_single_row_makes_a_mixture_without_a_warning():
    weights, means, covariances = fit_mixture(np.array([[1.0, 2.0]]), np.array([0]))
    np.testing.assert_array_equal(weights, [1.0])
    np.testing.assert_array_equal(means, [[1.0, 2.0]])
    assert (np.linalg.eigvalsh(covariances) > 0).all()


# -- the density -------------------------------------------------------------------------------


@settings(deadline=None, max_examples=15)
@given(k=st.integers(1, 4), d=st.integers(1, 4), seed=st.integers(0, 10_000))
def test_log_density_agrees_with_scipy(k, d, seed):
    problem = Problem(k, d, seed=seed)
    u = 3 * np.random.default_rng(seed).normal(size=(20, d))
    terms = [
        np.log(weight) + multivariate_normal(mean, S).logpdf(u)
        for weight, mean, S in zip(*problem.parts(), strict=True)
    ]
    np.testing.assert_allclose(
        mixture_log_density(u, *problem.parts()), logsumexp(terms, axis=0), rtol=1e-8
    )


# -- the posterior -----------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 4])
def test_components_are_drawn_with_their_posterior_probabilities(k):
    problem = Problem(k)
    rng = np.random.default_rng(5)
    posterior = problem.posterior_draws()
    for y in problem.observe(rng, problem.features(rng, 5)):
        shares, means, _ = problem.component_posteriors(y)
        # Without normal noise, draws are the means of the components drawn.
        draws = posterior._draw(tensor(y).repeat(20_000, 1), Quantiles()).numpy()
        distances = np.abs(draws[:, None] - means).max(-1)
        assert distances.min(1).max() < 1e-9
        found = np.bincount(distances.argmin(1), minlength=k) / len(draws)
        np.testing.assert_allclose(found, shares, atol=1e-4)
        np.testing.assert_allclose(draws.mean(0), shares @ means, atol=1e-3)


@pytest.mark.parametrize("k", [1, 3])
def test_draws_within_a_component_have_its_posterior_covariance(k):
    problem = Problem(k)
    rng = np.random.default_rng(6)
    posterior = problem.posterior_draws()
    y = problem.observe(rng, problem.features(rng, 1))[0]
    shares, means, covariances = problem.component_posteriors(y)
    ys = tensor(y).repeat(5000, 1)
    at_mean = posterior._draw(ys, Quantiles())
    component = np.abs(at_mean.numpy()[:, None] - means).max(-1).argmin(1)
    columns = [posterior._draw(ys, Quantiles(axis)) - at_mean for axis in torch.eye(3).double()]
    root = torch.stack(columns, -1).numpy()
    for j in np.unique(component):
        found = root[component == j][0]
        np.testing.assert_allclose(found @ found.T, covariances[j], atol=1e-9)
    assert len(np.unique(component)) == (shares > 1e-3).sum()


def test_draws_have_the_mixture_posteriors_mean_and_covariance():
    problem = Problem(3)
    rng = np.random.default_rng(7)
    y = problem.observe(rng, problem.features(rng, 1))
    generator = torch.Generator().manual_seed(0)
    draws = problem.posterior_draws().draw(tensor(y), 200_000, generator)[:, 0].numpy()
    shares, means, covariances = problem.component_posteriors(y[0])
    mean = shares @ means
    spread = np.einsum("k,kij->ij", shares, covariances)
    spread += np.einsum("k,ki,kj->ij", shares, means - mean, means - mean)
    np.testing.assert_allclose(draws.mean(0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(draws.T), spread, atol=0.03)


def test_ranks_of_true_features_among_draws_are_uniform():
    # Simulation-based calibration.
    problem = Problem(3)
    rng = np.random.default_rng(8)
    z = problem.features(rng, 2000)
    y = problem.observe(rng, z)
    generator = torch.Generator().manual_seed(0)
    draws = problem.posterior_draws().draw(tensor(y), 19, generator).numpy()
    for rank in (draws < z).sum(0).T:
        assert chisquare(np.bincount(rank, minlength=20)).pvalue > 1e-3


def test_noise_without_end_gives_the_prior_mixture():
    problem = Problem(3, A=np.eye(3), R=1e12 * np.eye(3))
    y = tensor(np.ones((20_000, 3)))
    draws = problem.posterior_draws()._draw(y, Quantiles()).numpy()
    component = np.abs(draws[:, None] - problem.means).max(-1).argmin(1)
    np.testing.assert_allclose(np.bincount(component) / len(y), problem.weights, atol=1e-4)
    np.testing.assert_allclose(draws, problem.means[component], atol=1e-6)


def test_a_noiseless_observation_is_given_back():
    problem = Problem(3, A=np.eye(3), R=1e-12 * np.eye(3))
    rng = np.random.default_rng(9)
    y = problem.observe(rng, problem.features(rng, 10))
    draws = problem.posterior_draws().draw(tensor(y), 5, torch.Generator().manual_seed(0))
    np.testing.assert_allclose(draws, np.broadcast_to(y - problem.b, (5, 10, 3)), atol=1e-4)


def test_jacobian_of_a_draw_is_the_gain_of_its_component():
    problem = Problem(1)
    posterior = problem.posterior_draws()
    S = problem.covariances[0]
    gain = S @ problem.A.T @ np.linalg.inv(problem.A @ S @ problem.A.T + problem.R)

    def draw(y):
        return posterior.draw(y[None], 1, torch.Generator().manual_seed(0))[0, 0]

    jacobian = torch.autograd.functional.jacobian(draw, tensor([0.3, -0.7]))
    np.testing.assert_allclose(jacobian, gain, atol=1e-10)


def test_draws_are_finite_for_observations_far_from_every_component():
    problem = Problem(3)
    draws = problem.posterior_draws().draw(
        tensor([[1e6, -1e6]]), 4, torch.Generator().manual_seed(0)
    )
    assert draws.isfinite().all()

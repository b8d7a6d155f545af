"""Denoisers: the exact ones against independent formulas, the learned ones against the exact."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from skgdpd import DiffusionFeaturePrior
from skgdpd.diffusion import (
    BottleneckDenoiser,
    FiLMDenoiser,
    MixtureDenoiser,
    NoiseSchedule,
    gaussian_denoiser,
    make_denoiser,
)

STEPS = [0, 30, 300, 700, 999]


def double_schedule():
    return NoiseSchedule().double()


def tensor(values):
    return torch.tensor(np.asarray(values), dtype=torch.float64)


def random_covariance(rng, d):
    root = rng.normal(size=(d, d))
    return root @ root.T / d + 0.1 * np.eye(d)


def at(t, n):
    return torch.full((n,), t)


def awakened(denoiser, seed=0):
    """The denoiser with random weights, those that start at zero too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in denoiser.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return denoiser


# -- exact denoisers ---------------------------------------------------------------------------


@pytest.mark.parametrize("t", STEPS)
def test_gaussian_denoiser_is_the_expected_noise_of_gaussian_data(t):
    rng = np.random.default_rng(0)
    mean, S, x_t = rng.normal(size=3), random_covariance(rng, 3), 3 * rng.normal(size=(20, 3))
    schedule = double_schedule()
    a = schedule.level(t)
    # (eps, x_t) is jointly Gaussian: Cov(eps, x_t) = sqrt(1 - a) I, Cov(x_t) = a S + (1 - a) I
    marginal = a * S + (1 - a) * np.eye(3)
    expected = np.sqrt(1 - a) * np.linalg.solve(marginal, (x_t - np.sqrt(a) * mean).T).T
    eps = gaussian_denoiser(tensor(mean), tensor(S), schedule)(tensor(x_t), at(t, 20))
    np.testing.assert_allclose(eps, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("t", STEPS)
def test_mixture_denoiser_is_the_score_of_the_noisy_mixture(t):
    rng = np.random.default_rng(1)
    weights = np.array([0.2, 0.5, 0.3])
    means = 2 * rng.normal(size=(3, 2))
    covariances = np.stack([random_covariance(rng, 2) for _ in range(3)])
    schedule = double_schedule()
    a = schedule.level(t)
    noisy = MixtureSameFamily(
        Categorical(tensor(weights)),
        MultivariateNormal(
            math.sqrt(a) * tensor(means), a * tensor(covariances) + (1 - a) * tensor(np.eye(2))
        ),
    )
    x_t = tensor(2 * rng.normal(size=(50, 2))).requires_grad_()
    (score,) = torch.autograd.grad(noisy.log_prob(x_t).sum(), x_t)
    denoiser = MixtureDenoiser(tensor(weights), tensor(means), tensor(covariances), schedule)
    with torch.no_grad():
        eps = denoiser(x_t, at(t, 50))
    np.testing.assert_allclose(eps, -math.sqrt(1 - a) * score, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("t", STEPS)
def test_mixture_denoiser_agrees_with_numerical_integration(t):
    weights, means, deviations = np.array([0.3, 0.7]), np.array([-1.5, 1.0]), np.array([0.4, 0.8])
    schedule = double_schedule()
    a = schedule.level(t)
    x_t = np.linspace(-3, 3, 13)
    # E[eps | x_t] over a grid of the noise itself: x_0 = (x_t - sqrt(1 - a) eps) / sqrt(a)
    eps = np.linspace(-12, 12, 200_001)
    numerical = []
    for x in x_t:
        x_0 = (x - np.sqrt(1 - a) * eps) / np.sqrt(a)
        prior = (weights * norm.pdf(x_0[:, None], means, deviations)).sum(1)
        posterior = prior * norm.pdf(eps)
        numerical.append((eps * posterior).sum() / posterior.sum())
    denoiser = MixtureDenoiser(
        tensor(weights), tensor(means[:, None]), tensor(deviations[:, None, None] ** 2), schedule
    )
    found = denoiser(tensor(x_t[:, None]), at(t, len(x_t)))[:, 0]
    np.testing.assert_allclose(found, numerical, rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), t=st.integers(0, 999), d=st.integers(1, 5))
def test_rotating_the_data_rotates_the_expected_noise(seed, t, d):
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.normal(size=(d, d)))[0]
    weights, means = np.array([0.4, 0.6]), rng.normal(size=(2, d))
    S = np.stack([random_covariance(rng, d) for _ in range(2)])
    x_t = rng.normal(size=(4, d))
    schedule = double_schedule()
    plain = MixtureDenoiser(tensor(weights), tensor(means), tensor(S), schedule)
    turned = MixtureDenoiser(tensor(weights), tensor(means @ Q.T), tensor(Q @ S @ Q.T), schedule)
    np.testing.assert_allclose(
        turned(tensor(x_t @ Q.T), at(t, 4)), plain(tensor(x_t), at(t, 4)).numpy() @ Q.T, atol=1e-8
    )


def test_point_masses_are_denoised_exactly():
    schedule = double_schedule()
    mean = torch.ones(1, 3, dtype=torch.float64)
    denoiser = MixtureDenoiser(tensor([1.0]), mean, tensor(np.zeros((1, 3, 3))), schedule)
    eps = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([0, 10, 100, 500, 900, 999])
    torch.testing.assert_close(denoiser(schedule.diffuse(mean.expand(6, 3), t, eps), t), eps)


def test_mixture_denoiser_stays_finite_far_from_the_data():
    schedule = NoiseSchedule()
    denoiser = MixtureDenoiser(
        torch.tensor([0.5, 0.5]), torch.tensor([[-1.0], [1.0]]), torch.ones(2, 1, 1), schedule
    )
    x = torch.tensor([[-1e4], [1e4]])
    for t in STEPS:
        assert denoiser(x, at(t, 2)).isfinite().all()


def test_mixture_denoiser_gives_its_parts_back():
    rng = np.random.default_rng(2)
    weights, means = np.array([0.25, 0.75]), rng.normal(size=(2, 3))
    covariances = np.stack([random_covariance(rng, 3) for _ in range(2)])
    denoiser = MixtureDenoiser(
        tensor(weights), tensor(means), tensor(covariances), double_schedule()
    )
    for found, given_ in zip(denoiser.parts(), (weights, means, covariances), strict=True):
        np.testing.assert_allclose(found, given_, atol=1e-12)


# -- learned denoisers -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_film_denoiser_starts_exact_for_standard_normal_data(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        schedule = NoiseSchedule()
        denoiser = FiLMDenoiser(3, schedule)
    exact = gaussian_denoiser(torch.zeros(3), torch.eye(3), schedule)
    x_t = torch.randn(len(STEPS), 3, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(denoiser(x_t, torch.tensor(STEPS)), exact(x_t, torch.tensor(STEPS)))


def changes_of_the_first_row(denoiser):
    """Largest change of row 0's output when the other rows' features and steps change."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(8, 6, generator=generator)
    other = torch.randn(8, 6, generator=generator)
    other[0] = x[0]
    t, other_t = torch.arange(8) * 100, torch.arange(8) * 37
    other_t[0] = t[0]
    with torch.no_grad():
        return (denoiser(x, t)[0] - denoiser(other, other_t)[0]).abs().max().item()


@pytest.mark.parametrize("training", [True, False])
def test_film_denoiser_does_not_mix_rows(training):
    denoiser = awakened(FiLMDenoiser(6, NoiseSchedule())).train(training)
    assert changes_of_the_first_row(denoiser) < 1e-5


def test_bottleneck_denoiser_mixes_rows_in_training_only():
    denoiser = awakened(BottleneckDenoiser(6, NoiseSchedule()))
    assert changes_of_the_first_row(denoiser.train()) > 1e-2
    assert changes_of_the_first_row(denoiser.eval()) < 1e-5


@pytest.mark.parametrize("name", ["film", "bottleneck"])
def test_learned_denoisers_use_the_noise_level(name):
    denoiser = awakened(make_denoiser(name, 4, NoiseSchedule())).eval()
    x = torch.ones(2, 4)
    low, high = denoiser(x, torch.tensor([10, 800])).detach()
    assert (low - high).abs().max() > 1e-2


@pytest.mark.parametrize("n_features", [1, 2, 7])
@pytest.mark.parametrize("name", ["film", "bottleneck"])
def test_learned_denoisers_take_features_of_any_width(name, n_features):
    denoiser = make_denoiser(name, n_features, NoiseSchedule())
    assert denoiser(torch.zeros(5, n_features), at(3, 5)).shape == (5, n_features)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", [FiLMDenoiser, BottleneckDenoiser])
def test_gradients_of_learned_denoisers_are_right(kind, training):
    denoiser = awakened(kind(3, NoiseSchedule()).double()).train(training)
    # The tested function is repeated many times; its running statistics must not move.
    for module in denoiser.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.momentum = 0.0
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    t = torch.tensor([0, 200, 600, 999])
    assert torch.autograd.gradcheck(lambda x: denoiser(x, t), x.requires_grad_())


def test_gradients_of_the_mixture_denoiser_are_right():
    rng = np.random.default_rng(4)
    denoiser = MixtureDenoiser(
        tensor([0.5, 0.5]),
        tensor(rng.normal(size=(2, 3))),
        tensor(np.stack([random_covariance(rng, 3) for _ in range(2)])),
        double_schedule(),
    )
    x = tensor(rng.normal(size=(4, 3))).requires_grad_()
    t = torch.tensor([100, 200, 600, 999])
    assert torch.autograd.gradcheck(lambda x: denoiser(x, t), x)


def denoising_losses(denoiser, schedule, covariance, n_rows):
    """Mean squared error of the noise at each step, on fresh data N(0, covariance)."""
    rng = np.random.default_rng(99)
    root = np.linalg.cholesky(covariance)
    losses = []
    with torch.no_grad():
        for t in range(0, schedule.n_steps, 10):
            u, eps = tensor(rng.normal(size=(2, n_rows, len(root))))
            u = u @ tensor(root).T
            steps = at(t, n_rows)
            error = eps - denoiser(schedule.diffuse(u, steps, eps), steps)
            losses.append(error.square().mean().item())
    return np.array(losses)


def least_losses(schedule, covariance):
    """The least possible: Var(eps | x_t) = a s / (a s + 1 - a) in each principal direction."""
    spectrum = np.linalg.eigvalsh(covariance)
    a = np.array([schedule.level(t) for t in range(0, schedule.n_steps, 10)])[:, None]
    return (a * spectrum / (a * spectrum + 1 - a)).mean(1)


@pytest.mark.parametrize(
    ("n_rows", "settings"),
    [
        (4000, {"max_epochs": 10, "lr": 3e-3}),
        pytest.param(200, {}, marks=pytest.mark.slow),
    ],
    ids=["quick", "default settings, 200 features"],
)
def test_learned_film_denoiser_comes_near_the_least_possible_loss(n_rows, settings):
    covariance = 0.9 * np.ones((4, 4)) + 0.1 * np.eye(4)
    Z = np.random.default_rng(0).multivariate_normal(np.zeros(4), covariance, size=n_rows)
    prior = DiffusionFeaturePrior("film", random_state=0, device="cpu", **settings).fit(Z)
    W, schedule = prior.encoder_.W.numpy(), prior.latent_.schedule
    coded = W @ covariance @ W.T
    least = least_losses(schedule, coded).mean()
    learned = denoising_losses(prior.latent_.denoiser, schedule, coded, 1000).mean()
    start = denoising_losses(FiLMDenoiser(4, schedule).double(), schedule, coded, 1000).mean()
    assert learned < 1.05 * least
    # ... which is no small feat: where it starts from is far above.
    assert start > 1.3 * least


# -- by name -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gmm", "unet"])
def test_other_names_of_learned_denoisers_are_refused(name):
    with pytest.raises(ValueError, match=f"'{name}'.*film, bottleneck"):
        make_denoiser(name, 3, NoiseSchedule())

"""Samplers: with an exact denoiser of Gaussian data a chain is affine in its noise, so its law can
be computed instead of sampled."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skgdpd.diffusion import (
    DDIM,
    Ancestral,
    MixtureDenoiser,
    NoiseSchedule,
    Renoise,
    Sampler,
    gaussian_denoiser,
)
from skgdpd.diffusion.sampler import NoiseSource

MEAN = torch.tensor([1.0, -0.5, 0.3], dtype=torch.float64)
COVARIANCE = torch.tensor(
    [[1.0, 0.6, 0.0], [0.6, 1.5, -0.4], [0.0, -0.4, 0.5]], dtype=torch.float64
)


def make_schedule(name="linear", n_steps=1000):
    return NoiseSchedule(name, n_steps).double()


class NoiseBasis(NoiseSource):
    """Gives row 0 no noise and row k a 1 for the k-th number drawn, so that the rows of an affine
    chain's result are its mean and its directions."""

    def __init__(self):
        super().__init__()
        self.n_drawn = 0

    def normal(self, x, width=None):
        width = x.shape[1] if width is None else width
        row = torch.arange(len(x))[:, None]
        number = 1 + self.n_drawn + torch.arange(width)
        self.n_drawn += width
        return (row == number).to(x.dtype)


class NoNoise(NoiseSource):
    def normal(self, x, width=None):
        raise AssertionError("a deterministic chain asked for noise")


def law_of(chain):
    """Mean and covariance of ``chain(n_rows, noise)``, affine in its standard normal noise."""
    counter = NoiseBasis()
    chain(1, counter)
    rows = chain(1 + counter.n_drawn, NoiseBasis())
    directions = (rows[1:] - rows[0]).numpy()
    return rows[0].numpy(), directions.T @ directions


def wasserstein(mean, covariance, other_mean, other_covariance):
    """Wasserstein-2 distance of two Gaussians."""
    spectrum, axes = np.linalg.eigh(other_covariance)
    root = axes * np.sqrt(np.maximum(spectrum, 0)) @ axes.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ covariance @ root), 0)).sum()
    square = np.square(mean - other_mean).sum()
    square += np.trace(covariance) + np.trace(other_covariance) - 2 * cross
    return math.sqrt(max(square, 0.0))


def distance_from_data(sampler, mean=MEAN, covariance=COVARIANCE):
    denoiser = gaussian_denoiser(mean, covariance, sampler.schedule)

    def chain(n_rows, noise):
        start = noise.normal(torch.zeros(n_rows, len(mean), dtype=torch.float64))
        return sampler.run(denoiser, start, noise)

    return wasserstein(*law_of(chain), mean.numpy(), covariance.numpy())


def pair_of_clusters(schedule):
    return MixtureDenoiser(
        torch.tensor([0.5, 0.5], dtype=torch.float64),
        torch.tensor([[-1.0, 0.0], [1.0, 0.5]], dtype=torch.float64),
        0.2 * torch.eye(2, dtype=torch.float64).repeat(2, 1, 1),
        schedule,
    )


# -- the grid ----------------------------------------------------------------------------------


def test_the_papers_grid():
    assert Sampler(NoiseSchedule(), 5, 400).steps == [400, 300, 200, 100, 0]


@settings(deadline=None, max_examples=60)
@given(
    n_schedule=st.integers(2, 1500),
    n_steps=st.integers(1, 2000),
    share=st.floats(0, 1),
)
def test_grid_falls_strictly_from_the_start_to_zero(n_schedule, n_steps, share):
    start = round(share * (n_schedule - 1))
    steps = Sampler(NoiseSchedule("linear", n_schedule), n_steps, start).steps
    assert steps[0] == start
    assert len(steps) == min(n_steps, start + 1)
    assert all(high > low for high, low in itertools.pairwise(steps))
    if len(steps) > 1:
        assert steps[-1] == 0
        gaps = -np.diff(steps)
        assert gaps.max() - gaps.min() <= 1


def test_grid_starts_at_the_schedules_last_step_by_default():
    assert Sampler(NoiseSchedule("linear", 300), 4).steps[0] == 299


# -- single steps ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [DDIM, Ancestral, Renoise])
@pytest.mark.parametrize("t", [0, 200, 999])
def test_a_chain_of_one_step_is_the_denoised_mean(kind, t):
    schedule = make_schedule()
    x = torch.tensor([[2.0, 0.0, -1.0]], dtype=torch.float64)
    found = kind(schedule, 1, t).run(gaussian_denoiser(MEAN, COVARIANCE, schedule), x, NoNoise())
    a = schedule.level(t)
    S, m = COVARIANCE.numpy(), MEAN.numpy()
    gain = math.sqrt(a) * S @ np.linalg.inv(a * S + (1 - a) * np.eye(3))
    np.testing.assert_allclose(found[0], m + gain @ (x[0].numpy() - math.sqrt(a) * m), atol=1e-4)


@pytest.mark.parametrize(("t", "s"), [(999, 998), (400, 300), (10, 0)])
def test_ancestral_step_draws_from_the_posterior_of_the_forward_process(t, s):
    # q(x_s | x_t, x_0) by Bayes: x_s | x_0 ~ N(sqrt(a_s) x_0, 1 - a_s) seen through
    # x_t = sqrt(a_t / a_s) x_s + sqrt(1 - a_t / a_s) eps.
    schedule = make_schedule()
    x_0 = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    x_t = torch.tensor([[0.3, 0.7]], dtype=torch.float64)
    kept = schedule.level(t) / schedule.level(s)
    prior_mean, prior_variance = math.sqrt(schedule.level(s)) * x_0, 1 - schedule.level(s)
    precision = 1 / prior_variance + kept / (1 - kept)
    mean = (prior_mean / prior_variance + math.sqrt(kept) * x_t / (1 - kept)) / precision
    sampler = Ancestral(schedule, 5)

    def chain(n_rows, noise):
        return sampler.step(x_t.expand(n_rows, 2), x_0.expand(n_rows, 2), t, s, noise)

    found_mean, found_covariance = law_of(chain)
    np.testing.assert_allclose(found_mean, mean[0], rtol=1e-9)
    np.testing.assert_allclose(found_covariance, np.eye(2) / precision, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("t", "s"), [(999, 998), (400, 300), (10, 0)])
def test_renoise_step_draws_from_the_forward_process(t, s):
    schedule = make_schedule()
    x_0 = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    sampler = Renoise(schedule, 5)

    def chain(n_rows, noise):
        x_0s = x_0.expand(n_rows, 2)
        return sampler.step(torch.full_like(x_0s, 7.0), x_0s, t, s, noise)

    mean, covariance = law_of(chain)
    a = schedule.level(s)
    np.testing.assert_allclose(mean, math.sqrt(a) * x_0[0], rtol=1e-12)
    np.testing.assert_allclose(covariance, (1 - a) * np.eye(2), rtol=1e-9)


def test_ddim_step_puts_the_noise_found_back():
    # With the true x_0 the step leads to the same noise at the lower level.
    schedule = make_schedule()
    x_0, eps = torch.randn(
        2, 1, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    a_t, a_s = schedule.level(700), schedule.level(200)
    x_t = math.sqrt(a_t) * x_0 + math.sqrt(1 - a_t) * eps
    x_s = DDIM(schedule, 5).step(x_t, x_0, 700, 200, NoNoise())
    torch.testing.assert_close(x_s, math.sqrt(a_s) * x_0 + math.sqrt(1 - a_s) * eps)


def test_ddim_is_deterministic():
    schedule = make_schedule()
    x = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    sampler = DDIM(schedule, 7)
    denoiser = pair_of_clusters(schedule)
    first, second = (sampler.run(denoiser, x, NoNoise()) for _ in range(2))
    assert torch.equal(first, second)


def test_the_base_sampler_has_no_step():
    schedule = make_schedule()
    x = torch.zeros(1, 2, dtype=torch.float64)
    with pytest.raises(NotImplementedError):
        Sampler(schedule, 2).run(pair_of_clusters(schedule), x, NoNoise())


# -- whole chains ------------------------------------------------------------------------------


@pytest.mark.parametrize("n_steps", [1, 2, 5, 50])
def test_ddim_shrinks_standard_normal_data_by_the_cosines_of_its_angles(n_steps):
    # For N(0, I), with sqrt(a) = cos w and sqrt(1 - a) = sin w, a step is a turn from w_t to w_s
    # seen from its own axis: x_s = cos(w_t - w_s) x_t.
    schedule = make_schedule()
    sampler = DDIM(schedule, n_steps)
    angles = [math.acos(math.sqrt(schedule.level(t))) for t in [*sampler.steps, -1]]
    factor = math.prod(math.cos(high - low) for high, low in itertools.pairwise(angles))
    x = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    denoiser = gaussian_denoiser(
        torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64), schedule
    )
    torch.testing.assert_close(sampler.run(denoiser, x, NoNoise()), factor * x, rtol=1e-4, atol=0)


@pytest.mark.parametrize("kind", [DDIM, Ancestral])
@pytest.mark.parametrize("schedule_name", ["linear", "cosine"])
def test_samples_of_a_chain_of_all_steps_have_the_datas_mean_and_covariance(kind, schedule_name):
    assert distance_from_data(kind(make_schedule(schedule_name), 1000)) < 0.02


@pytest.mark.parametrize("kind", [DDIM, Ancestral])
def test_more_steps_come_nearer_to_the_data(kind):
    distances = [distance_from_data(kind(make_schedule(), n)) for n in (5, 20, 100, 1000)]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.1 * distances[0]


@pytest.mark.parametrize("kind", [DDIM, Ancestral])
def test_samples_of_two_clusters_fall_evenly_on_both(kind):
    schedule = make_schedule()
    generator = torch.Generator().manual_seed(0)
    noise = NoiseSource(generator)
    x = noise.normal(torch.zeros(4000, 2, dtype=torch.float64))
    z = kind(schedule, 100).run(pair_of_clusters(schedule), x, noise).numpy()
    # 4 standard errors of a proportion and of a mean
    side = z[:, 0] > 0
    assert abs(side.mean() - 0.5) < 4 * 0.5 / math.sqrt(4000)
    # cov of x = 0.2 + 1, of y = 0.2 + 0.25 ** 2, and they go together
    expected = np.array([[1.2, 0.25], [0.25, 0.2625]])
    np.testing.assert_allclose(np.cov(z.T), expected, atol=0.06)


def test_restorations_get_the_denoised_mean_and_the_levels_number():
    schedule = make_schedule()
    sampler = DDIM(schedule, 4)
    seen = []

    def restore(x_0, i):
        seen.append(i)
        return torch.full_like(x_0, 5.0)

    x = torch.zeros(2, 2, dtype=torch.float64)
    result = sampler.run(pair_of_clusters(schedule), x, NoNoise(), restore)
    assert seen == [0, 1, 2, 3]
    assert torch.equal(result, torch.full_like(x, 5.0))


@pytest.mark.parametrize("kind", [DDIM, Ancestral, Renoise])
def test_gradients_flow_through_all_levels(kind):
    schedule = make_schedule()
    sampler, denoiser = kind(schedule, 5, 400), pair_of_clusters(schedule)
    x = torch.randn(3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def chain(x):
        return sampler.run(denoiser, x, NoiseSource(torch.Generator().manual_seed(2)))

    assert torch.autograd.gradcheck(chain, x.requires_grad_())
    (gradient,) = torch.autograd.grad(chain(x).sum(), x)
    assert (gradient != 0).all()


@pytest.mark.parametrize("schedule_name", ["linear", "cosine"])
@pytest.mark.parametrize("kind", [DDIM, Ancestral, Renoise])
def test_single_precision_is_precise_enough(kind, schedule_name):
    # At the noisiest level the signal's share is 1e-5 (linear) or 1e-9 (cosine) of the variance.
    results = []
    for dtype in (torch.float32, torch.float64):
        schedule = NoiseSchedule(schedule_name).to(dtype)
        x = torch.randn(5, 3, generator=torch.Generator().manual_seed(3)).to(dtype)
        noise = NoNoise() if kind is DDIM else FixedNoise()
        denoiser = gaussian_denoiser(MEAN.to(dtype), COVARIANCE.to(dtype), schedule)
        results.append(kind(schedule, 10).run(denoiser, x, noise).double())
    torch.testing.assert_close(*results, rtol=0, atol=5e-3)


class FixedNoise(NoiseSource):
    """The same numbers in any precision."""

    def __init__(self):
        super().__init__(torch.Generator().manual_seed(4))

    def normal(self, x, width=None):
        return super().normal(x.float(), width).to(x.dtype)


# -- the source of noise -----------------------------------------------------------------------


def test_noise_has_the_features_shape_and_type_or_another_width():
    source = NoiseSource(torch.Generator().manual_seed(0))
    x = torch.zeros(6, 3, dtype=torch.float64)
    assert source.normal(x).shape == (6, 3)
    assert source.normal(x, 5).shape == (6, 5)
    assert source.uniform(x).shape == (6, 1)
    assert source.normal(x).dtype == source.uniform(x).dtype == torch.float64
    assert source.normal(x.float()).dtype == torch.float32


def test_the_same_seed_gives_the_same_noise_and_another_does_not():
    x = torch.zeros(6, 3)
    first, again, other = (
        NoiseSource(torch.Generator().manual_seed(seed)).normal(x) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("what", ["normal", "uniform"])
def test_shared_noise_is_one_for_all_rows_of_a_draw_and_differs_between_draws(what):
    source = NoiseSource(torch.Generator().manual_seed(0), n_draws=4, shared=True)
    noise = getattr(source, what)(torch.zeros(4 * 5, 3)).unflatten(0, (4, 5))
    assert torch.equal(noise, noise[:, :1].expand_as(noise))
    assert len(noise[:, 0, 0].unique()) == 4


@pytest.mark.parametrize("what", ["normal", "uniform"])
def test_shared_noise_does_not_depend_on_the_number_of_rows(what):
    few, many = (
        getattr(NoiseSource(torch.Generator().manual_seed(0), 4, True), what)(
            torch.zeros(4 * n, 3)
        )
        for n in (1, 7)
    )
    assert torch.equal(few, many.unflatten(0, (4, 7))[:, 0])


def test_noise_of_one_row_is_not_that_of_another_unless_shared():
    noise = NoiseSource(torch.Generator().manual_seed(0), n_draws=2).normal(torch.zeros(10, 1))
    assert len(noise.unique()) == 10

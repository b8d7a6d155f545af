"""Flows: exact maps of Gaussian features, identities of the losses, and closed-form posteriors.

Exact flows of Gaussian features are affine in noise and observation, so laws are computed, not
sampled.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.stats import multivariate_normal

from skgdpd.diffusion import (
    FlowLinearGaussianPosterior,
    FlowMatchedNoise,
    FlowNetwork,
    FlowNoObservation,
    LatentFlow,
    LearnedAlpha,
    LinearGaussian,
    couple,
    flow_map_loss,
    flow_matching_loss,
    make_posterior_sampler,
    mean_flow_loss,
    shortcut_loss,
)
from skgdpd.diffusion.sampler import NoiseSource

FLOWS = ["flow", "flow-map", "mean-flow", "shortcut"]
LOSSES = [flow_matching_loss, flow_map_loss, mean_flow_loss, shortcut_loss]
times = st.floats(0, 1)


def tensor(values):
    return torch.tensor(np.asarray(values), dtype=torch.float64)


def time(value):
    return torch.full((1, 1), value, dtype=torch.float64)


MEAN = np.array([1.0, -0.5, 0.3])
S = np.array([[1.0, 0.6, 0.0], [0.6, 1.5, -0.4], [0.0, -0.4, 0.5]])
A = np.array([[1.0, 0.5, 0.0], [0.0, 0.3, 1.0]])
B = np.array([0.5, -1.0])
R = np.array([[0.3, 0.1], [0.1, 0.2]])


class GaussianFlow(torch.nn.Module):
    """Exact average velocities for features N(mean, S) and independent noise.

    At time s features are N(s m, s^2 S + (1 - s)^2 I), so the motion from s to t is affine. In a
    principal direction of variance v it multiplies by the ratio of the deviations.
    """

    def __init__(self, mean=MEAN, covariance=S):
        super().__init__()
        variances, axes = np.linalg.eigh(covariance)
        self.mean, self.variances, self.axes = tensor(mean), tensor(variances), tensor(axes)

    def forward(self, x, s, t):
        v = self.variances
        first = (s.square() * v + (1 - s).square()).sqrt()
        last = (t.square() * v + (1 - t).square()).sqrt()
        factor = (v * (s + t) + s + t - 2) / (first * (first + last))
        return self.mean + (x - s * self.mean) @ self.axes * factor @ self.axes.T


class StraightFlow(torch.nn.Module):
    """Exact average velocities where each noise x goes straight to mean + root x."""

    def __init__(self):
        super().__init__()
        variances, axes = np.linalg.eigh(S)
        self.root = tensor(axes * np.sqrt(variances) @ axes.T)
        self.mean = tensor(MEAN)

    def end(self, noise):
        return self.mean + noise @ self.root

    def forward(self, x, s, t):
        eye = torch.eye(3, dtype=torch.float64)
        between = (1 - s)[..., None] * eye + s[..., None] * self.root
        noise = torch.linalg.solve(between, (x - s * self.mean)[..., None])[..., 0]
        return self.end(noise) - noise


class Bent(torch.nn.Module):
    """A flow with trainable errors, which are 0."""

    def __init__(self, flow):
        super().__init__()
        self.flow = flow
        self.errors = torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))

    def forward(self, x, s, t):
        a, b, c = self.errors
        return self.flow(x, s, t) * (1 + a) + b + c * x * (t - s)


def exact_flow(dynamics="flow-map"):
    latent = LatentFlow(dynamics, 3).double()
    latent.network = GaussianFlow()
    latent.set_moments(tensor(MEAN), tensor(S))
    return latent


def law_of(sampler, y):
    """Mean and covariance of draws for one observation, where draws are affine in the noise."""
    counted = Basis()
    with torch.no_grad():
        sampler._draw(tensor(y)[None], counted)
        rows = sampler._draw(tensor(y).repeat(1 + counted.n_drawn, 1), Basis())
    directions = (rows[1:] - rows[0]).numpy()
    return rows[0].numpy(), directions.T @ directions


class Basis(NoiseSource):
    """Gives row 0 no noise, and row k a 1 for the k-th number drawn."""

    def __init__(self):
        super().__init__()
        self.n_drawn = 0

    def normal(self, x, width=None):
        width = x.shape[1] if width is None else width
        number = 1 + self.n_drawn + torch.arange(width)
        self.n_drawn += width
        return (torch.arange(len(x))[:, None] == number).to(x.dtype)


# -- maps --------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(times=st.lists(times, min_size=3, max_size=3).map(sorted), seed=st.integers(0, 99))
def test_two_steps_of_an_exact_map_are_one(times, seed):
    s, u, t = map(time, times)
    x = tensor(np.random.default_rng(seed).normal(size=(4, 3)))
    latent = exact_flow()
    twice = latent.move(latent.move(x, s, u), u, t)
    torch.testing.assert_close(twice, latent.move(x, s, t), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_steps", [1, 2, 7])
def test_an_exact_map_carries_noise_to_the_features_in_any_number_of_steps(n_steps):
    mean, covariance = law_of(FlowNoObservation(exact_flow(), n_steps), [0.0])
    np.testing.assert_allclose(mean, MEAN, atol=1e-9)
    np.testing.assert_allclose(covariance, S, atol=1e-9)


def test_straight_steps_along_exact_velocities_come_nearer_the_smaller_they_are():
    errors = []
    for n_steps in (1, 4, 16, 64, 256):
        _, covariance = law_of(FlowNoObservation(exact_flow("flow"), n_steps), [0.0])
        errors.append(np.abs(covariance - S).max())
    assert errors == sorted(errors, reverse=True)
    # The first step leads to the mean of the features, whatever the noise.
    np.testing.assert_allclose(errors[0], S.max(), atol=1e-9)
    assert errors[-1] < 0.02


@settings(deadline=None, max_examples=20)
@given(pair=st.tuples(times, times).map(sorted), d=st.integers(1, 5), seed=st.integers(0, 99))
def test_an_untrained_flow_is_exact_for_standard_normal_features(pair, d, seed):
    s, t = map(time, pair)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = FlowNetwork(d).double()
    x = tensor(np.random.default_rng(seed).normal(size=(4, d)))
    exact = GaussianFlow(np.zeros(d), np.eye(d))(x, s, t)
    torch.testing.assert_close(network(x, s, t), exact)


@pytest.mark.parametrize("n_steps", [1, 3])
def test_gradients_through_a_transport_are_right(n_steps):
    latent = LatentFlow("flow-map", 2).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in latent.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    x = torch.randn(3, 2, dtype=torch.float64, generator=generator).requires_grad_()
    start = tensor([[0.0], [0.3], [0.9]]).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, s: latent.transport(x, s, n_steps), (x, start))


@pytest.mark.parametrize("training", [True, False])
def test_a_flow_network_does_not_mix_rows(training):
    network = FlowNetwork(4).train(training)
    torch.nn.init.normal_(network.leave.weight)
    x, s = torch.randn(6, 4), torch.rand(6, 1)
    alone = torch.cat([network(x[[i]], s[[i]], s[[i]] / 2 + 0.5) for i in range(6)])
    torch.testing.assert_close(network(x, s, s / 2 + 0.5), alone, rtol=1e-4, atol=1e-5)


# -- losses ------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_of_the_exact_flow_along_straight_lines_are_zero(loss):
    flow = StraightFlow()
    noise = tensor(np.random.default_rng(0).normal(size=(50, 3)))
    assert loss(flow, noise, flow.end(noise)) < 1e-20


@pytest.mark.parametrize("loss", LOSSES)
def test_the_exact_flow_of_independent_noise_is_where_losses_are_flat(loss):
    rng = np.random.default_rng(0)
    n = 100_000
    noise = tensor(rng.normal(size=(n, 3)))
    data = tensor(rng.multivariate_normal(MEAN, S, n))
    found = {}
    for name, errors in {"exact": [0, 0, 0], "wrong": [0.3, 0.3, 0.3]}.items():
        flow = Bent(GaussianFlow())
        flow.errors.data = tensor(errors)
        loss(flow, noise, data, torch.Generator().manual_seed(0)).backward()
        found[name] = flow.errors.grad.abs()
    # The errors of an average over so many rows are about 0.01.
    assert found["exact"].max() < 0.03
    assert found["wrong"][:2].min() > 0.1


def test_the_second_term_of_the_flow_map_is_zero_for_an_exact_map_only():
    rng = np.random.default_rng(0)
    noise, data = tensor(rng.normal(size=(2, 200, 3)))
    terms = {}
    for name, errors in {"exact": [0, 0, 0], "wrong": [0, 0, 0.3]}.items():
        flow = Bent(GaussianFlow())
        flow.errors.data = tensor(errors)
        both, one = (
            loss(flow, noise, data, torch.Generator().manual_seed(0)).item()
            for loss in (flow_map_loss, flow_matching_loss)
        )
        terms[name] = both - one
    # What the central difference leaves.
    assert abs(terms["exact"]) < 1e-7
    assert terms["wrong"] > 1e-3


class Growing(torch.nn.Module):
    """Average velocities that grow with the length of the step, whatever the place."""

    def __init__(self):
        super().__init__()
        self.slope = torch.nn.Parameter(tensor(0.7))

    def forward(self, x, s, t):
        return self.slope * (t - s) * torch.ones_like(x)


def test_short_steps_of_a_shortcut_teach_long_ones_and_not_the_reverse():
    flow, still = Growing(), torch.zeros(400, 3, dtype=torch.float64)
    loss = shortcut_loss(flow, still, still, torch.Generator().manual_seed(0))
    loss.backward()
    # A step of 2d says 2 d slope, and its target d slope. The error is d slope and, as the target
    # is fixed, its square has the gradient 4 d^2 slope. It would be half with a moving target.
    # The shortest steps, whose target is 0, are a thousandth of the loss.
    assert (flow.slope * flow.slope.grad).item() == pytest.approx(4 * loss.item(), rel=0.01)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_losses_take_few_rows(loss, n):
    flow = Bent(GaussianFlow())
    value = loss(flow, torch.zeros(n, 3).double(), torch.ones(n, 3).double())
    value.backward()
    assert value.isfinite()
    assert flow.errors.grad.isfinite().all()


# -- optimal transport -------------------------------------------------------------------------


@settings(deadline=None, max_examples=20)
@given(n=st.integers(1, 150), d=st.integers(1, 4), seed=st.integers(0, 99))
def test_coupling_orders_each_64_rows_at_the_least_cost(n, d, seed):
    noise, data = tensor(np.random.default_rng(seed).normal(size=(2, n, d)))
    ordered = couple(noise, data)
    for i in range(0, n, 64):
        own, found, targets = (part[i : i + 64] for part in (noise, ordered, data))
        costs = torch.cdist(own, targets).square().numpy()
        least = costs[linear_sum_assignment(costs)].sum()
        assert (found - targets).square().sum().item() == pytest.approx(least)
        assert sorted(found.tolist()) == sorted(own.tolist())


def test_coupling_in_one_dimension_keeps_the_order():
    noise, data = tensor(np.random.default_rng(0).normal(size=(2, 40, 1)))
    ordered = couple(noise, data)
    np.testing.assert_array_equal(ordered.argsort(0), data.argsort(0))


# -- posteriors --------------------------------------------------------------------------------


@pytest.mark.parametrize("n_steps", [1, 2, 5, 20])
def test_linear_gaussian_draws_are_the_closed_form_at_any_number_of_steps(n_steps):
    sampler = FlowLinearGaussianPosterior(exact_flow(), n_steps)
    sampler.calibrate(LinearGaussian(A, B, R))
    y = np.array([1.7, -0.4])
    gain = S @ A.T @ np.linalg.inv(A @ S @ A.T + R)
    mean, covariance = law_of(sampler, y)
    np.testing.assert_allclose(mean, MEAN + gain @ (y - B - A @ MEAN), atol=1e-9)
    np.testing.assert_allclose(covariance, S - gain @ A @ S, atol=1e-9)


def test_restored_features_of_matched_noise_are_distributed_as_the_prior():
    noise = 0.7
    sampler = FlowMatchedNoise(exact_flow(), 1)
    sampler.calibrate(LinearGaussian(np.eye(3), B.repeat([1, 2]), noise**2 * np.eye(3)))
    assert sampler.start.item() == pytest.approx(1 / (1 + noise), rel=1e-3)
    # Draws are affine in the observation, which is N(mean + b, S + R).
    rows = np.concatenate([np.zeros((1, 3)), np.eye(3)]) + B.repeat([1, 2])
    places, spreads = zip(*(law_of(sampler, row) for row in rows), strict=True)
    matrix = np.stack(places[1:]) - places[0]
    covariance = matrix.T @ (S + noise**2 * np.eye(3)) @ matrix + spreads[0]
    np.testing.assert_allclose(covariance, S, atol=1e-3)
    np.testing.assert_allclose(MEAN @ matrix + places[0], MEAN, atol=1e-3)


def test_matched_noise_without_information_draws_from_the_prior():
    sampler = FlowMatchedNoise(exact_flow(), 1)
    sampler.calibrate(LinearGaussian(np.zeros((2, 3)), B, R))
    mean, covariance = law_of(sampler, [3.0, -8.0])
    # It starts at a time of little signal, not of none.
    np.testing.assert_allclose(mean, MEAN, atol=0.02)
    np.testing.assert_allclose(covariance, S, atol=0.02)


def test_learned_alpha_starts_a_flow_at_the_time_alpha():
    sampler = LearnedAlpha(exact_flow(), 1, 2).double()
    y = tensor([[0.4, 1.2]])
    with torch.no_grad():
        f = sampler.map(y)
        alpha = sampler.adapter(f).softmax(-1)[:, :1]
        expected = sampler.latent.move(alpha * f, alpha, time(1.0))
        found, _ = law_of(sampler, y[0].numpy())
    np.testing.assert_allclose(found, expected[0], rtol=1e-9)


@pytest.mark.parametrize("name", ["learned-alpha", "linear-gaussian", "matched-noise"])
@pytest.mark.parametrize("dynamics", FLOWS)
def test_draws_of_flows_are_differentiable_in_the_observation(dynamics, name):
    sampler = make_posterior_sampler(name, exact_flow(dynamics), 2, 2).double()
    if sampler.needs_measurement:
        sampler.calibrate(LinearGaussian(A, B, R))
    y = tensor([[0.4, 1.2], [-2.0, 0.1]]).requires_grad_()

    def draw(y):
        return sampler.draw(y, 2, torch.Generator().manual_seed(0))

    assert torch.autograd.gradcheck(draw, y)


@pytest.mark.parametrize("name", ["linear-gaussian", "matched-noise"])
def test_a_flow_of_coupled_noise_is_no_noisy_measurement(name):
    with pytest.raises(ValueError, match=f"degradation='{name}'.*independent.*'none'"):
        make_posterior_sampler(name, LatentFlow("flow", 3, coupled=True), 2, 2)


def test_unknown_flows_are_refused_by_name():
    with pytest.raises(ValueError, match=r"'bridge'.*flow, flow-map, mean-flow, shortcut"):
        LatentFlow("bridge", 3)


# -- densities ---------------------------------------------------------------------------------


def test_the_density_of_an_exact_flow_is_that_of_the_features():
    u = np.random.default_rng(0).multivariate_normal(MEAN, S, 20)
    with torch.no_grad():
        density = exact_flow().log_density(tensor(u))
    np.testing.assert_allclose(density, multivariate_normal(MEAN, S).logpdf(u), atol=2e-3)


def test_the_density_of_an_untrained_flow_is_standard_normal():
    u = tensor(np.random.default_rng(0).normal(size=(5, 40)))
    with torch.no_grad():
        density = LatentFlow("mean-flow", 40).double().log_density(u)
    normal = -0.5 * (u.square().sum(1) + 40 * math.log(2 * math.pi))
    torch.testing.assert_close(density, normal, rtol=1e-3, atol=1e-3)

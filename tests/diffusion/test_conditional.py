"""Generation under a condition: what an exact network would give, and what a trained one gives."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skgdpd.diffusion import ConditionalDiffusion
from skgdpd.diffusion.conditional import token_width_of
from skgdpd.diffusion.sampler import NoiseSource
from skgdpd.distillers.generator import SharedNoise

SLOPE = torch.tensor([[0.8, -0.3], [0.2, 0.6], [-0.5, 0.4], [0.6, 0.6]])
SPREAD = torch.tensor(
    [[0.6, 0.0, 0.0, 0.0], [0.3, 0.5, 0.0, 0.0], [0.2, -0.2, 0.6, 0.0], [-0.2, 0.1, 0.3, 0.5]]
)
COVARIANCE = SPREAD @ SPREAD.T


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def directions(angles):
    """Conditions ``(n, 4)`` that layer normalisation multiplies by a constant."""
    return torch.stack([angles.cos(), angles.sin(), -angles.cos(), -angles.sin()], 1)


def means(z):
    """E[u | z], linear in z."""
    return math.sqrt(2) * z[:, :2] @ SLOPE.T.to(z)


def pairs(n):
    z = directions(2 * math.pi * torch.rand(n))
    return means(z) + torch.randn(n, 4) @ SPREAD.T, z


def make_model(token_width=4, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ConditionalDiffusion(4, 4, token_width, **{"hidden": 32, **settings})


def awake(model):
    """The model with weights where it starts with zeros."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for parameter in model.parameters():
            parameter.data.add_(0.3 * torch.randn_like(parameter))
    return model


def trained(model, n_steps):
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model.set_bounds(pairs(2000)[0])
        optimizer = torch.optim.Adam(model.parameters(), 4e-3, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
        for _ in range(n_steps):
            optimizer.zero_grad()
            u, z = pairs(128)
            model.loss(u, z, 2, dropout=0.2).mean().backward()
            optimizer.step()
            schedule.step()
    return model.double().requires_grad_(False)


def draws(model, z, n=1000, n_steps=128, guidance=1.0):
    noise = NoiseSource(torch.Generator().manual_seed(0), n)
    return model.draw(z, noise, n_steps, guidance)


# Widths of tokens


@given(st.integers(1, 600))
def test_tokens_divide_the_feature_and_are_as_wide_as_may_be(n_features):
    width = token_width_of(n_features)
    assert n_features % width == 0
    assert width <= 64
    assert not any(n_features % wider == 0 for wider in range(width + 1, 65))
    assert token_width_of(n_features, joint=True) == n_features


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"token_width": 5},
            "token_width=5 doesn't divide the 12 .*allowed are 1, 2, 3, 4, 6, 12",
        ),
        ({"token_width": 24}, "token_width=24 doesn't divide the 12"),
        ({"token_width": 4, "joint": True}, "token_width=4 with joint=True"),
    ],
)
def test_a_width_that_does_not_divide_is_named(settings, words):
    with pytest.raises(ValueError, match=words):
        token_width_of(12, **settings)


# Identities


@pytest.mark.parametrize("prediction", ["v", "eps"])
@pytest.mark.parametrize("token_width", [1, 2, 4])
def test_a_fresh_network_answers_zero_so_the_loss_is_one(token_width, prediction):
    model = make_model(token_width, prediction=prediction)
    u, z = torch.tensor([1.0, -1.0])[torch.randint(2, (5, 4))], pairs(5)[1]
    t = torch.tensor([0, 10, 500, 900, 999])
    condition = model.denoiser.condition(z)
    assert (model.denoiser(u, t, condition) == 0).all()
    losses = model.loss(u, z, 4000, 0.2, torch.Generator().manual_seed(0))
    assert losses.shape == (5,)
    torch.testing.assert_close(losses, torch.ones(5), rtol=0, atol=0.05)


def test_guidance_of_one_is_the_condition_and_of_zero_none():
    model = awake(make_model(prediction="eps"))
    u, z = pairs(6)
    t = torch.full((1,), 300)
    condition = model.denoiser.condition(z)
    conditional = model.denoiser(u, t, condition)
    free = model.denoiser(u, t, model.denoiser.nothing)
    assert not torch.allclose(conditional, free)
    assert torch.equal(model.predict_noise(u, t, condition, 1.0), conditional)
    assert torch.equal(model.predict_noise(u, t, condition, 0.0), free)
    torch.testing.assert_close(
        model.predict_noise(u, t, condition, 2.0), 2 * conditional - free, rtol=1e-4, atol=1e-5
    )
    # The formula has the same limits.
    torch.testing.assert_close(
        model.predict_noise(u, t, condition, 1 - 1e-6), conditional, rtol=1e-3, atol=1e-4
    )


def test_noise_and_feature_follow_from_what_is_predicted():
    """An answer of v is one of eps: both give the same noise, and v gives the feature, too."""
    u, z = pairs(6)
    eps = torch.randn(6, 4)
    for step in (0, 400, 999):
        t = torch.full((6,), step)
        model = make_model(prediction="v")
        signal, noise = model.schedule.shares(t)
        v = signal.sqrt() * eps - noise.sqrt() * u
        u_t = signal.sqrt() * u + noise.sqrt() * eps
        model.denoiser = Fixed(v)
        torch.testing.assert_close(model.predict_noise(u_t, t, z, 1.0), eps, rtol=0, atol=1e-5)
        torch.testing.assert_close(signal.sqrt() * u_t - noise.sqrt() * v, u, rtol=0, atol=1e-5)


class Fixed(torch.nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, u_t, t, condition):
        return self.answer


def test_a_step_for_all_rows_is_that_step_for_each():
    model = awake(make_model(2))
    u, z = pairs(6)
    condition = model.denoiser.condition(z)
    torch.testing.assert_close(
        model.denoiser(u, torch.full((1,), 40), condition),
        model.denoiser(u, torch.full((6,), 40), condition),
    )
    several = model.denoiser(torch.stack([u, -u]), torch.full((2, 6), 40), condition)
    torch.testing.assert_close(several[1], model.denoiser(-u, torch.full((6,), 40), condition))


@pytest.mark.parametrize("token_width", [1, 2])
def test_a_token_does_not_see_the_others(token_width):
    model = awake(make_model(token_width))
    u, z = pairs(3)
    other = u.clone()
    other[:, token_width:] += 1
    t, condition = torch.full((1,), 300), model.denoiser.condition(z)
    one, two = (model.denoiser(x, t, condition) for x in (u, other))
    torch.testing.assert_close(one[:, :token_width], two[:, :token_width])
    assert not torch.allclose(one[:, token_width:], two[:, token_width:])


def test_tokens_know_which_they_are():
    model = awake(make_model(2))
    u = torch.tensor([[0.3, -0.2, 0.3, -0.2]])
    out = model.denoiser(u, torch.full((1,), 300), model.denoiser.nothing)
    assert not torch.allclose(out[:, :2], out[:, 2:])


def test_only_direction_of_the_condition_counts():
    model = awake(make_model()).double()
    z = torch.tensor([[1.0, -2.0, 0.5, 3.0]], dtype=torch.float64)
    torch.testing.assert_close(
        model.denoiser.condition(z), model.denoiser.condition(100 * z - 7), rtol=1e-4, atol=1e-4
    )


def test_the_condition_gets_a_gradient_unless_it_is_withheld():
    model = awake(make_model())
    u, z = pairs(8)
    for dropout, reached in [(0.0, True), (1.0, False)]:
        z = z.detach().requires_grad_()
        model.loss(u, z, 2, dropout, torch.Generator().manual_seed(0)).sum().backward()
        assert bool(z.grad.abs().sum() > 0) == reached


def test_draws_lie_within_bounds_whatever_the_network_says():
    model = awake(make_model()).double().requires_grad_(False)
    u, z = pairs(50)
    model.set_bounds(u)
    found = draws(model, z.double(), n=3, n_steps=8)
    assert found.shape == (3, 50, 4)
    assert (found >= u.amin(0) - 1.001).all()
    assert (found <= u.amax(0) + 1.001).all()


def test_shared_noise_makes_a_row_independent_of_the_others():
    model = awake(make_model()).double().requires_grad_(False)
    u, z = pairs(7)
    model.set_bounds(u)
    together = model.draw(z.double(), SharedNoise(3, 4), 16)
    for i in range(7):
        alone = model.draw(z[i : i + 1].double(), SharedNoise(3, 4), 16)
        torch.testing.assert_close(alone[:, 0], together[:, i], rtol=1e-9, atol=1e-9)
    assert not torch.allclose(together[0], together[1])
    assert not torch.allclose(together, model.draw(z.double(), SharedNoise(4, 4), 16))


# Laws


class Exact(torch.nn.Module):
    """The denoiser of u given z ~ N(means(z), COVARIANCE), in closed form."""

    def __init__(self, schedule):
        super().__init__()
        self.schedule = schedule

    def condition(self, z):
        return means(z)

    def forward(self, u_t, t, condition):
        signal, noise = self.schedule.alpha_bar[t], self.schedule.complement[t]
        marginal = signal * COVARIANCE.to(u_t) + noise * torch.eye(4, dtype=u_t.dtype)
        centred = u_t - signal.sqrt() * condition
        return noise.sqrt() * centred @ torch.linalg.inv(marginal)


ANGLES = torch.tensor([0.3, 2.0, 4.0], dtype=torch.float64)


def moments(found):
    covariances = torch.stack([torch.cov(found[:, i].T) for i in range(found.shape[1])])
    return found.mean(0), covariances.mean(0)


@pytest.mark.parametrize(("n_steps", "tolerance"), [(64, 0.1), (400, 0.03)])
def test_an_exact_network_gives_the_conditional_mean_and_covariance(n_steps, tolerance):
    model = make_model(prediction="eps").double()
    model.denoiser = Exact(model.schedule)
    z = directions(ANGLES)
    mean, covariance = moments(draws(model, z, 10000, n_steps))
    torch.testing.assert_close(mean, means(z), rtol=0, atol=0.03)
    torch.testing.assert_close(covariance, COVARIANCE.double(), rtol=0, atol=tolerance)


def test_few_ancestral_steps_draw_too_narrow_and_never_too_wide():
    model = make_model(prediction="eps").double()
    model.denoiser = Exact(model.schedule)
    z = directions(ANGLES)
    spreads = [
        moments(draws(model, z, 4000, n_steps))[1].trace() / COVARIANCE.trace()
        for n_steps in (16, 64, 400)
    ]
    assert spreads[0] < spreads[1] < spreads[2] < 1.05
    assert spreads[0] > 0.6


@pytest.mark.slow
def test_a_joint_network_learns_the_conditional_mean_and_covariance():
    model = trained(make_model(hidden=48), 600)
    z = directions(ANGLES)
    mean, covariance = moments(draws(model, z, 800, 64))
    torch.testing.assert_close(mean, means(z), rtol=0, atol=0.15)
    torch.testing.assert_close(covariance, COVARIANCE.double(), rtol=0, atol=0.12)
    free_mean, free = moments(draws(model, z, 800, 64, 0.0))
    torch.testing.assert_close(free_mean, torch.zeros(3, 4, dtype=torch.float64), rtol=0, atol=0.2)
    marginal = (SLOPE @ SLOPE.T + COVARIANCE).double()
    torch.testing.assert_close(free, marginal, rtol=0, atol=0.25)


@pytest.mark.slow
def test_split_tokens_keep_what_is_within_and_forget_what_is_between():
    model = trained(make_model(2, hidden=64), 1200)
    z = directions(ANGLES)
    mean, covariance = moments(draws(model, z, 800, 64))
    torch.testing.assert_close(mean, means(z), rtol=0, atol=0.15)
    blocks = torch.block_diag(COVARIANCE[:2, :2], COVARIANCE[2:, 2:]).double()
    torch.testing.assert_close(covariance, blocks, rtol=0, atol=0.12)

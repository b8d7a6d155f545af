"""A conditional prior in GDPD's loss: where gradients go, and what draws are on average."""

import warnings

import numpy as np
import pytest
import torch
from joblib import Memory
from torch import nn

from conditional_prior import ConditionalPrior, ddim_draws, frozen
from skgdpd import DistilledPrefixClassifier, GenDDClassifier, GeneratorOptions
from skgdpd.datasets import make_bumps
from skgdpd.diffusion import ConditionalDiffusion
from skgdpd.diffusion.sampler import NoiseSource
from skgdpd.distillers import DistillationContext
from skgdpd.nets.student import SeriesNet, SeriesOutput
from skgdpd.training import Progress, Rows, Step

N_STUDENT, N_TEACHER, N_CLASSES = 3, 4, 2
SLOPE = torch.tensor([[0.8, -0.3, 0.0], [0.2, 0.6, 0.3], [-0.5, 0.4, 0.2], [0.6, 0.6, -0.4]])
SPREAD = 0.5


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


class Flat(nn.Sequential):
    n_features = N_STUDENT

    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(5, N_STUDENT))


def pairs(n):
    """Student features, and teacher features that are linear in them but for Gaussian noise."""
    z = torch.randn(n, N_STUDENT)
    return z, z @ SLOPE.T + SPREAD * torch.randn(n, N_TEACHER)


def make_rows(n=40):
    z_short, z_long = pairs(n)
    y = torch.arange(n) % N_CLASSES
    logits = torch.randn(n, N_CLASSES)
    return Rows(y=y, z_short=z_short, teacher_features=z_long, teacher_logits=logits)


def prepared(rows, **settings):
    context = DistillationContext(
        rows, N_STUDENT, N_CLASSES, 10, 0, Memory(None), Progress(1, visible=False)
    )
    return ConditionalPrior(**settings).prepare(context)


def make_output(student, z_short):
    features = z_short.clone().requires_grad_()
    return SeriesOutput(features, student.head(features))


def at(epoch):
    return Step(epoch=epoch, generator=torch.Generator().manual_seed(0))


def awake(diffusion):
    """The network with weights where it starts with zeros."""
    for parameter in diffusion.parameters():
        parameter.data.add_(0.3 * torch.randn_like(parameter))
    return diffusion


def test_draws_teach_the_student_and_not_the_network():
    rows, student = make_rows(), SeriesNet(Flat(), N_CLASSES)
    distillation = prepared(rows)
    awake(distillation.diffusion)
    output = make_output(student, rows.tensors["z_short"])
    terms = distillation.terms(student, output, rows.everything(), at(5))
    terms["conditional"].backward()
    assert (output.features.grad != 0).any(1).all()
    assert all(p.grad is None for p in distillation.diffusion.parameters())
    assert all(p.grad is not None for p in distillation.projection.parameters())


def test_pairs_teach_the_network_and_not_the_student():
    rows, student = make_rows(), SeriesNet(Flat(), N_CLASSES)
    distillation = prepared(rows)
    output = make_output(student, rows.tensors["z_short"])
    terms = distillation.terms(student, output, rows.everything(), at(0))
    assert set(terms) == {"denoiser"}  # the warm-up
    torch.testing.assert_close(terms["denoiser"], torch.tensor(1.0), rtol=0, atol=0.2)
    terms["denoiser"].backward()
    assert output.features.grad is None
    assert distillation.diffusion.denoiser.leave.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("settings", [{"lambda_kd": 0.0}, {"hinton_weight": 1.0}])
def test_weights_decide_which_terms_there_are(settings):
    rows, student = make_rows(), SeriesNet(Flat(), N_CLASSES)
    distillation = prepared(rows, **settings)
    output = make_output(student, rows.tensors["z_short"])
    found = set(distillation.terms(student, output, rows.everything(), at(9)))
    assert ("conditional" in found) == ("lambda_kd" not in settings)
    assert ("hinton" in found) == ("hinton_weight" in settings)


def test_a_frozen_module_is_trained_again_afterwards():
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).requires_grad_(False))
    before = [p.requires_grad for p in module.parameters()]
    with frozen(module):
        assert not any(p.requires_grad for p in module.parameters())
    assert [p.requires_grad for p in module.parameters()] == before


# Laws


class Exact(nn.Module):
    """The denoiser of u given z ~ N(SLOPE z, SPREAD²), in closed form."""

    def __init__(self, schedule):
        super().__init__()
        self.schedule = schedule

    def condition(self, z):
        return z @ SLOPE.T.to(z)

    def forward(self, u_t, t, condition):
        signal, noise = self.schedule.alpha_bar[t], self.schedule.complement[t]
        centred = u_t - signal.sqrt() * condition
        return noise.sqrt() * centred / (signal * SPREAD**2 + noise)


class Mirrored(NoiseSource):
    """Noise of two draws, of which the second is the first's with the other sign."""

    def normal(self, x, width=None):
        half = torch.randn(len(x) // 2, x.shape[1], dtype=x.dtype)
        return torch.cat([half, -half])


@pytest.mark.parametrize("n_steps", [1, 4, 50])
def test_draws_of_an_exact_network_have_the_conditional_mean_at_any_number_of_steps(n_steps):
    model = ConditionalDiffusion(N_TEACHER, N_STUDENT, N_TEACHER, prediction="eps").double()
    model.denoiser = Exact(model.schedule)
    z = torch.randn(6, N_STUDENT, dtype=torch.float64)
    draws = ddim_draws(model, z, Mirrored(n_draws=2), n_steps)
    # A draw is an affine function of its noise, so the noise's mean, 0, gives the mean. The chain
    # starts a little off: as if no signal were left at the last level.
    torch.testing.assert_close(draws.mean(0), z @ SLOPE.T.double(), rtol=0, atol=1e-3)


def test_many_steps_of_an_exact_network_have_the_conditional_spread():
    model = ConditionalDiffusion(N_TEACHER, N_STUDENT, N_TEACHER, prediction="eps").double()
    model.denoiser = Exact(model.schedule)
    z = torch.randn(1, N_STUDENT, dtype=torch.float64)
    draws = ddim_draws(model, z, NoiseSource(n_draws=4000), 400)
    expected = torch.full((N_TEACHER,), SPREAD, dtype=torch.float64)
    torch.testing.assert_close(draws[:, 0].std(0), expected, rtol=0, atol=0.03)


@pytest.mark.slow
def test_a_network_that_learned_from_linear_pairs_draws_with_the_conditional_mean():
    rows, student = make_rows(2000), SeriesNet(Flat(), N_CLASSES)
    distillation = prepared(rows)
    optimizer = torch.optim.Adam(distillation.diffusion.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 300)
    for _ in range(300):
        batch = rows.select(torch.randint(len(rows), (64,)))
        output = make_output(student, batch["z_short"])
        optimizer.zero_grad()
        distillation.terms(student, output, batch, at_random())["denoiser"].backward()
        optimizer.step()
        schedule.step()
    distillation.eval()
    z = torch.tensor([[1.0, 0.0, 0.0], [0.0, -1.0, 0.5], [-0.7, 0.7, 0.7]])
    with torch.no_grad():
        condition = distillation.condition(make_output(student, z))
        codes = ddim_draws(distillation.diffusion, condition, NoiseSource(n_draws=400), 4)
        drawn = distillation.encoder.decode(codes).mean(0)
    torch.testing.assert_close(drawn, z @ SLOPE.T, rtol=0, atol=0.2)


def at_random():
    return Step(epoch=0, generator=torch.Generator().manual_seed(int(torch.randint(2**31, ()))))


# Fits

SETTINGS = {"student": "fcn24", "earliness": 0.5, "max_epochs": 4, "random_state": 0}


def fitted(distiller, X, y, pool):
    clf = DistilledPrefixClassifier(distiller, **SETTINGS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return clf.fit(X, y, pool)


def test_the_same_seed_gives_the_same_bits():
    X, y = make_bumps(40, 30, random_state=0)
    first, second = (
        fitted(ConditionalPrior(hinton_weight=1.0), X[:30], y[:30], X[30:]) for _ in range(2)
    )
    assert set(first.history_) >= {"ce", "denoiser", "conditional", "hinton"}
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))


def test_a_fitted_generator_is_used_as_it_is():
    X, y = make_bumps(40, 30, random_state=0)
    generating = GenDDClassifier(generator=GeneratorOptions(max_epochs=1), **SETTINGS).fit(X, y)
    generator = generating.predictor_
    clf = fitted(ConditionalPrior(generator=generator), X, y, None)
    before, after = generator.diffusion.state_dict(), clf.distillation_.diffusion.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    # Both have one teacher, so that the generator's features are those of this fit.
    np.testing.assert_array_equal(clf.teacher_.embed(X), generating.teacher_.embed(X))
    student = clf.network_.module
    awake(clf.distillation_.diffusion)
    output = make_output(student, torch.randn(5, student.head.in_features))
    condition = clf.distillation_.condition(output)
    clf.distillation_.classify(student, condition, NoiseSource()).square().sum().backward()
    assert (output.features.grad != 0).any(1).all()

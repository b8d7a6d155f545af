"""DiffusionFeaturePrior with flows: all that diffusion does, or a refusal by name."""

import copy
import functools
import pickle
from unittest import mock

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    GDPDClassifier,
    SharedGridSearchCV,
    load,
)
from skgdpd.datasets import make_bumps
from skgdpd.diffusion import LatentFlow, make_posterior_sampler
from skgdpd.distillers import GDPD, DiffKD
from skgdpd.plotting.restoration import restore

FLOWS = ["flow", "flow-map", "mean-flow", "shortcut"]
slow = pytest.mark.slow
MAPS = ["flow-map", "shortcut", pytest.param("mean-flow", marks=slow)]
TRAINED_FLOWS = [*MAPS, pytest.param("flow", marks=slow)]
ALONE = ["linear-gaussian", "matched-noise", "none"]
EVERY = [*ALONE, "learned-alpha"]
QUICK = {"max_epochs": 2, "n_posterior_samples": 4, "random_state": 0, "device": "cpu"}
TRAINED = {"max_epochs": 12, "lr": 3e-3, "random_state": 0, "device": "cpu"}
STUDENT = {"student": "lstm1-8", "earliness": 0.5, "max_epochs": 3, "random_state": 0}

MEAN = np.array([1.0, -0.5, 0.3])
S = np.array([[1.0, 0.6, 0.0], [0.6, 1.5, -0.4], [0.0, -0.4, 0.5]])
A = np.array([[1.0, 0.5, 0.0], [0.0, 0.3, 1.0]])
B = np.array([0.5, -1.0])
R = np.array([[0.3, 0.1], [0.1, 0.2]])
GAIN = S @ A.T @ np.linalg.inv(A @ S @ A.T + R)


def gaussian_pairs(n, seed=0):
    rng = np.random.default_rng(seed)
    Z = rng.multivariate_normal(MEAN, S, n)
    return Z, Z @ A.T + B + rng.multivariate_normal(np.zeros(2), R, n)


def two_classes(n=60, d=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.where(np.arange(n) < n / 2, "healthy", "ill")
    return rng.normal(size=(n, d)) + 2 * (y == "ill")[:, None], y


@functools.cache
def prior_of_pairs(dynamics):
    Z, Z_short = gaussian_pairs(2000)
    return DiffusionFeaturePrior(dynamics=dynamics, n_posterior_samples=150, **TRAINED).fit(
        Z, None, Z_short
    )


def fitted(dynamics="flow-map", **settings):
    Z, y = two_classes()
    return DiffusionFeaturePrior(dynamics=dynamics, **{**QUICK, **settings}).fit(Z, y), Z, y


def outputs(prior, Z):
    return [
        prior.sample(3),
        prior.posterior_sample(Z[:4], 3),
        prior.transform(Z[:4]),
        prior.predict_proba(Z[:4]),
        prior.score_samples(Z[:4]),
    ]


# -- what is learned ---------------------------------------------------------------------------


@pytest.mark.parametrize("dynamics", TRAINED_FLOWS)
def test_posterior_draws_of_gaussian_features_are_near_the_closed_form(dynamics):
    prior = prior_of_pairs(dynamics)
    _, Z_short = gaussian_pairs(60, seed=1)
    spread = S - GAIN @ A @ S
    error = prior.transform(Z_short) - MEAN - (Z_short - B - A @ MEAN) @ GAIN.T
    assert np.sqrt(np.square(error).sum(1).mean() / np.trace(spread)) < 0.2
    draws = prior.posterior_sample(Z_short[:20], 500)
    covariance = np.mean([np.cov(of_one.T) for of_one in draws], axis=0)
    np.testing.assert_allclose(covariance, spread, atol=0.08)


@pytest.mark.parametrize("dynamics", TRAINED_FLOWS)
def test_draws_from_a_learned_flow_have_the_features_moments(dynamics):
    draws = prior_of_pairs(dynamics).sample(2000)
    np.testing.assert_allclose(draws.mean(0), MEAN, atol=0.15)
    np.testing.assert_allclose(np.cov(draws.T), S, atol=0.25)


@functools.cache
def exact_map():
    """Matrix of the flow from noise to standardised Gaussian features."""
    deviations = np.sqrt(np.diag(S))
    variances, axes = np.linalg.eigh(S / np.outer(deviations, deviations))
    return axes * np.sqrt(variances) @ axes.T


@pytest.mark.parametrize("n_steps", [1, 2, 4])
@pytest.mark.parametrize("dynamics", MAPS)
def test_a_learned_map_of_gaussian_features_is_near_the_exact_one(dynamics, n_steps):
    latent = prior_of_pairs(dynamics).latent_
    noise = np.random.default_rng(0).normal(size=(1000, 3))
    moved = latent.transport(torch.as_tensor(noise), torch.zeros(1, 1).double(), n_steps)
    error = np.square(moved.numpy() - noise @ exact_map()).mean()
    # An untrained network leaves the noise where it is.
    assert error < 0.1 * np.square(noise - noise @ exact_map()).mean()


@pytest.mark.parametrize("halvings", [0, 1, 2, 3])
@pytest.mark.parametrize("dynamics", MAPS)
def test_one_step_of_a_learned_map_is_two_of_half_its_length(dynamics, halvings):
    latent, length = prior_of_pairs(dynamics).latent_, 0.5**halvings
    noise, standard = torch.as_tensor(np.random.default_rng(0).normal(size=(2, 1000, 3)))
    features = standard @ torch.as_tensor(exact_map())
    for s in torch.arange(0, 1, length, dtype=torch.float64).view(-1, 1, 1):
        x = (1 - s) * noise + s * features
        once, half = latent.move(x, s, s + length), s + length / 2
        twice = latent.move(latent.move(x, s, half), half, s + length)
        assert (once - twice).square().mean().sqrt() < 0.05


def wasserstein(a, b):
    """Wasserstein-2 distance of two samples of one number: sorted, they are paired."""
    return np.sqrt(np.square(np.sort(a, axis=None) - np.sort(b, axis=None)).mean())


@functools.cache
def distance_from_two_gaussians(dynamics, degradation="linear-gaussian", n_steps=1):
    """Wasserstein-2 distance of draws from the features of two Gaussians."""
    rng = np.random.default_rng(0)
    Z = rng.normal(np.where(rng.random(1000) < 0.3, -2, 1), 0.3)[:, None]
    settings = {**TRAINED, "max_epochs": 40, "degradation": degradation}
    prior = DiffusionFeaturePrior(dynamics=dynamics, **settings).fit(Z)
    sampler = make_posterior_sampler("none", prior.latent_, n_steps, 1)
    draws = sampler.draw(torch.zeros(1000, 1).double(), 1, torch.Generator().manual_seed(0))
    return wasserstein(prior.encoder_.decode(draws[0]).numpy(), Z)


@pytest.mark.parametrize("dynamics", MAPS)
def test_one_step_of_a_map_makes_two_gaussians(dynamics):
    assert distance_from_two_gaussians(dynamics) < 0.4


def test_one_step_of_a_flow_map_is_nearer_than_five_steps_of_a_diffusion():
    five = distance_from_two_gaussians("diffusion", n_steps=5)
    assert distance_from_two_gaussians("flow-map") < five


@slow
def test_one_straight_step_of_independent_noise_leads_to_the_mean():
    # The deviation of the features is 1.4, and the nearest normal distribution is 0.7 away.
    assert distance_from_two_gaussians("flow") > 1


def test_one_straight_step_of_coupled_noise_makes_two_gaussians():
    assert distance_from_two_gaussians("flow", "none") < 0.4


@pytest.mark.parametrize("dynamics", TRAINED_FLOWS)
def test_the_log_density_is_higher_where_the_features_are(dynamics):
    prior = prior_of_pairs(dynamics)
    inside, _ = gaussian_pairs(20, seed=3)
    assert prior.score_samples(inside).min() > prior.score_samples(inside + 8).max()


def test_the_log_density_counts_the_units_of_the_features():
    Z, _ = two_classes(30)
    ones, tens = (
        DiffusionFeaturePrior(dynamics="flow", **QUICK).fit(scale * Z) for scale in (1, 10)
    )
    difference = ones.score_samples(Z) - tens.score_samples(10 * Z)
    np.testing.assert_allclose(difference, 3 * np.log(10), rtol=1e-4)


def test_class_probabilities_of_restored_features_come_near_bayes_rule():
    means, noise = np.array([[-1.0, 0.5], [1.0, -0.5]]), 0.8
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=1500)
    Z = means[y] + 0.5 * rng.normal(size=(1500, 2))
    settings = {**TRAINED, "n_posterior_samples": 50, "measurement_noise": noise}
    prior = DiffusionFeaturePrior(dynamics="flow", **settings).fit(Z, y)
    seen = Z[:200] + noise * rng.normal(size=(200, 2))
    spread = (0.5**2 + noise**2) * np.eye(2)
    density = np.stack([multivariate_normal(mean, spread).pdf(seen) for mean in means], 1)
    bayes = density / density.sum(1, keepdims=True)
    assert np.abs(prior.predict_proba(seen) - bayes).mean() < 0.05


# -- manners -----------------------------------------------------------------------------------


@pytest.mark.parametrize("with_pairs", [False, True])
@pytest.mark.parametrize(
    ("dynamics", "encoder", "degradation"),
    [
        *((dynamics, "identity", degradation) for dynamics in FLOWS for degradation in ALONE),
        ("flow", "autoencoder", "none"),
        ("flow-map", "pca", "linear-gaussian"),
        ("mean-flow", "autoencoder", "matched-noise"),
    ],
)
def test_shapes_of_flows(dynamics, encoder, degradation, with_pairs):
    Z, y = two_classes(30, d=4)
    Z_short = Z[:, :2] if with_pairs else Z
    d = 4 if encoder == "identity" else 3
    prior = DiffusionFeaturePrior(
        dynamics=dynamics,
        encoder=encoder,
        n_latent=None if encoder == "identity" else 3,
        degradation=degradation,
        **QUICK,
    ).fit(Z, y, Z_short if with_pairs else None)
    assert isinstance(prior.latent_, LatentFlow)
    assert prior.sample(7).shape == (7, d)
    assert prior.posterior_sample(Z_short[:5], 6).shape == (5, 6, d)
    assert prior.transform(Z_short[:5]).shape == (5, d)
    assert prior.score_samples(Z[:5]).shape == (5,)
    proba = prior.predict_proba(Z_short)
    assert proba.shape == (30, 2)
    np.testing.assert_allclose(proba.sum(1), 1)
    assert "flow" in prior.history_.terms


@pytest.mark.parametrize("degradation", ALONE)
@pytest.mark.parametrize("dynamics", FLOWS)
def test_flows_of_the_same_seed_have_the_same_bits(dynamics, degradation):
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    first, Z, _ = fitted(dynamics, degradation=degradation)
    second, _, _ = fitted(dynamics, degradation=degradation)
    for a, b, again in zip(outputs(first, Z), outputs(second, Z), outputs(first, Z), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, again)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.parametrize("degradation", ALONE)
@pytest.mark.parametrize("dynamics", FLOWS)
def test_copies_and_files_of_flows_predict_the_same(tmp_path, dynamics, degradation):
    prior, Z, _ = fitted(dynamics, degradation=degradation)
    prior.save(tmp_path / "prior")
    for other in (
        copy.deepcopy(prior),
        pickle.loads(pickle.dumps(prior)),
        load(tmp_path / "prior"),
    ):
        for a, b in zip(outputs(prior, Z), outputs(other, Z), strict=True):
            np.testing.assert_array_equal(a, b)


def test_clones_of_flows_fit_to_the_same():
    prior, Z, y = fitted()
    other = clone(prior)
    assert other.get_params() == prior.get_params()
    for a, b in zip(outputs(prior, Z), outputs(other.fit(Z, y), Z), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("degradation", ALONE)
@pytest.mark.parametrize("dynamics", FLOWS)
def test_what_flows_say_of_a_row_does_not_depend_on_the_others(dynamics, degradation):
    prior, Z, _ = fitted(dynamics, degradation=degradation)
    for method in (prior.transform, prior.predict_proba, prior.score_samples):
        alone = np.concatenate([method(Z[[i]]) for i in range(4)])
        np.testing.assert_allclose(method(Z)[:4], alone, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("degradation", ["linear-gaussian", "none"])
@pytest.mark.parametrize("dynamics", FLOWS)
def test_a_flow_of_a_single_sample_is_finite(dynamics, degradation):
    settings = {**QUICK, "n_noise_levels": 1, "degradation": degradation}
    prior = DiffusionFeaturePrior(dynamics=dynamics, **settings).fit(np.ones((1, 3)))
    assert np.isfinite(prior.sample(2)).all()
    assert np.isfinite(prior.transform(np.zeros((2, 3)))).all()


def test_a_search_may_choose_the_dynamics():
    Z, y = two_classes()
    grid = {"dynamics": ["diffusion", *FLOWS], "n_sampling_steps": [1, 2]}
    prior = DiffusionFeaturePrior(**QUICK, n_diffusion_steps=20)
    search = GridSearchCV(prior, grid, cv=2, error_score="raise").fit(Z, y)
    assert search.best_score_ > 0.8


@pytest.mark.parametrize("dynamics", ["flow-map", "mean-flow", "shortcut"])
def test_draws_of_maps_take_as_many_steps_as_asked_for(dynamics):
    draws = []
    for n_steps in (1, 4):
        prior, _, _ = fitted(dynamics, n_sampling_steps=n_steps)
        draws.append(prior.sample(3))
    assert not np.allclose(*draws)


# -- with students -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bumps():
    return make_bumps(n_samples=40, random_state=0)


@pytest.mark.parametrize("degradation", EVERY)
@pytest.mark.parametrize("dynamics", FLOWS)
def test_flows_teach_students(bumps, dynamics, degradation):
    X, y = bumps
    prior = DiffusionFeaturePrior(
        dynamics=dynamics, degradation=degradation, n_sampling_steps=2, max_epochs=2
    )
    clf = GDPDClassifier("lstm1-8", prior=prior, **STUDENT).fit(X, y)
    assert isinstance(clf.prior_.latent_, LatentFlow)
    assert clf.prior_.latent_.coupled == (degradation in ("none", "learned-alpha"))
    assert np.isfinite(clf.history_.terms["gdpd"]).any()
    assert np.isfinite(clf.predict_proba(X[:, :, : clf.prefix_length_])).all()
    # Plots draw from the prior once more.
    restored = restore(clf, X, n_draws=2)
    assert restored.draws.shape == (40, 2, clf.prior_.n_latent_)
    assert np.isfinite(restored.draws).all()


def test_a_student_taught_by_a_flow_comes_back_from_a_file_with_its_prior(bumps, tmp_path):
    X, y = bumps
    prior = DiffusionFeaturePrior(
        dynamics="mean-flow", degradation="learned-alpha", n_sampling_steps=1, max_epochs=2
    )
    clf = GDPDClassifier("lstm1-8", prior=prior, **STUDENT).fit(X, y)
    clf.save(tmp_path / "clf", include=["prior"])
    opened = load(tmp_path / "clf")
    seen = X[:, :, : clf.prefix_length_]
    np.testing.assert_array_equal(clf.predict_proba(seen), opened.predict_proba(seen))
    np.testing.assert_array_equal(clf.prior_.sample(3), opened.prior_.sample(3))


@pytest.mark.parametrize("kind", [GDPD, DiffKD])
def test_distillers_and_several_moments_take_flows(bumps, kind):
    X, y = bumps
    prior = DiffusionFeaturePrior(
        dynamics="flow-map", degradation="learned-alpha", n_sampling_steps=1, max_epochs=2
    )
    settings = {**STUDENT, "earliness": [0.3, 0.6]}
    clf = DistilledPrefixClassifier(kind(prior), teacher="lstm1-8", **settings).fit(X, y)
    assert np.isfinite(clf.predict_proba(X[:, :, : clf.prefix_length_])).all()


def test_a_flow_may_go_on_training_with_the_student(bumps):
    X, y = bumps
    prior = DiffusionFeaturePrior(
        dynamics="flow-map", degradation="learned-alpha", n_sampling_steps=1, max_epochs=2
    )
    clf = GDPDClassifier("lstm1-8", prior=prior, prior_trainable=True, **STUDENT).fit(X, y)
    moved = clf.distillation_.degradation.latent.state_dict()
    kept = clf.prior_.latent_.state_dict()
    assert not torch.equal(moved["network.leave.weight"].double(), kept["network.leave.weight"])


def test_a_shared_search_gives_what_a_plain_one_gives(bumps):
    X, y = bumps
    prior = DiffusionFeaturePrior(
        dynamics="flow-map", degradation="learned-alpha", n_sampling_steps=1, max_epochs=2
    )
    clf = GDPDClassifier("lstm1-8", prior=prior, **STUDENT)
    grid = {"lambda_kd": [0.1, 1.0, 3.0, 10.0], "prior__dynamics": ["flow-map", "diffusion"]}
    shared = SharedGridSearchCV(clf, grid, cv=2, scoring="neg_log_loss", refit=False).fit(X, y)
    plain = GridSearchCV(
        clf, grid, cv=2, scoring="neg_log_loss", refit=False, error_score="raise"
    ).fit(X, y)
    np.testing.assert_allclose(
        shared.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"], rtol=1e-4
    )


# -- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("denoiser", ["bottleneck", "gmm"])
@pytest.mark.parametrize("dynamics", FLOWS)
def test_flows_have_a_network_of_their_own(dynamics, denoiser):
    Z, _ = two_classes()
    with pytest.raises(ValueError, match=rf"denoiser='{denoiser}' with dynamics='{dynamics}'"):
        DiffusionFeaturePrior(denoiser, dynamics=dynamics).fit(Z)


def test_flows_of_another_denoiser_are_refused_before_any_teacher_is_trained(bumps):
    clf = GDPDClassifier("lstm1-8", prior=DiffusionFeaturePrior("gmm", dynamics="flow"), **STUDENT)
    with (
        mock.patch("torch.Tensor.backward", side_effect=AssertionError("training began")),
        pytest.raises(ValueError, match="denoiser='gmm' with dynamics='flow'"),
    ):
        clf.fit(*bumps)


@pytest.mark.parametrize("value", ["bridge", None, 1])
def test_unknown_dynamics_are_refused_by_name(value):
    Z, _ = two_classes()
    with pytest.raises(ValueError, match=f"(?s)dynamics.*{value}"):
        DiffusionFeaturePrior(dynamics=value).fit(Z)


def test_a_flow_fitted_for_another_degradation_says_so():
    prior, Z, _ = fitted(degradation="none")
    prior.set_params(degradation="linear-gaussian")
    with pytest.raises(ValueError, match=r"degradation='linear-gaussian'.*fit the prior anew"):
        prior.transform(Z)


@pytest.mark.parametrize("dynamics", FLOWS)
def test_learned_alpha_of_flows_needs_a_student(dynamics):
    prior, Z, _ = fitted(dynamics, degradation="learned-alpha")
    with pytest.raises(ValueError, match=r"learned-alpha.*GDPDClassifier"):
        prior.transform(Z)
    assert np.isfinite(prior.sample(3)).all()
    assert np.isfinite(prior.score_samples(Z[:3])).all()

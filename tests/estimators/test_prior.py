"""DiffusionFeaturePrior as an estimator: closed forms, identities, limits, and manners."""

import copy
import functools
import math
import pickle
import re
from unittest import mock

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss

from skgdpd import DiffusionFeaturePrior
from skgdpd.diffusion import LatentDiffusion, NoiseSchedule, gaussian_denoiser

QUICK = {"max_epochs": 2, "n_posterior_samples": 4, "random_state": 0, "device": "cpu"}
TRAINED = {"max_epochs": 12, "lr": 3e-3, "random_state": 0, "device": "cpu"}

# Gaussian features z ~ N(MEAN, S), seen as y = A z + B + n, n ~ N(0, R)
MEAN = np.array([1.0, -0.5, 0.3])
S = np.array([[1.0, 0.6, 0.0], [0.6, 1.5, -0.4], [0.0, -0.4, 0.5]])
A = np.array([[1.0, 0.5, 0.0], [0.0, 0.3, 1.0]])
B = np.array([0.5, -1.0])
R = np.array([[0.3, 0.1], [0.1, 0.2]])
GAIN = S @ A.T @ np.linalg.inv(A @ S @ A.T + R)
POSTERIOR_COVARIANCE = S - GAIN @ A @ S


def gaussian_pairs(n, seed=0):
    rng = np.random.default_rng(seed)
    Z = rng.multivariate_normal(MEAN, S, n)
    return Z, Z @ A.T + B + rng.multivariate_normal(np.zeros(2), R, n)


def posterior_means(Z_short):
    return MEAN + (Z_short - B - A @ MEAN) @ GAIN.T


def two_classes(n=60, d=3, seed=0, share=0.5):
    rng = np.random.default_rng(seed)
    y = np.where(np.arange(n) < share * n, "healthy", "ill")
    return rng.normal(size=(n, d)) + 2 * (y == "ill")[:, None], y


@functools.cache
def prior_of_pairs(denoiser):
    Z, Z_short = gaussian_pairs(2000)
    return DiffusionFeaturePrior(denoiser, n_posterior_samples=150, **TRAINED).fit(
        Z, None, Z_short
    )


# -- the posterior against its closed form -----------------------------------------------------


@pytest.mark.parametrize("denoiser", ["gmm", "film"])
def test_posterior_means_of_gaussian_features_are_the_closed_form(denoiser):
    prior = prior_of_pairs(denoiser)
    _, Z_short = gaussian_pairs(60, seed=1)
    error = prior.transform(Z_short) - posterior_means(Z_short)
    # In posterior standard deviations; 150 draws alone make 0.08 of it.
    relative = np.sqrt(np.square(error).sum(1).mean() / np.trace(POSTERIOR_COVARIANCE))
    assert relative < 0.2


@pytest.mark.parametrize("denoiser", ["gmm", "film"])
def test_posterior_draws_of_gaussian_features_have_the_closed_forms_covariance(denoiser):
    _, Z_short = gaussian_pairs(20, seed=1)
    draws = prior_of_pairs(denoiser).posterior_sample(Z_short, 500)
    covariance = np.mean([np.cov(of_one.T) for of_one in draws], axis=0)
    np.testing.assert_allclose(covariance, POSTERIOR_COVARIANCE, atol=0.08)


def test_draws_from_a_learned_prior_have_the_features_moments():
    draws = prior_of_pairs("film").sample(2000)
    np.testing.assert_allclose(draws.mean(0), MEAN, atol=0.12)
    np.testing.assert_allclose(np.cov(draws.T), S, atol=0.2)


def test_draws_from_a_mixture_prior_have_the_moments_of_its_closed_form():
    prior = prior_of_pairs("gmm")
    _, means, covariances = prior.latent_.denoiser.parts()
    V = prior.encoder_.V.numpy()
    draws = prior.sample(50_000)
    # 4 standard errors of a variance are 2.5 %
    spread, expected = np.cov(draws.T), V @ covariances[0] @ V.T
    np.testing.assert_allclose(
        draws.mean(0), prior.encoder_.decode(torch.tensor(means))[0], atol=0.03
    )
    np.testing.assert_allclose(np.diag(spread), np.diag(expected), rtol=0.03)


@pytest.mark.parametrize("denoiser", ["film", "bottleneck"])
def test_draws_of_every_learned_denoiser_stay_among_the_data(denoiser):
    # Even after little training.
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(500, 16)) @ rng.normal(size=(16, 16))
    Z_short = Z[:, :8] + rng.normal(size=(500, 8))
    prior = DiffusionFeaturePrior(denoiser, **TRAINED).fit(Z, None, Z_short)
    assert np.median(prior.sample(200).std(0) / Z.std(0)) < 5
    draws = prior.posterior_sample(Z_short[:50], 4).reshape(-1, 16)
    assert np.median(draws.std(0) / Z.std(0)) < 5


@pytest.mark.parametrize("encoder", ["identity", "pca"])
@pytest.mark.parametrize("denoiser", ["gmm", "film"])
def test_almost_noiseless_features_are_given_back(denoiser, encoder):
    Z, _ = two_classes()
    width = None if encoder == "identity" else 3
    prior = DiffusionFeaturePrior(
        denoiser, encoder=encoder, n_latent=width, measurement_noise=1e-4, **QUICK
    ).fit(Z)
    restored = prior.transform(Z)
    expected = Z if encoder == "identity" else prior.encode(Z)
    np.testing.assert_allclose(restored, expected, atol=1e-2)


def test_the_noisier_the_features_the_nearer_to_the_mean_they_are_restored():
    Z, _ = two_classes()
    distances = []
    for noise in (0.1, 1.0, 10.0, 1000.0):
        settings = {**QUICK, "n_posterior_samples": 200}
        prior = DiffusionFeaturePrior("gmm", measurement_noise=noise, **settings).fit(Z)
        distances.append(np.linalg.norm(prior.transform(Z) - Z.mean(0)))
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.1 * distances[0]


# -- densities ---------------------------------------------------------------------------------


@pytest.mark.parametrize("labelled", [False, True])
def test_score_of_a_mixture_is_the_density_of_the_features_themselves(labelled):
    # The mixture lives in standardised features; carried back by hand, its density must be that
    # of features in their own units.
    Z, y = two_classes()
    Z = Z * [0.01, 1.0, 50.0] + 7
    prior = DiffusionFeaturePrior("gmm", **QUICK).fit(Z, y if labelled else None)
    weights, means, covariances = prior.latent_.denoiser.parts()
    V, m = prior.encoder_.V.numpy(), prior.encoder_.m.numpy()
    assert len(weights) == 1 + labelled
    terms = [
        np.log(weight) + multivariate_normal(V @ mean + m, V @ covariance @ V.T).logpdf(Z)
        for weight, mean, covariance in zip(weights, means, covariances, strict=True)
    ]
    np.testing.assert_allclose(prior.score_samples(Z), logsumexp(terms, axis=0), rtol=1e-6)


def axis_points(d):
    """The 2 d points +-sqrt(d) e_i: quadratic forms have the same mean over them as over
    N(0, I)."""
    return math.sqrt(d) * torch.cat([torch.eye(d), -torch.eye(d)]).double()


def exact_gaussian(schedule="linear"):
    schedule = NoiseSchedule(schedule)
    mean, covariance = torch.tensor(MEAN), torch.tensor(S)
    latent = LatentDiffusion(gaussian_denoiser(mean, covariance, schedule), schedule, 3).double()
    latent.set_moments(mean, covariance)
    return latent


@functools.cache
def gap_of_bound(schedule):
    """Exact mean, over features and noise, of log-density less bound, and mean log-density.

    With an exact denoiser of Gaussian features both are quadratic in the features, the bound in
    each level's noise too, and no two levels' noise meet in one term.
    """
    latent = exact_gaussian(schedule)
    u = latent.mean + axis_points(3) @ torch.linalg.cholesky(latent.covariance).T
    bounds = []
    for point in axis_points(3)[:, None]:
        with mock.patch.object(torch, "randn", return_value=point):
            bounds.append(latent.log_density_bound(u))
    density = multivariate_normal(MEAN, S).logpdf(u).mean()
    return density - torch.stack(bounds).mean().item(), density


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_diffusion_bound_of_an_exact_denoiser_is_below_the_log_density(schedule):
    gap, _ = gap_of_bound(schedule)
    assert gap > 0


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_diffusion_bound_of_an_exact_denoiser_is_within_a_few_percent(schedule):
    gap, density = gap_of_bound(schedule)
    assert gap < 0.05 * abs(density)


@pytest.mark.parametrize("seed", range(3))
def test_one_call_of_the_bound_tells_the_mean_density_to_a_third_of_a_nat_a_feature(seed):
    # score_samples is one call: its noise must not carry it far above the density or below.
    u, _ = gaussian_pairs(50, seed=2)
    bound = exact_gaussian().log_density_bound(
        torch.tensor(u), torch.Generator().manual_seed(seed)
    )
    density = multivariate_normal(MEAN, S).logpdf(u).mean()
    assert bound.mean().item() == pytest.approx(density, abs=1.0)


def test_diffusion_bound_ranks_features_as_their_density_does():
    u, _ = gaussian_pairs(50, seed=2)
    bound = exact_gaussian().log_density_bound(torch.tensor(u), torch.Generator().manual_seed(0))
    assert np.corrcoef(bound, multivariate_normal(MEAN, S).logpdf(u))[0, 1] > 0.95


def test_score_of_a_learned_prior_is_higher_where_the_features_are():
    prior = prior_of_pairs("film")
    inside, _ = gaussian_pairs(20, seed=3)
    inside_score, outside_score = prior.score_samples(inside), prior.score_samples(inside + 8)
    assert inside_score.min() > outside_score.max()


def test_score_counts_the_units_of_the_features():
    # In tenths of the unit, densities are a tenth in each of three directions.
    Z, _ = two_classes(30)
    settings = {**QUICK, "n_diffusion_steps": 50}
    ones, tens = (DiffusionFeaturePrior(**settings).fit(scale * Z) for scale in (1, 10))
    difference = ones.score_samples(Z) - tens.score_samples(10 * Z)
    np.testing.assert_allclose(difference, 3 * math.log(10), rtol=1e-4)


# -- the posterior predictive ------------------------------------------------------------------


class TwoGaussians:
    """Two classes that differ in one direction, seen through a map with much noise elsewhere."""

    A = np.array([[1.0, 0.4, 0.0, 0.0], [0.0, 1.0, -0.5, 0.0], [0.3, 0.0, 1.0, 0.2],
                  [0.0, 0.0, 0.0, 1.0]])  # fmt: skip
    R = np.diag([0.2, 2.0, 0.2, 4.0])
    means = np.array([[-0.8, -0.8, 0.0, -0.5], [0.8, 0.8, 0.0, 0.5]])
    S = 0.3 * np.eye(4) + 0.2

    @classmethod
    def draw(cls, n, seed):
        rng = np.random.default_rng(seed)
        y = rng.integers(2, size=n)
        Z = cls.means[y] + rng.multivariate_normal(np.zeros(4), cls.S, n)
        return Z, y, Z @ cls.A.T + rng.multivariate_normal(np.zeros(4), cls.R, n)

    @classmethod
    def bayes(cls, Z_short):
        marginal = cls.A @ cls.S @ cls.A.T + cls.R
        density = [multivariate_normal(cls.A @ mean, marginal).pdf(Z_short) for mean in cls.means]
        return np.stack(density, 1) / np.sum(density, axis=0)[:, None]


@functools.cache
def prior_of_two_gaussians(denoiser):
    return DiffusionFeaturePrior(denoiser, n_posterior_samples=50, **TRAINED).fit(
        *TwoGaussians.draw(1500, seed=0)
    )


@pytest.mark.parametrize("denoiser", ["gmm", "film"])
def test_posterior_predictive_beats_classifying_the_degraded_features_directly(denoiser):
    Z, y, _ = TwoGaussians.draw(1500, seed=0)
    _, y_new, Z_new = TwoGaussians.draw(400, seed=1)
    direct = LogisticRegression().fit(Z, y).predict_proba(Z_new)
    restored = prior_of_two_gaussians(denoiser).predict_proba(Z_new)
    assert log_loss(y_new, restored) < 0.9 * log_loss(y_new, direct)
    assert accuracy_score(y_new, restored.argmax(1)) > accuracy_score(y_new, direct.argmax(1))


@pytest.mark.parametrize(("denoiser", "tolerance"), [("gmm", 0.05), ("film", 0.08)])
def test_posterior_predictive_comes_near_bayes_rule(denoiser, tolerance):
    _, _, Z_new = TwoGaussians.draw(200, seed=1)
    found = prior_of_two_gaussians(denoiser).predict_proba(Z_new)
    assert np.abs(found - TwoGaussians.bayes(Z_new)).mean() < tolerance


@pytest.mark.parametrize(("denoiser", "n_draws"), [("gmm", 4000), ("film", 500)])
def test_features_of_nothing_but_noise_get_the_shares_of_the_classes(denoiser, n_draws):
    Z, y = two_classes(400, share=0.8)
    settings = {**TRAINED, "n_posterior_samples": n_draws}
    prior = DiffusionFeaturePrior(denoiser, measurement_noise=1e3, **settings).fit(Z, y)
    noisy = Z[::100] + 1e3 * np.random.default_rng(5).normal(size=(4, 3))
    np.testing.assert_allclose(prior.predict_proba(noisy), [[0.8, 0.2]] * 4, atol=0.06)


def test_predictions_without_observation_are_the_shares_of_the_classes():
    Z, y = two_classes(400, share=0.8)
    settings = {**QUICK, "n_posterior_samples": 2000, "n_sampling_steps": 200}
    prior = DiffusionFeaturePrior("gmm", degradation="none", **settings).fit(Z, y)
    np.testing.assert_allclose(prior.predict_proba(Z[::100]), [[0.8, 0.2]] * 4, atol=0.06)


# -- shapes and labels -------------------------------------------------------------------------


@pytest.mark.parametrize("with_pairs", [False, True])
@pytest.mark.parametrize("degradation", ["linear-gaussian", "matched-noise", "none"])
@pytest.mark.parametrize("encoder", ["identity", "pca", "autoencoder"])
@pytest.mark.parametrize("denoiser", ["film", "bottleneck", "gmm"])
def test_shapes(denoiser, encoder, degradation, with_pairs):
    Z, y = two_classes(30, d=4)
    Z_short = Z[:, :2] if with_pairs else Z
    d = 4 if encoder == "identity" else 3
    prior = DiffusionFeaturePrior(
        denoiser,
        encoder=encoder,
        n_latent=None if encoder == "identity" else 3,
        degradation=degradation,
        n_diffusion_steps=20,
        **QUICK,
    ).fit(Z, y, Z_short if with_pairs else None)
    assert prior.n_latent_ == d
    assert prior.sample(7).shape == (7, d)
    assert prior.posterior_sample(Z_short[:5], 6).shape == (5, 6, d)
    assert prior.posterior_sample(Z_short[:5]).shape == (5, 4, d)
    assert prior.transform(Z_short[:5]).shape == (5, d)
    assert prior.score_samples(Z[:5]).shape == (5,)
    proba = prior.predict_proba(Z_short)
    assert proba.shape == (30, 2)
    np.testing.assert_allclose(proba.sum(1), 1)
    assert (proba >= 0).all()


def test_predictions_are_the_labels_of_the_greatest_probability():
    Z, y = two_classes()
    prior = DiffusionFeaturePrior("gmm", **QUICK).fit(Z, y)
    np.testing.assert_array_equal(prior.classes_, ["healthy", "ill"])
    predicted = prior.predict(Z)
    np.testing.assert_array_equal(predicted, prior.classes_[prior.predict_proba(Z).argmax(1)])
    assert prior.score(Z, y) > 0.9


def test_a_single_class_is_certain():
    Z, _ = two_classes()
    prior = DiffusionFeaturePrior("gmm", **QUICK).fit(Z, ["only"] * len(Z))
    np.testing.assert_array_equal(prior.predict_proba(Z), np.ones((len(Z), 1)))
    assert set(prior.predict(Z)) == {"only"}


def test_the_latent_has_the_width_asked_for():
    Z, _ = two_classes(d=5)
    for encoder in ("pca", "autoencoder"):
        prior = DiffusionFeaturePrior("gmm", encoder=encoder, n_latent=2, **QUICK).fit(Z)
        assert prior.n_latent_ == prior.encode(Z).shape[1] == 2
    everything = DiffusionFeaturePrior("gmm", encoder="autoencoder", **QUICK).fit(Z)
    assert everything.n_latent_ == 5


def test_history_shows_a_falling_loss_and_is_empty_for_a_mixture():
    losses = prior_of_pairs("film").history_.terms["diffusion"]
    assert len(losses) == TRAINED["max_epochs"]
    assert losses[-3:].mean() < losses[0]
    Z, _ = two_classes()
    autoencoded = DiffusionFeaturePrior(encoder="autoencoder", **QUICK).fit(Z)
    assert set(autoencoded.history_.terms) >= {"diffusion", "reconstruction"}
    assert not DiffusionFeaturePrior("gmm", **QUICK).fit(Z).history_.terms


def test_the_autoencoder_learns_to_reconstruct():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 6)) + 10
    settings = {**TRAINED, "max_epochs": 60, "lr": 1e-2}
    prior = DiffusionFeaturePrior("gmm", encoder="autoencoder", n_latent=2, **settings).fit(Z)
    lost = Z - prior.encoder_.decode(torch.tensor(prior.encode(Z))).numpy()
    assert np.square(lost).sum() < 0.1 * np.square(Z - Z.mean(0)).sum()


# -- randomness and copies ---------------------------------------------------------------------


def outputs(prior, Z):
    return [
        prior.sample(3),
        prior.posterior_sample(Z[:4], 3),
        prior.transform(Z[:4]),
        prior.predict_proba(Z[:4]),
        prior.score_samples(Z[:4]),
    ]


def make_prior(denoiser="film", **settings):
    Z, y = two_classes()
    prior = DiffusionFeaturePrior(denoiser, n_diffusion_steps=50, **{**QUICK, **settings})
    return prior.fit(Z, y), Z, y


@pytest.mark.parametrize("encoder", ["identity", "autoencoder"])
@pytest.mark.parametrize("denoiser", ["film", "bottleneck", "gmm"])
def test_the_same_seed_gives_the_same_bits(denoiser, encoder):
    first, Z, _ = make_prior(denoiser, encoder=encoder)
    second, _, _ = make_prior(denoiser, encoder=encoder)
    for a, b, again in zip(outputs(first, Z), outputs(second, Z), outputs(first, Z), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, again)


@pytest.mark.parametrize("denoiser", ["film", "gmm"])
def test_another_seed_gives_other_draws(denoiser):
    first, Z, _ = make_prior(denoiser)
    other, _, _ = make_prior(denoiser, random_state=1)
    for a, b in zip(outputs(first, Z)[:4], outputs(other, Z)[:4], strict=True):
        assert not np.array_equal(a, b)


@pytest.mark.parametrize("encoder", ["identity", "autoencoder"])
@pytest.mark.parametrize("denoiser", ["film", "gmm"])
def test_global_random_states_are_left_as_they_were(denoiser, encoder):
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    prior, Z, _ = make_prior(denoiser, encoder=encoder)
    outputs(prior, Z)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


def test_global_random_states_do_not_matter():
    first, Z, _ = make_prior()
    with torch.random.fork_rng():
        torch.manual_seed(99)
        second, _, _ = make_prior()
    for a, b in zip(outputs(first, Z), outputs(second, Z), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
@pytest.mark.parametrize("denoiser", ["film", "bottleneck", "gmm"])
def test_copies_predict_the_same(denoiser, copied):
    prior, Z, _ = make_prior(denoiser)
    for a, b in zip(outputs(prior, Z), outputs(copied(prior), Z), strict=True):
        np.testing.assert_array_equal(a, b)


def test_clones_are_not_fitted_but_fit_to_the_same():
    prior, Z, y = make_prior()
    other = clone(prior)
    assert other.get_params() == prior.get_params()
    with pytest.raises(NotFittedError):
        other.predict(Z)
    for a, b in zip(outputs(prior, Z), outputs(other.fit(Z, y), Z), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("denoiser", ["film", "gmm"])
@pytest.mark.parametrize("degradation", ["linear-gaussian", "matched-noise", "none"])
def test_predictions_for_a_row_do_not_depend_on_the_others(denoiser, degradation):
    prior, Z, _ = make_prior(denoiser, degradation=degradation)
    for method in (prior.transform, prior.predict_proba, prior.score_samples):
        alone = np.concatenate([method(Z[[i]]) for i in range(4)])
        np.testing.assert_allclose(method(Z)[:4], alone, rtol=1e-7, atol=1e-9)


def test_what_is_given_is_not_changed():
    Z, y = two_classes()
    Z_short = Z + 1
    kept = Z.copy(), y.copy(), Z_short.copy()
    for array in (Z, y, Z_short):
        array.setflags(write=False)
    prior = DiffusionFeaturePrior(**QUICK).fit(Z, y, Z_short)
    prior.predict_proba(Z_short)
    prior.score_samples(Z)
    for now, before in zip((Z, y, Z_short), kept, strict=True):
        np.testing.assert_array_equal(now, before)


# -- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("denoiser", "unet"),
        ("encoder", "vae"),
        ("n_latent", 0),
        ("schedule", "sigmoid"),
        ("n_diffusion_steps", 1),
        ("n_sampling_steps", 0),
        ("degradation", "blur"),
        ("measurement_noise", 1e-200),
        ("measurement_noise", 1e200),
        ("measurement_noise", 0.0),
        ("n_posterior_samples", 0),
        ("max_epochs", "many"),
        ("batch_size", 0),
        ("n_noise_levels", 0),
        ("lr", -1.0),
        ("random_state", "zero"),
        ("device", "abacus"),
        ("verbose", "loud"),
    ],
)
def test_bad_parameters_are_refused_by_name_and_value(name, value):
    Z, _ = two_classes()
    prior = DiffusionFeaturePrior(**{name: value})
    with pytest.raises((ValueError, TypeError), match=rf"(?s){name}.*{re.escape(str(value))}"):
        prior.fit(Z)


@pytest.mark.parametrize("noise", [1e-100, 1e100])
@pytest.mark.parametrize("degradation", ["linear-gaussian", "matched-noise"])
def test_the_least_and_the_greatest_noise_give_numbers(degradation, noise):
    Z = gaussian_pairs(20)[0]
    prior = DiffusionFeaturePrior(
        "gmm", degradation=degradation, measurement_noise=noise, **QUICK
    ).fit(Z, np.arange(20) % 2)
    assert np.isfinite(prior.predict_proba(Z)).all()


def test_a_latent_width_that_the_encoder_cannot_make_is_refused_by_name():
    # "identity" keeps all features; a width beside it would be asked for in vain.
    Z, _ = two_classes(d=5)
    with pytest.raises(ValueError, match="n_latent"):
        DiffusionFeaturePrior("gmm", encoder="identity", n_latent=2).fit(Z)


@pytest.mark.parametrize("n_samples", [0, -1, 2.5])
@pytest.mark.parametrize("method", ["sample", "posterior_sample"])
def test_bad_numbers_of_samples_are_refused_by_name(method, n_samples):
    prior, Z, _ = make_prior("gmm")
    arguments = () if method == "sample" else (Z,)
    with pytest.raises((ValueError, TypeError), match="n_samples"):
        getattr(prior, method)(*arguments, n_samples)


def test_learned_alpha_is_refused_outside_distillation_and_says_what_to_use():
    Z, y = two_classes()
    with pytest.raises(ValueError, match=r"learned-alpha.*student's loss.*linear-gaussian"):
        DiffusionFeaturePrior(degradation="learned-alpha", **QUICK).fit(Z, y, Z)
    prior = DiffusionFeaturePrior("gmm", degradation="learned-alpha", **QUICK).fit(Z, y)
    for method in (prior.transform, prior.predict_proba, prior.predict, prior.posterior_sample):
        with pytest.raises(ValueError, match=r"learned-alpha.*GDPDClassifier.*linear-gaussian"):
            method(Z)
    # The prior itself does not need a degradation.
    assert np.isfinite(prior.sample(3)).all()
    assert np.isfinite(prior.score_samples(Z)).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda prior, Z: prior.sample(),
        lambda prior, Z: prior.transform(Z),
        lambda prior, Z: prior.posterior_sample(Z),
        lambda prior, Z: prior.predict_proba(Z),
        lambda prior, Z: prior.predict(Z),
        lambda prior, Z: prior.score_samples(Z),
        lambda prior, Z: prior.encode(Z),
        lambda prior, Z: prior.make_posterior_sampler(3),
    ],
    ids=["sample", "transform", "posterior_sample", "predict_proba", "predict",
         "score_samples", "encode", "make_posterior_sampler"],
)  # fmt: skip
def test_nothing_comes_before_the_fit(call):
    Z, _ = two_classes()
    with pytest.raises(NotFittedError):
        call(DiffusionFeaturePrior(), Z)


def test_pairs_must_be_pairs():
    Z, y = two_classes()
    with pytest.raises(ValueError, match=r"Z_short has 5 samples and Z 60"):
        DiffusionFeaturePrior("gmm").fit(Z, y, Z[:5])


def test_degraded_features_of_another_width_are_refused():
    Z, y = two_classes()
    prior = DiffusionFeaturePrior("gmm", **QUICK).fit(Z, y, Z[:, :2])
    with pytest.raises(ValueError, match=r"3 features.*had 2"):
        prior.transform(Z)
    with pytest.raises(ValueError, match=r"1 features"):
        DiffusionFeaturePrior("gmm", **QUICK).fit(Z, y).transform(Z[:, :1])


@pytest.mark.parametrize("what", ["Z", "Z_short"])
def test_missing_values_are_refused(what):
    Z, y = two_classes()
    arguments = {"Z": Z, "y": y, "Z_short": Z.copy()}
    arguments[what] = np.where(np.arange(3) == 1, np.nan, Z)
    with pytest.raises(ValueError, match="NaN"):
        DiffusionFeaturePrior("gmm").fit(**arguments)


def test_without_labels_there_are_no_probabilities():
    Z, _ = two_classes()
    prior = DiffusionFeaturePrior("gmm", **QUICK).fit(Z)
    with pytest.raises(AttributeError, match="without labels"):
        prior.predict_proba(Z)


def test_a_fit_without_labels_forgets_those_of_the_fit_before():
    Z, y = two_classes()
    prior = DiffusionFeaturePrior("gmm", **QUICK).fit(Z, y).fit(Z)
    assert not hasattr(prior, "classes_")
    with pytest.raises(AttributeError, match="without labels"):
        prior.predict_proba(Z)


def test_degraded_features_may_have_names_of_their_own():
    pd = pytest.importorskip("pandas")
    Z, y = two_classes()
    teacher, student = pd.DataFrame(Z, columns=list("abc")), pd.DataFrame(Z, columns=list("uvw"))
    prior = DiffusionFeaturePrior("gmm", **QUICK).fit(teacher, y, student)
    named, nameless = prior.transform(student), prior.transform(student.to_numpy())
    np.testing.assert_array_equal(named, nameless)


@pytest.mark.parametrize("denoiser", ["gmm", "film"])
def test_a_single_sample_is_fitted_without_a_warning(denoiser):
    prior = DiffusionFeaturePrior(denoiser, **QUICK).fit(np.ones((1, 3)))
    assert np.isfinite(prior.sample(2)).all()
    assert np.isfinite(prior.transform(np.zeros((2, 3)))).all()


@pytest.mark.parametrize(
    "batch_normalised", [{"encoder": "autoencoder"}, {"denoiser": "bottleneck"}]
)
@pytest.mark.parametrize("n_samples", [1, 3])
def test_batches_of_one_row_get_through_batch_normalisation(batch_normalised, n_samples):
    small = {**QUICK, "n_noise_levels": 1, "batch_size": 2}
    prior = DiffusionFeaturePrior(**batch_normalised, **small)
    prior.fit(np.random.default_rng(0).normal(size=(n_samples, 3)))
    assert np.isfinite(prior.sample(2)).all()


@pytest.mark.parametrize(
    "laid_out",
    [lambda Z: Z[::-1].copy()[::-1], np.asfortranarray, lambda Z: np.repeat(Z, 2, 1)[:, ::2]],
    ids=["reversed", "by column", "strided"],
)
def test_the_layout_of_features_in_memory_does_not_matter(laid_out):
    Z, y = two_classes()
    prior = DiffusionFeaturePrior(**QUICK, n_diffusion_steps=20).fit(Z, y)
    again = clone(prior).fit(laid_out(Z), y)
    for method in ("encode", "transform", "predict_proba", "score_samples", "posterior_sample"):
        expected = getattr(prior, method)(Z)
        np.testing.assert_array_equal(getattr(prior, method)(laid_out(Z)), expected)
        np.testing.assert_array_equal(getattr(again, method)(Z), expected)

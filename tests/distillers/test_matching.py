"""Distribution matching: what its gradient does to distributions that are known."""

import pytest
import torch
from contexts import make_output, make_rows, make_step, make_student, prepared

from skgdpd import DiffusionFeaturePrior, DistilledPrefixClassifier
from skgdpd.diffusion import NoiseSchedule, gaussian_denoiser
from skgdpd.distillers import GDPD, DistributionMatching
from skgdpd.distillers.matching import score_gap

SCHEDULE = NoiseSchedule("cosine", 16).double()
MEAN = torch.tensor([1.0, -2.0], dtype=torch.float64)
COVARIANCE = torch.tensor([[1.0, 0.6], [0.6, 2.0]], dtype=torch.float64)
PRIOR = DiffusionFeaturePrior(denoiser="gmm", encoder="pca", degradation="none")


def gap_over_steps(f, phi, psi):
    """The gradient of latents ``(n, d)``, averaged over all steps, for mirrored noise."""
    generator = torch.Generator().manual_seed(0)
    eps = torch.randn(f.shape, generator=generator, dtype=f.dtype)
    total = torch.zeros_like(f)
    for t in range(SCHEDULE.n_steps):
        step = torch.full((len(f),), t)
        for noise in (eps, -eps):
            total += score_gap(SCHEDULE.diffuse(f, step, noise), step, phi, psi) / 2
    return total / SCHEDULE.n_steps


def score_of(f):
    """The exact denoiser of normal latents with the moments of ``f``."""
    return gaussian_denoiser(f.mean(0), torch.cov(f.T, correction=0), SCHEDULE)


def normal_rows(n=256):
    """Rows whose mean and covariance are exactly 0 and 1."""
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x = x - x.mean(0)
    return x @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T, correction=0))).T


def test_nothing_moves_where_the_distributions_agree():
    phi = gaussian_denoiser(MEAN, COVARIANCE, SCHEDULE)
    f = MEAN + normal_rows() @ torch.linalg.cholesky(COVARIANCE).T
    found = gap_over_steps(f, phi, score_of(f))
    torch.testing.assert_close(found, torch.zeros_like(f), atol=1e-9, rtol=0)


def test_the_mean_of_equal_spread_moves_by_the_levels_of_the_noise():
    # For two unit normals that are m apart, the denoisers differ by sqrt(a (1 - a)) m.
    one = torch.eye(2, dtype=torch.float64)
    phi = gaussian_denoiser(torch.zeros_like(MEAN), one, SCHEDULE)
    f = MEAN + normal_rows()
    found = gap_over_steps(f, phi, score_of(f))
    factor = (SCHEDULE.alpha_bar * SCHEDULE.complement).sqrt().mean()
    torch.testing.assert_close(found, (factor * MEAN).expand_as(f), rtol=1e-6, atol=1e-9)


def test_latents_end_with_the_moments_of_the_prior():
    phi = gaussian_denoiser(MEAN, COVARIANCE, SCHEDULE)
    f = 0.5 * normal_rows(64) + 3
    for _ in range(200):
        f = f - 0.5 * gap_over_steps(f, phi, score_of(f))
    torch.testing.assert_close(f.mean(0), MEAN, atol=1e-3, rtol=0)
    torch.testing.assert_close(torch.cov(f.T, correction=0), COVARIANCE, atol=1e-2, rtol=0)


def test_the_gradient_of_the_latents_is_the_gap_and_reaches_the_student():
    rows, output = make_rows(), make_output()
    distillation = prepared(DistributionMatching(PRIOR, lambda_kd=0.5), rows)
    found = distillation.terms(make_student(), output, rows.tensors, make_step())
    assert set(found) == {"distributionmatching", "score"}
    generator = torch.Generator().manual_seed(0)
    f = distillation.to_latent(output.features)
    t = torch.randint(distillation.schedule.n_steps, (8,), generator=generator)
    eps = torch.randn(f.shape, generator=generator, dtype=f.dtype)
    gap = score_gap(
        distillation.schedule.diffuse(f, t, eps), t, distillation.phi, distillation.psi
    )
    expected = 0.5 * gap @ distillation.to_latent.weight / f.numel()
    (gradient,) = torch.autograd.grad(
        found["distributionmatching"], output.features, retain_graph=True
    )
    torch.testing.assert_close(gradient, expected)
    # The student's score learns of latents, and does not move them.
    assert torch.autograd.grad(found["score"], output.features, allow_unused=True) == (None,)


@pytest.mark.parametrize("denoiser", ["film", "bottleneck", "gmm"])
def test_the_prior_stays_and_the_students_score_is_learned(bumps, denoiser):
    X, y = bumps
    prior = DiffusionFeaturePrior(denoiser, encoder="pca", degradation="none", max_epochs=1)
    clf = DistilledPrefixClassifier(
        Noting(prior), student="lstm1-8", max_epochs=2, random_state=0, device="cpu"
    ).fit(X, y)
    for name, before in Noting.phi.items():
        assert torch.equal(before, clf.distillation_.phi.state_dict()[name])
    after = clf.distillation_.psi.state_dict()
    assert any(not torch.equal(before, after[name]) for name, before in Noting.psi.items())


class Noting(DistributionMatching):
    """Notes the scores as they are at the start."""

    def prepare(self, context):
        distillation = super().prepare(context)
        for name in ("phi", "psi"):
            state = getattr(distillation, name).state_dict()
            setattr(Noting, name, {key: value.clone() for key, value in state.items()})
        return distillation


def test_a_flow_is_refused_before_the_training(bumps):
    prior = DiffusionFeaturePrior(dynamics="flow")
    with pytest.raises(ValueError, match=r"dynamics='flow'.*'diffusion'"):
        DistilledPrefixClassifier(DistributionMatching(prior)).fit(*bumps)


def test_a_class_as_prior_is_refused_before_the_training(bumps):
    for distiller in (DistributionMatching(DiffusionFeaturePrior), GDPD(DiffusionFeaturePrior)):
        with pytest.raises(TypeError, match=r"prior=DiffusionFeaturePrior is a class"):
            DistilledPrefixClassifier(distiller).fit(*bumps)

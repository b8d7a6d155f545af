"""Noise schedules: what their numbers must be by definition."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skgdpd.diffusion import NoiseSchedule

SCHEDULES = [("linear", 1000), ("linear", 100), ("cosine", 1000), ("cosine", 50)]

every_schedule = pytest.mark.parametrize(("name", "n_steps"), SCHEDULES)


def levels(schedule):
    return np.array([schedule.level(t) for t in range(schedule.n_steps)])


@every_schedule
def test_signal_falls_strictly_from_near_one_to_near_zero(name, n_steps):
    schedule = NoiseSchedule(name, n_steps)
    a = levels(schedule)
    assert len(a) == len(schedule.alpha_bar) == n_steps
    assert (np.diff(a) < 0).all()
    assert 0.99 < a[0] < 1
    assert 0 < a[-1] < 1e-3


def test_linear_schedule_is_the_product_of_the_papers_betas():
    schedule = NoiseSchedule("linear", 1000)
    product = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    np.testing.assert_allclose(levels(schedule), product, rtol=1e-12)
    np.testing.assert_allclose(schedule.alpha_bar, product, rtol=1e-6)


@pytest.mark.parametrize("n_steps", [200, 500, 4000])
def test_linear_schedules_of_any_length_end_with_about_the_same_noise(n_steps):
    reference = math.log(NoiseSchedule("linear", 1000).level(999))
    last = math.log(NoiseSchedule("linear", n_steps).level(n_steps - 1))
    assert abs(last - reference) < 0.05 * abs(reference)


@pytest.mark.parametrize("n_steps", [50, 1000])
def test_cosine_schedule_is_the_squared_cosine(n_steps):
    u = np.arange(n_steps + 1) / n_steps
    signal = np.cos((u + 0.008) / 1.008 * np.pi / 2) ** 2
    expected = signal[1:] / signal[0]
    a = levels(NoiseSchedule("cosine", n_steps))
    # At the last step the cosine is 0 and beta 1; beta stops at 0.999.
    np.testing.assert_allclose(a[:-1], expected[:-1], rtol=1e-10)
    assert a[-1] == pytest.approx(a[-2] * 1e-3)


@every_schedule
def test_shares_of_signal_and_noise_make_one(name, n_steps):
    schedule = NoiseSchedule(name, n_steps)
    t = torch.arange(n_steps)
    signal, noise = schedule.shares(t)
    assert signal.shape == noise.shape == (n_steps, 1)
    torch.testing.assert_close(signal + noise, torch.ones(n_steps, 1))


@every_schedule
def test_share_of_noise_keeps_its_digits_in_single_precision(name, n_steps):
    schedule = NoiseSchedule(name, n_steps)
    assert schedule.complement.dtype == torch.float32
    np.testing.assert_allclose(schedule.complement, 1 - levels(schedule), rtol=1e-6)


def test_step_minus_one_is_the_data():
    assert NoiseSchedule().level(-1) == 1


@every_schedule
def test_nearest_step_inverts_the_noise_to_signal_ratio(name, n_steps):
    schedule = NoiseSchedule(name, n_steps)
    for t in range(0, n_steps, max(n_steps // 50, 1)):
        a = schedule.level(t)
        assert schedule.nearest_step((1 - a) / a) == t


@settings(deadline=None, max_examples=30)
@given(ratio=st.floats(1e-6, 1e6), which=st.sampled_from(SCHEDULES))
def test_no_step_is_nearer_than_the_nearest(ratio, which):
    schedule = NoiseSchedule(*which)
    a = levels(schedule)
    distance = np.abs(np.log((1 - a) / a) - math.log(ratio))
    assert distance[schedule.nearest_step(ratio)] == pytest.approx(distance.min())


def test_nearest_step_of_extreme_ratios_is_an_end_of_the_schedule():
    schedule = NoiseSchedule()
    assert schedule.nearest_step(0.0) == 0
    assert schedule.nearest_step(1e30) == 999


@settings(deadline=None, max_examples=20)
@given(t=st.integers(0, 999), name=st.sampled_from(["linear", "cosine"]))
def test_diffused_features_have_the_schedules_mean_and_variance(t, name):
    # x_t is affine in the noise: its mean is x_t without noise, its covariance the square of the
    # map from noise to x_t.
    schedule = NoiseSchedule(name).double()
    x_0 = torch.tensor([[1.5, -2.0, 0.3]], dtype=torch.float64)
    mean = schedule.diffuse(x_0, torch.tensor([t]), torch.zeros_like(x_0))
    a = schedule.level(t)
    np.testing.assert_allclose(mean, math.sqrt(a) * x_0, rtol=1e-6)
    basis = torch.eye(3, dtype=torch.float64)
    columns = schedule.diffuse(x_0.expand(3, 3), torch.full((3,), t), basis) - mean
    np.testing.assert_allclose(columns.T @ columns, (1 - a) * np.eye(3), rtol=1e-6, atol=1e-12)


def test_each_row_is_diffused_to_its_own_step():
    schedule = NoiseSchedule()
    t = torch.tensor([0, 500, 999])
    x_0, eps = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    together = schedule.diffuse(x_0, t, eps)
    for i in range(3):
        alone = schedule.diffuse(x_0[i : i + 1], t[i : i + 1], eps[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone)


def test_copies_keep_the_levels():
    schedule = NoiseSchedule("cosine", 20)
    for other in (copy.deepcopy(schedule), pickle.loads(pickle.dumps(schedule))):
        np.testing.assert_array_equal(levels(other), levels(schedule))
        torch.testing.assert_close(other.alpha_bar, schedule.alpha_bar, rtol=0, atol=0)


def test_unknown_schedule_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"sigmoid.*'linear' and 'cosine'"):
        NoiseSchedule("sigmoid")

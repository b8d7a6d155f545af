"""The measurement model: ridge regression by singular values against ridge regression by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import Ridge

from skgdpd.diffusion import LinearGaussian, LinearMeasurement

GRID = np.logspace(-4, 4, 25)


def make_pairs(n=40, d=5, n_short=3, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    A, b = rng.normal(size=(n_short, d)), rng.normal(size=n_short)
    z = rng.normal(size=(n, d)) * np.geomspace(0.3, 3, d) + rng.normal(size=d)
    return z, z @ A.T + b + noise * rng.normal(size=(n, n_short)), A, b


def absolute(z, penalty):
    """A penalty in the units of ``LinearMeasurement`` as one for a sum of squares."""
    scale = np.linalg.svd(z - z.mean(0), compute_uv=False)
    kept = scale[scale > 1e-10 * scale.max()]
    return penalty * np.square(kept).mean()


def generalised_cross_validation(z, y, penalty):
    """n times the mean squared residual over the squared freedom left, by explicit matrices."""
    n, centred = len(z), z - z.mean(0)
    hat = centred @ np.linalg.solve(
        centred.T @ centred + absolute(z, penalty) * np.eye(z.shape[1]), centred.T
    )
    hat += np.ones((n, n)) / n
    residual = y - hat @ y
    return np.square(residual).sum() / (n - np.trace(hat)) ** 2


def left_out_residuals(z, y, penalty):
    """Residual of each row under a ridge regression refitted without it."""
    residuals = []
    for i in range(len(z)):
        others = np.arange(len(z)) != i
        model = Ridge(alpha=absolute(z, penalty)).fit(z[others], y[others])
        residuals.append(y[i] - model.predict(z[[i]])[0])
    return np.array(residuals)


def test_noiseless_data_give_the_map_back():
    z, y, A, b = make_pairs(n=500, noise=0.0)
    found = LinearMeasurement(z).fit(y)
    np.testing.assert_allclose(found.A, A, rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(found.b, b, atol=2e-2)
    assert np.trace(found.R) < 1e-3 * np.trace(np.cov(y.T))


def test_many_noisy_data_give_map_and_noise_back():
    z, y, A, b = make_pairs(n=20_000, noise=0.5)
    found = LinearMeasurement(z).fit(y)
    np.testing.assert_allclose(found.A, A, atol=0.06)
    np.testing.assert_allclose(found.b, b, atol=0.06)
    np.testing.assert_allclose(found.R, 0.25 * np.eye(3), atol=0.01)


def test_correlated_noise_is_measured():
    rng = np.random.default_rng(1)
    R = np.array([[1.0, 0.7], [0.7, 0.8]])
    z = rng.normal(size=(20_000, 3))
    y = z[:, :2] + rng.multivariate_normal(np.zeros(2), R, size=len(z))
    np.testing.assert_allclose(LinearMeasurement(z).fit(y).R, R, atol=0.05)


@pytest.mark.parametrize("penalty", [1e-3, 1.0, 100.0])
def test_at_a_fixed_penalty_it_is_ridge_regression(penalty):
    z, y, _, _ = make_pairs()
    found = LinearMeasurement(z, penalties=np.array([penalty])).fit(y)
    ridge = Ridge(alpha=absolute(z, penalty)).fit(z, y)
    np.testing.assert_allclose(found.A, ridge.coef_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.b, ridge.intercept_, rtol=1e-6, atol=1e-9)


@settings(deadline=None, max_examples=15)
@given(
    n=st.integers(8, 60),
    d=st.integers(1, 12),
    noise=st.sampled_from([0.01, 1.0, 30.0]),
    seed=st.integers(0, 10_000),
)
def test_generalised_cross_validation_chooses_as_brute_force_does(n, d, noise, seed):
    z, y, _, _ = make_pairs(n, d, noise=noise, seed=seed)
    scores = [generalised_cross_validation(z, y, penalty) for penalty in GRID]
    found = LinearMeasurement(z).fit(y)
    maps = [LinearMeasurement(z, penalties=np.array([penalty])).fit(y).A for penalty in GRID]
    chosen = int(np.argmin([np.abs(found.A - A).max() for A in maps]))
    np.testing.assert_array_equal(found.A, maps[chosen])
    # Equal to rounding, where neighbours on the grid score alike.
    assert scores[chosen] <= min(scores) * (1 + 1e-6)


def test_the_choice_depends_on_the_noise():
    z, clear, _, _ = make_pairs(noise=0.01)
    _, noisy, _, _ = make_pairs(noise=30.0)
    weakest = LinearMeasurement(z, penalties=GRID[:1])
    sizes = [
        np.linalg.norm(LinearMeasurement(z).fit(y).A) / np.linalg.norm(weakest.fit(y).A)
        for y in (clear, noisy)
    ]
    assert sizes[0] > 0.95
    assert sizes[1] < 0.5


@pytest.mark.parametrize(("n", "d"), [(20, 4), (12, 30)])
@pytest.mark.parametrize("penalty", [1e-4, 0.01, 1.0])
def test_noise_is_the_covariance_of_residuals_of_refits_without_each_row(penalty, n, d):
    z, y, _, _ = make_pairs(n, d)
    found = LinearMeasurement(z, penalties=np.array([penalty])).fit(y)
    residuals = left_out_residuals(z, y, penalty)
    expected = ledoit_wolf(residuals, assume_centered=True)[0]
    # A floor of a millionth of the signal keeps R definite.
    floor = 1e-6 * np.square(y - y.mean(0)).mean()
    np.testing.assert_allclose(found.R, expected + floor * np.eye(3), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("n", "d"), [(15, 60), (30, 64), (40, 10)])
def test_noise_is_not_underestimated_for_unseen_series(n, d, seed):
    # In-sample residuals would be next to nil where there are more features than series.
    z, y, _, _ = make_pairs(n + 3000, d, noise=1.0, seed=seed)
    found = LinearMeasurement(z[:n]).fit(y[:n])
    error = y[n:] - z[n:] @ found.A.T - found.b
    assert np.trace(found.R) > 0.4 * np.square(error).sum(1).mean()


@settings(deadline=None, max_examples=25)
@given(
    n=st.integers(2, 30),
    d=st.integers(1, 20),
    n_short=st.integers(1, 6),
    noise=st.sampled_from([0.0, 1.0]),
    seed=st.integers(0, 10_000),
)
def test_noise_is_positive_definite_for_data_of_any_shape(n, d, n_short, noise, seed):
    z, y, _, _ = make_pairs(n, d, n_short, noise, seed)
    found = LinearMeasurement(z).fit(y)
    assert found.A.shape == (n_short, d)
    assert found.b.shape == (n_short,)
    np.testing.assert_allclose(found.R, found.R.T, atol=1e-12)
    assert np.linalg.eigvalsh(found.R).min() > 0
    for part in (found.A, found.b, found.R):
        assert np.isfinite(part).all()


def test_a_single_pair_is_measured_without_a_warning():
    found = LinearMeasurement(np.array([[1.0, 2.0]])).fit(np.array([[3.0, 4.0]]))
    np.testing.assert_array_equal(found.A, np.zeros((2, 2)))
    np.testing.assert_array_equal(found.b, [3.0, 4.0])
    assert np.linalg.eigvalsh(found.R).min() > 0


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000), n=st.integers(5, 40))
def test_rotating_the_student_rotates_map_and_noise(seed, n):
    z, y, _, _ = make_pairs(n, seed=seed)
    Q = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    plain, turned = LinearMeasurement(z).fit(y), LinearMeasurement(z).fit(y @ Q.T)
    np.testing.assert_allclose(turned.A, Q @ plain.A, atol=1e-8)
    np.testing.assert_allclose(turned.b, Q @ plain.b, atol=1e-8)
    np.testing.assert_allclose(turned.R, Q @ plain.R @ Q.T, atol=1e-8)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000), scale=st.floats(1e-3, 1e3))
def test_rescaling_and_shifting_teacher_and_student_changes_only_the_units(seed, scale):
    z, y, _, _ = make_pairs(seed=seed)
    plain = LinearMeasurement(z).fit(y)
    of_z, of_y = LinearMeasurement(scale * z + 3).fit(y), LinearMeasurement(z).fit(scale * y - 2)
    np.testing.assert_allclose(of_z.A, plain.A / scale, rtol=1e-5, atol=1e-8 / scale)
    np.testing.assert_allclose(of_z.b, plain.b - 3 * of_z.A.sum(1), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(of_z.R, plain.R, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(of_y.A, scale * plain.A, rtol=1e-6, atol=1e-9 * scale)
    np.testing.assert_allclose(of_y.R, scale**2 * plain.R, rtol=1e-6, atol=1e-9 * scale**2)


@pytest.mark.parametrize("scale", [2.0**-100, 2.0**100])
def test_the_noise_of_tiny_and_huge_student_features_is_theirs(scale):
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(30, 2)), rng.normal(size=(30, 3))
    measurement = LinearMeasurement(z)
    expected, found = measurement.fit(y), measurement.fit(scale * y)
    np.testing.assert_allclose(found.R / scale**2, expected.R)


def test_the_measurement_can_be_renewed_for_other_student_features():
    z, y, _, _ = make_pairs()
    measurement = LinearMeasurement(z)
    measurement.fit(y)
    again, fresh = measurement.fit(2 * y), LinearMeasurement(z).fit(2 * y)
    for name in ("A", "b", "R"):
        np.testing.assert_array_equal(getattr(again, name), getattr(fresh, name))


@pytest.mark.parametrize("case", ["constant teacher", "constant student"])
def test_constant_features_tell_nothing(case):
    z, y, _, _ = make_pairs()
    if case == "constant teacher":
        z = np.full_like(z, 3.0)
    else:
        y = np.full_like(y, 3.0)
    found = LinearMeasurement(z).fit(y)
    np.testing.assert_allclose(found.A, 0, atol=1e-12)
    np.testing.assert_allclose(found.b, y.mean(0))
    assert np.linalg.eigvalsh(found.R).min() > 0


def test_a_measurement_cannot_be_changed_by_accident():
    measurement = LinearGaussian(np.eye(2), np.zeros(2), np.eye(2))
    with pytest.raises(AttributeError):
        measurement.A = np.zeros((2, 2))

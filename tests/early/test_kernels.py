"""The kernel ridge regression against scikit-learn's, fitted again for each row left out."""

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge

from skgdpd._early import kernels
from skgdpd._early.kernels import KernelSum, kernel_ridge


def case(n=24, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    return x, np.sin(x[:, 0]) + 0.3 * rng.normal(size=n), rng.uniform(0.5, 2, size=n)


def direct(x, target, weight, penalty, gamma):
    """Minimise the weighted squares with an intercept that is not penalised, as one system."""
    n = len(x)
    kernel = kernels.rbf(x, x, gamma)
    system = np.zeros((n + 1, n + 1))
    system[:n, :n] = kernel + np.diag(penalty / weight)
    system[:n, n] = system[n, :n] = 1
    solution = np.linalg.solve(system, np.append(target, 0))
    return KernelSum(x, solution[:n], gamma, solution[n])


@pytest.fixture
def one_choice(monkeypatch):
    monkeypatch.setattr(kernels, "RELATIVE_WIDTHS", (0.9,))
    monkeypatch.setattr(kernels, "PENALTIES", np.array([0.01]))


def penalty_of(x, weight, gamma):
    """The penalty, which is relative to the squared length of centred rows."""
    share = weight / weight.sum()
    kernel = kernels.rbf(x, x, gamma)
    squares = share @ np.diag(kernel) - share @ kernel @ share
    return 0.01 * squares * len(x)


@pytest.mark.parametrize("groups", ["single", "pairs", "uneven"])
@pytest.mark.usefixtures("one_choice")
def test_predictions_left_out_are_those_of_fits_without(groups):
    x, target, weight = case()
    group = {
        "single": np.arange(24),
        "pairs": np.arange(24) // 2,
        "uneven": np.minimum(np.arange(24) // 3, 4),
    }[groups]
    function, left_out = kernel_ridge(x, target, weight, group, x)
    scaled = weight / weight.mean()
    penalty = penalty_of(x, weight, function.gamma)
    whole = direct(x, target, scaled, penalty, function.gamma)
    np.testing.assert_allclose(function(x), whole(x), atol=1e-7)
    for g in np.unique(group):
        others = group != g
        without = direct(x[others], target[others], scaled[others], penalty, function.gamma)
        np.testing.assert_allclose(left_out[~others], without(x[~others]), atol=1e-6)


def test_a_sum_of_kernels_is_scikit_learns():
    x, target, weight = case()
    model = KernelRidge(alpha=0.1, kernel="rbf", gamma=0.5).fit(x, target, sample_weight=weight)
    ours = KernelSum(x, model.dual_coef_, 0.5, 0.0)
    new = case(seed=1)[0]
    np.testing.assert_allclose(ours(new), model.predict(new))
    assert ours(new[:0]).shape == (0,)


def test_width_and_penalty_predict_what_can_be_predicted():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    target = np.sin(2 * x[:, 0])
    noise = rng.normal(size=400)
    ones = np.ones(400)
    function, _ = kernel_ridge(x, target, ones, np.arange(400), x[:100])
    new = rng.normal(size=(400, 3))
    assert np.mean((function(new) - np.sin(2 * new[:, 0])) ** 2) < 0.1 * target.var()
    function, _ = kernel_ridge(x, noise, ones, np.arange(400), x[:100])
    assert np.std(function(new)) < 0.3


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_rows_give_numbers(n):
    x, target, weight = case(n)
    for group in (np.arange(n), np.zeros(n, dtype=int)):
        function, left_out = kernel_ridge(x, target, weight, group, x)
        assert np.isfinite(function(x)).all()
        assert np.isfinite(left_out).all()


def test_equal_rows_have_their_mean():
    target = np.array([1.0, 2.0, 6.0])
    function, left_out = kernel_ridge(
        np.ones((3, 2)), target, np.ones(3), np.arange(3), np.ones((3, 2))
    )
    np.testing.assert_allclose(function(np.zeros((1, 2))), 3)
    np.testing.assert_allclose(left_out, [4, 3.5, 1.5])

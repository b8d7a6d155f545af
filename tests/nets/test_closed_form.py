"""Closed-form classifiers under weights: exact without a row, as of repeated rows."""

import numpy as np
import pytest
import torch

from skgdpd.nets import closed_form
from skgdpd.nets.closed_form import likeliest_scale, ridge


def problem(n=30, p=4, k=3, seed=0):
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(n, p, generator=rng, dtype=torch.float64)
    y = torch.arange(n) % k
    x[:, 0] += y
    return x, torch.nn.functional.one_hot(y, k).double()


def with_penalty(monkeypatch, penalty, *data):
    monkeypatch.setattr(closed_form, "PENALTIES", torch.tensor([penalty], dtype=torch.float64))
    return ridge(*data)


def plainly(x, target, weight, penalty):
    """Solve the weighted normal equations."""
    signs, w = 2 * target - 1, weight[:, None]
    centre, mean = weight @ x / weight.sum(), weight @ signs / weight.sum()
    gram = (x - centre).T @ (w * (x - centre)) + penalty * torch.eye(x.shape[1]).double()
    slope = torch.linalg.solve(gram, (x - centre).T @ (w * (signs - mean)))
    return slope, mean - centre @ slope


WEIGHTS = {
    "equal": torch.ones(30).double(),
    "counts": torch.tensor([1.0, 2, 5] * 10).double(),
    "heavy": torch.tensor([1.0] * 29 + [1e6]).double(),
    "absent": torch.tensor([0.0, 1, 2] * 10).double(),
}


@pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS)
def test_left_out_scores_are_of_the_fit_without_the_row(weight, monkeypatch):
    x, target = problem()
    found = with_penalty(monkeypatch, 0.1, x, target, weight)
    scaled = weight / weight[weight > 0].mean()
    slope, bias = plainly(x, target, scaled, 0.1)
    np.testing.assert_allclose(found.weight, slope, atol=1e-7)
    np.testing.assert_allclose(found.bias, bias, atol=1e-7)
    for row in (0, 1, 2, 29):
        others = torch.arange(30) != row
        slope, bias = plainly(x[others], target[others], scaled[others], 0.1)
        np.testing.assert_allclose(found.left_out[row], x[row] @ slope + bias, atol=1e-5)


def test_a_row_of_weight_w_is_w_rows_that_are_left_out_together(monkeypatch):
    x, target = problem()
    weight = WEIGHTS["counts"]
    rows = torch.repeat_interleave(torch.arange(30), weight.long())
    # The total weight of the repeated rows is larger, and the penalty is relative to it.
    repeated = with_penalty(monkeypatch, 0.1 * len(rows) / 30, x[rows], target[rows])
    found = with_penalty(monkeypatch, 0.1, x, target, weight)
    np.testing.assert_allclose(found.weight, repeated.weight, atol=1e-9)
    np.testing.assert_allclose(found.bias, repeated.bias, atol=1e-9)
    single = weight == 1
    np.testing.assert_allclose(found.left_out[single], repeated.left_out[single[rows]], atol=1e-9)
    # With copies that stay, what is said of a row is nearer to its label than it ought to be.
    copies = repeated.left_out[torch.searchsorted(rows, torch.arange(30))]
    signs = 2 * target - 1
    nearer = (copies - signs).square().sum(1) < (found.left_out - signs).square().sum(1)
    assert nearer[~single].all()


def test_absent_rows_and_the_scale_of_weights_change_nothing():
    x, target = problem()
    weight = WEIGHTS["absent"]
    kept = weight > 0
    for other in (ridge(x, target, 7 * weight), ridge(x[kept], target[kept], weight[kept])):
        found = ridge(x, target, weight)
        np.testing.assert_allclose(found.weight, other.weight, atol=1e-9)
        assert (found.scale, found.penalty) == (other.scale, other.penalty)
    scores = found.left_out
    assert likeliest_scale(scores, target, weight) == pytest.approx(
        likeliest_scale(scores[kept], target[kept], weight[kept])
    )


def test_the_loss_of_a_scale_counts_a_row_as_often_as_its_weight_says():
    _, target = problem(300)
    scores = target + 0.3 * torch.randn(
        300, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    weight = WEIGHTS["counts"].repeat(10)
    rows = torch.repeat_interleave(torch.arange(300), weight.long())
    scale, loss = likeliest_scale(scores, target, weight)
    repeated_scale, repeated_loss = likeliest_scale(scores[rows], target[rows])
    # Only the smoothing differs: by one row of each class, among 300 or among 800.
    assert repeated_scale == pytest.approx(scale, rel=0.5)
    assert loss == pytest.approx(repeated_loss, abs=0.05)


@pytest.mark.parametrize("weight", [None, torch.tensor([0.0, 3, 0])])
def test_nothing_is_said_of_a_row_without_others(weight):
    x, target = problem(3)
    rows = slice(0, 1) if weight is None else slice(0, 3)
    found = ridge(x[rows], target[rows], weight)
    np.testing.assert_array_equal(found.left_out[-1 if weight is None else 1], torch.zeros(3))
    assert all(torch.isfinite(part).all() for part in (found.weight, found.bias, found.left_out))

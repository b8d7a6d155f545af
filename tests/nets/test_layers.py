"""Layers against torch's own, with and without padding."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skgdpd.nets.layers import (
    FeatureBatchNorm,
    SameConv1d,
    TimeBatchNorm,
    as_image,
    average_over_time,
    keep,
    time_mask,
)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def torchs_same_convolution(x, weight, bias):
    with warnings.catch_warnings():
        # torch warns that even kernels need a padded copy; results are what is compared here.
        warnings.simplefilter("ignore", UserWarning)
        return F.conv1d(x, weight, bias, padding="same")


@settings(deadline=None, max_examples=60)
@given(
    kernel_size=st.integers(1, 41),
    n_timepoints=st.integers(1, 30),
    n_in=st.integers(1, 3),
    n_out=st.integers(1, 3),
    bias=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_same_convolution_and_its_gradients_are_torchs(
    kernel_size, n_timepoints, n_in, n_out, bias, seed
):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layer = SameConv1d(n_in, n_out, kernel_size, bias=bias).double()
        x = torch.randn(2, n_in, n_timepoints, dtype=torch.float64)
        upstream = torch.randn(2, n_out, n_timepoints, dtype=torch.float64)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    weight = layer.weight.detach().clone().requires_grad_()
    offset = layer.bias.detach().clone().requires_grad_() if bias else None
    out = layer(as_image(ours))[:, :, 0]
    expected = torchs_same_convolution(theirs, weight, offset)
    torch.testing.assert_close(out, expected)
    (out * upstream).sum().backward()
    (expected * upstream).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    torch.testing.assert_close(layer.weight.grad, weight.grad)
    if bias:
        torch.testing.assert_close(layer.bias.grad, offset.grad)


@pytest.mark.parametrize("kernel_size", [8, 39])
def test_a_convolutions_weights_have_torchs_shape_and_scale(kernel_size):
    torch.manual_seed(0)
    ours = SameConv1d(4, 6, kernel_size, bias=True)
    torch.manual_seed(0)
    theirs = nn.Conv1d(4, 6, kernel_size)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: v.shape for k, v in theirs.state_dict().items()
    }
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)


def test_an_image_is_the_series_in_channels_last_memory():
    x = torch.randn(3, 4, 5)
    image = as_image(x)
    torch.testing.assert_close(image[:, :, 0], x, rtol=0, atol=0)
    assert image.is_contiguous(memory_format=torch.channels_last)


# Masks


def test_a_mask_is_one_where_a_time_point_exists():
    mask = time_mask(torch.tensor([3, 1, 4]), 4)
    assert mask.shape == (3, 1, 1, 4)
    assert mask[:, 0, 0].tolist() == [[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]]
    assert time_mask(None, 4) is None


def test_padding_is_set_to_zero_and_nothing_else_is_changed():
    x = torch.randn(2, 3, 1, 4)
    mask = time_mask(torch.tensor([2, 4]), 4)
    kept = keep(x, mask)
    assert (kept[0, :, :, 2:] == 0).all()
    torch.testing.assert_close(kept[0, :, :, :2], x[0, :, :, :2], rtol=0, atol=0)
    torch.testing.assert_close(kept[1], x[1], rtol=0, atol=0)
    assert keep(x, None) is x


def test_averages_are_over_existing_time_points():
    x = torch.randn(3, 2, 1, 6)
    lengths = torch.tensor([6, 1, 4])
    average = average_over_time(x, time_mask(lengths, 6))
    for i, length in enumerate(lengths):
        torch.testing.assert_close(average[i], x[i, :, 0, :length].mean(1))
    torch.testing.assert_close(average_over_time(x, None), x[:, :, 0].mean(2))


def ragged_image(lengths, n_channels=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    longest = max(lengths)
    x = torch.randn(len(lengths), n_channels, 1, longest, generator=generator) * 3 + 5
    mask = time_mask(torch.tensor(lengths), longest)
    points = torch.cat([x[i, :, 0, :length] for i, length in enumerate(lengths)], 1)
    return keep(x, mask), mask, points[None]


def twin_norms(n_channels=3):
    ours, theirs = TimeBatchNorm(n_channels), nn.BatchNorm1d(n_channels)
    with torch.no_grad():
        for norm in (ours, theirs):
            norm.weight.copy_(torch.tensor([1.0, 2.0, -0.5]))
            norm.bias.copy_(torch.tensor([0.0, -1.0, 3.0]))
    return ours, theirs


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 8), min_size=2, max_size=6), st.integers(0, 1000))
def test_masked_norm_is_batch_norm_over_the_concatenated_points(lengths, seed):
    x, mask, points = ragged_image(lengths, seed=seed)
    ours, theirs = twin_norms()
    x, points = x.requires_grad_(), points.requires_grad_()
    out, expected = ours(x, mask), theirs(points)
    existing = torch.cat([out[i, :, 0, :length] for i, length in enumerate(lengths)], 1)[None]
    torch.testing.assert_close(existing, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var, rtol=1e-4, atol=1e-5)
    # Gradients, too: of a loss that is no constant under normalisation.
    upstream = torch.randn(expected.shape, generator=torch.Generator().manual_seed(seed))
    (existing * upstream).sum().backward()
    (expected * upstream).sum().backward()
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(ours.bias.grad, theirs.bias.grad, rtol=1e-3, atol=1e-3)


def test_masked_norms_input_gradient_is_batch_norms():
    lengths = [5, 2, 7]
    x, mask, points = ragged_image(lengths)
    ours, theirs = (norm.double() for norm in twin_norms())
    x, points = x.double().requires_grad_(), points.double().requires_grad_()
    ((ours(x, mask) * mask) ** 3).sum().backward()
    (theirs(points) ** 3).sum().backward()
    existing = torch.cat([x.grad[i, :, 0, :length] for i, length in enumerate(lengths)], 1)[None]
    torch.testing.assert_close(existing, points.grad)


@pytest.mark.parametrize("training", [True, False])
def test_a_mask_of_ones_changes_nothing(training):
    x, _, _ = ragged_image([6, 6])
    with_mask, without = twin_norms()[0].train(training), twin_norms()[0].train(training)
    torch.testing.assert_close(with_mask(x, torch.ones(2, 1, 1, 6)), without(x))
    torch.testing.assert_close(with_mask.running_mean, without.running_mean)
    torch.testing.assert_close(with_mask.running_var, without.running_var)


def test_what_stands_in_the_padding_has_no_influence_on_the_statistics():
    x, mask, _ = ragged_image([4, 7])
    one, other = twin_norms()[0], twin_norms()[0]
    out = one(x, mask)
    spoilt = other(x + 100 * (1 - mask), mask)
    torch.testing.assert_close(keep(spoilt, mask), keep(out, mask))
    torch.testing.assert_close(other.running_var, one.running_var)


def test_norm_of_an_image_is_torchs_norm_of_the_series():
    x = torch.randn(4, 3, 1, 9)
    ours, theirs = twin_norms()
    for training in (True, False):
        ours.train(training)
        theirs.train(training)
        torch.testing.assert_close(ours(x)[:, :, 0], theirs(x[:, :, 0]))


def test_norm_refuses_what_is_no_image():
    with pytest.raises(ValueError, match=r"expected an \(n, c, 1, t\) image, got 3 dimensions"):
        TimeBatchNorm(3)(torch.zeros(2, 3, 4))


# Features


def trained_feature_norm():
    torch.manual_seed(0)
    norm = FeatureBatchNorm(4)
    for _ in range(5):
        norm(torch.randn(10, 4) * 2 + 1)
    return norm


def test_one_row_is_normalised_by_the_running_statistics_and_leaves_them_alone():
    norm = trained_feature_norm()
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    row = torch.randn(1, 4)
    by_hand = (row - norm.running_mean) / torch.sqrt(norm.running_var + norm.eps)
    torch.testing.assert_close(norm(row), by_hand * norm.weight + norm.bias)
    torch.testing.assert_close(norm(row), norm.eval()(row))
    for name, value in norm.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_one_row_lets_gradients_through():
    norm = trained_feature_norm()
    row = torch.randn(1, 4, requires_grad=True)
    norm(row).sum().backward()
    torch.testing.assert_close(
        row.grad, (norm.weight / (norm.running_var + norm.eps).sqrt())[None]
    )


@pytest.mark.parametrize("training", [True, False])
def test_several_rows_are_normalised_as_torch_does(training):
    ours = trained_feature_norm()
    theirs = nn.BatchNorm1d(4)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(6, 4)
    torch.testing.assert_close(ours.train(training)(x), theirs.train(training)(x))
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
